"""The requests to hub_server.py that only read: files, and facts about repositories."""

import secrets
from urllib.parse import unquote, urlsplit

from hub_answers import KIND, NAME, Answers
from hub_repositories import PREFIXES, Large, content_id


class Reading(Answers):
    def resolve(self, kind, name, revision, path, *, fault, **_):
        repository = self.repository({v: k for k, v in PREFIXES.items()}[kind or ""], name, revision)
        if repository is None:
            return
        content = repository.commits[self.commit].get(unquote(path))
        headers = {"X-Repo-Commit": self.commit}
        if content is None:
            return self.refuse(404, "EntryNotFound", "Entry not found", headers)
        identity = content_id(content)
        if isinstance(content, Large):
            headers["X-Linked-Etag"] = f'"{identity}"'
            headers["X-Linked-Size"] = str(len(content))
            headers["Location"] = f"{self.server.store_endpoint}/store/{identity}?X-Signature={secrets.token_hex(8)}"
            return self.answer(302, b"", headers)
        headers["ETag"] = f'"{identity}"'
        self.content(content, headers, fault)

    def stored(self, identity, *, fault, **_):
        if self.headers.get("Authorization"):
            return self.refuse(400, message="a token was sent to the store")
        content = self.server.store.get(identity)
        if content is None:
            return self.refuse(404)
        self.content(content, {"ETag": '"store-has-its-own-ids"', "Accept-Ranges": "bytes"}, fault)

    def info(self, kind, name, revision, **_):
        repository = self.repository(kind, name, revision or "main")
        if repository is None:
            return
        files = repository.commits[self.commit]
        self.answer(
            200,
            {
                "id": name,
                "modelId": name,
                "sha": self.commit,
                "private": repository.private,
                "gated": "manual" if repository.gated else False,
                "tags": ["fill-mask"],
                "cardData": {"license": "mit"},
                "siblings": [{"rfilename": path} for path in sorted(files)],
            },
        )

    def tree(self, kind, name, revision, folder, *, query, **_):
        repository = self.repository(kind, name, revision)
        if repository is None:
            return
        below = unquote(folder or "")
        files = repository.commits[self.commit]
        entries = []
        for path in sorted(files):
            if below and not path.startswith(below + "/"):
                continue
            content = files[path]
            entry = {"type": "file", "path": path, "size": len(content), "oid": content_id(bytes(content))}
            if isinstance(content, Large):
                entry["lfs"] = {"oid": content_id(content), "size": len(content), "pointerSize": 130}
            entries.append(entry)
        if below and not entries:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        start = int(query.get("cursor", 0))
        end = start + self.server.page_size
        headers = {}
        if end < len(entries):
            address = f"{self.server.endpoint}{urlsplit(self.path).path}?recursive=true&expand=false&cursor={end}"
            headers["Link"] = f'<{address}>; rel="next"'
        self.answer(200, entries[start:end], headers)

    def refs(self, kind, name, **_):
        repository = self.repository(kind, name)
        if repository is None:
            return

        def listed(names, prefix):
            return [{"name": n, "ref": f"{prefix}{n}", "targetCommit": c} for n, c in names.items()]

        self.answer(
            200,
            {
                "branches": listed(repository.branches, "refs/heads/"),
                "tags": listed(repository.tags, "refs/tags/"),
                "converts": [
                    {"name": n.removeprefix("refs/convert/"), "ref": n, "targetCommit": c}
                    for n, c in repository.converts.items()
                ],
                "pullRequests": [],
            },
        )

    def whoami(self, **_):
        if self.token() in self.server.tokens:
            return self.answer(200, {"name": "someone", "type": "user", "auth": {"accessToken": {"role": "write"}}})
        self.refuse(401, message="Invalid credentials in Authorization header")


ROUTES = [
    (rf"/(datasets/|spaces/)?{NAME}/resolve/([^/]+)/(.+)", ("GET", "HEAD"), Reading.resolve),
    (r"/store/(\w+)", ("GET", "HEAD"), Reading.stored),
    (rf"/api/{KIND}/{NAME}/revision/([^/]+)", ("GET",), Reading.info),
    (rf"/api/{KIND}/{NAME}/tree/([^/]+)(?:/(.+))?", ("GET",), Reading.tree),
    (rf"/api/{KIND}/{NAME}/refs", ("GET",), Reading.refs),
    (r"/api/whoami-v2", ("GET",), Reading.whoami),
    (rf"/api/{KIND}/{NAME}()", ("GET",), Reading.info),
]
