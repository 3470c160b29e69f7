"""Models, their intermediate checkpoints and data sets by name."""

import json
import subprocess
from pathlib import Path

import pytest
from hub_client import ETTIN, SMALL, TOKEN, make_model, weights
from hub_repositories import Large, content_id


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
    assert client.ok("info", "jhu-clsp/ettin-encoder-17m").startswith("kind         masked-lm")
    assert client.ok("tokenize", "jhu-clsp/ettin-encoder-17m", "a text")
    for revision, folder in [("step10", tmp_path / "1"), ("main", tmp_path / "2")]:
        output = tmp_path / f"decoder-{revision}"
        client.ok("convert", "encoder-17m", output, "--to", "decoder", "--revision", revision)
        client.ok("convert", folder, tmp_path / f"by-folder-{revision}", "--to", "decoder")
        both = [output / "model.safetensors", tmp_path / f"by-folder-{revision}" / "model.safetensors"]
        assert both[0].read_bytes() == both[1].read_bytes()
        card = (output / "README.md").read_text()
        assert "license: mit\n" in card and "base_model: jhu-clsp/ettin-encoder-17m\n" in card
        assert "license" not in (tmp_path / f"by-folder-{revision}" / "README.md").read_text()
    client.ok("average", "encoder-17m@step10", "encoder-17m@main", "--output", tmp_path / "mean")
    assert client.ok("embed", tmp_path / "mean", "a text") not in (tagged, final)
    error = client.fails("embed", "nothing-of-this-name", "a text")
    assert "there is no such folder, and models on the Hub are named owner/name" in error


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
    assert error.endswith('has no split "test" in configuration "sst2"; available: "train", "validation"')
    assert 'available: "cola", "sst2"' in client.fails("data", "fetch", "owner/set", "--split", "train")
    listed = json.loads(client.ok("data", "fetch", "owner/set", "--original", "--json"))
    assert [(s["config"], s["split"]) for s in listed] == [("default", "train"), ("default", "validation")]
