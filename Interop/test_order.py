"""Compares our random generators, orders and partitions with NumPy, Python and `mosaicml-streaming`, number by number.

The originals' packer is in no package; it is compared with a model of its rules that is written here.

    ETTIN_BIN_DIR=.build/release pytest Interop/test_order.py

ETTIN_BIN_DIR is the folder with the built ettin-probe. The `streaming` checks need mosaicml-streaming==0.13.0.
ETTIN_ORDER_CASES (default 300) is the number of random cases of each kind.
"""

import json
import logging
import os
import random
import subprocess
import warnings
from collections import deque
from pathlib import Path

import numpy
import pytest

PROBE = Path(os.environ.get("ETTIN_BIN_DIR", ".build/release")) / "ettin-probe"
CASES = int(os.environ.get("ETTIN_ORDER_CASES", "300"))

pytestmark = pytest.mark.skipif(not PROBE.exists(), reason=f"{PROBE} is not built; set ETTIN_BIN_DIR")


def probe(requests):
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    output = subprocess.run([str(PROBE), "order"], input=lines, check=True, capture_output=True, text=True).stdout
    answers = [json.loads(line) for line in output.splitlines()]
    assert len(answers) == len(requests)
    return answers


def check(requests, expected):
    """Asserts that the answers are the expected ones; the message names the first request that differs."""
    for request, ours, theirs in zip(requests, probe(requests), expected, strict=True):
        assert ours == theirs, request


def seeds(generator):
    return generator.choice([0, 1, 21, 42, 9176, 2**32 - 1, 2**32, 2**63, 2**64 - 1, generator.getrandbits(64)])


# Ranges on both sides of every change of method: one value, 32 bits, all 32 bits, more.
WIDTHS = [1, 2, 3, 1000, 50285, 2**31 + 1, 2**32 - 1, 2**32, 2**32 + 1, 2**40, 2**62 + 3]


@pytest.mark.parametrize("bits", ["PCG64", "PCG64DXSM"])
def test_numpy_generators(bits):
    chooser = random.Random(1)
    requests, expected = [], []
    for _ in range(CASES):
        seed, draws, values = seeds(chooser), [], []
        original = getattr(numpy.random, bits)(seed)
        generator = numpy.random.Generator(original)
        for _ in range(20):
            kind = chooser.choice(["raw", "random", "uniform", "integers", "permutation"])
            draw = {"draw": kind}
            if kind == "raw":
                value = int(original.random_raw())
            elif kind == "random":
                value = generator.random()
            elif kind == "uniform":
                draw |= {"low": chooser.randint(-9, 0), "high": chooser.randint(1, 9)}
                value = generator.uniform(draw["low"], draw["high"])
            elif kind == "integers":
                low = chooser.choice([0, -5, 7, -(2**61)])
                draw |= {"low": low, "high": low + chooser.choice(WIDTHS)}
                value = int(generator.integers(draw["low"], draw["high"]))
            else:
                draw["count"] = chooser.choice([0, 1, 2, 3, 64, 65, 1000])
                value = generator.permutation(draw["count"]).tolist()
            draws.append(draw)
            values.append(value)
        requests.append({"do": "numpy", "bits": bits, "seed": seed, "draws": draws})
        expected.append(values)
    check(requests, expected)


def test_numpy_legacy_generator():
    chooser = random.Random(2)
    requests, expected = [], []
    for _ in range(CASES):
        seed = chooser.choice([0, 42, 2**32 - 1, chooser.getrandbits(32)])
        limits = [chooser.choice(WIDTHS) for _ in range(700)]
        numpy.random.seed(seed)
        requests.append({"do": "legacy", "seed": seed, "limits": limits})
        expected.append([int(numpy.random.randint(0, limit)) for limit in limits])
    check(requests, expected)


def test_python_generator():
    chooser = random.Random(3)
    requests, expected = [], []
    for _ in range(CASES):
        seed, draws, values = seeds(chooser), [], []
        generator = random.Random(seed)
        for _ in range(20):
            kind = chooser.choice(["random", "bits", "choice", "shuffle"])
            count = chooser.choice([1, 2, 31, 32, 33, 63, 64])
            draws.append({"draw": kind, "count": count})
            if kind == "random":
                values.append(generator.random())
            elif kind == "bits":
                values.append(generator.getrandbits(count))
            elif kind == "choice":
                values.append(generator.choice(range(count)))
            else:
                shuffled = list(range(count))
                generator.shuffle(shuffled)
                values.append(shuffled)
        requests.append({"do": "python", "seed": seed, "draws": draws})
        expected.append(values)
    check(requests, expected)


def distributed_sampler(count, seed, epoch, world_size, drop_last):
    """The order that Ettin was trained in: a permutation of all samples, truncated or padded, dealt to the ranks."""
    order = numpy.random.Generator(numpy.random.PCG64DXSM(seed + epoch)).permutation(count)
    if drop_last:
        order = order[: count // world_size * world_size]
    else:
        order = numpy.resize(order, -(-count // world_size) * world_size)
    return [order[rank::world_size].tolist() for rank in range(world_size)]


def test_permutation_order():
    chooser = random.Random(4)
    requests = [
        {
            "do": "permutation",
            "count": chooser.choice([1, 2, 7, 8, 100, 1000, 5000]),
            "seed": chooser.choice([21, 0, 2**40]),
            "epoch": chooser.randrange(5),
            "world_size": chooser.randint(1, 9),
            "drop_last": chooser.randrange(2),
        }
        for _ in range(CASES)
    ]
    check(requests, [distributed_sampler(*list(request.values())[1:]) for request in requests])


@pytest.mark.parametrize("algorithm", ["naive", "py1s", "py1e", "py1br", "py2s"])
def test_streaming_shuffle(algorithm):
    shuffle = pytest.importorskip("streaming.base.shuffle")
    chooser = random.Random(5)
    requests, expected = [], []
    for _ in range(CASES):
        sizes = [chooser.choice([0, 1, 5, 40, 200]) + chooser.randrange(50) for _ in range(chooser.randint(1, 12))]
        total = sum(sizes)
        nodes = min(chooser.choice([1, 2, 3, 4, 8, 16]), max(1, total))
        block = chooser.choice([None, 2, 3, 8, 50, 301, 4000])
        if total == 0:
            continue
        seed, epoch = chooser.choice([0, 21, 9176]), chooser.randrange(4)
        requests.append(
            {
                "do": "shuffle",
                "algorithm": algorithm,
                "sizes": sizes,
                "nodes": nodes,
                "seed": seed,
                "epoch": epoch,
                "block": block,
            }
        )
        size = max(4_000_000 // nodes, 1 << 18) if block is None else block
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            order = shuffle.get_shuffle(algorithm, numpy.array(sizes), nodes, seed, epoch, size)
        expected.append(order.tolist())
    check(requests, expected)


@pytest.mark.parametrize("algorithm", ["orig", "relaxed"])
def test_streaming_partition(algorithm):
    partition = pytest.importorskip("streaming.base.partition")
    logging.getLogger("streaming").setLevel(logging.ERROR)
    chooser = random.Random(6)
    requests, expected = [], []
    refused = 0
    for _ in range(20 * CASES):
        canonical, physical = chooser.choice([1, 2, 3, 4, 6, 8, 16, 128]), chooser.choice([1, 2, 3, 4, 6, 8, 16])
        samples = chooser.choice([1, 2, 5, 22, 100, 1000]) + chooser.randrange(40)
        request = {
            "do": "partition",
            "samples": samples,
            "canonical": canonical,
            "physical": physical,
            "ranks": chooser.choice([1, 2, 3, 4, 8]),
            "workers": chooser.choice([1, 2, 3, 6]),
            "batch": chooser.choice([1, 2, 3, 6, 12]),
            "seen": chooser.choice([0, 0, 6, 7, samples // 2, samples]),
            "initial": chooser.choice([1, 2, 4]) if algorithm == "relaxed" else None,
        }
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ids = partition.get_partitions(algorithm, *list(request.values())[1:])
            answer = ids.flatten().tolist()
        except (ValueError, ZeroDivisionError):
            answer = None
            refused += 1
        requests.append(request)
        expected.append(answer)
    assert refused < len(requests) / 2
    for request, ours, theirs in zip(requests, probe(requests), expected, strict=True):
        if theirs is None:
            assert "error" in ours, request
        else:
            assert ours == theirs, request


@pytest.mark.parametrize("algorithm", ["naive", "py1s", "py1e", "py1br", "py2s"])
def test_streaming_dataset(algorithm, tmp_path):
    """A whole data set, iterated by the library from its start and from a state in the middle of an epoch."""
    streaming = pytest.importorskip("streaming")
    nodes, batch, seen, seed = 4, 6, 60, 21
    with streaming.MDSWriter(out=str(tmp_path), columns={"id": "int"}, size_limit=600) as writer:
        for index in range(997):
            writer.write({"id": index})
    sizes = [shard["samples"] for shard in json.loads((tmp_path / "index.json").read_text())["shards"]]
    assert len(sizes) > 10
    dataset = streaming.StreamingDataset(
        local=str(tmp_path),
        shuffle=True,
        shuffle_algo=algorithm,
        shuffle_seed=seed,
        shuffle_block_size=200,
        num_canonical_nodes=nodes,
        batch_size=batch,
    )
    epochs = [[sample["id"] for sample in dataset] for _ in range(2)]
    state = {
        "epoch": 2,
        "sample_in_epoch": seen,
        "num_canonical_nodes": nodes,
        "shuffle_seed": seed,
        "initial_physical_nodes": 1,
    }
    dataset.load_state_dict(state)
    resumed = [sample["id"] for sample in dataset]

    shuffle = {"do": "shuffle", "algorithm": algorithm, "sizes": sizes, "nodes": nodes, "seed": seed, "block": 200}
    partition = {"do": "partition", "samples": 997, "canonical": nodes, "physical": 1, "ranks": 1, "workers": 1}
    *orders, whole, rest = probe(
        [{**shuffle, "epoch": epoch} for epoch in range(3)]
        + [{**partition, "batch": batch, "seen": start, "initial": 1} for start in (0, seen)]
    )
    for order, theirs in zip(orders, epochs):
        assert [order[position] for position in whole if position >= 0] == theirs
    assert [orders[2][position] for position in rest if position >= 0] == resumed


def greedy_packer(lengths, batch, microbatch, tokens, capacity, seed, epoch, mask):
    """The rules of the originals' packer, with its masks: (ids, cumulative lengths, masked ids, labels) of each batch."""
    stops = numpy.cumsum(lengths)
    sequences = [list(range(stop - length + 1, stop + 1)) for stop, length in zip(stops.tolist(), lengths)]
    source = iter([sequences[start : start + batch] for start in range(0, len(sequences), batch)])
    width, queue, generator, batches = microbatch * tokens, deque(), numpy.random.default_rng(seed + epoch), []
    while True:
        rows = [[] for _ in range(batch // microbatch)]
        ends = [[0] for _ in rows]
        skipped = []
        while True:
            if not queue:
                budget, pulled = capacity - len(skipped), 0
                while capacity - len(queue) > batch and pulled + batch <= budget:
                    incoming = next(source, None)
                    if incoming is None:
                        break
                    incoming = [sequence for sequence in incoming if sequence]
                    queue.extend(incoming)
                    pulled += len(incoming)
                if pulled == 0:
                    break
            sequence = queue.popleft()
            fitting = [row for row in range(len(rows)) if width - len(rows[row]) >= len(sequence)]
            if fitting:
                row = min(fitting, key=lambda row: width - len(rows[row]))
                rows[row] += sequence
                ends[row].append(len(rows[row]))
            else:
                skipped.append(sequence)
        for sequence in skipped:
            queue.appendleft(sequence)
        if not all(rows):
            return batches
        for row, end in zip(rows, ends):
            if len(row) < width:
                end.append(width)
        ids = numpy.array([row + [0] * (width - len(row)) for row in rows])
        draws = generator.uniform(size=ids.shape)
        masked = numpy.where(draws < 0.3 * 0.8, mask, ids)
        labels = numpy.where((draws < 0.3) & (ids != 0), ids, -100)
        random_ids = generator.integers(0, masked.max() + 1, ids.shape)
        masked = numpy.where((draws >= 0.3 * 0.8) & (draws < 0.3 * 0.9), random_ids, masked)
        batches.append([ids.tolist(), ends, masked.tolist(), labels.tolist()])


def test_greedy_packer():
    chooser = random.Random(7)
    requests = []
    for _ in range(CASES):
        microbatch, tokens = chooser.choice([1, 2, 4]), chooser.choice([4, 8, 33])
        batch = microbatch * chooser.randint(1, 4)
        requests.append(
            {
                "do": "pack",
                "lengths": [chooser.randint(0, tokens) for _ in range(chooser.randint(0, 150))],
                "batch": batch,
                "microbatch": microbatch,
                "tokens": tokens,
                "capacity": batch + chooser.randint(1, 5 * batch),
                "seed": chooser.choice([0, 21]),
                "epoch": chooser.randrange(3),
                "mask": chooser.choice([1, 9999, 50284]),
            }
        )
    expected = [greedy_packer(*list(request.values())[1:]) for request in requests]
    assert sum(map(len, expected)) > CASES
    check(requests, expected)
