"""Classifiers of transformers through `ettin classify`: every problem type, pairs, both poolings, decoders, zero-shot.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR.
"""

import json

import pytest
from descendants import TEXTS, checkpoint, close, json_lines, kind, lines
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

NAME = "descendants: classifier scores, largest difference"
LABELS = ["politics", "sport", "science", "art"]
PAIRS = [("A man plays a guitar.", "A man makes music."), ("A dog.", "A cat, asleep."), ("The sea was calm.", "Still")]


def names(labels):
    return {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}


def original(folder, task="text-classification"):
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    return pipeline(task, model=model, tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu")


def compare(ours, theirs, measured):
    assert [score["label"] for score in ours] == [score["label"] for score in theirs]
    measured(NAME, close([score["score"] for score in ours], [score["score"] for score in theirs]))


@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification", None])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_labels(small_tokenizer, tmp_path, problem, pooling, measured):
    folder = tmp_path / "made"
    checkpoint(
        folder, small_tokenizer, "ForSequenceClassification", problem_type=problem, classifier_pooling=pooling,
        norm_bias=pooling == "mean", classifier_bias=pooling == "cls", **names(LABELS))
    classifier = original(folder)
    rows = lines("classify", folder, *TEXTS, "--top-k", len(LABELS), "--truncate", "--json")
    for text, row in zip(TEXTS, rows, strict=True):
        compare(row, classifier(text, top_k=None, truncation=True), measured)
    for text, row in zip(TEXTS, lines("classify", folder, *TEXTS, "--top-k", 2, "--truncate", "--json"), strict=True):
        compare(row, classifier(text, top_k=2, truncation=True), measured)
    assert kind(folder) == "classifier"


def test_regression(small_tokenizer, tmp_path, measured):
    folder = tmp_path / "made"
    checkpoint(
        folder, small_tokenizer, "ForSequenceClassification", problem_type="regression", classifier_pooling="mean",
        **names(["score"]))
    classifier = original(folder)
    for text, row in zip(TEXTS, lines("classify", folder, *TEXTS, "--truncate", "--json"), strict=True):
        compare(row, classifier(text, top_k=None, truncation=True), measured)


def test_pairs(small_tokenizer, tmp_path, measured):
    folder = tmp_path / "made"
    checkpoint(folder, small_tokenizer, "ForSequenceClassification", **names(["entailment", "neutral", "contradiction"]))
    classifier = original(folder)
    inputs = [{"text": text, "text_pair": pair} for text, pair in PAIRS]
    path = json_lines(tmp_path / "pairs.jsonl", inputs)
    for pair, row in zip(inputs, lines("classify", folder, "--input", path, "--top-k", 3, "--json"), strict=True):
        compare(row, classifier(pair, top_k=None), measured)


def test_decoders(small_tokenizer, tmp_path, measured):
    folder = tmp_path / "made"
    checkpoint(folder, small_tokenizer, "ForSequenceClassification", decoder=True, **names(LABELS))
    classifier = original(folder)
    texts = [text for text in TEXTS if text]
    rows = lines("classify", folder, *texts, "--top-k", len(LABELS), "--truncate", "--json")
    for text, row in zip(texts, rows, strict=True):
        compare(row, classifier(text, top_k=None, truncation=True), measured)


def test_labels_that_are_numbers(small_tokenizer, tmp_path, measured):
    folder = tmp_path / "made"
    checkpoint(folder, small_tokenizer, "ForSequenceClassification", num_labels=3)
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": {"0": 0, "1": 1, "2": 2}, "label2id": {"0": 0, "1": 1, "2": 2}}
    (folder / "config.json").write_text(json.dumps(config))
    classifier = original(folder)
    for text, row in zip(TEXTS, lines("classify", folder, *TEXTS, "--top-k", 3, "--truncate", "--json"), strict=True):
        theirs = classifier(text, top_k=None, truncation=True)
        compare(row, [score | {"label": str(score["label"])} for score in theirs], measured)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("template", [None, "It is about {}."])
def test_zero_shot(small_tokenizer, tmp_path, several, template, measured):
    folder = tmp_path / "made"
    checkpoint(folder, small_tokenizer, "ForSequenceClassification", **names(["contradiction", "neutral", "entailment"]))
    classifier = original(folder, "zero-shot-classification")
    options = {"hypothesis_template": template} if template else {}
    flags = ["--hypothesis-template", template] if template else []
    texts = [text for text in TEXTS if text][:-1]
    rows = lines(
        "classify", folder, *texts, "--labels", ",".join(LABELS), *flags, *["--multi-label"] * several, "--json")
    for text, row in zip(texts, rows, strict=True):
        theirs = classifier(text, LABELS, multi_label=several, **options)
        assert row["sequence"] == text and row["labels"] == theirs["labels"]
        measured(NAME, close(row["scores"], theirs["scores"]))
