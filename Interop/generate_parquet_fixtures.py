"""Writes the small Parquet files of the Swift tests with pyarrow, each beside its rows as lines of JSON.

    python Interop/generate_parquet_fixtures.py
"""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet

FOLDER = Path(__file__).parent.parent / "Tests" / "Fixtures" / "parquet"
COUNT = 40
TABLE = pyarrow.table({
    "id": pyarrow.array([f"doc-{n}" for n in range(COUNT)]),
    "text": pyarrow.array([None if n % 7 == 3 else f"text é {n % 5}" * (n % 3 + 1) for n in range(COUNT)]),
    "count": pyarrow.array([n * n * (-1) ** n for n in range(COUNT)], pyarrow.int64()),
    "score": pyarrow.array([n / 8 for n in range(COUNT)], pyarrow.float32()),
    "good": pyarrow.array([None if n % 5 == 0 else n % 3 == 0 for n in range(COUNT)]),
    "meta": pyarrow.array([
        None if n % 6 == 5 else {"url": f"u{n}", "tags": None if n % 4 == 1 else [f"t{m}" for m in range(n % 4)]}
        for n in range(COUNT)
    ]),
    "grid": pyarrow.array([[[n, None], [], None][: n % 4] for n in range(COUNT)], pyarrow.list_(pyarrow.list_(pyarrow.int32()))),
})
DELTA = {
    "id": "DELTA_BYTE_ARRAY", "text": "DELTA_LENGTH_BYTE_ARRAY", "count": "DELTA_BINARY_PACKED",
    "score": "BYTE_STREAM_SPLIT", "good": "RLE",
}
ORDER = pyarrow.table({
    "input_ids": pyarrow.array([list(range(n, n + n % 5)) for n in range(COUNT)], pyarrow.list_(pyarrow.int32())),
    "step": pyarrow.array([n // 8 for n in range(COUNT)], pyarrow.int64()),
})
CHAT = pyarrow.table({
    "messages": pyarrow.array([
        [{"role": "user", "content": f"q{n}", "thinking": None}, {"role": "assistant", "content": "ä\n" * n, "thinking": f"t{n}"}]
        for n in range(6)
    ]),
    "raw": pyarrow.array([[b"a"]] * 6),
})


def write(name, table, **options):
    parquet.write_table(table, FOLDER / f"{name}.parquet", store_schema=False, **options)
    lines = [json.dumps(list(row.values()), ensure_ascii=False) + "\n" for row in table.to_pylist()]
    (FOLDER / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


FOLDER.mkdir(parents=True, exist_ok=True)
write("plain", TABLE, compression="none", use_dictionary=False, data_page_size=100, write_batch_size=8)
write("dictionary", TABLE, compression="snappy", row_group_size=16)
write("pages-v2", TABLE, compression="zstd", data_page_version="2.0", data_page_size=100, write_batch_size=8)
write("delta", TABLE, compression="gzip", use_dictionary=False, column_encoding=DELTA, data_page_version="2.0",
      write_page_checksum=True)
write("steps_000001_to_000005", ORDER, compression="snappy")
parquet.write_table(CHAT, FOLDER / "chat.parquet", store_schema=False, compression="snappy")
