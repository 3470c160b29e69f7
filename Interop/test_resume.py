"""Training that is stopped in every way there is and goes on to the same bits; pairs proved to have seen the same data.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR, and nothing else than pytest.
"""

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tiny_runs import ETTIN, KINDS, Run, data_set, ettin, expect_same_run, make_place, metrics, state, wait, words


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return make_place(tmp_path_factory.mktemp("resume"))


@pytest.fixture(scope="module")
def uninterrupted(place):
    """Both halves in lockstep from start to end."""
    run = Run(place, "uninterrupted")
    run.to_the_end()
    assert run.batches() == 300 and not run.leftovers()
    for index, folder in enumerate(run.folders):
        assert run.checkpoints(index) == ["step260", "step280", "step300"]
        losses = [line["loss/train/total"] for line in metrics(folder) if "loss/train/total" in line]
        assert len(losses) == 300 and losses[-1] < losses[0] - 1
        sizes = [json.loads(line)["samples"] for line in (folder / "ledger.jsonl").read_text().splitlines()]
        assert sizes[0] == 4 and sizes[-1] == 8 and sizes == sorted(sizes)
    return run


# --- Killed -----------------------------------------------------------------------------------------------------------


def test_a_pair_that_is_killed_ten_times_ends_in_the_same_bits(place, uninterrupted):
    rng = random.Random(11)
    run = Run(place, "killed")
    torn = 0
    for count, batch in enumerate(sorted(rng.sample(range(1, 299), 10))):
        # The number of workers changes nothing either.
        process = run.begin(f"train_loader.num_workers={(0, 1, 3)[count % 3]}")
        # Once it has opened its files, the ledger is that of its checkpoint.
        wait(process, lambda: run.event_files(1) > count)
        wait(process, lambda: run.batches() >= batch)
        if count % 2:
            wait(process, run.is_saving)
        else:
            time.sleep(rng.uniform(0, 0.02))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.communicate()
        torn += bool(run.leftovers())
    assert torn > 0, "no kill hit a checkpoint that was being written"
    run.to_the_end("train_loader.num_workers=3")
    assert not run.leftovers()
    for first, second in zip(uninterrupted.folders, run.folders):
        expect_same_run(first, second)
    assert run.event_files(0) == run.event_files(1) == 11


@pytest.mark.slow
def test_a_run_that_is_killed_ten_times_ends_in_the_same_bits(place, uninterrupted):
    """A single run on two threads, killed at any moment, while it starts too."""
    rng = random.Random(12)
    whole = Run(place, "whole", kinds=["decoder"], threads=2)
    begin = time.monotonic()
    whole.to_the_end("max_duration=100ba")
    duration = time.monotonic() - begin
    run = Run(place, "killed-alone", kinds=["decoder"], threads=2)
    for _ in range(10):
        process = run.begin("max_duration=100ba")
        time.sleep(rng.uniform(0, duration / 2))
        process.kill()
        process.communicate()
    run.to_the_end("max_duration=100ba")
    assert not run.leftovers()
    expect_same_run(whole.folders[0], run.folders[0])


def test_a_kill_between_the_last_checkpoint_and_its_link_is_made_good(place, uninterrupted):
    """What a kill at the worst moments leaves, made by hand."""
    run = Run(place, "worst-moments")
    shutil.copytree(uninterrupted.folder / "run", run.folder / "run", symlinks=True)
    for folder in run.folders:
        (folder / "latest").unlink()
        (folder / "latest").symlink_to("step280")
        (folder / "latest.tmp").symlink_to("step300")
        (folder / ".step300.abc.tmp").mkdir()
        (folder / ".step300.abc.tmp/model.safetensors").write_bytes(b"half")
        (folder / ".run.json.x.tmp").write_bytes(b"{")
        shutil.rmtree(folder / "ema")
        with open(folder / "ledger.jsonl", "a") as ledger, open(folder / "metrics.jsonl", "a") as log:
            ledger.write('{"step":300,"sam')
            log.write('{"time/batch":301,')
    run.to_the_end()
    assert not run.leftovers()
    for first, second in zip(uninterrupted.folders, run.folders):
        expect_same_run(first, second)


def test_halves_whose_newest_checkpoints_differ_go_on_from_the_newest_that_both_have(place, uninterrupted):
    run = Run(place, "uneven")
    shutil.copytree(uninterrupted.folder / "run", run.folder / "run", symlinks=True)
    shutil.rmtree(run.folders[1] / "step300")
    run.to_the_end()
    for first, second in zip(uninterrupted.folders, run.folders):
        expect_same_run(first, second)
    # None in common: nothing to go on from, and too much to begin anew.
    for name in ("step280", "step300"):
        shutil.rmtree(run.folders[0] / name)
    shutil.rmtree(run.folders[1] / "step260")
    before = [(folder / "ledger.jsonl").read_bytes() for folder in run.folders]
    error = run.to_the_end(code=1)
    assert "save_folder" in error and "step260" in error and error.count("error:") == 1
    assert [(folder / "ledger.jsonl").read_bytes() for folder in run.folders] == before


# --- Asked to stop ----------------------------------------------------------------------------------------------------


@pytest.mark.sampled(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_at_the_batch_and_the_run_goes_on_to_the_same_bits(place, uninterrupted, number):
    run = Run(place, f"stopped-{number.name}")
    for batch in (3, 110, 207):
        process = run.begin()
        wait(process, lambda: run.batches() >= batch)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        assert "stopping after this batch" in errors and "error" not in errors
        for kind in KINDS:
            begin = "with new weights" if batch == 3 else f"from run/{kind}/step"
            assert re.search(rf"^run/{kind}: {kind}, \wlm, {begin}", errors, re.M), errors
        checkpoints = [Path(line) for line in output.splitlines()]
        assert [path.name for path in checkpoints] == [f"step{run.batches()}"] * 2
        assert [path.parent.name for path in checkpoints] == KINDS
        for folder, path in zip(run.folders, checkpoints):
            assert os.readlink(folder / "latest") == path.name
            assert state(run.folder / path)["clock"]["batch"] == run.batches() == len(metrics_of_training(folder))
        assert not run.leftovers()
    run.to_the_end()
    for first, second in zip(uninterrupted.folders, run.folders):
        expect_same_run(first, second)


def metrics_of_training(folder):
    return [line for line in metrics(folder) if "loss/train/total" in line]


def test_a_second_signal_ends_at_once(place):
    run = Run(place, "ended", "rules.batch_size_warmup=literal", "global_train_batch_size=1400",
              "device_train_microbatch_size=64", "save_interval=2ba", "max_duration=6ba")
    process = run.begin()
    wait(process, lambda: run.batches() >= 3)
    process.send_signal(signal.SIGTERM)
    for line in process.stderr:
        if "stopping after this batch" in line:
            break
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert time.monotonic() - begin < 1
    assert not run.leftovers()
    assert [run.checkpoints(index) for index in range(2)] == [["step2"]] * 2


# --- Checkpoints ------------------------------------------------------------------------------------------------------


@pytest.mark.sampled(1)
@pytest.mark.parametrize("every", ["20ba", "3000tok"])
def test_the_newest_checkpoints_and_multiples_stay(place, every):
    unit = re.search("[a-z]+", every)[0]
    run = Run(place, f"kept-{unit}", f"save_keep_every={every}", "save_num_checkpoints_to_keep=2",
              f"save_interval={'5ba' if unit == 'ba' else '600tok'}", "max_duration=48ba", "global_train_batch_size=4",
              "rules.batch_size_warmup=literal", kinds=["encoder"])
    run.to_the_end()
    tokens, after = 0, {}
    for line in (run.folders[0] / "ledger.jsonl").read_text().splitlines():
        before, tokens = tokens, tokens + json.loads(line)["tokens"]
        after[json.loads(line)["step"] + 1] = (before, tokens)
    if unit == "ba":
        expected = [20, 40, 45, 48]
    else:
        due = [batch for batch, (first, last) in after.items() if first // 600 != last // 600] + [48]
        multiples = [batch for batch in due if after[batch][0] // 3000 != after[batch][1] // 3000]
        assert len(multiples) > 1 and len(due) > len(multiples) + 2
        expected = sorted({*multiples, *due[-2:]})
    assert run.checkpoints() == [f"step{batch}" for batch in expected]
    assert os.readlink(run.folders[0] / "latest") == "step48"


def test_a_full_disk_costs_no_more_than_the_checkpoint(place, uninterrupted):
    run = Run(place, "full")
    process = run.begin()
    wait(process, lambda: run.batches() >= 130)
    process.kill()
    process.communicate()
    begun = run.checkpoints(1)
    # Weights fit, the moments do not.
    limit = 2 * (run.folders[0] / begun[-1] / "model.safetensors").stat().st_size

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    error = run.to_the_end(code=1, preexec_fn=limited)
    assert re.search(r"^error: .*optimizer\.safetensors: cannot be written \(File too large\)$", error, re.M), error
    assert error.count("error:") == 1 and not run.leftovers()
    assert run.checkpoints(0) == run.checkpoints(1) == begun
    # Asked to keep fewer, it makes room before it goes on.
    error = run.to_the_end("save_num_checkpoints_to_keep=1", code=1, preexec_fn=limited)
    assert f"from run/encoder/{begun[-1]}" in error
    assert run.checkpoints(0) == run.checkpoints(1) == begun[-1:]
    run.to_the_end()
    for first, second in zip(uninterrupted.folders, run.folders):
        expect_same_run(first, second)


def test_one_process_writes_a_run(place):
    run = Run(place, "alone", kinds=["encoder"])
    process = run.begin()
    wait(process, lambda: run.batches() >= 30)
    error = run.to_the_end(code=1)
    assert "is being written by another process" in error
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130 and run.batches() >= 30


def test_a_ledger_that_is_not_the_checkpoints_is_refused(place, uninterrupted):
    run = Run(place, "forged", kinds=["encoder"])
    shutil.copytree(uninterrupted.folders[0], run.folders[0], symlinks=True)
    other = Run(place, "other-order", "train_loader.dataset.shuffle_seed=8", kinds=["encoder"])
    other.to_the_end("eval_interval=1000ba", "save_interval=300ba", "model.model_config.hidden_size=32")
    ledger = run.folders[0] / "ledger.jsonl"
    shutil.copy(other.folders[0] / "ledger.jsonl", ledger)
    forged = ledger.read_bytes()
    error = run.to_the_end("max_duration=310ba", code=1)
    assert "ledger.jsonl: has the chain" in error
    assert ledger.read_bytes() == forged
    ledger.unlink()
    assert "ledger.jsonl" in run.to_the_end("max_duration=310ba", code=1)


# --- Pairs ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_halves_trained_apart_are_the_halves_trained_together(place, uninterrupted):
    apart = [Run(place, f"apart-{kind}", kinds=[kind]) for kind in KINDS]
    for run, together in zip(apart, uninterrupted.folders):
        run.to_the_end("train_loader.num_workers=0")
        expect_same_run(together, run.folders[0])
    verdict = json.loads(ettin("pair", "verify", *(run.folders[0] for run in apart), "--json"))
    assert verdict["pair"] and verdict["agreeing_steps"] == 300
    ettin("pair", "verify", uninterrupted.folder / "run")


@pytest.fixture(scope="module")
def small_pair(place):
    """An encoder on 200 samples, of which 60 batches of 4 see every one; and what makes a decoder of the same data."""
    lines = words(4, 200)
    data_set(lines, place / "tokenizer", place / "small/train")
    changed = list(lines)
    at = next(place for place, character in enumerate(changed[77]) if character != " ")
    changed[77] = changed[77][:at] + "x" + changed[77][at + 1:]
    data_set(changed, place / "tokenizer", place / "changed/small/train")
    settings = ["max_duration=60ba", "global_train_batch_size=4", "rules.batch_size_warmup=literal",
                "eval_interval=1000ba", "save_interval=60ba", "eval_loader.dataset.local=../data"]
    run = Run(place, "small-encoder", *settings, "data_local=../small", kinds=["encoder"])
    run.to_the_end()
    return run, settings


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "name, overrides, finding",
    [("same", [], None), ("token", ["data_local=../changed/small"], "step {} is the first that differs"),
     ("order", ["train_loader.dataset.shuffle_seed=8"], "step 0 is the first that differs"),
     ("unshuffled", ["train_loader.dataset.shuffle=false"], "step 0 is the first that differs"),
     ("batch", ["global_train_batch_size=5"], "step 0 is the first that differs: 4 and 5 samples"),
     ("length", ["max_seq_len=32"], "step {} is the first that differs"),
     ("seed", ["seed=6"], "recipe.seed differs: 5 and 6"),
     ("shorter", ["max_duration=50ba"], "ends after 50 of the 60 steps")],
)
def test_what_differs_between_two_halves_is_found_at_its_step(place, small_pair, name, overrides, finding):
    encoder, settings = small_pair
    decoder = Run(place, f"small-decoder-{name}", *settings, "data_local=../small", *overrides, kinds=["decoder"])
    decoder.to_the_end()
    folders = encoder.folders + decoder.folders
    if finding is None:
        assert "a pair" in ettin("pair", "verify", *folders)
        return
    lines = [(folder / "ledger.jsonl").read_text().splitlines() for folder in folders]
    data = [[json.loads(line)["data"] for line in ledger] for ledger in lines]
    differing = [step for step, (first, second) in enumerate(zip(*data)) if first != second]
    if name == "token":
        # One sample is in one batch of a pass, and the first pass is 50 batches.
        assert len([step for step in differing if step < 50]) == 1
    result = subprocess.run([ETTIN, "pair", "verify", *folders], capture_output=True, text=True)
    assert result.returncode == 1
    assert finding.format(*differing[:1]) in result.stdout + result.stderr
