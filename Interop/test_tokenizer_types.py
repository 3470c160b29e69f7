"""Compares tokenizers of every type with the `tokenizers` library: ids, offsets, type ids, decodings, files.

    ETTIN_BIN_DIR=.build/release ETTIN_SHARED=../shared pytest Interop/test_tokenizer_types.py

Some hundred kilobytes for each type; `-m slow` compares ten megabytes. Without ETTIN_SHARED the tokenizers are trained on a few words.
"""

import functools
import json
import random
import subprocess

import pytest
from tokenizers import Tokenizer

from test_tokenizer import PROBE, as_text, compare, odd_texts, probe, write_records
from tokenizer_corpus import Corpus
from tokenizer_types import TYPES

pytestmark = pytest.mark.skipif(not PROBE.exists(), reason=f"{PROBE} is not built; set ETTIN_BIN_DIR")


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A folder for each type, trained when it is first asked for."""
    made = {}

    def folder(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp("type")
            TYPES[name]().save(str(made[name] / "tokenizer.json"))
        return made[name]

    return folder


ADDED = ["<mask>", "[MASK]", "<s>", "</s>", "<bos>", "<unk>", "[CLS]", "\n\n", "\u2581\u2581", "[Q] ", "Caf\u00e9", "<|endoftext|>"]


@functools.cache
def shuffled_texts(scale):
    texts = [text for text in Corpus(ADDED, scale=scale).texts() if len(text) < 100_000]
    random.Random(11).shuffle(texts)
    return texts


def sample(megabytes):
    """Texts of all kinds, about as many bytes as asked for."""
    chosen, size = ["", " ", "  ", "\u2581", "x", "\r\n", "a\u0301"], 0
    for text in shuffled_texts(0.05 if megabytes < 1 else 1):
        if size > megabytes * 1e6:
            break
        chosen.append(text)
        size += len(text if isinstance(text, bytes) else text.encode())
    return chosen


def check(folder, tmp_path, megabytes):
    texts = sample(megabytes)
    compared = compare(folder, texts, tmp_path, special=True)
    compare(folder, texts[:500] + odd_texts(300), tmp_path, special=True, pairs=True)
    compare(folder, texts[:100], tmp_path, special=False)
    # One word of many characters.
    prose = " ".join(as_text(text) for text in texts[:200])
    compare(folder, [prose[:30_000], prose.replace(" ", "")[:30_000], "e\u0301" * 5000, "\U0001f600" * 3000], tmp_path)
    return compared


@pytest.mark.parametrize("name", TYPES)
def test_types(name, folders, tmp_path):
    check(folders(name), tmp_path, 0.2)


@pytest.mark.slow
@pytest.mark.parametrize("name", TYPES)
def test_types_on_ten_megabytes(name, folders, tmp_path):
    assert check(folders(name), tmp_path, 10) > 9e6


@pytest.mark.parametrize("name", TYPES)
def test_tokens_and_saved_files(name, folders, tmp_path):
    folder = folders(name)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = [as_text(text) for text in sample(0.02)]
    write_records(tmp_path / "texts", texts)
    lines = probe("tokens", folder, tmp_path / "texts").splitlines()
    assert [json.loads(line) for line in lines] == [tokenizer.encode(text).tokens for text in texts]
    probe("save", folder, tmp_path / "saved")
    tokenizer.save(str(tmp_path / "original.json"))
    saved = json.loads((tmp_path / "saved/tokenizer.json").read_text("utf-8"))
    assert saved == json.loads((tmp_path / "original.json").read_text("utf-8"))
    assert list(saved["model"]["vocab"]) == list(json.loads(tokenizer.to_str())["model"]["vocab"])


@pytest.mark.parametrize("name", TYPES)
def test_streamed(name, folders, tmp_path):
    """A file is read as one text, and tokens are decoded one by one as all at once."""
    folder = folders(name)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = "\n".join(as_text(text) for text in sample(0.05))
    (tmp_path / "text.txt").write_text(text, encoding="utf-8", newline="")
    streamed = json.loads(probe("stream", folder, tmp_path / "text.txt", 2, 4096))
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    hashed = 0xCBF29CE484222325
    for number in ids:
        hashed = (hashed ^ number) * 0x100000001B3 % (1 << 64)
    assert (streamed["tokens"], streamed["hash"]) == (len(ids), f"{hashed:x}")
    write_records(tmp_path / "texts", [as_text(text) for text in sample(0.02)])
    assert probe("stream-decode", folder, tmp_path / "texts") == "equal\n"


def changed(file, path, value):
    *parents, last = path
    for key in parents:
        file = file[key]
    if value is KeyError:
        del file[last]
    else:
        file[last] = value


BROKEN = [
    ("unigram", ["model", "unk_id"], 10**9, "model.unk_id"),
    ("unigram", ["model", "unk_id"], None, "model.unk_id"),
    ("unigram", ["model", "unk_id"], -1, "model.unk_id"),
    ("unigram", ["model", "vocab", 7], ["a"], "model.vocab[7]"),
    ("unigram", ["model", "vocab", 7], ["a", "b"], "model.vocab[7]"),
    ("unigram", ["model", "vocab"], {"a": 0}, "model.vocab"),
    ("unigram", ["pre_tokenizer", "replacement"], "ab", "pre_tokenizer.replacement"),
    ("unigram", ["pre_tokenizer", "prepend_scheme"], "often", "pre_tokenizer.prepend_scheme"),
    ("unigram", ["post_processor", "sep"], ["</s>", 2**40], "post_processor.sep"),
    ("unigram precompiled", ["normalizer", "normalizers", 0, "precompiled_charsmap"], "AA==", "precompiled_charsmap"),
    ("bert uncased", ["model", "max_input_chars_per_word"], KeyError, "model.max_input_chars_per_word"),
    ("bert uncased", ["model", "continuing_subword_prefix"], 3, "model.continuing_subword_prefix"),
    ("bert uncased", ["model", "unk_token"], "[NONE]", "model.unk_token"),
    ("bert uncased", ["model", "vocab", "[UNK]"], 2**40, "model.vocab.[UNK]"),
    ("bert uncased", ["normalizer", "lowercase"], 1, "normalizer.lowercase"),
    ("bert uncased", ["decoder", "type"], "CTC", "decoder.type"),
    ("gemma", ["model", "merges", 0], ["a"], "model.merges[0]"),
    ("gemma", ["model", "type"], "WordLevel", "model.type"),
    ("gemma", ["pre_tokenizer", "behavior"], "Eaten", "pre_tokenizer.behavior"),
    ("gemma", ["pre_tokenizer", "pattern"], {}, "pre_tokenizer.pattern"),
    ("llama 2", ["decoder", "decoders", 3, "start"], 10**12, "decoder.decoders[3].start"),
    ("llama 3", ["pre_tokenizer", "pretokenizers", 0, "pattern", "Regex"], r"(?<=a)b+", "(?<="),
    ("llama 3", ["pre_tokenizer", "pretokenizers", 0, "pattern", "Regex"], r"\p{Han}+", r"\\p{Han}"),
    ("llama 3", ["pre_tokenizer", "pretokenizers", 0, "pattern", "Regex"], r"(a+)+b", "a repetition in a repetition"),
    ("llama 3", ["pre_tokenizer", "pretokenizers", 0, "pattern", "Regex"], r"a{2000000000}", "{2000000000}"),
]


@pytest.mark.parametrize("name,path,value,named", BROKEN, ids=lambda value: str(value)[:40])
def test_broken_files(name, path, value, named, folders, tmp_path):
    file = json.loads((folders(name) / "tokenizer.json").read_text("utf-8"))
    changed(file, path, value)
    (tmp_path / "tokenizer.json").write_text(json.dumps(file))
    run = subprocess.run([PROBE, "tokenizer", "load", tmp_path], capture_output=True, text=True)
    assert run.returncode != 0 and "tokenizer.json" in run.stderr and named in run.stderr, run.stderr
