"""What is compared: the rows of the table, each one request that every runner answers."""

import math
import random
from dataclasses import dataclass, field

from checkpoints import VOCABULARY

SEED = 17
BATCHINGS = ("all", "sorted:8", "sorted:16", "sorted:32", "single")


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    task: str
    kind: str
    size: str
    request: dict
    # How often a runner repeats the request when its turn comes.
    repeat: int = 1
    warmup: dict = field(default_factory=dict)
    warmups: int = 1
    max_rounds: int = 1000
    # Ways to batch that a peer tries; it is timed with the best.
    batchings: tuple = ("all",)
    # Runners for which the row is too much memory or time.
    without: tuple = ()
    # What its speed counts, a second.
    unit: str = "tokens"
    # The ratio we hold ourselves to, by our dtype: against peers of that dtype ("class") or all of them ("all").
    wanted: dict = field(default_factory=dict)
    wanted_memory: float | None = None

    @property
    def amount(self):
        """What one answer computes, in its unit: tokens encoded, trained on, or generated; texts, pairs."""
        if self.unit != "tokens":
            inputs = self.request.get("pairs") or self.request.get("texts")
            return len(inputs) if inputs else self.request["count"]
        sequences = self.request["sequences"]
        return len(sequences) * self.request["new_tokens"] if self.task == "generate" else sum(map(len, sequences))


def random_sequences(lengths, seed=SEED):
    generator = random.Random(seed)
    return [[generator.randrange(VOCABULARY) for _ in range(length)] for length in lengths]


def text_lengths(count=64, shortest=10, longest=500, mean=120):
    """Lengths as texts have them, many short and few long: quantiles of a log-normal distribution, cut and shifted."""
    normal = [inverse_normal((index + 0.5) / count) for index in range(count)]
    low, high = math.log(shortest), math.log(longest)
    for _ in range(60):  # The location that gives the mean, by bisection.
        middle = (low + high) / 2
        lengths = [min(longest, max(shortest, round(math.exp(middle + 0.8 * value)))) for value in normal]
        low, high = (middle, high) if sum(lengths) < mean * count else (low, middle)
    random.Random(SEED).shuffle(lengths)
    return lengths


def inverse_normal(share):
    from statistics import NormalDist

    return NormalDist().inv_cdf(share)


def text_sequences(path, tokenizer, count=64, shortest=10, longest=500, mean=120):
    """Lines of a text file as token ids: a random choice whose mean length is near the wanted one."""
    from tokenizers import Tokenizer

    lines = [line for line in open(path, encoding="utf-8").read().splitlines() if line.strip()]
    encoded = [encoding.ids for encoding in Tokenizer.from_file(f"{tokenizer}/tokenizer.json").encode_batch(lines)]
    fitting = [ids for ids in encoded if shortest <= len(ids) <= longest]
    if len(fitting) < count:
        raise SystemExit(f"error: {path}: {len(fitting)} lines of {shortest} to {longest} tokens; expected {count} or more")
    choices = [random.Random(seed).sample(fitting, count) for seed in range(200)]
    return min(choices, key=lambda choice: abs(sum(map(len, choice)) / count - mean))


def training_request(objective, count=8, length=1024):
    """Masked tokens have a label, 30% of all; a causal model has one everywhere, and shifts them itself."""
    generator = random.Random(SEED)
    sequences = random_sequences([length] * count)
    keep = [[objective == "clm" or generator.random() < 0.3 for _ in row] for row in sequences]
    labels = [[id if kept else -100 for id, kept in zip(*pair)] for pair in zip(sequences, keep)]
    return {"op": "train_step", "objective": objective, "sequences": sequences, "labels": labels}


def encode(name, title, size, sequences, **options):
    request = {"op": "encode", "sequences": sequences}
    return Row(name, title, "encode", "encoder", size, request, **options)


def generate(size, batch, wanted):
    request = {"op": "generate", "sequences": random_sequences([16] * batch), "new_tokens": 256}
    title = f"decoder {size.upper()}, 256 new tokens, batch {batch}"
    return Row(
        f"generate-{size}-{batch}", title, "generate", "decoder", size, request, warmup={"new_tokens": 8},
        wanted={"bfloat16": ("all", wanted)},
    )


def train(objective, wanted):
    kind = "decoder" if objective == "clm" else "encoder"
    title = f"training step 17M, 8×1024, {objective.upper()}"
    return Row(
        f"train-17m-{objective}", title, "train", kind, "17m", training_request(objective), max_rounds=3,
        wanted={"bfloat16": ("all", wanted)}, wanted_memory=1 / 3,
    )


def all_rows(texts):
    """Every row; `texts` are the token ids of the row of real texts."""
    grid = {shape: random_sequences([shape[1]] * shape[0]) for shape in [(1, 16), (32, 128), (8, 512), (1, 8192)]}
    mean = sum(map(len, texts)) / len(texts)
    same_class = {dtype: ("class", 2.0) for dtype in ["float32", "bfloat16", "int8"]}
    return [
        encode("latency-17m", "encoder 17M, 1×16", "17m", grid[1, 16], repeat=50,
               wanted={dtype: ("class", 1.3) for dtype in same_class}),
        encode("latency-150m", "encoder 150M, 1×16", "150m", grid[1, 16], repeat=10,
               wanted={dtype: ("class", 1.5) for dtype in same_class}),
        encode("encode-17m-32x128", "encoder 17M, 32×128", "17m", grid[32, 128], repeat=2,
               wanted={"bfloat16": ("all", 1.2), "int8": ("all", 1.7)}),
        encode("encode-17m-8x512", "encoder 17M, 8×512", "17m", grid[8, 512], repeat=2,
               wanted={"bfloat16": ("all", 1.5)}),
        encode("encode-17m-1x8192", "encoder 17M, 1×8192", "17m", grid[1, 8192], max_rounds=3,
               wanted={"bfloat16": ("all", 2.2)}),
        encode("encode-150m-32x128", "encoder 150M, 32×128", "150m", grid[32, 128],
               wanted={"bfloat16": ("class", 1.1), "int8": ("all", 1.5)}),
        encode("encode-150m-8x512", "encoder 150M, 8×512", "150m", grid[8, 512],
               wanted={"float32": ("class", 1.15), "bfloat16": ("all", 1.25), "int8": ("all", 1.9)}),
        # Each layer's scores would take gigabytes in the exported graphs.
        encode("encode-150m-1x8192", "encoder 150M, 1×8192", "150m", grid[1, 8192], max_rounds=2, warmups=0,
               without=("onnxruntime", "openvino", "sentence-transformers"), wanted={"bfloat16": ("all", 3.0)}),
        encode("texts-17m", f"encoder 17M, {len(texts)} texts, mean {mean:.0f} tokens", "17m", texts, batchings=BATCHINGS),
        encode("texts-150m", f"encoder 150M, {len(texts)} texts, mean {mean:.0f} tokens", "150m", texts,
               batchings=BATCHINGS, wanted=same_class),
        generate("17m", 1, 4.0),
        generate("17m", 8, 3.0),
        generate("150m", 1, 4.0),
        generate("150m", 8, 3.0),
        train("mlm", 4.0),
        train("clm", 2.5),
    ]
