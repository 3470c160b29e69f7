"""The runners of Benchmarks/compare: whether ours and the original compute the same, and the arithmetic of its tables.

Needs the programs ettin and ettin-probe, whose folder is named by ETTIN_BIN_DIR. What onnxruntime and openvino compute is
checked by the comparison itself before it times them.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Benchmarks/compare"))

import checkpoints  # noqa: E402
import compare  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402
import text_models  # noqa: E402
import text_rows  # noqa: E402
import worker  # noqa: E402
from runners import TASKS, TEXT_TASKS, Runner, Unavailable, ask_alone  # noqa: E402

BINARIES = Path(os.environ.get("ETTIN_BIN_DIR", ".build/release"))
SEQUENCES = [[7, 50, 3], [5] * 40, list(range(100, 140))]


@pytest.fixture(scope="module", params=["encoder", "decoder"])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / request.param
    shape = "--layers 4 --hidden-size 64 --intermediate-size 96 --heads 4".split()
    arguments = ["init", folder, "--size", "17m", "--kind", request.param, *shape]
    subprocess.run([BINARIES / "ettin", *arguments], check=True, capture_output=True)
    checkpoints.write_tokenizer(folder)
    return folder


def start(program, folder, task, dtype="float32"):
    return Runner(program, dtype, folder, task, 1, BINARIES / "ettin-probe", subprocess.DEVNULL)


def test_hidden_states_agree(folder, measured):
    runners = [start(program, folder, "encode") for program in ["ettin", "transformers"]]
    ours, theirs = [runner.ask({"op": "hidden", "sequences": SEQUENCES})["hidden"] for runner in runners]
    assert [len(state) for state in ours] == [len(sequence) for sequence in SEQUENCES]
    for left, right in zip(ours, theirs, strict=True):
        cosines = [compare.cosine(*pair) for pair in zip(left, right, strict=True)]
        measured("compare: 1 - cosine of hidden states", 1 - min(cosines))
        assert min(cosines) > 0.999999
    for runner in runners:
        runner.close()


def test_sentence_transformers_runs_the_model(folder):
    runner = start("sentence-transformers", folder, "encode")
    request = {"op": "encode", "sequences": SEQUENCES, "batching": "sorted:2", "repeat": 3}
    assert len(runner.ask(request)["seconds"]) == 3
    runner.close()


def test_generated_tokens_agree(folder):
    if folder.name == "encoder":
        with pytest.raises(Unavailable, match="continues no text"):
            start("ettin", folder, "generate")
        return
    request = {"op": "generate", "sequences": [[9, 8, 7, 6], [1, 2, 3, 4]], "new_tokens": 12}
    runners = [start(program, folder, "generate") for program in ["ettin", "transformers"]]
    ours, theirs = [runner.ask(request)["tokens"] for runner in runners]
    assert ours == theirs and [len(tokens) for tokens in ours] == [12, 12]
    for runner in runners:
        runner.close()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_original_trains(folder, dtype):
    objective = "mlm" if folder.name == "encoder" else "clm"
    runner = start("transformers", folder, "train", dtype)
    request = rows.training_request(objective, count=2, length=30)
    assert len(runner.ask(request | {"repeat": 2})["seconds"]) == 2
    assert runner.ask({"op": "memory"})["peak_memory_bytes"] > 1 << 20
    runner.close()


def test_a_runner_answers_mistakes_and_goes_on(folder):
    for program in ["ettin", "transformers"]:
        runner = start(program, folder, "encode")
        with pytest.raises(Unavailable):
            runner.ask({"op": "dream"})
        reply, load = ask_alone(runner, [], {"op": "encode", "sequences": SEQUENCES, "repeat": 2}, 0)
        assert len(reply["seconds"]) == 2 and all(seconds > 0 for seconds in reply["seconds"])
        assert load is None or load["idle_runners"] == 0
        runner.close()
    with pytest.raises(Unavailable, match="no task dream"):
        start("ettin", folder, "dream")


def test_batches_hold_every_sequence_once():
    sequences = [[length] * length for length in [3, 9, 1, 4, 7]]
    for batching, sizes in [("all", [5]), ("single", [1] * 5), ("sorted:2", [2, 2, 1])]:
        batches = worker.batches(sequences, batching)
        assert [len(batch) for batch in batches] == sizes
        assert sorted(sum(batches, [])) == sorted(sequences)
    assert [len(batch[0]) for batch in worker.batches(sequences, "sorted:2")] == [9, 4, 1]
    ids, mask = worker.padded([[5, 6], [7]])
    assert ids.tolist() == [[5, 6], [7, 0]] and mask.tolist() == [[1, 1], [1, 0]]


def test_lengths_are_those_of_texts():
    lengths = rows.text_lengths()
    assert len(lengths) == 64 and min(lengths) >= 10 and max(lengths) <= 500
    assert abs(sum(lengths) / 64 - 120) < 2
    assert lengths == rows.text_lengths() != sorted(lengths)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("task", TEXT_TASKS)
def test_results_of_texts_agree(tmp_path, task, measured):
    """What the text rows time computes the same from the same texts, in float32."""
    texts = text_rows.generated_texts([12, 40, 90, 5])
    folder = text_rows.texts_folder(BINARIES / "ettin", tmp_path, texts)
    if task == "maxsim":
        model, request = text_models.vectors_folder(folder, 20), {"count": 20}
    else:
        shape = "--layers 4 --hidden-size 64 --intermediate-size 96 --heads 4".split()
        arguments = ["init", tmp_path / "small", "--size", "17m", "--kind", "encoder", *shape]
        subprocess.run([BINARIES / "ettin", *arguments], check=True, capture_output=True)
        model = text_models.model_folder(task, "small", tmp_path / "small", folder)
        request = {"pairs": [[texts[3], text] for text in texts]} if task == "rerank" else {"texts": texts}
    outputs = {}
    for program in [program for program in ["ettin", "transformers", "sentence-transformers", "pylate"]
                    if task in TASKS[program]]:
        runner = start(program, model, task)
        reply = runner.ask({"op": task, "batching": "batch:8", "repeat": 2, "outputs": True} | request)
        assert len(reply["seconds"]) == 2
        outputs[program] = sum(reply["outputs"], [])
        assert runner.ask({"op": "memory"})["peak_memory_bytes"] > 1 << 20
        runner.close()
    ours = outputs.pop("ettin")
    assert outputs
    for theirs in outputs.values():
        assert len(ours) == len(theirs)
        difference = max(abs(left - right) for left, right in zip(ours, theirs))
        measured(f"compare: results of {task}, largest difference", difference)
        assert difference <= 1e-5


def test_generated_texts_have_natural_lengths():
    texts = text_rows.texts_of_rows()
    assert texts == text_rows.texts_of_rows()
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) <= 30 and max(lengths) == 500 and abs(sum(lengths) / len(lengths) - 130) < 2


def test_labels_of_training():
    mlm, clm = rows.training_request("mlm"), rows.training_request("clm")
    assert clm["labels"] == clm["sequences"]
    kept = [label for row in mlm["labels"] for label in row if label != -100]
    assert abs(len(kept) / 8192 - 0.3) < 0.02


def test_ratios_are_to_the_fastest_peer():
    row = next(row for row in rows.all_rows(SEQUENCES) if row.name == "encode-17m-32x128")
    times = {"ettin bfloat16": [2, 4, 6], "openvino bfloat16": [3, 6, 9], "onnxruntime int8": [1, 5, 9]}
    entries = []
    for name, seconds in times.items():
        program, dtype = name.split()
        entries.append(dict(program=program, dtype=dtype, seconds=seconds, batching=None, peak_memory_bytes=10**9))
    load = {"seconds": 1.0, "idle_runners": 0.0, "other_processes": 0.5}
    result = compare.result(row, entries, {"ettin int8": "no models in int8"}, {}, load)
    assert entries[0]["ratio_class"] == {"min": 1.5, "median": 1.5}
    assert entries[0]["ratio_all"] == {"min": 0.5, "median": 1.25}
    assert report.wanted(result, "bfloat16", entries[0]) == "≥ 1.2 all yes"
    for markdown in [False, True]:
        table = report.row_table(result, markdown)
        assert "0.50 / 1.25" in table and "not available (no models in int8)" in table and "too long" in table
        assert "openvino" in report.summary([result], markdown)


def test_every_row_has_a_name_of_its_own():
    all_rows = [*rows.all_rows(SEQUENCES), *text_rows.text_rows(text_rows.texts_of_rows())]
    assert len({row.name for row in all_rows}) == len(all_rows)
    assert {row.task for row in all_rows} == {"encode", "generate", "train", *TEXT_TASKS}
