"""Uploads, and the cards of models."""

import json
from pathlib import Path

import pytest
from hub_client import TOKEN, make_model, weights
from tiny_runs import Run, ettin, make_place


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "upload"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.txt").write_bytes(b"small\n")
    (folder / "empty").write_bytes(b"")
    (folder / "sub" / "model.safetensors").write_bytes(weights(100_000))
    (folder / "latest").symlink_to("sub")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_bytes(b"x")
    return folder


def uploaded(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and not {".git", "latest"} & set(p.parts)
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
    result = json.loads(client.ok("push", folder, "someone/new", "--revision", "side", "--tag", "step1", "--json"))
    assert result["commit"] == repository.branches["side"] and len(repository.commits) == before
    error = client.fails("push", folder, "someone/new", "--tag", "step1")
    assert f'creating the tag "step1"' in error and f"points to commit {repository.tags['step1']}" in error


def test_a_dry_run_changes_nothing(server, client, folder):
    client.variables["HF_TOKEN"] = TOKEN
    code, output, errors = client.run("push", folder, "someone/new", "--dry-run")
    assert code == 0 and "would create model someone/new" in errors
    assert [line.split() for line in output.splitlines()] == [
        ["regular", "6", "config.txt"], ["regular", "0", "empty"], ["large", "100000", "sub/model.safetensors"],
    ]
    assert not server.repositories and not server.store


def test_uploads_that_cannot_be_are_refused_in_words(server, client, folder, tmp_path):
    assert "no token; set HF_TOKEN" in client.fails("push", folder, "someone/new")
    assert "rejected the token" in client.fails("push", folder, "someone/new", HF_TOKEN="hf_other")
    client.variables["HF_TOKEN"] = TOKEN
    (tmp_path / "nothing").mkdir()
    assert "has no files to upload" in client.fails("push", tmp_path / "nothing", "someone/new")
    assert "it is not a folder" in client.fails("push", tmp_path / "absent", "someone/new")
    server.fail("/api/repos/create", "status", status=403)
    assert "the token lacks the permission for creating model someone/new" in client.fails("push", folder, "someone/new")
    (folder / "README.md").write_text("---\nbase_model: no such name\n---\n")
    error = client.fails("push", folder, "someone/new", "--dry-run")
    assert error.endswith('the metadata of README.md: "base_model" with value "no such name" is not valid')
    assert not server.repositories and not server.store


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
    assert card[0] == {"library_name": "transformers", "pipeline_tag": "text-generation"}
    assert "# no\n" in card[1] and "ettin generate someone/no" in card[1]
    assert not (tmp_path / "m" / "README.md").exists()


def test_the_card_of_a_training_run_is_kept_and_the_original_reads_its_figures(server, client, other, tmp_path):
    run = Run(make_place(tmp_path), "pair", "max_duration=20ba", "run_name=Small ones")
    ettin(*run.command, cwd=run.folder)
    for kind, task in [("encoder", "fill-mask"), ("decoder", "text-generation")]:
        folder = run.folder / "run" / kind
        text = (folder / "latest" / "README.md").read_text()
        last = {k: v for line in (folder / "metrics.jsonl").read_text().splitlines() for k, v in json.loads(line).items()}
        figures = {k.removeprefix("metrics/eval/"): v for k, v in last.items() if k.startswith("metrics/eval/")}
        name = f"someone/{kind}"
        client.ok("push", folder / "latest", name, "--exclude", "*optim*", "--exclude", "trainer_state.json", HF_TOKEN=TOKEN)
        repository = server.repositories["models", name]
        files = repository.commits[repository.resolve("main")]
        assert files["README.md"].decode() == text and "optimizer.safetensors" not in files
        card = json.loads(
            other.python(
                f"import json; d = hub.ModelCard.load('{name}').data\n"
                "print(json.dumps([d.pipeline_tag, d.model_name, [[e.task_type, e.dataset_type, e.metric_type, "
                "e.metric_value] for e in d.eval_results], d.license]))"
            )
        )
        results = [[task, "held-out-part-of-the-training-data", *figure] for figure in figures.items()]
        assert figures and card == [task, "Small ones", results, None]
        for row in ("start | new weights", "data | data/train", "seed | 5", "length | 20ba"):
            assert row in text, text
        assert ("mask probability | 0.3" in text) == (kind == "encoder")
        average = (folder / "ema" / "README.md").read_text()
        assert "exponential moving average" in average and "model-index" not in average
