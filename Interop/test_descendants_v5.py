"""Dense, cross and sparse models that sentence-transformers 5.3 has just written; its rules differ from those of 6.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR, and the environment of requirements-pylate.txt.
"""

import numpy
import pytest
import torch
from descendants import (
    DOCUMENTS, PAIRS, QUERIES, TEXTS, VOCABULARY, WIDTH, checkpoint, close, embeddings, json_lines, kind, lines, randomise,
    word_piece,
)
from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.models import Dense, LayerNorm, Normalize, Pooling, Router, StaticEmbedding, Transformer
from sentence_transformers.sparse_encoder.models import MLMTransformer, SparseStaticEmbedding, SpladePooling

NAME = "descendants: folders of sentence-transformers 5.3, largest difference"
SPACED = [*TEXTS, "  blanks around the text \n"]


@pytest.fixture(scope="module")
def base(small_tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("v5") / "base"
    model = checkpoint(folder, small_tokenizer, "ForMaskedLM")
    with torch.no_grad():
        model.decoder.bias -= 9  # So that some tokens are active and most are not.
    model.save_pretrained(folder)
    return folder


def save(folder, modules, kind=SentenceTransformer, **options):
    for index, module in enumerate(modules):
        if isinstance(module, (Dense, LayerNorm, StaticEmbedding)):
            randomise(module, seed=20 + index)
    kind(modules=modules, device="cpu", **options).eval().save_pretrained(str(folder))
    return kind(str(folder), device="cpu")


@pytest.mark.parametrize("mode", [
    "cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", "several"])
def test_every_pooling(base, tmp_path, mode, measured):
    several = {f"pooling_mode_{name}": True for name in ["cls_token", "max_tokens", "mean_tokens"]}
    pooling = Pooling(WIDTH, **(several if mode == "several" else {"pooling_mode": mode}))
    model = save(tmp_path / "made", [Transformer(str(base)), pooling])
    measured(NAME, close(embeddings(tmp_path / "made", *SPACED, "--truncate"), model.encode(SPACED)))
    assert kind(tmp_path / "made") == "embedding"


def test_chains_of_modules(base, tmp_path, measured):
    modules = [
        Transformer(str(base), max_seq_length=80), Pooling(WIDTH, pooling_mode="mean"), LayerNorm(WIDTH),
        Dense(WIDTH, 40, activation_function=torch.nn.GELU()), Dense(40, 8, bias=False), Normalize(),
    ]
    model = save(tmp_path / "made", modules)
    measured(NAME, close(embeddings(tmp_path / "made", *SPACED, "--truncate"), model.encode(SPACED)))


MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("include_prompt", [True, False])
def test_prompts(base, tmp_path, mode, include_prompt, measured):
    """A prompt that ends in a blank is stripped before its tokens are counted, unlike in version 6."""
    prompts = {"query": "search_query: ", "document": "doc:"}
    modules = [Transformer(str(base)), Pooling(WIDTH, pooling_mode=mode, include_prompt=include_prompt)]
    model = save(tmp_path / "made", modules, prompts=prompts, default_prompt_name="query")
    for flags, theirs in [
        ([], model.encode(SPACED)),
        (["--task", "query"], model.encode_query(SPACED)),
        (["--task", "document"], model.encode_document(SPACED)),
        (["--prompt", "A: "], model.encode(SPACED, prompt="A: ")),
    ]:
        measured(NAME, close(embeddings(tmp_path / "made", *SPACED, "--truncate", *flags), theirs))


def test_routers_and_static_embeddings(base, tmp_path, measured):
    static = randomise(StaticEmbedding(word_piece(), embedding_dim=WIDTH), seed=31)
    router = Router.for_query_document(
        query_modules=[static], document_modules=[Transformer(str(base)), Pooling(WIDTH, pooling_mode="mean")])
    model = save(tmp_path / "made", [router, Normalize()])
    for task, theirs in [("query", model.encode_query(SPACED)), ("document", model.encode_document(SPACED))]:
        measured(NAME, close(embeddings(tmp_path / "made", *SPACED, "--truncate", "--task", task), theirs))


@pytest.mark.parametrize("activation", [None, torch.nn.Identity()])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_rerankers(small_tokenizer, tmp_path, activation, pooling, measured):
    checkpoint(
        tmp_path / "base", small_tokenizer, "ForSequenceClassification", num_labels=1, classifier_pooling=pooling)
    CrossEncoder(str(tmp_path / "base"), device="cpu", activation_fn=activation).save_pretrained(str(tmp_path / "made"))
    model = CrossEncoder(str(tmp_path / "made"), device="cpu")
    for query in QUERIES:
        [ours] = lines("rerank", tmp_path / "made", query, *DOCUMENTS, "--json", "--truncate")
        theirs = model.rank(query, DOCUMENTS)
        assert [line["corpus_id"] for line in ours] == [line["corpus_id"] for line in theirs]
        measured(NAME, close([line["score"] for line in ours], [line["score"] for line in theirs]))
    pairs = json_lines(tmp_path / "pairs.jsonl", [{"query": query, "document": document} for query, document in PAIRS])
    ours = [line["score"] for line in lines("rerank", tmp_path / "made", "--input", pairs, "--json", "--truncate")]
    measured(NAME, close(ours, model.predict(PAIRS)))


@pytest.mark.parametrize("strategy", ["max", "sum"])
def test_sparse_encoders(base, tmp_path, strategy, measured):
    modules = [MLMTransformer(str(base)), SpladePooling(pooling_strategy=strategy)]
    compare_sparse(tmp_path / "made", save(tmp_path / "made", modules, SparseEncoder), measured)


def test_sparse_routers(base, tmp_path, measured):
    document = MLMTransformer(str(base))
    weight = torch.rand(VOCABULARY, generator=torch.Generator().manual_seed(9)) * 3
    router = Router.for_query_document(
        query_modules=[SparseStaticEmbedding(tokenizer=document.tokenizer, weight=weight)],
        document_modules=[document, SpladePooling("max")])
    compare_sparse(tmp_path / "made", save(tmp_path / "made", [router], SparseEncoder), measured)


def compare_sparse(folder, model, measured):
    assert kind(folder) == "sparse"
    for task, texts, encode in [
        ("query", QUERIES, model.encode_query), ("document", DOCUMENTS, model.encode_document)
    ]:
        expected = encode(texts).to_dense().numpy()
        ours = numpy.zeros_like(expected)
        for row, values in zip(ours, lines("sparse", folder, *texts, "--task", task, "--truncate"), strict=True):
            row[values["indices"]] = values["values"]
        measured(NAME, close(ours, expected))
