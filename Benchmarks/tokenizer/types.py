"""Speed of tokenizers of every type beside the `tokenizers` library, on one thread, by processor time.

    ETTIN_BIN_DIR=.build/release ETTIN_SHARED=../shared python Benchmarks/tokenizer/types.py [NAME…]

The tokenizers are those of Interop/tokenizer_types.py, trained first. Rounds are interleaved; each figure is the best.
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Interop"))

from tokenizers import Tokenizer

from tokenizer_types import TYPES

ROUNDS, BYTES = 3, 2e6


def seconds(body):
    start = time.process_time()
    result = body()
    elapsed = time.process_time() - start
    del result
    return elapsed


def prose():
    texts, size = [], 0
    shared = Path(os.environ.get("ETTIN_SHARED", "../shared"))
    for line in (shared / "data/corpus/english_novels/train.jsonl").open(encoding="utf-8"):
        texts.append(json.loads(line)["text"])
        size += len(texts[-1].encode())
        if size > BYTES:
            return texts, size / 1e6
    return texts, size / 1e6


def main():
    probe = str(Path(os.environ.get("ETTIN_BIN_DIR", ".build/release")) / "ettin-probe")
    texts, megabytes = prose()
    print("| type | tokenizers, MB/s | ids, MB/s | ids and offsets, MB/s | ratio, ids | ratio, with offsets |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        records = Path(temporary) / "records"
        with records.open("wb") as file:
            for text in texts:
                data = text.encode()
                file.write(struct.pack("<I", len(data)) + data)
        for name in sys.argv[1:] or TYPES:
            tokenizer = TYPES[name]()
            tokenizer.save(f"{temporary}/tokenizer.json")
            original, ours = [], []
            for _ in range(ROUNDS):
                original.append(seconds(lambda: [tokenizer.encode(text) for text in texts]))
                original.append(seconds(lambda: tokenizer.encode_batch_fast(texts)))
                command = [probe, "tokenizer", "cpu-time", temporary, str(records)]
                ours.append(json.loads(subprocess.check_output(command)))
            theirs = min(original)
            ids, encode = (min(report[key] for report in ours) for key in ["ids", "encode"])
            print(
                f"| {name} | {megabytes / theirs:.1f} | {megabytes / ids:.1f} | {megabytes / encode:.1f} "
                f"| {theirs / ids:.1f} | {theirs / encode:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
