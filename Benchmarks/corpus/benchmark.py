"""Tokenising and chunking beside Hugging Face `datasets` and `tokenizers`, in interleaved rounds on the same file.

    ETTIN_BIN_DIR=.build/release ETTIN_SHARED=../shared python Benchmarks/corpus/benchmark.py [--megabytes 200]
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ORIGINAL = """
import json, os, sys
os.environ["TOKENIZERS_PARALLELISM"] = "false"
import datasets
from tokenizers import Tokenizer
source, folder, output, processes = sys.argv[1:]
datasets.disable_caching()
datasets.disable_progress_bars()
settings = json.load(open(folder + "/tokenizer.json"))
settings["pre_tokenizer"]["add_prefix_space"] = True
tokenizer = Tokenizer.from_str(json.dumps(settings))
def chunks(batch):
    encodings = tokenizer.encode_batch_fast(batch["text"])
    return {"input_ids": [e.ids[i:i + 1022] for e in encodings for i in range(0, len(e.ids), 1022)]}
data = datasets.load_dataset("json", data_files=source, split="train", cache_dir=output + "/cache")
data = data.map(chunks, batched=True, batch_size=100, num_proc=int(processes), remove_columns=data.column_names)
data.save_to_disk(output + "/data")
"""


def make_corpus(shared, path, size):
    """Real prose, repeated with variation."""
    text = [p.read_text(encoding="utf-8") for p in sorted(Path(shared, "data/corpus").rglob("*")) if p.is_file()]
    paragraphs = [line for line in "\n".join(text).split("\n") if len(line) > 40]
    chooser, written, index = random.Random(0), 0, 0
    with open(path, "w", encoding="utf-8") as file:
        while written < size:
            start = chooser.randrange(len(paragraphs))
            count = chooser.choice([1, 3, 8, 30])
            lines = [f"{paragraphs[(start + step) % len(paragraphs)]} {index}" for step in range(count)]
            file.write(json.dumps({"id": f"d{index}", "text": "\n".join(lines)}, ensure_ascii=False) + "\n")
            written += sum(len(line.encode()) + 1 for line in lines)
            index += 1
    return written


def measured(commands):
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.perf_counter() - start, "processor": processor}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    shared = os.environ["ETTIN_SHARED"]
    probe = os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "CorpusProbe")
    tokenizer = os.path.join(shared, "data/tokenizer/modernbert")
    results = {"ours": [], "original": []}
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "a.jsonl")
        size = make_corpus(shared, source, options.megabytes * 1_000_000)
        for _ in range(options.rounds):
            ours = os.path.join(folder, "ours")
            common = {"tokenizer": tokenizer, "threads": options.threads}
            results["ours"].append(measured([
                [probe, "tokenize", json.dumps({**common, "inputs": [source], "output": f"{ours}/tokens"})],
                [probe, "chunk", json.dumps({**common, "input": f"{ours}/tokens", "output": f"{ours}/chunks"})],
            ]))
            tokens = json.load(open(f"{ours}/chunks/manifest.json"))["results"]["tokens"]
            original = os.path.join(folder, "original")
            os.mkdir(original)
            results["original"].append(measured(
                [[sys.executable, "-c", ORIGINAL, source, tokenizer, original, str(options.threads)]]
            ))
            shutil.rmtree(ours)
            shutil.rmtree(original)
    best = {name: {key: min(run[key] for run in runs) for key in runs[0]} for name, runs in results.items()}
    for name, figures in best.items():
        print(
            f"{name}: {figures['wall']:.1f} s, {figures['processor']:.1f} s of processor time; "
            f"{size / figures['wall'] / 1e6:.1f} MB/s of text, {tokens / figures['wall'] / 1e6:.2f} million tokens/s"
        )
    for key in ("wall", "processor"):
        print(f"ratio, {key}: {best['original'][key] / best['ours'][key]:.1f}")


if __name__ == "__main__":
    main()
