"""Events in files: JSON lines, CSV and Parquet, each record as the JSON that a producer would send."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from sinks.errors import BadData

__all__ = ["SUFFIXES", "is_json_lines", "records"]

_NESTED = ("probabilities", "tags", "features")
_NUMBERS = ("confidence", "uncertainty", "time")
_JSON_LINES = (".jsonl", ".ndjson")
_AT_ONCE = 4096


def records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each record with its place, from 1 on: the line of JSON lines, else the row.

    Lines of JSON are given as they are, broken ones too; empty ones are passed over. Of CSV and Parquet a column is
    a field, and one such as ``probabilities.cat`` or ``tags.region`` a member of it; what is empty is left out.

    Raises
    ------
    BadData
        The file cannot be read.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadData(f"{path}: expected a file that ends in {SUFFIXES}")
    try:
        yield from reader(path)
    except OSError as error:
        raise BadData(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not UTF-8 text ({error.reason})") from error
    except csv.Error as error:
        raise BadData(f"{path}: not CSV: {error}") from error


def is_json_lines(path: Path) -> bool:
    """Say whether the records of this file are kept as they were sent."""
    return path.suffix.lower() in _JSON_LINES


def _json_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if stripped := line.strip():
                yield number, stripped


def _csv_rows(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=1):
            # What stands beyond the last column has no name.
            yield number, _record({key: _typed(key, text) for key, text in row.items() if key is not None and text})


def _parquet_rows(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - large, and only for those who have such files
        from pyarrow import parquet  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise BadData(f"{path}: Parquet files need pip install 'strandline[parquet]'") from error
    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches(_AT_ONCE):
            for row in batch.to_pylist(maps_as_pydicts="lossy"):
                number += 1
                yield number, _record({key: value for key, value in row.items() if value is not None})
    except pa.ArrowInvalid as error:
        raise BadData(f"{path}: not Parquet: {error}") from error


_READERS: Mapping[str, Callable[[Path], Iterator[tuple[int, bytes]]]] = {
    **dict.fromkeys(_JSON_LINES, _json_lines),
    ".csv": _csv_rows,
    ".parquet": _parquet_rows,
}
SUFFIXES = ", ".join(_READERS)
"""What the names of such files end in."""


def _record(row: Mapping[str, object]) -> bytes:
    event: dict[str, object] = {}
    for key, value in row.items():
        field, dot, name = key.partition(".")
        nested = event.setdefault(field, {}) if dot and field in _NESTED else None
        if isinstance(nested, dict):
            nested[name] = value
        else:
            event[key] = value
    return json.dumps(event, default=_plain).encode()


def _typed(key: str, text: str) -> object:
    """Return a cell of CSV, where all is text, as the field wants it."""
    field, dot, _ = key.partition(".")
    if key in _NUMBERS or (dot and field in {"probabilities", "features"}):
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _plain(value: object) -> object:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
