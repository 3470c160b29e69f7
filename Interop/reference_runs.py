"""Runs of `ettin pretrain` on a small data set, and the comparison of one with training_reference.py."""

import functools
import json
import os
import random
import subprocess
from pathlib import Path

import pytest
import training_reference as reference
from safetensors.torch import load_file
from tiny_runs import KINDS, ettin

PROBE = (os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin-probe"), "training")
# Two layers of each kind of window, which is much shorter than the sequences.
SHAPE = dict(num_hidden_layers=4, hidden_size=64, intermediate_size=96, num_attention_heads=2)
WINDOW, LENGTH = 8, 128
# How far apart the losses of a step may be, relatively. Rounding shows below 1e-6.
LOSS = 2e-5
# A norm that some gradients have and others have not.
CLIPPING = 0.65
# The names under which Composer logs learning rates.
RATES = {"adamw": "lr-AdamW", "decoupled_adamw": "lr-DecoupledAdamW"}
RATES |= {"stableadamw": "lr-StableAdamW", "decoupled_stableadamw": "lr-StableAdamW"}


def probe(*arguments):
    """The lines that ettin-probe prints, read."""
    run = subprocess.run([*PROBE, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def made_texts(count):
    """Sentences of made words, each of which only a few others follow: something to learn."""
    chooser = random.Random(7)
    syllables = [first + second for first in "bdfgklmnprstvz" for second in ("a", "e", "i", "o", "u", "ai", "ou")]
    words = ["".join(chooser.choices(syllables, k=chooser.choice([1, 2, 2, 3]))) for _ in range(400)]
    following = {word: chooser.choices(words, k=6) for word in words}
    texts = []
    for _ in range(count):
        text = [chooser.choice(words)]
        for _ in range(chooser.choice([1, 5, 20, 40, 60, 120])):
            text.append(chooser.choices(following[text[-1]], weights=[8, 4, 2, 1, 1, 1])[0])
        texts.append(" ".join(text).capitalize() + ".")
    return texts


def texts(count):
    shared = os.environ.get("ETTIN_SHARED")
    if not shared:
        return made_texts(count)
    lines = Path(shared, "data/corpus/english_novels/validation.jsonl").read_text(encoding="utf-8").splitlines()
    paragraphs = [part for line in lines for part in json.loads(line)["text"].split("\n\n") if len(part.split()) > 1]
    return paragraphs[:count]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("pretraining")
    documents = texts(760)
    (path / "corpus.txt").write_text("\n".join(documents), encoding="utf-8")
    ettin("tokenizer", "train", path / "corpus.txt", "--vocab-size", 1000, "-o", path / "tokenizer")
    for split, part in [("train", documents[:700]), ("validation", documents[700:])]:
        lines = [json.dumps({"id": str(index), "text": text}) for index, text in enumerate(part)]
        file = path / f"{split}.jsonl"
        file.write_text("\n".join(lines))
        ettin("data", "tokenize", file, "--tokenizer", path / "tokenizer", "-o", path / "data" / split)
    for kind in KINDS:
        first_weights(path, kind)
    return path


def first_weights(path, kind, theta=10_000):
    """A folder of new weights, large enough that no layer does next to nothing."""
    name = path / f"{kind}-{theta}"
    if not name.exists():
        shape = ["--layers", 4, "--hidden-size", 64, "--intermediate-size", 96, "--heads", 2]
        common = ["--tokenizer", path / "tokenizer", "--seed", 5]
        ettin("init", path / f"{name}-plain", "--size", "17m", "--kind", kind, *common, *shape)
        fields = json.loads((path / f"{name}-plain" / "config.json").read_text())
        for rope in fields.get("rope_parameters", {}).values():
            rope["rope_theta"] = theta
        fields |= dict(initializer_range=0.05, local_attention=WINDOW, max_position_embeddings=LENGTH)
        fields |= {key: theta for key in ("global_rope_theta", "local_rope_theta") if key in fields}
        if "sliding_window" in fields:
            fields["sliding_window"] = WINDOW // 2
        (path / f"{name}.json").write_text(json.dumps(fields))
        ettin("init", name, "--config", path / f"{name}.json", *common)
    return name


NAMES = {"encoder": "flex_bert", "decoder": "flex_gpt"}


def recipe(path, kind, **changes):
    """A recipe of 50 steps of three microbatches; changes are by keys with two underscores for a dot."""
    loader = dict(
        name="text", drop_last=True, num_workers=1,
        dataset=dict(
            local=str(path / "data"), split="train", max_seq_len=LENGTH, shuffle=True, shuffle_seed=3, streaming=False,
            mlm_probability=0.3 if kind == "encoder" else 0.0,
        ),
    )
    if kind == "decoder":
        loader["dataset"] |= dict(use_decoder_attn_mask=True, suppress_masking=True)
    result = dict(
        seed=11, max_seq_len=LENGTH, tokenizer_name=str(path / "tokenizer"),
        mlm_probability=0.3 if kind == "encoder" else 0.0,
        model=dict(
            name=NAMES[kind],
            model_config=dict(
                SHAPE, vocab_size="tokenizer", init_method="full_megatron", rotary_emb_base=10_000,
                sliding_window=WINDOW, global_attn_every_n_layers=3, attn_out_dropout_prob=0,
            ),
        ),
        train_loader=loader,
        eval_loader=dict(
            loader, drop_last=False,
            dataset=dict(
                loader["dataset"], split="validation", shuffle=False, mlm_probability=0.15 if kind == "encoder" else 0.0
            ),
        ),
        scheduler=dict(name="warmup_stable_decay", t_warmup="8ba", t_decay="0.4dur", alpha_f=0.02),
        optimizer=dict(
            name="decoupled_stableadamw", lr=3e-3, betas=[0.9, 0.98], eps=1e-6, weight_decay=0.01,
            filter_bias_norm_wd=True, log_grad_norm=True,
        ),
        algorithms=dict(gradient_clipping=dict(clipping_type="norm", clipping_threshold=CLIPPING)),
        max_duration="50ba", global_train_batch_size=16, device_train_microbatch_size=6, precision="fp32",
        loggers=dict(tensorboard=False), load_path=str(path / f"{kind}-10000"), load_weights_only=True, rules={},
    )
    for key, value in changes.items():
        *parents, last = key.split("__")
        section = result
        for parent in parents:
            section = section.setdefault(parent, {})
        if value is None:
            del section[last]
        else:
            section[last] = value
    return result


class Training:
    """A run of ours, and the batches that it saw."""

    def __init__(self, folder, recipe):
        self.folder, self.recipe = folder, recipe
        folder.mkdir(parents=True)
        path = folder / "recipe.yaml"
        path.write_text(json.dumps(recipe | {"save_folder": str(folder / "run")}))
        self.result = json.loads(ettin("pretrain", path, "--json"))["runs"][0]
        self.lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
        self.steps = [line for line in self.lines if "loss/train/total" in line]
        found = probe("batches", len(self.steps), path, f"save_folder={folder / 'probe'}")
        self.batches = [line["halves"][0] for line in found]

    @functools.cached_property
    def held_out(self):
        """The microbatches of an evaluation."""
        path, folder = self.folder / "recipe.yaml", self.folder / "held-out"
        [batches] = probe("held-out", path, f"save_folder={folder}")
        return batches

    def column(self, key):
        return [line[key] for line in self.steps]

    @property
    def loss(self):
        return self.column("loss/train/total")

    @property
    def checkpoint(self):
        return Path(self.result["checkpoint"])


def follow(training, twin, steps=None):
    """The losses, norms and rates of the reference on our batches."""
    return [list(column) for column in zip(*(twin.step(batch) for batch in training.batches[:steps]))]


def largest(ours, theirs):
    assert len(ours) == len(theirs)
    return max(abs(left - right) / max(abs(right), 1e-12) for left, right in zip(ours, theirs))


def check(training, twin, measured, name):
    """Every loss, norm and rate, and the weights at the end."""
    before = {key: tensor.clone() for key, tensor in twin.model.state_dict().items()}
    loss, norm, rate = follow(training, twin)
    difference = largest(training.loss, loss)
    measured(f"{name}: loss of a step, largest relative difference", difference)
    assert difference <= LOSS, list(zip(training.loss, loss))
    for group in "01":
        assert largest(training.column(f"{RATES[training.recipe['optimizer']['name']]}/group{group}"), rate) <= 1e-12
    assert largest(training.column("gradient_norms/l2_norm"), norm) <= 1e-4
    ours, theirs = load_file(training.checkpoint / "model.safetensors"), twin.model.state_dict()
    way = sum((theirs[key] - before[key]).square().sum() for key in ours).sqrt()
    apart = sum((theirs[key] - ours[key]).square().sum() for key in ours).sqrt()
    measured(f"{name}: weights at the end, difference over the way from the start", (apart / way).item())
    assert apart <= 1e-3 * way
    return norm
