"""Small runs of `ettin finetune classifier` and `tagger`, and of transformers' Trainer, from the same recipe."""

import contextlib
import io
import json
import random
import warnings

import torch
import transformers
from datasets import Dataset
from descendants import checkpoint
from finetune_original import entries, read
from finetune_runs import Ours, pairs, texts, write
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from scipy.stats import pearsonr, spearmanr
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

# What a recipe has besides the arguments of the original.
OWN = {
    "model_name_or_path", "num_labels", "labels", "problem_type", "max_length", "classifier_pooling", "train_dataset",
    "eval_dataset", "train_select", "metrics", "ignore_mismatched_sizes", "label_all_tokens", "early_stopping_patience",
}
# One layer of each kind of attention.
SHAPE = {"num_hidden_layers": 2, "global_attn_every_n_layers": 2, "spread": 0.7}
KINDS = {
    "cls": dict(classifier_pooling="cls"), "mean": dict(classifier_pooling="mean"), "decoder": dict(decoder=True, seed=5),
}
TAGS = ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]


def sentences(count, seed, label):
    """Rows of one text, longer and shorter ones."""
    rng = random.Random(seed)
    return [{"sentence": texts(index % 24, rng, rng.randint(2, 24)), "label": label(index)} for index in range(count)]


def tagged(count, seed):
    """Words with tags."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        words = texts(rng.randrange(24), rng, rng.randint(3, 20)).split()
        rows.append({"tokens": words, "ner_tags": [rng.choice(TAGS) for _ in words]})
    return rows


class Place:
    """A folder with small models and data."""

    def __init__(self, folder, tokenizer):
        self.folder = folder
        for kind, settings in KINDS.items():
            for name, labels in [("one", 1), ("two", 2), ("three", 3)]:
                checkpoint(
                    folder / f"{kind}-{name}", tokenizer, "ForSequenceClassification", num_labels=labels, **settings, **SHAPE)
            # Pairs are put together by the tokenizer, which the original has too.
            if kind == "decoder":
                for name in ("one", "two", "three"):
                    pair_template(folder / f"decoder-{name}")
        checkpoint(
            folder / "tagger", tokenizer, "ForTokenClassification", id2label=dict(enumerate(TAGS)),
            label2id={name: index for index, name in enumerate(TAGS)}, **SHAPE)
        checkpoint(folder / "encoder", tokenizer, "ForMaskedLM", **SHAPE)
        checkpoint(folder / "causal", tokenizer, "ForCausalLM", decoder=True, seed=5, **SHAPE)
        write(folder / "single.jsonl", sentences(170, 3, lambda index: index % 3))
        write(folder / "single-dev.jsonl", sentences(30, 4, lambda index: index % 3))
        write(folder / "pair.jsonl", pairs(170, label="label", whole=True))
        write(folder / "pair-dev.jsonl", pairs(30, seed=9, label="label", whole=True))
        write(folder / "numbers.jsonl", pairs(170, label="label"))
        write(folder / "numbers-dev.jsonl", pairs(30, seed=9, label="label"))
        write(folder / "several.jsonl", sentences(170, 5, lambda index: [float(index >> bit & 1) for bit in range(3)]))
        write(folder / "several-dev.jsonl", sentences(30, 6, lambda index: [float(index >> bit & 1) for bit in range(3)]))
        write(folder / "tagged.jsonl", tagged(170, 7))
        write(folder / "tagged-dev.jsonl", tagged(30, 8))

    def recipe(self, name, **changes):
        """A recipe that logs every step, whose output folder is new."""
        recipe = {
            "output_dir": str(self.folder / name), "per_device_train_batch_size": 8, "per_device_eval_batch_size": 8,
            "learning_rate": 1e-3, "logging_steps": 1, "save_strategy": "no", "seed": 12,
        }
        return {key: self.resolved(value) for key, value in (recipe | changes).items() if value is not None}

    def resolved(self, value):
        return str(self.folder / value) if isinstance(value, str) and value.endswith(".jsonl") else value


def pair_template(folder):
    """[CLS] A and [CLS] A [SEP] B [SEP], as a decoder that classifies pairs gets them."""
    path = folder / "tokenizer.json"
    file = json.loads(path.read_text())
    ids = {token["content"]: token["id"] for token in file["added_tokens"]}

    def special(token):
        return {"SpecialToken": {"id": token, "type_id": 0}}

    def text(name):
        return {"Sequence": {"id": name, "type_id": 0}}

    cls, sep = special("[CLS]"), special("[SEP]")
    template = {
        "type": "TemplateProcessing", "single": [cls, text("A")], "pair": [cls, text("A"), sep, text("B"), sep],
        "special_tokens": {token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in ("[CLS]", "[SEP]")},
    }
    present = file["post_processor"]
    if present and present["type"] == "Sequence":
        kept = [step for step in present["processors"] if step["type"] != "TemplateProcessing"]
        template = {"type": "Sequence", "processors": [*kept, template]}
    file["post_processor"] = template
    path.write_text(json.dumps(file))


class OurClassifier(Ours):
    """A finished run of ours."""

    kind = "classifier"


class OurTagger(Ours):
    """A finished run of ours."""

    kind = "tagger"


class Original:
    """A finished run of transformers' Trainer."""

    def __init__(self, recipe, tags=False):
        self.recipe = recipe
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.manual_seed(recipe["seed"])
            folder = recipe["model_name_or_path"]
            self.tokenizer = AutoTokenizer.from_pretrained(folder)
            kind = AutoModelForTokenClassification if tags else AutoModelForSequenceClassification
            options = {key: recipe[key] for key in ("num_labels", "problem_type", "ignore_mismatched_sizes") if key in recipe}
            self.model = kind.from_pretrained(folder, **options)
            prepare = self.tagged if tags else self.classified
            train = Dataset.from_list([prepare(row) for row in read(recipe["train_dataset"])])
            if count := recipe.get("train_select"):
                train = train.select(range(count))
            held_out = recipe.get("eval_dataset")
            held_out = held_out and Dataset.from_list([prepare(row) for row in read(held_out)])
            chosen = {name: value for name, value in recipe.items() if name not in OWN}
            arguments = transformers.TrainingArguments(use_cpu=True, disable_tqdm=True, report_to="none", **chosen)
            collators = transformers.DataCollatorForTokenClassification if tags else transformers.DataCollatorWithPadding
            patience = recipe.get("early_stopping_patience")
            self.trainer = transformers.Trainer(
                model=self.model, args=arguments, train_dataset=train, eval_dataset=held_out,
                data_collator=collators(self.tokenizer), compute_metrics=self.seqeval if tags else self.metrics,
                callbacks=[transformers.EarlyStoppingCallback(patience)] if patience else [])
            self.trainer.train()
        self.state = self.trainer.state
        self.log = entries(self.state.log_history)
        self.model.eval()

    def classified(self, row):
        columns = [value for name, value in row.items() if name != "label"]
        encoded = self.tokenizer(*columns, truncation=True, max_length=self.recipe.get("max_length", 128))
        return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"], "labels": row["label"]}

    def tagged(self, row):
        """The words joined by blanks, their labels aligned by offsets."""
        text = " ".join(row["tokens"])
        encoded = self.tokenizer(text, return_offsets_mapping=True, truncation=True, max_length=128)
        owners, start = [], 0
        for index, word in enumerate(row["tokens"]):
            owners += [index] * len(word) + [None]
        labels, previous = [], None
        for begin, end in encoded["offset_mapping"]:
            place = next((place for place in range(begin, end) if owners[place] is not None), None)
            owner = None if place is None else owners[place]
            if owner is None:
                labels.append(-100)
            elif owner != previous:
                labels.append(TAGS.index(row["ner_tags"][owner]))
            else:
                tag = row["ner_tags"][owner]
                inside = TAGS.index(tag.replace("B-", "I-"))
                labels.append(inside if self.recipe.get("label_all_tokens") else -100)
            previous = owner if owner is not None else previous
        return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"], "labels": labels}

    def metrics(self, prediction):
        logits, labels = prediction.predictions, prediction.label_ids
        names = self.recipe.get("metrics", [])
        if labels.ndim == 2:
            predicted = (logits > 0).astype(int)
            found = {"f1": f1_score(labels, predicted, average="micro"), "accuracy": accuracy_score(labels, predicted)}
        elif logits.shape[1] == 1:
            flat = logits[:, 0]
            found = {
                "mse": float(((flat - labels) ** 2).mean()), "pearson": pearsonr(flat, labels)[0],
                "spearmanr": spearmanr(flat, labels)[0]}
        else:
            predicted = logits.argmax(1)
            found = {
                "accuracy": accuracy_score(labels, predicted), "f1_macro": f1_score(labels, predicted, average="macro"),
                "matthews_correlation": matthews_corrcoef(labels, predicted)}
            if logits.shape[1] == 2:
                found["f1"] = f1_score(labels, predicted)
        return {name: float(found[name]) for name in names}

    def seqeval(self, prediction):
        from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score

        numbers = prediction.predictions.argmax(-1)
        right = [[TAGS[label] for label in row if label >= 0] for row in prediction.label_ids]
        predicted = [
            [TAGS[number] for number, label in zip(row, labels) if label >= 0]
            for row, labels in zip(numbers, prediction.label_ids)]
        return {
            "precision": float(precision_score(right, predicted)), "recall": float(recall_score(right, predicted)),
            "f1": float(f1_score(right, predicted)), "accuracy": float(accuracy_score(right, predicted))}


def logits(folder, columns, kind=AutoModelForSequenceClassification):
    """What transformers' classes say of texts or pairs, one at a time."""
    model, tokenizer = kind.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return [model(**tokenizer(*texts, return_tensors="pt")).logits[0].numpy() for texts in columns]
