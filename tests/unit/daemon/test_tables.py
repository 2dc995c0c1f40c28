"""Tables on a terminal of 80 columns."""

import sys

import pytest

from daemon.cli.context import print_table


def test_a_narrow_terminal_loses_nothing_and_shows_no_empty_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    columns = ("where", "reason", "events", "bytes", "since", "sent again", "detail")
    place, detail = "predictions/12/3456789", "JSON is malformed: invalid character (byte 4)"
    print_table(columns, [(place, "not_json", 1, 15, "2026-11-24 23:11:20Z", None, detail)], empty="")
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert place in shown
    assert "…" not in shown
    assert "sent again" not in shown
    assert all(word in shown for word in detail.split())
