"""The order of a run, ours against real StreamingDatasets and StreamingDataLoaders of mosaicml-streaming.

Every case is a run: data sets, shuffle, canonical nodes, machines, ranks, loader workers, batches, passes. The library
runs it with all its processes (streaming_loader.py); ours must give the same global batches.

    ETTIN_BIN_DIR=.build/release pytest Interop/test_streaming.py
"""

import json
import random
import subprocess
from pathlib import Path

import pytest

streaming = pytest.importorskip("streaming", reason="mosaicml-streaming is not installed (requirements-corpus.txt)")

from streaming_loader import global_batches, run_loaders, write_dataset
from tiny_runs import ETTIN, RECIPE, data_set, ettin, metrics, words

PROBE = Path(ETTIN).parent / "ettin-probe"
# Between the numbers of samples of different data sets.
SPACING = 100_000
# The first number of the samples of each data set, by its folder.
FIRSTS = {}
ALGORITHMS = ["naive", "py1s", "py1e", "py1br", "py2s"]

pytestmark = pytest.mark.skipif(not PROBE.exists(), reason=f"{PROBE} is not built; set ETTIN_BIN_DIR")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Gives data sets with shards of given sizes, each made once."""
    known = {}

    def folder(*sizes):
        if sizes not in known:
            known[sizes] = write_dataset(tmp_path_factory.mktemp("data"), sizes, first=SPACING * len(known))
            FIRSTS[str(known[sizes])] = SPACING * (len(known) - 1)
        return known[sizes]

    return folder


def sizes_of(folder):
    return [shard["samples"] for shard in json.loads((Path(folder) / "index.json").read_text())["shards"]]


def ours(cases):
    """What we give for each case: batches of all passes, or the rest of one after a state, or an error."""
    requests = [
        {
            "do": "loader",
            "streams": [
                {key: value for key, value in stream.items() if key != "folder"} | {"sizes": sizes_of(stream["folder"])}
                for stream in case["streams"]
            ],
            "algorithm": case["shuffle_algo"] if case.get("shuffle", True) else "none",
            "seed": case.get("shuffle_seed", 9176),
            "canonical": case["num_canonical_nodes"],
            "block": case.get("shuffle_block_size"),
            "sampling": case.get("sampling_method", "balanced"),
            "granularity": case.get("sampling_granularity", 1),
            "epoch_size": case.get("epoch_size"),
            "physical": case.get("nodes", 1),
            "ranks": case.get("ranks", 1),
            "batch": case["batch_size"],
            "epochs": case.get("passes", 1),
            "drop_last": int(case.get("drop_last", False)),
            **({"state": case["state"]} if case.get("state") else {}),
        }
        for case in cases
    ]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    output = subprocess.run([str(PROBE), "order"], input=lines, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def numbers(case, batch):
    """Our samples, which are numbered through all streams, by the numbers in the data sets."""
    firsts = []
    for stream in case["streams"]:
        folder = str(stream["folder"])
        sizes = sizes_of(folder)
        firsts += [(FIRSTS[folder], index) for index in range(sum(sizes))]
    return [sum(firsts[index]) for index in batch]


def check(cases):
    for case, mine in zip(cases, ours(cases), strict=True):
        results = run_loaders(case)
        assert all("error" not in result for result in results), (case, results)
        theirs = sum(global_batches(results), [])
        if isinstance(mine, dict) and "but an epoch has" in mine["error"]:
            # Where no batch fills up, the original's passes are empty; a run would never end.
            assert not any(theirs), (case, mine)
            continue
        assert isinstance(mine, list), (case, mine)
        mine = [numbers(case, batch) for batch in ([mine] if case.get("state") else mine)]
        assert mine == ([sum(theirs, [])] if case.get("state") else theirs), case


def random_case(chooser, data):
    """A run of one data set or of several with weights."""
    algorithm = chooser.choice(ALGORITHMS)
    nodes, ranks = chooser.choice([(1, 1), (1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (4, 1)])
    canonical = nodes * chooser.choice([1, 2, 4, 64 if algorithm != "py1e" else 8])
    pools = [(20, 30, 42, 30), (7, 1, 13), (100, 100, 100, 100, 100, 100), (33,), (5, 64, 3, 18, 40)]
    case = {
        "shuffle_algo": algorithm,
        "shuffle": chooser.random() < 0.9,
        "shuffle_seed": chooser.choice([0, 21, 9176, 2**31]),
        "shuffle_block_size": chooser.choice([None, 2, 8, 50, 301]),
        "num_canonical_nodes": canonical,
        "sampling_method": chooser.choice(["balanced", "balanced", "fixed"]),
        "sampling_granularity": chooser.choice([1, 1, 4, 9]),
        "batch_size": chooser.choice([1, 2, 3, 4, 7, 16]),
        "nodes": nodes,
        "ranks": ranks,
        "workers": chooser.choice([0, 1, 2, 3]),
        "drop_last": chooser.random() < 0.3,
        "passes": 2,
    }
    count = chooser.choice([1, 1, 2, 3])
    kind = chooser.choice(["none", "absolute", "absolute", "relative", "size"])
    streams = []
    for number in range(count):
        sizes = chooser.choice(pools)
        stream = {"folder": str(data(*sizes, *([number + 1] if number else [])))}
        if kind == "absolute":
            stream |= chooser.choice([{}, {"repeat": 2}, {"repeat": 0.37}, {"repeat": 2.6}, {"choose": 17}, {"choose": 95}])
        elif kind == "relative":
            stream["proportion"] = chooser.choice([0.1, 1, 2.5, 7])
        streams.append(stream)
    if kind in ("relative", "size"):
        case["epoch_size"] = chooser.choice([40, 150, 333] + [None] * (kind == "relative"))
    case["streams"] = streams
    if algorithm == "py1e":
        case["num_canonical_nodes"] = nodes
    return case


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_loaders_of_one_process(data, algorithm):
    """Counts around multiples of nodes and batches; the number of workers changes nothing."""
    chooser = random.Random(algorithm)
    cases = []
    for sizes in [(20, 30, 42, 30), (41, 80), (61, 30, 32)]:
        for canonical in (1, 2, 7):
            cases.append({
                "streams": [{"folder": str(data(*sizes))}], "shuffle_algo": algorithm,
                "num_canonical_nodes": canonical, "batch_size": chooser.choice([4, 5, 41]),
                "workers": chooser.choice([0, 0, 0, 2]), "passes": 2, "drop_last": chooser.random() < 0.5,
                "shuffle_block_size": 30,
            })
    check(cases)


def test_the_issue_of_several_nodes(data):
    """122 samples on two nodes take turns; 600 samples on 128 nodes are 640."""
    first = {
        "streams": [{"folder": str(data(20, 30, 42, 30))}], "shuffle_algo": "naive", "num_canonical_nodes": 2,
        "batch_size": 4,
    }
    many = {
        "streams": [{"folder": str(data(*[100] * 6))}], "shuffle_algo": "py1s", "num_canonical_nodes": 128,
        "batch_size": 40, "passes": 2,
    }
    check([first, many])
    batches, long = ours([first, many])
    assert batches[:2] == [[67, 84, 40, 96], [25, 79, 109, 118]]
    assert len(long) == 2 * 16 and sum(map(len, long[:16])) == 640


@pytest.mark.sampled(10)
@pytest.mark.parametrize("seed", range(400))
def test_loaders(data, seed):
    check([random_case(random.Random(seed), data)])


@pytest.mark.sampled(4)
@pytest.mark.parametrize("seed", range(150))
def test_resumption(data, seed):
    """A run that stops within its last epoch and resumes from the loader's state, perhaps on other machines."""
    chooser = random.Random(seed)
    case = random_case(chooser, data)
    canonical = case["num_canonical_nodes"] = chooser.choice([2, 4, 8])
    case |= {
        "shuffle_algo": chooser.choice(["naive", "py1s", "py2s", "py1br"]), "nodes": 1, "ranks": chooser.choice([1, 2]),
        "batch_size": chooser.choice([4, 12]), "drop_last": False,
    }
    whole = global_batches(run_loaders(case))
    # At the very end of a pass, the library's workers may wait for each other for ever.
    case["stop_after"] = min(chooser.choice([1, 2, 5]), len(whole[-1]) - 1)
    if case["stop_after"] < 1:
        return
    results = run_loaders(case)
    state = results[0]["states"][-1]
    taken = len(results[0]["passes"][-1])
    # The same machines see the rest of what an unstopped run sees.
    same = case | {"state": state, "passes": 1, "stop_after": None}
    check([same])
    rest = sum(global_batches(run_loaders(same)), [])
    assert rest[:-1] == whole[-1][taken:][:-1]
    global_batch = case["batch_size"] * case["ranks"]
    nodes = chooser.choice([node for node in (1, 2, 4) if canonical % node == 0 and global_batch % node == 0])
    check([same | {"nodes": nodes, "ranks": 1, "batch_size": global_batch // nodes, "workers": chooser.choice([0, 2])}])


def test_refused_by_both(data):
    """What the library refuses, we refuse, and say why."""
    small = {"streams": [{"folder": str(data(7, 1, 13))}], "shuffle_algo": "py1e", "num_canonical_nodes": 1, "batch_size": 2}
    cases = [
        (small | {"num_canonical_nodes": 22}, "num_canonical_nodes: is 22, but an epoch has only 21 samples"),
        (small | {"shuffle_algo": "py1br", "shuffle_block_size": 1}, "shuffle_block_size: is 1; expected at least 2"),
        (small | {"batch_size": 0}, "batch_size: is 0; expected at least 1"),
        (small | {"nodes": 2, "num_canonical_nodes": 3}, "num_physical_nodes: is 2 with 3 canonical nodes"),
        (small | {"sampling_granularity": 0}, "sampling_granularity: is 0; expected at least 1"),
        (small | {"streams": [small["streams"][0] | {"choose": 0}]}, "the streams: give no samples"),
        (small | {"streams": [small["streams"][0] | {"choose": -1}]}, "choose is -1"),
        (small | {"streams": [small["streams"][0] | {"repeat": -0.5}]}, "repeat is -0.5"),
        (small | {"epoch_size": 5, "streams": [small["streams"][0] | {"repeat": 2}]}, "epoch_size is given beside"),
        (
            small | {"state": {"epoch": 0, "sample_in_epoch": 40, "num_canonical_nodes": 1, "shuffle_seed": 1}},
            "sample_in_epoch: is 40, past the end of an epoch of 21 samples",
        ),
    ]
    for (case, message), mine in zip(cases, ours([case for case, _ in cases]), strict=True):
        assert any("error" in result for result in run_loaders(case)), case
        assert message in mine["error"], (case, mine)


def test_refused_by_us(data):
    """What the library takes for a default, or runs out of memory with."""
    small = {"streams": [{"folder": str(data(7, 1, 13))}], "shuffle_algo": "py1s", "num_canonical_nodes": 1, "batch_size": 2}
    cases = [
        (small | {"num_canonical_nodes": 0}, "num_canonical_nodes: is 0; expected at least 1"),
        (small | {"num_canonical_nodes": 2**63 - 1}, "num_canonical_nodes: is 9223372036854775807; expected at most"),
        (small | {"nodes": 2**31, "ranks": 2**31}, "num_physical_nodes: is 2147483648; expected at most"),
        (small | {"nodes": 2**20, "ranks": 2**20, "num_canonical_nodes": 2**20}, "the number of ranks: is 1099511627776"),
        (small | {"batch_size": 2**63 - 1}, "batch_size: is 9223372036854775807; expected at most"),
        (small | {"shuffle_seed": 2**64 - 1}, "shuffle_seed: is 18446744073709551615"),
        (small | {"shuffle_block_size": 2**63 - 1}, "shuffle_block_size: is 9223372036854775807; expected at most"),
        (small | {"streams": [small["streams"][0] | {"choose": 2**63 - 1}]}, "the number of samples: is more than"),
        (small | {"streams": [small["streams"][0] | {"choose": 2**62}] * 3}, "the number of samples: is more than"),
        (small | {"streams": [small["streams"][0] | {"repeat": 1e300}]}, "repeat is 1e+300 for 21 samples"),
        (small | {"epoch_size": 2**63 - 1}, "epoch_size: is 9223372036854775807; expected at most"),
    ]
    for (case, message), mine in zip(cases, ours([case for case, _ in cases]), strict=True):
        assert message in mine["error"], (case, mine)


# MARK: The command


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A tokenizer, and 600 and 90 samples of tokens in shards of some kilobytes."""
    place = tmp_path_factory.mktemp("texts")
    lines = words(3, 690)
    (place / "corpus.txt").write_text("\n".join(lines))
    ettin("tokenizer", "train", place / "corpus.txt", "--vocab-size", 600, "-o", place / "tokenizer")
    for name, part in [("train", lines[:600]), ("more", lines[600:])]:
        data_set(part, place / "tokenizer", place / "data" / name, "--size-limit", 8000)
    return place


@pytest.mark.parametrize("drop_last", [True, False])
def test_exported_order(texts, tmp_path, drop_last):
    """`data export-order` of two weighted data sets on two machines with two ranks, for two passes."""
    folders = [texts / "data" / name for name in ("train", "more")]
    case = {
        "streams": [{"folder": str(folders[0]), "repeat": 0.3}, {"folder": str(folders[1]), "choose": 131}],
        "shuffle_algo": "py1s", "shuffle_seed": 9176, "num_canonical_nodes": 4, "batch_size": 3, "nodes": 2, "ranks": 2,
        "workers": 2, "passes": 2, "drop_last": drop_last, "key": "input_ids",
    }
    passes = global_batches(run_loaders(case))
    total = sum(map(len, passes))
    command = [
        "data", "export-order", f"{folders[0]}@repeat=0.3", f"{folders[1]}@choose=131", "--batch-size", 12, "--order",
        "py1s", "--seed", 9176, "--canonical-nodes", 4, "--nodes", 2, "--ranks-per-node", 2,
        *([] if drop_last else ["--no-drop-last"]),
    ]
    ettin(*command, "--steps", total, "-o", tmp_path / "order.jsonl")
    steps = {}
    for line in (tmp_path / "order.jsonl").read_text().splitlines():
        row = json.loads(line)
        steps.setdefault(row["step"], []).append(row["input_ids"])
    theirs = sum(passes, [])
    assert list(steps) == list(range(1, total + 1))
    assert list(steps.values()) == theirs
    # A part of the run that starts in the second pass; by default, one pass.
    first = len(passes[0]) + 3
    ettin(*command, "--first-step", first, "--steps", 2, "-o", tmp_path / "part.jsonl")
    rows = [json.loads(line)["input_ids"] for line in (tmp_path / "part.jsonl").read_text().splitlines()]
    assert rows == sum(theirs[first - 1:first + 1], [])
    ettin(*command, "-o", tmp_path / "pass.jsonl")
    assert len((tmp_path / "pass.jsonl").read_text().splitlines()) == sum(map(len, passes[0]))


def write_order(batches, folder):
    with streaming.MDSWriter(out=str(folder), columns={"input_ids": "ndarray:uint16", "step": "int"}) as writer:
        for step, batch in enumerate(batches, 1):
            for ids in batch:
                writer.write({"input_ids": streaming.base.array.np.array(ids, "uint16"), "step": step})


@pytest.mark.parametrize("shuffle", [True, False])
def test_training_sees_the_batches_of_the_loader(texts, tmp_path, shuffle):
    """A decoder is trained from streams, and from an order that holds what the real loader gave out: no loss differs."""
    folder = texts / "data" / "train"
    case = {
        "streams": [{"folder": str(folder)}], "shuffle_algo": "py1s", "shuffle_seed": 7, "num_canonical_nodes": 128,
        "batch_size": 40, "passes": 2, "drop_last": True, "key": "input_ids", "shuffle": shuffle,
    }
    passes = global_batches(run_loaders(case))
    assert [len(batches) for batches in passes] == [16, 16]
    write_order(sum(passes, []), tmp_path / "given")
    text = RECIPE.replace("NAME", "flex_gpt").replace("MASKED", "0").replace("EVAL", "0")
    (tmp_path / "decoder.yaml").write_text(text)
    common = [
        "pretrain", tmp_path / "decoder.yaml", "--threads", 1, f"data_local={texts / 'data'}",
        f"tokenizer_name={texts / 'tokenizer'}", "max_seq_len=512", "global_train_batch_size=40",
        "eval_interval=100ba", "save_interval=100ba", "algorithms=null", "rules.batch_size_warmup=literal",
        "train_loader.batch_size_warmup_tokens=0tok", "precision=fp32", "max_duration=18ba",
        "eval_loader.dataset.split=more",
    ]
    runs = {
        "streams": ["train_loader.dataset.streaming=true", f"train_loader.dataset.shuffle={str(shuffle).lower()}"],
        "order": [f"train_loader.dataset.order_path={tmp_path / 'given'}", "train_loader.dataset.shuffle=false"],
    }
    losses = []
    for name, overrides in runs.items():
        (tmp_path / name).mkdir()
        ettin(*common, *overrides, cwd=tmp_path / name)
        losses.append([line["loss/train/total"] for line in metrics(tmp_path / name / "run") if "loss/train/total" in line])
    assert len(losses[0]) == 18
    assert losses[0] == losses[1]
