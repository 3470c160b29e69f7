"""A small Hub on 127.0.0.1 that speaks the HTTP API of spec sections F, I and J and misbehaves on request.

    server = HubServer()
    server.add("someone/model", {"config.json": b"{}", "model.safetensors": Large(b"...")})
    server.fail("/store/", action="cut", after=1000)
    server.endpoint                       # http://127.0.0.1:PORT, for HF_ENDPOINT
    server.requests                       # what was asked, with headers

Contents of large files are served by a second host name, `localhost`, as the real Hub serves them from a content network.
Run as a program, it serves one model with one large file, for measurements: `python hub_server.py BYTES`.
"""

import base64
import hashlib
import json
import re
import secrets
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

PREFIXES = {"models": "", "datasets": "datasets/", "spaces": "spaces/"}


class Large(bytes):
    """The content of a file that is kept in the large-file store."""


class Repository:
    def __init__(self, kind, name, private=False, gated=False):
        self.kind, self.name, self.private, self.gated = kind, name, private, gated
        self.commits = {}
        self.branches, self.tags, self.converts = {}, {}, {}
        self.messages = {}

    def commit(self, files, message="", branch="main"):
        commit = hashlib.sha1(secrets.token_bytes(20)).hexdigest()
        self.commits[commit] = dict(files)
        self.messages[commit] = message
        self.branches[branch] = commit
        return commit

    def resolve(self, revision):
        if revision in self.commits:
            return revision
        short = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        for names in (self.branches, self.tags):
            if short in names:
                return names[short]
        return self.converts.get(revision)


def content_id(content):
    if isinstance(content, Large):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Fault:
    def __init__(self, path, action, times=1, method=None, **options):
        self.path, self.action, self.times, self.method, self.options = re.compile(path), action, times, method, options


class HubServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, tokens=("hf_reader",), large_from=4096, part_size=None, page_size=3, tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.tokens, self.large_from, self.part_size, self.page_size = set(tokens), large_from, part_size, page_size
        self.repositories, self.renamed = {}, {}
        self.store, self.parts = {}, {}
        self.faults, self.requests = [], []
        self.lose_answer = False  # of the next commit
        self.mutex = threading.Lock()
        self.scheme = "https" if tls else "http"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, OSError)):
            super().handle_error(request, client_address)

    @property
    def port(self):
        return self.server_address[1]

    @property
    def endpoint(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def store_endpoint(self):
        return f"{self.scheme}://localhost:{self.port}"

    def add(self, name, files, kind="models", **options):
        repository = self.repositories.get((kind, name))
        if repository is None:
            repository = self.repositories[kind, name] = Repository(kind, name, **options)
        for content in files.values():
            if isinstance(content, Large):
                self.store[content_id(content)] = content
        repository.commit(files)
        return repository

    def fail(self, path, action, times=1, method=None, **options):
        self.faults.append(Fault(path, action, times, method, **options))

    def fault(self, method, path):
        with self.mutex:
            for fault in self.faults:
                if fault.times > 0 and fault.method in (None, method) and fault.path.search(path):
                    fault.times -= 1
                    return fault
        return None

    def asked(self, pattern, method=None):
        return [r for r in self.requests if re.search(pattern, r["path"]) and method in (None, r["method"])]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 0

    def log_message(self, *_):
        pass

    # Answers

    def answer(self, status, body=b"", headers=(), content_type="application/json"):
        if not isinstance(body, (bytes, bytearray, memoryview)):
            body = json.dumps(body).encode()
        self.send_response(status)
        headers = dict(headers)
        if status != 204:
            headers.setdefault("Content-Length", str(len(body)))
        headers.setdefault("Content-Type", content_type)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code=None, message="", headers=()):
        headers = dict(headers)
        if code:
            headers["X-Error-Code"] = code
        if message:
            headers["X-Error-Message"] = message
        self.answer(status, {"error": message}, headers)

    def drop(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def content(self, body, headers, fault):
        """Sends a content or a range of it, as badly as was asked for."""
        whole, start = memoryview(body), 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and not (fault and fault.action == "ignore_range"):
            start = int(asked[1])
            if start >= len(whole):
                return self.refuse(416, headers={"Content-Range": f"bytes */{len(whole)}"})
            headers["Content-Range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        part = whole[start:]
        if fault is None or self.command == "HEAD" or fault.action == "ignore_range":
            return self.answer(206 if start else 200, part, headers)
        if fault.action == "corrupt":
            damaged = bytearray(part)
            damaged[len(damaged) // 2] ^= 1
            return self.answer(206 if start else 200, damaged, headers)
        self.send_response(206 if start else 200)
        for name, value in {**headers, "Content-Length": str(len(part))}.items():
            self.send_header(name, value)
        self.end_headers()
        if fault.action == "cut":
            self.wfile.write(part[: fault.options["after"]])
            return self.drop()
        if fault.action == "stall":
            self.wfile.write(part[: fault.options["after"]])
            time.sleep(fault.options["seconds"])
            return self.drop()
        if fault.action == "drip":
            step = fault.options["bytes"]
            for position in range(0, len(part), step):
                self.wfile.write(part[position : position + step])
                time.sleep(fault.options["seconds"])

    # Requests

    def handle_request(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self.chunked_body()
        path = self.path
        server = self.server
        with server.mutex:
            server.requests.append(
                {"method": self.command, "path": path, "host": self.headers.get("Host"), "headers": dict(self.headers)}
            )
        fault = server.fault(self.command, path)
        if fault and fault.action == "status":
            return self.refuse(fault.options["status"], headers=fault.options.get("headers", {}))
        if fault and fault.action == "drop":
            return self.drop()
        if fault and fault.action == "answer":
            return self.answer(fault.options.get("status", 200), fault.options["body"], fault.options.get("headers", {}))
        split = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
        for pattern, handler in ROUTES:
            match = pattern.fullmatch(split.path)
            if match and self.command in handler[0]:
                return handler[1](self, *match.groups(), body=body, query=query, fault=fault)
        self.refuse(404, message=f"no route for {self.command} {split.path}")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request

    def chunked_body(self):
        body = b""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        return body

    def token(self):
        return self.headers.get("Authorization", "").removeprefix("Bearer ") or None

    def repository(self, kind, name, revision=None):
        """The repository, or None after an error was sent. The commit of the revision is put beside it."""
        token = self.token()
        if token is not None and token not in self.server.tokens:
            self.refuse(401, message="Invalid credentials in Authorization header")
            return None
        renamed = self.server.renamed.get((kind, name))
        if renamed:
            location = self.path.replace(f"/{name}/", f"/{renamed}/", 1)
            self.answer(307, headers={"Location": location})
            return None
        repository = self.server.repositories.get((kind, name))
        if repository is None or (repository.private and token is None):
            status = 401 if token is None else 404
            self.refuse(status, "RepoNotFound", "Repository not found")
            return None
        if repository.gated and (token is None or repository.gated == "refused") and "/resolve/" in self.path:
            self.refuse(401 if token is None else 403, "GatedRepo", "Access to this repository is restricted")
            return None
        if revision is not None:
            self.commit = repository.resolve(unquote(revision))
            if self.commit is None:
                self.refuse(404, "RevisionNotFound", "Invalid rev id")
                return None
        return repository

    # Files

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

    # Facts

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

    # Changes

    def allowed(self):
        if self.token() in self.server.tokens:
            return True
        self.refuse(401, message="Invalid credentials in Authorization header" if self.token() else "Log in first")
        return False

    def create(self, *, body, **_):
        if not self.allowed():
            return
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'someone'}/{asked['name']}"
        kind = asked.get("type", "model") + "s"
        url = f"{self.server.endpoint}/{PREFIXES[kind]}{name}"
        if (kind, name) in self.server.repositories:
            return self.answer(409, {"error": "You already created this repository", "url": url})
        private = asked.get("private", False) or asked.get("visibility") == "private"
        repository = self.server.repositories[kind, name] = Repository(kind, name, private=private)
        repository.commit({".gitattributes": b"*.safetensors filter=lfs\n"}, "initial commit")
        self.answer(200, {"url": url, "name": name, "id": name})

    def branch(self, kind, name, branch, *, body, **_):
        repository = self.allowed() and self.repository(kind, name)
        if not repository:
            return
        branch = unquote(branch)
        if branch in repository.branches:
            return self.refuse(409, message="Reference already exists")
        start = json.loads(body or b"{}").get("startingPoint", "main")
        repository.branches[branch] = repository.resolve(start)
        self.answer(200, {})

    def tag(self, kind, name, revision, *, body, **_):
        repository = self.allowed() and self.repository(kind, name, revision)
        if not repository:
            return
        if self.command == "DELETE":
            del repository.tags[unquote(revision)]
            return self.answer(200, {})
        tag = json.loads(body)["tag"]
        if tag in repository.tags:
            return self.refuse(409, message="Tag already exists")
        repository.tags[tag] = self.commit
        self.answer(200, {})

    def preupload(self, kind, name, revision, *, body, **_):
        repository = self.allowed() and self.repository(kind, name, revision)
        if not repository:
            return
        there = repository.commits[self.commit]
        answers = []
        for file in json.loads(body)["files"]:
            sample = base64.b64decode(file["sample"])
            if len(sample) != min(512, file["size"]):
                return self.refuse(400, message="the sample is not the first 512 bytes")
            large = file["size"] >= self.server.large_from or file["path"].endswith(".safetensors")
            answer = {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
            if file["path"] in there:
                answer["oid"] = content_id(there[file["path"]])
            answers.append(answer)
        self.answer(200, {"files": answers, "commitOid": self.commit})

    def validate(self, **_):
        self.answer(200, {"errors": [], "warnings": []})

    def batch(self, kind, name, *, body, **_):
        if not self.allowed():
            return
        if "vnd.git-lfs+json" not in self.headers.get("Content-Type", ""):
            return self.refuse(415, message="not the media type of LFS")
        asked = json.loads(body)
        objects, transfer = [], "basic"
        for wanted in asked["objects"]:
            identity, size = wanted["oid"], wanted["size"]
            answer = {"oid": identity, "size": size}
            if identity not in self.server.store:
                upload = {"href": f"{self.server.store_endpoint}/upload/{identity}?X-Signature=1"}
                part_size = self.server.part_size
                if part_size and size > part_size:
                    count = -(-size // part_size)
                    transfer = "multipart"
                    upload["href"] = f"{self.server.endpoint}/complete/{identity}"
                    upload["header"] = {"chunk_size": str(part_size)}
                    for number in range(1, count + 1):
                        upload["header"][f"{number:05d}"] = (
                            f"{self.server.store_endpoint}/part/{identity}/{number}?X-Signature=1"
                        )
                verify = {"href": f"{self.server.endpoint}/verify/{identity}"}
                answer["actions"] = {"upload": upload, "verify": verify}
            objects.append(answer)
        self.answer(200, {"transfer": transfer, "objects": objects})

    def keep(self, identity, body):
        if hashlib.sha256(body).hexdigest() != identity:
            return self.refuse(400, message="the content does not match its id")
        self.server.store[identity] = Large(body)
        self.answer(200, b"")

    def upload(self, identity, *, body, **_):
        if self.headers.get("Authorization"):
            return self.refuse(400, message="a token was sent to the store")
        self.keep(identity, body)

    def part(self, identity, number, *, body, **_):
        if self.headers.get("Authorization"):
            return self.refuse(400, message="a token was sent to the store")
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        self.server.parts.setdefault(identity, {})[int(number)] = (etag, body)
        self.answer(200, b"", {"ETag": etag})

    def complete(self, identity, *, body, **_):
        asked = json.loads(body)
        parts = self.server.parts.get(identity, {})
        expected = [{"partNumber": number, "etag": parts[number][0]} for number in sorted(parts)]
        if asked != {"oid": identity, "parts": expected}:
            return self.refuse(400, message="the parts do not match")
        self.keep(identity, b"".join(parts[number][1] for number in sorted(parts)))

    def verify(self, identity, *, body, **_):
        asked = json.loads(body)
        stored = self.server.store.get(identity)
        if not self.allowed():
            return
        if stored is None or asked != {"oid": identity, "size": len(stored)}:
            return self.refuse(422, message="the object is not stored")
        self.answer(200, {})

    def commit_files(self, kind, name, revision, *, body, query, **_):
        repository = self.allowed() and self.repository(kind, name, revision)
        if not repository:
            return
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        if self.headers.get("Content-Type") != "application/x-ndjson" or lines[0]["key"] != "header":
            return self.refuse(400, message="not a commit")
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, self.commit):
            return self.refuse(412, message="A commit has happened since. Please refresh and try again.")
        files = dict(repository.commits[self.commit])
        for line in lines[1:]:
            key, value = line["key"], line["value"]
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                if value["oid"] not in self.server.store:
                    return self.refuse(400, message=f"{value['path']} is not stored")
                files[value["path"]] = self.server.store[value["oid"]]
            elif key == "deletedFile":
                files.pop(value["path"], None)
            elif key == "deletedFolder":
                files = {p: c for p, c in files.items() if not p.startswith(value["path"].rstrip("/") + "/")}
            else:
                return self.refuse(400, message=f"unknown operation {key}")
        branch = f"pr/{len(repository.branches)}" if query.get("create_pr") else unquote(revision)
        commit = repository.commit(files, header["summary"], branch)
        address = f"{self.server.endpoint}/{PREFIXES[kind]}{name}"
        answer = {"success": True, "commitOid": commit, "commitUrl": f"{address}/commit/{commit}", "hookOutput": ""}
        if query.get("create_pr"):
            answer["pullRequestUrl"] = f"{address}/discussions/1"
        if self.server.lose_answer:
            self.server.lose_answer = False
            return self.drop()
        self.answer(200, answer)


KIND = "(models|datasets|spaces)"
NAME = "([^/]+/[^/]+|[^/]+)"
ROUTES = [
    (re.compile(pattern), (methods, handler))
    for pattern, methods, handler in [
        (rf"/(datasets/|spaces/)?{NAME}/resolve/([^/]+)/(.+)", ("GET", "HEAD"), Handler.resolve),
        (r"/store/(\w+)", ("GET", "HEAD"), Handler.stored),
        (rf"/api/{KIND}/{NAME}/revision/([^/]+)", ("GET",), Handler.info),
        (rf"/api/{KIND}/{NAME}/tree/([^/]+)(?:/(.+))?", ("GET",), Handler.tree),
        (rf"/api/{KIND}/{NAME}/refs", ("GET",), Handler.refs),
        (r"/api/whoami-v2", ("GET",), Handler.whoami),
        (r"/api/repos/create", ("POST",), Handler.create),
        (r"/api/validate-yaml", ("POST",), Handler.validate),
        (rf"/api/{KIND}/{NAME}/branch/([^/]+)", ("POST",), Handler.branch),
        (rf"/api/{KIND}/{NAME}/tag/([^/]+)", ("POST", "DELETE"), Handler.tag),
        (rf"/api/{KIND}/{NAME}/preupload/([^/]+)", ("POST",), Handler.preupload),
        (rf"/api/{KIND}/{NAME}/commit/([^/]+)", ("POST",), Handler.commit_files),
        (rf"/(datasets/|spaces/)?{NAME}\.git/info/lfs/objects/batch", ("POST",), Handler.batch),
        (r"/upload/(\w+)", ("PUT",), Handler.upload),
        (r"/part/(\w+)/(\d+)", ("PUT",), Handler.part),
        (r"/complete/(\w+)", ("POST",), Handler.complete),
        (r"/verify/(\w+)", ("POST",), Handler.verify),
        (rf"/api/{KIND}/{NAME}()", ("GET",), Handler.info),
    ]
]


if __name__ == "__main__":
    with HubServer() as main_server:
        block = secrets.token_bytes(1 << 20)
        main_server.add("someone/large", {"model.bin": Large((block * (int(sys.argv[1]) // len(block) + 1))[: int(sys.argv[1])])})
        print(main_server.endpoint, flush=True)
        sys.stdin.read()
