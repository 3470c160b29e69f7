"""Compares our tokenizer with the `tokenizers` library: ids, offsets, type ids, decodings, training, files.

    ETTIN_BIN_DIR=.build/release ETTIN_SHARED=../shared pytest Interop/test_tokenizer.py

ETTIN_BIN_DIR is the folder with the built ettin-probe. Without ETTIN_SHARED the checks run with a small tokenizer.
"""

import copy
import json
import math
import os
import random
import struct
import subprocess
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers, decoders

from generate_tokenizer_fixture import SPECIALS, small_tokenizer
from tokenizer_corpus import Corpus

PROBE = Path(os.environ.get("ETTIN_BIN_DIR", ".build/release")) / "ettin-probe"
SHARED = os.environ.get("ETTIN_SHARED")

pytestmark = pytest.mark.skipif(not PROBE.exists(), reason=f"{PROBE} is not built; set ETTIN_BIN_DIR")


def probe(*arguments):
    command = [str(PROBE), "tokenizer", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write_records(path, texts):
    with open(path, "wb") as file:
        for text in texts:
            data = text if isinstance(text, bytes) else text.encode()
            file.write(struct.pack("<I", len(data)) + data)


def read_encodings(path):
    data, position = Path(path).read_bytes(), 0
    while position < len(data):
        (count,) = struct.unpack_from("<i", data, position)
        rows = numpy.frombuffer(data, "<i4", 4 * count, position + 4).reshape(4, count).tolist()
        position += 4 + 16 * count
        texts = []
        for _ in range(2):
            (length,) = struct.unpack_from("<i", data, position)
            texts.append(data[position + 4 : position + 4 + length].decode())
            position += 4 + length
        yield rows[0], rows[1], list(zip(rows[2], rows[3])), texts[0], texts[1]


def expected(tokenizer, encoding):
    return (
        encoding.ids,
        encoding.type_ids,
        encoding.offsets,
        tokenizer.decode(encoding.ids, skip_special_tokens=False),
        tokenizer.decode(encoding.ids, skip_special_tokens=True),
    )


def as_text(text):
    return text.decode("utf-8", errors="replace") if isinstance(text, bytes) else text


def compare(folder, texts, tmp_path, special=False, pairs=False):
    """Asserts that both encode and decode all texts alike; returns how many bytes were compared."""
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    write_records(tmp_path / "texts", texts)
    options = ["special"] * special + ["pairs"] * pairs
    probe("encode", folder, tmp_path / "texts", tmp_path / "encodings", *options)
    ours = read_encodings(tmp_path / "encodings")
    inputs = list(zip(texts[::2], texts[1::2])) if pairs else [(text, None) for text in texts]
    mismatches, compared = [], 0
    for (text, pair), got in zip(inputs, ours):
        encoding = tokenizer.encode(as_text(text), as_text(pair), add_special_tokens=special)
        if expected(tokenizer, encoding) != got:
            mismatches.append((text[:200], pair, expected(tokenizer, encoding), got))
        compared += len(text if isinstance(text, bytes) else text.encode())
    assert next(ours, None) is None
    assert not mismatches, f"{len(mismatches)} of {len(inputs)} texts differ, the first: {mismatches[0]}"
    return compared


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    small_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def folder(small_folder):
    return Path(SHARED) / "data/tokenizer/modernbert" if SHARED else small_folder


def added_tokens(folder):
    return [token["content"] for token in json.loads((folder / "tokenizer.json").read_text("utf-8"))["added_tokens"]]


def test_corpus(folder, tmp_path):
    compared = compare(folder, list(Corpus(added_tokens(folder)).texts()), tmp_path)
    print(f"{compared / 1e6:.1f} MB compared")
    if SHARED:
        assert compared > 20e6


def test_special_tokens_and_pairs(folder, tmp_path):
    texts = [text for text in Corpus(added_tokens(folder), scale=0.02).texts() if len(text) < 5000]
    compare(folder, texts[:20000], tmp_path, special=True)
    random.Random(1).shuffle(texts)
    compare(folder, texts[:8000], tmp_path, special=True, pairs=True)
    compare(folder, texts[:2000], tmp_path, special=False, pairs=True)


def token(content, **flags):
    fields = dict(id=0, content=content, single_word=False, lstrip=False, rstrip=False, normalized=True, special=False)
    return fields | flags


PIECES = (
    " |  |   |\n|\t|a|hello| world|\u00e9|e\u0301|E\u0301g|e\u0301f|<a>|<b>|<c>|[MASK]|zz|zzz|\u65e5\u672c|\u00a0|\u3000|_|1|\u0120q|"
    "\U0001f600|[SEP]|'s|x y|\u0301|\u0915\u093c|\u0958"
).split("|")


def odd_texts(count=2500):
    rng = random.Random(8)
    return ["".join(rng.choice(PIECES) for _ in range(rng.randrange(0, 14))) for _ in range(count)]


def byte_level(**options):
    return dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True) | options


def incomplete_model(**options):
    """A vocabulary without most bytes."""
    merges = [["h", "e"], ["l", "l"], ["he", "ll"], ["\u0120", "w"], ["\u0120w", "o"], ["\u00c3", "\u00a9"]]
    vocabulary = {}
    for text in list("abcdefghilmnorsuwxyz\u01201\u00c3\u00a9") + [a + b for a, b in merges] + ["hello", "\u0109\u0109"]:
        vocabulary.setdefault(text, len(vocabulary))
    return dict(type="BPE", vocab=vocabulary, merges=merges) | options


CONFIGURATIONS = {
    "plain": {},
    "no normaliser": dict(normalizer=None),
    "normaliser sequence": dict(normalizer=dict(type="Sequence", normalizers=[dict(type="NFC"), dict(type="NFC")])),
    "prefix space": dict(pre_tokenizer=byte_level(add_prefix_space=True)),
    "no split pattern": dict(pre_tokenizer=byte_level(use_regex=False)),
    "no split pattern, prefix": dict(pre_tokenizer=byte_level(use_regex=False, add_prefix_space=True)),
    "pre-tokenizer sequence": dict(pre_tokenizer=dict(type="Sequence", pretokenizers=[byte_level()])),
    "trimmed": dict(post_processor=byte_level()),
    "trimmed with prefix": dict(
        pre_tokenizer=byte_level(add_prefix_space=True), post_processor=byte_level(add_prefix_space=True)
    ),
    "trimmed as if with prefix": dict(post_processor=byte_level(add_prefix_space=True)),
    "no post-processor": dict(post_processor=None),
    "no decoder": dict(decoder=None),
    "merges ignored": dict(model=dict(ignore_merges=True)),
    "missing bytes": dict(model=incomplete_model()),
    "unknown token": dict(model=incomplete_model(unk_token="u")),
    "fused unknown token": dict(model=incomplete_model(unk_token="u", fuse_unk=True)),
    "missing bytes, merges ignored": dict(model=incomplete_model(ignore_merges=True)),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configurations(name, folder, tmp_path):
    file = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    template = file["post_processor"]
    changes = copy.deepcopy(CONFIGURATIONS[name])
    file["model"] |= changes.pop("model", {})
    file |= changes
    if "missing" in name or "unknown" in name:
        file["post_processor"] = None
        file["added_tokens"] = []
    file["added_tokens"] += [
        token("<a>", rstrip=True),
        token("<b>", lstrip=True, rstrip=True),
        token("zz", single_word=True, normalized=False),
        token("e\u0301f"),
        token("E\u0301g", special=True),
        token("\u0120q"),
        token("<c>", lstrip=True, special=True),
        token("x y", rstrip=True, normalized=False),
        token("\u65e5", lstrip=True, single_word=True),
        token("hello", special=True),
    ]
    (tmp_path / "tokenizer.json").write_text(json.dumps(file))
    compare(tmp_path, odd_texts(), tmp_path)
    compare(tmp_path, odd_texts(500), tmp_path, special=True)
    if file["post_processor"] == byte_level() and template:
        file["post_processor"] = dict(type="Sequence", processors=[byte_level(), template])
        (tmp_path / "tokenizer.json").write_text(json.dumps(file))
        compare(tmp_path, odd_texts(500), tmp_path, special=True)
        compare(tmp_path, odd_texts(500), tmp_path, special=True, pairs=True)


def test_tokens(folder, tmp_path):
    texts = odd_texts(500)
    write_records(tmp_path / "texts", texts)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    lines = probe("tokens", folder, tmp_path / "texts").splitlines()
    assert [json.loads(line) for line in lines] == [tokenizer.encode(text).tokens for text in texts]


def test_saved_files_are_the_originals(folder, tmp_path):
    probe("save", folder, tmp_path / "saved")
    saved = (tmp_path / "saved/tokenizer.json").read_bytes()
    Tokenizer.from_file(str(folder / "tokenizer.json")).save(str(tmp_path / "original.json"))
    assert saved == (tmp_path / "original.json").read_bytes()


def test_transformers_loads_what_we_save(folder, tmp_path):
    transformers = pytest.importorskip("transformers")
    probe("save", folder, tmp_path / "saved")
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(tmp_path / "saved"))
    original = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in odd_texts(200):
        assert tokenizer(text)["input_ids"] == original.encode(text).ids


def training_files(tmp_path):
    rng = random.Random(9)
    lines = []
    for _ in range(3000):
        words = [rng.choice(WORDS_FOR_TRAINING) + rng.choice(["", "", "ing", "ed", "s"]) for _ in range(rng.randrange(12))]
        lines.append(" ".join(words))
    # Runs of one symbol, where overlapping pairs are easily miscounted.
    lines += ["a" * rng.randrange(1, 40) + "b" * rng.randrange(0, 9) for _ in range(300)]
    lines += ["abab" * rng.randrange(1, 12) + "ba" * rng.randrange(0, 9) for _ in range(300)]
    lines += ["e\u0301t\u00e9 \u65e5\u672c\u8a9e \ud55c\uad6d\uc5b4 \U0001f600\U0001f600"] * 5
    (tmp_path / "a.txt").write_text("\n".join(lines), encoding="utf-8", newline="")
    (tmp_path / "b.txt").write_text("\r\n\n  indented\n\ttabs\n\n\n" * 3 + "end", encoding="utf-8", newline="")
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    if SHARED:
        with open(Path(SHARED) / "data/corpus/english_novels/validation.jsonl", encoding="utf-8") as novels:
            (tmp_path / "c.txt").write_text("\n".join(json.loads(line)["text"] for line in novels), encoding="utf-8")
        files.append(tmp_path / "c.txt")
    return [str(file) for file in files]


WORDS_FOR_TRAINING = "the cat walk talk jump low lower lowest new newer widest play na nana banana mississippi x1 42".split()


@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("size,all_bytes", [(300, True), (1200, False), (9000, True)])
def test_training(size, all_bytes, prefix, tmp_path):
    files = training_files(tmp_path)
    original = Tokenizer(models.BPE())
    original.normalizer = normalizers.NFC()
    original.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    original.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet() if all_bytes else []
    original.train(
        files,
        trainers.BpeTrainer(
            vocab_size=size, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
        ),
    )
    probe("train", tmp_path / "ours", size, int(prefix), int(all_bytes), 2, *files)
    ours = json.loads((tmp_path / "ours/tokenizer.json").read_text("utf-8"))
    model = json.loads(original.to_str())["model"]
    assert ours["model"]["merges"] == model["merges"]
    assert ours["model"]["vocab"] == model["vocab"]
    loaded = Tokenizer.from_file(str(tmp_path / "ours/tokenizer.json"))
    texts = odd_texts(300) + Path(files[0]).read_text("utf-8").splitlines()[:300]
    for text in texts:
        assert loaded.encode(text, add_special_tokens=False).ids == original.encode(text).ids
    # What we trained, and what the original trained, encode alike in both libraries.
    compare(tmp_path / "ours", texts, tmp_path, special=True)
    original.save(str(tmp_path / "tokenizer.json"))
    compare(tmp_path, texts, tmp_path)


def test_streamed_file_equals_whole_text(folder, tmp_path):
    texts = [as_text(text) for text in Corpus(added_tokens(folder), scale=0.05).texts()]
    path = tmp_path / "text.txt"
    path.write_bytes("\n".join(texts).encode())
    whole = json.loads(probe("stream", folder, path, 1, 1 << 30))
    for block in [1 << 12, 1 << 16, 1 << 20]:
        assert json.loads(probe("stream", folder, path, 2, block)) | {"seconds": 0} == whole | {"seconds": 0}


def test_json_numbers_and_strings(tmp_path):
    rng = random.Random(10)
    numbers = [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(20000)]
    numbers = [x for x in numbers if math.isfinite(x)] + [rng.uniform(-1e6, 1e6) for _ in range(20000)]
    numbers += [10.0**e for e in range(-320, 309)] + [float(2**e) for e in range(100)] + [0.0, -0.0, math.inf]
    strings = ["".join(chr(rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)])) for _ in range(8))
               for _ in range(2000)] + [chr(c) for c in range(0x100)]
    (tmp_path / "value.json").write_text(json.dumps([numbers, strings, 10**40, {"b": [], "a": {}}], ensure_ascii=False), "utf-8")
    written = probe("json", tmp_path / "value.json")
    assert written == json.dumps([numbers, strings, 10**40, {"b": [], "a": {}}]) + "\n"
