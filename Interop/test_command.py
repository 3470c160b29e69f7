"""The command `ettin` from text file to answers, against transformers and sentence-transformers on the same folders.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR. The tokenizer and the models are made by the command.
"""

import json
import os
import subprocess

import numpy
import pytest
import torch
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer, pipeline

ETTIN = os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin")
TEXTS = ["The capital of France is Paris.", "A cat sits.", "Ein Hund schläft auf dem Sofa.", "日本語 and e\u0301"]
# Two layers of each kind of window, and weights large enough that mistakes show.
SHAPE = ["--layers", "4", "--hidden-size", "64", "--intermediate-size", "96", "--heads", "4"]


def ettin(*arguments, stdin=""):
    run = subprocess.run([ETTIN, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return run.stdout


def objects(*arguments, stdin=""):
    return [json.loads(line) for line in ettin(*arguments, stdin=stdin).splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    (path / "corpus.txt").write_text("\n".join(TEXTS * 20), encoding="utf-8")
    ettin("tokenizer", "train", path / "corpus.txt", "--vocab-size", 400, "-o", path / "tokenizer")
    for kind in ["encoder", "decoder"]:
        config = path / f"{kind}.json"
        ettin("init", path / f"{kind}-plain", "--size", "17m", "--kind", kind, "--tokenizer", path / "tokenizer", *SHAPE)
        fields = json.loads((path / f"{kind}-plain" / "config.json").read_text())
        config.write_text(json.dumps(fields | {"initializer_range": 0.2}))
        ettin("init", path / kind, "--config", config, "--tokenizer", path / "tokenizer", "--seed", 3)
    return path


@pytest.mark.parametrize("name", ["tokenizer", "encoder", "decoder"])
def test_tokens(folder, name):
    tokenizer = AutoTokenizer.from_pretrained(folder / name)
    for text, line in zip(TEXTS, objects("tokenize", folder / name, "--json", *TEXTS)):
        expected = tokenizer(text, return_offsets_mapping=True)
        assert line["ids"] == expected["input_ids"]
        assert line["tokens"] == tokenizer.convert_ids_to_tokens(line["ids"])
        assert [tuple(pair) for pair in line["offsets"]] == expected["offset_mapping"]
        ids = " ".join(map(str, line["ids"]))
        assert ettin("tokenize", folder / name, "--decode", ids) == tokenizer.decode(line["ids"]) + "\n"


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_new_folders_load_without_a_missing_or_unknown_key(folder, kind):
    loader = AutoModelForMaskedLM if kind == "encoder" else AutoModelForCausalLM
    model, info = loader.from_pretrained(folder / kind, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    assert model.config.vocab_size == len(AutoTokenizer.from_pretrained(folder / kind))
    described = json.loads(ettin("info", folder / kind, "--json"))
    assert described["parameters"] == sum(parameter.numel() for parameter in model.parameters())


def test_fill_mask(folder, measured):
    texts = ["The capital of France is [MASK].", "A [MASK] sits on the [MASK]."]
    expected = pipeline("fill-mask", model=str(folder / "encoder"), top_k=4)(texts)
    for line, predictions in zip(objects("fill-mask", folder / "encoder", "--top-k", 4, "--json", *texts), expected):
        predictions = predictions if isinstance(predictions[0], list) else [predictions]
        for ours, theirs in zip(line["masks"], predictions, strict=True):
            assert [entry["token"] for entry in ours] == [entry["token"] for entry in theirs]
            assert [entry["sequence"] for entry in ours] == [entry["sequence"] for entry in theirs]
            for left, right in zip(ours, theirs):
                measured("ettin fill-mask, largest difference of a score", abs(left["score"] - right["score"]))
                assert left["score"] == pytest.approx(right["score"], abs=1e-5)


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_embed(folder, tmp_path, kind, measured):
    pooling = {"encoder": "mean", "decoder": "lasttoken"}[kind]
    model = SentenceTransformer(str(folder / kind))
    model[1].pooling_mode = pooling
    expected = model.encode(TEXTS, normalize_embeddings=True)
    arguments = ["embed", folder / kind, "--normalize", "--pooling", pooling]
    printed = numpy.array([line["embedding"] for line in objects(*arguments, *TEXTS)], dtype="float32")
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    for name in ["out.npy", "out.safetensors", "out.jsonl"]:
        ettin(*arguments, "--input", texts, "--output", tmp_path / name)
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    results = {
        "stdout": printed,
        "npy": numpy.load(tmp_path / "out.npy"),
        "safetensors": load_file(tmp_path / "out.safetensors")["embeddings"],
        "jsonl": numpy.array([json.loads(line)["embedding"] for line in lines], dtype="float32"),
    }
    for name, result in results.items():
        assert result.dtype == numpy.float32 and result.shape == expected.shape, name
        measured("ettin embed, largest difference of a value", float(numpy.abs(result - expected).max()))
        numpy.testing.assert_allclose(result, expected, atol=1e-5, err_msg=name)
        numpy.testing.assert_array_equal(result, printed, err_msg=name)


def test_generate(folder):
    model = AutoModelForCausalLM.from_pretrained(folder / "decoder")
    tokenizer = AutoTokenizer.from_pretrained(folder / "decoder")
    arguments = ["--max-new-tokens", 20, "--repetition-penalty", 1.3, "--json"]
    for prompt, line in zip(TEXTS, objects("generate", folder / "decoder", *TEXTS, *arguments)):
        inputs = tokenizer(prompt, return_tensors="pt")
        with torch.no_grad():
            output = model.generate(**inputs, max_new_tokens=20, do_sample=False, repetition_penalty=1.3)
        new = output[0, inputs["input_ids"].shape[1] :].tolist()
        assert line["token_ids"] == new
        assert line["text"] == tokenizer.decode(new, skip_special_tokens=True)
        assert line["prompt_tokens"] == inputs["input_ids"].shape[1]
