"""The default configuration and the page about it say what the classes do."""

from pathlib import Path

from daemon.settings import ModelSettings, MonitorSettings, RouteSettings, Settings, load
from daemon.settings.document import Entry, default_text, entries, page
from daemon.settings.schema import KeyPath, dotted, expected, find, keys_of

ROOT = Path(__file__).resolve().parents[3]
UNITS = ("seconds", "hours", "days", "bytes", "windows", "events")


def test_the_page_is_made_of_what_is_there_now() -> None:
    committed = (ROOT / "docs" / "configuration.md").read_text()
    assert committed == page(), "run: python -m daemon.settings.document > docs/configuration.md"


def test_the_default_configuration_says_the_defaults() -> None:
    assert default_text() == (ROOT / "config.toml").read_text()
    assert load(ROOT / "config.toml", {}) == Settings(model={"*": ModelSettings()})


def test_the_default_configuration_shows_every_key_with_a_comment() -> None:
    shown = {entry.path: entry for entry in entries(default_text())}
    tables = {("alerts", "routes"), ("model",), ("monitor",)}
    wanted: list[KeyPath] = [path for path, _ in keys_of(Settings) if path not in tables]
    wanted += [("alerts", "routes", 0, *path) for path, _ in keys_of(RouteSettings)]
    wanted += [("monitor", 0, *path) for path, _ in keys_of(MonitorSettings)]
    wanted += [("model", "*", *path) for path, _ in keys_of(ModelSettings)]
    assert len(wanted) > 40
    # A table inside may be shown as one key.
    missing = [dotted(path) for path in wanted if not any(path[:end] in shown for end in range(1, len(path) + 1))]
    assert not missing
    for path, entry in shown.items():
        assert find(Settings, path)[2] is not None, f"{dotted(path)}: there is no such key"
        assert entry.meaning, f"{dotted(path)} has no comment"


def test_what_is_counted_in_a_unit_says_so_in_its_name_or_its_comment() -> None:
    for entry in entries(default_text()):
        field = find(Settings, entry.path)[2]
        assert field is not None
        if "number" in expected(entry.path, field):
            name = str(entry.path[-1])
            counts = name.endswith(("_cap", "kept", "workers", "port"))
            assert counts or any(unit in name + entry.meaning for unit in (*UNITS, "samples")), dotted(entry.path)


def test_keys_are_read_with_value_and_comment() -> None:
    text = """
[a]
x = "#1"  # first # of all
y.z = {q = 1}
# token = "…"  # nothing by default
# Prose = is not
[[b]]
n = 1#
"""
    assert list(entries(text)) == [
        Entry(("a", "x"), '"#1"', "first # of all"),
        Entry(("a", "y", "z"), "{q = 1}", ""),
        Entry(("a", "token"), None, "nothing by default"),
        Entry(("b", 0, "n"), "1", ""),
    ]
