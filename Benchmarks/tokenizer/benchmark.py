"""Speed and memory of our tokenizer beside the `tokenizers` library, in interleaved rounds on the same texts.

    ETTIN_BIN_DIR=.build/release ETTIN_SHARED=../shared python Benchmarks/tokenizer/benchmark.py [--output results.json]

Each library runs in its own process through its natural interface: ours with `encode` (ids and offsets), `encodeIDs`
and the batch calls, the original with a loop of `encode`, with `encode_batch` and `encode_batch_fast`. The better of
the original's is the one compared with. Each figure is the best of the rounds.
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ORIGINAL = """
import json, struct, sys, time
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1] + "/tokenizer.json")
data, texts, position = open(sys.argv[2], "rb").read(), [], 0
while position < len(data):
    (length,) = struct.unpack_from("<I", data, position)
    texts.append(data[position + 4 : position + 4 + length].decode("utf-8"))
    position += 4 + length
def measure(body):
    start = time.perf_counter(); result = body(); elapsed = time.perf_counter() - start
    del result
    return elapsed
report = {}
if sys.argv[3] == "1":
    report["encode"] = measure(lambda: [tokenizer.encode(text) for text in texts])
report["batch"] = measure(lambda: tokenizer.encode_batch(texts))
report["batch_fast"] = measure(lambda: tokenizer.encode_batch_fast(texts))
print(json.dumps(report))
"""


def peak_memory(command):
    """Runs a command; returns its output and its peak memory in MB."""
    script = (
        "import resource, subprocess, sys\n"
        "out = subprocess.run(sys.argv[1:], check=True, capture_output=True, text=True).stdout\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); print(out)"
    )
    output = subprocess.run(
        [sys.executable, "-c", script, *command], check=True, capture_output=True, text=True
    ).stdout.split("\n", 1)
    return output[1], int(output[0]) / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--megabytes", type=float, default=10)
    options = parser.parse_args()
    probe = [str(Path(os.environ.get("ETTIN_BIN_DIR", ".build/release")) / "ettin-probe"), "tokenizer"]
    shared = Path(os.environ.get("ETTIN_SHARED", "../shared"))
    folder = str(shared / "data/tokenizer/modernbert")
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as temporary:
        records, prose = Path(temporary) / "records", Path(temporary) / "prose.txt"
        size = 0
        with records.open("wb") as file, prose.open("wb") as text_file:
            for line in (shared / "data/corpus/english_novels/train.jsonl").open(encoding="utf-8"):
                text = json.loads(line)["text"].encode()
                text_file.write(text + b"\n")
                if size < options.megabytes * 1e6:
                    file.write(struct.pack("<I", len(text)) + text)
                    size += len(text)
        megabytes = size / 1e6
        best = {}

        def note(name, seconds):
            best[name] = max(best.get(name, 0), megabytes / seconds)

        for _ in range(options.rounds):
            for threads in [1, cores]:
                environment = dict(os.environ, TOKENIZERS_PARALLELISM=str(threads > 1).lower())
                environment["RAYON_NUM_THREADS"] = str(threads)
                original = subprocess.check_output(
                    [sys.executable, "-c", ORIGINAL, folder, records, str(threads)], env=environment
                )
                for name, seconds in json.loads(original).items():
                    note(f"original {name} {threads}", seconds)
                ours = json.loads(subprocess.check_output([*probe, "time", folder, records, str(threads)]))
                for name, seconds in ours.items():
                    if threads == 1 or name.startswith("batch"):
                        note(f"ours {name} {threads}", seconds)
        big = Path(temporary) / "big.txt"
        block = prose.read_bytes()
        with big.open("wb") as file:
            while file.tell() < 100e6:
                file.write(block)
        streamed, peak = peak_memory([*probe, "stream", folder, str(big), "1"])
        _, base = peak_memory([*probe, "load", folder])
        loads = [json.loads(subprocess.check_output([*probe, "load", folder]))["load_ms"] for _ in range(7)]

    def best_original(threads):
        return max(rate for name, rate in best.items() if name.startswith("original") and name.endswith(f" {threads}"))

    report = {
        "megabytes": round(megabytes, 1),
        "cores": cores,
        "rates_mb_per_s": {name: round(rate, 2) for name, rate in sorted(best.items())},
        "ratios": {
            "single thread, ids and offsets": round(best["ours encode 1"] / best_original(1), 1),
            "single thread, ids": round(best["ours ids 1"] / best_original(1), 1),
            f"{cores} threads, ids and offsets": round(best[f"ours batch {cores}"] / best_original(cores), 1),
            f"{cores} threads, ids": round(best[f"ours batch_ids {cores}"] / best_original(cores), 1),
        },
        "scaling": {
            "ours ids": round(best[f"ours batch_ids {cores}"] / best["ours batch_ids 1"], 2),
            "ours ids and offsets": round(best[f"ours batch {cores}"] / best["ours batch 1"], 2),
            "original": round(best_original(cores) / best_original(1), 2),
        },
        "file_100_mb": {
            "mb_per_s": round(100 / json.loads(streamed)["seconds"], 1),
            "peak_mb": round(peak, 1),
            "peak_mb_loaded_only": round(base, 1),
        },
        "load_ms": round(min(loads), 1),
    }
    print(json.dumps(report, indent=2))
    if options.output:
        options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
