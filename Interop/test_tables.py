"""Tables read here and by datasets: folders it saved, CSV and TSV, JSON Lines, Parquet, and its splits.

Needs datasets (requirements.txt), and the program ettin-probe, whose folder is named by ETTIN_BIN_DIR.
"""

import csv
import gzip
import json
import math
import os
import random
import subprocess

import pytest

datasets = pytest.importorskip("datasets", reason="datasets is not installed (requirements.txt)")
import pyarrow
import pyarrow.parquet as parquet
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

PROBE = (os.path.join(os.environ.get("ETTIN_BIN_DIR", ".build/release"), "ettin-probe"), "tables")
SHARED = os.environ.get("ETTIN_SHARED")
datasets.disable_progress_bars()


def probe(*arguments, ok=True):
    run = subprocess.run([*PROBE, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert run.returncode == (0 if ok else 1), run.stderr
    return run.stdout if ok else run.stderr


def ours(*paths, **options):
    lines = probe("rows", json.dumps({"paths": list(map(str, paths)), **options})).split("\n")[:-1]
    return json.loads(lines[0]), [json.loads(line) for line in lines[1:]]


def refusal(*paths, **options):
    return probe("rows", json.dumps({"paths": list(map(str, paths)), **options}), ok=False)


def same(left, right):
    """Equality that tells whole numbers from others, with NaN equal to itself."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if type(left) is not type(right):
        return False
    return left == right or isinstance(left, float) and math.isnan(left) and math.isnan(right)


def check(expected, *paths, **options):
    heading, rows = ours(*paths, **options)
    assert heading["columns"] == expected.column_names
    theirs = [list(row.values()) for row in expected]
    assert len(rows) == len(theirs)
    for number, (row, other) in enumerate(zip(rows, theirs)):
        assert same(row, other), f"row {number}: {row} is not {other}"
    return heading


TEXTS = ["", "a", "it's", 'say "so"', "two\nlines", "tab\there", "é", "日本語", "😀🏽", "x" * 300, " blanks ", "1.50", "a,b"]


def made(count, seed):
    """A data set with values of every kind that is read."""
    dice = random.Random(seed)
    maybe = lambda value: None if dice.random() < 0.2 else value
    columns = {
        "text": (Value("string"), lambda: dice.choice(TEXTS)),
        "gaps": (Value("string"), lambda: maybe(dice.choice(TEXTS))),
        "large": (Value("large_string"), lambda: maybe(dice.choice(TEXTS))),
        "flag": (Value("bool"), lambda: maybe(dice.random() < 0.5)),
        "small": (Value("int8"), lambda: maybe(dice.randrange(-128, 128))),
        "unsigned": (Value("uint16"), lambda: dice.randrange(1 << 16)),
        "whole": (Value("int64"), lambda: maybe(dice.randrange(-(1 << 63), 1 << 63))),
        "half": (Value("float16"), lambda: dice.choice([0.5, -2.25, 65504.0, 6e-8, float("inf")])),
        "single": (Value("float32"), lambda: maybe(dice.choice([0.5, -1.25, 3.0]))),
        "real": (Value("float64"), lambda: maybe(dice.gauss(0, 1))),
        "label": (ClassLabel(names=["no", "yes", "maybe"]), lambda: dice.randrange(3)),
        "list": (List(Value("string")), lambda: maybe([maybe(dice.choice(TEXTS)) for _ in range(dice.randrange(4))])),
        "scores": (List(Value("float32")), lambda: [dice.randrange(9) / 4 for _ in range(dice.randrange(3))]),
        "fixed": (List(Value("int32"), length=3), lambda: [dice.randrange(9) for _ in range(3)]),
        "nested": (List(List(Value("bool"))), lambda: [[True] * dice.randrange(3) for _ in range(dice.randrange(3))]),
        "nothing": (Value("null"), lambda: None),
    }
    values = {name: [make() for _ in range(count)] for name, (_, make) in columns.items()}
    return Dataset.from_dict(values, features=Features({name: kind for name, (kind, _) in columns.items()}))


@pytest.mark.parametrize("count,shards", [(1, 1), (9, 1), (2500, 1), (500, 3)])
def test_saved(tmp_path, count, shards):
    data = made(count, count)
    data.save_to_disk(tmp_path / "data", num_shards=shards)
    heading = check(data, tmp_path / "data")
    assert heading["classes"][data.column_names.index("label")] == ["no", "yes", "maybe"]
    check(data.select_columns(["scores", "text"]), tmp_path / "data", columns=["scores", "text"])


def test_saved_selections(tmp_path):
    data = made(40, 1)
    data.shuffle(seed=3).save_to_disk(tmp_path / "shuffled")
    check(data.shuffle(seed=3), tmp_path / "shuffled")
    data.with_format("python", columns=["whole", "text"]).save_to_disk(tmp_path / "columns")
    assert ours(tmp_path / "columns")[0]["columns"] == ["text", "whole"]
    # Older releases saved the indices of a selection beside the data.
    data.save_to_disk(tmp_path / "indices")
    state = json.loads((tmp_path / "indices/state.json").read_text())
    state["_indices_files"] = [{"filename": "indices.arrow"}]
    (tmp_path / "indices/state.json").write_text(json.dumps(state))
    table = pyarrow.table({"indices": pyarrow.array([7, 0, 39, 7], pyarrow.uint64())})
    with pyarrow.ipc.new_stream(str(tmp_path / "indices/indices.arrow"), table.schema) as writer:
        writer.write_table(table)
    check(data.select([7, 0, 39, 7]), tmp_path / "indices")


def test_saved_dictionaries(tmp_path):
    parts = {"train": made(5, 1), "test": made(4, 2)}
    DatasetDict(parts).save_to_disk(tmp_path / "both")
    check(parts["train"], tmp_path / "both")
    check(parts["test"], f"{tmp_path}/both:test")
    assert 'has no split "dev"; expected one of "train" and "test"' in refusal(f"{tmp_path}/both:dev")


def test_arrow_files(tmp_path):
    table = pyarrow.table({"a": ["x", None, "z"], "b": [[1], [], [2, 3]]})
    for name, new in [("stream", pyarrow.ipc.new_stream), ("file", pyarrow.ipc.new_file)]:
        with new(str(tmp_path / f"{name}.arrow"), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
        assert ours(tmp_path / f"{name}.arrow")[1] == [["x", [1]], [None, []], ["z", [2, 3]]]
    for codec in ["lz4", "zstd"]:
        options = pyarrow.ipc.IpcWriteOptions(compression=codec)
        with pyarrow.ipc.new_stream(str(tmp_path / "packed.arrow"), table.schema, options=options) as writer:
            writer.write_table(table)
        assert "has compressed buffers" in refusal(tmp_path / "packed.arrow")
    encoded = pyarrow.table({"a": pyarrow.array(["x", "y"]).dictionary_encode()})
    with pyarrow.ipc.new_stream(str(tmp_path / "encoded.arrow"), encoded.schema) as writer:
        writer.write_table(encoded)
    assert 'has the dictionary-encoded column "a"' in refusal(tmp_path / "encoded.arrow")
    other = pyarrow.table({
        "s": [{"x": 1, "y": ["a"]}], "bytes": [b"b"], "day": pyarrow.array([1], pyarrow.date32()),
        "map": pyarrow.array([[("k", 1)]], pyarrow.map_(pyarrow.string(), pyarrow.int64())), "a": ["behind"],
    })
    with pyarrow.ipc.new_stream(str(tmp_path / "other.arrow"), other.schema) as writer:
        writer.write_table(other)
    assert ours(tmp_path / "other.arrow", columns=["a"])[1] == [["behind"]]
    for column in ["s", "bytes", "day", "map"]:
        assert f'column "{column}" is a structure, bytes or a date' in refusal(tmp_path / "other.arrow", columns=[column])


@pytest.mark.parametrize("seed", range(6))
def test_csv(tmp_path, seed):
    dice = random.Random(seed)
    words = [*TEXTS, "NA", "None", "null", "True", "-3", "2.5", "nan", " 7"]
    kinds = [
        lambda: dice.choice(words), lambda: str(dice.randrange(-50, 50)), lambda: dice.choice(["1", "2.5", "-3e4", "0.25"]),
        lambda: dice.choice(["1", "", "3"]), lambda: dice.choice(["True", "False"]), lambda: dice.choice(["True", "x"]),
        lambda: dice.choice(["", "NA"]),
    ]
    names = [f"c{number}" for number in range(len(kinds))]
    separator, name = (",", "a.csv") if seed % 2 == 0 else ("\t", "a.tsv")
    with open(tmp_path / name, "w", newline="", encoding="utf-8-sig" if seed == 4 else "utf-8") as file:
        lines = csv.writer(
            file, delimiter=separator, quoting=[csv.QUOTE_MINIMAL, csv.QUOTE_ALL][seed % 3 == 2],
            lineterminator=["\r\n", "\n"][seed // 2 % 2],
        )
        lines.writerow(names)
        for _ in range(200):
            lines.writerow([make() for make in kinds])
    expected = Dataset.from_csv(str(tmp_path / name), cache_dir=tmp_path / "cache", sep=separator)
    expected = expected.map(lambda row: {"c6": None}, features=Features({**expected.features, "c6": Value("null")}))
    check(expected, tmp_path / name)
    with open(tmp_path / name, "rb") as file, gzip.open(tmp_path / f"{name}.gz", "wb") as packed:
        packed.write(file.read())
    check(expected, tmp_path / f"{name}.gz")
    plain = Dataset.from_csv(str(tmp_path / name), cache_dir=tmp_path / "cache", sep=separator, keep_default_na=False)
    check(plain, tmp_path / name, keep_default_na=False)


CSV_TEXTS = {
    "blank lines": "a,b\n1,x\n\n  \n2,y\n", "no last line feed": "a,b\n1,x\n2,y", "carriage returns": "a,b\r1,x\r2,y\r",
    "few values": "a,b,c\n1,x\n2,y,z\n", "same names": "a,a,,a\n1,2,3,4\n", "quotes within": 'a,b\nit"s,"x"y"z"\n1 "2" 3,"a""b"\n',
    "quoted line ends": 'a,b\n"1\n2","x\r\ny"\n', "no rows of one column": "a\n1\n2\n",
}


@pytest.mark.parametrize("name", CSV_TEXTS)
def test_csv_forms(tmp_path, name):
    (tmp_path / "a.csv").write_bytes(CSV_TEXTS[name].encode())
    expected = Dataset.from_csv(str(tmp_path / "a.csv"), cache_dir=tmp_path / "cache")
    check(expected, tmp_path / "a.csv")


@pytest.mark.skipif(not SHARED, reason="no ../shared beside the repository")
@pytest.mark.parametrize("path,names", [("CoLA/train.tsv", ["source", "label", "mark", "sentence"]), ("STS-B/dev.tsv", None)])
def test_glue(tmp_path, path, names):
    file = f"{SHARED}/data/glue/{path}"
    options = {"names": names} if names else {}
    expected = Dataset.from_csv(
        file, cache_dir=tmp_path / "cache", sep="\t", quoting=csv.QUOTE_NONE, keep_default_na=False, **options
    )
    check(expected, file, quoting="none", keep_default_na=False, **options)


def test_json_lines(tmp_path):
    rows = [
        {"text": text, "number": index if index % 3 else index + 0.5, "whole": index, "list": [index] * (index % 3)}
        for index, text in enumerate(TEXTS)
    ]
    rows[4]["late"] = "x"
    del rows[6]["whole"]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    expected = Dataset.from_json(str(tmp_path / "a.jsonl"), cache_dir=tmp_path / "cache")
    check(expected, tmp_path / "a.jsonl")


def test_parquet(tmp_path):
    data = made(700, 5).remove_columns(["half", "nothing"])
    data.to_parquet(tmp_path / "a.parquet", batch_size=100)
    check(Dataset.from_parquet(str(tmp_path / "a.parquet"), cache_dir=tmp_path / "cache"), tmp_path / "a.parquet")


def test_several_files(tmp_path):
    parts = [Dataset.from_dict({"a": [f"{part}.{row}" for row in range(part + 1)], "n": [part] * (part + 1)}) for part in range(3)]
    for part, data in enumerate(parts):
        data.to_json(tmp_path / f"{part}.jsonl")
    check(datasets.concatenate_datasets(parts), *[tmp_path / f"{part}.jsonl" for part in range(3)])
    check(datasets.concatenate_datasets(parts), f"{tmp_path}/*.jsonl")
    parts[1].rename_column("n", "m").to_json(tmp_path / "1.jsonl")
    assert '1.jsonl: column "m" is not in' in refusal(f"{tmp_path}/*.jsonl")


@pytest.mark.parametrize("count,size,seed", [(20, 5, 12), (20, 0.22, 12), (1000, 1, 0), (777, 0.5, 42), (5000, 4999, 2**32 + 5)])
def test_splits(tmp_path, count, size, seed):
    data = Dataset.from_dict({"row": list(range(count))})
    data.to_json(tmp_path / "a.jsonl")
    parts = data.train_test_split(test_size=size, seed=seed)
    for part in ["train", "test"]:
        check(parts[part], tmp_path / "a.jsonl", split={"test_size": size, "seed": seed, "part": part})


LAYOUTS = {
    "shards": ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet"],
    "words": ["train.jsonl", "my-dev.jsonl", "eval_set.jsonl"],
    "folders": ["train/a.csv", "train/b.csv", "validation/a.csv"],
    "no words": ["a.jsonl", "b.jsonl"],
    "words beside none": ["train.jsonl", "extra.jsonl"],
    "subfolders": ["other.jsonl", "sub/more.jsonl"],
    "subfolders of splits": ["en/train.jsonl", "de/train.jsonl"],
    "shards elsewhere": ["sub/train-00000-of-00001.jsonl", "test.jsonl"],
    "folders before files": ["train/test.jsonl", "dev/a.jsonl"],
    "two words": ["train_eval.jsonl", "my-valid-1.jsonl"],
    "ignored": ["train/a.jsonl", "__x/train.jsonl", ".y/test.jsonl", "__z.jsonl"],
}


def check_splits(folder, config, cache):
    """The same splits with the same rows, and no others."""
    expected = datasets.load_dataset(str(folder), config, cache_dir=cache)
    for split, rows in expected.items():
        check(rows, ":".join([str(folder), *([config] if config else []), split]))
    names = {"train", "validation", "test"}
    for split in names - set(expected):
        assert "has no" in refusal(":".join([str(folder), *([config] if config else []), split]))


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(tmp_path, name):
    folder = tmp_path / "data set"
    for number, path in enumerate(LAYOUTS[name]):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        data = Dataset.from_dict({"text": [f"{path} {row}" for row in range(number + 2)]})
        {".parquet": data.to_parquet, ".jsonl": data.to_json, ".csv": data.to_csv}[file.suffix](file)
    check_splits(folder, None, tmp_path / "cache")


def test_layouts_of_cards(tmp_path):
    for name in ["one", "two", "three"]:
        (tmp_path / "d" / "files").mkdir(parents=True, exist_ok=True)
        Dataset.from_dict({"text": [name]}).to_json(tmp_path / f"d/files/{name}.jsonl")
    (tmp_path / "d/README.md").write_text(
        "---\\nlicense: mit\\nconfigs:\\n- config_name: pair\\n  data_files:\\n  - split: train\\n    path: files/t*.jsonl\\n"
        "  - split: test\\n    path: ['files/one.jsonl']\\n- config_name: all\\n  data_files: '**/*.jsonl'\\n---\\ntext\\n"
        .replace("\\n", "\n")
    )
    for config, split in [("pair", "train"), ("pair", "test"), ("all", "train")]:
        rows = datasets.load_dataset(str(tmp_path / "d"), config, split=split, cache_dir=tmp_path / "cache")
        check(rows, f"{tmp_path}/d:{config}:{split}")
    assert 'has several configurations; expected one of "all" and "pair"' in refusal(tmp_path / "d")


CARDS = {
    "folder without files": ("{config_name: a, data_dir: a}", "a"),
    "one folder of two": ("{config_name: a, data_dir: ./a/}, {config_name: b, data_dir: b}", "b"),
    "another is not read": ("{config_name: a, data_dir: a}, {config_name: x, data_files: other.txt}", "a"),
    "default": ("{config_name: a, data_dir: a}, {config_name: b, data_dir: b, default: true}", None),
    "brackets": ('{config_name: a, data_files: "b/part-[0-9].jsonl"}', "a"),
    "inverted brackets": ('{config_name: a, data_files: "b/part-[!1-9].jsonl"}', "a"),
    "names alone": ("{config_name: all}", "all"),
}


@pytest.mark.parametrize("name", CARDS)
def test_cards(tmp_path, name):
    configurations, chosen = CARDS[name]
    folder = tmp_path / "set"
    for number, path in enumerate(["a/train.jsonl", "a/test.jsonl", "b/part-0.jsonl", "b/part-1.jsonl", "b/part-x.jsonl"]):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Dataset.from_dict({"text": [f"{path} {row}" for row in range(number + 2)]}).to_json(folder / path)
    (folder / "other.txt").write_text("text")
    (folder / "README.md").write_text(f"---\nconfigs: [{configurations}]\n---\n")
    check_splits(folder, chosen, tmp_path / "cache")


def test_blank_lines(tmp_path):
    (tmp_path / "a.jsonl").write_text('\n{"a": 1}\n\n{"a": 2}\n \n\n')
    check(Dataset.from_json(str(tmp_path / "a.jsonl"), cache_dir=tmp_path / "cache"), tmp_path / "a.jsonl")
