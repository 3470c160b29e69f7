"""Runs ettin and its peers in turn on the same models and inputs and prints what each takes; see README.md.

    Benchmarks/compare/run [--rows 'latency-*,texts-*'] [--rounds 5] [--peers onnxruntime,openvino] [--markdown]
"""

import argparse
import fnmatch
import json
import math
import os
import statistics
import sys
from pathlib import Path

import checkpoints
import report
from rows import all_rows, random_sequences, text_lengths, text_sequences
from runners import PROGRAMS, TASKS, TEXT_TASKS, Runner, Unavailable, ask_alone
from text_models import model_folder, vectors_folder
from text_rows import text_rows, texts_folder, texts_of_rows

ROOT = Path(__file__).resolve().parents[2]


def parse_options():
    parser = argparse.ArgumentParser(prog="Benchmarks/compare/run", allow_abbrev=False)
    parser.add_argument("--rows", default="*", help="names of rows, with * and ?, separated by commas")
    parser.add_argument("--list", action="store_true", help="print the rows and end")
    parser.add_argument("--rounds", type=int, default=5, help="how often each runner has its turn (5)")
    parser.add_argument("--peers", help="which peers, separated by commas; all unless given")
    parser.add_argument("--dtypes", help="which types, separated by commas; all unless given")
    parser.add_argument("--threads", type=int, help="threads of each runner; one a processor unless given")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds between two runners (0.1)")
    parser.add_argument("--texts", type=Path, help="a text file, one text a line, for the rows of texts")
    parser.add_argument("--tokenizer", type=Path, help="the folder of the tokenizer for --texts")
    parser.add_argument("--work", type=Path, default=ROOT / ".deps/compare-models", help="where models are kept")
    parser.add_argument("--json", type=Path, help="a file for all times and figures")
    parser.add_argument("--markdown", action="store_true", help="print tables for a README")
    parser.add_argument("--no-check", action="store_true", help="do not compare outputs before timing")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}; expected 1 or more")
    if (options.texts is None) != (options.tokenizer is None):
        parser.error("--texts and --tokenizer go together")
    options.peers = choice(parser, "--peers", options.peers, [name for name in PROGRAMS if name != "ettin"])
    options.dtypes = choice(parser, "--dtypes", options.dtypes, PROGRAMS["ettin"])
    options.threads = options.threads or len(os.sched_getaffinity(0))
    return options


def choice(parser, flag, given, known):
    names = given.split(",") if given else list(known)
    for name in names:
        if name not in known:
            parser.error(f'{flag} names "{name}"; expected some of {", ".join(known)}')
    return names


class Comparison:
    def __init__(self, options, texts):
        self.options, self.texts = options, texts
        self.ettin, self.probe = (ROOT / ".build/release" / name for name in ["ettin", "ettin-probe"])
        for binary in [self.ettin, self.probe]:
            if not binary.exists():
                raise SystemExit(f"error: {binary} is missing; expected `make build` to have run")
        options.work.mkdir(parents=True, exist_ok=True)
        self.log = open(options.work / "runners.log", "w")
        self.runners, self.place, self.checked = [], None, set()

    def open_runners(self, row):
        """The runners of a row: those of the row before where the model is the same, otherwise new ones."""
        place = (row.kind, row.size, row.task)
        if self.place == place:
            return {}
        self.close()
        folder = self.folder(row)
        if row.task == "encode" and {"onnxruntime", "openvino"} & set(self.options.peers):
            checkpoints.export(folder)
        missing = {}
        for program in ["ettin", *self.options.peers]:
            if row.task not in TASKS.get(program, ("encode",)):
                continue
            for dtype in PROGRAMS[program]:
                if dtype not in self.options.dtypes or (row.task == "train" and dtype == "int8"):
                    continue
                try:
                    self.runners.append(
                        Runner(program, dtype, folder, row.task, self.options.threads, self.probe, self.log)
                    )
                except Unavailable as reason:
                    missing[f"{program} {dtype}"] = str(reason)
        self.place = place
        return missing

    def folder(self, row):
        """The model of a row, made if it is not there."""
        work = self.options.work
        if row.task not in TEXT_TASKS:
            return checkpoints.checkpoint(self.ettin, work, row.kind, row.size)
        folder = texts_folder(self.ettin, work, self.texts)
        if row.task == "maxsim":
            return vectors_folder(folder, int(row.size))
        return model_folder(row.task, row.size, checkpoints.checkpoint(self.ettin, work, row.kind, row.size), folder)

    def close(self):
        for runner in self.runners:
            runner.close()
        self.runners, self.place = [], None

    def check_outputs(self, row):
        """The least cosine of what a peer in float32 and another runner make of the first inputs."""
        few = {key: value[:8] for key, value in row.request.items() if key in ["pairs", "texts"]}
        request = row.request | few | {"outputs": True}
        reference = next((r for r in self.runners if r.program != "ettin" and r.dtype == "float32"), None)
        if reference is None:
            return {}
        expected = reference.ask(request)["outputs"]
        # Scores alone have no direction; together they have.
        joined = row.task in ["rerank", "tag", "maxsim"]
        cosines = {}
        for runner in self.runners:
            if runner is reference:
                continue
            rows = list(zip(expected, runner.ask(request)["outputs"], strict=True))
            if joined:
                rows = [tuple(sum(side, []) for side in zip(*rows))]
            cosines[runner.name] = min(
                cosine(*pair) if len(pair[0]) == len(pair[1]) else math.nan for pair in rows)
        return cosines

    def check(self, row):
        """The least cosine between a token's hidden states and those of transformers in float32, by runner."""
        if row.task in TEXT_TASKS:
            return self.check_outputs(row)
        reference = next((r for r in self.runners if (r.program, r.dtype) == ("transformers", "float32")), None)
        if reference is None or row.task != "encode" or row.size in self.checked:
            return {}
        self.checked.add(row.size)
        request = {"op": "hidden", "sequences": random_sequences([16, 40, 200])}
        expected = [token for state in reference.ask(request)["hidden"] for token in state]
        cosines = {}
        for runner in self.runners:
            if runner is reference or "hidden" not in runner.operations:
                continue
            found = [token for state in runner.ask(request)["hidden"] for token in state]
            cosines[runner.name] = min(cosine(*pair) for pair in zip(expected, found, strict=True))
        return cosines

    def run(self, row):
        unavailable = self.open_runners(row)
        cosines = {} if self.options.no_check else self.check(row)
        for name, value in cosines.items():
            print(f"{name}: least cosine to the original's float32 {value:.6f}", file=sys.stderr)
        runners = [runner for runner in self.runners if runner.program not in row.without]
        entries = {
            runner.name: {"program": runner.program, "dtype": runner.dtype, "seconds": [], "batching": None}
            for runner in runners
        }
        load = {"seconds": 0.0, "idle_runners": 0.0, "other_processes": 0.0}

        def turn(runner, request, measured):
            others = [other for other in self.runners if other is not runner]
            reply, meanwhile = ask_alone(runner, others, request, self.options.pause)
            if measured and meanwhile:
                for key in load:
                    load[key] += meanwhile[key]
            return reply

        for runner in runners:
            runner.ask({"op": "memory"})
        alive = list(runners)
        rounds = min(self.options.rounds, row.max_rounds)
        for number in range(-row.warmups, rounds):
            for runner in list(alive):
                entry = entries[runner.name]
                try:
                    if number < 0:
                        self.warm_up(row, runner, entry, lambda request: turn(runner, request, False))
                        continue
                    request = row.request | {"repeat": row.repeat}
                    reply = turn(runner, with_batching(request, entry["batching"]), True)
                    entry["seconds"] += reply["seconds"]
                    entry["tokens"] = reply.get("tokens")
                except Unavailable as reason:
                    unavailable[runner.name] = str(reason)
                    alive.remove(runner)
                    del entries[runner.name]
        for runner in alive:
            entries[runner.name]["peak_memory_bytes"] = runner.ask({"op": "memory"})["peak_memory_bytes"]
        self.runners = [runner for runner in self.runners if runner.process.poll() is None]
        return result(row, [entries[runner.name] for runner in alive], unavailable, cosines, load)

    def warm_up(self, row, runner, entry, ask):
        """A round that does not count; where there are several ways to batch, it finds the runner's best."""
        request = row.request | row.warmup
        if runner.program == "ettin" or row.batchings == ("all",):
            ask(request)
            return
        times = {}
        for batching in row.batchings:
            repeat = {} if row.task in TEXT_TASKS else {"repeat": 2}
            times[batching] = min(ask(with_batching(request | repeat, batching))["seconds"])
        entry["batching"] = min(times, key=times.get)
        entry["batching_seconds"] = times
        # Memory is that of the best way alone.
        runner.ask({"op": "memory"})


def with_batching(request, batching):
    return request if batching is None else request | {"batching": batching}


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def result(row, entries, unavailable, cosines, load):
    """All figures of a row, ratios included; a ratio above 1 says that we are the faster."""
    for entry in entries:
        entry["min_ms"] = 1000 * min(entry["seconds"])
        entry["median_ms"] = 1000 * statistics.median(entry["seconds"])
        entry["per_second"] = row.amount / statistics.median(entry["seconds"])
    peers = [entry for entry in entries if entry["program"] != "ettin"]
    generated = {f"{entry['program']} {entry['dtype']}": entry.pop("tokens", None) for entry in entries}
    for entry in entries:
        if entry["program"] != "ettin":
            continue
        for scope, group in [("class", [p for p in peers if p["dtype"] == entry["dtype"]]), ("all", peers)]:
            if group:
                entry[f"ratio_{scope}"] = {
                    key: min(peer[f"{key}_ms"] for peer in group) / entry[f"{key}_ms"] for key in ["min", "median"]
                }
        if peers:
            entry["memory_ratio"] = entry["peak_memory_bytes"] / min(peer["peak_memory_bytes"] for peer in peers)
        reference = generated.get("transformers float32")
        if row.task == "generate" and reference:
            ours = generated[f"ettin {entry['dtype']}"]
            entry["tokens_like_transformers_float32"] = statistics.mean(
                sum(x == y for x, y in zip(*pair)) / row.request["new_tokens"] for pair in zip(ours, reference)
            )
    return {
        "row": row.name,
        "title": row.title,
        "amount": row.amount,
        "unit": row.unit,
        "wanted": row.wanted,
        "wanted_memory": row.wanted_memory,
        "runners": entries,
        "unavailable": unavailable,
        "least_cosine": cosines,
        # Processors kept busy while a runner was timed: by runners whose turn it was not, and by anybody else.
        "idle_runners_load": load["idle_runners"] / load["seconds"] if load["seconds"] else None,
        "other_processes_load": load["other_processes"] / load["seconds"] if load["seconds"] else None,
    }


def main():
    options = parse_options()
    texts = (
        text_sequences(options.texts, options.tokenizer) if options.texts else random_sequences(text_lengths())
    )
    patterns = options.rows.split(",")
    long_texts = texts_of_rows(options.texts)
    rows = [*all_rows(texts), *text_rows(long_texts)]
    rows = [row for row in rows if any(fnmatch.fnmatch(row.name, pattern) for pattern in patterns)]
    if not rows:
        raise SystemExit(f'error: --rows is "{options.rows}", which no row matches; --list prints them')
    if options.list:
        for row in rows:
            print(f"{row.name:20} {row.title}")
        return
    # Rows of one model follow each other, so that it is loaded once.
    tasks = ["encode", "generate", "train", *TEXT_TASKS]
    rows.sort(key=lambda row: (tasks.index(row.task), row.kind, row.size != "17m"))
    comparison = Comparison(options, long_texts)
    print(report.instruction_set(), file=sys.stderr)
    results = []
    try:
        for row in rows:
            print(f"{row.title} …", file=sys.stderr)
            results.append(comparison.run(row))
            print(report.row_table(results[-1], options.markdown), flush=True)
            if options.json:
                document = {"machine": report.machine(), "threads": options.threads, "rows": results}
                options.json.write_text(json.dumps(document, indent=1) + "\n")
    finally:
        comparison.close()
    print(report.summary(results, options.markdown))


if __name__ == "__main__":
    main()
