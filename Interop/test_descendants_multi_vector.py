"""Multi-vector (late interaction) models that sentence-transformers 6 has just written, through `ettin embed` and `rerank`.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR.
"""

import json
import string

import numpy
import pytest
import torch
from descendants import DOCUMENTS, QUERIES, WIDTH, checkpoint, close, ettin, kind, lines, randomise
from safetensors.numpy import load_file
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling, MultiVectorMask
from tokenizers import AddedToken
from transformers import AutoTokenizer

NAME = "descendants: token vectors, largest difference"
PREFIXES = {"query": "[Q] ", "document": "[D] "}
PLAIN = {"query": "query: ", "document": "document: "}
FIXED = {"strategy": "fixed", "attend": False, "token": None, "length": 24}


def save(folder, small_tokenizer, prompts=PREFIXES, expansion=None, skipped=None, projections=((WIDTH, 12, False),),
         **lengths):
    """A new folder, and the original that read it."""
    base = folder.parent / f"{folder.name}-base"
    checkpoint(base, small_tokenizer, vocab_size=482)
    if prompts is PREFIXES:
        tokenizer = AutoTokenizer.from_pretrained(base)
        tokenizer.add_tokens([AddedToken(prefix, normalized=True, special=False) for prefix in prompts.values()])
        tokenizer.save_pretrained(base)
    key = "token_embeddings"
    dense = [
        Dense(inputs, outputs, bias=False, activation_function=torch.nn.Identity(), module_input_name=key,
              module_output_name=key, use_residual=residual) for inputs, outputs, residual in projections
    ]
    for index, module in enumerate(dense):
        randomise(module, seed=50 + index)
    transformer = Transformer(str(base), query_expansion=expansion, **lengths)
    modules = [transformer, *dense, MultiVectorMask(skiplist_words=skipped), Normalize(module_input_name=key)]
    MultiVectorEncoder(modules=modules, prompts=prompts, device="cpu").eval().save_pretrained(str(folder))
    return MultiVectorEncoder(str(folder), device="cpu")


def matrices(folder, task, texts, *flags):
    rows = lines("embed", folder, *texts, "--task", task, "--truncate", *flags)
    return [numpy.array(row["embedding"], dtype="float64") for row in rows]


def compare(folder, model, measured, documents=DOCUMENTS):
    for task, texts, encode in [
        ("query", QUERIES, model.encode_query), ("document", documents, model.encode_document)
    ]:
        for ours, theirs in zip(matrices(folder, task, texts), encode(texts, convert_to_numpy=True), strict=True):
            assert ours.shape == theirs.shape
            measured(NAME, close(ours, theirs))


@pytest.mark.sampled(5)
@pytest.mark.parametrize("strategy", ["fixed", "min"])
@pytest.mark.parametrize("attend", [False, True])
@pytest.mark.parametrize("length", [8, 24])
def test_expansion(small_tokenizer, tmp_path, strategy, attend, length, measured):
    expansion = {"strategy": strategy, "attend": attend, "token": None, "length": length}
    model = save(tmp_path / "made", small_tokenizer, expansion=expansion)
    compare(tmp_path / "made", model, measured)
    assert kind(tmp_path / "made") == "multi-vector"


@pytest.mark.sampled(4)
@pytest.mark.parametrize("prompts", [PREFIXES, PLAIN, {}])
@pytest.mark.parametrize("skipped", [None, list(string.punctuation)])
def test_prefixes_and_skip_lists(small_tokenizer, tmp_path, prompts, skipped, measured):
    model = save(tmp_path / "made", small_tokenizer, prompts=prompts, skipped=skipped)
    compare(tmp_path / "made", model, measured)


@pytest.mark.parametrize("residual", [False, True])
def test_projections_and_lengths(small_tokenizer, tmp_path, residual, measured):
    projections = [(WIDTH, 40, residual), (40, 40, residual), (40, 6, False)]
    model = save(
        tmp_path / "made", small_tokenizer, projections=projections, expansion=FIXED, document_length=20,
        skipped=list(string.punctuation))
    compare(tmp_path / "made", model, measured)


@pytest.mark.parametrize("factor", [2, 3])
def test_pooled_documents(small_tokenizer, tmp_path, factor, measured):
    model = save(tmp_path / "made", small_tokenizer)
    texts = [text for text in DOCUMENTS if text]
    pooling = HierarchicalTokenPooling(pool_factor=factor, normalize_embeddings=False)
    for ours, theirs in zip(
        matrices(tmp_path / "made", "document", texts, "--pool-factor", factor),
        model.encode_document(texts, token_pooling=pooling, convert_to_numpy=True), strict=True,
    ):
        assert ours.shape == theirs.shape
        # Groups may come in another order.
        order = [numpy.lexsort(numpy.round(matrix.T, 4)) for matrix in [ours, theirs]]
        measured(NAME, close(ours[order[0]], theirs[order[1]]))


def test_files_and_reranking(small_tokenizer, tmp_path, measured):
    folder = tmp_path / "made"
    model = save(folder, small_tokenizer, expansion=FIXED, skipped=list(string.punctuation))
    documents = model.encode_document(DOCUMENTS, convert_to_numpy=True)
    ettin("embed", folder, *DOCUMENTS, "--task", "document", "--truncate", "--output", tmp_path / "rows.safetensors")
    stored = load_file(tmp_path / "rows.safetensors")
    assert stored["lengths"].tolist() == [len(matrix) for matrix in documents]
    measured(NAME, close(stored["embeddings"], numpy.concatenate(documents)))
    theirs = model.similarity(model.encode_query(QUERIES), model.encode_document(DOCUMENTS))
    for query, expected in zip(QUERIES, theirs.numpy()):
        [ranked] = lines("rerank", folder, query, *DOCUMENTS, "--json", "--truncate")
        assert [line["corpus_id"] for line in ranked] == list(numpy.argsort(-expected, kind="stable"))
        measured("descendants: MaxSim, largest difference", close(
            [line["score"] for line in ranked], sorted(expected, reverse=True), tolerance=1e-5))


def test_a_backbone_becomes_none(small_tokenizer, tmp_path):
    """An encoder without a projection is no multi-vector model, although the original would add a random one."""
    checkpoint(tmp_path / "base", small_tokenizer)
    assert json.loads(ettin("info", tmp_path / "base", "--json"))["kind"] == "backbone"
