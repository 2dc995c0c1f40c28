"""Where settings come from: the file, the environment over it, and secrets from elsewhere."""

import pickle
from pathlib import Path
from typing import Annotated, Literal

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, SecretStr

from daemon.settings import PostgresSettings, RouteSettings, Settings, gather, load
from daemon.settings.lines import lines_of
from daemon.settings.schema import dotted, expected, find, keys_of
from daemon.settings.section import Section

HIDDEN = "hunter2"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[kafka]\ngroup = 'file'\nstart = 'latest'\n[model.'Fraud-EU']\nowner = 'file'\n")
    settings = load(
        file,
        {
            "STRANDLINE_CONFIG": "elsewhere.toml",
            "STRANDLINE_KAFKA__GROUP": "12",
            "STRANDLINE_KAFKA__BOOTSTRAP_SERVERS": '["a:9092", "b:9092"]',
            "STRANDLINE_KAFKA__TOPICS": "one, two",
            "STRANDLINE_INGEST__COMMIT_EVENTS": "1_000",
            "STRANDLINE_PRIVACY__PAYLOAD": "none",
            "STRANDLINE_ALERTS__ROUTES": '[{"name": "pager", "type": "webhook", "url": "https://pager"}]',
            "STRANDLINE_MODEL__WINDOW_SECONDS": "60",
            "STRANDLINE_MODEL__FRAUD_EU__OWNER": "environment",
            "STRANDLINE_MODEL__DIGITS__SEGMENTS": "region,camera",
        },
    )
    assert (settings.kafka.group, settings.kafka.start) == ("12", "latest")
    assert settings.kafka.bootstrap_servers == ("a:9092", "b:9092")
    assert settings.kafka.topics == ("one", "two")
    assert settings.ingest.commit_events == 1000
    assert settings.privacy.payload == "none"
    assert [route.name for route in settings.alerts.routes] == ["pager"]
    assert settings.of("Fraud-EU").owner == "environment"
    assert settings.of("digits").segments == ("region", "camera")
    assert {settings.of(name).window_seconds for name in ("digits", "Fraud-EU", "other")} == {60}


def test_what_kubernetes_sets_for_a_service_of_this_name_is_no_setting() -> None:
    links = {
        "STRANDLINE_SERVICE_HOST": "10.0.0.1",
        "STRANDLINE_SERVICE_PORT_HTTP": "80",
        "STRANDLINE_PORT": "tcp://10.0.0.1:80",
        "STRANDLINE_POSTGRES_PORT_5432_TCP_ADDR": "10.0.0.1",
    }
    assert load(None, links) == Settings()


def test_secrets_come_from_files_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text(f"{HIDDEN} \n")
    monkeypatch.setenv("DRAW_KEY", HIDDEN)
    file = tmp_path / "config.toml"
    file.write_text(
        f"[postgres]\nurl = 'postgresql://me@db/strandline'\npassword_file = '{tmp_path}/password'\n"
        "[selection]\nsecret = 'env:DRAW_KEY'\n"
        f"[[alerts.routes]]\nname = 'a'\ntype = 'webhook'\nurl = 'https://a'\ntoken_file = '{tmp_path}/password'\n"
    )
    settings = load(file, {})
    assert conninfo_to_dict(settings.postgres.conninfo) == {
        "user": "me",
        "host": "db",
        "dbname": "strandline",
        "password": f"{HIDDEN} ",
    }
    assert settings.selection.secret.get_secret_value() == HIDDEN
    assert settings.alerts.routes[0].token.get_secret_value() == f"{HIDDEN} "
    for shown in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump())):
        assert HIDDEN not in shown
    # What a child process is given.
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_a_secret_in_the_environment_takes_the_place_of_a_file_and_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from the file")
    file = tmp_path / "config.toml"
    file.write_text("[selection]\nsecret_file = '/none'\n[postgres]\npassword = 'old'\n")
    settings = load(
        file,
        {
            "STRANDLINE_SELECTION__SECRET": "from the environment",
            "STRANDLINE_POSTGRES__PASSWORD_FILE": f"{tmp_path}/secret",
        },
    )
    assert settings.selection.secret.get_secret_value() == "from the environment"
    assert settings.postgres.password.get_secret_value() == "from the file"


def test_without_a_password_the_url_is_what_connects() -> None:
    assert PostgresSettings(url=SecretStr("host=db")).conninfo == "host=db"


def test_which_keys_are_secrets() -> None:
    assert PostgresSettings.secrets() == ("url", "password")
    assert RouteSettings.secrets() == ("url", "token")


TEXT = '''\
top = 1   # a comment with [brackets]

[a]
x = """
[not.a.table]
y = 2
"""
y = [
  1,
  "]",
]
b.c = { d = 1, e = [ { f = 2 } ] }

[[r]]   # the first
n = 1
[r.sub]
m = 1
[[r]]
"n.o" = 1
[[r.deep]]
p = 1
[[r.deep]]
p = 1
[z."*"]
q = 1
'''


def test_the_line_of_every_key_is_known() -> None:
    assert lines_of(TEXT) == {
        ("top",): 1,
        ("a",): 3,
        ("a", "x"): 4,
        ("a", "y"): 8,
        ("a", "b"): 12,
        ("a", "b", "c"): 12,
        ("a", "b", "c", "d"): 12,
        ("a", "b", "c", "e"): 12,
        ("a", "b", "c", "e", 0): 12,
        ("a", "b", "c", "e", 0, "f"): 12,
        ("r",): 14,
        ("r", 0): 14,
        ("r", 0, "n"): 15,
        ("r", 0, "sub"): 16,
        ("r", 0, "sub", "m"): 17,
        ("r", 1): 18,
        ("r", 1, "n.o"): 19,
        ("r", 1, "deep"): 20,
        ("r", 1, "deep", 0): 20,
        ("r", 1, "deep", 0, "p"): 21,
        ("r", 1, "deep", 1): 22,
        ("r", 1, "deep", 1, "p"): 23,
        ("z", "*"): 24,
        ("z", "*", "q"): 25,
    }


def test_the_environment_takes_the_place_of_what_was_inside(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[[alerts.routes]]\nname = 'a'\ntype = 'log'\n")
    sources = gather(file, {"STRANDLINE_ALERTS__ROUTES": "[]"})
    assert sources.place(("alerts", "routes", 0, "name")) == "STRANDLINE_ALERTS__ROUTES"


class Inner(Section):
    token: SecretStr = SecretStr("")
    keep_bytes: Annotated[int, Field(ge=1)] | Literal["off"] = 4096


class Middle(Section):
    inner: Inner = Inner()
    share: Annotated[float, Field(gt=0, le=1)] = 0.5


def test_tables_in_tables_have_keys_and_expectations_too() -> None:
    found = {dotted(path): expected(path, field) for path, field in keys_of(Middle)}
    assert found == {
        "inner.token": "a text",
        "inner.keep_bytes": 'a whole number of bytes, at least 1 or "off"',
        "share": "a number, more than 0, at most 1",
    }
    assert find(Middle, ("inner", "tokn"))[1:] == (Inner, None)


def test_secrets_in_tables_in_tables_are_found(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(HIDDEN)
    found = Middle.model_validate({"inner": {"token_file": f"{tmp_path}/token"}})
    assert found.inner.token.get_secret_value() == HIDDEN
