"""Small runs of `ettin finetune reranker` and of sentence-transformers' CrossEncoderTrainer, of either generation, from the
same recipe.
"""

import contextlib
import io
import json
import random
import warnings

import torch
from descendants import ETTIN, checkpoint, json_lines, lines
from finetune_original import checkpoints, data, entries, read
from finetune_runs import Ours, pairs, texts, triplets, write
from sentence_transformers.cross_encoder import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments, losses
from sentence_transformers.cross_encoder.evaluation import (
    CrossEncoderClassificationEvaluator, CrossEncoderCorrelationEvaluator, CrossEncoderRerankingEvaluator)
from sentence_transformers.evaluation import SequentialEvaluator

# What a recipe has besides the arguments of the original.
OWN = {
    "model_name_or_path", "num_labels", "max_length", "activation_fn", "head", "classifier_pooling", "train_dataset",
    "eval_dataset", "columns", "train_test_split", "train_select", "loss", "evaluator", "layout",
}
# One layer of each kind of attention.
SHAPE = {"num_hidden_layers": 2, "global_attn_every_n_layers": 2, "spread": 0.7}


def lists(count, seed=6):
    """Queries with lists of two to five documents and their grades, the best first."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        grades = sorted((rng.choice([0, 0.5, 1, 2]) for _ in range(rng.randint(2, 5))), reverse=True)
        topic, other = rng.sample(range(24), 2)
        documents = [texts(topic if grade else other, rng, rng.randint(4, 20)) for grade in grades]
        rows.append({"query": texts(topic, rng, rng.randint(2, 6)), "documents": documents, "labels": grades})
    return rows


def labelled(rows):
    """Pairs with labels 1 and 0, as hard negatives are mined."""
    return [
        {"question": row["query"], "answer": row[name], "label": int(name == "positive")}
        for row in rows for name in ("positive", "negative")]


def ranked(rows, seed=7):
    """What a retriever found for each query, among it the answer, or not."""
    rng = random.Random(seed)
    result = []
    for row in rows:
        documents = [rng.choice(rows)["negative"] for _ in range(4)] + [row["positive"]] * (rng.random() < 0.8)
        rng.shuffle(documents)
        result.append({"query": row["query"], "positive": [row["positive"]], "documents": documents})
    return result


class Place:
    """A folder with small models and data."""

    def __init__(self, folder, tokenizer):
        self.folder = folder
        checkpoint(folder / "encoder", tokenizer, "ForMaskedLM", **SHAPE)
        checkpoint(folder / "scorer", tokenizer, "ForSequenceClassification", num_labels=1, **SHAPE)
        checkpoint(folder / "classes", tokenizer, "ForSequenceClassification", num_labels=3, **SHAPE)
        rows = triplets(170)
        write(folder / "labelled.jsonl", labelled(rows))
        write(folder / "triplets.jsonl", rows)
        write(folder / "ranked.jsonl", ranked(triplets(24, seed=8)))
        write(folder / "lists.jsonl", lists(40))
        write(folder / "scored.jsonl", [row | {"score": round(row["score"] * 20 - 8, 3)} for row in pairs(170)])
        write(folder / "scored-dev.jsonl", pairs(30, seed=9))
        write(folder / "binary-dev.jsonl", pairs(30, seed=10, label="label", whole=True))
        write(folder / "classes.jsonl", [row | {"label": index % 3} for index, row in enumerate(
            {name: row[name] for name in ("sentence1", "sentence2")} for row in pairs(40, seed=11))])
        write(folder / "margins.jsonl", [row | {"score": index % 7 - 2.5} for index, row in enumerate(rows[:40])])
        write(folder / "teacher.jsonl", [row | {"score": [index % 7, index % 3 - 1.5]} for index, row in enumerate(rows[:40])])

    def recipe(self, name, **changes):
        """A recipe that logs every step, whose output folder is new."""
        recipe = {
            "model_name_or_path": str(self.folder / "scorer"), "train_dataset": "labelled.jsonl",
            "output_dir": str(self.folder / name), "per_device_train_batch_size": 8, "learning_rate": 1e-3,
            "logging_steps": 1, "save_strategy": "no", "seed": 12,
        }
        return {key: self.resolved(value) for key, value in (recipe | changes).items() if value is not None or key == "loss"}

    def resolved(self, value):
        """With the names of our files as paths."""
        if isinstance(value, dict):
            return {key: self.resolved(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self.resolved(part) for part in value]
        return str(self.folder / value) if isinstance(value, str) and value.endswith(".jsonl") else value


class OurReranker(Ours):
    """A finished run of ours."""

    def command(self, *flags):
        return [ETTIN, "finetune", "reranker", *map(str, [self.path, *self.flags, *flags]), "--threads", "1"]


class Original:
    """A finished run of the original."""

    def __init__(self, recipe):
        self.recipe = recipe
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.manual_seed(recipe["seed"])
            self.model = load(recipe)
            train, held_out = data(recipe, {})
            chosen = {name: value for name, value in recipe.items() if name not in OWN}
            arguments = CrossEncoderTrainingArguments(use_cpu=True, disable_tqdm=True, report_to="none", **chosen)
            self.trainer = CrossEncoderTrainer(
                model=self.model, args=arguments, train_dataset=train, eval_dataset=held_out,
                loss=make_loss(self.model, recipe.get("loss")), evaluator=make_evaluator(recipe.get("evaluator")))
            self.trainer.train()
        self.state = self.trainer.state
        self.log = entries(self.state.log_history)
        self.model.eval()

    def save(self, folder):
        self.model.save_pretrained(str(folder))
        return folder

    @property
    def checkpoints(self):
        return checkpoints(self.recipe["output_dir"])


def load(recipe):
    options = {name: recipe[name] for name in ("num_labels", "max_length") if name in recipe}
    if name := recipe.get("activation_fn"):
        options["activation_fn"] = getattr(torch.nn, name.split(".")[-1])()
    return CrossEncoder(str(recipe["model_name_or_path"]), device="cpu", **options)


def make_loss(model, described):
    if described is None:
        return None
    settings = {"type": described} if isinstance(described, str) else dict(described)
    kind = getattr(losses, settings.pop("type"))
    for key, value in settings.items():
        if key == "activation_fn":
            settings[key] = value and getattr(torch.nn, value)()
        elif key in ("weighting_scheme", "lambda_weight"):
            settings[key] = value and getattr(losses, value)()
        elif key in ("pos_weight", "weight"):
            settings[key] = torch.tensor(value)
    return kind(model, **settings)


def make_evaluator(described):
    if described is None:
        return None
    if isinstance(described, list):
        return SequentialEvaluator([make_evaluator(value) for value in described])
    settings = dict(described)
    kind, rows = settings.pop("type"), read(settings.pop("dataset"))
    if kind == "CrossEncoderRerankingEvaluator":
        return CrossEncoderRerankingEvaluator(rows, show_progress_bar=False, **settings)
    texts_of = [[row["sentence1"], row["sentence2"]] for row in rows]
    values = [row.get("label", row.get("score")) for row in rows]
    kinds = {
        "CrossEncoderClassificationEvaluator": CrossEncoderClassificationEvaluator,
        "CrossEncoderCorrelationEvaluator": CrossEncoderCorrelationEvaluator,
    }
    return kinds[kind](texts_of, values, show_progress_bar=False, **settings)


def scores(folder, tmp_path, some, *flags):
    """What `ettin rerank` says of pairs."""
    values = [{"query": query, "document": document} for query, document in some]
    path = json_lines(tmp_path / "asked.jsonl", values)
    return [line["score"] for line in lines("rerank", folder, "--input", path, "--json", "--truncate", *flags)]


def config(folder):
    return json.loads((folder / "config.json").read_text())
