"""Rerankers in both layouts, written by sentence-transformers 6 and transformers, through `ettin rerank`.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR.
"""

import json

import numpy
import pytest
import torch
from descendants import (
    DOCUMENTS, PAIRS, QUERIES, WIDTH, checkpoint, close, json_lines, kind, lines, randomise, refusal,
)
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

NAME = "descendants: reranker scores, largest difference"


@pytest.fixture(scope="module")
def base(small_tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rerank") / "base"
    checkpoint(folder, small_tokenizer)
    return folder


def modular(base, folder, pooling, activation, short=False, **options):
    """The layout of the Ettin rerankers, or the shortest that has only one Dense."""
    key = "sentence_embedding"
    head = [] if short else [
        Dense(WIDTH, WIDTH, bias=False, activation_function=torch.nn.GELU(), module_input_name=key), LayerNorm(WIDTH)]
    scorer = Dense(WIDTH, 1, activation_function=torch.nn.Identity(), module_input_name=key, module_output_name="scores")
    head.append(scorer)
    for index, module in enumerate(head):
        randomise(module, seed=40 + index, spread=1.5)
    modules = [Transformer(str(base)), Pooling(WIDTH, pooling_mode=pooling), *head]
    model = CrossEncoder(modules=modules, num_labels=1, activation_fn=activation, device="cpu", **options)
    model.eval().save_pretrained(str(folder))
    return CrossEncoder(str(folder), device="cpu")


def scores(folder, tmp_path, pairs, *flags):
    """What `ettin rerank` says of pairs."""
    values = [{"query": query, "document": document} for query, document in pairs]
    return [line["score"] for line in lines(
        "rerank", folder, "--input", json_lines(tmp_path / "pairs.jsonl", values), "--json", "--truncate", *flags)]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("activation", [torch.nn.Identity, torch.nn.Sigmoid])
@pytest.mark.parametrize("short", [False, True])
def test_modular_scorers(base, tmp_path, pooling, activation, short, measured):
    folder = tmp_path / "made"
    model = modular(base, folder, pooling, activation(), short)
    measured(NAME, close(scores(folder, tmp_path, PAIRS), model.predict(PAIRS)))
    raw, squashed = [model.predict(PAIRS, activation_fn=f) for f in [torch.nn.Identity(), torch.nn.Sigmoid()]]
    measured(NAME, close(scores(folder, tmp_path, PAIRS, "--activation", "identity"), raw))
    measured(NAME, close(scores(folder, tmp_path, PAIRS, "--activation", "sigmoid"), squashed))
    assert kind(folder) == "reranker"


def test_ranking(base, tmp_path, measured):
    folder = tmp_path / "made"
    model = modular(base, folder, "cls", torch.nn.Identity(), prompts={"web": "search: "})
    several = json_lines(tmp_path / "many.jsonl", [{"query": query, "documents": DOCUMENTS} for query in QUERIES])
    together = lines("rerank", folder, "--input", several, "--json")
    for query, row in zip(QUERIES, together, strict=True):
        for flags, options, found in [
            ([], {}, row), (["--top-k", 2], {"top_k": 2}, None), (["--prompt-name", "web"], {"prompt_name": "web"}, None),
            (["--prompt", "A: "], {"prompt": "A: "}, None),
        ]:
            theirs = model.rank(query, DOCUMENTS, return_documents=True, **options)
            [ours] = [found] if found else lines("rerank", folder, query, *DOCUMENTS, "--json", *flags)
            assert [line["corpus_id"] for line in ours] == [line["corpus_id"] for line in theirs]
            assert [line["text"] for line in ours] == [line["text"] for line in theirs]
            measured(NAME, close([line["score"] for line in ours], [line["score"] for line in theirs]))


def test_scaled_scores_keep_their_order(base, tmp_path):
    folder = tmp_path / "made"
    model = modular(base, folder, "cls", torch.nn.Identity())
    raw, scaled = model.predict(PAIRS), numpy.array(scores(folder, tmp_path, PAIRS, "--scale-scores"))
    assert ((0 <= scaled) & (scaled <= 1)).all()
    assert list(numpy.argsort(scaled, kind="stable")) == list(numpy.argsort(raw, kind="stable"))


@pytest.mark.sampled(4)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("saved_by", ["transformers", "sentence-transformers", "an older sentence-transformers"])
def test_classification_checkpoints(small_tokenizer, tmp_path, pooling, saved_by, measured):
    folder = tmp_path / "made"
    checkpoint(folder, small_tokenizer, "ForSequenceClassification", num_labels=1, classifier_pooling=pooling)
    if saved_by == "sentence-transformers":
        CrossEncoder(str(folder), device="cpu", activation_fn=torch.nn.Identity()).save_pretrained(str(tmp_path / "st"))
        folder = tmp_path / "st"
    elif saved_by == "an older sentence-transformers":
        config = json.loads((folder / "config.json").read_text())
        config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.linear.Identity", "version": "4.1.0"}
        (folder / "config.json").write_text(json.dumps(config))
    model = CrossEncoder(str(folder), device="cpu")
    measured(NAME, close(scores(folder, tmp_path, PAIRS), model.predict(PAIRS)))
    assert kind(folder) == ("reranker" if saved_by == "sentence-transformers" else "classifier")


def test_a_decoder_with_one_label(small_tokenizer, tmp_path, measured):
    folder = tmp_path / "made"
    checkpoint(folder, small_tokenizer, "ForSequenceClassification", decoder=True, num_labels=1)
    model = CrossEncoder(str(folder), device="cpu")
    measured(NAME, close(scores(folder, tmp_path, PAIRS), model.predict(PAIRS)))


def test_other_commands_name_the_one_that_fits(base, tmp_path):
    modular(base, tmp_path / "made", "cls", torch.nn.Identity(), short=True)
    assert "reranker" in (error := refusal("embed", tmp_path / "made", "A fox.")) and "ettin rerank" in error
    assert "transformer without a head" in refusal("rerank", base, "A fox.", "A dog.")


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_other_types_stay_near_float32(base, tmp_path, dtype, measured):
    model = modular(base, tmp_path / "made", "cls", torch.nn.Sigmoid())
    ours = scores(tmp_path / "made", tmp_path, PAIRS, "--dtype", dtype)
    measured(f"descendants: reranker scores in {dtype}", float(numpy.abs(ours - model.predict(PAIRS)).max()))
    numpy.testing.assert_allclose(ours, model.predict(PAIRS), atol=0.1)
