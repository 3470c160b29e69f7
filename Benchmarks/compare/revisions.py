#!/usr/bin/env python3
"""Two builds of ettin in turn on the rows of `make compare`, and how much longer the second takes.

    Benchmarks/compare/revisions.py BASE HEAD [--rows 'latency-*'] [--rounds 5] [--threads 2]

BASE and HEAD are folders with `ettin` and `ettin-probe`, such as .build/release of two clones. Runners take turns, round
by round; the first round does not count. A ratio above 1 says that HEAD is slower. Needs what `make interop` sets up:
.deps/interop/bin/python runs it.
"""

import argparse
import fnmatch
import json
import os
import statistics
import sys
from pathlib import Path

import checkpoints
from rows import all_rows, random_sequences, text_lengths
from runners import PROGRAMS, Runner, ask_alone

ROOT = Path(__file__).resolve().parents[2]


def turns(row, dtype, builds, folder, options, log):
    """Seconds of each build, round by round."""
    runners = [Runner("ettin", dtype, folder, row.task, options.threads, build / "ettin-probe", log) for build in builds]
    seconds = [[] for _ in builds]
    try:
        for number in range(-1, min(options.rounds, row.max_rounds)):
            request = row.request | (row.warmup if number < 0 else {"repeat": row.repeat})
            # Who is first alternates, as a processor that is warm is faster or slower than one that is not.
            for index in [0, 1] if number % 2 else [1, 0]:
                others = [other for other in runners if other is not runners[index]]
                reply, _ = ask_alone(runners[index], others, request, options.pause)
                if number >= 0:
                    seconds[index] += reply["seconds"]
    finally:
        for runner in runners:
            runner.close()
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", nargs=2, type=Path, metavar="FOLDER")
    parser.add_argument("--rows", default="*", help="names of rows, with * and ?, separated by commas")
    parser.add_argument("--dtypes", default=",".join(PROGRAMS["ettin"]), help="types, separated by commas")
    parser.add_argument("--rounds", type=int, default=5, help="how often each build has its turn (5)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two turns (0.1)")
    parser.add_argument("--work", type=Path, default=ROOT / ".deps/compare-models", help="where models are kept")
    parser.add_argument("--json", type=Path, help="a file for all times")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    patterns = options.rows.split(",")
    rows = [row for row in all_rows(random_sequences(text_lengths())) if any(
        fnmatch.fnmatch(row.name, pattern) for pattern in patterns)]
    results = []
    with open(options.work / "runners.log", "w") as log:
        for row in rows:
            folder = checkpoints.checkpoint(options.builds[1] / "ettin", options.work, row.kind, row.size)
            for dtype in options.dtypes.split(","):
                if row.task == "train" and dtype == "int8":
                    continue
                seconds = turns(row, dtype, options.builds, folder, options, log)
                (base, head) = [(statistics.median(times), min(times)) for times in seconds]
                results.append({"row": row.name, "dtype": dtype, "seconds": seconds,
                                "ratio_median": head[0] / base[0], "ratio_min": head[1] / base[1]})
                print(f"{row.name:20} {dtype:9} {1000 * base[0]:10.2f} ms -> {1000 * head[0]:10.2f} ms   "
                      f"median {head[0] / base[0]:.3f}  minimum {head[1] / base[1]:.3f}", flush=True)
                if options.json:
                    options.json.write_text(json.dumps(results, indent=1) + "\n")
    worst = max(results, key=lambda result: result["ratio_median"])
    print(f"largest ratio of medians: {worst['ratio_median']:.3f} ({worst['row']}, {worst['dtype']})")


if __name__ == "__main__":
    sys.exit(main())
