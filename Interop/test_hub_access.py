"""The way to the Hub: who is let in, with which words who is not, the token, proxies, certificates."""

import base64
import http.client
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from hub_client import SMALL, TOKEN, Client, layout, weights
from hub_server import HubServer


ERRORS = [
    ("no/such", "main", None, "was not found on the Hub, or it is private: check the name", "RepositoryNotFoundError"),
    ("no/such", "main", TOKEN, "and your token has no access to it", "RepositoryNotFoundError"),
    ("someone/private", "main", None, "or set HF_TOKEN if it is private", "RepositoryNotFoundError"),
    ("someone/gated", "main", None, "is gated: request access at", "GatedRepoError"),
    ("someone/closed", "main", TOKEN, "with the account your token belongs to", "GatedRepoError"),
    ("someone/model", "no-such", None, 'has no revision "no-such"', "RevisionNotFoundError"),
    ("someone/model", "main", "hf_other", "rejected the token", "HfHubHTTPError"),
]


@pytest.mark.parametrize("name,revision,token,text,kind", ERRORS)
def test_errors_say_what_to_do_and_are_those_of_the_original(server, client, other, name, revision, token, text, kind):
    server.add("someone/model", SMALL)
    server.add("someone/private", SMALL, private=True)
    server.add("someone/gated", SMALL, gated=True)
    server.add("someone/closed", SMALL, gated="refused")
    if token:
        client.variables["HF_TOKEN"] = other.variables["HF_TOKEN"] = token
    assert text in client.fails("download", name, "config.json", "--revision", revision)
    assert other.python_error(f"hub.hf_hub_download('{name}', 'config.json', revision='{revision}')") == kind


def test_a_missing_file_and_the_right_token(server, client, other):
    server.add("someone/private", SMALL, private=True)
    server.add("someone/gated", SMALL, gated=True)
    client.variables["HF_TOKEN"] = TOKEN
    for name in ("someone/private", "someone/gated"):
        assert 'has no file "absent"' in client.fails("download", name, "absent")
        assert Path(client.ok("download", name, "config.json")).exists()
    assert "was not found" in client.fails(
        "download", "someone/private", "tokenizer.json", "--revision", "other", HF_HUB_DISABLE_IMPLICIT_TOKEN="1"
    )


def test_without_a_network_the_error_comes_soon_and_says_so(client):
    begin = time.monotonic()
    error = client.fails("download", "someone/model", HF_ENDPOINT="http://127.0.0.1:9")
    assert "127.0.0.1:9 cannot be reached: connection failed (Connection refused)" in error
    error = client.fails("download", "someone/model", HF_ENDPOINT="http://no-such-host.invalid")
    assert "no-such-host.invalid cannot be reached" in error
    assert time.monotonic() - begin < 30


def test_the_token_goes_to_the_hub_alone_and_into_no_file(server, client):
    server.add("someone/private", {**SMALL, "model.safetensors": weights(50_000)}, private=True)
    client.variables["HF_TOKEN"] = TOKEN
    client.ok("download", "someone/private", "--all")
    hub = server.asked("/resolve/|/api/")
    assert hub and all(r["headers"].get("Authorization") == f"Bearer {TOKEN}" for r in hub)
    store = server.asked("/store/")
    assert store and all("Authorization" not in r["headers"] and r["host"].startswith("localhost") for r in store)
    for path in client.home.rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes()


def test_the_token_file_is_used(server, client):
    server.add("someone/private", SMALL, private=True)
    (client.home / "hf").mkdir(parents=True)
    (client.home / "hf" / "token").write_text(TOKEN + "\n")
    assert Path(client.ok("download", "someone/private", "config.json")).exists()


class Proxy(BaseHTTPRequestHandler):
    """Passes on what is not encrypted, opens tunnels for what is, and remembers both."""

    protocol_version = "HTTP/1.1"

    def is_let_in(self):
        self.server.seen.append((self.command, self.path, self.headers.get("Proxy-Authorization")))
        if self.headers.get("Proxy-Authorization") == f"Basic {base64.b64encode(b'me:secret').decode()}":
            return True
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size + 2)[:-2]
            self.rfile.readline()
        if not self.is_let_in():
            return
        target = urlsplit(self.path)
        assert target.scheme == "http" and target.netloc == self.headers["Host"]
        hops = ("proxy-authorization", "connection", "transfer-encoding", "content-length")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in hops}
        connection = http.client.HTTPConnection(target.hostname, target.port)
        path = urlunsplit(("", "", target.path, target.query, ""))
        connection.request(self.command, path, body or None, headers)
        response = connection.getresponse()
        self.send_response(response.status)
        for name, value in response.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.read())

    do_GET = do_HEAD = do_POST = do_PUT = pass_on

    def do_CONNECT(self):
        if not self.is_let_in():
            return
        host, port = self.path.split(":")
        if int(port) not in self.server.tunnels:
            self.send_error(405)
            return
        with socket.create_connection((host, int(port))) as target:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=self.copy, args=(target, self.connection), daemon=True)
            back.start()
            self.copy(self.connection, target)
            back.join()
        self.close_connection = True

    @staticmethod
    def copy(source, target):
        try:
            while part := source.recv(65536):
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy():
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        proxy.daemon_threads = True
        proxy.seen, proxy.tunnels = [], set()
        proxy.address = f"127.0.0.1:{proxy.server_address[1]}"
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


def test_a_proxy_passes_on_what_is_not_encrypted(server, client, other, proxy, tmp_path):
    content = weights(300_000)
    server.add("someone/model", {**SMALL, "model.safetensors": content}, private=True)
    for user in (client, other):
        user.variables |= {"http_proxy": f"http://me:secret@{proxy.address}", "HF_TOKEN": TOKEN}
    server.fail("/store/", "cut", after=100_000)
    assert (Path(client.ok("download", "someone/model", "--all")) / "model.safetensors").read_bytes() == content
    other.python("hub.snapshot_download('someone/model')")
    assert layout(client.cache) == layout(other.cache)
    folder = tmp_path / "upload"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(weights(50_000, 1))
    (folder / "notes.txt").write_bytes(b"text")
    client.ok("push", folder, "someone/new")
    repository = server.repositories["models", "someone/new"]
    assert repository.commits[repository.resolve("main")]["model.safetensors"] == weights(50_000, 1)
    assert proxy.seen and all(method != "CONNECT" for method, _, _ in proxy.seen)
    assert all(path.startswith((server.endpoint, server.store_endpoint)) for _, path, _ in proxy.seen)
    assert len(proxy.seen) == len(server.requests)
    assert all("Proxy-Authorization" not in r["headers"] for r in server.requests)


def test_proxies_are_used_where_they_are_wanted_and_let_us_in(server, client, proxy):
    server.add("someone/model", SMALL)
    client.ok("download", "someone/model", "tokenizer.json", http_proxy=proxy.address, no_proxy="127.0.0.1")
    assert proxy.seen == []
    error = client.fails("download", "someone/model", "config.json", http_proxy=proxy.address)
    assert "the proxy requires a user name and password" in error and len(proxy.seen) == 1
    error = client.fails("download", "someone/model", "config.json", http_proxy="http://127.0.0.1:9")
    assert "cannot be reached: connection failed (Connection refused)" in error and "the proxy settings" in error


class SocksProxy(socketserver.BaseRequestHandler):
    """SOCKS 5 with a user and a password (RFC 1928, RFC 1929), asked for names."""

    def exactly(self, count):
        return self.request.recv(count, socket.MSG_WAITALL)

    def handle(self):
        _, count = self.exactly(2)
        if 2 not in self.exactly(count):
            self.request.sendall(b"\x05\xff")
            return
        self.request.sendall(b"\x05\x02")
        user = self.exactly(self.exactly(2)[1])
        password = self.exactly(self.exactly(1)[0])
        self.request.sendall(b"\x01\x00" if (user, password) == (b"me", b"p@ss") else b"\x01\x01")
        kind = self.exactly(4)[3]
        name = self.exactly(self.exactly(1)[0]).decode() if kind == 3 else socket.inet_ntoa(self.exactly(4))
        port = int.from_bytes(self.exactly(2), "big")
        self.server.seen.append(name)
        with socket.create_connection((self.server.hosts.get(name, name), port)) as target:
            self.request.sendall(b"\x05\x00\x00\x01" + bytes(6))
            back = threading.Thread(target=Proxy.copy, args=(target, self.request), daemon=True)
            back.start()
            Proxy.copy(self.request, target)
            back.join()


def test_a_socks_proxy_lets_users_in_and_looks_up_names(server, client):
    server.add("someone/model", SMALL)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), SocksProxy) as proxy:
        proxy.daemon_threads, proxy.seen, proxy.hosts = True, [], {"hub.invalid": "127.0.0.1"}
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        address = f"127.0.0.1:{proxy.server_address[1]}"
        client.variables["HF_ENDPOINT"] = f"http://hub.invalid:{server.port}"
        good = {"all_proxy": f"socks5://me:p%40ss@{address}"}
        assert Path(client.ok("download", "someone/model", "config.json", **good)).exists()
        assert set(proxy.seen) == {"hub.invalid"}
        error = client.fails("download", "someone/model", "tokenizer.json", all_proxy=f"socks5://me:wrong@{address}")
        assert "hub.invalid" in error and "wrong" not in error
        proxy.shutdown()


def test_what_is_encrypted_goes_through_a_tunnel_and_certificates_are_checked(tmp_path, proxy):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HubServer(tls=context) as server:
        content = weights(50_000)
        server.add("someone/model", {"model.bin": content})
        client = Client(tmp_path / "ours", server.endpoint)
        error = client.fails("download", "someone/model", "model.bin")
        assert "TLS failed" in error and "SSL_CERT_FILE" in error
        assert server.requests == []
        client.variables["SSL_CERT_FILE"] = str(certificate)
        path = client.ok("download", "someone/model", "model.bin")
        assert Path(path).read_bytes() == content
        client.variables["https_proxy"] = f"http://me:secret@{proxy.address}"
        error = client.fails("download", "someone/model", "model.bin", HF_HOME=str(tmp_path / "other"))
        assert "the proxy refused to connect" in error
        proxy.tunnels.add(server.port)
        path = client.ok("download", "someone/model", "model.bin", HF_HOME=str(tmp_path / "other"))
        assert Path(path).read_bytes() == content
        assert {method for method, _, _ in proxy.seen} == {"CONNECT"}
