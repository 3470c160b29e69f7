"""`ettin finetune colbert` beside PyLate under sentence-transformers' trainer, both run from the same recipe.

Needs the programs ettin and ettin-probe, whose folder is named by ETTIN_BIN_DIR, and the environment of
requirements-pylate.txt. The order of batches is that of sentence-transformers 6, not of the 5.3 that PyLate pins
(test_finetune_embedding.py): our file has its rows in an order that gives the original's batches.
"""

import csv
import json
import random
import shutil
import signal
import time
from pathlib import Path

import finetune_original as original
import numpy
import pytest
import torch
from descendants import DOCUMENTS, QUERIES, checkpoint, close, lines, refusal
from finetune_pylate import OriginalColBERT, evaluate
from finetune_runs import OursColBERT, batches, expect_same_run, texts, write
from pylate import models

# How far apart losses, norms and evaluations may be, relatively.
LOSS = 1e-4
LENGTHS = {"embedding_size": 16, "query_length": 16, "document_length": 40}
# The model card's script, but for sizes and bfloat16.
CARD = dict(
    num_train_epochs=1, per_device_train_batch_size=4, learning_rate=2e-3, warmup_ratio=0.05, logging_steps=1,
    save_strategy="no")
WAYS = 5
TRIPLETS = dict(CARD, train_dataset="triplets.jsonl", queries_dataset=None, documents_dataset=None)
CONTRASTS = {
    "pairs": {"loss": "Contrastive", "columns": ["query", "positive"]},
    "negatives": {"loss": {"type": "Contrastive", "temperature": 0.2}},
    "the sum": {"loss": {"type": "Contrastive", "size_average": False}},
    "chunks of queries": {"loss": {"type": "Contrastive", "score_mini_batch_size": 3}},
    "cached": {"loss": {"type": "CachedContrastive", "mini_batch_size": 3, "temperature": 0.5, "sum_gradients": True}},
    "no expansion": {"loss": "Contrastive", "do_query_expansion": False},
    "no prefixes": {"loss": "Contrastive", "query_prefix": "", "document_prefix": "", "skiplist_words": []},
    "prompts": {"loss": "Contrastive", "prompts": {"query": "search: ", "positive": "text: "}},
}
# Not accumulation: transformers 5.3 divides gradients by its steps twice, later versions once.
DISTILLATIONS = {
    "raw scores": {"loss": {"type": "Distillation", "normalize_scores": False}},
    "the sum": {"loss": {"type": "Distillation", "size_average": False}},
    "fewer ways": {"n_ways": 3},
    "attended expansion": {"attend_to_expansion_tokens": True},
    "no expansion": {"do_query_expansion": False},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory, small_tokenizer):
    """A folder with a small encoder, a multi-vector model that PyLate made of it, and data."""
    folder = tmp_path_factory.mktemp("colbert")
    checkpoint(folder / "encoder", small_tokenizer, "ForMaskedLM", num_hidden_layers=2, global_attn_every_n_layers=2, spread=0.7)
    torch.manual_seed(5)
    models.ColBERT(model_name_or_path=str(folder / "encoder"), device="cpu", **LENGTHS).save_pretrained(str(folder / "start"))
    rng = random.Random(4)
    queries = [{"query_id": 1000 + index, "text": texts(index % 24, rng, rng.randint(2, 6))} for index in range(80)]
    documents = [
        {"document_id": index, "text": texts(index % 24, rng, rng.randint(3, 40)) + rng.choice(["", ".", ", (a)!"])}
        for index in range(120)]
    rows = []
    for query in queries:
        ids = rng.sample(range(120), WAYS)
        rows.append({
            "query_id": query["query_id"], "document_ids": ids, "scores": [round(rng.uniform(-5, 12), 3) for _ in ids]})
    write(folder / "queries.jsonl", queries)
    write(folder / "documents.jsonl", documents)
    write(folder / "kd.jsonl", rows)
    write(folder / "triplets.jsonl", [
        {"query": queries[index]["text"], "positive": documents[index]["text"], "negative": documents[index + 30]["text"]}
        for index in range(80)])
    return folder


def recipe(place, name, **changes):
    files = {f"{key}_dataset": f"{file}.jsonl" for key, file in
             [("train", "kd"), ("queries", "queries"), ("documents", "documents")]}
    values = files | {"model_name_or_path": "start", "output_dir": name} | CARD | changes
    paths = {*files, "model_name_or_path", "output_dir"}
    return {
        key: str(place / value) if key in paths else value for key, value in values.items() if value is not None}


def beside(recipe, place, measured):
    """Runs both with the same batches; their logs must be the same."""
    theirs = OriginalColBERT(recipe)
    rows = original.read(recipe["train_dataset"])
    wanted = [row for batch in theirs.batches for row in batch]
    # Several passes become one over as many copies of the rows.
    path = place / f"{Path(recipe['output_dir']).name}-rows.jsonl"
    write(path, [rows[row] for row in wanted])
    settings = dict(recipe, train_dataset=str(path), num_train_epochs=1)
    drawn = [row for _, batch in batches(OursColBERT(settings, run=False).path, "colbert") for row in batch]
    assert sorted(drawn) == list(range(len(wanted)))
    ordered = [None] * len(wanted)
    for step, row in enumerate(drawn):
        ordered[row] = rows[wanted[step]]
    write(path, ordered)
    ours = OursColBERT(settings)
    keys = ("loss", "grad_norm", "learning_rate")
    logs = [[{key: entry[key] for key in keys} for entry in log if "loss" in entry] for log in (ours.log, theirs.log)]
    measured("fine-tuning ColBERT: log of a run, largest relative difference", difference := original.largest(*logs))
    assert difference <= LOSS, f"ours:   {json.dumps(logs[0])}\ntheirs: {json.dumps(logs[1])}"
    return ours, theirs, len(logs[0])


def matrices(folder, task, texts):
    rows = lines("embed", folder, *texts, "--task", task, "--truncate")
    return [numpy.array(row["embedding"], dtype="float64") for row in rows]


def same_vectors(folder, model, tolerance=1e-5):
    """The largest difference between our vectors of a folder and those of a model."""
    worst = 0
    for task, some in [("query", QUERIES), ("document", DOCUMENTS)]:
        for ours, theirs in zip(matrices(folder, task, some), model.encode(some, is_query=task == "query"), strict=True):
            assert ours.shape == theirs.shape
            worst = max(worst, close(ours, theirs, tolerance))
    return worst


# --- Runs -------------------------------------------------------------------------------------------------------------


def test_the_published_script_takes_the_same_steps(place, measured):
    ours, theirs, steps = beside(recipe(place, "card"), place, measured)
    assert steps == 20
    measured("fine-tuning ColBERT: vectors after 20 steps, largest difference", same_vectors(ours.final, theirs.model, 1e-4))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("case", DISTILLATIONS)
def test_distillation(case, place, measured):
    beside(recipe(place, f"kd-{case.replace(' ', '-')}", max_steps=5, **DISTILLATIONS[case]), place, measured)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("case", CONTRASTS)
def test_contrast(case, place, measured):
    beside(recipe(place, f"c-{case.replace(' ', '-')}", **dict(TRIPLETS, max_steps=5), **CONTRASTS[case]), place, measured)


# --- Folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"query_prefix": "", "document_prefix": "", "do_query_expansion": False}])
def test_a_folder_that_is_made_of_an_encoder_loads_there(place, options, measured):
    name = "made" if options else "made-plain"
    ours = OursColBERT(recipe(place, name, model_name_or_path="encoder", max_steps=2, **LENGTHS, **options))
    there = models.ColBERT(str(ours.final), device="cpu")
    assert there[0].auto_model.config.vocab_size == len(there.tokenizer)
    assert there.tokenizer.pad_token == "[MASK]"
    assert (there.query_length, there.document_length) == (16, 40)
    if not options:
        assert [there.query_prefix_id, there.document_prefix_id] == [len(there.tokenizer) - 2, len(there.tokenizer) - 1]
    measured("fine-tuning ColBERT: our folders in PyLate", same_vectors(ours.final, there))
    # The files have the keys of those that PyLate writes.
    saved = there.save_pretrained(str(place / f"{name}-saved")) or place / f"{name}-saved"
    for file in ["modules.json", "config_sentence_transformers.json", "1_Dense/config.json", "sentence_bert_config.json"]:
        mine, other = (json.loads((folder / file).read_text()) for folder in (ours.final, saved))
        if file == "config_sentence_transformers.json":
            assert mine.pop("__version__").keys() == other.pop("__version__").keys()
        if file == "sentence_bert_config.json":
            # The original writes the length of the texts that it has just read.
            assert mine.pop("max_seq_length") and other.pop("max_seq_length")
        assert mine == other, file


def test_the_card_has_the_front_matter_of_the_original(place):
    from huggingface_hub import ModelCard

    settings = recipe(place, "readme", max_steps=2)
    theirs = OriginalColBERT(settings)
    expected = ModelCard.load(theirs.save(theirs.output / "final") / "README.md").data.to_dict()
    found = ModelCard.load(OursColBERT(settings).final / "README.md").data.to_dict()
    for key in ("tags", "pipeline_tag", "library_name"):
        assert found.get(key) == expected.get(key), key


# --- Evaluators -------------------------------------------------------------------------------------------------------


def test_evaluators(place, tmp_path, measured):
    """PyLate pads documents with vectors of zeros, which count; so do ours."""
    rows = original.read(place / "triplets.jsonl")[:30]
    write(tmp_path / "triplets.jsonl", rows)
    known = {table: {row[f"{key}_id"]: row["text"] for row in original.read(place / f"{table}.jsonl")}
             for table, key in [("queries", "query"), ("documents", "document")]}
    scored = [{
        "query": known["queries"][row["query_id"]], "scores": row["scores"],
        "documents": [known["documents"][document] for document in row["document_ids"]],
    } for row in original.read(place / "kd.jsonl")[:20]]
    write(tmp_path / "scored.jsonl", scored)
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    corpus = {f"d{index}": row["positive"] for index, row in enumerate(rows)}
    queries = {f"q{index}": row["query"] for index, row in enumerate(rows)}
    write(beir / "corpus.jsonl", [{"_id": key, "text": text} for key, text in corpus.items()])
    write(beir / "queries.jsonl", [{"_id": key, "text": text} for key, text in queries.items()])
    judged = "".join(f"q{index}\td{index}\t1\n" for index in range(len(rows)))
    (beir / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    evaluators = [
        {"type": "ColBERTTripletEvaluator", "name": "dev", "dataset": str(tmp_path / "triplets.jsonl")},
        # The original ends with an error where this one has a name.
        {"type": "ColBERTDistillationEvaluator", "dataset": str(tmp_path / "scored.jsonl")},
        {"type": "PyLateInformationRetrievalEvaluator", "name": "beir", "dataset": str(beir)},
    ]
    ours = OursColBERT(recipe(
        place, "measured", max_steps=4, eval_strategy="steps", eval_steps=4, evaluator=evaluators, learning_rate=1e-2))
    found = next(entry for entry in ours.log if "eval_kl_divergence" in entry)
    model = models.ColBERT(str(ours.final), device="cpu")
    folder = tmp_path / "theirs"
    folder.mkdir()
    columns = [[row[name] for row in rows] for name in ("query", "positive", "negative")]
    expected = evaluate("ColBERTTripletEvaluator", model, folder, *columns, name="dev")
    lists = [[row[name] for row in scored] for name in ("query", "documents", "scores")]
    expected |= evaluate("ColBERTDistillationEvaluator", model, folder, *lists)
    relevant = {f"q{index}": {f"d{index}"} for index in range(len(rows))}
    expected |= evaluate("PyLateInformationRetrievalEvaluator", model, folder, queries, corpus, relevant, name="beir")
    for key, value in expected.items():
        measured("fine-tuning ColBERT: evaluators", close(found[f"eval_{key}"], value))
    tables = {path.name: next(csv.reader(path.open(newline=""))) for path in folder.glob("*.csv")}
    assert tables == {path.name: next(csv.reader(path.open(newline=""))) for path in (ours.output / "eval").glob("*.csv")}


# --- Killed -----------------------------------------------------------------------------------------------------------


def test_a_run_that_is_killed_ends_in_the_same_bits(place):
    config = place / "dropout/config.json"
    shutil.copytree(place / "start", config.parent)
    config.write_text(json.dumps(json.loads(config.read_text()) | {"mlp_dropout": 0.1, "embedding_dropout": 0.1}))

    def settings(name):
        return recipe(
            place, name, model_name_or_path="dropout", save_strategy="steps", save_steps=5, num_train_epochs=2,
            loss={"type": "Distillation", "mini_batch_size": 6})

    whole = OursColBERT(settings("whole"))
    killed = OursColBERT(settings("killed"), run=False)
    rng = random.Random(2)
    for step in sorted(rng.sample(range(1, 38), 2)):
        process = killed.begin("autoresume=true")
        killed.wait(process, step)
        time.sleep(rng.uniform(0, 0.02))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.communicate()
    killed.run("resume_from_checkpoint=true")
    expect_same_run(whole, killed)


# --- Refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row, message", [
    ({"query_id": 5, "document_ids": [1, 2], "scores": [1, 2]}, 'is "5"; expected an id that'),
    ({"query_id": 1000, "document_ids": [1, 2], "scores": [1, "a"]}, 'has the text "a"; expected a list of numbers'),
    ({"query_id": 1000, "document_ids": [1, 2], "scores": [1]}, "has 1 score for 2 documents"),
    ({"query_id": 1000, "document_ids": [1, 2, 3], "scores": [1, 2, 3]}, "has 3 documents, and a row before 2"),
])
def test_rows_that_do_not_fit_are_named(place, tmp_path, row, message):
    good = {"query_id": 1000, "document_ids": [3, 4], "scores": [1, 2]}
    path = write(tmp_path / "rows.jsonl", [good, row])
    flags = [f"{key}={value}" for key, value in recipe(place, "refused", train_dataset=None).items()]
    line = refusal("finetune", "colbert", f"train_dataset={path}", *flags)
    assert "rows.jsonl" in line and "line 2" in line and message in line
    assert not (place / "refused").exists()
