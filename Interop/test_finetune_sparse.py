"""`ettin finetune sparse` beside sentence-transformers' trainer of sparse models, and sparse evaluators beside its own.

Needs the programs ettin and ettin-probe, whose folder is named by ETTIN_BIN_DIR. Version 5.3 reads the same folders in
test_finetune_v5.py.
"""

import json
import random
import signal
import time

import finetune_original as original
import pytest
import torch
from descendants import TEXTS, checkpoint, close, json_lines
from finetune_original_sparse import Original
from finetune_runs import OursSparse, Place, batches, expect_same_run, weights, write
from huggingface_hub import ModelCard
from sentence_transformers import SparseEncoder
from sentence_transformers.sparse_encoder.evaluation import (
    SparseBinaryClassificationEvaluator, SparseEmbeddingSimilarityEvaluator, SparseInformationRetrievalEvaluator,
    SparseMSEEvaluator, SparseNanoBEIREvaluator, SparseRerankingEvaluator, SparseTripletEvaluator)
from sentence_transformers.util.similarity import SimilarityFunction
from test_evaluators import FUNCTIONS, beir, loading_from, nano_folder, retrieval_data, samples, texts
from test_evaluators import compare as compare_evaluators

# How far apart losses, norms and evaluations may be, relatively.
LOSS = 1e-4
DEV = {"type": "SparseTripletEvaluator", "name": "dev"}
RANKING = "SparseMultipleNegativesRankingLoss"
# The model card's script, but for sizes, precision and the evaluator's data.
CARD = dict(
    columns=["query", "positive"], train_test_split={"test_size": 40, "seed": 12}, train_select=320,
    loss={"type": "SpladeLoss", "loss": RANKING, "query_regularizer_weight": 5e-5, "document_regularizer_weight": 3e-5},
    num_train_epochs=1, per_device_train_batch_size=16, per_device_eval_batch_size=16, learning_rate=2e-5, warmup_ratio=0.1,
    batch_sampler="no_duplicates", eval_strategy="steps", eval_steps=8, save_strategy="steps", save_steps=8,
    save_total_limit=2, evaluator=DEV | {"dataset": "dev.jsonl"},
)


@pytest.fixture(scope="module")
def place(tmp_path_factory, small_tokenizer):
    place = Place(tmp_path_factory.mktemp("fine-tuning-sparse"), small_tokenizer)
    with torch.no_grad():
        # So that some tokens are active and most are not.
        model = checkpoint(place.folder / "encoder", small_tokenizer, "ForMaskedLM", num_hidden_layers=2,
                           global_attn_every_n_layers=2, spread=0.7)
        model.decoder.bias -= 10
        model.save_pretrained(place.folder / "encoder")
    write(place.folder / "margins.jsonl", [row | {"score": random.Random(n).uniform(-2, 4)} for n, row in enumerate(
        original.read(place.folder / "train.jsonl")[:60])])
    write(place.folder / "lists.jsonl", [row | {"score": [random.Random(n).uniform(0, 4), 1.0]} for n, row in enumerate(
        original.read(place.folder / "train.jsonl")[:60])])
    return place


def without_rounding(found, expected):
    """A log whose parts of losses, which are rounded to 4 places, are the other's where the last place alone differs."""
    return [
        {name: other[name] if name.endswith(("base_loss", "regularizer_loss")) and abs(value - other.get(name, 0)) < 1.01e-4 else value
         for name, value in entry.items()}
        for entry, other in zip(found, expected, strict=True)]


def compare(recipe, measured, tolerance=LOSS):
    """Runs both; the logs, the batches and what is left on disk must be the same."""
    theirs, ours = Original(recipe), OursSparse(recipe)
    assert batches(ours.path, "sparse") == theirs.batches
    measured("sparse fine-tuning: log of a run, largest relative difference",
             difference := original.largest(without_rounding(ours.log, theirs.log), theirs.log))
    assert difference <= tolerance, f"ours:   {json.dumps(ours.log)}\ntheirs: {json.dumps(theirs.log)}"
    for left, right in zip(ours.log, theirs.log):
        assert list(left) == list(right), (left, right)
    assert ours.checkpoints == original.checkpoints(theirs.output)
    return ours, theirs


# --- Scripts ----------------------------------------------------------------------------------------------------------


def test_the_published_script_takes_the_same_steps(place, measured):
    ours, theirs = compare(place.recipe("card", **CARD), measured)
    assert theirs.state.global_step == 20
    vectors = weights(ours.final)
    assert 0.01 < (vectors != 0).mean() < 0.9
    measured("sparse fine-tuning: weights after 20 steps, largest difference",
             close(vectors, theirs.embeddings(TEXTS), 1e-4))


# --- Arguments --------------------------------------------------------------------------------------------------------


def splade(loss=RANKING, kind="SpladeLoss", **options):
    return {"type": kind, "loss": loss, "query_regularizer_weight": 5e-2, "document_regularizer_weight": 3e-2} | options


# Eight batches an epoch, the last of them short, and two epochs; weights that are felt.
BASE = dict(train_select=60, num_train_epochs=2, learning_rate=1e-4, loss=splade())
EVALUATED = BASE | dict(train_test_split={"test_size": 20, "seed": 1}, eval_strategy="steps", eval_steps=4)
PAIRS = dict(train_dataset="pairs.jsonl", train_select=None)
ARGUMENTS = {
    "the default loss": BASE | dict(loss=None),
    "held-out loss": EVALUATED | dict(evaluator=DEV),
    "at the start": EVALUATED | dict(eval_on_start=True),
    "accumulation": BASE | dict(gradient_accumulation_steps=3, logging_steps=2),
    "cached": EVALUATED | dict(loss=splade(kind="CachedSpladeLoss", mini_batch_size=5)),
    "cached by tokens": BASE | dict(loss=splade(kind="CachedSpladeLoss", mini_batch_num_tokens=90)),
    "sum": BASE | dict(pooling_strategy="sum", loss=splade(query_regularizer_weight=1e-4, document_regularizer_weight=1e-4)),
    "two logarithms": BASE | dict(activation_function="log1p_relu"),
    "thresholds": BASE | dict(loss=splade(document_regularizer_threshold=120, query_regularizer_threshold=60)),
    "documents only": EVALUATED | dict(loss=splade(query_regularizer_weight=None, use_document_regularizer_only=True)),
    "no queries": EVALUATED | dict(loss=splade(query_regularizer_weight=None)),
    "linear schedule": BASE | dict(regularizer_scheduler={"type": "linear", "warmup_ratio": 0.5}),
    "hardness": BASE | dict(loss=splade({"type": RANKING, "scale": 0.5, "directions": ["query_to_doc", "query_to_query"]})),
    "margins": BASE | dict(train_dataset="margins.jsonl", loss=splade("SparseMarginMSELoss")),
    "distillation": BASE | dict(train_dataset="lists.jsonl", loss=splade("SparseDistillKLDivLoss")),
    "triplets": BASE | dict(loss=splade({"type": "SparseTripletLoss", "triplet_margin": 2})),
    "cosines": BASE | PAIRS | dict(loss=splade("SparseCosineSimilarityLoss")),
    "CoSENT": BASE | PAIRS | dict(loss=splade("SparseCoSENTLoss")),
    "AnglE": BASE | PAIRS | dict(loss=splade("SparseAnglELoss")),
    "decay and rates": BASE | dict(
        weight_decay=0.3, learning_rate_mapping={r"tok_embeddings": 1e-6, r"head\.dense": 1e-3}),
    "several data sets": BASE | dict(
        train_select=None, train_dataset={"first": {"path": "train.jsonl", "select": 44}, "second": "two.jsonl"},
        eval_dataset={"first": "dev.jsonl", "second": "two.jsonl"}, eval_strategy="steps", eval_steps=6,
        loss={"first": splade({"type": "SparseTripletLoss"}), "second": splade()}),
}


@pytest.mark.sampled(8)
@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_do_what_they_do_there(case, place, measured):
    recipe = place.recipe(case.replace(" ", "-"), **ARGUMENTS[case])
    if isinstance(recipe.get("loss"), dict):
        recipe["loss"] = {name: value for name, value in recipe["loss"].items() if value is not None}
    compare(recipe, measured)


# --- Folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [5, 6])
def test_a_folder_loads_there_with_equal_weights(place, layout, measured):
    recipe = place.recipe(f"folder-{layout}", **BASE | dict(max_steps=2, pooling_strategy="sum", max_active_dims=50))
    ours = OursSparse(recipe, "--layout", layout)
    there = SparseEncoder(str(ours.final), device="cpu")
    assert there[1].pooling_strategy == "sum" and there.max_active_dims == 50 and there.similarity_fn_name == "dot"
    vectors = weights(ours.final)
    theirs = there.encode(TEXTS, convert_to_sparse_tensor=False).numpy()
    measured("sparse fine-tuning: our folders in sentence-transformers", close(vectors, theirs))
    types = [module["type"] for module in json.loads((ours.final / "modules.json").read_text())]
    assert types[1] == "sentence_transformers.sparse_encoder." + (
        "models.SpladePooling" if layout == 5 else "modules.splade_pooling.SpladePooling")


def test_a_folder_that_the_original_trained_works_here_and_is_trained_on(place, measured):
    theirs = Original(place.recipe("theirs", **BASE | dict(max_steps=2)))
    folder = theirs.save(theirs.output / "final")
    measured("sparse fine-tuning: their folders in ettin sparse", close(weights(folder), theirs.embeddings(TEXTS)))
    compare(place.recipe("further", **BASE | dict(max_steps=3, model_name_or_path=str(folder))), measured)


def test_the_card_has_the_front_matter_of_the_original(place):
    recipe = place.recipe("readme", **EVALUATED | dict(max_steps=4, evaluator=DEV))
    theirs, ours = Original(recipe), OursSparse(recipe)
    expected = ModelCard.load(theirs.save(theirs.output / "final") / "README.md").data.to_dict()
    found = ModelCard.load(ours.final / "README.md").data.to_dict()
    # The original computes examples of similar sentences for the Hub's page.
    assert sorted(found) == sorted(set(expected) - {"widget"})
    for name in ("base_model", "pipeline_tag", "library_name", "metrics"):
        assert found.get(name) == expected.get(name), name
    assert sorted(found["tags"]) == sorted(expected["tags"])
    [mine], [other] = found["model-index"], expected["model-index"]
    for left, right in zip(mine["results"], other["results"], strict=True):
        assert left["task"] == right["task"] and left["dataset"] == right["dataset"]
        assert [(metric["type"], metric["name"]) for metric in left["metrics"]] == [
            (metric["type"], metric["name"]) for metric in right["metrics"]]


# --- Killed -----------------------------------------------------------------------------------------------------------


def resumed(place, name):
    return place.recipe(
        name, **EVALUATED | dict(
            num_train_epochs=3, gradient_accumulation_steps=2, loss=splade(kind="CachedSpladeLoss", mini_batch_size=3),
            batch_sampler="no_duplicates", evaluator=DEV, save_strategy="steps", save_steps=4))


def test_a_run_that_is_killed_ends_in_the_same_bits(place):
    whole = OursSparse(resumed(place, "whole"))
    killed = OursSparse(resumed(place, "killed"), run=False)
    rng = random.Random(3)
    for step in sorted(rng.sample(range(1, whole.state["global_step"] - 1), 2)):
        process = killed.begin("autoresume=true")
        killed.wait(process, step)
        time.sleep(rng.uniform(0, 0.02))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.communicate()
    killed.run("resume_from_checkpoint=true")
    expect_same_run(whole, killed)


# --- Evaluators -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(place):
    folder = place.folder / "evaluated"
    SparseEncoder(str(place.folder / "encoder"), device="cpu", prompts={"query": "query: "}).save_pretrained(str(folder))
    model = SparseEncoder(str(folder), device="cpu")
    model.folder = folder
    return model


def evaluate(evaluator, model, recipe, tmp_path, measured, **request):
    compare_evaluators(evaluator, model, model.folder, recipe, tmp_path, measured, sparse=True, **request)


@pytest.mark.parametrize("options", [
    {}, {"max_active_dims": 30, "corpus_chunk_size": 40}, {"score_functions": FUNCTIONS}, {"write_predictions": True},
])
def test_information_retrieval(model, tmp_path, measured, options):
    queries, corpus, relevant = retrieval_data(5)
    folder = beir(tmp_path / "beir", queries, corpus, relevant)
    theirs = dict(options)
    if "score_functions" in options:
        theirs["score_functions"] = {name: SimilarityFunction.to_similarity_fn(name) for name in FUNCTIONS}
    recipe = {"type": "SparseInformationRetrievalEvaluator", "name": "toy", "dataset": str(folder), **options}
    evaluate(SparseInformationRetrievalEvaluator(queries, corpus, relevant, name="toy", **theirs), model, recipe, tmp_path, measured)


@pytest.mark.parametrize("options", [{}, {"max_active_dims": 25}])
def test_nano_beir(model, tmp_path, measured, monkeypatch, options):
    subsets = nano_folder(tmp_path / "nano", ["NanoMSMARCO", "NanoNQ"])
    monkeypatch.setattr(SparseNanoBEIREvaluator, "_load_dataset_subset_split", loading_from(subsets))
    recipe = {"type": "SparseNanoBEIREvaluator", "dataset_names": ["msmarco", "nq"], "dataset_id": str(tmp_path / "nano")}
    evaluate(SparseNanoBEIREvaluator(["msmarco", "nq"], **options), model, recipe | options, tmp_path, measured)


@pytest.mark.parametrize("options", [{}, {"similarity_fn_names": FUNCTIONS, "max_active_dims": 20}])
@pytest.mark.parametrize("training", [False, True])
def test_triplets(model, tmp_path, measured, options, training):
    columns = [texts(60, seed) for seed in (1, 2, 3)]
    path = json_lines(tmp_path / "rows.jsonl", [dict(zip("apn", row)) for row in zip(*columns)])
    recipe = {"type": "SparseTripletEvaluator", "name": "dev", "dataset": str(path), **options}
    evaluate(SparseTripletEvaluator(*columns, name="dev", **options), model, recipe, tmp_path, measured, training=training)


def test_pairs_and_lists(model, tmp_path, measured):
    # No text is beside itself: cosines of 1 are ties that the original's rounding orders.
    ones, others = texts(80, 7), texts(80, 8)
    for kind, theirs, name, values in [
        (SparseEmbeddingSimilarityEvaluator, "scores", "score", [round(random.Random(n).random(), 1) for n in range(80)]),
        (SparseBinaryClassificationEvaluator, "labels", "label", [random.Random(n).randint(0, 1) for n in range(80)]),
    ]:
        rows = [{"one": one, "other": other, name: value} for one, other, value in zip(ones, others, values)]
        recipe = {"type": kind.__name__, "name": "pairs", "similarity_fn_names": ["cosine", "dot"]}
        recipe["dataset"] = str(json_lines(tmp_path / f"{name}.jsonl", rows))
        evaluator = kind(ones, others, **{theirs: values}, name="pairs", similarity_fn_names=["cosine", "dot"])
        (tmp_path / name).mkdir()
        evaluate(evaluator, model, recipe, tmp_path / name, measured)
    rows = samples(11, "negative")
    recipe = {"type": "SparseRerankingEvaluator", "name": "rr", "at_k": 4, "max_active_dims": 60}
    recipe["dataset"] = str(json_lines(tmp_path / "rows.jsonl", rows))
    (tmp_path / "rr").mkdir()
    evaluate(SparseRerankingEvaluator(rows, name="rr", at_k=4, max_active_dims=60), model, recipe, tmp_path / "rr", measured)


def test_a_teacher(model, place, tmp_path, measured):
    sources, targets = texts(40, 1), texts(40, 2)
    path = json_lines(tmp_path / "rows.jsonl", [{"s": one, "t": other} for one, other in zip(sources, targets)])
    recipe = {"type": "SparseMSEEvaluator", "name": "kd", "dataset": str(path), "teacher_model": str(model.folder)}
    evaluate(SparseMSEEvaluator(sources, targets, teacher_model=model, name="kd"), model, recipe, tmp_path, measured)
