"""Downloads: complete, cut, damaged, slow, refused, at once."""

import json
import random
import signal
import time
from pathlib import Path

import pytest
from hub_client import SMALL, layout, weights
from hub_repositories import Large, content_id


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
    assert "was corrupted in transit" in client.fails("download", "someone/model", "small.txt")
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
    assert errors.count(f"HTTP status {status}; retrying in 1.0 s") == 2


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
    assert "whose path leads outside the repository's folder; refused" in client.fails("download", "someone/model", "--all")
    assert "refused" in client.fails("download", "someone/model", name)
    assert not list(client.home.rglob("*evil*")) and not Path("/tmp/evil").exists()


def test_an_index_that_leaves_the_folder_is_refused(server, client):
    index = json.dumps({"weight_map": {"x": "../../evil.safetensors"}}).encode()
    server.add("someone/model", {**SMALL, "model.safetensors.index.json": index})
    assert "refused" in client.fails("download", "someone/model")


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
