"""`ettin pretrain` beside PyTorch: the same weights, the same batches, the same recipe, and the loss of every step.

Needs the programs ettin and ettin-probe, whose folder is named by ETTIN_BIN_DIR. Tokenizer, data and first weights
are made by the command (reference_runs.py); the other side is training_reference.py. There is no dropout, whose random
numbers differ.
"""

import copy
import json
import math

import numpy
import pytest
import torch
import training_reference as reference
from optimi import StableAdamW
from reference_runs import (
    CLIPPING, LENGTH, LOSS, WINDOW, Training, check, first_weights, folder, follow, largest, probe, recipe,
)
from safetensors.torch import load_file
from test_conversion import converted_by_hand, load as load_strictly
from tiny_runs import KINDS
from transformers import AutoTokenizer, GenerationConfig


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models so small are quickest on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- Steps -----------------------------------------------------------------------------------------------------------


@pytest.mark.sampled(2)
@pytest.mark.parametrize("weighting", ["literal", "intended"])
@pytest.mark.parametrize("kind", KINDS)
def test_fifty_steps(folder, tmp_path, measured, kind, weighting):
    ours = Training(tmp_path / "ours", recipe(folder, kind, rules__loss_weighting=weighting))
    assert len(ours.steps) == 50
    assert all([len(batch["sequences"]) for batch in step] == [6, 6, 4] for step in ours.batches)
    twin = reference.Run(ours.recipe, reference.load(kind, folder / f"{kind}-10000"))
    norms = check(ours, twin, measured, f"50 steps, {kind}, {weighting} weighting")
    assert 5 <= sum(norm > CLIPPING for norm in norms) <= 50
    # A pass over the data ends on the way, and there was something to learn.
    assert ours.steps[-1]["time/epoch"] == 1 and ours.loss[-1] < ours.loss[0] - 0.5


VARIANTS = {
    "microbatches of so many tokens": dict(device_train_microbatch_size="auto", max_tokens_per_microbatch=300),
    "a clock of tokens, rates a step late": dict(
        rules__learning_rate_timing="literal", rules__token_counting="attention_mask", max_duration="12000tok",
        scheduler__t_warmup="4000tok", scheduler__t_decay="5000tok",
    ),
    "stableadamw": dict(optimizer__name="stableadamw", optimizer__weight_decay=1.0),
    "decoupled_adamw": dict(optimizer__name="decoupled_adamw"),
    "adamw": dict(optimizer__name="adamw", optimizer__weight_decay=1.0),
    "decay of everything": dict(optimizer__filter_bias_norm_wd=False, optimizer__weight_decay=0.05),
    "z-loss": dict(model__model_config__loss_kwargs=dict(reduction="mean", lse_square_scale=1e-3)),
    "activations computed again": dict(gradient_checkpointing=True),
    "no clipping": dict(algorithms=None),
}


@pytest.mark.sampled(9)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_variants(folder, tmp_path, measured, kind, variant):
    ours = Training(tmp_path / "ours", recipe(folder, kind, **(dict(max_duration="12ba") | VARIANTS[variant])))
    assert len(ours.steps) >= 12
    twin = reference.Run(ours.recipe, reference.load(kind, folder / f"{kind}-10000"))
    check(ours, twin, measured, "12 steps of variants")


def test_the_window_of_training(folder, tmp_path, measured):
    """The training code's decoders saw one token more than those of transformers do."""
    changes = dict(max_duration="12ba", rules__decoder_window="training")
    ours = Training(tmp_path / "ours", recipe(folder, "decoder", **changes))
    model = reference.load("decoder", folder / "decoder-10000", sliding_window=WINDOW // 2 + 1)
    check(ours, reference.Run(ours.recipe, model), measured, "12 steps of variants")


@pytest.fixture(scope="module")
def unaltered(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("unaltered")
    return {kind: Training(path / kind, recipe(folder, kind, max_duration="20ba")) for kind in KINDS}


MISTAKES = {
    "weighting": dict(rules__loss_weighting="intended"),
    "late rates": dict(rules__learning_rate_timing="literal"),
    "no clipping": dict(algorithms=None),
    "no weight decay": dict(optimizer__weight_decay=0),
    "decay of norms": dict(optimizer__filter_bias_norm_wd=False),
    "decay not decoupled": dict(optimizer__name="stableadamw"),
    "no update clipping": dict(optimizer__name="decoupled_adamw"),
    "window": {},
}


@pytest.mark.sampled(8)
@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_mistake_would_show(folder, unaltered, kind, mistake):
    ours = unaltered[kind]
    window = WINDOW // 2 + (1 if mistake == "window" else 0)
    model = reference.load(kind, folder / f"{kind}-10000", sliding_window=window)
    other = recipe(folder, kind, **(dict(max_duration="20ba") | MISTAKES[mistake]))
    assert largest(ours.loss[:12], follow(ours, reference.Run(other, model), 12)[0]) > 3 * LOSS


@pytest.mark.parametrize("decoupled", [True, False])
def test_the_optimizer_is_torch_optimi_s(folder, measured, decoupled):
    """The reference itself, against the library that the suite was trained with."""
    settings = recipe(folder, "encoder", optimizer__weight_decay=0.1)["optimizer"]
    model, twin = (reference.load("encoder", folder / "encoder-10000") for _ in range(2))
    own = reference.StableAdamW(model, settings, decoupled)
    groups = [dict(params=[], weight_decay=settings["weight_decay"]), dict(params=[], weight_decay=0.0)]
    for name, parameter in twin.named_parameters():
        groups[parameter.ndim <= 1]["params"].append(parameter)
    original = StableAdamW(
        groups, lr=settings["lr"], betas=settings["betas"], eps=settings["eps"], decouple_lr=decoupled
    )
    torch.manual_seed(1)
    for step in range(30):
        for left, right in zip(model.parameters(), twin.parameters()):
            # Jumps, which the clipping of updates is for.
            left.grad = torch.randn_like(left) * (100 if step in (9, 20) else 1e-3)
            right.grad = left.grad.clone()
        rate = settings["lr"] * min(1, (step + 1) / 10, (31 - step) / 10)
        own.step(rate)
        for group in original.param_groups:
            group["lr"] = rate
        original.step()
    difference = max(
        ((left - right).norm() / right.norm()).item() for left, right in zip(model.parameters(), twin.parameters())
    )
    measured("the reference's StableAdamW and torch-optimi's, weights after 30 steps, relative difference", difference)
    assert difference <= 1e-6


# --- Runs that begin where others end --------------------------------------------------------------------------------


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind, rule", [("encoder", "intended"), ("encoder", "literal"), ("decoder", "literal")])
def test_three_phases(folder, tmp_path, measured, kind, rule):
    rules = dict(rules__learning_rate_timing=rule, rules__decay_base_rate=rule)
    falling = dict(scheduler=dict(name="one_minus_sqrt", t_decay="10ba", t_max="10ba", alpha_f=0.5))
    loading = dict(load_weights_only=False, reset_time=True, max_duration="10ba")
    constant = dict(max_duration="10ba", scheduler__t_warmup="4ba", scheduler__t_decay="0ba")
    first = Training(tmp_path / "step", recipe(folder, kind, **constant, **rules))
    twin = reference.Run(first.recipe, reference.load(kind, folder / f"{kind}-10000"))
    name = f"three phases, {rule} rules"
    check(first, twin, measured, name)
    previous = first
    last = copy.deepcopy(falling)
    last["scheduler"]["alpha_f"] = 0.04
    for phase, changes in [("ext", falling), ("decay", last | dict(restart_override=True, optimizer__lr=1.5e-3))]:
        long = recipe(
            folder, kind, phase=phase, load_path=str(previous.checkpoint),
            model__model_config__rotary_emb_base=160_000, **loading, **rules, **changes,
        )
        previous = Training(tmp_path / phase, long)
        twin.follow(long, reference.load(kind, first_weights(folder, kind, 160_000)))
        check(previous, twin, measured, name)
        assert previous.checkpoint.name == f"{phase}10"
    rates = previous.column("lr-StableAdamW/group1")
    # By mistake the training code let the last phase begin at the peak, after its first step.
    assert rates[0] == pytest.approx(1.5e-3) and (rates[1] > 2e-3) == (rule == "literal")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", KINDS)
def test_cross_objective_training(folder, tmp_path, measured, kind):
    """A model of one kind learns what the other was trained for."""
    other = KINDS[1 - KINDS.index(kind)]
    origin = Training(tmp_path / "origin", recipe(folder, other, max_duration="8ba", scheduler__t_warmup="2ba"))
    name = "flex_gpt_to_bert" if kind == "encoder" else "flex_bert_to_gpt"
    ours = Training(
        tmp_path / "ours",
        recipe(folder, kind, model__name=name, max_duration="12ba", load_path=str(origin.checkpoint), reset_time=True),
    )
    model = reference.load(kind, folder / f"{kind}-10000")
    state = reference.load(other, origin.checkpoint).state_dict()
    model.load_state_dict(converted_by_hand(state, kind))
    check(ours, reference.Run(ours.recipe, model), measured, "12 steps of cross-objective training")


# --- Batches ---------------------------------------------------------------------------------------------------------


def of_all(batches, column):
    """The rows of all microbatches of all steps."""
    return [row for step in batches for batch in step for row in batch[column]]


def test_batches_are_the_documents_in_numpy_s_order(folder, unaltered):
    """The data path by the originals: transformers' tokens of the documents, in NumPy's order."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    documents = [json.loads(line)["text"] for line in (folder / "train.jsonl").read_text().splitlines()]
    order = numpy.random.Generator(numpy.random.PCG64DXSM(3)).permutation(len(documents))
    # Words have a space in front of them in data sets, the first one too.
    ids = [tokenizer(" " + documents[index])["input_ids"] for index in order[: 20 * 16]]
    start, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    seen = {kind: of_all(training.batches, "sequences") for kind, training in unaltered.items()}
    labels = of_all(unaltered["encoder"].batches, "labels")
    assert seen["decoder"] == [row[:LENGTH] for row in ids]
    for masked, own, row in zip(seen["encoder"], labels, ids, strict=True):
        whole = row if len(row) <= LENGTH else row[: LENGTH - 1] + [end]
        assert [label if label != -100 else token for token, label in zip(masked, own, strict=True)] == whole
        assert own[0] == -100 and own[-1] == -100 and masked[0] == start and masked[-1] == end
    pairs = [pair for pair in zip(sum(seen["encoder"], []), sum(labels, [])) if pair[1] != -100]
    assert len(pairs) / sum(len(row) - 2 for row in seen["encoder"]) == pytest.approx(0.3, abs=0.02)
    share = lambda kept: sum(map(kept, pairs)) / len(pairs)
    assert share(lambda pair: pair[0] == tokenizer.mask_token_id) == pytest.approx(0.8, abs=0.03)
    assert share(lambda pair: pair[0] == pair[1]) == pytest.approx(0.1, abs=0.02)
    assert of_all(unaltered["decoder"].batches, "labels") == [row[1:] + [-100] for row in seen["decoder"]]


def test_halves_in_lockstep_see_what_each_sees_alone(unaltered, tmp_path):
    recipes = [unaltered[kind].folder / "recipe.yaml" for kind in KINDS]
    steps = [line["halves"] for line in probe("batches", 20, *recipes, f"save_folder={tmp_path}")]
    assert [list(half) for half in zip(*steps)] == [unaltered[kind].batches for kind in KINDS]


# --- Half precision --------------------------------------------------------------------------------------------------


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_ends_where_float32_does(folder, tmp_path, measured, kind):
    changes = dict(max_duration="160ba", global_train_batch_size=8, device_train_microbatch_size=8)
    full = Training(tmp_path / "full", recipe(folder, kind, **changes))
    half = Training(tmp_path / "half", recipe(folder, kind, precision="amp_bf16", **changes))
    assert half.batches == full.batches
    twin = reference.Run(half.recipe, reference.load(kind, folder / f"{kind}-10000"))
    loss = follow(half, twin)[0]
    # It is another precision, and the first losses are of the same weights.
    assert 1e-7 < largest(half.loss[:1], full.loss[:1]) < 2e-3 and largest(half.loss[:1], loss[:1]) < 2e-3
    tail = lambda losses: sum(losses[-25:]) / 25
    assert tail(full.loss) < full.loss[0] - 1
    held_out = lambda run: run.lines[-1]["metrics/eval/LanguageCrossEntropy"]
    twins, _ = reference.held_out(twin.model, half.held_out)
    for other, gaps in [
        ("float32", (largest([tail(half.loss)], [tail(full.loss)]), largest([held_out(half)], [held_out(full)]))),
        ("torch.autocast", (largest([tail(half.loss)], [tail(loss)]), largest([held_out(half)], [twins]))),
    ]:
        for what, gap in zip(["loss of the last 25 of 160 steps", "held-out loss"], gaps):
            measured(f"bfloat16, {kind}, {what}, relative gap to {other}", gap)
            assert gap <= 0.01


# --- Checkpoints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_checkpoints_load_and_give_the_held_out_loss(folder, tmp_path, measured, kind):
    intervals = dict(max_duration="25ba", save_interval="10ba", eval_interval="10ba")
    ours = Training(tmp_path / "ours", recipe(folder, kind, **intervals))
    evaluations = {line["time/batch"]: line for line in ours.lines if "metrics/eval/LanguageCrossEntropy" in line}
    assert list(evaluations) == [10, 20, 25]
    names = {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    names |= {"optimizer.safetensors", "trainer_state.json"}
    if kind == "decoder":
        names.add("generation_config.json")
    accuracy_key = "metrics/eval/" + ("MaskedAccuracy" if kind == "encoder" else "Accuracy")
    twin = reference.Run(ours.recipe, reference.load(kind, folder / f"{kind}-10000"))
    for step, microbatches in enumerate(ours.batches, 1):
        twin.step(microbatches)
        if step not in evaluations:
            continue
        checkpoint = ours.folder / "run" / f"step{step}"
        assert {path.name for path in checkpoint.iterdir()} == names
        loss, accuracy = reference.held_out(load_strictly(kind, checkpoint), ours.held_out)
        difference = largest([evaluations[step]["metrics/eval/LanguageCrossEntropy"]], [loss])
        measured("held-out loss of checkpoints in transformers, relative difference", difference)
        assert difference <= 1e-5
        assert evaluations[step][accuracy_key] == pytest.approx(accuracy, abs=1e-9)
        assert evaluations[step]["metrics/eval/Perplexity"] == pytest.approx(math.exp(loss), rel=1e-4)
        check_state(checkpoint, step, twin)
        check_tokenizer(folder / "tokenizer", checkpoint, kind)
        if kind == "decoder":
            generation = GenerationConfig.from_pretrained(checkpoint)
            assert (generation.bos_token_id, generation.pad_token_id) == (1, 3) and generation.eos_token_id in (2, [2])


def check_state(checkpoint, step, twin):
    """The state of training says how far it is, and moments are the reference's."""
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    assert state["clock"]["batch"] == state["optimizer"]["steps"] == state["ledger"]["steps"] == step
    assert state["clock"]["sample"] == 16 * step and state["optimizer"]["reference_lr"] == twin.base
    assert state["optimizer"]["lr"] == pytest.approx(twin.current, rel=1e-12)
    stored = load_file(checkpoint / "optimizer.safetensors")
    names = list(reference.weights(twin.model))
    assert len(stored) == 2 * len(names)
    for name, moments in zip(names, twin.optimizer.moments, strict=True):
        key = name.removeprefix("model.").replace("lm_head.", "head.")
        for prefix, parts in zip(["exp_avg", "exp_avg_sq"], zip(*moments)):
            [found] = [tensor for own, tensor in stored.items() if own.startswith(prefix + ".") and own.endswith(key)]
            expected = torch.cat(parts)
            assert (found - expected).norm() <= 1e-3 * expected.norm(), name


def check_tokenizer(original, checkpoint, kind):
    first, second = AutoTokenizer.from_pretrained(original), AutoTokenizer.from_pretrained(checkpoint)
    for text in ["Two words.", "[MASK] of the", "Übung 日本語"]:
        ids = first(text)["input_ids"]
        assert second(text)["input_ids"] == (ids if kind == "encoder" else ids[:-1])
    assert second.mask_token_id == first.mask_token_id and second.pad_token_id == first.pad_token_id
