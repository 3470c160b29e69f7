"""`ettin finetune classifier` and `ettin finetune tagger` beside transformers' Trainer, both run from the same recipe.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR.
"""

import json
import signal

import finetune_original as original
import numpy
import pytest
from descendants import close, lines, json_lines, refusal
from finetune_classifier_runs import (
    KINDS, TAGS, Original, OurClassifier, OurTagger, Place, logits)
from finetune_runs import expect_same_run
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

# How far apart losses, norms and evaluations may be, relatively.
LOSS = 1e-4
STEPS = dict(max_steps=20, eval_strategy="steps", eval_steps=10, warmup_steps=2)
PROBLEMS = {
    "single": dict(train_dataset="single.jsonl", eval_dataset="single-dev.jsonl", metrics=["accuracy", "f1_macro"]),
    "pair": dict(
        train_dataset="pair.jsonl", eval_dataset="pair-dev.jsonl", metrics=["accuracy", "f1", "matthews_correlation"]),
    "numbers": dict(
        train_dataset="numbers.jsonl", eval_dataset="numbers-dev.jsonl", num_labels=1, metrics=["mse", "pearson", "spearmanr"]),
    "several": dict(train_dataset="several.jsonl", eval_dataset="several-dev.jsonl", metrics=["f1", "accuracy"]),
}
MODELS = {"single": "three", "pair": "two", "numbers": "one", "several": "three"}


@pytest.fixture(scope="module")
def place(tmp_path_factory, small_tokenizer):
    return Place(tmp_path_factory.mktemp("classifiers"), small_tokenizer)


def compare(recipe, measured, ours=OurClassifier, **options):
    """Runs both; the logs and what is left on disk must be the same."""
    theirs, ours = Original(recipe, **options), ours(recipe)
    measured("classifiers: log of a run, largest relative difference", difference := original.largest(ours.log, theirs.log))
    assert difference <= LOSS, f"ours:   {json.dumps(ours.log)}\ntheirs: {json.dumps(theirs.log)}"
    for key in ("global_step", "max_steps", "best_global_step"):
        assert ours.state[key] == getattr(theirs.state, key), key
    return ours, theirs


def trained_logits(ours, theirs, columns):
    """Those of the folder that ours wrote, beside the original's model in memory."""
    model = theirs.model
    found = []
    for texts in columns:
        encoded = theirs.tokenizer(*texts, return_tensors="pt")
        found.append(model(**encoded).logits[0].detach().numpy())
    return close(logits(ours.final, columns), found, 1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_twenty_steps_are_those_of_the_trainer(place, problem, kind, measured):
    model = str(place.folder / f"{kind}-{MODELS[problem]}")
    recipe = place.recipe(f"{problem}-{kind}", model_name_or_path=model, **STEPS, **PROBLEMS[problem])
    ours, theirs = compare(recipe, measured)
    rows = original.read(place.folder / PROBLEMS[problem]["eval_dataset"])[:4]
    columns = [[value for name, value in row.items() if name != "label"] for row in rows]
    measured("classifiers: logits after 20 steps", trained_logits(ours, theirs, columns))
    config = json.loads((ours.final / "config.json").read_text())
    assert config["architectures"] == [type(theirs.model).__name__]
    assert config["problem_type"] == theirs.model.config.problem_type


@pytest.mark.parametrize("chosen", [
    dict(label_smoothing_factor=0.1, max_steps=6),
    dict(weight_decay=0.1, max_steps=6, max_length=16),
    dict(lr_scheduler_type="cosine", warmup_steps=0.25, num_train_epochs=1, train_select=60),
    dict(
        eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2, load_best_model_at_end=True,
        metric_for_best_model="accuracy", early_stopping_patience=2, num_train_epochs=3, learning_rate=1e-5),
], ids=lambda chosen: next(iter(chosen)))
def test_arguments_do_what_they_do_there(place, chosen, measured):
    model = str(place.folder / "mean-two")
    ours, _ = compare(
        place.recipe(f"arguments-{next(iter(chosen))}", model_name_or_path=model, **PROBLEMS["pair"] | chosen), measured)
    if chosen.get("early_stopping_patience"):
        assert ours.state["global_step"] < ours.state["max_steps"]


def test_decoupled_weight_decay_is_that_of_composer(place):
    """Composer is not installed: its rule is a few lines, on the gradients of the original."""
    import torch

    recipe = place.recipe(
        "decoupled", model_name_or_path=str(place.folder / "cls-two"), optim="decoupled_adamw", weight_decay=1e-2, max_steps=6,
        max_grad_norm=0, **PROBLEMS["pair"])
    ours = OurClassifier(recipe)
    plain = {key: value for key, value in recipe.items() if key not in ("optim", "weight_decay")}

    class Decoupled(torch.optim.AdamW):
        """AdamW whose decay is the rate's share of its beginning."""

        def step(self, closure=None):
            for group in self.param_groups:
                factor = 1 - group["lr"] / recipe["learning_rate"] * recipe["weight_decay"]
                for parameter in group["params"]:
                    parameter.data.mul_(factor)
            return super().step(closure)

    import finetune_classifier_runs as runs

    class Theirs(runs.transformers.Trainer):
        def create_optimizer(self, model=None):
            self.optimizer = Decoupled(
                self.model.parameters(), lr=recipe["learning_rate"], betas=(0.9, 0.98), eps=1e-6, weight_decay=0)
            return self.optimizer

    before = runs.transformers.Trainer
    runs.transformers.Trainer = Theirs
    try:
        theirs = Original(plain | {"max_grad_norm": 0})
    finally:
        runs.transformers.Trainer = before
    assert original.largest(ours.log, theirs.log) <= LOSS, f"{ours.log}\n{theirs.log}"


@pytest.mark.parametrize("chosen", [{}, dict(label_all_tokens=True)], ids=["first", "all"])
def test_a_tagger_takes_the_same_steps(place, chosen, measured):
    recipe = place.recipe(
        f"tagger-{len(chosen)}", model_name_or_path=str(place.folder / "tagger"), train_dataset="tagged.jsonl",
        eval_dataset="tagged-dev.jsonl", **STEPS, **chosen)
    ours, theirs = compare(recipe, measured, OurTagger, tags=True)
    columns = [[" ".join(row["tokens"])] for row in original.read(place.folder / "tagged-dev.jsonl")[:3]]
    found = [theirs.model(**theirs.tokenizer(*texts, return_tensors="pt")).logits[0].detach().numpy() for texts in columns]
    for one, other in zip(logits(ours.final, columns, AutoModelForTokenClassification), found):
        measured("taggers: logits after 20 steps", close(one, other, 1e-4))
    assert json.loads((ours.final / "config.json").read_text())["id2label"] == {
        str(index): name for index, name in enumerate(TAGS)}


@pytest.mark.parametrize("base, decoder", [("encoder", False), ("causal", True)])
def test_a_new_classifier_is_loaded_there_and_run_here(place, base, decoder, tmp_path):
    """Also pairs of a decoder, whose template the tokenizer of the folder has."""
    recipe = place.recipe(f"new-{base}", model_name_or_path=str(place.folder / base), max_steps=4, **PROBLEMS["pair"])
    ours = OurClassifier(recipe)
    tokenizer = AutoTokenizer.from_pretrained(ours.final)
    ids = tokenizer("a ship", "at sea")["input_ids"]
    assert ids.count(tokenizer.sep_token_id) == 2 and ids[0] == tokenizer.cls_token_id
    rows = original.read(place.folder / "pair-dev.jsonl")[:5]
    columns = [[row["sentence1"], row["sentence2"]] for row in rows]
    theirs = logits(ours.final, columns)
    path = json_lines(tmp_path / "asked.jsonl", [{"text": first, "text_pair": second} for first, second in columns])
    answers = lines("classify", ours.final, "--input", path, "--json", "--activation", "none")
    ours_of = [[{label["label"]: label["score"] for label in answer}[f"LABEL_{index}"] for index in (0, 1)] for answer in answers]
    close(ours_of, theirs, 1e-4)


def test_an_mnli_classifier_is_transferred(place):
    """A head for other labels is new, the rest is kept: as there with ignore_mismatched_sizes."""
    three = str(place.folder / "cls-three")
    chosen = place.recipe(
        "transferred", model_name_or_path=three, max_steps=1, learning_rate=1e-12, num_labels=2, **PROBLEMS["pair"])
    assert "ignore_mismatched_sizes" in refusal("finetune", "classifier", *(
        f"{key}={json.dumps(value)}" for key, value in chosen.items()))
    ours = OurClassifier(chosen | {"ignore_mismatched_sizes": True})
    before, after = load_file(f"{three}/model.safetensors"), load_file(ours.final / "model.safetensors")
    assert after["classifier.weight"].shape[0] == 2
    for key, value in before.items():
        if not key.startswith("classifier."):
            assert numpy.allclose(value, after[key], atol=1e-6), key
    theirs = AutoModelForSequenceClassification.from_pretrained(three, num_labels=2, ignore_mismatched_sizes=True)
    assert {key: value.shape for key, value in theirs.state_dict().items()} == {
        key: value.shape for key, value in after.items()}


@pytest.mark.parametrize("kind", ["classifier", "tagger"])
def test_a_killed_run_resumes_to_the_same_bits(place, kind):
    if kind == "classifier":
        made, chosen = OurClassifier, dict(model_name_or_path=str(place.folder / "encoder"), **PROBLEMS["single"])
    else:
        made = OurTagger
        chosen = dict(
            model_name_or_path=str(place.folder / "encoder"), train_dataset="tagged.jsonl", eval_dataset="tagged-dev.jsonl")
    chosen = chosen | dict(
        max_steps=24, eval_strategy="steps", eval_steps=6, save_strategy="steps", save_steps=6,
        metric_for_best_model="accuracy", early_stopping_patience=9)
    whole = made(place.recipe(f"whole-{kind}", **chosen))
    killed = made(place.recipe(f"killed-{kind}", **chosen), run=False)
    process = killed.begin()
    killed.wait(process, 9)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed.run("autoresume=true")
    expect_same_run(whole, killed)
