"""Parquet files of every form that pyarrow writes, read here and by pyarrow.

Needs pyarrow (requirements-corpus.txt), and the program ettin-probe, whose folder is named by ETTIN_BIN_DIR.
"""

import json
import math
import os
import random
import subprocess
from pathlib import Path

import pytest

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed (requirements-corpus.txt)")
import pyarrow.parquet as parquet

PROBE = (os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin-probe"), "corpus")
SHARED = os.environ.get("ETTIN_SHARED")
CODECS = ["none", "snappy", "gzip", "brotli", "zstd"]


def probe(*arguments, ok=True):
    run = subprocess.run([*PROBE, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert run.returncode == (0 if ok else 1), run.stderr
    return run.stdout if ok else run.stderr


def rows(path, *columns):
    return [json.loads(line) for line in probe("parquet", path, *columns).split("\n")[:-1]]


def plain(value):
    """A value of pyarrow in the form that the probe prints."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return {"key": plain(value[0]), "value": plain(value[1])}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value


def same(left, right):
    """Equality with NaN equal to itself, and integers never equal to doubles."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right) or left != left and right != right
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[name], right[name]) for name in left)
    return left == right


def check(path, measured=None):
    expected = [plain(list(row.values())) for row in parquet.ParquetFile(path).read().to_pylist()]
    found = rows(path)
    assert len(found) == len(expected)
    for number, (ours, theirs) in enumerate(zip(found, expected)):
        assert same(ours, theirs), f"row {number}: {ours} is not {theirs}"
    if measured:
        measured("Parquet: most rows compared in a file", len(found))


ITEM = pyarrow.struct([("a", pyarrow.int32()), ("b", pyarrow.list_(pyarrow.string()))])
TYPES = {
    "bool": pyarrow.bool_(), "int8": pyarrow.int8(), "uint8": pyarrow.uint8(), "int16": pyarrow.int16(),
    "uint16": pyarrow.uint16(), "int32": pyarrow.int32(), "uint32": pyarrow.uint32(), "int64": pyarrow.int64(),
    "uint64": pyarrow.uint64(), "float": pyarrow.float32(), "double": pyarrow.float64(), "string": pyarrow.string(),
    "large": pyarrow.large_string(), "binary": pyarrow.binary(), "fixed": pyarrow.binary(5),
    "ids": pyarrow.list_(pyarrow.int32()), "texts": pyarrow.list_(pyarrow.string()),
    "grid": pyarrow.list_(pyarrow.list_(pyarrow.float64())), "cube": pyarrow.list_(pyarrow.list_(pyarrow.list_(ITEM))),
    "item": ITEM, "items": pyarrow.list_(ITEM), "deep": pyarrow.struct([("x", pyarrow.struct([("y", ITEM)]))]),
    "map": pyarrow.map_(pyarrow.string(), pyarrow.int64()), "maps": pyarrow.list_(
        pyarrow.map_(pyarrow.string(), pyarrow.list_(pyarrow.int16()))
    ),
    "null": pyarrow.null(), "a.b": pyarrow.int64(), "fixed_list": pyarrow.list_(pyarrow.int8(), 3),
}


class Maker:
    """Random values, from few that repeat up to all that there are."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.nulls = self.random.choice([0, 0.05, 0.5, 0.97])
        self.variety = self.random.choice([1, 3, 50, 10**9])
        self.longest = self.random.choice([2, 5, 40])

    def value(self, kind, nullable=True):
        types = pyarrow.types
        choose = self.random
        if types.is_null(kind) or nullable and choose.random() < self.nulls:
            return None
        if types.is_boolean(kind):
            return choose.random() < (0.02 if self.variety < 50 else 0.5)
        if types.is_integer(kind):
            low = 0 if str(kind).startswith("u") else -(2 ** (kind.bit_width - 1))
            high = low + 2**kind.bit_width - 1
            if choose.random() < 0.1 and self.variety > 50:
                return choose.choice([low, high])
            return max(low, min(high, choose.randrange(self.variety)))
        if types.is_floating(kind):
            value = choose.choice([choose.gauss(0, 1), 0.0, -0.0, math.inf, -math.inf, math.nan, 1e30, 1e-40])
            return value if self.variety > 50 else float(choose.randrange(self.variety))
        if types.is_fixed_size_binary(kind):
            return choose.randrange(min(self.variety, 2**40)).to_bytes(kind.byte_width, "big")
        if types.is_string(kind) or types.is_large_string(kind):
            if self.variety <= 50:
                return ["", "the", "the same words é", "語😀"][choose.randrange(self.variety) % 4]
            return "".join(choose.choices("ab\0\n\"é語😀", k=choose.randrange(self.longest)))
        if types.is_binary(kind):
            return choose.randbytes(choose.randrange(self.longest))
        if types.is_fixed_size_list(kind):
            return [self.value(kind.value_type) for _ in range(kind.list_size)]
        if types.is_list(kind):
            return [self.value(kind.value_type) for _ in range(choose.randrange(self.longest if self.longest < 9 else 5))]
        if types.is_map(kind):
            return [(f"k{n}", self.value(kind.item_type)) for n in range(choose.randrange(3))]
        assert types.is_struct(kind)
        return {field.name: self.value(field.type) for field in kind}

    def table(self, count, names):
        arrays, fields = [], []
        for name in names:
            nullable = self.random.random() < 0.8 or TYPES[name] == pyarrow.null()
            values = [self.value(TYPES[name], nullable) for _ in range(count)]
            arrays.append(pyarrow.array(values, TYPES[name]))
            fields.append(pyarrow.field(name, TYPES[name], nullable))
        return pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))


@pytest.mark.sampled(20)
@pytest.mark.parametrize("seed", range(60))
def test_random_tables(tmp_path, measured, seed):
    maker = Maker(seed)
    choose = maker.random
    names = choose.sample(list(TYPES), choose.randrange(1, 12))
    count = choose.choice([0, 1, 7, 8, 300, 2000])
    path = tmp_path / "a.parquet"
    parquet.write_table(
        maker.table(count, names), path, compression=CODECS[seed % 5], data_page_version=choose.choice(["1.0", "2.0"]),
        use_dictionary=choose.random() < 0.6, row_group_size=choose.choice([10, 333, 10**6]),
        data_page_size=choose.choice([64, 1000, 2**20]), write_batch_size=choose.choice([1, 17, 1024]),
        dictionary_pagesize_limit=choose.choice([100, 2**20]), write_page_checksum=choose.random() < 0.5,
        version=choose.choice(["1.0", "2.4", "2.6"]), use_compliant_nested_type=choose.random() < 0.7,
        write_page_index=choose.random() < 0.3, store_schema=choose.random() < 0.7,
    )
    check(path, measured)


ENCODINGS = [
    ("bool", "PLAIN"), ("bool", "RLE"), *((name, encoding) for name in ["int8", "uint16", "int32", "uint32", "int64", "uint64"]
    for encoding in ["PLAIN", "DELTA_BINARY_PACKED"]), *((name, "BYTE_STREAM_SPLIT") for name in
    ["int32", "int64", "float", "double", "fixed"]), ("float", "PLAIN"), ("double", "PLAIN"), *((name, encoding) for name in
    ["string", "binary"] for encoding in ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]), ("fixed", "PLAIN"),
    ("fixed", "DELTA_BYTE_ARRAY"),
]


@pytest.mark.sampled(14)
@pytest.mark.parametrize("page_version", ["1.0", "2.0"])
@pytest.mark.parametrize("name,encoding", ENCODINGS)
def test_encodings(tmp_path, name, encoding, page_version):
    # Row groups of the lengths at which blocks of differences and groups of packed bits end.
    path = tmp_path / "a.parquet"
    schema = pyarrow.schema([pyarrow.field(name, TYPES[name])])
    for codec, page_size in [(CODECS[ENCODINGS.index((name, encoding)) % 5], 50), ("none", 2**20)]:
        options = dict(
            compression=codec, use_dictionary=False, column_encoding={name: encoding}, data_page_size=page_size,
            data_page_version=page_version, write_batch_size=40,
        )
        with parquet.ParquetWriter(path, schema, **options) as writer:
            for count in [1, 31, 32, 33, 128, 129, 130, 1000]:
                for seed in range(4):
                    values = Maker(f"{seed} {count} {name}").table(count, [name]).column(0)
                    writer.write_table(pyarrow.table([values], schema=schema))
        metadata = parquet.ParquetFile(path).metadata
        assert all(encoding in metadata.row_group(n).column(0).encodings for n in range(metadata.num_row_groups))
        check(path)


def test_long_dictionaries_and_pages(tmp_path, measured):
    generator = random.Random(1)
    words = [f"word {n}" * (n % 5) for n in range(70_000)]
    table = pyarrow.table({
        "text": [generator.choice(words) for _ in range(150_000)],
        "ids": [[generator.randrange(50_000) for _ in range(n % 4)] for n in range(150_000)],
    })
    for version in ["1.0", "2.0"]:
        path = tmp_path / f"{version}.parquet"
        parquet.write_table(table, path, data_page_version=version, dictionary_pagesize_limit=2**24, compression="zstd")
        check(path, measured)


def test_parts_of_structures(tmp_path):
    path = tmp_path / "a.parquet"
    table = Maker(5).table(500, ["deep", "items", "a.b", "item"])
    parquet.write_table(table, path, row_group_size=100)
    expected = [
        [row["a.b"], row["deep"] and row["deep"]["x"] and row["deep"]["x"]["y"] and row["deep"]["x"]["y"]["b"],
         row["item"] and row["item"]["a"]]
        for row in table.to_pylist()
    ]
    assert rows(path, "a.b", "deep.x.y.b", "item.a") == expected
    message = probe("parquet", path, "item.none", ok=False)
    assert 'column "item.none" is not there; expected one of "deep", "items", "a.b", "item"' in message


def test_columns(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(Maker(5).table(3, ["deep", "items", "uint64", "fixed"]), path)
    schema = parquet.ParquetFile(path).schema
    lines = [json.loads(line) for line in probe("parquet-columns", path).splitlines()]
    assert [line["path"] for line in lines] == [schema.column(n).path for n in range(len(schema))]
    assert [line["type"] for line in lines] == [schema.column(n).physical_type for n in range(len(schema))]


def test_what_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"text": ["x" * 100] * 3})
    parquet.write_table(table, path, compression="lz4")
    assert 'row 0 column "text" is compressed with the codec LZ4_RAW; expected' in probe("parquet", path, ok=False)
    times = pyarrow.table({"time": pyarrow.array([1, 2], pyarrow.timestamp("ns"))})
    parquet.write_table(times, path, use_deprecated_int96_timestamps=True)
    assert 'row 0 column "time" is of type INT96' in probe("parquet", path, ok=False)
    parquet.write_table(table, path, write_page_checksum=True, compression="none", use_dictionary=False)
    # The page's statistics hold the text too, but only its values have a length of four bytes in front.
    value = bytes([100, 0, 0, 0]) + b"x" * 100
    assert value in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(value, value[:-1] + b"y", 1))
    assert "has a page with the CRC-32" in probe("parquet", path, ok=False)


@pytest.mark.skipif(not SHARED, reason="no ../shared beside the repository")
def test_real_files(measured):
    files = sorted(Path(SHARED, "data/parquet").glob("*.parquet"))
    assert files
    for path in files:
        check(path, measured)
