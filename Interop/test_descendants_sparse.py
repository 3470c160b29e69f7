"""Sparse encoders that sentence-transformers 6 has just written, through `ettin sparse`.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR.
"""

import numpy
import pytest
import torch
from descendants import DOCUMENTS, QUERIES, VOCABULARY, checkpoint, close, kind, lines, refusal
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling

NAME = "descendants: sparse weights, largest difference"


@pytest.fixture(scope="module")
def base(small_tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sparse") / "base"
    model = checkpoint(folder, small_tokenizer, "ForMaskedLM")
    with torch.no_grad():
        model.decoder.bias -= 9  # So that some tokens are active and most are not.
    model.save_pretrained(folder)
    return folder


def save(folder, modules, **options):
    SparseEncoder(modules=modules, device="cpu", **options).eval().save_pretrained(str(folder))
    return SparseEncoder(str(folder), device="cpu")


def splade(base, **options):
    return [Transformer(str(base), transformer_task="fill-mask"), SpladePooling(**options)]


def dense(rows):
    """[texts, vocabulary] of what the command prints; values descend."""
    matrix = numpy.zeros((len(rows), VOCABULARY))
    for row, values in zip(matrix, rows):
        assert values["values"] == sorted(values["values"], reverse=True)
        assert len(values["indices"]) == len(values["values"]) == len(values["tokens"])
        row[values["indices"]] = values["values"]
    return matrix


def compare(folder, theirs, measured, *flags, texts=DOCUMENTS):
    rows = lines("sparse", folder, *texts, "--truncate", *flags)
    expected = theirs.to_dense().numpy()
    assert 0.01 < (expected != 0).mean() < 0.6
    measured(NAME, close(dense(rows), expected))
    return rows


@pytest.mark.parametrize("strategy", ["max", "sum"])
@pytest.mark.parametrize("activation", ["relu", "log1p_relu"])
def test_splade(base, tmp_path, strategy, activation, measured):
    modules = splade(base, pooling_strategy=strategy, activation_function=activation)
    model = save(tmp_path / "made", modules)
    rows = compare(tmp_path / "made", model.encode(DOCUMENTS), measured)
    assert kind(tmp_path / "made") == "sparse"
    for row, decoded in zip(rows, model.decode(model.encode(DOCUMENTS))):
        assert dict(zip(row["tokens"], row["values"])) == pytest.approx(dict(decoded), abs=1e-5, rel=1e-5)


def test_a_masked_language_model_is_pooled_by_its_maximum(base, measured):
    compare(base, SparseEncoder(str(base), device="cpu").encode(DOCUMENTS), measured)


def test_tasks_and_prompts(base, tmp_path, measured):
    prompts = {"query": "query: ", "document": "document: "}
    model = save(tmp_path / "made", splade(base), prompts=prompts)
    for task, encode in [("query", model.encode_query), ("document", model.encode_document)]:
        compare(tmp_path / "made", encode(DOCUMENTS), measured, "--task", task)


def test_a_router_whose_query_side_is_a_table(base, tmp_path, measured):
    modules = splade(base)
    weight = torch.rand(VOCABULARY, generator=torch.Generator().manual_seed(9)) * 3
    static = SparseStaticEmbedding(tokenizer=modules[0].tokenizer, weight=weight)
    router = Router.for_query_document(query_modules=[static], document_modules=modules)
    model = save(tmp_path / "made", [router])
    compare(tmp_path / "made", model.encode_query(QUERIES), measured, "--task", "query", texts=QUERIES)
    compare(tmp_path / "made", model.encode_document(DOCUMENTS), measured, "--task", "document")
    assert kind(tmp_path / "made") == "sparse"


def test_at_most_so_many_dimensions(base, tmp_path, measured):
    model = save(tmp_path / "made", splade(base), max_active_dims=20)
    compare(tmp_path / "made", model.encode(DOCUMENTS), measured)
    rows = compare(tmp_path / "made", model.encode(DOCUMENTS, max_active_dims=7), measured, "--max-active-dims", 7)
    assert all(len(row["values"]) <= 7 for row in rows)


def test_embed_names_the_command_that_fits(base, tmp_path):
    save(tmp_path / "made", splade(base))
    error = refusal("embed", tmp_path / "made", "A fox.")
    assert "sparse" in error and "`ettin sparse`" in error
