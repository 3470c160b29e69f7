"""The Hub client against a server of its own, and beside the original client, huggingface_hub.

Both clients run in processes of their own against the same server (hub_server.py) and, where it says so, in the same cache.
"""

import hashlib
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hub_server import HubServer, Large, content_id

ETTIN = str(Path(os.environ.get("ETTIN_BIN_DIR", ".build/release")).resolve() / "ettin")
TOKEN = "hf_reader"
SMALL = {"config.json": b'{"model_type": "modernbert"}', "tokenizer.json": b"{}", "sub/notes.txt": b"hi\n"}


@pytest.fixture
def server():
    with HubServer() as server:
        yield server


class Client:
    """A process environment with one cache."""

    def __init__(self, folder, endpoint, **variables):
        self.home = Path(folder)
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": endpoint,
            "HF_HUB_DOWNLOAD_TIMEOUT": "2",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            **variables,
        }
        self.cache = self.home / "hf" / "hub"

    def start(self, *arguments, **variables):
        return subprocess.Popen(
            [ETTIN, *map(str, arguments)],
            env={**self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, **variables):
        process = self.start(*arguments, **variables)
        output, errors = process.communicate(timeout=100)
        for text in (output, errors):
            assert TOKEN not in text and "hf_other" not in text
        return process.returncode, output, errors

    def ok(self, *arguments, **variables):
        code, output, errors = self.run(*arguments, **variables)
        assert code == 0, errors
        return output.strip()

    def fails(self, *arguments, **variables):
        code, output, errors = self.run(*arguments, **variables)
        assert code == 1 and output == "", (code, output, errors)
        return [line for line in errors.splitlines() if line.startswith("error: ")][0]

    def start_python(self, code, **variables):
        return subprocess.Popen(
            [sys.executable, "-c", "import huggingface_hub as hub\n" + code],
            env={**self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def python(self, code, **variables):
        process = self.start_python(code, **variables)
        output, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
        return output.strip()

    def python_error(self, call):
        """The name of the exception of huggingface_hub, or of its cause."""
        code = (
            f"try:\n    {call}\nexcept Exception as e:\n"
            "    while type(e).__name__ == 'LocalEntryNotFoundError' and e.__cause__: e = e.__cause__\n"
            "    print(type(e).__name__)"
        )
        return self.python(code)

    def blobs(self, name="models--someone--model"):
        folder = self.cache / name / "blobs"
        return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def client(tmp_path, server):
    return Client(tmp_path / "ours", server.endpoint)


@pytest.fixture
def other(tmp_path, server):
    return Client(tmp_path / "theirs", server.endpoint)


def layout(cache):
    """Everything that both clients must agree on: folders, contents, and where links lead."""
    found = {}
    for path in sorted(Path(cache).rglob("*")):
        name = str(path.relative_to(cache))
        if "/trees" in name or name.startswith("CACHEDIR") or path.is_dir():
            continue
        found[name] = os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def weights(size, seed=0):
    return Large(random.Random(seed).randbytes(size))


# Downloads


def test_both_clients_fill_the_cache_alike(server, client, other):
    repository = server.add("someone/model", {**SMALL, "model.safetensors": weights(300_000)})
    repository.tags["step10"] = repository.commit({**SMALL, "model.safetensors": weights(300_000, 1)}, branch="x/y")
    repository.branches["main"] = repository.resolve("step10")
    server.store.update({content_id(c): c for files in repository.commits.values() for c in files.values() if isinstance(c, Large)})
    for revision in ("main", "step10", "x/y"):
        folder = client.ok("download", "someone/model", "--all", "--revision", revision)
        assert folder == str(client.cache / "models--someone--model" / "snapshots" / repository.resolve(revision))
        other.python(f"hub.snapshot_download('someone/model', revision='{revision}')")
    client.fails("download", "someone/model", "absent.json")
    other.python_error("hub.hf_hub_download('someone/model', 'absent.json')")
    assert layout(client.cache) == layout(other.cache)
    assert any("/.no_exist/" in name for name in layout(client.cache))


def test_a_download_cut_at_random_places_goes_on_there(server, client):
    content = weights(2_000_000)
    server.add("someone/model", {"model.bin": content})
    places = random.Random(7)
    for _ in range(4):
        server.fail("/store/", "cut", after=places.randrange(1, 400_000))
    path = client.ok("download", "someone/model", "model.bin")
    assert Path(path).read_bytes() == content
    gets = server.asked("/store/", "GET")
    assert len(gets) == 5 and all(g["headers"].get("Range") for g in gets[1:])


def test_a_killed_download_is_resumed_by_the_next_process(server, client):
    content = weights(1_000_000)
    server.add("someone/model", {"model.bin": content})
    server.fail("/store/", "drip", bytes=50_000, seconds=0.1)
    process = client.start("download", "someone/model", "model.bin")
    partial = client.cache / "models--someone--model" / "blobs" / f"{content_id(content)}.incomplete"
    while not partial.exists() or partial.stat().st_size < 100_000:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = partial.stat().st_size
    assert Path(client.ok("download", "someone/model", "model.bin")).read_bytes() == content
    start = int(server.asked("/store/", "GET")[-1]["headers"]["Range"].removeprefix("bytes=").removesuffix("-"))
    assert start == kept >= 100_000
    assert not partial.exists()


def test_a_server_that_ignores_ranges_is_read_from_the_start(server, client):
    content = weights(500_000)
    server.add("someone/model", {"model.bin": content})
    server.fail("/store/", "cut", after=200_000)
    server.fail("/store/", "ignore_range")
    assert Path(client.ok("download", "someone/model", "model.bin")).read_bytes() == content


def test_a_wrong_checksum_is_fetched_again_once_and_never_kept(server, client):
    content = weights(100_000)
    server.add("someone/model", {"model.bin": content, "small.txt": b"text"})
    server.fail("/store/", "corrupt")
    assert Path(client.ok("download", "someone/model", "model.bin")).read_bytes() == content
    server.fail("small.txt", "corrupt", times=9, method="GET")
    assert "arrived damaged" in client.fails("download", "someone/model", "small.txt")
    assert client.blobs() == [content_id(content)]


def test_a_slow_drip_is_waited_for_and_a_standstill_is_not(server, client):
    content = weights(40_000)
    server.add("someone/model", {"model.bin": content})
    server.fail("/store/", "stall", after=1000, seconds=30)
    server.fail("/store/", "drip", bytes=10_000, seconds=0.6)
    begin = time.monotonic()
    path = client.ok("download", "someone/model", "model.bin", HF_HUB_DOWNLOAD_TIMEOUT="1")
    assert Path(path).read_bytes() == content
    # 1 s without a byte, a pause, then 4 drops that together take longer than the limit.
    assert 3 < time.monotonic() - begin < 20


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_failures_are_waited_out_as_the_server_asks(server, client, status):
    content = weights(10_000)
    server.add("someone/model", {"model.bin": content})
    server.fail("/resolve/", "status", method="HEAD", status=status, headers={"Retry-After": "1"})
    server.fail("/store/", "status", status=status, headers={"Retry-After": "1"})
    begin = time.monotonic()
    code, output, errors = client.run("download", "someone/model", "model.bin")
    assert code == 0 and Path(output.strip()).read_bytes() == content
    assert time.monotonic() - begin >= 2
    assert errors.count(f"HTTP status {status}; trying again in 1.0 s") == 2


def test_a_failure_that_does_not_pass_is_an_error(server, client):
    server.add("someone/model", SMALL)
    server.fail("/revision/", "status", times=99, status=503, headers={"Retry-After": "0"})
    assert "failed with HTTP status 503" in client.fails("download", "someone/model")
    server.faults.clear()
    server.fail("/revision/", "status", times=99, status=429, headers={"Retry-After": "100000"})
    assert "failed with HTTP status 429" in client.fails("download", "someone/model")


def test_lost_connections_are_opened_again(server, client):
    server.add("someone/model", SMALL)
    server.fail("/revision/", "drop")
    server.fail("config.json", "drop", method="HEAD")
    server.fail("config.json", "drop", method="GET")
    path = client.ok("download", "someone/model", "--include", "config.json")
    assert (Path(path) / "config.json").read_bytes() == SMALL["config.json"]


ERRORS = [
    ("no/such", "main", None, "does not exist on the Hub, or it is private: check the name", "RepositoryNotFoundError"),
    ("no/such", "main", TOKEN, "and the token does not open it", "RepositoryNotFoundError"),
    ("someone/private", "main", None, "or set HF_TOKEN if it is private", "RepositoryNotFoundError"),
    ("someone/gated", "main", None, "is gated: ask for access at", "GatedRepoError"),
    ("someone/closed", "main", TOKEN, "with the account of your token", "GatedRepoError"),
    ("someone/model", "no-such", None, 'has no revision "no-such"', "RevisionNotFoundError"),
    ("someone/model", "main", "hf_other", "does not accept the token", "HfHubHTTPError"),
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
    assert "does not exist" in client.fails(
        "download", "someone/private", "tokenizer.json", "--revision", "other", HF_HUB_DISABLE_IMPLICIT_TOKEN="1"
    )


def test_without_a_network_the_error_comes_soon_and_says_so(client):
    begin = time.monotonic()
    error = client.fails("download", "someone/model", HF_ENDPOINT="http://127.0.0.1:9")
    assert "127.0.0.1:9 cannot be reached: no connection (Connection refused)" in error
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


def test_many_processes_of_both_clients_download_a_file_once(server, client):
    content = weights(3_000_000)
    server.add("someone/model", {"model.bin": content})
    server.fail("/store/", "drip", times=99, bytes=200_000, seconds=0.1)
    ours = [client.start("download", "someone/model", "model.bin") for _ in range(4)]
    theirs = [client.start_python("print(hub.hf_hub_download('someone/model', 'model.bin'))") for _ in range(2)]
    paths = set()
    for process in ours + theirs:
        output, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
        paths.add(output.strip())
    assert len(paths) == 1 and Path(paths.pop()).read_bytes() == content
    assert len(server.asked("/store/", "GET")) == 1
    assert client.blobs() == [content_id(content)]


@pytest.mark.parametrize("name", ["../../../evil", "/tmp/evil", "a/../../evil", "a\\..\\evil", "C:evil"])
def test_a_file_name_that_leaves_the_folder_is_refused(server, client, name):
    server.add("someone/model", {**SMALL, name: b"evil"})
    assert "does not stay inside its folder; it is refused" in client.fails("download", "someone/model", "--all")
    assert "it is refused" in client.fails("download", "someone/model", name)
    assert not list(client.home.rglob("*evil*")) and not Path("/tmp/evil").exists()


def test_an_index_that_leaves_the_folder_is_refused(server, client):
    index = json.dumps({"weight_map": {"x": "../../evil.safetensors"}}).encode()
    server.add("someone/model", {**SMALL, "model.safetensors.index.json": index})
    assert "it is refused" in client.fails("download", "someone/model")


def test_only_what_a_model_needs_is_downloaded(server, client):
    shards = {f"model-0000{n}-of-00002.safetensors": weights(10_000, n) for n in (1, 2)}
    index = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})
    server.add(
        "someone/model",
        {
            **SMALL,
            **shards,
            "model.safetensors.index.json": index.encode(),
            "pytorch_model.bin": weights(9999),
            "README.md": b"# x",
            "model-00003-of-00009.safetensors": weights(10_000, 9),
        },
    )
    folder = Path(client.ok("download", "someone/model"))
    got = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())
    assert got == sorted(["config.json", "tokenizer.json", "model.safetensors.index.json", *shards])
    server.requests.clear()
    assert client.ok("download", "someone/model") == str(folder)
    assert [r["path"] for r in server.requests] == ["/api/models/someone/model/revision/main"]
    server.add("someone/empty", {"README.md": b""})
    assert "it has no config.json" in client.fails("download", "someone/empty")


def test_a_renamed_repository_is_found(server, client):
    server.add("someone/new", {**SMALL, "model.safetensors": weights(5000)})
    server.renamed[("models", "someone/old")] = "someone/new"
    folder = client.ok("download", "someone/old")
    assert (Path(folder) / "model.safetensors").exists()


# The cache


def test_offline_serves_what_either_client_cached(server, client, other):
    server.add("someone/model", {**SMALL, "model.safetensors": weights(20_000)})
    folder = client.ok("download", "someone/model")
    other.python("hub.snapshot_download('someone/model')")
    server.shutdown()
    offline = {"HF_HUB_OFFLINE": "1"}
    assert client.ok("download", "someone/model", **offline) == folder
    assert Path(other.ok("download", "someone/model", **offline)).is_relative_to(other.cache)
    assert Path(other.ok("download", "someone/model", "sub/notes.txt", **offline)).read_bytes() == b"hi\n"
    assert client.python("print(hub.snapshot_download('someone/model'))", **offline) == folder
    assert client.python("print(hub.hf_hub_download('someone/model', 'config.json'))", **offline) == f"{folder}/config.json"
    error = client.fails("download", "someone/model", "--revision", "step1", **offline)
    assert error == (
        "error: the revision of someone/model@step1 is not in the cache, and HF_HUB_OFFLINE forbids the network: "
        "unset it once to download"
    )
    assert "sub/notes.txt of someone/model is not in the cache" in client.fails(
        "download", "someone/model", "sub/notes.txt", TRANSFORMERS_OFFLINE="1"
    )


def test_without_a_network_the_cache_stands_in_with_a_notice(server, client):
    server.add("someone/model", {**SMALL, "model.safetensors": weights(20_000)})
    folder = client.ok("download", "someone/model")
    code, output, errors = client.run("download", "someone/model", HF_ENDPOINT="http://127.0.0.1:9")
    assert code == 0 and output.strip() == folder and "using someone/model from the cache" in errors
    commit = Path(folder).name
    server.requests.clear()
    assert client.ok("download", "someone/model", "--revision", commit) == folder
    assert client.ok("download", "someone/model", "config.json", "--revision", commit) == f"{folder}/config.json"
    assert server.requests == []


def test_an_incomplete_model_is_not_served_offline(server, client):
    server.add("someone/model", {**SMALL, "model.safetensors": weights(20_000)})
    client.ok("download", "someone/model", "config.json")
    assert "a file with weights of someone/model is not in the cache" in client.fails(
        "download", "someone/model", HF_HUB_OFFLINE="1"
    )


def test_without_links_the_snapshot_holds_the_files(server, client):
    server.add("someone/model", {**SMALL, "model.safetensors": weights(20_000)})
    folder = Path(client.ok("download", "someone/model", HF_HUB_DISABLE_SYMLINKS="1"))
    assert not (folder / "config.json").is_symlink() and (folder / "model.safetensors").stat().st_size == 20_000
    assert client.python("print(hub.snapshot_download('someone/model'))", HF_HUB_OFFLINE="1") == str(folder)


def test_the_cache_is_listed_checked_and_emptied(server, client):
    repository = server.add("someone/model", {**SMALL, "model.safetensors": weights(20_000)})
    first = repository.resolve("main")
    client.ok("download", "someone/model", "--all")
    repository.tags["step1"] = first
    client.python("hub.snapshot_download('someone/model', revision='step1')")
    server.add("someone/model", {**SMALL, "model.safetensors": weights(30_000, 1)})
    client.ok("download", "someone/model", "--all")
    listed = json.loads(client.ok("cache", "ls", "--json"))
    scanned = json.loads(
        client.python(
            "import json; i = hub.scan_cache_dir()\n"
            "print(json.dumps([[r.repo_id, r.size_on_disk, sorted([v.commit_hash, sorted(v.refs), v.nb_files, "
            "v.size_on_disk] for v in r.revisions)] for r in i.repos]))"
        )
    )
    ours = [
        [
            r["repository"],
            r["bytes"],
            sorted([v["commit"], v["names"], len(v["files"]), v["bytes"]] for v in r["revisions"]),
        ]
        for r in listed
    ]
    assert ours == scanned
    client.ok("cache", "verify")
    blob = client.cache / "models--someone--model" / "blobs" / content_id(weights(30_000, 1))
    blob.write_bytes(b"x" * 30_000)
    code, output, _ = client.run("cache", "verify")
    assert code == 1 and f"blobs/{blob.name} is damaged" in output
    client.ok("cache", "verify", "--repair")
    client.ok("cache", "verify")
    client.ok("download", "someone/model", "--all")
    assert blob.read_bytes() == weights(30_000, 1)
    client.ok("cache", "rm", "someone/model@step1")
    assert content_id(weights(20_000)) not in client.blobs() and blob.exists()
    client.ok("cache", "verify")
    client.ok("cache", "rm", "someone/model")
    assert json.loads(client.ok("cache", "ls", "--json")) == []


# Models by name


def make_model(client, folder, kind="encoder", seed=1):
    """A tiny model with random weights, made by the command itself."""
    tokenizer = folder.parent / "tokenizer"
    if not tokenizer.exists():
        corpus = folder.parent / "corpus.txt"
        corpus.write_text("The capital of France is Paris.\n" * 20)
        client.ok("tokenizer", "train", corpus, "--vocab-size", "300", "-o", tokenizer)
    shape = ["--layers", "2", "--hidden-size", "32", "--intermediate-size", "48", "--heads", "2"]
    client.ok("init", folder, "--size", "17m", "--kind", kind, "--tokenizer", tokenizer, "--seed", seed, *shape)


def test_a_model_is_used_by_name_and_revision(server, client, tmp_path):
    for seed in ("1", "2"):
        make_model(client, tmp_path / seed, seed=seed)
    client.variables["HF_TOKEN"] = TOKEN
    client.ok("push", tmp_path / "1", "jhu-clsp/ettin-encoder-17m", "--tag", "step10")
    client.ok("push", tmp_path / "2", "jhu-clsp/ettin-encoder-17m")
    tagged = client.ok("embed", "jhu-clsp/ettin-encoder-17m", "a text", "--revision", "step10")
    assert tagged == client.ok("embed", tmp_path / "1", "a text")
    assert client.ok("embed", "ettin-encoder-17m@step10", "a text", HF_HUB_OFFLINE="1") == tagged
    final = client.ok("embed", "encoder-17m", "a text")
    assert final == client.ok("embed", tmp_path / "2", "a text") != tagged
    assert client.ok("info", "jhu-clsp/ettin-encoder-17m").startswith("kind         encoder")
    assert client.ok("tokenize", "jhu-clsp/ettin-encoder-17m", "a text")
    for revision, folder in [("step10", tmp_path / "1"), ("main", tmp_path / "2")]:
        output = tmp_path / f"decoder-{revision}"
        client.ok("convert", "encoder-17m", output, "--to", "decoder", "--revision", revision)
        client.ok("convert", folder, tmp_path / f"by-folder-{revision}", "--to", "decoder")
        both = [output / "model.safetensors", tmp_path / f"by-folder-{revision}" / "model.safetensors"]
        assert both[0].read_bytes() == both[1].read_bytes()
        assert "base_model: jhu-clsp/ettin-encoder-17m\n" in (output / "README.md").read_text()
    client.ok("average", "encoder-17m@step10", "encoder-17m@main", "--output", tmp_path / "mean")
    assert client.ok("embed", tmp_path / "mean", "a text") not in (tagged, final)
    error = client.fails("embed", "nothing-of-this-name", "a text")
    assert "no folder has this name, and a model on the Hub has the form owner/name" in error


def test_a_model_cached_by_either_side_loads_offline_in_the_other(server, client, other, tmp_path):
    pytest.importorskip("transformers")
    make_model(client, tmp_path / "model")
    files = {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()}
    files["model.safetensors"] = Large(files["model.safetensors"])
    server.add("someone/model", files)
    load = (
        "import transformers as t\n"
        "tokenizer = t.AutoTokenizer.from_pretrained('someone/model')\n"
        "model = t.AutoModelForMaskedLM.from_pretrained('someone/model')\n"
        "print(tokenizer('a text')['input_ids'], model.config.hidden_size)"
    )
    theirs = other.python(load)
    client.ok("download", "someone/model")
    server.shutdown()
    offline = {"HF_HUB_OFFLINE": "1"}
    assert other.ok("embed", "someone/model", "a text", **offline) == client.ok("embed", tmp_path / "model", "a text")
    assert client.python(load, **offline) == theirs


# Lists


def test_revisions_come_in_training_order(server, client):
    repository = server.add("jhu-clsp/ettin-encoder-17m", SMALL)
    for name in ("decay100", "step599525", "v1", "ext1000", "step2999", "step140884"):
        repository.tags[name] = repository.commit(SMALL, branch="scratch")
    del repository.branches["scratch"]
    lines = [line.split() for line in client.ok("revisions", "jhu-clsp/ettin-encoder-17m").splitlines()]
    names = ["step2999", "step140884", "step599525", "ext1000", "decay100", "v1", "main"]
    assert [line[0] for line in lines] == names
    assert [line[-1] for line in lines] == [repository.resolve(name) for name in names]
    described = json.loads(client.ok("revisions", "ettin-encoder-17m", "--json"))
    assert described[3] == {
        "name": "ext1000", "kind": "tag", "phase": "ext", "step": 1000, "commit": repository.resolve("ext1000"),
    }


def test_data_sets_are_listed_downloaded_and_streamed(server, client):
    parts = {f"sst2/train/000{n}.parquet": weights(6000, n) for n in range(5)}
    converted = {**parts, "sst2/validation/0000.parquet": weights(5000, 9), "cola/partial-train/0000.parquet": weights(4100, 8)}
    own = {"data/train-00000-of-00001.jsonl": b'{"a": 1}\n', "dev.jsonl": b'{"a": 2}\n', "README.md": b"# x"}
    repository = server.add("owner/set", own, kind="datasets")
    repository.converts["refs/convert/parquet"] = repository.commit(converted, branch="scratch")
    server.store.update({content_id(c): c for c in converted.values()})
    listed = json.loads(client.ok("data", "fetch", "owner/set", "--json"))
    assert [(s["config"], s["split"], len(s["files"]), s["partial"]) for s in listed] == [
        ("cola", "train", 1, True), ("sst2", "train", 5, False), ("sst2", "validation", 1, False),
    ]
    chosen = ["data", "fetch", "owner/set", "--config", "sst2", "--split", "train"]
    paths = client.ok(*chosen, "--download").splitlines()
    assert [Path(p).read_bytes() for p in paths] == list(parts.values())
    server.fail("/store/", "cut", after=1234)
    process = subprocess.run([ETTIN, *chosen, "--stream"], env=client.variables, capture_output=True)
    assert process.returncode == 0 and process.stdout == b"".join(parts.values())
    error = client.fails("data", "fetch", "owner/set", "--config", "sst2", "--split", "test")
    assert error.endswith('has no split "test" in configuration "sst2"; it has "train", "validation"')
    assert 'it has "cola", "sst2"' in client.fails("data", "fetch", "owner/set", "--split", "train")
    listed = json.loads(client.ok("data", "fetch", "owner/set", "--original", "--json"))
    assert [(s["config"], s["split"]) for s in listed] == [("default", "train"), ("default", "validation")]


# Uploads


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "upload"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.txt").write_bytes(b"small\n")
    (folder / "empty").write_bytes(b"")
    (folder / "sub" / "model.safetensors").write_bytes(weights(100_000))
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_bytes(b"x")
    return folder


def uploaded(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and ".git" not in p.parts
    }


@pytest.mark.parametrize("part_size", [None, 30_000])
def test_small_and_large_files_are_uploaded_in_spite_of_failures(server, client, other, folder, part_size):
    server.part_size = part_size
    client.variables["HF_TOKEN"] = TOKEN
    now = {"Retry-After": "0"}
    server.fail("/api/repos/create", "status", status=500, headers=now)
    server.fail("/preupload/", "drop")
    server.fail("/objects/batch", "status", status=429, headers=now)
    server.fail("/part/|/upload/", "status", status=503, headers=now)
    server.fail("/part/|/upload/", "drop")
    server.fail("/verify/", "status", status=502, headers=now)
    server.fail("/commit/", "status", status=503, headers=now)
    server.fail("/commit/", "drop")
    address = client.ok("push", folder, "someone/new", "--private", "--message", "A title")
    repository = server.repositories["models", "someone/new"]
    assert repository.private and address.endswith(f"/someone/new/commit/{repository.resolve('main')}")
    there = dict(repository.commits[repository.resolve("main")])
    del there[".gitattributes"]
    assert there == uploaded(folder)
    assert repository.messages[repository.resolve("main")] == "A title" and len(repository.commits) == 2
    got = Path(other.python("print(hub.snapshot_download('someone/new'))", HF_TOKEN=TOKEN))
    assert (got / "sub" / "model.safetensors").read_bytes() == weights(100_000)
    assert all("Authorization" not in r["headers"] for r in server.asked("/part/|/upload/"))


def test_a_commit_whose_answer_was_lost_is_not_made_twice(server, client, folder):
    client.variables["HF_TOKEN"] = TOKEN
    server.lose_answer = True
    client.ok("push", folder, "someone/new")
    repository = server.repositories["models", "someone/new"]
    assert len(repository.commits) == 2 and len(server.asked("/commit/", "POST")) == 1


def test_what_the_hub_has_is_not_sent_again(server, client, folder):
    client.variables["HF_TOKEN"] = TOKEN
    client.ok("push", folder, "someone/new")
    (folder / "config.txt").write_bytes(b"changed\n")
    server.requests.clear()
    result = json.loads(client.ok("push", folder, "someone/new", "--revision", "side", "--tag", "step1", "--json"))
    assert {f["path"]: f["mode"] for f in result["files"]} == {
        "config.txt": "regular", "empty": "unchanged", "sub/model.safetensors": "unchanged",
    }
    assert not server.asked("/upload/|/objects/batch")
    repository = server.repositories["models", "someone/new"]
    assert repository.branches["side"] == repository.tags["step1"] == result["commit"] != repository.branches["main"]
    before = len(repository.commits)
    result = json.loads(client.ok("push", folder, "someone/new", "--revision", "side", "--json"))
    assert result["commit"] == repository.branches["side"] and len(repository.commits) == before


def test_a_dry_run_changes_nothing(server, client, folder):
    client.variables["HF_TOKEN"] = TOKEN
    code, output, errors = client.run("push", folder, "someone/new", "--dry-run")
    assert code == 0 and "would create model someone/new" in errors
    assert [line.split() for line in output.splitlines()] == [
        ["regular", "6", "config.txt"], ["regular", "0", "empty"], ["large", "100000", "sub/model.safetensors"],
    ]
    assert not server.repositories and not server.store


def test_uploads_that_cannot_be_are_refused_in_words(server, client, folder, tmp_path):
    assert "no token is set" in client.fails("push", folder, "someone/new")
    assert "does not accept the token" in client.fails("push", folder, "someone/new", HF_TOKEN="hf_other")
    client.variables["HF_TOKEN"] = TOKEN
    (tmp_path / "nothing").mkdir()
    assert "holds no file to upload" in client.fails("push", tmp_path / "nothing", "someone/new")
    assert "it is not a folder" in client.fails("push", tmp_path / "absent", "someone/new")
    server.fail("/api/repos/create", "status", status=403)
    assert "creating model someone/new is not permitted to this token" in client.fails("push", folder, "someone/new")
    assert not server.repositories


def test_the_original_uploads_to_the_same_server(server, other, folder):
    other.variables["HF_TOKEN"] = TOKEN
    server.part_size = 30_000
    other.python(
        f"hub.create_repo('someone/new', private=True)\nhub.upload_folder(repo_id='someone/new', folder_path='{folder}')"
    )
    repository = server.repositories["models", "someone/new"]
    there = dict(repository.commits[repository.resolve("main")])
    del there[".gitattributes"]
    assert there == uploaded(folder)


def test_a_model_without_a_card_gets_one_that_the_original_reads(server, client, other, tmp_path):
    make_model(client, tmp_path / "m", "decoder")
    client.ok("push", tmp_path / "m", "someone/no", HF_TOKEN=TOKEN)
    card = json.loads(
        other.python("import json; c = hub.ModelCard.load('someone/no'); print(json.dumps([c.data.to_dict(), c.text]))")
    )
    assert card[0] == {
        "license": "mit", "language": ["en"], "library_name": "transformers", "pipeline_tag": "text-generation",
    }
    assert "# no\n" in card[1] and "ettin generate someone/no" in card[1]
    assert not (tmp_path / "m" / "README.md").exists()


# The way there


class Proxy(BaseHTTPRequestHandler):
    """Opens tunnels, and remembers where to."""

    def do_CONNECT(self):
        self.server.seen.append((self.path, self.headers.get("Proxy-Authorization")))
        host, port = self.path.split(":")
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


def test_proxies_are_used_except_where_they_are_not_wanted(server, client):
    server.add("someone/model", SMALL)
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        proxy.daemon_threads = True
        proxy.seen = []
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{proxy.server_address[1]}"
        client.ok("download", "someone/model", "config.json", http_proxy=f"http://me:secret@{address}")
        target = server.endpoint.removeprefix("http://")
        assert proxy.seen and set(proxy.seen) == {(target, "Basic bWU6c2VjcmV0")}
        proxy.seen.clear()
        client.ok("download", "someone/model", "tokenizer.json", http_proxy=address, no_proxy="127.0.0.1")
        assert proxy.seen == []
        proxy.shutdown()


def test_certificates_are_checked(tmp_path):
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
        assert "TLS is not possible" in error and "SSL_CERT_FILE" in error
        assert server.requests == []
        path = client.ok("download", "someone/model", "model.bin", SSL_CERT_FILE=str(certificate))
        assert Path(path).read_bytes() == content
