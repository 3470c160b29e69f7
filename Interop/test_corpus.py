"""MDS data sets, ours against mosaicml-streaming, in both directions.

Needs what requirements-corpus.txt lists, and the programs ettin-probe and ettin, whose folder is named by ETTIN_BIN_DIR.
"""

import filecmp
import json
import os
import random
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

streaming = pytest.importorskip("streaming", reason="mosaicml-streaming is not installed (requirements-corpus.txt)")
import numpy

from streaming.base.util import clean_stale_shared_memory, merge_index

PROBE = (os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin-probe"), "corpus")
ETTIN = os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin")

ELEMENTS = ["uint8", "int8", "uint16", "int16", "float16", "uint32", "int32", "float32", "uint64", "int64", "float64"]
COMPRESSIONS = [None, "br", "br:2", "bz2", "bz2:3", "gz", "gz:1", "snappy", "zstd", "zstd:11"]
HASHES = [[], ["sha1"], ["md5", "sha224", "sha256", "sha384", "sha512", "xxh32", "xxh3_64", "xxh64"]]
COLUMNS = {
    "bytes": "bytes", "text é": "str", "int": "int", "json": "json", "str_int": "str_int", "str_float": "str_float",
    "str_decimal": "str_decimal", "ndarray": "ndarray", "jpeg_array": "jpeg_array",
    **{f"scalar {name}": name for name in ELEMENTS},
    **{f"array {name}": f"ndarray:{name}" for name in ELEMENTS},
    **{f"fixed {name}": f"ndarray:{name}:2,3" for name in ELEMENTS},
}


def probe(*arguments, ok=True):
    run = subprocess.run([*PROBE, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert run.returncode == (0 if ok else 1), run.stderr
    return run.stdout if ok else run.stderr


def numbers(name, shape, generator):
    width = numpy.dtype(name).itemsize
    count = int(numpy.prod(shape))
    return numpy.frombuffer(generator.bytes(count * width), numpy.dtype(name)).reshape(shape)


def sample(index):
    generator = numpy.random.default_rng(index)
    chooser = random.Random(index)
    shape = [(1,), (3, 2), (300,), (2, 1, 2), (70,)][index % 5]
    values = {
        "bytes": generator.bytes(index % 7),
        "text é": "".join(chooser.choice(["a", "\n", "\0", "é", "語", "😀", "e\u0301", '"']) for _ in range(index % 9)),
        "int": int(generator.integers(-(2**63), 2**63 - 1)),
        "json": [None, True, -7, 1.5e-9, "é\n", {"b": [1, {}], "a": 10**25}, []][index % 7],
        "str_int": (-1) ** index * 7 ** (index * 3),
        "str_float": [0.1, -1e-300, float("inf"), float("nan"), 3.0][index % 5],
        "str_decimal": [Decimal("1.50"), Decimal("-1E+40"), Decimal("NaN"), Decimal("Infinity"), Decimal("0")][index % 5],
        "ndarray": numbers(ELEMENTS[index % len(ELEMENTS)], shape, generator),
        "jpeg_array": [generator.bytes(5), generator.bytes(2)],
    }
    for name in ELEMENTS:
        values[f"scalar {name}"] = numbers(name, (1,), generator)[0]
        values[f"array {name}"] = numbers(name, shape, generator)
        values[f"fixed {name}"] = numbers(name, (2, 3), generator)
    return values


def write(folder, count, columns=COLUMNS, first=0, **options):
    with streaming.MDSWriter(out=str(folder), columns=columns, **options) as writer:
        for index in range(first, first + count):
            writer.write({name: value for name, value in sample(index).items() if name in columns})


def described(name, value):
    """What ettin-probe prints for a value."""
    encoding = COLUMNS[name]
    if encoding == "bytes":
        return {"bytes": value.hex()}
    if encoding == "jpeg_array":
        sizes = numpy.array([len(value), *map(len, value)], numpy.uint32)
        return {"bytes": (sizes.tobytes() + b"".join(value)).hex()}
    if encoding == "str":
        return {"string": value}
    if encoding == "int":
        return {"integer": value}
    if encoding == "json":
        return {"json": value}
    if encoding.startswith("str_"):
        return {"decimal": str(value)}
    if encoding in ELEMENTS:
        return {"scalar": encoding, "bits": str(int.from_bytes(value.tobytes(), "little"))}
    return {"array": value.dtype.name, "shape": list(value.shape), "values": value.tobytes().hex()}


def listed(folder):
    return [json.loads(line) for line in probe("list", folder).splitlines()]


def expected(count, columns=COLUMNS, first=0):
    return [
        {name: described(name, value) for name, value in sample(index).items() if name in columns}
        for index in range(first, first + count)
    ]


def read(folder, **options):
    """All samples as the Python library reads them, from a copy of the folder because it decompresses in place."""
    clean_stale_shared_memory()
    dataset = streaming.StreamingDataset(local=str(folder), batch_size=1, shuffle=False, **options)
    return [dataset[index] for index in range(dataset.size)]


def same(left, right):
    assert type(left) is type(right) or numpy.isscalar(left)
    if isinstance(left, (numpy.ndarray, numpy.generic)):
        assert left.dtype == right.dtype and left.shape == right.shape
        assert left.tobytes() == right.tobytes()
    elif isinstance(left, float) and left != left or isinstance(left, Decimal) and left.is_nan():
        assert right != right
    else:
        assert left == right


# The Python library decodes images when it reads, and random bytes are none.
READABLE = {name: encoding for name, encoding in COLUMNS.items() if encoding != "jpeg_array"}


@pytest.mark.sampled(10)
@pytest.mark.parametrize("hashes", HASHES, ids=len)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_theirs_is_read_here(tmp_path, compression, hashes):
    write(tmp_path / "theirs", 40, compression=compression, hashes=hashes, size_limit=20_000)
    assert len(list((tmp_path / "theirs").iterdir())) > 3
    assert listed(tmp_path / "theirs") == expected(40)
    counts = json.loads(probe("verify", tmp_path / "theirs"))
    assert counts["samples"] == 40
    assert counts["hashes"] == len(hashes) * counts["shards"] * (2 if compression else 1)


@pytest.mark.sampled(10)
@pytest.mark.parametrize("hashes", HASHES, ids=len)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_ours_is_read_there(tmp_path, compression, hashes):
    write(tmp_path / "theirs", 40, columns=READABLE)
    options = {"compression": compression, "hashes": hashes, "size_limit": 20_000}
    probe("rewrite", tmp_path / "theirs", tmp_path / "ours", json.dumps(options))
    assert len(list((tmp_path / "ours").iterdir())) > 3
    validate = {"validate_hash": hashes[0]} if hashes else {}
    samples = read(tmp_path / "ours", **validate)
    assert len(samples) == 40
    for index, found in enumerate(samples):
        wanted = sample(index)
        assert set(found) == set(READABLE)
        for name in READABLE:
            same(wanted[name], found[name])


@pytest.mark.parametrize("size_limit", [None, 1, 5_000, 1 << 26])
@pytest.mark.parametrize("hashes", HASHES, ids=len)
def test_uncompressed_files_are_identical(tmp_path, hashes, size_limit):
    # With a limit of one byte the Python library leaves an empty shard in front of the first sample; we do not.
    first = 1 if size_limit == 1 else 0
    options = {"hashes": hashes, "size_limit": size_limit}
    write(tmp_path / "theirs", 25, **options)
    probe("rewrite", tmp_path / "theirs", tmp_path / "ours", json.dumps(options))
    theirs = sorted(path.name for path in (tmp_path / "theirs").glob("*.mds"))[first:]
    ours = sorted(path.name for path in (tmp_path / "ours").glob("*.mds"))
    assert len(theirs) == len(ours)
    for left, right in zip(theirs, ours):
        assert filecmp.cmp(tmp_path / "theirs" / left, tmp_path / "ours" / right, shallow=False), left
    if not first:
        assert filecmp.cmp(tmp_path / "theirs/index.json", tmp_path / "ours/index.json", shallow=False)


def test_merged_data_sets(tmp_path):
    for part, compression in enumerate(["zstd", None, "gz"]):
        write(tmp_path / f"a/part-{part}", 10, first=10 * part, compression=compression, size_limit=20_000)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    probe("merge", tmp_path / "a")
    merge_index(str(tmp_path / "b"))
    ours = json.loads((tmp_path / "a/index.json").read_text())
    theirs = json.loads((tmp_path / "b/index.json").read_text())
    # The Python library takes sub-folders in the order in which the file system lists them.
    by_name = lambda shard: shard["raw_data"]["basename"]
    assert ours["shards"] == sorted(theirs["shards"], key=by_name)
    assert ours["version"] == theirs["version"]
    assert listed(tmp_path / "a") == expected(30)
    (tmp_path / "b/index.json").unlink()
    (tmp_path / "c").mkdir()
    shutil.copytree(tmp_path / "a", tmp_path / "c/deep")
    probe("merge", tmp_path / "c")
    assert listed(tmp_path / "c") == expected(30)


def test_merged_data_sets_are_read_there(tmp_path):
    for part in range(3):
        write(tmp_path / f"in/{part}", 10, columns=READABLE, first=10 * part)
        options = json.dumps({"compression": [None, "zstd", "br"][part], "hashes": ["xxh64"]})
        probe("rewrite", tmp_path / f"in/{part}", tmp_path / f"out/{part}", options)
    probe("merge", tmp_path / "out")
    samples = read(tmp_path / "out", validate_hash="xxh64")
    assert len(samples) == 30
    for index, found in enumerate(samples):
        same(sample(index)["text é"], found["text é"])
        same(sample(index)["array uint16"], found["array uint16"])


@pytest.mark.parametrize("columns", [{"int": "int"}, {"bytes": "bytes"}, {"json": "json", "scalar int8": "int8"}])
def test_small_schemas(tmp_path, columns):
    write(tmp_path / "theirs", 30, columns=columns)
    assert listed(tmp_path / "theirs") == expected(30, columns)
    probe("rewrite", tmp_path / "theirs", tmp_path / "ours", "{}")
    assert filecmp.cmp(tmp_path / "theirs/shard.00000.mds", tmp_path / "ours/shard.00000.mds", shallow=False)


def test_multiple_streams(tmp_path):
    folders = []
    for part in range(3):
        write(tmp_path / str(part), 10 + part, columns=READABLE, first=100 * part, size_limit=20_000)
        folders.append(str(tmp_path / str(part)))
    proportions = [1, 2, 5]
    clean_stale_shared_memory()
    dataset = streaming.StreamingDataset(
        streams=[streaming.Stream(local=folder, proportion=p) for folder, p in zip(folders, proportions)],
        batch_size=1, epoch_size=80,
    )
    ours = json.loads(probe("streams", 80, *[f"{folder}={p}" for folder, p in zip(folders, proportions)]))
    assert ours["draw_counts"] == [stream.choose for stream in dataset.streams]
    assert ours["samples"] == dataset.num_samples
    for line, index in zip(ours["input_ids"], range(dataset.num_samples)):
        assert line == dataset[index]["array uint16"].reshape(-1).tolist()


def test_pickles_are_refused(tmp_path):
    with streaming.MDSWriter(out=str(tmp_path / "x"), columns={"a": "pkl"}) as writer:
        writer.write({"a": {"b": 1}})
    assert '"pkl"' in probe("list", tmp_path / "x", ok=False)


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_damage_is_found(tmp_path, compression):
    write(tmp_path / "x", 20, compression=compression, hashes=["sha1"], size_limit=20_000)
    path = sorted((tmp_path / "x").glob("shard.00001*"))[0]
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    message = probe("verify", tmp_path / "x", ok=False)
    assert path.name in message and "sha1" in message
    path.write_bytes(content[:-1])
    assert path.name in probe("verify", tmp_path / "x", ok=False)


PARQUET = [
    {}, {"compression": "zstd"}, {"compression": "gzip"}, {"compression": "none"}, {"compression": "brotli"},
    {"use_dictionary": False}, {"data_page_version": "2.0"}, {"data_page_version": "2.0", "compression": "none"},
    {"data_page_size": 200}, {"row_group_size": 17}, {"use_dictionary": ["text"], "dictionary_pagesize_limit": 300},
]


@pytest.mark.parametrize("options", PARQUET, ids=str)
def test_parquet(tmp_path, options):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    chooser = random.Random(5)
    texts = ["".join(chooser.choices(["word ", "é", "語", "\n"], k=chooser.choice([0, 1, 30, 500]))) for _ in range(400)]
    texts += texts[:50] * 4
    ids = [None if index % 7 == 0 else index * 10**9 for index in range(len(texts))]
    nested = [{"a": [index], "b": "x"} for index in range(len(texts))]
    table = pyarrow.table({"nested": nested, "text": texts, "id": pyarrow.array(ids, pyarrow.int64())})
    parquet.write_table(table, tmp_path / "a.parquet", **options)
    found = [json.loads(line) for line in probe("documents", tmp_path / "a.parquet", "text", "id").splitlines()]
    assert [line["text"] for line in found] == texts
    names = [f"a.parquet#{row}" if name is None else str(name) for row, name in enumerate(ids)]
    assert [line["id"] for line in found] == names


def test_parquet_that_is_not_read(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"text": ["a", "b"], "other": ["c", None]})
    parquet.write_table(table, tmp_path / "a.parquet", compression="lz4")
    assert "LZ4" in probe("documents", tmp_path / "a.parquet", "text", "id", ok=False)
    parquet.write_table(table, tmp_path / "b.parquet")
    # A null counts as an empty document, which the probe keeps.
    found = [json.loads(line) for line in probe("documents", tmp_path / "b.parquet", "other", "id").splitlines()]
    assert [line["text"] for line in found] == ["c", ""]


def chunks(folder, documents, chunks_of=lambda index: 1 + index % 4):
    """A data set of chunked documents, written by the original; returns its rows."""
    rows = []
    columns = {"id": "str", "input_ids": "ndarray:uint16"}
    with streaming.MDSWriter(out=str(folder), columns=columns, compression="zstd", size_limit=20_000) as writer:
        for index in range(documents):
            for chunk in range(chunks_of(index)):
                ids = numpy.arange(index % 50 + 1, dtype=numpy.uint16) + chunk
                writer.write({"id": f"doc é {index}", "input_ids": ids})
                rows.append((f"doc é {index}", ids.tolist()))
    return rows


def command(*arguments):
    done = subprocess.run([ETTIN, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_back(folder, split=None):
    clean_stale_shared_memory()
    dataset = streaming.StreamingDataset(local=str(folder), split=split, shuffle=False, batch_size=1)
    return [(row["id"], row["input_ids"].tolist()) for row in (dataset[index] for index in range(dataset.num_samples))]


def test_sides_of_a_division_are_splits_there(tmp_path):
    rows = chunks(tmp_path / "chunks", 600)
    command("data", "split", tmp_path / "chunks", "--fraction", "0.1", "-o", tmp_path / "divided")
    train, validation = read_back(tmp_path / "divided", "train"), read_back(tmp_path / "divided", "validation")
    held_out = {name for name, _ in validation}
    assert 30 <= len(held_out) <= 90
    assert train == [row for row in rows if row[0] not in held_out]
    assert validation == [row for row in rows if row[0] in held_out]


def test_mixture_of_a_recipe_is_read_there(tmp_path):
    first = chunks(tmp_path / "a", 300)
    second = chunks(tmp_path / "b", 40)
    count = sum(len(ids) for _, ids in second)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "sources:\n"
        "  - {name: part, path: a, tokens: 2k}\n"
        f"  - {{name: copies, path: b, tokens: {3 * count}, repeat_limit: 3}}\n"
    )
    command("data", "mix", "--recipe", recipe, "--input-folder", tmp_path, "-o", tmp_path / "mixture")
    rows = read_back(tmp_path / "mixture")
    copies = rows[-3 * len(second):]
    assert sorted(copies) == sorted(second * 3)
    part = rows[: -len(copies)]
    assert all(row in first for row in part) and 2000 <= sum(len(ids) for _, ids in part) < 2050


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
def test_published_order_is_imported(tmp_path, codec):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    generator = numpy.random.default_rng(4)
    rows, step = [], 1
    for checkpoint in range(1, 4):
        folder = tmp_path / f"decay_{checkpoint:06d}"
        folder.mkdir()
        for _ in range(2):
            steps = list(range(step, step + 5))
            lengths = generator.integers(1, 60, 40)
            part = [(steps[i // 8], generator.integers(0, 50_368, length).tolist()) for i, length in enumerate(lengths)]
            name = f"steps_{steps[0]:06d}_to_{steps[-1]:06d}.parquet"
            table = pyarrow.table({"input_ids": [ids for _, ids in part], "step": [number for number, _ in part]})
            parquet.write_table(table, folder / name, compression=codec, row_group_size=17)
            rows += part
            step += 5
    command("data", "import-order", *sorted(tmp_path.glob("decay_*")), "-o", tmp_path / "order")
    clean_stale_shared_memory()
    order = streaming.StreamingDataset(local=str(tmp_path / "order"), shuffle=False, batch_size=1)
    found = [order[index] for index in range(order.num_samples)]
    assert [(row["step"], row["input_ids"].tolist()) for row in found] == rows
    for part in range(3):
        command("data", "import-order", *sorted(tmp_path.glob("decay_*")), "--shard", f"{part}/3", "-o", tmp_path / f"parts/{part}")
    command("data", "merge", tmp_path / "parts")
    clean_stale_shared_memory()
    order = streaming.StreamingDataset(local=str(tmp_path / "parts"), shuffle=False, batch_size=1)
    found = [order[index] for index in range(order.num_samples)]
    assert [(row["step"], row["input_ids"].tolist()) for row in found] == rows
