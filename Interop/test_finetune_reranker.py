"""`ettin finetune reranker` beside sentence-transformers' CrossEncoderTrainer, both run from the same recipe.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR. Losses draw negatives from other rows in ways of their own,
so that MultipleNegativesRankingLoss is compared with all of them (`num_negatives: null`), where nothing is drawn.
"""

import csv
import json
import random
import signal
import time

import finetune_original as original
import pytest
import torch
from descendants import PAIRS, WIDTH, close, randomise
from finetune_reranker_runs import Original, OurReranker, Place, config, scores
from finetune_runs import expect_same_run
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

# How far apart losses, norms and evaluations may be, relatively.
LOSS = 1e-4
RANKED = {
    "type": "CrossEncoderRerankingEvaluator", "name": "gooaq-dev", "dataset": "ranked.jsonl", "always_rerank_positives": False}
# The model card's script, but for sizes, bfloat16 and the evaluator on NanoBEIR, which needs its files.
CARD = dict(
    train_dataset="labelled.jsonl", train_select=320, loss={"type": "BinaryCrossEntropyLoss", "pos_weight": 5.0},
    evaluator=[RANKED], num_train_epochs=1, per_device_train_batch_size=16, per_device_eval_batch_size=16,
    learning_rate=1e-3, warmup_ratio=0.1, eval_strategy="steps", eval_steps=5, save_strategy="steps", save_steps=5,
    save_total_limit=2, load_best_model_at_end=True, metric_for_best_model="eval_gooaq-dev_ndcg@10",
    logging_first_step=True,
)
# The Ettin rerankers' own distillation, but for sizes, bfloat16 and NanoBEIR.
DISTILLATION = dict(
    train_dataset="scored.jsonl", train_select=160, loss="MSELoss", num_train_epochs=1, per_device_train_batch_size=8,
    learning_rate=2.4e-4, warmup_ratio=0.03, lr_scheduler_type="linear", logging_steps=0.05, eval_strategy="steps",
    eval_steps=0.25, save_strategy="steps", save_steps=0.25, save_total_limit=5, evaluator=[RANKED],
    load_best_model_at_end=True, metric_for_best_model="eval_gooaq-dev_ndcg@10",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory, small_tokenizer):
    place = Place(tmp_path_factory.mktemp("rerankers"), small_tokenizer)
    modular(place.folder / "encoder", place.folder / "modular")
    return place


def modular(base, folder):
    """The layout of the Ettin rerankers."""
    key = "sentence_embedding"
    head = [
        Dense(WIDTH, WIDTH, bias=False, activation_function=torch.nn.GELU(), module_input_name=key), LayerNorm(WIDTH),
        Dense(WIDTH, 1, activation_function=torch.nn.Identity(), module_input_name=key, module_output_name="scores")]
    for index, module in enumerate(head):
        randomise(module, seed=40 + index)
    modules = [Transformer(str(base)), Pooling(WIDTH, pooling_mode="cls"), *head]
    CrossEncoder(modules=modules, num_labels=1, activation_fn=torch.nn.Identity(), device="cpu").save_pretrained(str(folder))


def compare(recipe, measured, tolerance=LOSS):
    """Runs both; the logs and what is left on disk must be the same."""
    theirs, ours = Original(recipe), OurReranker(recipe)
    measured("rerankers: log of a run, largest relative difference", difference := original.largest(ours.log, theirs.log))
    assert difference <= tolerance, f"ours:   {json.dumps(ours.log)}\ntheirs: {json.dumps(theirs.log)}"
    assert ours.checkpoints == theirs.checkpoints
    for key in ("global_step", "max_steps", "best_global_step"):
        assert ours.state[key] == getattr(theirs.state, key), key
    return ours, theirs


def predict(model):
    return model.predict(PAIRS, show_progress_bar=False)


# --- Scripts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["scorer", "modular"])
@pytest.mark.parametrize("script", ["card", "distillation"])
def test_a_published_script_takes_the_same_steps(place, tmp_path, script, head, measured):
    chosen = CARD if script == "card" else DISTILLATION
    ours, theirs = compare(
        place.recipe(f"{script}-{head}", model_name_or_path=str(place.folder / head), **chosen), measured)
    assert theirs.state.global_step == 20
    measured("rerankers: scores after 20 steps", close(scores(ours.final, tmp_path, PAIRS), predict(theirs.model), 1e-4))


# --- Losses -----------------------------------------------------------------------------------------------------------

LISTS = dict(train_dataset="lists.jsonl", per_device_train_batch_size=4)
TRIPLETS = dict(train_dataset="triplets.jsonl", per_device_train_batch_size=4)
CLASSES = dict(train_dataset="classes.jsonl")
LOSSES = {
    "default": dict(loss=None),
    "default of classes": CLASSES | dict(loss=None),
    "bce": dict(loss={"type": "BinaryCrossEntropyLoss", "activation_fn": "Tanh", "reduction": "sum"}),
    "cross-entropy": CLASSES | dict(
        loss={"type": "CrossEntropyLoss", "weight": [1.0, 2.0, 0.5], "label_smoothing": 0.1}),
    "mse": dict(train_dataset="scored.jsonl", loss={"type": "MSELoss", "activation_fn": "Identity"}),
    "mse of probabilities": dict(loss={"type": "MSELoss", "activation_fn": "Sigmoid"}),
    "margins": dict(train_dataset="margins.jsonl", loss="MarginMSELoss"),
    "scores of a teacher": dict(train_dataset="teacher.jsonl", loss={"type": "MarginMSELoss", "activation_fn": "Sigmoid"}),
    "ranking": TRIPLETS | dict(loss={"type": "MultipleNegativesRankingLoss", "num_negatives": None}),
    "ranking, more than there are": TRIPLETS | dict(
        loss={"type": "MultipleNegativesRankingLoss", "num_negatives": 40, "scale": 3.0, "activation_fn": None}),
    "ranking of pairs": TRIPLETS | dict(
        columns=["query", "positive"], loss={"type": "MultipleNegativesRankingLoss", "num_negatives": None}),
    "cached ranking": TRIPLETS | dict(
        loss={"type": "CachedMultipleNegativesRankingLoss", "num_negatives": None, "mini_batch_size": 5}),
    "lambda": LISTS | dict(loss="LambdaLoss"),
    "lambda, cut": LISTS | dict(
        loss={"type": "LambdaLoss", "k": 2, "sigma": 1.5, "reduction_log": "natural", "mini_batch_size": 3}),
    "lambda of probabilities": LISTS | dict(loss={"type": "LambdaLoss", "activation_fn": "Sigmoid"}),
    **{
        f"lambda, {scheme}": LISTS | dict(loss={"type": "LambdaLoss", "weighting_scheme": scheme})
        for scheme in ["NoWeightingScheme", "NDCGLoss1Scheme", "NDCGLoss2Scheme", "LambdaRankScheme", "NDCGLoss2PPScheme"]},
    "ranknet": LISTS | dict(loss="RankNetLoss"),
    "listnet": LISTS | dict(loss={"type": "ListNetLoss", "mini_batch_size": 4}),
    "listmle": LISTS | dict(loss="ListMLELoss"),
    "plistmle": LISTS | dict(loss="PListMLELoss"),
    "plistmle without weights": LISTS | dict(loss={"type": "PListMLELoss", "lambda_weight": None}),
    "adr-mse": LISTS | dict(loss={"type": "ADRMSELoss", "alpha": 2.0}),
}


@pytest.mark.sampled(12)
@pytest.mark.parametrize("case", LOSSES)
def test_losses_are_those_of_the_original(place, case, measured):
    """Norms of gradients are in the log beside the losses."""
    chosen = LOSSES[case]
    model = "classes" if chosen.get("train_dataset") == "classes.jsonl" else "scorer"
    compare(
        place.recipe(
            case.replace(" ", "-").replace(",", ""), model_name_or_path=str(place.folder / model), max_steps=4, **chosen),
        measured)


@pytest.mark.parametrize("chosen", [
    dict(gradient_accumulation_steps=3, train_select=90, num_train_epochs=2),
    dict(train_test_split={"test_size": 30, "seed": 1}, eval_strategy="epoch", num_train_epochs=1),
    dict(weight_decay=0.1, learning_rate_mapping={r"classifier": 5e-3, r"\.embeddings\.": 1e-5}, max_steps=6),
    dict(max_length=16, max_steps=6),
])
def test_arguments_do_what_they_do_there(place, chosen, measured):
    compare(place.recipe(f"arguments-{'-'.join(chosen)}"[:60], **chosen), measured)


@pytest.mark.parametrize("head", ["scorer", "modular"])
def test_prompts_stand_before_the_first_text(place, head, measured):
    compare(
        place.recipe(f"prompts-{head}", model_name_or_path=str(place.folder / head), prompts="find: ", max_steps=4), measured)


# --- Evaluators -------------------------------------------------------------------------------------------------------


def rows(folder):
    return {path.name: list(csv.reader(path.read_text().splitlines())) for path in folder.glob("*.csv")}


def test_evaluators_measure_what_they_measure_there(place, measured):
    several = [
        {"type": "CrossEncoderClassificationEvaluator", "name": "same", "dataset": "binary-dev.jsonl"},
        {"type": "CrossEncoderCorrelationEvaluator", "name": "near", "dataset": "scored-dev.jsonl"},
        RANKED | {"always_rerank_positives": True},
    ]
    ours, theirs = compare(
        place.recipe("evaluators", evaluator=several, eval_strategy="steps", eval_steps=2, max_steps=4), measured, 1e-3)
    found, expected = rows(ours.output / "eval"), rows(place.folder / "evaluators" / "eval")
    assert sorted(found) == sorted(expected)
    for name, table in expected.items():
        assert found[name][0] == table[0]
        for left, right in zip(found[name][1:], table[1:], strict=True):
            values = [float(cell) for cell in right]
            assert [float(cell) for cell in left] == pytest.approx(values, rel=1e-3, abs=1e-3), name


def test_classes_are_measured(place, measured):
    evaluator = {"type": "CrossEncoderClassificationEvaluator", "name": "classes", "dataset": "classes.jsonl"}
    compare(
        place.recipe(
            "classes-evaluated", model_name_or_path=str(place.folder / "classes"), evaluator=evaluator,
            eval_strategy="steps", eval_steps=2, max_steps=4, **CLASSES), measured)


# --- Folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [5, 6, None])
@pytest.mark.parametrize("head", ["classification", "modular"])
def test_a_folder_loads_there_with_equal_scores(place, tmp_path, head, layout, measured):
    """Version 5.3 reads the same folder in test_finetune_v5.py."""
    if head == "modular" and layout == 5:
        pytest.skip("version 5 has no modular rerankers")
    recipe = place.recipe(
        f"folder-{head}-{layout}", model_name_or_path=str(place.folder / "encoder"), head=head, max_steps=3)
    ours = OurReranker(recipe, *(["--layout", layout] if layout else []))
    there = CrossEncoder(str(ours.final), device="cpu")
    assert there.num_labels == 1
    kind = torch.nn.Sigmoid if head == "classification" else torch.nn.Identity
    assert isinstance(there.activation_fn, kind)
    measured("rerankers: our folders there", close(scores(ours.final, tmp_path, PAIRS), predict(there)))
    assert (ours.final / "modules.json").exists() == (head == "modular" or layout == 6)


@pytest.mark.parametrize("head", ["scorer", "modular", "classes"])
def test_a_folder_that_the_original_trained_is_trained_further(place, tmp_path, head, measured):
    chosen = CLASSES if head == "classes" else {}
    recipe = place.recipe(f"theirs-{head}", model_name_or_path=str(place.folder / head), max_steps=2, **chosen)
    folder = Original(recipe).save(place.folder / f"theirs-{head}-saved")
    again = place.recipe(f"again-{head}", model_name_or_path=str(folder), max_steps=2, **chosen)
    ours, theirs = compare(again, measured)
    if head == "classes":
        there = CrossEncoder(str(ours.final), device="cpu")
        close(predict(there), predict(theirs.model), 1e-4)
    else:
        measured("rerankers: their folders here", close(scores(folder, tmp_path, PAIRS), predict(CrossEncoder(str(folder)))))


def test_a_new_head_takes_over_what_there_is(place):
    """As the first step of a warm-up has rate 0, the saved weights are those that the run began with."""
    recipe = place.recipe("new-head", model_name_or_path=str(place.folder / "encoder"), max_steps=1, warmup_steps=1)
    theirs, ours = Original(recipe), OurReranker(recipe)
    saved = theirs.save(place.folder / "new-head-theirs")
    found, expected = load_file(ours.final / "model.safetensors"), load_file(saved / "model.safetensors")
    assert sorted(found) == sorted(expected)
    for name, tensor in expected.items():
        if name == "classifier.weight":
            # Drawn with a standard deviation of 1/√width, and cut at twice that.
            assert tensor.shape == found[name].shape and found[name].abs().max() <= 2 / WIDTH**0.5
        else:
            torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)
    mine, other = config(ours.final), config(saved)
    for key in ("architectures", "id2label", "label2id", "classifier_pooling", "hidden_size", "model_type"):
        assert mine[key] == other[key], key


def test_one_head_becomes_the_other_with_the_same_scores(place, tmp_path, measured):
    # The norm of the modular scorer has a bias, which becomes part of the classifier's.
    starts = [("scorer", "modular"), ("scorer-modular-ours/final", "classification"), ("modular", "classification")]
    for start, head in starts:
        recipe = place.recipe(
            f"{start.split('/')[0]}-{head}", model_name_or_path=str(place.folder / start), head=head, max_steps=1,
            warmup_steps=1)
        ours = OurReranker(recipe)
        there = CrossEncoder(str(ours.final), device="cpu")
        before = CrossEncoder(str(place.folder / start), device="cpu")
        measured("rerankers: the other head", close(predict(there), predict(before)))
        close(scores(ours.final, tmp_path, PAIRS), predict(before))


def test_the_card_has_the_front_matter_of_the_original(place):
    recipe = place.recipe("readme", max_steps=3, evaluator=RANKED, eval_strategy="steps", eval_steps=3)
    theirs, ours = Original(recipe), OurReranker(recipe)
    expected = ModelCard.load(theirs.save(place.folder / "readme-theirs") / "README.md").data.to_dict()
    found = ModelCard.load(ours.final / "README.md").data.to_dict()
    assert sorted(found) == sorted(set(expected) - {"widget"})
    for key in ("tags", "base_model", "pipeline_tag", "library_name", "metrics"):
        assert found.get(key) == expected.get(key), key
    [mine], [other] = found["model-index"], expected["model-index"]
    for left, right in zip(mine["results"], other["results"], strict=True):
        assert left["task"] == right["task"] and left["dataset"] == right["dataset"]
        values = {metric["type"]: metric["value"] for metric in right["metrics"]}
        assert values.keys() <= {metric["type"] for metric in left["metrics"]}


# --- Killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.sampled(1)
@pytest.mark.parametrize("head", ["classification", "modular"])
def test_a_run_that_is_killed_ends_in_the_same_bits(place, head):
    def recipe(name):
        return place.recipe(
            name, model_name_or_path=str(place.folder / "encoder"), head=head, num_train_epochs=2,
            loss={"type": "CachedMultipleNegativesRankingLoss", "mini_batch_size": 5}, evaluator=RANKED,
            eval_strategy="steps", eval_steps=6, save_strategy="steps", save_steps=6, save_total_limit=2,
            load_best_model_at_end=True, metric_for_best_model="eval_gooaq-dev_ndcg@10", train_select=80, **TRIPLETS)

    whole = OurReranker(recipe(f"whole-{head}"))
    killed = OurReranker(recipe(f"killed-{head}"), run=False)
    rng = random.Random(head)
    for step in sorted(rng.sample(range(2, whole.state["global_step"] - 2), 2)):
        process = killed.begin("autoresume=true")
        killed.wait(process, step)
        time.sleep(rng.uniform(0, 0.02))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.communicate()
    killed.run("resume_from_checkpoint=true")
    expect_same_run(whole, killed)
