"""References from logs of events of another shape."""

import json
from pathlib import Path

import pytest

from daemon import references
from daemon.settings import Settings
from sinks.errors import BadData

FIELDS = {"id": "request.id", "time": "ts", "model": {"value": "pets"}, "probabilities": "scores"}
SETTINGS = Settings.model_validate({"events": {"decoder": "json", "fields": FIELDS}})


def record(number: int) -> str:
    return json.dumps({"request": {"id": number}, "ts": 7, "scores": {"cat": 0.75, "dog": 0.25}})


def test_a_log_of_foreign_records_makes_a_reference(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(map(record, range(1000))))
    found = references.read(SETTINGS, file, "pets", lambda _: None)
    assert found.layout.block("classes").labels == ("cat",)
    assert found.summary.events[0] == 1000


def test_a_table_has_our_own_names_whatever_the_topic_looks_like(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("prediction,confidence\n" + "dog,0.9\n" * 1000)
    assert references.read(SETTINGS, file, "pets", lambda _: None).layout.block("classes").labels == ("dog",)


def test_a_record_that_cannot_be_used_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text(record(1) + "\n\n{}")
    with pytest.raises(BadData, match="line 3: missing_field"):
        references.read(SETTINGS, file, "pets", lambda _: None)
