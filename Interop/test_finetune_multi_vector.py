"""Folders of `ettin finetune colbert` in sentence-transformers 6's MultiVectorEncoder, and its folders trained here.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR. Runs are compared with PyLate (test_finetune_colbert.py).
"""

import json

import numpy
import pytest
from descendants import DOCUMENTS, QUERIES, checkpoint, close, ettin, lines, refusal
from finetune_runs import triplets, write
from sentence_transformers import MultiVectorEncoder
from test_descendants_multi_vector import PLAIN, save

FIXED = {"strategy": "fixed", "attend": False, "token": None, "length": 16}


def train(model, folder, *values):
    """Trains a model for two steps; returns the folder of the finished one."""
    data = write(folder / "triplets.jsonl", triplets(16))
    ettin("finetune", "colbert", "--model", model, "--train", data, "--output", folder / "run", "loss=Contrastive",
          "max_steps=2", "save_strategy=no", "report_to=none", "logging_steps=1", "learning_rate=1e-3", *values)
    return folder / "run/final"


def compare(folder, model, measured):
    for task, texts, encode in [
        ("query", QUERIES, model.encode_query), ("document", DOCUMENTS, model.encode_document)
    ]:
        rows = lines("embed", folder, *texts, "--task", task, "--truncate")
        for row, theirs in zip(rows, encode(texts, convert_to_numpy=True), strict=True):
            ours = numpy.array(row["embedding"], dtype="float64")
            assert ours.shape == theirs.shape
            measured("fine-tuning ColBERT: our folders in sentence-transformers 6", close(ours, theirs))


@pytest.mark.parametrize("options", [[], ["do_query_expansion=false", "skiplist_words=[]"]])
def test_a_folder_loads_there_with_equal_vectors(small_tokenizer, tmp_path, options, measured):
    checkpoint(tmp_path / "encoder", small_tokenizer, "ForMaskedLM", num_hidden_layers=2)
    final = train(tmp_path / "encoder", tmp_path, "embedding_size=12", "query_length=16", "document_length=60", *options)
    compare(final, MultiVectorEncoder(str(final), device="cpu"), measured)


def test_a_folder_of_theirs_is_trained_further(small_tokenizer, tmp_path, measured):
    model = save(tmp_path / "made", small_tokenizer, expansion=FIXED, skipped=["."], document_length=60)
    before = model.encode_query(QUERIES, convert_to_numpy=True)
    final = train(tmp_path / "made", tmp_path, "learning_rate=1e-12")
    about = json.loads((final / "config_sentence_transformers.json").read_text())
    assert (about["query_prefix"], about["document_prefix"]) == ("[Q] ", "[D] ")
    assert (about["query_length"], about["document_length"], about["skiplist_words"]) == (16, 60, ["."])
    there = MultiVectorEncoder(str(final), device="cpu")
    for ours, theirs in zip(there.encode_query(QUERIES, convert_to_numpy=True), before, strict=True):
        close(ours, theirs, 1e-4)
    compare(final, there, measured)


def test_a_prompt_of_several_tokens_is_no_prefix(small_tokenizer, tmp_path):
    save(tmp_path / "made", small_tokenizer, prompts=PLAIN, expansion=FIXED, document_length=60)
    data = write(tmp_path / "triplets.jsonl", triplets(16))
    line = refusal("finetune", "colbert", "--model", tmp_path / "made", "--train", data, "--output", tmp_path / "run",
                   "loss=Contrastive")
    assert "query_prefix" in line and "query: " in line
