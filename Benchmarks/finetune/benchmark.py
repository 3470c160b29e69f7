#!/usr/bin/env python3
"""Steps of cached contrastive training beside sentence-transformers, in turn on the same batches; README.md tells more."""

import argparse
import contextlib
import json
import os
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Benchmarks/compare"))

import report
from checkpoints import checkpoint
from rows import random_sequences, text_lengths
from runners import Runner, ask_alone

COLUMNS, SHORTEST, LONGEST = 3, 8, 512
RATE = 1e-5
# How far from the original's in float64 the first loss and its gradients' norm may be, relatively: its float32 sums over a
# batch lose as much as is allowed. In bfloat16, how far from its own.
AGREEMENT = {"float32": 1e-4, "bfloat16": 3e-2}
WANTED, WANTED_MEMORY = 2.0, 1 / 3


class Contender(Runner):
    """A process that answers the requests of original.py."""

    def __init__(self, program, dtype, folder, threads, log):
        self.program, self.dtype = program, dtype
        script = [sys.executable, Path(__file__).parent / "original.py"]
        command = [ROOT / ".build/release/ettin-probe", "bench-contrastive"] if program == "ettin" else script
        self.start([*command, folder, dtype, str(threads)], log)


def batch(rows, mean):
    """The ids of a batch's columns, whose lengths are log-normal."""
    lengths = text_lengths(COLUMNS * rows, SHORTEST, LONGEST, mean)
    sequences = random_sequences(lengths)
    return [sequences[start : start + rows] for start in range(0, len(sequences), rows)]


class Comparison:
    def __init__(self, options, dtype, folder, log):
        self.options, self.dtype, self.folder, self.log = options, dtype, folder, log
        self.runners = [self.start("ettin"), self.start("original")]

    def start(self, program):
        return Contender(program, self.dtype, self.folder, self.options.threads, self.log)

    def ask(self, runner, request):
        others = [other for other in self.runners if other is not runner]
        reply, meanwhile = ask_alone(runner, others, request, self.options.pause)
        return reply, meanwhile

    def run(self, mean):
        columns = batch(self.options.batch, mean)
        request = {"op": "step", "columns": columns, "learning_rate": RATE}
        self.check(request)
        tokens = sum(len(sequence) for column in columns for sequence in column)
        # The original takes turns with the size that is asked for and with its best.
        sizes = [self.options.mini_batch]
        ours, theirs = self.runners
        tried = {size: self.once(theirs, request, size) for size in sorted({*self.options.tried, *sizes})}
        best = min(tried, key=tried.get)
        # What a process keeps of larger slices would count as its memory: each size has a process that saw no other.
        theirs.close()
        theirs = self.start("original")
        fastest = theirs if best == sizes[0] else self.start("original")
        self.runners = [ours, *dict.fromkeys([theirs, fastest])]
        entries = {(ours, sizes[0]): [], (theirs, sizes[0]): []} | {(fastest, best): []}
        for runner, size in list(entries)[1:]:
            self.once(runner, request, size)
        busy = seconds = 0.0
        peaks = {}
        for _ in range(self.options.rounds):
            for (runner, size), times in entries.items():
                runner.ask({"op": "memory"})
                reply, meanwhile = self.ask(runner, request | {"mini_batch_size": size})
                times += reply["seconds"]
                peak = runner.ask({"op": "memory"})["peak_memory_bytes"]
                peaks[runner, size] = max(peak, peaks.get((runner, size), 0))
                if meanwhile:
                    busy += meanwhile["other_processes"]
                    seconds += meanwhile["seconds"]
        self.runners = [ours, theirs]
        if fastest is not theirs:
            fastest.close()
        return {
            "dtype": self.dtype, "mean": mean, "tokens": tokens, "tried": tried,
            "other_processes_load": busy / seconds if seconds else None,
            "runners": [
                {
                    "program": runner.program, "mini_batch_size": size, "seconds": times,
                    "tokens_per_second": tokens / statistics.median(times), "peak_memory_bytes": peaks[runner, size],
                }
                for (runner, size), times in entries.items()
            ],
        }

    def once(self, runner, request, size):
        return min(self.ask(runner, request | {"mini_batch_size": size})[0]["seconds"])

    def check(self, request):
        """That both do the same work: loss and norm of a step that changes nothing; this warms up too."""
        request = request | {"mini_batch_size": self.options.mini_batch, "learning_rate": 0}
        replies = [self.ask(runner, request)[0] for runner in self.runners]
        if self.dtype == "float32":
            exact = Contender("original", "float64", self.folder, self.options.threads, self.log)
            replies[1] = exact.ask(request)
            exact.close()
        for key in ("loss", "grad_norm"):
            ours, theirs = (reply[key] for reply in replies)
            apart = abs(ours - theirs) / abs(theirs)
            print(f"{self.dtype}: {key} {ours:.6g}, the original's {theirs:.6g}", file=sys.stderr)
            if not apart <= AGREEMENT[self.dtype]:
                raise SystemExit(f"error: {self.dtype}: {key} is {ours}, the original's {theirs}")

    def close(self):
        for runner in self.runners:
            runner.close()


def table(results, options):
    header = ["data type", "mean tokens", "runner", "mini batch", "tokens/s", "ratio", "peak MB", "ratio"]
    rows = []
    for result in results:
        ours = result["runners"][0]
        for entry in result["runners"]:
            faster = ours["tokens_per_second"] / entry["tokens_per_second"]
            smaller = ours["peak_memory_bytes"] / entry["peak_memory_bytes"]
            rows.append([
                result["dtype"], str(result["mean"]), entry["program"], str(entry["mini_batch_size"]),
                f"{entry['tokens_per_second']:,.0f}", "" if entry is ours else f"{faster:.2f}",
                f"{entry['peak_memory_bytes'] / 1e6:,.0f}", "" if entry is ours else f"{smaller:.2f}",
            ])  # fmt: skip
    return report.table(header, rows, options.markdown)


def verdict(results):
    """The least ratios, against the original at its best."""
    lines = []
    for result in results:
        ours, *others = result["runners"]
        speed = min(ours["tokens_per_second"] / entry["tokens_per_second"] for entry in others)
        memory = max(ours["peak_memory_bytes"] / entry["peak_memory_bytes"] for entry in others)
        lines.append(
            f"{result['dtype']}, mean {result['mean']}: speed × {speed:.2f} ({'' if speed >= WANTED else 'not '}≥ {WANTED:g}), "
            f"memory × {memory:.2f} ({'' if memory <= WANTED_MEMORY else 'not '}≤ 1/3)")
        load = result["other_processes_load"] or 0
        if load > 0.05:
            lines.append(f"  other processes kept {load:.2f} processors busy: times are too long")
    return "\n".join(lines)


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(";")[0])
    parser.add_argument("--batch", type=int, default=256, help="rows of a batch (256)")
    parser.add_argument("--mini-batch", type=int, default=32, help="rows of a slice (32)")
    parser.add_argument("--tried", type=numbers, default=[8, 16, 32, 64, 128], help="slices among which the original's best is found")
    parser.add_argument("--means", type=numbers, default=[60, 150], help="mean lengths of texts, in tokens (60,150)")
    parser.add_argument("--dtypes", type=lambda text: text.split(","), default=["float32", "bfloat16"])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (5)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--size", default="17m", help="shape of the model (17m)")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two runners (0.1)")
    parser.add_argument("--work", type=Path, default=ROOT / ".deps/compare-models", help="where models are kept")
    parser.add_argument("--json", type=Path, help="file for every time and figure")
    parser.add_argument("--markdown", action="store_true", help="a table for a README")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    folder = checkpoint(ROOT / ".build/release/ettin", options.work, "encoder", options.size)
    print(f"{report.instruction_set()}, {options.threads} threads, encoder {options.size}, batch {options.batch}")
    results = []
    for dtype in options.dtypes:
        with contextlib.ExitStack() as stack:
            comparison = Comparison(options, dtype, folder, stack.enter_context(open(os.devnull, "w")))
            stack.callback(comparison.close)
            results += [comparison.run(mean) for mean in options.means]
    print(table(results, options))
    print(verdict(results))
    if options.json:
        document = {"machine": report.machine(), "threads": options.threads, "batch": options.batch, "results": results}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
