"""Encoders made decoders and back, averages and raw training checkpoints, against transformers and PyTorch.

Needs the programs ettin and ettin-probe, whose folder is named by ETTIN_BIN_DIR. Raw checkpoints are saved by PyTorch in the structure of
Composer 0.24, with a state of the optimizer from real steps.
"""

import datetime
import json
import os
import random
import subprocess
import warnings

import numpy
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    ModernBertConfig,
    ModernBertDecoderConfig,
    ModernBertDecoderForCausalLM,
    ModernBertForMaskedLM,
)

FOLDER = os.environ.get("ETTIN_BIN_DIR", ".build/release")
ETTIN, PROBE = (os.path.join(FOLDER, name) for name in ("ettin", "ettin-probe"))
KINDS = ["encoder", "decoder"]
CLASSES = {"encoder": ModernBertForMaskedLM, "decoder": ModernBertDecoderForCausalLM}
TEXTS = ["The capital of France is Paris.", "A cat sits.", "Ein Hund schläft auf dem Sofa."]


def run(*arguments):
    return subprocess.run([ETTIN, *map(str, arguments)], capture_output=True, text=True, timeout=300)


def ettin(*arguments):
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def other(kind):
    return "decoder" if kind == "encoder" else "encoder"


def configuration(kind, **options):
    defaults = dict(
        vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=256, global_attn_every_n_layers=3, local_attention=16, pad_token_id=3, bos_token_id=1,
        eos_token_id=2, cls_token_id=1, sep_token_id=2, initializer_range=0.2,
    )
    return (ModernBertConfig if kind == "encoder" else ModernBertDecoderConfig)(**(defaults | options))


def model(kind, seed=1, **options):
    torch.manual_seed(seed)
    return CLASSES[kind](configuration(kind, **options)).eval()


def load(kind, folder):
    """Loads a folder and insists that nothing is missing, unknown or worth a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded, info = CLASSES[kind].from_pretrained(folder, output_loading_info=True, dtype="auto")
    assert {key: list(value) for key, value in info.items() if value} == {}
    return loaded.eval()


def converted_by_hand(state, kind):
    """The same tensors under the names of the other kind: the specification in four lines of PyTorch."""
    result = {}
    for name, tensor in state.items():
        if kind == "decoder" and ".attn.Wqkv." in name:
            for part, third in zip("qkv", tensor.chunk(3)):
                result[name.replace("Wqkv", f"{part}_proj")] = third.clone()
        elif kind == "encoder" and ".attn.q_proj." in name:
            parts = [state[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            result[name.replace("q_proj", "Wqkv")] = torch.cat(parts)
        elif kind == "decoder" or not (".attn.k_proj." in name or ".attn.v_proj." in name):
            head = ("head.", "lm_head.") if kind == "decoder" else ("lm_head.", "head.")
            result[head[1] + name[len(head[0]):] if name.startswith(head[0]) else name] = tensor
    return result


@torch.no_grad()
def logits(network, length=90):
    rng = random.Random(4)
    return network(input_ids=torch.tensor([[rng.randrange(4, 200) for _ in range(length)]])).logits


# --- Encoder and decoder ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [{}, dict(tie_word_embeddings=False), dict(attention_bias=True, mlp_bias=True, norm_bias=True, classifier_bias=True),
     dict(decoder_bias=False), dict(local_attention=7)],
    ids=lambda options: "-".join(options) or "plain",
)
def test_conversion_is_what_pytorch_makes_by_hand(tmp_path, kind, options):
    source = model(kind, **options)
    with torch.no_grad():
        for name, parameter in source.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)
    source.save_pretrained(tmp_path / "source")
    target = other(kind)
    ettin("convert", tmp_path / "source", tmp_path / "target", "--to", target)
    ours = load(target, tmp_path / "target")
    by_hand = CLASSES[target](configuration(target, **options)).eval()
    by_hand.load_state_dict(converted_by_hand(source.state_dict(), target), strict=True)
    assert ours.state_dict().keys() == by_hand.state_dict().keys()
    for name, tensor in by_hand.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name
    # The rotary bases of the two kinds' configurations differ by default; the converted model keeps its own.
    by_hand = CLASSES[target](ours.config).eval()
    by_hand.load_state_dict(converted_by_hand(source.state_dict(), target), strict=True)
    assert torch.equal(logits(ours), logits(by_hand))
    assert not torch.allclose(logits(ours), logits(source), atol=1e-3)
    assert ours.config.rope_parameters == source.config.rope_parameters
    assert ours.config.sliding_window == source.config.sliding_window

    ettin("convert", tmp_path / "target", tmp_path / "back", "--to", kind)
    back = load(kind, tmp_path / "back")
    for name, tensor in source.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name
    assert torch.equal(logits(back), logits(source))
    assert load_file(tmp_path / "back/model.safetensors").keys() == load_file(tmp_path / "source/model.safetensors").keys()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_conversion_keeps_narrow_types(tmp_path, dtype):
    source = model("encoder").to(dtype)
    source.save_pretrained(tmp_path / "source")
    ettin("convert", tmp_path / "source", tmp_path / "target", "--to", "decoder")
    ours = load("decoder", tmp_path / "target").state_dict()
    for name, tensor in converted_by_hand(source.state_dict(), "decoder").items():
        assert torch.equal(ours[name], tensor) and ours[name].dtype == dtype


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tokenizer of ours, and an encoder and a decoder that have it."""
    path = tmp_path_factory.mktemp("models")
    (path / "corpus.txt").write_text("\n".join(TEXTS * 20), encoding="utf-8")
    ettin("tokenizer", "train", path / "corpus.txt", "--vocab-size", 300, "-o", path / "tokenizer")
    shape = ["--layers", 4, "--hidden-size", 32, "--intermediate-size", 48, "--heads", 4]
    for kind in KINDS:
        ettin("init", path / kind, "--size", "17m", "--kind", kind, "--tokenizer", path / "tokenizer", *shape)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_tokenizers_are_those_of_the_kind(trained, tmp_path, kind):
    ettin("convert", trained / kind, tmp_path / "target", "--to", other(kind))
    ours = AutoTokenizer.from_pretrained(tmp_path / "target")
    theirs = AutoTokenizer.from_pretrained(trained / other(kind))
    for text in TEXTS:
        assert ours(text)["input_ids"] == theirs(text)["input_ids"]
    assert (tmp_path / "target/generation_config.json").exists() == (kind == "encoder")
    if kind == "encoder":
        assert (ours.bos_token, ours.eos_token) == ("[CLS]", "[SEP]")
        generated = load("decoder", tmp_path / "target").generate(
            **ours(TEXTS[0], return_tensors="pt", return_token_type_ids=False), max_new_tokens=3, do_sample=False
        )
        assert generated.shape[1] > len(ours(TEXTS[0])["input_ids"])
    card = (tmp_path / "target/README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\npipeline_tag: ")


# --- Averages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_averages_are_numpys_means(tmp_path, kind):
    folders = [tmp_path / f"step{seed}" for seed in range(5)]
    for seed, folder in enumerate(folders):
        model(kind, seed).save_pretrained(folder)
    ettin("average", *folders, "--output", tmp_path / "mean")
    ours = load(kind, tmp_path / "mean")
    states = [load_file(folder / "model.safetensors") for folder in folders]
    for name, tensor in load_file(tmp_path / "mean/model.safetensors").items():
        mean = numpy.mean([state[name].double().numpy() for state in states], axis=0).astype(numpy.float32)
        assert numpy.array_equal(tensor.numpy(), mean), name
    assert torch.isfinite(logits(ours)).all()


# --- Raw checkpoints --------------------------------------------------------------------------------------------------


class StableAdamW(torch.optim.Optimizer):
    """The update rule of the specification, with the state and the groups of torch-optimi 0.2."""

    def __init__(self, groups, lr, weight_decay):
        defaults = dict(
            lr=lr, beta1=0.9, beta2=0.98, weight_decay=weight_decay, eps=1e-6, decouple_lr=True, max_lr=lr,
            kahan_sum=None, foreach=False, gradient_release=False, setup=False,
        )
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            if not group["setup"]:
                group["setup"], group["step"] = True, torch.tensor(0, dtype=torch.int32)
            group["step"].add_(1)
            step = group["step"].item()
            betas = [group["beta1"], group["beta2"]]
            first, second = [(beta**step - beta) / (beta**step - 1) for beta in betas]
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                    state["eps_sq"], state["kahan_comp"] = torch.tensor(group["eps"] ** 2), None
                gradient = parameter.grad
                state["exp_avg"].lerp_(gradient, 1 - first)
                state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
                root = (gradient.pow(2) / state["exp_avg_sq"].clamp(min=group["eps"] ** 2)).mean().sqrt()
                rate = group["lr"] / max(1, root.item())
                parameter.mul_(1 - rate / group["max_lr"] * group["weight_decay"])
                parameter.addcdiv_(state["exp_avg"], state["exp_avg_sq"].sqrt() + group["eps"], value=-rate)


class FlexBERT(torch.nn.Module):
    """Modules registered as the training code registers them, around a model of transformers."""

    def __init__(self, network, kind):
        super().__init__()
        state = network.state_dict() if kind == "encoder" else converted_by_hand(network.state_dict(), "encoder")
        self.names = {}
        for name, tensor in state.items():
            if name == "decoder.weight":
                continue
            theirs = name.replace("model.layers", "model.encoder.layers").replace("model.", "bert.", 1)
            if kind == "decoder":
                theirs = theirs.replace("head.", "lm_head.", 1) if theirs.startswith("head.") else theirs
            self.names[name] = "model." + theirs
            self.put("model." + theirs, torch.nn.Parameter(tensor.clone()))
        self.model.decoder.weight = self.model.bert.embeddings.tok_embeddings.weight

    def put(self, name, parameter):
        *path, last = name.split(".")
        module = self
        for part in path:
            if not hasattr(module, part):
                module.add_module(part, torch.nn.Module())
            module = getattr(module, part)
        module.register_parameter(last, parameter)


FLEX_CONFIG = dict(
    model_type="flex_bert", vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=4,
    num_attention_heads=4, attention_layer="rope", attention_probs_dropout_prob=0.0, attn_out_bias=False,
    attn_out_dropout_prob=0.1, attn_qkv_bias=False, bert_layer="prenorm", embed_dropout_prob=0.0, embed_norm=True,
    final_norm=True, skip_first_prenorm=True, embedding_layer="sans_pos", mlp_dropout_prob=0.0, mlp_in_bias=False,
    mlp_layer="glu", mlp_out_bias=False, normalization="layernorm", norm_kwargs={"eps": 1e-5, "bias": False},
    hidden_act="gelu", head_pred_act="gelu", padding="unpadded", rotary_emb_dim=None, rotary_emb_base=160000.0,
    local_attn_rotary_emb_base=10000.0, rotary_emb_scale_base=None, rotary_emb_interleaved=False, sliding_window=16,
    global_attn_every_n_layers=3, unpad_embeddings=True, initializer_range=0.02, id2label={"0": "LABEL_0"},
)


def raw_checkpoint(kind, tokenizer=None, names=True, steps=3):
    """The model after some steps, and the dictionary that Composer would save."""
    network = model(kind, global_attn_every_n_layers=3, rope_parameters={
        "full_attention": {"rope_type": "default", "rope_theta": 160000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
    })
    flex = FlexBERT(network, kind)
    exempt = [p for n, p in flex.named_parameters() if p.ndim <= 1 or n.endswith(".bias")]
    others = [p for n, p in flex.named_parameters() if not (p.ndim <= 1 or n.endswith(".bias"))]
    optimizer = StableAdamW([{"params": exempt, "weight_decay": 0.0}, {"params": others}], 3e-3, 3e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    generator = torch.Generator().manual_seed(5)
    for _ in range(steps):
        for parameter in flex.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
        schedule.step()
    if names:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, get_optimizer_state_dict

        weights = get_model_state_dict(flex, options=StateDictOptions())
        state = get_optimizer_state_dict(flex, optimizer, options=StateDictOptions())
    else:
        weights, state = flex.state_dict(), optimizer.state_dict()
    huggingface = {"model": {"config": {"file_extension": ".json", "content": FLEX_CONFIG, "class": "a.FlexBert"}}}
    if tokenizer:
        files = {file.name: json.loads(file.read_text()) for file in tokenizer.glob("*.json")}
        huggingface["tokenizer"] = {
            name: {"file_extension": ".json", "content": content} for name, content in files.items()
        }
    saved = {
        "state": {
            "model": weights,
            "optimizers": {"StableAdamW": state},
            "schedulers": {"LambdaLR": schedule.state_dict()},
            "algorithms": [("GradientClipping", {})],
            "callbacks": [("SpeedMonitor", {"total_eval_wct": 0.0}), ("Odd", {"value": datetime.timezone.utc})],
            "timestamp": {"Timestamp": {
                "iteration": 0, "epoch": 0, "batch": steps, "sample": 32 * steps, "token": 1000 * steps,
                "epoch_in_iteration": 0, "token_in_iteration": 0, "batch_in_epoch": steps, "sample_in_epoch": 32 * steps,
                "token_in_epoch": 1000 * steps, "total_wct": datetime.timedelta(seconds=5),
                "iteration_wct": datetime.timedelta(), "epoch_wct": datetime.timedelta(seconds=5),
                "batch_wct": datetime.timedelta(microseconds=7),
            }},
            "rank_zero_seed": 21, "run_name": "tiny",
            "dataset_state": {"train": None, "eval": {}},
            "integrations": {"huggingface": huggingface},
            "metadata": {"torch_version": torch.__version__, "world_size": 1},
        },
        "rng": [{
            "python": random.Random(0).getstate(), "numpy": numpy.random.RandomState(0).get_state(),
            "torch": torch.get_rng_state(),
        }],
    }
    parameters = dict(flex.named_parameters())
    saved_moments = {ours: optimizer.state[parameters[theirs]] for ours, theirs in flex.names.items()}
    expected = {ours: parameters[theirs].detach() for ours, theirs in flex.names.items()}
    return expected if kind == "encoder" else converted_by_hand(expected, "decoder"), saved, saved_moments


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [True, False], ids=["by-name", "by-number"])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_raw_checkpoints(trained, tmp_path, kind, names, legacy):
    expected, saved, _ = raw_checkpoint(kind, names=names)
    torch.save(saved, tmp_path / "ep0-ba3-rank0.pt", _use_new_zipfile_serialization=not legacy)
    # A decoder of transformers insists on the ids of special tokens, which the state does not hold.
    tokenizer = ["--tokenizer", trained / "tokenizer"]
    ettin("convert", tmp_path / "ep0-ba3-rank0.pt", tmp_path / "model", *(tokenizer if kind == "decoder" else []))
    ours = load(kind, tmp_path / "model")
    state = ours.state_dict()
    assert state.keys() - {"decoder.weight"} == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(state[name], tensor), name
    assert ours.config.max_position_embeddings == 7999
    assert ours.config.rope_parameters["sliding_attention"]["rope_theta"] == 10000.0
    assert ours.config.sliding_window == 8
    # What the specification's conversion makes of the same names computes the same.
    by_hand = CLASSES[kind](ours.config).eval()
    by_hand.load_state_dict(expected, strict=False)
    assert torch.equal(logits(ours), logits(by_hand))
    # As the other kind, the head alone is renamed.
    ettin("convert", tmp_path / "ep0-ba3-rank0.pt", tmp_path / "other", "--to", other(kind), *tokenizer)
    state = load(other(kind), tmp_path / "other").state_dict()
    for name, tensor in converted_by_hand(expected, other(kind)).items():
        assert torch.equal(state[name], tensor), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [True, False], ids=["by-name", "by-number"])
def test_optimizer_states(tmp_path, kind, names):
    _, saved, expected = raw_checkpoint(kind, names=names)
    torch.save(saved, tmp_path / "raw.pt")
    command = [PROBE, "model", "composer", tmp_path / "raw.pt", tmp_path / "moments.safetensors"]
    described = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    moments = load_file(tmp_path / "moments.safetensors")
    assert len(moments) == 2 * len(expected)
    for name, state in expected.items():
        for key in ["exp_avg", "exp_avg_sq"]:
            assert torch.equal(moments[f"{name}.{key}"], state[key]), name
    assert described["clock"] == {"batch": 3, "sample": 96, "token": 3000, "seconds": 5.0}
    assert described["steps"] == [3]
    assert described["base_lrs"] == [3e-3, 3e-3]
    assert described["seed"] == 21
    groups = saved["state"]["optimizers"]["StableAdamW"]["param_groups"]
    for ours, theirs in zip(described["groups"], groups, strict=True):
        assert ours["lr"] == pytest.approx(3e-3 / 4)
        assert {key: ours[key] for key in ["lr", "initial_lr", "max_lr", "weight_decay", "eps"]} == {
            key: theirs[key] for key in ["lr", "initial_lr", "max_lr", "weight_decay", "eps"]
        }
        assert ours["betas"] == [0.9, 0.98]
        assert len(ours["keys"]) == len(theirs["params"])


def test_raw_checkpoints_carry_their_tokenizer(trained, tmp_path):
    saved = raw_checkpoint("encoder", tokenizer=trained / "tokenizer")[1]
    torch.save(saved, tmp_path / "raw.pt")
    ettin("convert", tmp_path / "raw.pt", tmp_path / "model")
    ours, theirs = (AutoTokenizer.from_pretrained(path) for path in (tmp_path / "model", trained / "encoder"))
    for text in TEXTS:
        assert ours(text)["input_ids"] == theirs(text)["input_ids"]
    assert load("encoder", tmp_path / "model").config.pad_token_id == 3


def test_raw_checkpoints_take_a_configuration(tmp_path):
    expected, saved, _ = raw_checkpoint("encoder")
    del saved["state"]["integrations"]
    torch.save(saved, tmp_path / "raw.pt")
    result = run("convert", tmp_path / "raw.pt", tmp_path / "model")
    assert result.returncode == 1 and "has no model configuration" in result.stderr
    lines = "".join(
        f"    {key}: {'null' if value is None else json.dumps(value)}\n" for key, value in FLEX_CONFIG.items()
    )
    (tmp_path / "recipe.yaml").write_text("model:\n  name: flex_bert\n  model_config:\n" + lines)
    ettin("convert", tmp_path / "raw.pt", tmp_path / "yaml", "--config", tmp_path / "recipe.yaml")
    configuration("encoder").save_pretrained(tmp_path / "hf")
    ettin("convert", tmp_path / "raw.pt", tmp_path / "json", "--config", tmp_path / "hf/config.json")
    for name in ["yaml", "json"]:
        state = load("encoder", tmp_path / name).state_dict()
        assert all(torch.equal(state[key], tensor) for key, tensor in expected.items())


def test_metrics_are_ignored_and_wrappers_stripped(tmp_path):
    expected, saved, _ = raw_checkpoint("encoder")
    weights = saved["state"]["model"]
    saved["state"]["model"] = {f"module._orig_mod.{name}": tensor for name, tensor in weights.items()}
    saved["state"]["model"]["train_metrics.LanguageCrossEntropy.sum_loss"] = torch.tensor(1.0)
    torch.save(saved, tmp_path / "raw.pt")
    result = run("convert", tmp_path / "raw.pt", tmp_path / "model")
    assert result.returncode == 0 and "ignored 1 value of the model's state" in result.stderr
    state = load("encoder", tmp_path / "model").state_dict()
    assert all(torch.equal(state[key], tensor) for key, tensor in expected.items())


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_broken_raw_checkpoints(tmp_path):
    saved = raw_checkpoint("encoder")[1]
    path = tmp_path / "raw.pt"

    def refused(message, change=None):
        state = {"state": dict(saved["state"]), "rng": saved["rng"]}
        state["state"]["model"] = dict(state["state"]["model"])
        if change:
            change(state["state"])
            torch.save(state, path)
        result = run("convert", path, tmp_path / "model")
        assert result.returncode == 1, result.stderr
        assert message in result.stderr and result.stderr.startswith("error: "), result.stderr
        assert not (tmp_path / "model").exists()

    norm = "model.bert.final_norm.weight"
    refused("state.model is missing", lambda state: state.pop("model"))
    refused("1 missing tensors: model.final_norm.weight", lambda state: (state["model"].pop(norm), state.pop("optimizers")))
    wrong = torch.zeros(5)
    refused("model.final_norm.weight: shape [5]; expected [32]",
            lambda state: (state["model"].update({norm: wrong}), state.pop("optimizers")))
    refused("exp_avg has shape [32]; expected [5]", lambda state: state["model"].update({norm: wrong}))
    harmful = Harmful(tmp_path / "harm")
    refused('is an object of "posix.mkdir"; expected a tensor', lambda state: state["model"].update({norm: harmful}))
    assert not (tmp_path / "harm").exists()
    torch.save(saved, path)
    whole = path.read_bytes()
    for share in [0.0, 0.3, 0.9, 0.9999]:
        path.write_bytes(whole[: int(share * len(whole))])
        refused("raw.pt")
    save_file({"a": torch.zeros(1)}, path)
    refused("raw.pt")
