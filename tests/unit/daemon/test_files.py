"""Events in files."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from daemon.files import records
from sinks.errors import BadData


def read(path: Path) -> list[tuple[int, object]]:
    return [(place, json.loads(record)) for place, record in records(path)]


EXPECTED = {"id": "a", "time": 7.5, "probabilities": {"cat": 0.5}, "tags": {"region": "7"}, "prediction": "8"}


def test_rows_of_csv_are_events(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id,time,probabilities.cat,tags.region,prediction,version\na,7.5,0.5,7,8,\n")
    assert read(file) == [(1, EXPECTED)]


def test_rows_of_parquet_are_events(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    moment = datetime(2025, 10, 9, 8, 50, tzinfo=UTC)
    row = {**EXPECTED, "time": moment, "tags.camera": "north", "tags": None, "features": {"a": 1}}
    parquet.write_table(pa.Table.from_pylist([row]), file)
    [(_, found)] = read(file)
    assert found == {
        **EXPECTED,
        "time": "2025-10-09T08:50:00+00:00",
        "tags": {"camera": "north"},
        "features": {"a": 1},
    }


def test_lines_of_json_are_given_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"a": NaN}\n\n{broken\n')
    assert list(records(file)) == [(1, b'{"a": NaN}'), (3, b"{broken")]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"", "ends in .jsonl, .ndjson, .csv, .parquet"),
        ("a.parquet", b"hello", "not Parquet"),
        ("a.csv", b"\xff\n\xff", "not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadData, match=words):
        list(records(tmp_path / name))
    with pytest.raises(BadData):
        list(records(tmp_path / f"missing{name}"))
