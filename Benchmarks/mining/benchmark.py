"""Hard negatives of generated texts: `ettin mine-negatives` beside sentence-transformers, in interleaved rounds.

    make build && scripts/setup-interop interop Interop/requirements.txt
    .deps/interop/bin/python Benchmarks/mining/benchmark.py [--texts 100000] [--rounds 3] [--output results.json]

So many anchors have a positive each, and the positives are the corpus. The model is a StaticEmbedding with random vectors,
as the miner of the suite's reranker recipe is one. Both programs start from nothing and end with the rows in a file;
sentence-transformers searches without FAISS, which is exact too. `ettin-probe search` measures the search alone, beside
plain products.

Measured with 100,000 texts of 384 dimensions on two cores of a Zen 5 server part with AVX-512, alone on the machine, medians
of two rounds: ettin 24.9 s (48.0 s of processors) and 0.85 GB, sentence-transformers 77.1 s (131.9 s) and 7.95 GB: 3.1 times
as fast in 0.11 of the memory, with 99.994 % of the rows in common.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ETTIN = ROOT / ".build/release/ettin"
ORIGINAL = """
import json, sys
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import mine_hard_negatives
model, data, output, options = sys.argv[1:]
dataset = Dataset.from_list([json.loads(line) for line in open(data)])
mined = mine_hard_negatives(dataset, SentenceTransformer(model, device="cpu"), batch_size=4096, **json.loads(options))
with open(output, "w") as file:
    for row in mined:
        file.write(json.dumps(row) + "\\n")
"""


def write_data(folder, count, dimensions):
    """Pairs of generated sentences and a model with a vector for each of their words."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    generator = random.Random(1)
    syllables = [a + b for a in "bcdfghjklmnprstvwz" for b in "aeiou"]
    words = ["".join(generator.choices(syllables, k=generator.randint(1, 4))) for _ in range(20000)]
    weights = [1 / (rank + 10) for rank in range(len(words))]

    def sentence(low, high):
        return " ".join(generator.choices(words, weights, k=generator.randint(low, high)))

    with open(folder / "pairs.jsonl", "w") as file:
        for _ in range(count):
            answer = sentence(20, 60)
            # Words of the answer and others, so that it is near but not always the nearest.
            question = " ".join([*generator.sample(answer.split(), generator.randint(2, 6)), sentence(2, 6)])
            file.write(json.dumps({"question": question, "answer": answer}) + "\n")
    vocabulary = {"[UNK]": 0}
    for word in words:
        vocabulary.setdefault(word, len(vocabulary))
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    torch.manual_seed(1)
    module = StaticEmbedding(tokenizer, embedding_weights=torch.randn(len(vocabulary), dimensions))
    SentenceTransformer(modules=[module], device="cpu").save_pretrained(str(folder / "model"))


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def agreement(ours, theirs):
    """The share of rows that both have; scores that are nearly equal may change places."""
    keys = [[json.dumps({k: v for k, v in row.items() if k != "scores"}) for row in side] for side in [ours, theirs]]
    return len(set(keys[0]) & set(keys[1])) / max(1, len(set(keys[1])))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    settings = {"num_negatives": 5, "absolute_margin": 0, "range_max": 100}
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        write_data(work, options.texts, options.dimensions)
        model, pairs = work / "model", work / "pairs.jsonl"
        flags = [str(part) for name, value in settings.items() for part in ["--" + name.replace("_", "-"), value]]
        commands = {
            "ettin": [ETTIN, "mine-negatives", model, "--dataset", pairs, *flags, "--output", work / "ettin.jsonl"],
            "sentence-transformers": [
                sys.executable, "-c", ORIGINAL, model, pairs, work / "sentence-transformers.jsonl", json.dumps(settings),
            ],
        }
        times, processor, peaks = ({name: [] for name in commands} for _ in range(3))
        for _ in range(options.rounds):
            for name, command in commands.items():
                start = time.perf_counter()
                child = subprocess.Popen(
                    list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    env=os.environ | {"HF_HUB_OFFLINE": "1"},
                )
                _, status, usage = os.wait4(child.pid, 0)
                times[name].append(time.perf_counter() - start)
                processor[name].append(usage.ru_utime + usage.ru_stime)
                assert status == 0, f"{name} failed"
                # Kilobytes on Linux, bytes on macOS.
                peaks[name].append(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
        found = {name: rows(work / f"{name}.jsonl") for name in commands}
    report = {
        "texts": options.texts, "dimensions": options.dimensions, "settings": settings, "seconds": times,
        "processor_seconds": processor,
        "peak_bytes": {name: max(values) for name, values in peaks.items()},
        "ratio": statistics.median(times["sentence-transformers"]) / statistics.median(times["ettin"]),
        "rows": {name: len(values) for name, values in found.items()},
        "agreement": agreement(found["ettin"], found["sentence-transformers"]),
    }
    for name, values in times.items():
        print(f"{name:24}{statistics.median(values):8.1f} s"
              f"{statistics.median(processor[name]):8.1f} s of processors{report['peak_bytes'][name] / 1e9:8.2f} GB")
    print(f"ratio {report['ratio']:.2f}, rows in common {report['agreement']:.4%}")
    if options.output:
        options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
