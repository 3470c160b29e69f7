"""Folders that look like descendants but cannot be run: one sentence says what they are, and what would work.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR.
"""

import json

import pytest
import torch
from descendants import WIDTH, checkpoint, ettin, kind, refusal, run
from safetensors.torch import save_file
from transformers import BertConfig, BertModel


@pytest.fixture
def encoder(small_tokenizer, tmp_path):
    folder = tmp_path / "encoder"
    checkpoint(folder, small_tokenizer, "ForMaskedLM")
    return folder


def change(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def adapter(folder):
    """What PEFT writes: matrices of low rank, and the name of a base model that is not there."""
    for file in ["model.safetensors", "config.json"]:
        (folder / file).unlink()
    (folder / "adapter_config.json").write_text(json.dumps({
        "peft_type": "LORA", "base_model_name_or_path": "jhu-clsp/ettin-encoder-17m", "r": 2, "lora_alpha": 4,
        "target_modules": ["Wqkv"], "task_type": "FEATURE_EXTRACTION"}))
    prefix = "base_model.model.layers.0.attn.Wqkv"
    save_file({f"{prefix}.lora_A.weight": torch.zeros(2, WIDTH), f"{prefix}.lora_B.weight": torch.zeros(3 * WIDTH, 2)},
              folder / "adapter_model.safetensors")


def onnx_only(folder):
    (folder / "model.safetensors").unlink()
    (folder / "onnx").mkdir()
    (folder / "onnx/model.onnx").write_bytes(b"\x08\x08")


def bert(folder):
    config = BertConfig(
        vocab_size=480, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48)
    BertModel(config).save_pretrained(folder)


def quantised(folder):
    change(folder / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})


def gliner(folder):
    (folder / "gliner_config.json").write_text(json.dumps({"model_name": "jhu-clsp/ettin-encoder-32m"}))


def vision(folder):
    change(folder / "config.json", model_type="modernvbert", architectures=["ModernVBertForMaskedLM"])


REFUSED = [
    (adapter, ["adapter", "jhu-clsp/ettin-encoder-17m"]), (onnx_only, ["ONNX"]), (bert, ["bert"]),
    (quantised, ["quantis", "bitsandbytes"]), (gliner, ["GLiNER"]), (vision, ["modernvbert"]),
]


@pytest.mark.sampled(10)
@pytest.mark.parametrize("command", [["embed"], ["rerank", "A query"], ["classify"], ["sparse"]])
@pytest.mark.parametrize("make, words", REFUSED, ids=[make.__name__ for make, _ in REFUSED])
def test_what_cannot_be_run_is_named(encoder, make, words, command):
    make(encoder)
    name, *texts = command
    error = refusal(name, encoder, *texts, "A text.")
    if make is quantised and name in ["rerank", "classify"]:
        words = ["masked language model"]  # There is no head, whatever the weights are.
    for word in words:
        assert word.lower() in error.lower()


def test_info_describes_what_cannot_be_run(encoder):
    adapter(encoder)
    assert kind(encoder) == "adapter"


@pytest.mark.parametrize("command", ["rerank", "classify", "tag", "answer", "choose"])
def test_no_head_is_made_up(encoder, command):
    """The original would add a head with random weights to a masked language model."""
    texts = {"rerank": ["A query", "A text"], "answer": ["--question", "Who?", "--context", "He."],
             "choose": ["A prompt", "one", "two"]}.get(command, ["A text"])
    error = refusal(command, encoder, *texts)
    assert "masked-lm" in error or "masked language model" in error


def test_foreign_code_does_not_run(encoder):
    change(encoder / "config.json", auto_map={"AutoModel": "modeling_foreign.ForeignModel"})
    (encoder / "modeling_foreign.py").write_text("raise SystemExit(3)")
    done = run("embed", encoder, "A text.")
    assert len(json.loads(done.stdout)["embedding"]) == WIDTH and "auto_map" in done.stderr


MISTAKES = {
    "a head whose weights are missing": ("ForSequenceClassification", ["classifier.weight"]),
    "a tagger whose weights are missing": ("ForTokenClassification", ["classifier.weight"]),
}


@pytest.mark.parametrize("head, missing", MISTAKES.values(), ids=MISTAKES)
def test_missing_weights_of_heads(small_tokenizer, tmp_path, head, missing):
    from safetensors.torch import load_file

    folder = tmp_path / "made"
    checkpoint(folder, small_tokenizer, head)
    weights = load_file(folder / "model.safetensors")
    save_file({name: value for name, value in weights.items() if name not in missing}, folder / "model.safetensors",
              metadata={"format": "pt"})
    error = refusal("classify" if "Sequence" in head else "tag", folder, "A text.")
    assert all(name in error for name in missing)


def test_label_maps_with_holes(small_tokenizer, tmp_path):
    checkpoint(tmp_path / "made", small_tokenizer, "ForSequenceClassification", num_labels=3)
    change(tmp_path / "made/config.json", id2label={"0": "a", "2": "c"})
    assert "id2label" in refusal("classify", tmp_path / "made", "A text.")


def test_info_of_every_head(small_tokenizer, tmp_path):
    for head, expected in [
        ("Model", "backbone"), ("ForMaskedLM", "masked-lm"), ("ForSequenceClassification", "classifier"),
        ("ForTokenClassification", "tagger"), ("ForQuestionAnswering", "question-answering"),
        ("ForMultipleChoice", "multiple-choice"),
    ]:
        checkpoint(tmp_path / head, small_tokenizer, head)
        assert kind(tmp_path / head) == expected
        assert expected in ettin("info", tmp_path / head)
