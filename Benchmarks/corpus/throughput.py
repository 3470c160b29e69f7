"""Raw text to chunked token data: `ettin data` beside Hugging Face `datasets` + `tokenizers`, in one run.

    make build && python3 -m venv .deps/throughput && .deps/throughput/bin/pip install datasets tokenizers
    .deps/throughput/bin/python Benchmarks/corpus/throughput.py --text FILE… --tokenizer FOLDER \\
        [--megabytes 200] [--rounds 3] [--processes 2] [--only-ours] [--output results.json]

--text are JSON Lines files with "text"; they are repeated, each time with other numbers in front of the documents, until
there are as many megabytes as asked for. Both sides tokenise with a prefix space, cut every document into pieces of
1022 ids, drop pieces below 128, fill pieces below 512 from the one before, re-encode each piece's text, and write the
result. Rates are megabytes of text per second over both stages; memory is the largest process of each side.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ETTIN = Path(os.environ.get("ETTIN_BIN_DIR", ROOT / ".build/release")) / "ettin"
ORIGINAL = '''
import random, sys
import datasets
from tokenizers import Tokenizer

source, folder, out, processes = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
datasets.disable_progress_bars()
state = {}

def tokenizer():
    if "tokenizer" not in state:
        loaded = Tokenizer.from_file(folder + "/tokenizer.json")
        loaded.pre_tokenizer.add_prefix_space = True
        state["tokenizer"] = loaded
    return state["tokenizer"]

def tokenize(batch):
    encodings = tokenizer().encode_batch_fast(batch["text"])
    return {"input_ids": [encoding.ids for encoding in encodings]}

def finish(pieces):
    texts = tokenizer().decode_batch(pieces, skip_special_tokens=True)
    again = [i for i, text in enumerate(texts) if not text.startswith(" ")]
    for i, encoding in zip(again, tokenizer().encode_batch_fast([texts[i] for i in again])):
        pieces[i] = encoding.ids[:1024]
    return [piece if piece[:1] == [50281] else [50281] + piece for piece in pieces]

def chunk(batch):
    draws, chunks = random.Random(42), []
    for ids in batch["input_ids"]:
        pieces = []
        for i, start in enumerate(range(0, len(ids), 1022)):
            piece = ids[start : start + 1022]
            if len(piece) < 128 and i > 0:
                continue
            if len(piece) < 512 and pieces:
                taken = draws.randrange(0, 1022 - len(piece))
                if taken:
                    piece = pieces[-1][-taken:] + piece
                    pieces[-1] = pieces[-1][:-taken]
            pieces.append(piece)
        chunks += pieces
    return {"input_ids": finish(chunks)}

data = datasets.load_dataset("json", data_files=source, split="train", cache_dir=out + "/cache")
data = data.map(tokenize, batched=True, batch_size=1000, num_proc=processes, remove_columns=data.column_names)
data = data.map(chunk, batched=True, batch_size=1000, num_proc=processes)
data.save_to_disk(out + "/saved")
print(sum(len(row) for batch in data.iter(1000) for row in batch["input_ids"]))
'''


def make_text(files, path, size):
    documents = [json.loads(line)["text"] for file in files for line in open(file, encoding="utf-8")]
    written = number = 0
    with open(path, "w", encoding="utf-8") as output:
        while written < size:
            for text in documents:
                number += 1
                line = json.dumps({"id": str(number), "text": f"{number * 7919 % 1000003} {text}"}, ensure_ascii=False)
                written += output.write(line + "\n")
                if written >= size:
                    break
    return path.stat().st_size


def run(command, environment=None):
    """Runs a command; returns seconds, the largest process's memory in MB, and standard output."""
    start = time.perf_counter()
    # A small process in between, because a new one starts with the peak memory of the one that starts it.
    script = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "if done.returncode: sys.exit(done.stderr.decode())\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, flush=True)\n"
        "sys.stdout.buffer.write(done.stdout)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script, *map(str, command)], check=True, stdout=subprocess.PIPE, env=environment
    )
    seconds = time.perf_counter() - start
    memory, output = done.stdout.decode().split("\n", 1)
    return seconds, int(memory) / 1024, output


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", nargs="+", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as work:
        work = Path(work)
        size = make_text(options.text, work / "text.jsonl", options.megabytes * 1e6) / 1e6
        report = {"megabytes": size, "ours": [], "original": []}
        for _ in range(options.rounds):
            shutil.rmtree(work / "ours", ignore_errors=True)
            common = ["--tokenizer", options.tokenizer, "--threads", options.processes, "--json", "--output"]
            text, tokens, chunks = work / "text.jsonl", work / "ours/tokens", work / "ours/chunks"
            first = run([ETTIN, "data", "tokenize", text, *common, tokens])
            second = run([ETTIN, "data", "chunk", tokens, *common, chunks])
            report["ours"].append({
                "seconds": first[0] + second[0], "tokenize_seconds": first[0], "memory_mb": max(first[1], second[1]),
                "tokens": json.loads(second[2])["tokens"],
            })
            if options.only_ours:
                continue
            shutil.rmtree(work / "original", ignore_errors=True)
            # One thread for each of its processes.
            alone = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
            arguments = [text, options.tokenizer, work / "original", options.processes]
            seconds, memory, output = run([sys.executable, "-c", ORIGINAL, *arguments], os.environ | alone)
            report["original"].append({"seconds": seconds, "memory_mb": memory, "tokens": int(output.split()[-1])})
    for name in ["ours", "original"]:
        if not report[name]:
            continue
        best = min(report[name], key=lambda entry: entry["seconds"])
        rate = report["megabytes"] / best["seconds"]
        tokens = best["tokens"] / best["seconds"] / 1e6
        memory = max(entry["memory_mb"] for entry in report[name])
        print(f"{name:10}{rate:8.1f} MB/s, {tokens:.2f} M of {best['tokens']} tokens/s, {memory:.0f} MB")
    if report["original"]:
        fastest = {name: min(entry["seconds"] for entry in report[name]) for name in ["ours", "original"]}
        report["ratio"] = fastest["original"] / fastest["ours"]
        print(f"ratio     {report['ratio']:8.1f}")
    if options.output:
        options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
