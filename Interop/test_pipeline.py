"""The pipeline of data sets under fire: killed at random moments, on a full disk, beside the published algorithm.

Needs pytest and the programs ettin-probe and ettin, whose folder is named by ETTIN_BIN_DIR. The comparison with the
published algorithm needs numpy and tokenizers as well.
"""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

PROBE = (os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin-probe"), "corpus")
ETTIN = os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin")
WORDS = "the of and a to in is that it was for on are as with they at be this from I have or by one had not but what all"


def probe(command, options, ok=True):
    run = subprocess.run([*PROBE, command, json.dumps(options)], capture_output=True, text=True, timeout=600)
    assert run.returncode == (0 if ok else 1), run.stderr
    return json.loads(run.stdout) if ok else run.stderr


def small_tokenizer(folder):
    """A byte-level tokenizer without merges: five special tokens, then the bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    vocabulary = {name: index for index, name in enumerate(special)}
    for byte in range(256):
        vocabulary[chr(byte if byte in printable else next(others))] = 5 + byte
    added = [
        {"id": index, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True}
        for index, name in enumerate(special)
    ]
    token = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    text = lambda name: {"Sequence": {"id": name, "type_id": 0}}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": {
            "type": "TemplateProcessing", "single": [token("[CLS]"), text("A"), token("[SEP]")],
            "pair": [token("[CLS]"), text("A"), token("[SEP]"), text("B"), token("[SEP]")],
            "special_tokens": {
                name: {"id": name, "ids": [vocabulary[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")
            },
        },
        "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocabulary, "merges": []},
    }))
    (folder / "tokenizer_config.json").write_text(json.dumps({"cls_token": "[CLS]", "sep_token": "[SEP]"}))
    return str(folder)


def corpus(path, documents, seed=0):
    chooser = random.Random(seed)
    words = WORDS.split()
    with open(path, "w") as file:
        for index in range(documents):
            text = " ".join(chooser.choices(words, k=chooser.choice([1, 40, 200, 700])))
            file.write(json.dumps({"id": f"d{index}", "text": text}) + "\n")
    return str(path)


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def stages(tmp_path, name, source, tokenizer):
    common = {"tokenizer": tokenizer, "threads": 2, "size_limit": 60_000}
    return [
        ("tokenize", {**common, "inputs": [source], "output": str(tmp_path / name / "tokens")}),
        ("chunk", {**common, "input": str(tmp_path / "whole/tokens"), "output": str(tmp_path / name / "chunks")}),
        ("mix", {
            **common, "output": str(tmp_path / name / "mixed"),
            "sources": [
                {"name": "more", "input": str(tmp_path / "whole/chunks"), "tokens": 3_000_000},
                {"name": "less", "input": str(tmp_path / "whole/chunks"), "tokens": 2_000_000},
            ],
        }),
    ]


def test_killed_at_random_moments(tmp_path):
    tokenizer = small_tokenizer(tmp_path / "tokenizer")
    source = corpus(tmp_path / "a.jsonl", 8_000)
    durations = []
    for command, options in stages(tmp_path, "whole", source, tokenizer):
        start = time.monotonic()
        probe(command, options)
        durations.append(time.monotonic() - start)
    chooser = random.Random(time.time_ns())
    kills = resumed = 0
    for round_number in range(7):
        for (command, options), duration in zip(stages(tmp_path, f"r{round_number}", source, tokenizer), durations):
            process = subprocess.Popen([*PROBE, command, json.dumps(options)], stdout=subprocess.DEVNULL)
            time.sleep(chooser.uniform(0, duration * 0.95))
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
            journals = Path(options["output"]).rglob(".progress.jsonl")
            resumed += any(journal.read_bytes().count(b"\n") > 1 for journal in journals)
            probe(command, options)
            assert content(options["output"]) == content(tmp_path / "whole" / Path(options["output"]).name)
    assert kills >= 15 and resumed >= 5, f"only {kills} of 21 runs were killed and {resumed} had shards to go on from"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_full_disk(tmp_path):
    tokenizer = small_tokenizer(tmp_path / "tokenizer")
    source = corpus(tmp_path / "a.jsonl", 5_000)
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("this system does not let us mount a small file system")
    try:
        options = {"tokenizer": tokenizer, "inputs": [source], "output": str(small / "x"), "size_limit": 400_000}
        message = probe("tokenize", options, ok=False)
        assert "No space left" in message and str(small) in message
        names = {path.name for path in (small / "x").iterdir()}
        assert "index.json" not in names and not any(name.endswith(".tmp") for name in names)
        subprocess.run(["mount", "-o", "remount,size=100m", str(small)], check=True)
        probe("tokenize", options)
        probe("tokenize", {**options, "output": str(tmp_path / "whole")})
        assert content(small / "x") == content(tmp_path / "whole")
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    """A data set of 8000 samples."""
    folder = tmp_path_factory.mktemp("orders")
    options = {"tokenizer": small_tokenizer(folder / "tokenizer"), "threads": 2, "output": str(folder / "tokens")}
    probe("tokenize", {**options, "inputs": [corpus(folder / "a.jsonl", 8_000)]})
    return folder / "tokens"


def ettin(arguments, ok=True, **options):
    run = subprocess.run([ETTIN, *map(str, arguments)], capture_output=True, text=True, timeout=600, **options)
    assert run.returncode == (0 if ok else 1), run.stderr
    return run.stdout if ok else run.stderr


def order_jobs(tokens, inputs, place, size_limit=1_000_000):
    """Each command that writes an order, once to shards and once to lines, and what it writes."""
    export = ["data", "export-order", tokens, "--batch-size", "64", "--steps", "300", "--no-drop-last"]
    for command in (export, ["data", "import-order", *inputs]):
        for name in ("shards", "lines.jsonl"):
            output = place / command[1] / name
            yield [*command, "--size-limit", size_limit, "-o", output], output


def order_content(output):
    manifest = output.with_name(output.name + ".manifest.json")
    assert not [path for path in output.parent.iterdir() if path.name.startswith(".")]
    return content(output) if output.is_dir() else (output.read_bytes(), manifest.read_bytes())


@pytest.fixture(scope="module")
def whole_orders(tokens):
    """The input of an import, in two formats, and the outputs of jobs that nothing has stopped, with their seconds."""
    place = tokens.parent
    export = ["data", "export-order", tokens, "--batch-size", "64", "--order", "permutation"]
    inputs = [place / "first.jsonl", place / "second"]
    ettin([*export, "--steps", "170", "-o", inputs[0]])
    ettin([*export, "--first-step", "171", "--steps", "130", "-o", inputs[1]])
    outputs, seconds = [], []
    for command, output in order_jobs(tokens, inputs, place / "whole"):
        start = time.monotonic()
        ettin(command)
        seconds.append(time.monotonic() - start)
        outputs.append(output)
    return inputs, outputs, seconds


@pytest.mark.slow
def test_orders_killed_at_random_moments(tokens, whole_orders, tmp_path):
    inputs, outputs, seconds = whole_orders
    chooser = random.Random(time.time_ns())
    kills = resumed = 0
    for round_number in range(5):
        jobs = order_jobs(tokens, inputs, tmp_path / str(round_number))
        for (command, output), whole, duration in zip(jobs, outputs, seconds):
            for _ in range(2):
                process = subprocess.Popen([ETTIN, *map(str, command)], stderr=subprocess.DEVNULL)
                time.sleep(chooser.uniform(0, duration))
                process.send_signal(signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
                journals = [*output.parent.rglob(".*progress.jsonl")] if output.parent.exists() else []
                resumed += any(journal.read_bytes().count(b"\n") > 1 for journal in journals)
            ettin(command)
            assert order_content(output) == order_content(whole)
    assert kills >= 20 and resumed >= 10, f"only {kills} of 40 runs were killed and {resumed} had something to go on from"


@pytest.mark.sampled(1)
@pytest.mark.parametrize("count", [3, 12])
def test_parts_of_orders_are_the_whole(tokens, whole_orders, tmp_path, count):
    inputs, outputs, _ = whole_orders
    for (command, output), whole in zip(order_jobs(tokens, inputs, tmp_path), outputs):
        parts = [output.parent / f"{output.stem}-parts" / f"{index}{output.suffix}" for index in range(count)]
        for index, part in enumerate(parts):
            ettin([*command[:-1], part, "--shard", f"{index}/{count}"])
        if output.suffix:
            assert b"".join(part.read_bytes() for part in parts) == whole.read_bytes()
            ettin(["data", "import-order", *parts, "-o", output])
            assert output.read_bytes() == whole.read_bytes()
        else:
            ettin(["data", "merge", parts[0].parent])
            listed = [
                subprocess.run([*PROBE, "list", str(folder)], capture_output=True, check=True).stdout
                for folder in (parts[0].parent, whole)
            ]
            assert listed[0] == listed[1] and listed[0].count(b"\n") == 300 * 64


def test_orders_on_a_full_disk(tokens, whole_orders, tmp_path):
    inputs, outputs, _ = whole_orders

    for (command, output), whole in zip(order_jobs(tokens, inputs, tmp_path), outputs):
        # Less than a shard; some blocks of lines.
        limit = 60_000 if output.name == "shards" else 3_500_000
        limited = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        error = ettin(command, ok=False, preexec_fn=limited)
        assert error.count("error:") == 1 and "cannot be written (File too large)" in error and str(tmp_path) in error
        if output.name != "shards":
            assert output.with_name(f".{output.name}.progress.jsonl").read_bytes().count(b"\n") == 4
        assert not (output / "index.json" if output.name == "shards" else output).exists()
        ettin(command)
        assert order_content(output) == order_content(whole)


def test_changed_orders_are_refused(tokens, whole_orders, tmp_path):
    inputs = [shutil.copy(whole_orders[0][0], tmp_path), whole_orders[0][1]]
    for command, output in order_jobs(tokens, inputs, tmp_path):
        process = subprocess.Popen([ETTIN, *map(str, command)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        # Until the journal has its first piece.
        while not any(path.read_bytes().count(b"\n") > 1 for path in output.parent.rglob(".*progress.jsonl")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.001)
        # It holds its lock, but must not end before it is killed.
        process.send_signal(signal.SIGSTOP)
        assert "is being written by another process" in ettin(command, ok=False)
        process.kill()
        process.wait()
        more = ["--seed", "22"] if command[1] == "export-order" else ["--steps", "7"]
        assert 'unfinished run whose "parameters" differ' in ettin([*command, *more], ok=False)
        assert 'unfinished run whose "shard" differ' in ettin([*command, "--shard", "0/2"], ok=False)
        if command[1] == "import-order":
            text = Path(inputs[0]).read_bytes()
            Path(inputs[0]).write_bytes(text.replace(b"[1, ", b"[2, ", 1))
            assert 'unfinished run whose "inputs" differ' in ettin(command, ok=False)
            Path(inputs[0]).write_bytes(text)
        ettin(command)


def published_chunks(numpy, tokenizer, ids, size, minimum, skip):
    """The published rules, in the words of the specification, with numpy's global generator."""

    def finish(piece):
        text = tokenizer.decode(piece.tolist(), skip_special_tokens=True)
        if not text.startswith(" "):
            piece = numpy.array(tokenizer.encode(" " + text).ids[:size])
        return piece if piece[0] == tokenizer.token_to_id("[CLS]") else numpy.concatenate([[tokenizer.token_to_id("[CLS]")], piece])

    chunks = []
    for start in range(0, len(ids), size - 2):
        piece = ids[start:start + size - 2]
        if len(piece) < skip and start:
            continue
        if len(piece) < minimum and chunks:
            count = numpy.random.randint(0, size - 2 - len(piece))
            if count:
                piece, previous = numpy.concatenate([chunks[-1][-count:], piece]), chunks[-1][:-count]
                chunks[-1] = finish(previous)
        chunks.append(finish(piece))
    return chunks


@pytest.mark.parametrize("sizes", [(1024, 512, 128), (100, 60, 10), (8000, 512, 128)])
def test_chunks_are_the_published_ones(tmp_path, sizes):
    numpy = pytest.importorskip("numpy")
    tokenizers = pytest.importorskip("tokenizers")
    shared = os.environ.get("ETTIN_SHARED")
    folder = f"{shared}/data/tokenizer/modernbert" if shared else small_tokenizer(tmp_path / "tokenizer")
    tokenizer = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
    source = corpus(tmp_path / "a.jsonl", 300, seed=1)
    common = {"tokenizer": folder, "threads": 2}
    probe("tokenize", {**common, "inputs": [source], "output": str(tmp_path / "tokens")})
    probe("chunk", {
        **common, "input": str(tmp_path / "tokens"), "output": str(tmp_path / "chunks"),
        "chunk_size": sizes[0], "min_chunk_size": sizes[1], "always_skip_size": sizes[2],
    })
    listing = subprocess.run([*PROBE, "list", str(tmp_path / "chunks")], capture_output=True, text=True, check=True)
    ours = [bytes.fromhex(json.loads(line)["input_ids"]["values"]) for line in listing.stdout.splitlines()]
    numpy.random.seed(42)
    theirs = []
    for line in open(source):
        ids = numpy.array(tokenizer.encode(" " + json.loads(line)["text"]).ids)
        theirs += published_chunks(numpy, tokenizer, ids, *sizes)
    assert len(ours) == len(theirs)
    for left, right in zip(ours, theirs):
        assert numpy.frombuffer(left, numpy.uint16).tolist() == right.tolist()
