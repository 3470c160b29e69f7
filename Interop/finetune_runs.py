"""Small runs of `ettin finetune`: data, models, recipes."""

import json
import os
import random
import subprocess
import time
from pathlib import Path

import numpy
from descendants import ETTIN, TEXTS, checkpoint, lines
from finetune_original import checkpoints, entries

PROBE = os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin-probe")
# The model card's script, but for sizes and bfloat16.
SPLIT = {"test_size": 40, "seed": 12}
DEV = {"type": "TripletEvaluator", "name": "dev"}
CARD = dict(
    loss={"type": "CachedMultipleNegativesRankingLoss", "mini_batch_size": 4}, train_test_split=SPLIT, train_select=320,
    num_train_epochs=1, per_device_train_batch_size=16, per_device_eval_batch_size=16, warmup_ratio=0.05,
    learning_rate=2e-3, batch_sampler="no_duplicates", save_strategy="steps", save_steps=8, save_total_limit=2,
    evaluator=DEV,
)
# The suite's own script, as it trains its encoders.
SUITE = dict(
    loss={"type": "CachedMultipleNegativesRankingLoss", "mini_batch_size": 4, "scale": 20}, train_test_split=SPLIT,
    train_select=306, num_train_epochs=1, per_device_train_batch_size=8, per_device_eval_batch_size=16,
    gradient_accumulation_steps=2, warmup_ratio=0.05, learning_rate=2e-3, batch_sampler="no_duplicates",
    eval_strategy="steps", eval_steps=5, save_strategy="steps", save_steps=5, save_total_limit=1, evaluator=DEV,
)

SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in ("a", "e", "i", "o", "u")]


def texts(topic, rng, count):
    """Words, most of them of a topic."""
    own = random.Random(topic).sample(SYLLABLES, 6)
    words = ["".join(rng.choices(own if rng.random() < 0.7 else SYLLABLES, k=rng.choice([1, 2, 3]))) for _ in range(count)]
    return " ".join(words)


def triplets(count, seed=3, names=("query", "positive", "negative"), shared=0.15):
    """Rows of three texts each; positives and negatives of some are those of an earlier row."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        topic, other = rng.sample(range(24), 2)
        row = [texts(topic, rng, rng.randint(2, 6)), texts(topic, rng, rng.randint(4, 20)), texts(other, rng, rng.randint(4, 20))]
        for column in (1, 2):
            if rows and rng.random() < shared:
                row[column] = rng.choice(rows)[names[rng.choice([1, 2])]]
        rows.append(dict(zip(names, row)))
    return rows


def pairs(count, seed=4, label="score", whole=False):
    """Rows of two texts and a label, which says whether they are about the same."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        same = rng.random() < 0.5
        first, second = rng.sample(range(24), 2)
        value = int(same) if whole else round(rng.uniform(0.5, 1) if same else rng.uniform(0, 0.5), 3)
        rows.append({
            "sentence1": texts(first, rng, rng.randint(3, 12)),
            "sentence2": texts(first if same else second, rng, rng.randint(3, 12)), label: value})
    return rows


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class Place:
    """A folder with two small models and data."""

    def __init__(self, folder, tokenizer):
        self.folder = folder
        # One layer of each kind of attention.
        shape = {"num_hidden_layers": 2, "global_attn_every_n_layers": 2, "spread": 0.7}
        checkpoint(folder / "encoder", tokenizer, "ForMaskedLM", **shape)
        checkpoint(folder / "decoder", tokenizer, "ForCausalLM", decoder=True, seed=5, **shape)
        write(folder / "train.jsonl", triplets(360))
        write(folder / "dev.jsonl", triplets(22, seed=8))
        write(folder / "pairs.jsonl", pairs(50))
        write(folder / "classes.jsonl", pairs(64, label="label", whole=True))
        write(folder / "pairs-dev.jsonl", pairs(21, seed=9))
        write(folder / "two.jsonl", [{"a": row["query"], "b": row["positive"]} for row in triplets(70, seed=12)])

    def recipe(self, name, **changes):
        """A recipe that logs every step, whose output folder is new."""
        recipe = {
            "model_name_or_path": str(self.folder / "encoder"), "train_dataset": str(self.folder / "train.jsonl"),
            "loss": "MultipleNegativesRankingLoss", "output_dir": str(self.folder / name),
            "per_device_train_batch_size": 8, "learning_rate": 1e-3, "logging_steps": 1, "save_strategy": "no",
        }
        return {key: self.resolved(value) for key, value in (recipe | changes).items() if value is not None}

    def resolved(self, value):
        """With the names of our files as paths."""
        if isinstance(value, dict):
            return {key: self.resolved(part) for key, part in value.items()}
        return str(self.folder / value) if isinstance(value, str) and value.endswith(".jsonl") else value


def for_ours(recipe, folder):
    """The recipe as a file, with an output folder of its own."""
    output = Path(f"{recipe['output_dir']}-ours")
    path = folder / f"{output.name}.yaml"
    path.write_text(json.dumps(recipe | {"output_dir": str(output)}, indent=1) + "\n")
    return path, output


class Ours:
    """A finished run of ours."""

    kind = "embedding"

    def __init__(self, recipe, *flags, run=True):
        self.path, self.output = for_ours(recipe, Path(recipe["output_dir"]).parent)
        self.flags = flags
        if run:
            self.run()

    def run(self, *flags, code=0):
        done = subprocess.run(self.command(*flags), capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stderr
        return done

    def command(self, *flags):
        return [ETTIN, "finetune", self.kind, *map(str, [self.path, *self.flags, *flags]), "--threads", "1"]

    def begin(self, *flags):
        return subprocess.Popen(self.command(*flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait(self, process, step, timeout=60):
        """Until that many steps are in the log."""
        end = time.monotonic() + timeout
        while self.steps() < step:
            assert process.poll() is None, f"it ended before: {process.communicate()[1]}"
            assert time.monotonic() < end
            time.sleep(0.001)

    def steps(self):
        """Steps in the log; the last line may be about to be written."""
        try:
            return (self.output / "metrics.jsonl").read_bytes().count(b'"loss')
        except FileNotFoundError:
            return 0

    @property
    def state(self):
        return json.loads((self.output / "trainer_state.json").read_text())

    @property
    def log(self):
        return entries(self.state["log_history"])

    @property
    def checkpoints(self):
        return checkpoints(self.output)

    @property
    def final(self):
        return self.output / "final"


class OursSparse(Ours):
    """A finished run of `ettin finetune sparse`."""

    kind = "sparse"


class OursColBERT(Ours):
    """A finished run of `ettin finetune colbert`."""

    kind = "colbert"


def weights(folder, found=TEXTS, *flags):
    """[texts, vocabulary] of `ettin sparse`."""
    width = json.loads((Path(folder) / "config.json").read_text())["vocab_size"]
    matrix = numpy.zeros((len(found), width))
    for row, values in zip(matrix, lines("sparse", folder, *found, "--truncate", *flags)):
        row[values["indices"]] = values["values"]
    return matrix


def expect_same_run(first, second):
    """All that two runs left, but for times and paths."""
    names, others = ({path.relative_to(run.output) for path in run.output.rglob("*")} for run in (first, second))
    # Each process writes an event file of its own.
    names, others = ({name for name in each if name.parts[0] != "tensorboard"} for each in (names, others))
    assert names == others
    assert first.log == second.log
    for name in names:
        if name.suffix in (".safetensors", ".csv") or name.name == "README.md":
            assert (first.output / name).read_bytes() == (second.output / name).read_bytes(), name


def batches(path, kind="embedding"):
    """The batches that a recipe's run computes gradients of: the data set's name and the numbers of the rows."""
    done = subprocess.run([PROBE, "finetune", "batches", kind, str(path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
