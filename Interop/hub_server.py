"""A small Hub on 127.0.0.1 that speaks the HTTP API of spec sections F, I and J and misbehaves on request.

    server = HubServer()
    server.add("someone/model", {"config.json": b"{}", "model.safetensors": Large(b"...")})
    server.fail("/store/", action="cut", after=1000)
    server.endpoint                       # http://127.0.0.1:PORT, for HF_ENDPOINT
    server.requests                       # what was asked, with headers

Contents of large files are served by a second host name, `localhost`, as the real Hub serves them from a content network.
Run as a program, it serves one model with one large file, for measurements: `python hub_server.py BYTES`.
"""

import re
import secrets
import sys
import threading
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import hub_reading
import hub_writing
from hub_repositories import Large, Repository, content_id


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


class Handler(hub_reading.Reading, hub_writing.Writing):
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
        for pattern, methods, handler in ROUTES:
            match = pattern.fullmatch(split.path)
            if match and self.command in methods:
                return handler(self, *match.groups(), body=body, query=query, fault=fault)
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


ROUTES = [
    (re.compile(pattern), methods, handler) for pattern, methods, handler in hub_reading.ROUTES + hub_writing.ROUTES
]


if __name__ == "__main__":
    with HubServer() as main_server:
        block = secrets.token_bytes(1 << 20)
        main_server.add("someone/large", {"model.bin": Large((block * (int(sys.argv[1]) // len(block) + 1))[: int(sys.argv[1])])})
        print(main_server.endpoint, flush=True)
        sys.stdin.read()
