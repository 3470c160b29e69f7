"""Keys of generation_config.json and tokenizer files against transformers: the same tokens for the same files."""

import json
import os
import shutil
import subprocess

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ETTIN = os.path.join(os.environ["ETTIN_BIN_DIR"], "ettin")
PROMPT = "river stone"


def ettin(*arguments):
    result = subprocess.run([ETTIN, *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generation")
    words = "river stone window garden yellow quickly seven market paper engine silent bridge".split()
    (folder / "corpus.txt").write_text("\n".join(" ".join(words[i * j % 12] for j in range(9)) for i in range(1, 80)))
    ettin("tokenizer", "train", folder / "corpus.txt", "--vocab-size", 340, "-o", folder / "tokenizer")
    shape = "--layers 3 --hidden-size 64 --intermediate-size 64 --heads 2 --max-position-embeddings 64".split()
    options = ["--size", "17m", "--kind", "decoder", *shape, "--init", "transformers", "--tokenizer", folder / "tokenizer"]
    ettin("init", folder / "decoder", *options)
    return folder / "decoder"


def theirs(folder, **options):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    # The template ends with [SEP], which would end the prompt.
    ids = torch.tensor([[i for i in tokenizer(PROMPT)["input_ids"] if i != tokenizer.sep_token_id]])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), tokenizer=tokenizer, **options)
    return ids.shape[1], out[0, ids.shape[1] :].tolist()


def test_keys_of_generation_config(decoder, tmp_path):
    prompt, free = theirs(decoder, max_new_tokens=10)
    eos = {"eos_token_id": [2, free[1]], "max_new_tokens": 10}
    cases = [
        {"max_length": prompt + 4},
        {"max_length": prompt + 4, "max_new_tokens": 6},
        {**eos},
        {**eos, "min_new_tokens": 5},
        {**eos, "min_length": prompt + 5},
        {**eos, "eos_token_id": [2, *free], "min_new_tokens": 3, "min_length": prompt + 6},
        {"max_new_tokens": 10, "suppress_tokens": free[:2] + [5000]},
        {"max_new_tokens": 10, "begin_suppress_tokens": free[:1]},
        {"max_new_tokens": 10, "bad_words_ids": [free[:1], free[1:3], [2]]},
        {"max_new_tokens": 10, "no_repeat_ngram_size": 1},
        {"max_new_tokens": 10, "no_repeat_ngram_size": 2, "repetition_penalty": 1.7},
        {"max_new_tokens": 10, "stop_strings": [AutoTokenizer.from_pretrained(decoder).decode(free[2:3])]},
    ]
    folder = tmp_path / "decoder"
    shutil.copytree(decoder, folder)
    file = folder / "generation_config.json"
    base = json.loads(file.read_text())
    for case in cases:
        file.write_text(json.dumps({**base, **case}))
        ours = json.loads(ettin("generate", folder, PROMPT, "--json"))
        assert ours["token_ids"] == theirs(folder)[1], case


def test_options_of_generate(decoder):
    prompt, free = theirs(decoder, max_new_tokens=8)
    for flags, options in [
        (["-n", 5], {"max_new_tokens": 5}),
        (["--max-length", prompt + 3], {"max_length": prompt + 3}),
        (["--max-tokens", 8, "--repeat-penalty", 1.4], {"max_new_tokens": 8, "repetition_penalty": 1.4}),
        (["-n", 8, "--min-new-tokens", 8], {"max_new_tokens": 8, "min_new_tokens": 8}),
    ]:
        ours = json.loads(ettin("generate", decoder, PROMPT, "--json", *flags))
        assert ours["token_ids"] == theirs(decoder, **options)[1], flags


def added(content, **flags):
    return {
        "content": content, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": True,
        **flags,
    }  # fmt: skip


def test_tokens_of_other_files(decoder, tmp_path):
    config = json.loads((decoder / "tokenizer_config.json").read_text())
    listed = json.loads((decoder / "tokenizer.json").read_text())["added_tokens"]
    known = {str(token["id"]): {k: v for k, v in token.items() if k != "id"} for token in listed}
    new = len(AutoTokenizer.from_pretrained(decoder))
    listing = "added_tokens_decoder"
    cases = [
        ({listing: {**known, str(new): added("<extra>")}}, None, None),
        ({listing: {str(new + 1): added("<extra>"), str(new): added("river")}}, None, None),
        ({listing: {str(new + 7): added("<extra>", special=False)}}, None, None),
        ({listing: {**known, "4": added("[MASK]", lstrip=True, rstrip=True)}}, None, None),
        ({listing: known}, {"mask_token": "<extra>"}, {"<extra>": new}),
        ({}, {"mask_token": "<extra>"}, None),
        ({}, {"additional_special_tokens": ["<extra>"]}, None),
        ({}, None, {"<extra>": new + 5}),
        ({"extra_special_tokens": ["<extra>"]}, None, None),
        ({"image_token": "<extra>"}, None, None),
        ({"mask_token": "<extra>"}, None, None),
    ]
    text = "river <extra> stone [MASK] window river"
    for number, (keys, special, tokens) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(decoder / "tokenizer.json", folder)
        contents = [("tokenizer_config.json", {**config, **keys}), ("special_tokens_map.json", special)]
        for name, content in [*contents, ("added_tokens.json", tokens)]:
            if content is not None:
                (folder / name).write_text(json.dumps(content))
        ours = json.loads(ettin("tokenize", folder, text, "--json"))["ids"]
        assert ours == AutoTokenizer.from_pretrained(folder)(text)["input_ids"], (keys, special, tokens)
