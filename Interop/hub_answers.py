"""How the Hub of hub_server.py answers, well or badly, and whom it lets in."""

import json
import re
import socket
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

KIND = "(models|datasets|spaces)"
NAME = "([^/]+/[^/]+|[^/]+)"


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 0

    def log_message(self, *_):
        pass

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

    # Who may come in

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

    def allowed(self):
        if self.token() in self.server.tokens:
            return True
        self.refuse(401, message="Invalid credentials in Authorization header" if self.token() else "Log in first")
        return False
