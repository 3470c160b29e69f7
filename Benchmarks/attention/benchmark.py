"""Attention beside libtorch's `scaled_dot_product_attention`, forward and backward, in one run.

    swift build -c release --product ettin-probe
    ETTIN_BIN_DIR=.build/release python Benchmarks/attention/benchmark.py [--output results.json] [--threads 2]

Rounds alternate between the two. Ours turns queries and keys by their positions on the way and reads them from the
matrix one projection makes; the other gets them apart, contiguous and already turned. A window is a boolean mask there,
made beforehand. Each figure is the best of the rounds. Then time and memory of local layers by length, each length in a
process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

CASES = [  # sequences, tokens, heads, left, right
    (1, 8192, 12, -1, -1),
    (1, 8192, 12, 64, 64),
    (1, 8192, 12, -1, 0),
    (1, 8192, 12, 127, 0),
    (8, 512, 12, -1, -1),
    (8, 512, 12, 64, 64),
    (32, 128, 4, -1, -1),
    (8, 1024, 4, -1, 0),
]


class Probe:
    def __init__(self, threads):
        path = Path(os.environ.get("ETTIN_BIN_DIR", ".build/release")) / "ettin-probe"
        self.process = subprocess.Popen(
            [str(path), "attention"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"},
        )

    def measure(self, sequences, tokens, heads, left, right, dtype):
        request = {
            "sequences": sequences, "tokens": tokens, "heads": heads, "width": 64,
            "left": left, "right": right, "dtype": dtype,
        }  # fmt: skip
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit("ettin-probe ended early")
        return json.loads(answer)

    def peak_memory(self):
        """Bytes; not what `getrusage` says, which counts the memory of this process at the fork."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) * 1024

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def original(sequences, tokens, heads, left, right, dtype):
    shape = (sequences, heads, tokens, 64)
    q, k, v = (torch.randn(shape, dtype=getattr(torch, dtype), requires_grad=True) for _ in range(3))
    mask, is_causal = None, left < 0 and right == 0
    if left >= 0:
        distance = torch.arange(tokens)[None, :] - torch.arange(tokens)[:, None]
        mask = (distance >= -left) & (distance <= right)
    start = time.perf_counter()
    output = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=is_causal)
    middle = time.perf_counter()
    gradient = torch.randn_like(output)
    begin = time.perf_counter()
    output.backward(gradient)
    return {"forward": middle - start, "backward": time.perf_counter() - begin}


def best(results):
    return {key: min(result[key] for result in results) for key in results[0]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--dtypes", nargs="*", default=["bfloat16", "float32"])
    parser.add_argument("--lengths", nargs="*", type=int, default=[1024, 2048, 4096, 8192, 16384, 32768, 65536])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    report = {"torch": torch.__version__, "threads": options.threads, "cases": [], "lengths": []}

    print(f"{'':34}{'forward ms':>12}{'torch':>10}{'ratio':>8}{'backward ms':>14}{'torch':>10}{'ratio':>8}")
    probe = Probe(options.threads)
    for dtype in options.dtypes:
        for case in CASES:
            probe.measure(*case, dtype)  # memory is touched for the first time
            ours, theirs = [], []
            for _ in range(options.rounds):
                ours.append(probe.measure(*case, dtype))
                theirs.append(original(*case, dtype))
            ours, theirs = best(ours), best(theirs)
            sequences, tokens, heads, left, right = case
            report["cases"].append({"dtype": dtype, "case": case, "ours": ours, "torch": theirs})
            line = f"{dtype:9} {sequences:3}×{tokens:<5} heads {heads:2} {left:4},{right:3}"
            for key in ("forward", "backward"):
                ratio = theirs[key] / ours[key]
                line += f"{ours[key] * 1e3:14.1f}{theirs[key] * 1e3:10.1f}{ratio:8.2f}"
            print(line, flush=True)
    probe.close()

    for length in options.lengths:
        probe = Probe(options.threads)
        result = best([probe.measure(1, length, 12, 64, 64, "bfloat16") for _ in range(options.rounds)])
        result["peak_bytes"] = probe.peak_memory()
        probe.close()
        report["lengths"].append({"tokens": length, **result})
        each = (result["forward"] + result["backward"]) / length * 1e6
        print(f"local, {length:6} tokens: {each:6.2f} µs a token, peak {result['peak_bytes'] / 2**20:7.0f} MB", flush=True)
    if options.output:
        options.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
