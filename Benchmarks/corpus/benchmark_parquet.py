"""Reads a column of a Parquet file to values, beside pyarrow: megabytes of values per second, and peak memory.

    ETTIN_BIN_DIR=.build/release python Benchmarks/corpus/benchmark_parquet.py [--megabytes 200] [--output results.json]

Two files: documents of about six thousand characters of made-up words, and the lists of token ids of an order data set;
both with zstd and with snappy. Both sides go through the file from front to back on one thread and hold every value once
as an object of its language; "arrow only" leaves out Python's objects. Every figure is the best of three runs in a
process of its own.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import pyarrow
from pyarrow import parquet

PROBE = str(Path(os.environ.get("ETTIN_BIN_DIR", ".build/release")) / "ettin-probe")
PYARROW = """
import sys, time
import pyarrow
from pyarrow import parquet
pyarrow.set_cpu_count(1)
path, column, how = sys.argv[1:]
best = float("inf")
for _ in range(3):
    start, size = time.perf_counter(), 0
    for batch in parquet.ParquetFile(path).iter_batches(batch_size=1024, columns=[column], use_threads=False):
        values = batch.column(0)
        if how == "objects":
            values = values.to_pylist()
            size += sum(map(len, values))
    best = min(best, time.perf_counter() - start)
print(best)
"""
MEMORY = """
import resource, subprocess, sys
out = subprocess.run(sys.argv[1:], stdin=sys.stdin, check=True, capture_output=True, text=True).stdout
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); print(out)
"""


def run(command, text=""):
    """Runs a command; returns its output and the peak memory of its process in MB."""
    # A small process in between, because a new one starts with the peak memory of the one that starts it.
    output = subprocess.run(
        [sys.executable, "-S", "-c", MEMORY, *map(str, command)], input=text, check=True, capture_output=True, text=True
    ).stdout.split("\n", 1)
    return output[1], int(output[0]) / 1024


def documents(size):
    """Batches of texts, about as repetitive as prose, until there are so many bytes."""
    chooser = random.Random(1)
    words = ["".join(chooser.choices("etaoinshrdlucmfw", k=chooser.randrange(2, 9))) for _ in range(20_000)]
    weights = numpy.cumsum(1 / numpy.arange(1, len(words) + 1)).tolist()
    while size > 0:
        texts = [" ".join(chooser.choices(words, cum_weights=weights, k=1000)) for _ in range(500)]
        size -= sum(map(len, texts))
        yield pyarrow.table({"text": texts})


def orders(size):
    generator = numpy.random.default_rng(1)
    while size > 0:
        lengths = generator.integers(16, 1025, 1000)
        ids = pyarrow.array(generator.integers(0, 50_368, lengths.sum()).astype(numpy.int32))
        offsets = pyarrow.array(numpy.concatenate([[0], numpy.cumsum(lengths)]).astype(numpy.int32))
        size -= 4 * int(lengths.sum())
        yield pyarrow.table({"input_ids": pyarrow.ListArray.from_arrays(offsets, ids)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    report = {}
    with tempfile.TemporaryDirectory() as folder:
        for make, column in [(documents, "text"), (orders, "input_ids")]:
            for codec in ["zstd", "snappy"]:
                path = Path(folder) / f"{column}-{codec}.parquet"
                writer = None
                for table in make(options.megabytes * 1e6):
                    writer = writer or parquet.ParquetWriter(path, table.schema, compression=codec)
                    writer.write_table(table)
                writer.close()
                request = {"do": "time", "what": "parquet", "path": str(path), "column": column}
                answer, memory = run([PROBE, "order"], json.dumps(request) + "\n")
                answer = json.loads(answer)
                size = answer["checksum"] / 1e6
                entry = {"file_mb": path.stat().st_size / 1e6, "values_mb": size}
                entry["ours"] = {"mb_per_second": size / answer["seconds"], "peak_mb": memory}
                for how in ["objects", "arrow only"]:
                    output, memory = run([sys.executable, "-c", PYARROW, path, column, how])
                    entry[how] = {"mb_per_second": size / float(output), "peak_mb": memory}
                report[f"{column} {codec}"] = entry
                parts = [f"{how}: {entry[how]['mb_per_second']:.0f} MB/s, {entry[how]['peak_mb']:.0f} MB"
                         for how in ["ours", "objects", "arrow only"]]
                print(f"{column:9} {codec:6} {size:.0f} MB in {entry['file_mb']:.0f}; " + "; ".join(parts))
                path.unlink()
    if options.output:
        options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
