#!/usr/bin/env python3
"""Training steps beside the original libraries, in turn on the same batches; README.md tells more."""

import argparse
import contextlib
import json
import os
import random
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Benchmarks/compare"))

import report
from checkpoints import checkpoint
from rows import SEED, random_sequences, text_lengths
from runners import PYTHONS, Runner, ask_alone
from text_models import model_folder
from text_rows import texts_folder, texts_of_rows

RATE = 1e-5
# How far from the original's in float64 the first loss and its gradients' norm may be, relatively: its float32 sums over a
# batch lose as much as is allowed. In bfloat16, how far from its own.
AGREEMENT = {"float32": 1e-4, "bfloat16": 3e-2}
WANTED, GOAL, WANTED_MEMORY = 2.0, 3.0, 1 / 3


class Task:
    """What is trained: its batches, its model, and the library that it is compared with."""

    def __init__(self, name, original, rows, model=None, checked=None):
        self.name, self.original, self.rows, self.model = name, original, rows, model
        # How many rows of the batch the first step has, where the original needs much memory in float64; all for None.
        self.checked = checked

    def folder(self, options):
        """The folder of the model with random weights, made if it is not there."""
        ettin = ROOT / ".build/release/ettin"
        plain = checkpoint(ettin, options.work, "encoder", options.size)
        if not self.model:
            return plain
        return model_folder(self.model, options.size, plain, texts_folder(ettin, options.work, texts_of_rows()))

    def requests(self, options, folder):
        """What each row is called, with its request, whose ids are those of the model."""
        # PyLate cuts the vocabulary to that of the tokenizer.
        size = json.loads((folder / "config.json").read_text())["vocab_size"]
        for title, request in self.rows(options):
            yield title, request | {"columns": [[[id % size for id in ids] for ids in column] for column in request["columns"]]}


def sequences(count, shortest, longest, mean, seed=SEED):
    """Random ids of log-normal lengths."""
    return random_sequences(text_lengths(count, shortest, longest, mean), seed)


def contrastive(options):
    for mean in options.means:
        ids = sequences(3 * options.batch, 8, 512, mean)
        columns = [ids[start : start + options.batch] for start in range(0, len(ids), options.batch)]
        yield f"mean {mean}", {"columns": columns, "mini_batch_size": options.mini_batch}


def colbert(options):
    queries, ways = 16, 8
    scores = random.Random(SEED)
    yield f"{queries} × {ways}", {
        "columns": [sequences(queries, 4, 32, 12), sequences(queries * ways, 8, 180, 110, SEED + 1)],
        "labels": [[scores.uniform(-5, 15) for _ in range(ways)] for _ in range(queries)],
        "query_length": 32, "document_length": 180,
    }


def sparse(options):
    rows = 16
    yield f"{rows} pairs", {"columns": [sequences(rows, 6, 64, 16), sequences(rows, 8, 256, 120, SEED + 1)]}


def reranker(options):
    pairs = 64
    yield f"{pairs} pairs", {"columns": [sequences(pairs, 16, 512, 150)], "labels": [index % 4 // 3 for index in range(pairs)]}


def classifier(options):
    # RTE: half of the pairs have fewer than 57 tokens, the mean is 72.
    rows = 16
    yield f"{rows} pairs", {"columns": [sequences(rows, 16, 256, 72)], "labels": [index % 2 for index in range(rows)]}


TASKS = {
    task.name: task
    for task in [
        Task("contrastive", "sentence-transformers", contrastive), Task("colbert", "PyLate", colbert, "late"),
        Task("sparse", "sentence-transformers", sparse, "sparse", checked=4),
        Task("reranker", "sentence-transformers", reranker, "rerank"),
        Task("classifier", "transformers", classifier, "classify"),
    ]
}


class Contender(Runner):
    """A process that answers the requests of original.py."""

    def __init__(self, program, task, dtype, folder, threads, log):
        self.program, self.dtype = program, dtype
        python = PYTHONS["pylate"] if task.name == "colbert" else sys.executable
        script = [python, Path(__file__).parent / "original.py"]
        command = [ROOT / ".build/release/ettin-probe", "bench-finetune"] if program == "ettin" else script
        self.start([*command, task.name, folder, dtype, str(threads)], log)


class Comparison:
    def __init__(self, options, task, dtype, folder, log):
        self.options, self.task, self.dtype, self.folder, self.log = options, task, dtype, folder, log
        self.runners = [self.start("ettin"), self.start("original")]

    def start(self, program, dtype=None):
        return Contender(program, self.task, dtype or self.dtype, self.folder, self.options.threads, self.log)

    def ask(self, runner, request):
        others = [other for other in self.runners if other is not runner]
        reply, meanwhile = ask_alone(runner, others, request, self.options.pause)
        return reply, meanwhile

    def run(self, title, request):
        request = {"op": "step", "learning_rate": RATE} | request
        self.check(request)
        tokens = sum(len(ids) for column in request["columns"] for ids in column)
        entries, tried = self.entries(request)
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
        for runner in self.runners[2:]:
            runner.close()
        del self.runners[2:]
        return {
            "task": self.task.name, "row": title, "dtype": self.dtype, "tokens": tokens, "tried": tried,
            "other_processes_load": busy / seconds if seconds else None,
            "runners": [
                {
                    "program": "ettin" if runner is self.runners[0] else self.task.original, "mini_batch_size": size,
                    "seconds": times, "tokens_per_second": tokens / statistics.median(times),
                    "peak_memory_bytes": peaks[runner, size],
                }
                for (runner, size), times in entries.items()
            ],
        }

    def entries(self, request):
        """Who takes turns, with which slices: where there are some, the original with ours and with its best."""
        ours, theirs = self.runners
        size = request.get("mini_batch_size")
        if size is None:
            self.once(theirs, request, None)
            return {(ours, None): [], (theirs, None): []}, {}
        tried = {other: self.once(theirs, request, other) for other in sorted({*self.options.tried, size})}
        best = min(tried, key=tried.get)
        # What a process keeps of larger slices would count as its memory: each size has a process that saw no other.
        theirs.close()
        theirs = self.start("original")
        fastest = theirs if best == size else self.start("original")
        self.runners = [ours, *dict.fromkeys([theirs, fastest])]
        entries = {(ours, size): [], (theirs, size): []} | {(fastest, best): []}
        for runner, other in list(entries)[1:]:
            self.once(runner, request, other)
        return entries, tried

    def once(self, runner, request, size):
        return min(self.ask(runner, request | {"mini_batch_size": size})[0]["seconds"])

    def check(self, request):
        """That both do the same work: loss and norm of a step that changes nothing; this warms up too."""
        request = request | {"learning_rate": 0}
        if self.task.checked:
            request["columns"] = [column[: self.task.checked] for column in request["columns"]]
        replies = [self.ask(runner, request)[0] for runner in self.runners]
        if self.dtype == "float32":
            exact = self.start("original", "float64")
            replies[1] = exact.ask(request)
            exact.close()
        for key in ("loss", "grad_norm"):
            ours, theirs = (reply[key] for reply in replies)
            apart = abs(ours - theirs) / abs(theirs)
            print(f"{self.task.name}, {self.dtype}: {key} {ours:.6g}, the original's {theirs:.6g}", file=sys.stderr)
            if not apart <= AGREEMENT[self.dtype]:
                raise SystemExit(f"error: {self.task.name}, {self.dtype}: {key} is {ours}, the original's {theirs}")

    def close(self):
        for runner in self.runners:
            runner.close()


def table(results, options):
    header = ["task", "data type", "batch", "runner", "mini batch", "tokens/s", "ratio", "peak MB", "ratio"]
    rows = []
    for result in results:
        ours = result["runners"][0]
        for entry in result["runners"]:
            faster = ours["tokens_per_second"] / entry["tokens_per_second"]
            smaller = ours["peak_memory_bytes"] / entry["peak_memory_bytes"]
            rows.append([
                result["task"], result["dtype"], result["row"], entry["program"], str(entry["mini_batch_size"] or ""),
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
        reached = f"≥ {GOAL:g}" if speed >= GOAL else f"{'' if speed >= WANTED else 'not '}≥ {WANTED:g}"
        lines.append(
            f"{result['task']}, {result['dtype']}, {result['row']}: speed × {speed:.2f} ({reached}), "
            f"memory × {memory:.2f} ({'' if memory <= WANTED_MEMORY else 'not '}≤ 1/3)")
        load = result["other_processes_load"] or 0
        if load > 0.05:
            lines.append(f"  other processes kept {load:.2f} processors busy: times are too long")
    return "\n".join(lines)


def numbers(text):
    return [int(part) for part in text.split(",")]


def names(text):
    for name in text.split(","):
        if name not in TASKS:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(TASKS)}")
    return text.split(",")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(";")[0])
    parser.add_argument("--tasks", type=names, default=list(TASKS), help=f"which rows ({','.join(TASKS)})")
    parser.add_argument("--batch", type=int, default=256, help="rows of a contrastive batch (256)")
    parser.add_argument("--mini-batch", type=int, default=32, help="rows of a slice (32)")
    parser.add_argument("--tried", type=numbers, default=[8, 16, 32, 64, 128], help="slices among which the original's best is found")
    parser.add_argument("--means", type=numbers, default=[60, 150], help="mean lengths of contrastive texts, in tokens (60,150)")
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
    print(f"{report.instruction_set()}, {options.threads} threads, encoder {options.size}")
    results = []
    for name in options.tasks:
        task = TASKS[name]
        folder = task.folder(options)
        for dtype in options.dtypes:
            with contextlib.ExitStack() as stack:
                comparison = Comparison(options, task, dtype, folder, stack.enter_context(open(os.devnull, "w")))
                stack.callback(comparison.close)
                results += [comparison.run(title, request) for title, request in task.requests(options, folder)]
    print(table(results, options))
    print(verdict(results))
    if options.json:
        document = {"machine": report.machine(), "threads": options.threads, "size": options.size, "results": results}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
