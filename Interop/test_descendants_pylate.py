"""ColBERT models that PyLate has just written, through `ettin embed` and `ettin rerank`.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR, and the environment of requirements-pylate.txt.
"""

import numpy
import pytest
import torch
from descendants import DOCUMENTS, QUERIES, WIDTH, checkpoint, close, kind, lines, randomise
from pylate import models, rank

NAME = "descendants: token vectors of PyLate, largest difference"
SPACED = [*QUERIES, "  blanks around the text  "]


def save(folder, small_tokenizer, projections=None, **options):
    """A new folder, and the original that read it."""
    base = folder.parent / f"{folder.name}-base"
    checkpoint(base, small_tokenizer)
    torch.manual_seed(7)
    model = models.ColBERT(model_name_or_path=str(base), device="cpu", **({"embedding_size": 12} | options))
    with torch.no_grad():  # So that the rows of the two prefixes differ.
        table = model[0].auto_model.embeddings.tok_embeddings.weight
        table.copy_(torch.randn(table.shape) * 0.7)
    for index, (inputs, outputs, residual) in enumerate(projections or []):
        dense = models.Dense(inputs, outputs, bias=False, activation_function=torch.nn.Identity(), use_residual=residual)
        randomise(dense, seed=60 + index)
        if index == 0:
            model[1] = dense
        else:
            model.append(dense)
    model.eval().save_pretrained(str(folder))
    return models.ColBERT(model_name_or_path=str(folder), device="cpu")


def matrices(folder, task, texts, *flags):
    rows = lines("embed", folder, *texts, "--task", task, "--truncate", *flags)
    return [numpy.array(row["embedding"], dtype="float64") for row in rows]


def compare(folder, model, measured):
    for task, texts in [("query", SPACED), ("document", DOCUMENTS)]:
        theirs = model.encode(texts, is_query=task == "query")
        for ours, expected in zip(matrices(folder, task, texts), theirs, strict=True):
            assert ours.shape == expected.shape
            measured(NAME, close(ours, expected))


@pytest.mark.parametrize("lengths", [{}, {"query_length": 8, "document_length": 20}, {"query_length": 16}])
def test_lengths(small_tokenizer, tmp_path, lengths, measured):
    # Documents of 180 tokens are PyLate's default, and more than the context here.
    compare(tmp_path / "made", save(tmp_path / "made", small_tokenizer, **({"document_length": 100} | lengths)), measured)
    assert kind(tmp_path / "made") == "multi-vector"


@pytest.mark.sampled(5)
@pytest.mark.parametrize("expansion, attend", [(True, False), (True, True), (False, False)])
@pytest.mark.parametrize("prefixes", [None, "", "Q: "])
def test_expansion_and_prefixes(small_tokenizer, tmp_path, expansion, attend, prefixes, measured):
    options = {} if prefixes is None else {"query_prefix": prefixes, "document_prefix": prefixes and "D: "}
    model = save(
        tmp_path / "made", small_tokenizer, do_query_expansion=expansion, attend_to_expansion_tokens=attend,
        query_length=24, document_length=60, **options)
    compare(tmp_path / "made", model, measured)


@pytest.mark.parametrize("words", [[], [".", "Ġthe"], None])
def test_skip_lists(small_tokenizer, tmp_path, words, measured):
    model = save(tmp_path / "made", small_tokenizer, skiplist_words=words, document_length=60)
    compare(tmp_path / "made", model, measured)


@pytest.mark.parametrize("projections", [
    [(WIDTH, 12, False)], [(WIDTH, 40, True), (40, 12, False)], [(WIDTH, WIDTH, True), (WIDTH, 6, True)]])
def test_projections(small_tokenizer, tmp_path, projections, measured):
    compare(tmp_path / "made", save(tmp_path / "made", small_tokenizer, projections, document_length=60), measured)


@pytest.mark.parametrize("factor", [2, 4])
def test_pooled_documents(small_tokenizer, tmp_path, factor, measured):
    model = save(tmp_path / "made", small_tokenizer, document_length=60)
    texts = [text for text in DOCUMENTS if text]
    theirs = model.encode(texts, is_query=False, pool_factor=factor)
    for ours, expected in zip(
        matrices(tmp_path / "made", "document", texts, "--pool-factor", factor), theirs, strict=True
    ):
        expected = numpy.asarray(expected)
        assert ours.shape == expected.shape
        # Groups may come in another order.
        order = [numpy.lexsort(numpy.round(matrix.T, 4)) for matrix in [ours, expected]]
        measured(NAME, close(ours[order[0]], expected[order[1]]))


def test_reranking(small_tokenizer, tmp_path, measured):
    model = save(tmp_path / "made", small_tokenizer, document_length=60)
    documents = model.encode(DOCUMENTS, is_query=False)
    for query, vectors in zip(QUERIES, model.encode(QUERIES, is_query=True), strict=True):
        # One by one: in a batch, the padding of the original competes with a similarity of 0.
        expected = sorted(
            (rank.rerank([[index]], [vectors], [[document]])[0][0] for index, document in enumerate(documents)),
            key=lambda result: -result["score"])
        [ours] = lines("rerank", tmp_path / "made", query, *DOCUMENTS, "--json", "--truncate")
        assert [line["corpus_id"] for line in ours] == [line["id"] for line in expected]
        measured("descendants: MaxSim of PyLate, largest difference", close(
            [line["score"] for line in ours], [float(line["score"]) for line in expected]))
