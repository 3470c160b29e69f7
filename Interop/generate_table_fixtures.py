"""Writes Tests/Fixtures/datasets: a folder that datasets saved, with columns of every kind. Needs datasets."""

from pathlib import Path

from datasets import ClassLabel, Dataset, Features, List, Value

FEATURES = Features({
    "text": Value("string"), "gaps": Value("large_string"), "label": ClassLabel(names=["no", "yes"]),
    "score": Value("float32"), "flag": Value("bool"), "tags": List(Value("string")), "pair": List(Value("int16"), length=2),
    "extra": {"x": Value("int64")},
})
ROWS = [
    {
        "text": text, "gaps": None if index % 3 == 1 else text * 2, "label": index % 2, "score": index / 4,
        "flag": None if index == 2 else index > 2, "tags": ["t"] * (index % 3), "pair": [index, -index], "extra": {"x": index},
    }
    for index, text in enumerate(["one", "", "é😀", "four", "five"])
]

folder = Path(__file__).parent.parent / "Tests/Fixtures/datasets"
Dataset.from_list(ROWS, features=FEATURES).save_to_disk(folder, max_shard_size="100MB")
