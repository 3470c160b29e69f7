"""Taggers of transformers through `ettin tag`: every aggregation strategy, windows with a stride, three segments.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR.
"""

import pytest
import torch
from descendants import CONTEXT, TEXTS, checkpoint, close, json_lines, kind, lines
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

NAME = "descendants: tags, largest difference"
LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
SENTENCES = [text for text in TEXTS if text][:-1]
LONG = TEXTS[-1] + " ".join(SENTENCES) * 3


@pytest.fixture(scope="module", params=["default", "silu and biases"])
def tagger(request, small_tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagger") / "made"
    options = {"classifier_activation": "silu", "classifier_bias": True, "norm_bias": True}
    checkpoint(
        folder, small_tokenizer, "ForTokenClassification", spread=1.5, id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
        **(options if request.param != "default" else {}))
    return folder


def original(folder, **options):
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return pipeline("token-classification", model=model, tokenizer=tokenizer, device="cpu", **options)


def compare(ours, theirs, measured):
    for field in ["entity", "entity_group", "index", "start", "end"]:
        assert [entity.get(field) for entity in ours] == [entity.get(field) for entity in theirs]
    for entity, expected in zip(ours, theirs):
        # The original decodes words twice, which spoils letters that are several tokens.
        if "\N{REPLACEMENT CHARACTER}" not in expected["word"]:
            assert entity["word"] == expected["word"]
    measured(NAME, close([entity["score"] for entity in ours], [float(entity["score"]) for entity in theirs]))


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_strategies(tagger, strategy, measured):
    classifier = original(tagger, aggregation_strategy=strategy)
    rows = lines("tag", tagger, *SENTENCES, "--aggregation-strategy", strategy, "--json")
    found = 0
    for text, row in zip(SENTENCES, rows, strict=True):
        theirs = classifier(text)
        compare(row, theirs, measured)
        found += len(theirs)
    assert found > 10
    assert kind(tagger) == "tagger"


@pytest.mark.sampled(5)
@pytest.mark.parametrize("strategy", ["simple", "first", "average", "max"])
@pytest.mark.parametrize("stride", [8, 40])
def test_windows_over_long_texts(tagger, strategy, stride, measured):
    classifier = original(tagger, aggregation_strategy=strategy, stride=stride)
    assert len(classifier.tokenizer(LONG)["input_ids"]) > 2 * CONTEXT
    [row] = lines("tag", tagger, LONG, "--aggregation-strategy", strategy, "--stride", stride, "--json")
    compare(row, classifier(LONG), measured)


def test_three_segments(small_tokenizer, tmp_path, measured):
    """Hallucination taggers read `[CLS] context [SEP] question [SEP] answer [SEP]`; only the answer is tagged."""
    folder = tmp_path / "made"
    checkpoint(folder, small_tokenizer, "ForTokenClassification", num_labels=2, spread=1.5)
    context, question, answer = "France is a country.", "What is its capital?", "The capital, they say, is Lyon."
    [row] = lines(
        "tag", folder, "--input", json_lines(tmp_path / "answers.jsonl", [{"text": answer}]), "--context", context,
        "--question", question, "--aggregation-strategy", "none", "--json")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids, first = [tokenizer.cls_token_id], 0
    for part in [context, question, answer]:
        first = len(ids)
        encoding = tokenizer(part, add_special_tokens=False, return_offsets_mapping=True)
        ids += [*encoding["input_ids"], tokenizer.sep_token_id]
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        scores = model(torch.tensor([ids])).logits[0].softmax(-1)[first:-1]
    theirs = [
        {"start": start, "end": end, "score": float(score.max()), "label": int(score.argmax())}
        for (start, end), score in zip(encoding["offset_mapping"], scores, strict=True)
    ]
    hallucinated = [entity for entity in theirs if entity["label"] == 1]
    ours = [entity for entity in row if entity["entity"] == "LABEL_1"]
    assert [(entity["start"], entity["end"]) for entity in ours] == [(e["start"], e["end"]) for e in hallucinated]
    measured(NAME, close([entity["score"] for entity in ours], [entity["score"] for entity in hallucinated]))
