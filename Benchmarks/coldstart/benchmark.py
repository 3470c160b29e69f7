"""Whole-process time from nothing to the vector of one sentence: `ettin embed` beside Python, in interleaved rounds.

    make build && scripts/setup-interop interop Interop/requirements.txt
    .deps/interop/bin/python Benchmarks/coldstart/benchmark.py [--rounds 9] [--tokenizer FOLDER] [--output results.json]

The checkpoint has the 17M shape and random weights. --tokenizer takes a model's own tokenizer; without it one is trained
on this repository's text.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ETTIN = ROOT / ".build/release/ettin"
SENTENCE = "The quick brown fox jumps over the lazy dog."
SENTENCE_TRANSFORMERS = """
import sys
from sentence_transformers import SentenceTransformer
print(SentenceTransformer(sys.argv[1], device="cpu").encode([sys.argv[2]]).tolist())
"""
TRANSFORMERS = """
import sys, torch
from transformers import AutoTokenizer, ModernBertModel
tokenizer, model = AutoTokenizer.from_pretrained(sys.argv[1]), ModernBertModel.from_pretrained(sys.argv[1])
with torch.no_grad():
    print(model(**tokenizer(sys.argv[2], return_tensors="pt")).last_hidden_state.mean(1).tolist())
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        tokenizer = options.tokenizer
        if tokenizer is None:
            tokenizer = Path(work) / "tokenizer"
            texts = [str(path) for path in sorted(ROOT.glob("Sources/**/*.swift"))]
            subprocess.run([ETTIN, "tokenizer", "train", *texts, "--vocab-size", "8000", "-o", tokenizer], check=True)
        model = Path(work) / "model"
        subprocess.run(
            [ETTIN, "init", model, "--size", "17m", "--kind", "encoder", "--tokenizer", tokenizer], check=True
        )
        commands = {
            "ettin": [ETTIN, "embed", model, SENTENCE],
            "sentence-transformers": [sys.executable, "-c", SENTENCE_TRANSFORMERS, model, SENTENCE],
            "transformers": [sys.executable, "-c", TRANSFORMERS, model, SENTENCE],
        }
        environment = os.environ | {"HF_HUB_OFFLINE": "1"}
        times = {name: [] for name in commands}
        for round in range(options.rounds + 1):
            for name, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True, env=environment)
                # The first round fills the file cache.
                if round:
                    times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    report = {"seconds": medians, "ratio": {name: medians[name] / medians["ettin"] for name in medians}}
    for name, median in medians.items():
        print(f"{name:24}{median:8.3f} s{report['ratio'][name]:8.1f}x")
    if options.output:
        options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
