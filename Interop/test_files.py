"""Checkpoint files and configurations, ours against the Python libraries.

Needs torch, safetensors, transformers, numpy and pytest, and the program ettin-probe, whose folder is named by
ETTIN_BIN_DIR.
"""

import datetime
import json
import os
import random
import struct
import subprocess
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy
import pytest
import safetensors
import safetensors.torch
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    GenerationConfig,
    ModernBertConfig,
    ModernBertDecoderConfig,
    ModernBertForMaskedLM,
)

PROBE = (os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/debug"), "ettin-probe"), "files")

DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E8M0": torch.float8_e8m0fnu, "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz, "I16": torch.int16, "U16": torch.uint16, "F16": torch.float16,
    "BF16": torch.bfloat16, "I32": torch.int32, "U32": torch.uint32, "F32": torch.float32, "C64": torch.complex64,
    "F64": torch.float64, "I64": torch.int64, "U64": torch.uint64,
}


def probe(*arguments, ok=True):
    run = subprocess.run([*PROBE, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert run.returncode == (0 if ok else 1), run.stderr
    return run.stdout if ok else run.stderr


def listed(path):
    return {line["name"]: line for line in map(json.loads, probe("list", path).splitlines())}


def raw(tensor):
    if tensor.numel() == 0:
        return ""
    flat = torch.empty(tensor.numel(), dtype=tensor.dtype).copy_(tensor.detach().reshape(-1))
    return flat.view(torch.uint8).numpy().tobytes().hex()


def sample(dtype, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    width = torch.empty(0, dtype=dtype).element_size()
    count = 1
    for size in shape:
        count *= size
    if dtype == torch.bool:
        return torch.randint(0, 2, shape, generator=generator).bool()
    values = torch.randint(0, 256, (count * width,), generator=generator, dtype=torch.uint8)
    return values.view(dtype).reshape(shape)


def all_dtypes():
    tensors = {}
    for index, (name, dtype) in enumerate(DTYPES.items()):
        tensors[f"m.{name}"] = sample(dtype, (3, 5), index)
        tensors[f"a.{name}"] = sample(dtype, (), index)
        tensors[f"é.{name}"] = sample(dtype, (0, 4), index)
    return tensors


def check_equal(listing, tensors):
    assert set(listing) == set(tensors)
    names = {dtype: name for name, dtype in DTYPES.items()}
    for name, tensor in tensors.items():
        line = listing[name]
        assert line["dtype"] == names[tensor.dtype], name
        assert line["shape"] == list(tensor.shape), name
        assert line["bytes"] == raw(tensor), name


# ------------------------------------------------------------------------------------------------------ safetensors


def test_reads_every_dtype_of_the_library(tmp_path):
    tensors = all_dtypes()
    safetensors.torch.save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"})
    check_equal(listed(tmp_path / "x.safetensors"), tensors)


def test_knows_every_dtype_that_the_library_knows():
    header = json.dumps({"t": {"dtype": "nothing", "shape": [], "data_offsets": [0, 0]}}).encode()
    with pytest.raises(Exception) as error:
        safetensors.deserialize(struct.pack("<Q", len(header)) + header)
    known = set(str(error.value).split("expected one of")[1].split("at line")[0].replace("`", "").replace(",", " ").split())
    assert known == set(DTYPES) | {"F4", "F6_E2M3", "F6_E3M2"}


def test_writes_the_bytes_that_the_library_writes(tmp_path):
    tensors = all_dtypes() | {'quote " and \\ and \n \x7f': torch.zeros(2), "B": torch.ones(3), "b": torch.ones(3)}
    source, target = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    safetensors.torch.save_file(tensors, source, metadata={"format": "pt"})
    probe("rewrite", source, target)
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 40])
def test_pads_headers_of_any_length_alike(tmp_path, count):
    tensors = {"x" * (i + 1): torch.full((i % 3,), float(i)) for i in range(count)}
    source, target = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    safetensors.torch.save_file(tensors, source, metadata={"format": "pt"})
    probe("rewrite", source, target)
    assert target.read_bytes() == source.read_bytes()


def accepted_by_python(data):
    try:
        safetensors.deserialize(data)
        return True
    except Exception:
        return False


@pytest.mark.slow
def test_accepts_and_refuses_damaged_files_as_the_library_does(tmp_path):
    generator = random.Random(7)
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.uint8), "c": torch.zeros(0)}
    good = safetensors.torch.save(tensors, {"format": "pt"})
    length = struct.unpack("<Q", good[:8])[0]
    path = tmp_path / "x.safetensors"
    disagreements = []
    for _ in range(300):
        data = bytearray(good)
        for _ in range(generator.choice([1, 1, 2])):
            place = generator.randrange(8, 8 + length)
            data[place] = generator.choice(b'0123456789[]{},:"ab FU')
        path.write_bytes(data)
        ours = subprocess.run([*PROBE, "list", str(path)], capture_output=True, text=True)
        assert ours.returncode in (0, 1), (ours.returncode, bytes(data))
        theirs = accepted_by_python(bytes(data))
        # Keys of a tensor's entry that nobody knows are ignored by the library and refused by us.
        if (ours.returncode == 0) != theirs and "unknown key" not in ours.stderr:
            disagreements.append((bytes(data[8 : 8 + length]), ours.stderr, theirs))
    assert not disagreements


@pytest.mark.parametrize("size", ["100KB", "37KB", "1KB", "50GB"])
def test_shards_as_transformers_does(tmp_path, size):
    config = ModernBertConfig(
        vocab_size=90, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
    )
    model = ModernBertForMaskedLM(config)
    theirs, ours, single = tmp_path / "theirs", tmp_path / "ours", tmp_path / "single.bin"
    model.save_pretrained(theirs, max_shard_size=size)
    # The order of the model, which a safetensors file does not keep.
    state = model.state_dict()
    state.pop("decoder.weight")
    torch.save(state, single)
    ours.mkdir()
    (ours / "model.safetensors").write_bytes(b"stale")
    probe("shard", single, ours, size)
    names = sorted(name for name in os.listdir(theirs) if "safetensors" in name)
    assert sorted(os.listdir(ours)) == names
    for name in names:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    check_equal(listed(ours), state)
    check_equal(listed(theirs), state)
    (theirs / "config.json").replace(ours / "config.json")
    again = ModernBertForMaskedLM.from_pretrained(ours)
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items() if name in state)


# ----------------------------------------------------------------------------------------------------------- .bin


def state_dicts():
    base = torch.arange(48.0).reshape(6, 8)
    linear = torch.nn.Linear(5, 3)
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.note = "kept out"
    noted = torch.zeros(3)
    noted.note = 1
    return {
        "module": linear.state_dict(),
        "parameters": {"p": linear.weight, "q": parameter, "r": noted},
        "bf16": {"x": base.bfloat16(), "y": base.half(), "z": base.double()},
        "views": {
            "all": base, "transposed": base.t(), "row": base[2], "column": base[:, 3], "offset": base.flatten()[5:9],
            "step": base[::2, 1::3], "expanded": base[:, :1].expand(6, 4), "permuted": base.view(2, 3, 8).permute(2, 0, 1),
            "one": base[3:4, 2:3].t(), "scalar": base[1, 1], "empty": base[:0],
        },
        "dtypes": {name: sample(dtype, (2, 3), 3) for name, dtype in DTYPES.items()},
        "wrapped": {"state_dict": OrderedDict(w=base), "epoch": 3, "note": "x"},
    }


def expected(state):
    return state["state_dict"] if "state_dict" in state else state


@pytest.mark.parametrize("name", list(state_dicts()))
@pytest.mark.parametrize("options", [{}, {"pickle_protocol": 3}, {"pickle_protocol": 5}], ids=["2", "3", "5"])
def test_reads_what_torch_saves(tmp_path, name, options):
    state = state_dicts()[name]
    torch.save(state, tmp_path / "pytorch_model.bin", **options)
    check_equal(listed(tmp_path), dict(expected(state)))


@pytest.mark.parametrize("name", [name for name in state_dicts() if name != "dtypes"])
def test_reads_the_form_before_version_1_6(tmp_path, name):
    state = state_dicts()[name]
    torch.save(state, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    check_equal(listed(tmp_path), dict(expected(state)))


def test_reads_a_composer_state(tmp_path):
    weights = OrderedDict((f"model.x.{i}", torch.full((3,), float(i))) for i in range(4))
    optimizer = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-3}]}
    random_state = random.getstate()
    state = {
        "state": {
            "model": weights, "optimizers": {"StableAdamW": optimizer}, "run_name": "r", "rank_zero_seed": 2**40,
            "timestamp": {"batch": 7, "total_wct": datetime.timedelta(seconds=3)}, "size": torch.Size([1, 2]),
            "dtype": torch.bfloat16, "bytes": b"\x00\xff", "set": {1, 2}, "device": torch.device("cpu"),
        },
        "rng": [{"python": random_state, "torch": torch.get_rng_state(), "numpy": numpy.random.get_state()}],
    }
    path = tmp_path / "ep0-ba7-rank0.pt"
    torch.save(state, path)
    check_equal(listed(path), dict(weights))


class Metric(dict):
    def __init__(self):
        self.total = torch.ones(2)
        self["a"] = 1


def test_keeps_unknown_objects_of_a_training_state_apart(tmp_path):
    weights = OrderedDict(w=torch.arange(4.0))
    metrics = {"m": Metric(), "t": datetime.datetime(2024, 1, 1), "c": complex(1, 2), "p": Path("x"), "r": range(3)}
    torch.save({"state": {"model": weights, "train_metrics": metrics, "algorithms": [("x", Malicious())]}}, tmp_path / "x.pt")
    assert "harmless names" in probe("list", tmp_path / "x.pt", ok=False)
    lines = map(json.loads, probe("list-state", tmp_path / "x.pt").splitlines())
    check_equal({line["name"]: line for line in lines}, dict(weights))
    assert not Path("should-not-exist").exists()


def test_prefers_safetensors_and_reads_sharded_bins(tmp_path):
    first, second = {"a": torch.ones(2)}, {"b": torch.zeros(3, dtype=torch.int64)}
    torch.save(first, tmp_path / "pytorch_model-00001-of-00002.bin")
    torch.save(second, tmp_path / "pytorch_model-00002-of-00002.bin")
    index = {"metadata": {}, "weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    check_equal(listed(tmp_path), first | second)
    torch.save({"c": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    check_equal(listed(tmp_path), {"c": torch.ones(1)})
    safetensors.torch.save_file({"d": torch.ones(1)}, tmp_path / "model.safetensors")
    check_equal(listed(tmp_path), {"d": torch.ones(1)})


class Malicious:
    def __reduce__(self):
        return os.system, ("touch should-not-exist",)


def test_runs_nothing(tmp_path):
    torch.save({"x": torch.ones(1), "y": Malicious()}, tmp_path / "pytorch_model.bin")
    message = probe("list", tmp_path, ok=False)
    assert "posix.system" in message and "nothing was executed" in message
    assert not Path("should-not-exist").exists()


def test_refuses_big_endian_values(tmp_path):
    torch.save({"x": torch.ones(1)}, tmp_path / "a.bin")
    with zipfile.ZipFile(tmp_path / "a.bin") as source, zipfile.ZipFile(tmp_path / "b.bin", "w") as target:
        for entry in source.infolist():
            content = source.read(entry)
            target.writestr(entry.filename, b"big" if entry.filename.endswith("byteorder") else content)
    assert "big-endian" in probe("list", tmp_path / "b.bin", ok=False)


# --------------------------------------------------------------------------------------------------- configuration


COMMON = {"vocab_size": 400, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 7, "num_attention_heads": 4}
TOKENS = {"pad_token_id": 3, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}

CONFIGURATIONS = [
    {},
    {"local_attention": 64, "norm_eps": 1e-6, "norm_bias": True, "attention_bias": True, "mlp_bias": True},
    {"global_attn_every_n_layers": 2, "global_rope_theta": 5000.0, "local_rope_theta": 77.5},
    {"layer_types": ["full_attention"] * 3 + ["sliding_attention"] * 4},
    {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 7.0}}, "local_rope_theta": 9.0},
    {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    {"id2label": {0: "a", 1: "b", 2: "c"}, "label2id": {"a": 0, "b": 1, "c": 2}, "problem_type": "regression"},
    {"num_labels": 1, "dtype": "bfloat16", "architectures": ["Any"]},
    {"sliding_window": 10},
    {"eos_token_id": [2, 5], "bos_token_id": 9, "tie_word_embeddings": False, "decoder_bias": False},
    {"hidden_activation": "silu", "classifier_activation": "gelu_pytorch_tanh", "attention_dropout": 0.25},
    {"some_key": {"b": [1, 2.5, None], "a": "é"}, "position_embedding_type": "sans_pos"},
]


def effective(config):
    """What a configuration means, without the keys that only one format writes."""
    values = config.to_dict()
    for key in ("transformers_version", "layer_norm_eps", "global_attn_every_n_layers", "_name_or_path"):
        values.pop(key, None)
    return values


@pytest.mark.parametrize("kind", [ModernBertConfig, ModernBertDecoderConfig], ids=["encoder", "decoder"])
@pytest.mark.parametrize("changes", CONFIGURATIONS, ids=range(len(CONFIGURATIONS)))
def test_configurations_survive_both_formats(tmp_path, kind, changes):
    theirs = kind(**(COMMON | TOKENS | changes))
    source = tmp_path / "theirs"
    theirs.save_pretrained(source)
    theirs = AutoConfig.from_pretrained(source)
    five = tmp_path / "5"
    five.mkdir()
    probe("config", source, five, "5")
    assert (five / "config.json").read_text() == (source / "config.json").read_text()
    expressible = "rope_scaling" not in changes and "layer_types" not in changes
    four = tmp_path / "4"
    four.mkdir()
    if not expressible:
        assert "transformers 4 cannot say" in probe("config", source, four, "4", ok=False)
        return
    probe("config", five, four, "4")
    assert effective(AutoConfig.from_pretrained(four)) == effective(theirs)
    back = tmp_path / "back"
    back.mkdir()
    probe("config", four, back, "5")
    assert effective(AutoConfig.from_pretrained(back)) == effective(theirs)


@pytest.mark.parametrize("kind", ["modernbert", "modernbert-decoder"])
@pytest.mark.parametrize("changes", [
    {}, {"local_attention": 9}, {"sliding_window": 10}, {"sliding_window": 10, "local_attention": 64},
    {"global_attn_every_n_layers": 1}, {"global_rope_theta": 3.0}, {"torch_dtype": "float16"}, {"layer_norm_eps": 1e-3},
    {"num_labels": 5}, {"reference_compile": None, "is_causal": True, "gradient_checkpointing": False},
    {"rope_scaling": None, "layer_types": None, "rope_parameters": None, "dtype": None, "problem_type": None},
], ids=str)
def test_reads_files_as_transformers_does(tmp_path, kind, changes):
    (tmp_path / "config.json").write_text(json.dumps(COMMON | TOKENS | {"model_type": kind} | changes))
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    AutoConfig.from_pretrained(tmp_path).save_pretrained(theirs)
    ours.mkdir()
    probe("config", tmp_path, ours, "5")
    expected = json.loads((theirs / "config.json").read_text())
    found = json.loads((ours / "config.json").read_text())
    # transformers drops keys whose value is the null that it assumes; we keep what has no effect.
    for key in changes:
        if found.get(key, 0) is None and key not in expected:
            del found[key]
    assert found == expected


def test_defaults_are_those_of_transformers(tmp_path):
    for kind, config in (("modernbert", ModernBertConfig()), ("modernbert-decoder", ModernBertDecoderConfig())):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        out = tmp_path / kind
        out.mkdir()
        probe("config", tmp_path, out, "5")
        assert (out / "config.json").read_text() == config.to_json_string()


@pytest.mark.parametrize("size", ["17m", "32m", "68m", "150m", "400m", "1b"])
@pytest.mark.parametrize("kind", ["encoder", "decoder"])
@pytest.mark.parametrize("form", ["4", "5"])
def test_sizes_of_the_suite_load(tmp_path, size, kind, form):
    probe("ettin", f"{kind}-{size}", tmp_path, form)
    config = AutoConfig.from_pretrained(tmp_path)
    assert config.max_position_embeddings == 7999 and config.vocab_size == 50368
    assert config.layer_types[0] == config.layer_types[-1] == "full_attention"
    with torch.device("meta"):
        model = (AutoModelForMaskedLM if kind == "encoder" else AutoModelForCausalLM).from_config(config)
    expected = {
        "17m": 16913600, "32m": 32081344, "68m": 68457664, "150m": 149655232, "400m": 395881664, "1b": 1031314112,
    }
    assert model.num_parameters() == expected[size]


def test_generation_configuration_survives(tmp_path):
    config = GenerationConfig(
        bos_token_id=1, eos_token_id=[2, 4], pad_token_id=3, use_cache=True, do_sample=True, temperature=0.5, top_k=7,
        repetition_penalty=1.25, max_new_tokens=9, _from_model_config=True, num_beams=2,
    )
    config.save_pretrained(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    probe("generation", tmp_path, out)
    assert (out / "generation_config.json").read_text() == (tmp_path / "generation_config.json").read_text()
