import tomllib
from pathlib import Path

import pytest

from daemon.settings import ModelSettings, Settings, load
from sinks.errors import BadSettings

DEFAULTS = Path("config.toml")


def test_the_commented_file_holds_every_key_and_its_default() -> None:
    written = tomllib.loads(DEFAULTS.read_text())
    assert load(DEFAULTS) == Settings(model={"*": ModelSettings()})
    for name, section in Settings.model_fields.items():
        if name == "model":
            assert set(written["model"]["*"]) == set(ModelSettings.model_fields)
        else:
            assert set(written[name]) == set(
                section.default.model_fields_set | type(section.default).model_fields.keys()
            )


def test_every_key_is_commented() -> None:
    for line in DEFAULTS.read_text().splitlines():
        key = line.partition("=")[0].strip()
        if "=" in line and not line.startswith("#") and key not in {"url", "name"}:
            assert "#" in line, f"{line!r} says neither what it is nor its unit"


def bad(tmp_path: Path, text: str) -> str:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(BadSettings) as found:
        load(file)
    return str(found.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[kafka]\ntopix = ['a']", ["kafka.topix", "no such key"]),
        ("[ingest]\nworkers = 0", ["ingest.workers = 0", "greater than or equal to 1"]),
        ("[ingest]\ncommit_seconds = 'often'", ["ingest.commit_seconds = 'often'", "number"]),
        ("[model.a]\nfalse_alarms = 'often'", ["model.a.false_alarms", "1 per 30 days"]),
        ("[model.a]\nfalse_alarms = '0 per 1 days'", ["model.a.false_alarms", "1 per 30 days"]),
        ("[kafka]\nassignment = 'sticky'", ["kafka.assignment", "'group' or 'static'"]),
        ("[[alerts.routes]]\nname = 'a'\ntype = 'webhook'", ["alerts.routes", "http://"]),
        (
            "[[alerts.routes]]\nname = 'a'\ntype = 'log'\n[[alerts.routes]]\nname = 'a'\ntype = 'log'",
            ["name of its own"],
        ),
        ("[kafka", ["not TOML", "end of document"]),
        ("[kafka]\ntopics = []", ["kafka.topics"]),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, words: list[str]) -> None:
    message = bad(tmp_path, text)
    assert str(tmp_path / "config.toml") in message
    for word in words:
        assert word in message


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    message = bad(tmp_path, "[kafka]\ntopix = 1\n[ingest]\nworkers = 0\nbuffer_events = -1\n")
    assert message.count("config.toml") == 3


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="No such file"):
        load(tmp_path / "none.toml")


def test_the_most_specific_model_settings_win() -> None:
    settings = Settings.model_validate({"model": {"*": {"owner": "all", "window_seconds": 60}, "a": {"owner": "mine"}}})
    assert (settings.of("a").owner, settings.of("a").window_seconds) == ("mine", 60)
    assert (settings.of("b").owner, settings.of("b").window_seconds) == ("all", 60)


def test_a_budget_is_counted_in_windows() -> None:
    assert ModelSettings(false_alarms="1 per 30 days", window_seconds=300).budget_windows == 30 * 288
    assert ModelSettings(false_alarms="2 per week", window_seconds=3600).budget_windows == 84


def test_a_contradiction_between_keys_is_told_without_the_rest_of_the_file(tmp_path: Path) -> None:
    text = (
        '[privacy]\ndrop_fields = ["tags.region"]\n[selection]\nsecret = "s3cret"\n[model.pets]\nsegments = ["region"]'
    )
    told = bad(tmp_path, text)
    assert "privacy of model.\"pets\": the tag 'region' makes segments" in told
    assert "s3cret" not in told
