"""Scores of predictions beside those of scikit-learn, SciPy and seqeval.

Needs the program ettin-probe, whose folder is named by ETTIN_BIN_DIR.
"""

import json
import math
import os
import random
import subprocess
import warnings

import numpy
import pytest
import scipy.stats
import sklearn.metrics
from seqeval import metrics as seqeval

PROBE = os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin-probe")
pytestmark = pytest.mark.filterwarnings("ignore")
CASES = 300


def ours(requests):
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run([PROBE, "scores"], input=lines, capture_output=True, text=True, timeout=300, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def near(one, other, place=""):
    if one is None or other is None or math.isnan(other):
        assert one is None and math.isnan(other), (place, one, other)
        return
    assert abs(one - other) <= 1e-12, (place, one, other)


def same_report(one, other):
    """The same text, but for a last digit where a score lies in the middle of two, to within the rounding of sums."""
    lines = zip(one.split("\n"), other.rstrip("\n").split("\n"), strict=True)
    for mine, theirs in lines:
        if mine == theirs:
            continue
        assert len(mine) == len(theirs)
        for cell, expected in zip(mine.split(), theirs.split(), strict=True):
            assert cell == expected or abs(float(cell) - float(expected)) < 0.0011, (mine, theirs)


def averages(answer, theirs):
    for average in ["micro", "macro", "weighted"]:
        for one, other in zip(answer[average], theirs(average)[:3], strict=True):
            near(one, float(other), average)


def compare_classes(answer, names, theirs):
    precision, recall, f1, support = theirs
    assert [row[0] for row in answer["classes"]] == names
    for row, *values in zip(answer["classes"], precision, recall, f1, support, strict=True):
        for one, other in zip(row[1:], values, strict=True):
            near(one, float(other), row[0])


def test_classes():
    draw = random.Random(1)
    cases = [([0], [0]), ([1], [0]), ([1, 1], [1, 1]), ([0, 0, 2], [0, 1, 1]), ([3, 3], [0, 0])]
    for _ in range(CASES):
        count, classes = draw.randint(1, 60), draw.randint(1, 5)
        labels = [draw.randrange(classes) for _ in range(count)]
        cases.append(([label if draw.random() < 0.6 else draw.randrange(classes) for label in labels], labels))
    answers = ours({"kind": "classes", "predictions": p, "labels": y} for p, y in cases)
    for answer, (predictions, labels) in zip(answers, cases, strict=True):
        scores = sklearn.metrics.precision_recall_fscore_support
        averages(answer, lambda average: scores(labels, predictions, average=average, zero_division=0))  # noqa: B023
        names = [str(label) for label in sorted(set(labels) | set(predictions))]
        compare_classes(answer, names, scores(labels, predictions, zero_division=0))
        near(answer["accuracy"], sklearn.metrics.accuracy_score(labels, predictions))
        near(answer["matthews"], sklearn.metrics.matthews_corrcoef(labels, predictions))
        assert answer["confusion"] == sklearn.metrics.confusion_matrix(labels, predictions).tolist()
        if set(names) <= {"0", "1"}:
            near(answer["binary_f1"], sklearn.metrics.f1_score(labels, predictions, zero_division=0))
        report = sklearn.metrics.classification_report(labels, predictions, digits=3, zero_division=0)
        same_report(answer["report"], report)


def test_sets_of_classes():
    draw = random.Random(2)
    cases = []
    for _ in range(CASES):
        rows, classes, share = draw.randint(1, 30), draw.randint(2, 6), draw.random()
        cases.append([[[int(draw.random() < share) for _ in range(classes)] for _ in range(rows)] for _ in range(2)])
    answers = ours({"kind": "sets", "predictions": p, "labels": y} for p, y in cases)
    for answer, (predictions, labels) in zip(answers, cases, strict=True):
        given = (numpy.array(labels), numpy.array(predictions))
        scores = sklearn.metrics.precision_recall_fscore_support
        averages(answer, lambda average: scores(*given, average=average, zero_division=0))  # noqa: B023
        names = [str(label) for label in range(len(labels[0]))]
        compare_classes(answer, names, scores(*given, zero_division=0))
        near(answer["accuracy"], sklearn.metrics.accuracy_score(*given))


def test_numbers():
    draw = random.Random(3)
    cases = [([1, 1, 1], [1, 2, 3]), ([1, 2], [2, 1]), ([1.0, 2.0, 2.0, 4.0], [0, 1, 3, 2.5])]
    for number in range(CASES):
        count = draw.randint(2, 60)
        labels = [draw.choice([draw.uniform(0, 5), round(draw.uniform(0, 5))]) for _ in range(count)]
        # Whole numbers have ties.
        spread = draw.uniform(0, 4)
        predictions = [label + draw.gauss(0, spread) for label in labels]
        cases.append(([round(value) for value in predictions] if number % 2 else predictions, labels))
    answers = ours({"kind": "numbers", "predictions": p, "labels": y} for p, y in cases)
    for answer, (predictions, labels) in zip(answers, cases, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            near(answer["pearson"], float(scipy.stats.pearsonr(predictions, labels).statistic))
            near(answer["spearman"], float(scipy.stats.spearmanr(predictions, labels).statistic))
        near(answer["mse"], sklearn.metrics.mean_squared_error(labels, predictions))


SCHEMES = {
    "IOB": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
    "IOE": ["O", "I-PER", "E-PER", "I-LOC", "E-LOC"],
    "IOBES": ["O", "B-PER", "I-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "E-LOC", "S-LOC"],
    "one type": ["O", "B", "I"],
    "odd": ["O", "B-A-B", "I-A-B", "PER", "B-", "I-é", ".", "O-PER"],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_spans(scheme):
    draw = random.Random(4)
    tags = SCHEMES[scheme]
    cases = [([["O", "O"]], [["O", "O"]])]
    for _ in range(CASES):
        labels = [[draw.choice(tags) for _ in range(draw.randint(1, 12))] for _ in range(draw.randint(1, 5))]
        noise = draw.random()
        cases.append(([[draw.choice(tags) if draw.random() < noise else tag for tag in row] for row in labels], labels))
    answers = ours({"kind": "spans", "predictions": p, "labels": y} for p, y in cases)
    for answer, (predictions, labels) in zip(answers, cases, strict=True):
        near(answer["accuracy"], seqeval.accuracy_score(labels, predictions))
        theirs = seqeval.sequence_labeling.precision_recall_fscore_support
        spans = {name for rows in [labels, predictions] for name, *_ in seqeval.sequence_labeling.get_entities(rows)}
        if not spans:
            assert answer["micro"] == answer["macro"] == answer["weighted"] == [0, 0, 0]
            continue
        averages(answer, lambda average: theirs(labels, predictions, average=average))  # noqa: B023
        compare_classes(answer, sorted(spans), theirs(labels, predictions))
        same_report(answer["report"], seqeval.classification_report(labels, predictions, digits=3))


def test_what_cannot_be_compared_is_refused():
    requests = [
        {"kind": "classes", "predictions": [], "labels": []},
        {"kind": "classes", "predictions": [1], "labels": [-1]},
        {"kind": "numbers", "predictions": [1], "labels": [1, 2]},
        {"kind": "spans", "predictions": [["O"]], "labels": [["O", "O"]]},
    ]
    assert all("error" in answer for answer in ours(requests))
