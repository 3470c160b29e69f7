"""The logs of training, ours read by the libraries that people open them with.

Needs tensorboard and pytest, and the program ettin-probe, whose folder is named by ETTIN_BIN_DIR.
"""

import json
import math
import os
import subprocess

import numpy
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

PROBE = (os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/debug"), "ettin-probe"), "training")


def log(folder, first, last, *continuing):
    subprocess.run([*PROBE, "log", *map(str, (folder, first, last, *continuing))], check=True, timeout=60)


def curve(folder, tag):
    accumulator = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    accumulator.Reload()
    return {event.step: event.value for event in accumulator.Scalars(tag)}


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def same(first, second):
    return first == second or (math.isnan(first) and math.isnan(second))


def check_against_lines(folder):
    """Event files say what metrics.jsonl says, in single precision."""
    expected = {}
    for line in lines(folder):
        step = line.pop("time/batch")
        for key, value in line.items():
            expected.setdefault(key, {})[step] = float(numpy.float32(math.nan if value is None else value))
    for key, values in expected.items():
        found = curve(folder, key)
        assert list(found) == list(values), key
        assert all(same(found[step], values[step]) for step in values), key
    return expected


def test_event_files_hold_every_value(tmp_path):
    log(tmp_path, 1, 250)
    expected = check_against_lines(tmp_path)
    assert len(expected) == 6 and len(expected["loss/train/total"]) == 250
    [path] = (tmp_path / "tensorboard").iterdir()
    events = list(EventFileLoader(str(path)).Load())
    assert events[0].file_version == "brain.Event:2"
    assert all(left.wall_time <= right.wall_time for left, right in zip(events, events[1:]))
    assert abs(events[-1].wall_time - os.stat(path).st_mtime) < 60


@pytest.mark.parametrize("checkpoint", [0, 1, 100, 199, 200])
def test_a_run_that_goes_on_is_one_curve(tmp_path, checkpoint):
    log(tmp_path, 1, 200)
    log(tmp_path, checkpoint + 1, 250, checkpoint)
    loss = check_against_lines(tmp_path)["loss/train/total"]
    assert list(loss) == list(range(1, 251))
    # What the second process logged is there, and nothing that the first one logged after the checkpoint.
    for step, value in loss.items():
        assert value == numpy.float32(8 / step + (1 if step <= checkpoint else checkpoint + 1))


def test_a_run_that_begins_anew_hides_the_old_one(tmp_path):
    log(tmp_path, 1, 200)
    log(tmp_path, 1, 20)
    log(tmp_path, 11, 30, 10)
    assert list(check_against_lines(tmp_path)["loss/train/total"]) == list(range(1, 31))


@pytest.mark.parametrize("cut", [1, 5, 17, 100, 140, 300])
def test_a_file_cut_off_by_a_kill_reads_to_its_last_whole_event(tmp_path, cut):
    log(tmp_path, 1, 20)
    [path] = (tmp_path / "tensorboard").iterdir()
    os.truncate(path, path.stat().st_size - cut)
    found = list(curve(tmp_path, "loss/train/total"))
    assert found == list(range(1, len(found) + 1)) and 17 <= len(found) < 20
    text = (tmp_path / "metrics.jsonl").read_bytes()
    (tmp_path / "metrics.jsonl").write_bytes(text[:-cut])
    log(tmp_path, 11, 20, 10)
    assert list(check_against_lines(tmp_path)["loss/train/total"]) == list(range(1, 21))
