"""`ettin finetune embedding` beside sentence-transformers' trainer, both run from the same recipe (finetune_original.py).

Needs the programs ettin and ettin-probe, whose folder is named by ETTIN_BIN_DIR.
"""

import csv
import json
import random
import shutil
import signal
import time
from pathlib import Path

import finetune_original as original
import pytest
from descendants import TEXTS, close, embeddings
from finetune_original import Original
from finetune_runs import CARD, DEV, SUITE, Ours, Place, batches, expect_same_run
from huggingface_hub import ModelCard
from sentence_transformers import SentenceTransformer

# How far apart losses, norms and evaluations may be, relatively.
LOSS = 1e-4
SCRIPTS = {"card": CARD, "suite": SUITE, "suite-decoder": SUITE | {"pooling_mode": "lasttoken"}}


@pytest.fixture(scope="module")
def place(tmp_path_factory, small_tokenizer):
    return Place(tmp_path_factory.mktemp("fine-tuning"), small_tokenizer)


def compare(recipe, measured, tolerance=LOSS):
    """Runs both; the logs, the batches and what is left on disk must be the same."""
    theirs, ours = Original(recipe), Ours(recipe)
    assert batches(ours.path) == theirs.batches
    measured("fine-tuning: log of a run, largest relative difference", difference := original.largest(ours.log, theirs.log))
    assert difference <= tolerance, f"ours:   {json.dumps(ours.log)}\ntheirs: {json.dumps(theirs.log)}"
    assert ours.checkpoints == theirs.checkpoints
    for key in ("global_step", "max_steps", "best_global_step"):
        assert ours.state[key] == getattr(theirs.state, key), key
    assert name(ours.state["best_model_checkpoint"]) == name(theirs.state.best_model_checkpoint)
    return ours, theirs


def name(path):
    return path and Path(path).name


def rows(folder):
    """The tables that evaluators wrote."""
    result = {}
    for path in sorted(folder.glob("*.csv")):
        with open(path, newline="") as file:
            header, *lines = csv.reader(file)
        result[path.name] = header, [[float(value) for value in line] for line in lines]
    return result


# --- Scripts ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=sorted(SCRIPTS))
def script(request, place):
    """A script's recipe."""
    model = "decoder" if "decoder" in request.param else "encoder"
    return place.recipe(request.param, model_name_or_path=str(place.folder / model), **SCRIPTS[request.param])


def test_a_published_script_takes_the_same_steps(script, measured):
    ours, theirs = compare(script, measured)
    assert theirs.state.global_step == 20
    vectors = embeddings(ours.final, *TEXTS, "--truncate")
    measured("fine-tuning: embeddings after 20 steps, largest difference", close(vectors, theirs.embeddings(TEXTS), 1e-4))
    ours_rows, their_rows = rows(ours.output / "eval"), rows(theirs.output / "eval")
    assert sorted(ours_rows) == sorted(their_rows)
    for table, (header, lines) in their_rows.items():
        assert ours_rows[table][0] == header
        close(ours_rows[table][1], lines, 1e-6)


# --- Arguments --------------------------------------------------------------------------------------------------------

# Eight batches an epoch, the last of them short, and two epochs; where rows are held out, three evaluation batches.
BASE = dict(train_select=60, num_train_epochs=2)
EVALUATED = BASE | dict(train_test_split={"test_size": 20, "seed": 1}, eval_strategy="steps", eval_steps=4)
SAVED = EVALUATED | dict(save_strategy="steps", save_steps=4)
SCORED = BASE | dict(train_dataset="pairs.jsonl", train_select=None, loss=None)
SEVERAL = BASE | dict(
    train_select=None, train_dataset={"first": {"path": "train.jsonl", "select": 44}, "second": "two.jsonl"})
ARGUMENTS = {
    # Schedules.
    "linear": BASE | dict(warmup_steps=3),
    "warm-up of a fraction": BASE | dict(warmup_steps=0.2),
    "warm-up ratio": BASE | dict(warmup_ratio=0.3),
    "cosine": BASE | dict(lr_scheduler_type="cosine", warmup_steps=2),
    "cosine with restarts": BASE | dict(lr_scheduler_type="cosine_with_restarts", lr_scheduler_kwargs={"num_cycles": 3}),
    "polynomial": BASE | dict(lr_scheduler_type="polynomial", lr_scheduler_kwargs={"power": 2, "lr_end": 1e-5}),
    "constant": BASE | dict(lr_scheduler_type="constant"),
    "constant with warm-up": BASE | dict(lr_scheduler_type="constant_with_warmup", warmup_steps=5),
    "inverse square root": BASE | dict(lr_scheduler_type="inverse_sqrt", warmup_steps=4),
    "warmup, stable, decay": BASE | dict(
        lr_scheduler_type="warmup_stable_decay", warmup_steps=3, lr_scheduler_kwargs={"num_decay_steps": 6}),
    "plateau": EVALUATED | dict(
        lr_scheduler_type="reduce_lr_on_plateau", lr_scheduler_kwargs={"factor": 0.5, "patience": 0, "threshold": 0.2},
        metric_for_best_model="loss"),
    # Steps and epochs.
    "short last group": BASE | dict(gradient_accumulation_steps=3),
    "group longer than the epoch": BASE | dict(gradient_accumulation_steps=20),
    "drop last": BASE | dict(dataloader_drop_last=True),
    "maximum in an epoch": BASE | dict(max_steps=5),
    "maximum past the epochs": BASE | dict(max_steps=19, num_train_epochs=1),
    "part of an epoch": BASE | dict(num_train_epochs=1.6, gradient_accumulation_steps=2),
    "another seed": BASE | dict(seed=7),
    "a seed of the data": BASE | dict(seed=7, data_seed=11),
    # The optimizer.
    "decay": BASE | dict(weight_decay=0.3, adam_beta1=0.8, adam_beta2=0.95, adam_epsilon=1e-6),
    "rates": BASE | dict(
        weight_decay=0.1, learning_rate_mapping={r"\.embeddings\.": 1e-5, r"layers\.1\.mlp\.": 4e-3}, warmup_steps=2),
    "no clipping": BASE | dict(max_grad_norm=0),
    "clipping": BASE | dict(max_grad_norm=0.4),
    "gradient checkpointing": BASE | dict(gradient_checkpointing=True),
    # Samplers.
    "no duplicates": BASE | dict(batch_sampler="no_duplicates"),
    "no duplicates, hashed, drop last": BASE | dict(batch_sampler="no_duplicates_hashed", dataloader_drop_last=True),
    "groups by label": SCORED | dict(train_dataset="classes.jsonl", batch_sampler="group_by_label", loss="ContrastiveLoss"),
    "several data sets": SEVERAL,
    "several data sets in turn": SEVERAL | dict(multi_dataset_batch_sampler="round_robin", batch_sampler="no_duplicates"),
    "a loss for each data set": SEVERAL | dict(
        loss={"first": {"type": "TripletLoss", "triplet_margin": 1}, "second": "MultipleNegativesRankingLoss"},
        prompts={"first": {"query": "query: "}, "second": {"b": "document: "}}),
    # Data and losses.
    "the default loss": SCORED | dict(
        eval_dataset="pairs-dev.jsonl", eval_strategy="epoch", evaluator={"type": "EmbeddingSimilarityEvaluator", "name": "sts"}),
    "columns": BASE | dict(columns=["positive", "query"]),
    "one prompt": BASE | dict(prompts="search: "),
    "prompts": BASE | dict(prompts={"query": "query: ", "negative": "document: "}),
    "a length": BASE | dict(max_seq_length=12),
    "cached Matryoshka": BASE | dict(loss={
        "type": "MatryoshkaLoss", "matryoshka_dims": [32, 16, 8], "matryoshka_weights": [1, 0.5, 0.25],
        "loss": {"type": "CachedMultipleNegativesRankingLoss", "mini_batch_size": 3}}),
    # Logs.
    "every third step": BASE | dict(logging_steps=3),
    "the first step too": BASE | dict(logging_steps=7, logging_first_step=True),
    "a fraction": BASE | dict(logging_steps=0.3),
    "every epoch": BASE | dict(logging_strategy="epoch"),
    "no log": BASE | dict(logging_strategy="no"),
    # Evaluations.
    "held-out loss": EVALUATED,
    "an evaluator alone": EVALUATED | dict(train_test_split=None, evaluator=DEV | {"dataset": "dev.jsonl"}, eval_steps=5),
    "after every epoch": EVALUATED | dict(eval_strategy="epoch", evaluator=DEV),
    "at the start, then late": EVALUATED | dict(eval_on_start=True, eval_delay=6),
    "fractions of the run": EVALUATED | dict(eval_steps=0.25, logging_steps=0.125),
    "steps of the log": EVALUATED | dict(eval_steps=None, logging_steps=6),
    "several evaluators": EVALUATED | dict(evaluator=[DEV, {"type": "TripletEvaluator", "name": "wide", "margin": 0.1}]),
    "several held-out sets": SEVERAL | dict(
        eval_dataset={"first": "dev.jsonl", "second": "two.jsonl"}, eval_strategy="steps", eval_steps=6, evaluator=DEV),
    # Checkpoints.
    "every third": BASE | dict(save_strategy="steps", save_steps=3),
    "the last two": BASE | dict(save_strategy="steps", save_steps=3, save_total_limit=2),
    "an epoch each": BASE | dict(save_strategy="epoch"),
    "a fraction each": BASE | dict(save_strategy="steps", save_steps=0.2),
    "the best at the end": SAVED | dict(load_best_model_at_end=True, learning_rate=2e-2),
    "the best alone": SAVED | dict(
        load_best_model_at_end=True, save_total_limit=1, evaluator=DEV, metric_for_best_model="dev_cosine_accuracy",
        learning_rate=2e-2),
    "the best of two": SAVED | dict(load_best_model_at_end=True, save_total_limit=2, save_steps=8, learning_rate=2e-2),
    "the worst": SAVED | dict(
        load_best_model_at_end=True, metric_for_best_model="eval_loss", greater_is_better=True, save_total_limit=2),
    "when it is best": EVALUATED | dict(save_strategy="best", metric_for_best_model="loss", learning_rate=5e-3),
}


@pytest.mark.sampled(10)
@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_do_what_they_do_there(case, place, measured):
    ours, theirs = compare(place.recipe(case.replace(" ", "-"), **ARGUMENTS[case]), measured)
    if ARGUMENTS[case].get("load_best_model_at_end"):
        close(embeddings(ours.final, *TEXTS, "--truncate"), theirs.embeddings(TEXTS), 1e-4)
    assert sorted(rows(ours.output / "eval")) == sorted(rows(theirs.output / "eval"))


# --- Folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [5, 6])
@pytest.mark.parametrize("model", ["encoder", "decoder"])
def test_a_folder_loads_there_with_equal_embeddings(place, model, layout, measured):
    """Version 5.3 reads the same folder in test_finetune_v5.py."""
    recipe = place.recipe(f"folder-{model}-{layout}", model_name_or_path=str(place.folder / model), max_steps=2)
    ours = Ours(recipe, "--layout", layout)
    there = SentenceTransformer(str(ours.final), device="cpu")
    assert there[1].pooling_mode == ("mean" if model == "encoder" else "lasttoken")
    vectors = embeddings(ours.final, *TEXTS, "--truncate")
    measured("fine-tuning: our folders in sentence-transformers", close(vectors, there.encode(TEXTS)))
    types = [module["type"] for module in json.loads((ours.final / "modules.json").read_text())]
    assert types[1].startswith("sentence_transformers.models." if layout == 5 else "sentence_transformers.sentence_transformer.")


def test_a_folder_that_the_original_trained_embeds_here(place, measured):
    for model, layers in [("encoder", {}), ("decoder", {"pooling_mode": "weightedmean"})]:
        recipe = place.recipe(f"theirs-{model}", model_name_or_path=str(place.folder / model), max_steps=2, **layers)
        theirs = Original(recipe)
        folder = theirs.save(theirs.output / "final")
        vectors = embeddings(folder, *TEXTS, "--truncate")
        measured("fine-tuning: their folders in ettin embed", close(vectors, theirs.embeddings(TEXTS)))


def test_the_card_has_the_front_matter_of_the_original(place):
    recipe = place.recipe(
        "readme", max_steps=3, train_test_split={"test_size": 20, "seed": 1}, eval_strategy="steps", eval_steps=3,
        evaluator=DEV)
    theirs, ours = Original(recipe), Ours(recipe)
    expected = ModelCard.load(theirs.save(theirs.output / "final") / "README.md").data.to_dict()
    found = ModelCard.load(ours.final / "README.md").data.to_dict()
    # The original computes examples of similar sentences for the Hub's page.
    assert sorted(found) == sorted(set(expected) - {"widget"})
    for key in ("tags", "base_model", "pipeline_tag", "library_name", "metrics"):
        assert found.get(key) == expected.get(key), key
    [mine], [other] = found["model-index"], expected["model-index"]
    for left, right in zip(mine["results"], other["results"], strict=True):
        assert left["task"] == right["task"] and left["dataset"] == right["dataset"]
        assert [(metric["type"], metric["name"]) for metric in left["metrics"]] == [
            (metric["type"], metric["name"]) for metric in right["metrics"]]
        close([metric["value"] for metric in left["metrics"]], [metric["value"] for metric in right["metrics"]], 1e-4)


# --- Killed -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(place):
    """A run with dropout from start to end, that saves often."""
    config = place.folder / "dropout/config.json"
    shutil.copytree(place.folder / "encoder", config.parent)
    config.write_text(json.dumps(json.loads(config.read_text()) | {"mlp_dropout": 0.1, "embedding_dropout": 0.1}))
    return Ours(resumed(place, "whole"))


def resumed(place, name):
    return place.recipe(
        name, model_name_or_path=str(place.folder / "dropout"), num_train_epochs=3, gradient_accumulation_steps=2,
        loss={"type": "CachedMultipleNegativesRankingLoss", "mini_batch_size": 3}, batch_sampler="no_duplicates",
        train_test_split={"test_size": 20, "seed": 1}, eval_strategy="steps", eval_steps=5, evaluator=DEV,
        save_strategy="steps", save_steps=5, save_total_limit=3, load_best_model_at_end=True)


@pytest.mark.parametrize("kills", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_ends_in_the_same_bits(place, whole, kills):
    rng = random.Random(kills)
    killed = Ours(resumed(place, f"killed-{kills}"), run=False)
    steps = sorted(rng.sample(range(1, whole.state["global_step"] - 1), kills))
    for step in steps:
        process = killed.begin("autoresume=true")
        killed.wait(process, step)
        time.sleep(rng.uniform(0, 0.02))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.communicate()
    killed.run("resume_from_checkpoint=true")
    expect_same_run(whole, killed)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_run_resumes_to_the_same_bits(place, whole, number):
    stopped = Ours(resumed(place, f"stopped-{number.name}"), run=False)
    process = stopped.begin("autoresume=true")
    stopped.wait(process, 7)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert int(stopped.checkpoints[-1].split("-")[1]) % 5 != 0 or stopped.steps() % 5 == 0
    stopped.run("resume_from_checkpoint=true")
    expect_same_run(whole, stopped)
