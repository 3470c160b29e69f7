"""Rates of orders, packers, masks and loading, and how full the packers' bins are.

    ETTIN_BIN_DIR=.build/release python Benchmarks/corpus/benchmark_order.py [--output results.json]

The permutation is measured beside NumPy's, which Ettin trained with. Loading is measured beside mosaicml-streaming
on the same shards where that package is installed: its reading alone, and the same work as ours, in NumPy. Every figure
is the best of three runs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy

PROBE = str(Path(os.environ.get("ETTIN_BIN_DIR", ".build/release")) / "ettin-probe")
# The paper's pre-training mixture in billions of tokens, as samples of a thousand.
MIXTURE = [837.2, 356.6, 263.9, 80.3, 57.3, 28.0, 19.6, 16.6, 12.7, 12.6, 7.3, 7.3, 5.3]


def probe(**request):
    """Runs one request in a process of its own; returns the answer and the process's peak memory in MB."""
    # A small process in between, because a new one starts with the peak memory of the one that starts it.
    script = (
        "import resource, subprocess, sys\n"
        "out = subprocess.run(sys.argv[1:], stdin=sys.stdin, check=True, capture_output=True, text=True).stdout\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); print(out)"
    )
    output = subprocess.run(
        [sys.executable, "-S", "-c", script, PROBE, "order"],
        input=json.dumps({"do": "time", **request}) + "\n",
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n", 1)
    return json.loads(output[1]), int(output[0]) / 1024


def lengths(count, longest=1024):
    """Lengths like the pre-training data's: a quarter of full chunks, 615 tokens on average."""
    generator = numpy.random.default_rng(1)
    short = generator.integers(16, 941, count)
    return numpy.where(generator.random(count) < 0.25, longest, short).tolist()


def best(body):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        body()
        times.append(time.perf_counter() - start)
    return min(times)


def orders(report):
    positions = 10_000_000
    idle = probe(what="keyed", count=1, positions=1)[1]
    report["idle_mb"] = idle
    print(f"peak memory of the program with libtorch and nothing to do: {idle:.0f} MB")
    for count in (1_000_000, 2_000_000_000, 1_000_000_000_000):
        answer, memory = probe(what="keyed", count=count, positions=min(count, positions))
        rate = min(count, positions) / answer["seconds"]
        report[f"keyed_{count}"] = {"positions_per_second": rate, "peak_mb": memory}
        print(f"computed order of {count:.0e} samples: {rate / 1e6:.1f} M positions/s, peak memory {memory:.0f} MB")
    drawn = [int(tokens * 1e6) for tokens in MIXTURE]
    answer, memory = probe(what="mixture", drawn=drawn, positions=2_000_000)
    rate = 2_000_000 / answer["seconds"]
    report["mixture"] = {"positions_per_second": rate, "peak_mb": memory}
    print(f"mixture of {len(drawn)} sources, {sum(drawn):.1e} samples: {rate / 1e6:.1f} M positions/s, {memory:.0f} MB")
    ours = positions / probe(what="numpy", count=positions)[0]["seconds"]
    generator = numpy.random.Generator(numpy.random.PCG64DXSM(1))
    theirs = positions / best(lambda: generator.permutation(positions))
    report["permutation"] = {"ours": ours, "numpy": theirs}
    print(f"PCG64DXSM permutation of 1e7: {ours / 1e6:.1f} M/s, NumPy's {theirs / 1e6:.1f} M/s: {ours / theirs:.2f} x")


def packing(report):
    sizes = lengths(200_000)
    tokens = sum(sizes)
    for budget in (8192, 73_728):
        for window in (1, 16, 64, 256, 1024):
            answer, _ = probe(what="pack", lengths=sizes, tokens=budget, window=window)
            rate, efficiency = len(sizes) / answer["time"]["seconds"], tokens / (answer["bins"] * budget)
            report[f"window_{window}_{budget}"] = {"sequences_per_second": rate, "efficiency": efficiency}
            print(
                f"window {window:5} into {budget} tokens: {rate / 1e6:.2f} M sequences/s, "
                f"{rate * tokens / len(sizes) / 1e6:.0f} M tokens/s, efficiency {efficiency:.4f}"
            )
        answer, _ = probe(what="greedy", lengths=sizes, tokens=budget, microbatch=budget // 1024, rows=16)
        rate = len(sizes) / answer["time"]["seconds"]
        efficiency = answer["time"]["checksum"] / (answer["rows"] * budget)
        report[f"greedy_{budget}"] = {"sequences_per_second": rate, "efficiency": efficiency}
        print(f"original greedy into {budget} tokens: {rate / 1e6:.2f} M sequences/s, efficiency {efficiency:.4f}")


def objectives(report):
    sizes = lengths(20_000)
    for objective in ("masked", "causal"):
        answer, _ = probe(what="objective", lengths=sizes, objective=objective)
        rate = sum(sizes) / answer["seconds"]
        report[objective] = {"tokens_per_second": rate}
        print(f"{objective} batches: {rate / 1e6:.0f} M tokens/s")


def loading(report):
    try:
        sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Interop"))
        import torchvision_stand_in
        from streaming import MDSWriter, StreamingDataset
    except ImportError:
        print("loading: not measured, mosaicml-streaming is not installed")
        return
    generator = numpy.random.default_rng(2)
    sizes = lengths(60_000)
    with tempfile.TemporaryDirectory() as folder:
        with MDSWriter(out=folder, columns={"input_ids": "ndarray:uint16", "id": "str"}) as writer:
            for index, size in enumerate(sizes):
                ids = generator.integers(0, 50280, size).astype(numpy.uint16)
                writer.write({"input_ids": ids, "id": str(index)})
        answer, memory = probe(what="load", folder=folder, steps=12, batch=4608, tokens=73_728)
        ours = answer["checksum"] / answer["seconds"]
        dataset = StreamingDataset(local=folder, shuffle=False, batch_size=1)
        order = generator.permutation(len(sizes))[:20_000].tolist()

        def read():
            for sample in order:
                dataset[sample]["input_ids"]

        reading = sum(sizes[sample] for sample in order) / best(read)
        packing = sum(sizes[sample] for sample in order) / best(lambda: list(packed(dataset, order, 73_728)))
    report["loading"] = {
        "ours": ours, "streaming": packing, "streaming_reading_only": reading, "peak_mb": memory,
    }
    print(
        f"shuffled, masked and packed from MDS, one thread: {ours / 1e6:.1f} M tokens/s, {memory:.0f} MB\n"
        f"mosaicml-streaming's samples, masked and packed with NumPy: {packing / 1e6:.1f} M tokens/s: "
        f"{ours / packing:.1f} x\n"
        f"mosaicml-streaming only reading them: {reading / 1e6:.1f} M tokens/s: {ours / reading:.1f} x"
    )


def packed(dataset, order, budget):
    """The same work in Python: start and end token, next-fit packing, the 80/10/10 mask, whole arrays at a time."""
    generator = numpy.random.default_rng(3)

    def finished(samples):
        lengths = numpy.fromiter(map(len, samples), numpy.int32, len(samples))
        ids = numpy.concatenate(samples)
        chosen = (generator.random(len(ids)) < 0.3) & ((ids < 50280) | (ids > 50284))
        labels = numpy.where(chosen, ids, -100)
        places = numpy.flatnonzero(chosen)
        kind = generator.random(len(places))
        ids[places[kind < 0.8]] = 50284
        changed = places[(kind >= 0.8) & (kind < 0.9)]
        ids[changed] = generator.integers(0, 50368, len(changed))
        return ids, labels, numpy.concatenate([[0], numpy.cumsum(lengths)])

    samples, count = [], 0
    for sample in order:
        stored = dataset[sample]["input_ids"][:1022]
        ids = numpy.empty(len(stored) + 2, numpy.int32)
        ids[0], ids[1:-1], ids[-1] = 50281, stored, 50282
        if count + len(ids) > budget:
            yield finished(samples)
            samples, count = [], 0
        samples.append(ids)
        count += len(ids)
    yield finished(samples)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+", choices=["orders", "packing", "objectives", "loading"])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    report = {}
    for part in (orders, packing, objectives, loading):
        if not options.only or part.__name__ in options.only:
            part(report)
    if options.output:
        options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
