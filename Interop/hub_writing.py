"""The requests to hub_server.py that change something: repositories, branches and tags, uploads, commits."""

import base64
import hashlib
import json
import re
from urllib.parse import unquote

from hub_answers import KIND, NAME, Answers
from hub_repositories import PREFIXES, Large, Repository, content_id


def card_errors(text):
    """What the Hub finds wrong with the metadata of a card: of its rules, those for names of repositories."""
    import yaml

    if not text.startswith("---\n"):
        return []
    data = yaml.safe_load(text.split("---\n", 2)[1]) or {}
    names = [("base_model", data.get("base_model"))]
    names += [(f"datasets[{index}]", name) for index, name in enumerate(data.get("datasets", []))]
    for model, entry in enumerate(data.get("model-index", [])):
        for place, result in enumerate(entry["results"]):
            names.append((f"model-index[{model}].results[{place}].dataset.type", result["dataset"]["type"]))
    pattern = r"(?:[\w-]+/)?[\w\-.]+"
    return [f'"{key}" with value "{name}" is not valid' for key, name in names if name and not re.fullmatch(pattern, name)]


class Writing(Answers):
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

    def validate(self, *, body, **_):
        text = json.loads(body)["content"]
        errors = [{"message": message} for message in card_errors(text)]
        warnings = [] if text.startswith("---\n") else [{"message": "empty or missing yaml metadata in repo card"}]
        self.answer(400 if errors else 200, {"errors": errors, "warnings": warnings})

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
        errors = card_errors(files.get("README.md", b"").decode())
        if errors:
            return self.refuse(400, message=errors[0])
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


ROUTES = [
    (r"/api/repos/create", ("POST",), Writing.create),
    (r"/api/validate-yaml", ("POST",), Writing.validate),
    (rf"/api/{KIND}/{NAME}/branch/([^/]+)", ("POST",), Writing.branch),
    (rf"/api/{KIND}/{NAME}/tag/([^/]+)", ("POST", "DELETE"), Writing.tag),
    (rf"/api/{KIND}/{NAME}/preupload/([^/]+)", ("POST",), Writing.preupload),
    (rf"/api/{KIND}/{NAME}/commit/([^/]+)", ("POST",), Writing.commit_files),
    (rf"/(datasets/|spaces/)?{NAME}\.git/info/lfs/objects/batch", ("POST",), Writing.batch),
    (r"/upload/(\w+)", ("PUT",), Writing.upload),
    (r"/part/(\w+)/(\d+)", ("PUT",), Writing.part),
    (r"/complete/(\w+)", ("POST",), Writing.complete),
    (r"/verify/(\w+)", ("POST",), Writing.verify),
]
