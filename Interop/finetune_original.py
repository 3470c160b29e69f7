"""The original of `ettin finetune embedding`: sentence-transformers' trainer, of either generation, run from the same recipe.

A recipe is a dictionary with the keys of docs/finetuning.md. What is not about models, data, the loss or the evaluator
goes to `SentenceTransformerTrainingArguments` under its own name.
"""

import contextlib
import io
import json
import logging
import math
import os
import warnings
from pathlib import Path

import torch
import transformers
from datasets import Dataset, disable_progress_bars
from sentence_transformers import (
    SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments, losses)
# The older names of modules, which both generations know.
from sentence_transformers.data_collator import SentenceTransformerDataCollator
from sentence_transformers.evaluation import (
    BinaryClassificationEvaluator, EmbeddingSimilarityEvaluator, SequentialEvaluator, TripletEvaluator)
from sentence_transformers.models import Pooling, Transformer

# What a recipe has besides the arguments of the original.
OWN = {
    "model_name_or_path", "pooling_mode", "max_seq_length", "train_dataset", "eval_dataset", "columns", "train_test_split",
    "train_select", "loss", "evaluator", "layout",
}
# The ends of what differs from run to run.
TIMES = ("_runtime", "_per_second", "total_flos")

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
disable_progress_bars()
logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
# Models are too small for more.
torch.set_num_threads(1)


class Collator(SentenceTransformerDataCollator):
    """Adds the name of a batch's data set, and the numbers of its rows in their file."""

    known = {}

    def __call__(self, features):
        places = [self.known.get(key(feature), ("", -1)) for feature in features]
        rows = torch.tensor([row for _, row in places])
        return super().__call__(features) | {"rows": rows, "origin": places[0][0]}


class Trainer(SentenceTransformerTrainer):
    """The trainer, which remembers the rows of each batch that it computes gradients of."""

    def __init__(self, *arguments, known, **options):
        super().__init__(*arguments, **options)
        # The generations make it in different ways.
        self.data_collator.__class__ = Collator
        self.batches, self.data_collator.known = [], known

    def compute_loss(self, model, inputs, *arguments, **options):
        rows, origin = inputs.pop("rows"), inputs.pop("origin")
        if model.training:
            self.batches.append([origin, rows.tolist()])
        return super().compute_loss(model, inputs, *arguments, **options)


def key(row):
    return tuple(str(value) for name, value in row.items() if name != "dataset_name")


class Original:
    """A finished run."""

    def __init__(self, recipe, resume=None):
        self.recipe, self.output = recipe, Path(recipe["output_dir"])
        known = {}
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.manual_seed(recipe.get("seed", 42))
            self.model = load(recipe)
            train, held_out = data(recipe, known)
            chosen = {name: value for name, value in recipe.items() if name not in OWN}
            arguments = SentenceTransformerTrainingArguments(
                use_cpu=True, disable_tqdm=True, report_to="none", **chosen)
            evaluator = make_evaluators(recipe.get("evaluator"), held_out)
            self.before = evaluator and evaluator(self.model)
            self.trainer = Trainer(
                model=self.model, args=arguments, train_dataset=train, eval_dataset=held_out, known=known,
                loss=make_losses(self.model, recipe.get("loss")), evaluator=evaluator)
            self.trainer.train(resume_from_checkpoint=resume)
            self.after = evaluator and evaluator(self.model)
        self.state = self.trainer.state
        self.log = entries(self.state.log_history)
        self.batches = self.trainer.batches
        self.model.eval()

    def embeddings(self, texts):
        return self.model.encode(texts, show_progress_bar=False)

    def save(self, folder):
        self.model.save_pretrained(str(folder))
        return folder

    @property
    def checkpoints(self):
        return checkpoints(self.output)


def checkpoints(output):
    names = (path.name for path in Path(output).glob("checkpoint-*"))
    return sorted(names, key=lambda name: int(name.removeprefix("checkpoint-")))


def entries(history):
    """Entries of a log without what differs from run to run."""
    return [{name: value for name, value in entry.items() if not name.endswith(TIMES)} for entry in history]


def load(recipe):
    folder = str(recipe["model_name_or_path"])
    if mode := recipe.get("pooling_mode"):
        width = json.loads((Path(folder) / "config.json").read_text())["hidden_size"]
        model = SentenceTransformer(modules=[Transformer(folder), Pooling(width, pooling_mode=mode)], device="cpu")
    else:
        model = SentenceTransformer(folder, device="cpu")
    if length := recipe.get("max_seq_length"):
        model.max_seq_length = length
    return model


def read(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def table(place, recipe, known, name=""):
    """The rows of one data set of a recipe: a path, or a mapping with its own columns and number of rows."""
    settings = place if isinstance(place, dict) else {"path": place}
    rows = read(settings["path"])
    if columns := settings.get("columns", recipe.get("columns")):
        rows = [{column: row[column] for column in columns} for row in rows]
    for index, row in enumerate(rows):
        known[key(row)] = name, index
    result = Dataset.from_list(rows)
    if count := settings.get("select"):
        result = result.select(range(count))
    return result


def tables(place, recipe, known):
    if isinstance(place, dict) and "path" not in place:
        return {name: table(value, recipe, known, name) for name, value in place.items()}
    return table(place, recipe, known)


def data(recipe, known):
    """The training rows and the held-out rows."""
    train = tables(recipe["train_dataset"], recipe, known)
    held_out = None
    if split := recipe.get("train_test_split"):
        parts = train.train_test_split(**split)
        train, held_out = parts["train"], parts["test"]
    if count := recipe.get("train_select"):
        train = train.select(range(count))
    if place := recipe.get("eval_dataset"):
        held_out = tables(place, recipe, {})
    return train, held_out


def make_losses(model, described):
    """A loss, or one for each data set."""
    if isinstance(described, dict) and "type" not in described:
        return {name: make_losses(model, value) for name, value in described.items()}
    if described is None:
        return None
    settings = {"type": described} if isinstance(described, str) else dict(described)
    kind = getattr(losses, settings.pop("type"))
    if "loss" in settings:
        settings["loss"] = make_losses(model, settings["loss"])
    return kind(model, **settings)


def make_evaluators(described, rows):
    if described is None:
        return None
    if isinstance(described, list):
        return SequentialEvaluator([make_evaluators(value, rows) for value in described])
    rows = next(iter(rows.values())) if isinstance(rows, dict) else rows
    settings = {"type": described} if isinstance(described, str) else dict(described)
    kind = settings.pop("type")
    if "dataset" in settings:
        rows = Dataset.from_list(read(settings.pop("dataset")))
    names = [name for name in rows.column_names if name not in ("label", "score")]
    texts = [list(rows[name]) for name in names]
    if kind == "TripletEvaluator":
        return TripletEvaluator(*texts[:3], **settings)
    label = next(name for name in rows.column_names if name not in names)
    kinds = {
        "EmbeddingSimilarityEvaluator": EmbeddingSimilarityEvaluator,
        "BinaryClassificationEvaluator": BinaryClassificationEvaluator,
    }
    return kinds[kind](*texts[:2], list(rows[label]), **settings)


def largest(ours, theirs):
    """How far two logs are apart, relatively; both must have the same entries with the same keys."""
    assert [sorted(entry) for entry in ours] == [sorted(entry) for entry in theirs], (
        f"ours:   {json.dumps(ours)}\ntheirs: {json.dumps(theirs)}")
    worst = 0.0
    for left, right in zip(ours, theirs):
        for name, expected in right.items():
            found = left[name]
            if expected is None or isinstance(expected, str) or (isinstance(expected, float) and math.isnan(expected)):
                assert found == expected or (found != found and expected != expected), (left, right)
            else:
                worst = max(worst, abs(found - expected) / max(abs(expected), 1e-3))
    return worst


os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
