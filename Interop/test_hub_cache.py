"""The cache that both clients share, with and without a network."""

import json
from pathlib import Path

from hub_client import SMALL, weights
from hub_repositories import content_id


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
    assert "needs the network, which HF_HUB_OFFLINE disables" in client.fails("revisions", "someone/model", **offline)
    error = client.fails("download", "someone/model", "--revision", "step1", **offline)
    assert error == (
        "error: the revision of someone/model@step1 is not in the cache, and HF_HUB_OFFLINE disables the network: "
        "unset it to download"
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
    assert code == 1 and f"blobs/{blob.name} is corrupted" in output
    client.ok("cache", "verify", "--repair")
    client.ok("cache", "verify")
    client.ok("download", "someone/model", "--all")
    assert blob.read_bytes() == weights(30_000, 1)
    client.ok("cache", "rm", "someone/model@step1")
    assert "model someone/model@step1 is not in the cache" in client.fails("cache", "rm", "someone/model@step1")
    assert content_id(weights(20_000)) not in client.blobs() and blob.exists()
    client.ok("cache", "verify")
    client.ok("cache", "rm", "someone/model")
    assert json.loads(client.ok("cache", "ls", "--json")) == []
    for command in (["rm", "someone/model"], ["verify", "someone/model"], ["verify", "encoder-17m"]):
        assert "is not in the cache" in client.fails("cache", *command)
