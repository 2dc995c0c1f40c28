"""Class names from a side file, in the order in which probabilities come as an array."""

import csv
import json
from pathlib import Path

from sinks.errors import BadData

__all__ = ["read_classes"]

_EXPECTED = (
    "expected a JSON list of names, a JSON object or CSV of index and name (either way round), or one name a line"
)


def read_classes(path: Path) -> tuple[str, ...]:
    """Return the names in the file at ``path``: by its form, a list, a mapping of index and name, or lines.

    Raises
    ------
    BadData
        It cannot be read, or holds something else, or a name twice, or not every index from 0 on.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not UTF-8 text ({error.reason})") from error
    if path.suffix.lower() == ".json" or text.lstrip().startswith(("[", "{")):
        names = _from_json(path, text)
    elif path.suffix.lower() == ".csv":
        names = _from_rows(path, [row for row in csv.reader(text.splitlines()) if row])
    else:
        names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not names or not all(names) or len(set(names)) < len(names):
        raise BadData(f"{path}: {len(names)} names; there has to be one, none empty, and none twice")
    return names


def _from_json(path: Path, text: str) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{path}: not JSON: {error}") from error
    if isinstance(found, list) and all(isinstance(name, (str, int)) for name in found):
        return tuple(str(name) for name in found)
    if isinstance(found, dict):
        return _by_index(path, [(str(key), str(value)) for key, value in found.items()])
    raise BadData(f"{path}: {_EXPECTED}")


def _from_rows(path: Path, rows: list[list[str]]) -> tuple[str, ...]:
    if all(len(row) == 1 for row in rows):
        return tuple(row[0].strip() for row in rows)
    if any(len(row) != 2 for row in rows):
        raise BadData(f"{path}: {_EXPECTED}")
    pairs = [(row[0].strip(), row[1].strip()) for row in rows]
    heading = not any(cell.isdecimal() for cell in pairs[0])
    return _by_index(path, pairs[1:] if heading else pairs)


def _by_index(path: Path, pairs: list[tuple[str, str]]) -> tuple[str, ...]:
    for at, other in ((0, 1), (1, 0)):
        if pairs and all(pair[at].isdecimal() for pair in pairs):
            ordered = sorted((int(pair[at]), pair[other]) for pair in pairs)
            if [index for index, _ in ordered] != list(range(len(ordered))):
                raise BadData(f"{path}: expected each index from 0 to {len(ordered) - 1} once")
            return tuple(name for _, name in ordered)
    raise BadData(f"{path}: {_EXPECTED}")
