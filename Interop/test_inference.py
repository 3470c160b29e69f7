"""Masks, embeddings and generation through the command `ettin`, beside transformers and sentence-transformers in depth.

Needs the program ettin, whose folder is named by ETTIN_BIN_DIR. Models are random and small, their weights spread wide
so that mistakes show.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy
import pytest
import torch
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
from transformers import (
    AutoTokenizer,
    ModernBertConfig,
    ModernBertDecoderConfig,
    ModernBertDecoderForCausalLM,
    ModernBertForMaskedLM,
    pipeline,
)

ETTIN = os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin")

TEXTS = [
    "The sea was calm, and the ship lay still.", "A fox.", "", "Übung macht den Meister; 日本語の文 too.",
    "She said that he would never have gone there if it had not been for the letter that came in the morning. " * 4,
]


def ettin(*arguments, code=0):
    run = subprocess.run([ETTIN, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert run.returncode == code, run.stderr
    return run.stdout


def lines(*arguments):
    return list(map(json.loads, ettin(*arguments).splitlines()))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "corpus.txt").write_text("\n".join(TEXTS * 3) + Path(__file__).read_text())
    ettin("tokenizer", "train", folder / "corpus.txt", "--vocab-size", 600, "--output", folder / "made")
    return folder / "made"


def make(kind, tokenizer, folder):
    options = dict(
        vocab_size=600, hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4,
        local_attention=16, initializer_range=0.3, max_position_embeddings=512, pad_token_id=3, bos_token_id=1,
        cls_token_id=1, eos_token_id=2, sep_token_id=2,
    )
    torch.manual_seed(5)
    if kind == "encoder":
        model = ModernBertForMaskedLM(ModernBertConfig(**options)).eval()
    else:
        model = ModernBertDecoderForCausalLM(ModernBertDecoderConfig(**options)).eval()
    model.save_pretrained(folder)
    for file in tokenizer.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return model


@pytest.fixture(scope="module")
def encoder(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    make("encoder", tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def decoder(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoder")
    make("decoder", tokenizer, folder)
    return folder


def test_fill_mask(encoder):
    masked = ["The [MASK] was calm.", "[MASK]", "A [MASK] came in the [MASK], he said.", TEXTS[4] + "[MASK]"]
    original = pipeline("fill-mask", model=str(encoder), top_k=7)
    for text, ours in zip(masked, lines("fill-mask", encoder, *masked, "--top-k", 7, "--json")):
        theirs = original(text)
        theirs = [theirs] if isinstance(theirs[0], dict) else theirs
        assert len(ours["masks"]) == len(theirs) and not ours["truncated"]
        for mine, expected in zip(ours["masks"], theirs):
            assert [p["token"] for p in mine] == [p["token"] for p in expected]
            for prediction, wanted in zip(mine, expected):
                assert abs(prediction["score"] - wanted["score"]) <= 1e-5
                assert prediction["token_str"] == wanted["token_str"]
                assert prediction["sequence"] == wanted["sequence"]


@pytest.mark.parametrize("penalty", [1.0, 1.3])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_greedy_generation(decoder, penalty, batch_size, measured):
    model = ModernBertDecoderForCausalLM.from_pretrained(decoder).eval()
    tokenizer = AutoTokenizer.from_pretrained(decoder)
    ours = lines(
        "generate", decoder, *TEXTS, "--max-new-tokens", 60, "--repetition-penalty", penalty, "--batch-size",
        batch_size, "--json",
    )
    ended = 0
    for text, result in zip(TEXTS, ours):
        # The template's [SEP] would end the text; a decoder continues [CLS] A.
        ids = [tokenizer.bos_token_id] + tokenizer.encode(text, add_special_tokens=False)
        output = model.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), max_new_tokens=60,
            do_sample=False, repetition_penalty=penalty, pad_token_id=3,
        )[0][len(ids):].tolist()
        assert result["token_ids"] == output
        assert result["prompt_tokens"] == len(ids)
        assert result["finish_reason"] == ("stop" if output[-1] == 2 else "length")
        assert result["text"] == tokenizer.decode(output, skip_special_tokens=True)
        ended += output[-1] == 2
        measured("greedy tokens compared with transformers, longest run", len(output))


def test_drawn_tokens_follow_the_original_distribution(decoder):
    """Of 2,000 first tokens, each has about the share that transformers' processors give it."""
    from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    model = ModernBertDecoderForCausalLM.from_pretrained(decoder).eval()
    tokenizer = AutoTokenizer.from_pretrained(decoder)
    ids = torch.tensor([[tokenizer.bos_token_id] + tokenizer.encode("A fox.", add_special_tokens=False)])
    warpers = LogitsProcessorList([TemperatureLogitsWarper(1.5), TopKLogitsWarper(20), TopPLogitsWarper(0.9)])
    with torch.no_grad():
        probabilities = warpers(ids, model(ids).logits[:, -1]).softmax(-1)[0]
    results = lines(
        "generate", decoder, *["A fox."] * 2000, "--max-new-tokens", 1, "--temperature", 1.5, "--top-k", 20, "--top-p",
        0.9, "--batch-size", 500, "--json",
    )
    counts = numpy.bincount([r["token_ids"][0] for r in results], minlength=600)
    assert counts[probabilities.numpy() == 0].sum() == 0
    expected = 2000 * probabilities.double().numpy()
    assert (numpy.abs(counts - expected) <= 5 * numpy.sqrt(expected) + 1).all()


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
@pytest.mark.parametrize("normalize", [False, True])
def test_embeddings_of_plain_checkpoints(request, tmp_path, kind, normalize, measured):
    folder = request.getfixturevalue(kind)
    # The original chooses the mean for encoders and the last token for decoders, as we do.
    theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, normalize_embeddings=normalize)
    flags = ["--normalize"] if normalize else []
    ours = numpy.array([line["embedding"] for line in lines("embed", folder, *TEXTS, *flags)], dtype="float32")
    measured("embeddings, largest absolute difference", float(numpy.abs(ours - theirs).max()))
    numpy.testing.assert_allclose(ours, theirs, atol=2e-5, rtol=1e-5)
    for suffix, read in [("npy", numpy.load), ("safetensors", lambda path: load_file(path)["embeddings"])]:
        path = tmp_path / f"out.{suffix}"
        ettin("embed", folder, *TEXTS, *flags, "--output", path)
        assert read(path).dtype == numpy.float32
        numpy.testing.assert_array_equal(read(path), ours)


@pytest.mark.parametrize("mode", ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"])
def test_every_pooling(encoder, mode):
    transformer = Transformer(str(encoder))
    model = SentenceTransformer(modules=[transformer, Pooling(64, pooling_mode=mode)], device="cpu")
    theirs = model.encode(TEXTS)
    ours = numpy.array([line["embedding"] for line in lines("embed", encoder, *TEXTS, "--pooling", mode)])
    numpy.testing.assert_allclose(ours, theirs, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("include_prompt", [True, False])
def test_sentence_transformers_folders(encoder, tmp_path, include_prompt):
    torch.manual_seed(6)
    model = SentenceTransformer(
        modules=[
            Transformer(str(encoder), max_seq_length=80),
            Pooling(64, pooling_mode=["mean", "cls"], include_prompt=include_prompt),
            Dense(128, 24, activation_function=torch.nn.Tanh()),
            Normalize(),
        ],
        prompts={"query": "query: ", "document": ""},
        default_prompt_name="query",
        device="cpu",
    )
    model.save(str(tmp_path / "model"))
    for flags, options in [([], {}), (["--prompt-name", "document"], {"prompt_name": "document"}),
                           (["--prompt", "A: "], {"prompt": "A: "}), (["--truncate-dim", "5"], {"truncate_dim": 5})]:
        theirs = model.encode(TEXTS, **options)
        rows = lines("embed", tmp_path / "model", *TEXTS, "--truncate", *flags)
        assert [row["truncated"] for row in rows] == [False, False, False, False, True]
        numpy.testing.assert_allclose([row["embedding"] for row in rows], theirs, atol=2e-5, rtol=1e-4)
    ettin("embed", tmp_path / "model", *TEXTS, code=1)


def test_bfloat16_stays_near_float32(encoder):
    full = numpy.array([line["embedding"] for line in lines("embed", encoder, *TEXTS)])
    half = numpy.array([line["embedding"] for line in lines("embed", encoder, *TEXTS, "--dtype", "bfloat16")])
    cosines = (full * half).sum(1) / numpy.linalg.norm(full, axis=1) / numpy.linalg.norm(half, axis=1)
    assert cosines.min() > 0.99 and not numpy.array_equal(full, half)
