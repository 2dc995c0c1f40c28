import pytest

from daemon.advice import about_models, about_settings
from daemon.settings import Settings

SAFE = {"selection": {"secret": "mine"}}


@pytest.mark.parametrize(
    ("servers", "far"),
    [
        (["localhost:9092", "127.0.0.2:1", "[::1]:9092"], ""),
        (["kafka-1:9092", "localhost:1", "10.0.0.1:9092"], "kafka-1:9092, 10.0.0.1:9092"),
    ],
)
def test_plain_text_from_other_machines(servers: list[str], far: str) -> None:
    told = about_settings(Settings.model_validate({**SAFE, "kafka": {"bootstrap_servers": servers}}))
    assert told == (
        [f"kafka.bootstrap_servers: events come from {far} as plain text; see kafka.security.protocol"] if far else []
    )


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://localhost/a", None),
        ("postgresql:///a", None),
        ("host=/run/postgresql dbname=a", None),
        ("postgresql://db/a?sslmode=verify-full", None),
        ("postgresql://db/a", "sslmode = prefer the connection to db may"),
        ("postgresql://localhost,db/a?sslmode=allow", "sslmode = allow the connection to db may"),
    ],
)
def test_a_database_elsewhere_is_to_be_spoken_to_encrypted(
    url: str, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGHOST", raising=False)
    monkeypatch.delenv("PGSSLMODE", raising=False)
    (*found,) = about_settings(Settings.model_validate({**SAFE, "postgres": {"url": url}}))
    assert found == ([f"postgres.url: with {told} be plain text; add ?sslmode=verify-full"] if told is not None else [])


def test_the_default_secret_is_told() -> None:
    assert about_settings(Settings()) == [
        "selection.secret is the default: a producer could choose which of its events are labelled"
    ]


def test_a_calibration_is_told_but_not_one_that_changes_nothing() -> None:
    models = {"a": {"calibration": {"slope": 2.0}}, "b": {"calibration": {"slope": 1.0}}, "c": {}}
    assert about_settings(Settings.model_validate({**SAFE, "model": models})) == [
        (
            'model."a".calibration: confidences are calibrated before they are counted; references made before that, '
            "or with another calibration, need to be made anew"
        )
    ]


def test_settings_that_no_model_has() -> None:
    names = ["*", "digits", "digit", "fraud-*", "no-*", "x" * 300, ""]
    settings = Settings.model_validate({"model": {name: {"owner": "me"} for name in names}})
    long = f'model."{"x" * 300}": no event can be of this model: names have 1 to 256 characters'
    empty = 'model."": no event can be of this model: names have 1 to 256 characters'
    assert set(about_models(settings, {"digits", "fraud-eu"})) == {
        'model."digit": no such model has sent events yet; did you mean digits?',
        'model."no-*": no such model has sent events yet',
        long,
        empty,
    }
    assert set(about_models(settings, set())) == {long, empty}
