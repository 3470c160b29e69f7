#!/usr/bin/env python3
"""Whether the training loop costs anything: its steps beside the same steps alone, in turn in one process.

    Benchmarks/training/loop.py [--recipe Recipes/nano/encoder-pretrain.yaml] [--steps 60] [--rounds 3] [key=value ...]

Needs what `make demo` leaves in out/demo, or --data and --tokenizer. The loop adds reading batches, clipping norms, the
ledger, logs and the clock; evaluation and checkpoints are left out.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recipe", default=str(ROOT / "Recipes/nano/encoder-pretrain.yaml"))
    parser.add_argument("--data", default=str(ROOT / "out/demo/data"))
    parser.add_argument("--tokenizer", default=str(ROOT / "out/demo/tokenizer"))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            ROOT / ".build/release/ettin-probe", "training", "loop", str(options.steps), str(options.rounds),
            options.recipe,
            f"data_local={options.data}", f"tokenizer_name={options.tokenizer}", f"save_folder={folder}/run",
            *options.overrides,
        ]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rounds = [json.loads(line) for line in output.splitlines()]
        metrics = [json.loads(line) for line in Path(folder, "run/metrics.jsonl").read_text().splitlines()]
    ratios = [entry["bare_step"] / entry["loop_step"] for entry in rounds]
    for entry, ratio in zip(rounds, ratios):
        print(f"bare step {entry['bare_step'] * 1e3:7.1f} ms, in the loop {entry['loop_step'] * 1e3:7.1f} ms: {ratio:.1%}")
    wait = metrics[-1].get("throughput/data_wait_share", 0)
    print(f"median {statistics.median(ratios):.1%} of the bare step's throughput; waiting for data {wait:.2%}")


if __name__ == "__main__":
    main()
