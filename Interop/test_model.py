"""Models and their checkpoint folders, ours against transformers: outputs, gradients, keys, round trips.

Needs the program ettin-probe, whose folder is named by ETTIN_BIN_DIR. Weights are random; the shapes are the suite's.
"""

import json
import os
import random
import subprocess
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    ModernBertConfig,
    ModernBertDecoderConfig,
    ModernBertDecoderForCausalLM,
    ModernBertDecoderForSequenceClassification,
    ModernBertDecoderModel,
    ModernBertForMaskedLM,
    ModernBertForQuestionAnswering,
    ModernBertForSequenceClassification,
    ModernBertForTokenClassification,
    ModernBertModel,
)

PROBE = (os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin-probe"), "model")

# Layers, hidden, intermediate, heads; the two largest with fewer layers, which changes no other shape.
SHAPES = {
    "17m": (7, 256, 384, 4), "32m": (10, 384, 576, 6), "68m": (19, 512, 768, 8), "150m": (22, 768, 1152, 12),
    "400m": (4, 1024, 2624, 16), "1b": (4, 1792, 3840, 28),
}
KINDS = ["encoder", "decoder"]


def probe(*arguments):
    run = subprocess.run([*PROBE, *map(str, arguments)], capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    return run.stdout


def configuration(kind, size="17m", local_theta=None, **options):
    layers, hidden, intermediate, heads = SHAPES[size]
    if local_theta is None:
        local_theta = 160000.0 if kind == "encoder" else 10000.0
    defaults = dict(
        vocab_size=2048, hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers,
        num_attention_heads=heads, max_position_embeddings=7999, global_attn_every_n_layers=3, pad_token_id=3,
        bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": 160000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": local_theta},
        },
    )
    return (ModernBertConfig if kind == "encoder" else ModernBertDecoderConfig)(**(defaults | options))


def language_model(config):
    kind = ModernBertForMaskedLM if config.model_type == "modernbert" else ModernBertDecoderForCausalLM
    torch.manual_seed(1)
    return kind(config).eval()


def sequences(lengths, vocabulary=2048, seed=0):
    rng = random.Random(seed)
    return [[rng.randrange(4, vocabulary) for _ in range(length)] for length in lengths]


def write_batch(path, rows, labels=None):
    path.write_text(json.dumps({"sequences": rows, "labels": labels or []}))
    return path


def outputs(folder, rows, path, head="lm", dtype="float32"):
    batch = write_batch(path / "batch.json", rows)
    probe("logits", folder, head, batch, path / "out.safetensors", dtype)
    return load_file(path / "out.safetensors")


@torch.no_grad()
def expected(model, rows, attribute="logits"):
    """The original's output for each sequence alone, end to end: what padding must not change."""
    return torch.cat([getattr(model(input_ids=torch.tensor([row])), attribute)[0] for row in rows])


@torch.no_grad()
def expected_padded(model, rows):
    length = max(map(len, rows))
    ids = torch.tensor([row + [3] * (length - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    logits = model(input_ids=ids, attention_mask=mask).logits
    return torch.cat([logits[index, : len(row)] for index, row in enumerate(rows)])


# --- Outputs ---------------------------------------------------------------------------------------------------------


@pytest.mark.sampled(6)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SHAPES)
def test_logits_of_mixed_lengths(tmp_path, measured, size, kind):
    vocabulary = 50368 if size in ("17m", "32m") else 2048
    model = language_model(configuration(kind, size, vocab_size=vocabulary))
    model.save_pretrained(tmp_path)
    lengths = [1024, 3, 317, 1, 128, 129, 65] if size in ("17m", "32m") else [400, 3, 1, 129, 66]
    rows = sequences(lengths, vocabulary)
    ours = outputs(tmp_path, rows, tmp_path)
    theirs = expected_padded(model, rows)
    difference = (ours["logits"] - theirs).abs().max().item()
    measured("float32 logits, largest absolute difference", difference)
    assert difference <= 1e-4
    with torch.no_grad():
        states = [
            torch.cat(layers)
            for layers in zip(
                *[[h[0] for h in model(input_ids=torch.tensor([row]), output_hidden_states=True).hidden_states]
                  for row in rows[1:4]]
            )
        ]
    start, count = lengths[0], sum(lengths[1:4])
    assert len(states) == len(ours) - 1
    for index, state in enumerate(states):
        torch.testing.assert_close(ours[f"hidden.{index}"][start : start + count], state, atol=2e-4, rtol=1e-4)

    half = outputs(tmp_path, rows, tmp_path, dtype="bfloat16")["logits"].float()
    cosine = torch.nn.functional.cosine_similarity(half, theirs, dim=-1).min().item()
    measured("bfloat16 logits, largest 1 - cosine per token to float32", 1 - cosine)
    assert cosine >= 0.999


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", ["17m", "150m"])
def test_logits_of_4096_tokens(tmp_path, measured, size, kind):
    model = language_model(configuration(kind, size, num_hidden_layers=4))
    model.save_pretrained(tmp_path)
    rows = sequences([4096, 70])
    difference = (outputs(tmp_path, rows, tmp_path)["logits"] - expected(model, rows)).abs().max().item()
    measured("float32 logits at 4096 tokens, largest absolute difference", difference)
    assert difference <= 1e-4


@pytest.mark.sampled(10)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        dict(local_attention=7, local_theta=500.0), dict(local_attention=2), dict(global_attn_every_n_layers=1),
        dict(attention_bias=True, mlp_bias=True, norm_bias=True, classifier_bias=True),
        dict(decoder_bias=False), dict(tie_word_embeddings=False), dict(hidden_activation="silu"),
        dict(classifier_activation="gelu_pytorch_tanh", hidden_activation="relu"), dict(norm_eps=1e-3),
        dict(layer_types=["sliding_attention", "full_attention", "sliding_attention"], num_hidden_layers=3),
    ],
    ids=lambda options: "-".join(options),
)
def test_logits_of_other_configurations(tmp_path, kind, options):
    model = language_model(configuration(kind, initializer_range=0.1, **options))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)
    model.save_pretrained(tmp_path)
    rows = sequences([40, 1, 300, 9])
    theirs = expected(model, rows)
    ours = outputs(tmp_path, rows, tmp_path)["logits"]
    assert (ours - theirs).abs().max() <= 1e-5 * max(1, theirs.abs().max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@torch.no_grad()
def test_heads(tmp_path, kind, pooling):
    rows = sequences([17, 1, 200])
    heads = {"base": ModernBertModel if kind == "encoder" else ModernBertDecoderModel}
    if kind == "encoder":
        heads["sequence"] = ModernBertForSequenceClassification
        heads["token"] = ModernBertForTokenClassification
        heads["qa"] = ModernBertForQuestionAnswering
    else:
        heads["sequence"] = ModernBertDecoderForSequenceClassification
    for head, model_class in heads.items():
        labels = 2 if head == "qa" else 5
        config = configuration(kind, num_hidden_layers=4, num_labels=labels, classifier_pooling=pooling)
        torch.manual_seed(2)
        model = model_class(config).eval()
        folder = tmp_path / head
        model.save_pretrained(folder)
        ours = outputs(folder, rows, tmp_path, head)
        if head == "base":
            last = ours[f"hidden.{config.num_hidden_layers}"]
            torch.testing.assert_close(last, expected(model, rows, "last_hidden_state"), atol=1e-4, rtol=1e-4)
        elif head == "qa":
            torch.testing.assert_close(ours["start"], expected(model, rows, "start_logits"), atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(ours["end"], expected(model, rows, "end_logits"), atol=1e-4, rtol=1e-4)
        elif head == "token":
            torch.testing.assert_close(ours["logits"], expected(model, rows), atol=1e-4, rtol=1e-4)
        else:
            theirs = torch.cat([model(input_ids=torch.tensor([row])).logits for row in rows])
            torch.testing.assert_close(ours["logits"], theirs, atol=1e-4, rtol=1e-4)
        for format in "45":
            assert_loads_bit_for_bit(model, resaved(folder, tmp_path / f"{head}{format}", head, format))


@torch.no_grad()
def test_greedy_steps_over_a_cache(tmp_path, measured):
    # Longer than the window of 64 before and after the first step.
    model = language_model(configuration("decoder", "17m", initializer_range=0.1))
    model.save_pretrained(tmp_path)
    rows = sequences([130, 3, 60])
    probe("steps", tmp_path, write_batch(tmp_path / "batch.json", rows), 12, tmp_path / "out.safetensors")
    ours = load_file(tmp_path / "out.safetensors")
    for index, row in enumerate(rows):
        ids = list(row)
        for step in range(12):
            theirs = model(input_ids=torch.tensor([ids])).logits[0, -1]
            difference = ((ours[f"step.{step}"][index] - theirs).abs().max() / theirs.abs().max()).item()
            measured("cached steps, largest relative difference", difference)
            assert difference <= 1e-5
            ids.append(int(theirs.argmax()))


# --- Gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.sampled(6)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SHAPES)
def test_gradients_of_every_parameter(tmp_path, measured, size, kind):
    layers = min(SHAPES[size][0], 10)
    # All parameters have some gradient when no token is the padding.
    model = language_model(configuration(kind, size, num_hidden_layers=layers))
    model.save_pretrained(tmp_path)
    rows = sequences([200, 3, 90, 129])
    rng = random.Random(3)
    if kind == "encoder":
        labels = [[token if rng.random() < 0.3 else -100 for token in row] for row in rows]
        labels[1][0] = rows[1][0]
    else:
        labels = rows
    probe("gradients", tmp_path, write_batch(tmp_path / "batch.json", rows, labels), tmp_path / "out.safetensors")
    ours = load_file(tmp_path / "out.safetensors")

    length = max(map(len, rows))
    pad = lambda row, value: row + [value] * (length - len(row))
    loss = model(
        input_ids=torch.tensor([pad(row, 3) for row in rows]),
        attention_mask=torch.tensor([pad([1] * len(row), 0) for row in rows]),
        labels=torch.tensor([pad(row, -100) for row in labels]),
    ).loss
    loss.backward()
    assert abs(ours.pop("loss").item() - loss.item()) <= 1e-5 * loss.item()
    theirs = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        difference = ((ours[name] - gradient).norm() / gradient.norm()).item()
        measured("gradients, largest relative difference of one parameter", difference)
        assert difference <= 1e-3, name


# --- Folders ---------------------------------------------------------------------------------------------------------


def resaved(folder, out, head="lm", format="4", size="50GB", dtype=None):
    out.mkdir()
    probe("resave", folder, head, out, format, size, *([dtype] if dtype else []))
    return out


def assert_loads_bit_for_bit(model, folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded, info = type(model).from_pretrained(folder, output_loading_info=True, dtype="auto")
    assert {key: list(value) for key, value in info.items() if value} == {}
    state, other = model.state_dict(), loaded.state_dict()
    assert state.keys() == other.keys()
    for name, tensor in state.items():
        assert torch.equal(tensor, other[name]) and tensor.dtype == other[name].dtype, name


@pytest.mark.sampled(6)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("format", "45")
@pytest.mark.parametrize(
    "options",
    [{}, dict(tie_word_embeddings=False), dict(attention_bias=True, mlp_bias=True, norm_bias=True, decoder_bias=False)],
    ids=["plain", "untied", "biases"],
)
def test_round_trip_is_bit_identical(tmp_path, kind, format, options):
    model = language_model(configuration(kind, num_hidden_layers=4, **options))
    model.save_pretrained(tmp_path / "theirs")
    for name, arguments in {"single": {}, "sharded": {"size": "1MB"}}.items():
        ours = resaved(tmp_path / "theirs", tmp_path / name, format=format, **arguments)
        assert (name == "sharded") == (ours / "model.safetensors.index.json").exists()
        assert_loads_bit_for_bit(model, ours)
        # Swift → transformers → Swift: the files themselves come back.
        again = type(model).from_pretrained(ours)
        again.save_pretrained(tmp_path / f"{name}-again")
        last = resaved(tmp_path / f"{name}-again", tmp_path / f"{name}-last", format=format, **arguments)
        for file in ours.glob("*.safetensors"):
            assert file.read_bytes() == (last / file.name).read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_other_forms_of_weights(tmp_path, kind):
    model = language_model(configuration(kind, num_hidden_layers=4))
    # A pickle, as the older conversion script left it.
    (tmp_path / "bin").mkdir()
    model.config.save_pretrained(tmp_path / "bin")
    torch.save(model.state_dict(), tmp_path / "bin/pytorch_model.bin")
    assert_loads_bit_for_bit(model, resaved(tmp_path / "bin", tmp_path / "from-bin"))
    # Their shards.
    model.save_pretrained(tmp_path / "shards", max_shard_size="500KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    assert_loads_bit_for_bit(model, resaved(tmp_path / "shards", tmp_path / "from-shards"))
    # bfloat16, stored by them and converted by us.
    half = language_model(configuration(kind, num_hidden_layers=4)).to(torch.bfloat16)
    half.save_pretrained(tmp_path / "half")
    assert_loads_bit_for_bit(half, resaved(tmp_path / "half", tmp_path / "from-half"))
    model.save_pretrained(tmp_path / "full")
    assert_loads_bit_for_bit(half, resaved(tmp_path / "full", tmp_path / "to-half", dtype="bfloat16"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["full_megatron", "transformers"])
def test_new_models_load_without_a_warning(tmp_path, kind, scheme):
    probe("init", f"{kind}-17m", tmp_path, scheme, 7)
    auto = AutoModelForMaskedLM if kind == "encoder" else AutoModelForCausalLM
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, info = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert {key: list(value) for key, value in info.items() if value} == {}
    assert model.num_parameters() == 16913600
    # The same distributions as a model the original makes.
    original = auto.from_config(model.config)
    for (name, ours), theirs in zip(model.named_parameters(), original.parameters()):
        if scheme == "full_megatron" and (name == "decoder.bias" or "head.dense" in name):
            continue
        a, b = ours.detach().double(), theirs.detach().double()
        assert abs(a.std() - b.std()) <= 0.03 * b.std() + 1e-12, name
        assert abs(a.abs().max() - b.abs().max()) <= 0.01 * b.abs().max() + 1e-12, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SHAPES)
def test_keys_and_shapes_of_the_suite(size, kind):
    ours = {line["name"]: line["shape"] for line in map(json.loads, probe("keys", f"{kind}-{size}").splitlines())}
    layers, hidden, intermediate, heads = SHAPES[size]
    if size in ("400m", "1b"):
        layers = 28
    config = configuration(kind, size, num_hidden_layers=layers, vocab_size=50368)
    with torch.device("meta"):
        model = language_model(config)
    theirs = {name: list(tensor.shape) for name, tensor in model.state_dict().items() if name != "decoder.weight"}
    assert ours == theirs
