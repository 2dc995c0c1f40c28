"""What is said of configurations that are wrong: all of it, to the letter."""

import traceback
from pathlib import Path

import pytest

from daemon.settings import ModelSettings, Settings, check_server, load
from daemon.settings.schema import KeyPath, dotted, keys_of
from detectors.registry import MONITORS
from sinks.errors import BadSettings

HIDDEN = "hunter2"
POSTGRES_URL = (
    'expected a PostgreSQL URL such as "postgresql://user@host:5432/database"; '
    "@ and / in a password are written %40 and %2F"
)


def bad(tmp_path: Path, text: str | bytes, **environment: str) -> list[str]:
    """Return what is said of ``text``, a line each; the file is called FILE there."""
    file = tmp_path / "config.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadSettings) as found:
        load(file, environment)
    assert HIDDEN not in "".join(traceback.format_exception(found.value))
    message = str(found.value).removeprefix("The configuration is not valid.")
    return [line.strip() for line in message.replace(str(file), "FILE").splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[kafka]\ntopix = ['a']", "FILE:2: kafka.topix: there is no such key; did you mean kafka.topics?"),
        ("[kafka]\nworkers = 2", "FILE:2: kafka.workers: there is no such key; did you mean ingest.workers?"),
        ("# none\n[kafak]\n", "FILE:2: kafak: there is no such key; did you mean kafka?"),
        ("[kafka]\nxyz = 1", "FILE:2: kafka.xyz: there is no such key"),
        ("[ingest]\n\nworkers = 0", "FILE:3: ingest.workers = 0: expected a whole number, at least 1, at most 1,000"),
        (
            "[model.a]\nwindow_seconds = '5 minutes'",
            (
                "FILE:2: model.a.window_seconds = '5 minutes': expected a whole number of seconds, at least 1, "
                "at most 604,800"
            ),
        ),
        (
            "ingest.commit_seconds = 0",
            "FILE:1: ingest.commit_seconds = 0: expected a number of seconds, more than 0, at most 60",
        ),
        (
            "ingest.commit_seconds = inf",
            "FILE:1: ingest.commit_seconds = inf: expected a number of seconds, more than 0, at most 60",
        ),
        (
            "[detection]\nsegments_cap = 300",
            "FILE:2: detection.segments_cap = 300: expected a whole number, at least 1, at most 256",
        ),
        (
            '[model."fraud-*"]\nfalse_alarms = "0 per 1 days"',
            (
                "FILE:2: model.\"fraud-*\".false_alarms = '0 per 1 days': expected "
                '"<number> per <number> hours|days|weeks|years", for example "1 per 30 days", '
                "between once an hour and once in 100 years"
            ),
        ),
        (
            "[ingest]\nworkers = 100_000_000",
            "FILE:2: ingest.workers = 100000000: expected a whole number, at least 1, at most 1,000",
        ),
        (
            "[model.a]\nwindow_seconds = 999_999_999_999",
            (
                "FILE:2: model.a.window_seconds = 999999999999: expected a whole number of seconds, at least 1, "
                "at most 604,800"
            ),
        ),
        (
            "[model.a.tolerance]\nconfidense = 0.1",
            (
                "FILE:2: model.a.tolerance.confidense = 0.1: there is no such monitor; expected one of "
                f"{', '.join(each.name for each in MONITORS)}; did you mean confidence?"
            ),
        ),
        (
            "[model.a]\nclasses = ['cat', 'dog', 'cat']",
            (
                "FILE:2: model.a.classes = ['cat', 'dog', 'cat']: expected texts, none empty and none twice, "
                "found 'cat' twice"
            ),
        ),
        (
            "[kafka]\ntopics = [' ']",
            "FILE:2: kafka.topics = [' ']: expected texts, none empty and none twice, found ' '",
        ),
        (
            "[kafka]\nbootstrap_servers = ['a:1', 'localhost']",
            (
                "FILE:2: kafka.bootstrap_servers = ['a:1', 'localhost']: expected host:port, such as "
                "\"localhost:9092\", found 'localhost'"
            ),
        ),
        ("kafka.assignment = 'sticky'", 'FILE:1: kafka.assignment = \'sticky\': expected "group" or "static"'),
        ("[kafka]\ntopics = []", "FILE:2: kafka.topics = []: expected a list of texts, not empty"),
        (
            "[kafka]\ntopics = [\n  'a',\n  1,\n]",
            "FILE:2: kafka.topics = ['a', 1]: expected a list of texts, not empty",
        ),
        (
            "privacy.payload = 'maybe'",
            'FILE:1: privacy.payload = \'maybe\': expected "inline" or "reference" or "none"',
        ),
        (
            "[[alerts.routes]]\nname = 'a'\ntype = 'log'\n[[alerts.routes]]\nname = 'b'\ntype = 'webhook'",
            "FILE:4: alerts.routes[1].url: expected a URL that starts with http:// or https://, for a webhook",
        ),
        (
            "[[alerts.routes]]\nname = 'a'\ntype = 'log'\n[[alerts.routes]]\nname = 'a'\ntype = 'log'",
            "FILE:1: alerts.routes: expected a name of its own for every route, found ['a', 'a']",
        ),
        ("[[alerts.routes]]\ntype = 'log'", "FILE:1: alerts.routes[0].name: missing"),
        (
            "[alerts]\nroutes = 'https://hunter2@a'",
            "FILE:2: alerts.routes: expected a list of tables, [[alerts.routes]]",
        ),
        ("postgres = 'postgresql://me:hunter2@a/b'", "FILE:1: postgres: expected a table"),
        (
            "[model]\nwindow_seconds = 5",
            (
                "FILE:2: model.window_seconds: expected a table: keys stand under a name, [model.NAME], "
                'or under [model."*"] for all'
            ),
        ),
        (
            "[postgres]\nurl = 'me hunter2'",
            f"FILE:2: postgres.url: {POSTGRES_URL}",
        ),
        ("[postgres]\nurl = 'postgresql://me:a@hunter2@db/b'", f"FILE:2: postgres.url: {POSTGRES_URL}"),
        ("[postgres]\nurl = 'postgresql://me:hunter2/a@db/b'", f"FILE:2: postgres.url: {POSTGRES_URL}"),
        ("window_seconds = 60", 'FILE:1: window_seconds: there is no such key; did you mean model."*".window_seconds?'),
        ("[selection]\nsecret = ['hunter2']", "FILE:2: selection.secret: expected a text"),
        (
            "[postgres]\nurl = 'postgresql://me:hunter2@a/b'\npassword = 'hunter2'",
            "FILE:3: postgres.password: expected a password here or in postgres.url, not in both",
        ),
        (
            "[postgres]\npassword = 'hunter2'\npassword_file = '/none'",
            "FILE:3: postgres.password_file = '/none': expected the secret or the file that holds it, not both",
        ),
        (
            "[postgres]\nurl_file = '/none'",
            "FILE:2: postgres.url_file = '/none': expected a file that holds the secret: No such file or directory",
        ),
        (
            "[postgres]\nurl_file = '/'",
            "FILE:2: postgres.url_file = '/': expected a file that holds the secret: Is a directory",
        ),
        (
            "[postgres]\nurl_file = '/dev/null'",
            "FILE:2: postgres.url_file = '/dev/null': expected a file that holds the secret: this one is empty",
        ),
        (
            "[postgres]\npassword = 'env:NO_SUCH_VARIABLE'",
            (
                "FILE:2: postgres.password: expected a secret in the environment variable NO_SUCH_VARIABLE, "
                "which is empty or not set"
            ),
        ),
        ("[kafka", "FILE:1: not TOML: Expected ']' at the end of a table declaration, at the end of the file"),
        ("[kafka]\ngroup = hunter2", "FILE:2: not TOML: Invalid value"),
        ("[model.a]\n[model.b]\n[model.a]\n", "FILE:3: not TOML: Cannot declare ('model', 'a') twice"),
        (b"[kafka]\ngroup = '\xff'", "FILE:2: not UTF-8 text (invalid start byte at byte 17)"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_what_was_expected(
    tmp_path: Path, text: str | bytes, told: str
) -> None:
    assert bad(tmp_path, text) == [told]


@pytest.mark.parametrize(
    ("monitor", "value", "unit"),
    [("classes", "2", "share"), ("numbers", "'wide'", "share"), ("confidence", "true", "points of confidence")],
)
def test_a_tolerance_that_cannot_be_kept_is_told(monitor: str, value: str, unit: str, tmp_path: Path) -> None:
    told = f'model.a.tolerance.{monitor} = {value}: expected "auto" or a number of {unit}, more than 0, less than 1'
    assert bad(tmp_path, f"[model.a.tolerance]\nschema = 'auto'\n{monitor} = {value}") == [f"FILE:3: {told}"]
    assert bad(tmp_path, f"[model.a]\ntolerance = {{ {monitor} = {value} }}") == [f"FILE:2: {told}"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("reference.kind = 'same-hour'\nwindow_seconds = 7200", "windows of 7200 s are longer than an hour"),
        (
            "reference.kind = 'same-hour-of-week'",
            "reference.days = 7: expected at least 14, 2 times all its hours",
        ),
        (
            "reference = { kind = 'same-hour', days = 90 }",
            "reference.days = 90: expected less than retention.windows_days = 90",
        ),
        (
            "reference = { kind = 'trailing', days = 3 }\nwindow_seconds = 14_400",
            "reference.days = 3: expected at least 20 windows in them",
        ),
        (
            "reference = { kind = 'trailing', days = 90 }\nwindow_seconds = 7200",
            "reference.days = 90: expected less than retention.windows_days = 90",
        ),
    ],
)
def test_a_reference_that_could_never_be_learnt_is_told(text: str, told: str, tmp_path: Path) -> None:
    [line] = bad(tmp_path, f"[model.a]\n{text}")
    assert line.startswith('model."a".reference.kind = "')
    assert line.endswith(f": {told}")


@pytest.mark.parametrize("text", ["1 per 60 minutes", "2 per hour", "1 per 101 years", "1 per 0 days"])
def test_a_budget_that_nobody_can_mean_is_told(tmp_path: Path, text: str) -> None:
    [told] = bad(tmp_path, f'[model.a]\nfalse_alarms = "{text}"')
    assert told.startswith(f"FILE:2: model.a.false_alarms = '{text}': expected \"<number> per <number>")


NUMBERS = [
    *(path for path, field in keys_of(Settings) if field.annotation in {int, float}),
    *(("model", "a", *path) for path, field in keys_of(ModelSettings) if field.annotation in {int, float}),
    ("dead_letters", "bytes"),
]


@pytest.mark.parametrize("path", NUMBERS, ids=dotted)
def test_every_number_has_bounds_on_both_sides(path: KeyPath, tmp_path: Path) -> None:
    for value in (-1, 10**13):
        [told] = bad(tmp_path, f"{dotted(path)} = {value}")
        assert f"{dotted(path)} = {value}: expected a " in told


@pytest.mark.parametrize("server", ["a:1", "10.0.0.1:9092", "[::1]:9092", "SSL://kafka-0.kafka:65535"])
def test_brokers_are_named_by_host_and_port(server: str) -> None:
    check_server(server)


@pytest.mark.parametrize("server", ["a", "a:", ":1", "a:0", "a:65536", "::1:9092", "a:1,b:1", "a :1", ""])
def test_what_names_no_broker_is_told(server: str) -> None:
    with pytest.raises(ValueError, match=r'expected host:port, such as "localhost:9092", found'):
        check_server(server)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    told = bad(
        tmp_path,
        "[kafka]\ntopix = 1\n[postgres]\nurl_file = ''\npassword = 'env:'\n[ingest]\nworkers = 0\npoll_records = 0",
        STRANDLINE_INGEST__COMMIT_SECONDS="often",
        STRANDLINE_INGEST_WORKERS="2",
    )
    assert sorted(line.split(": ")[0] for line in told) == [
        "FILE:2",
        "FILE:4",
        "FILE:5",
        "FILE:7",
        "FILE:8",
        "STRANDLINE_INGEST_WORKERS",
        "STRANDLINE_INGEST__COMMIT_SECONDS",
    ]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"none\.toml: No such file or directory$"):
        load(tmp_path / "none.toml", {})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("INGEST_WORKERS", "2", ": there is no such setting; did you mean STRANDLINE_INGEST__WORKERS?"),
        ("MODEL__DIGITS__OWNR", "me", ": there is no such setting; did you mean STRANDLINE_MODEL__DIGITS__OWNER?"),
        ("OPS_PORT", "9000", ": there is no such setting; did you mean STRANDLINE_OPS__PORT?"),
        ("XYZ", "me", ": there is no such setting"),
        ("INGEST__WORKERS", "0", ": ingest.workers = 0: expected a whole number, at least 1, at most 1,000"),
        (
            "INGEST__WORKERS",
            "1\nx = 2",
            ": ingest.workers = '1\\nx = 2': expected a whole number, at least 1, at most 1,000",
        ),
        ("KAFKA__START", "now", ': kafka.start = \'now\': expected "earliest" or "latest"'),
        (
            "POSTGRES__URL",
            "me hunter2",
            f": postgres.url: {POSTGRES_URL}",
        ),
        (
            "POSTGRES__URL_FILE",
            "/none",
            ": postgres.url_file = '/none': expected a file that holds the secret: No such file or directory",
        ),
    ],
)
def test_what_is_wrong_in_the_environment_is_told_with_the_variable(
    tmp_path: Path, name: str, value: str, told: str
) -> None:
    variable = f"STRANDLINE_{name}"
    assert bad(tmp_path, "", **{variable: value}) == [variable + told]


def test_the_environment_contradicting_itself_is_told(tmp_path: Path) -> None:
    told = bad(tmp_path, "", STRANDLINE_POSTGRES__PASSWORD=HIDDEN, STRANDLINE_POSTGRES__PASSWORD_FILE="/none")
    assert told == [
        (
            "STRANDLINE_POSTGRES__PASSWORD_FILE: postgres.password_file = '/none': expected the secret or the file "
            "that holds it, not both"
        )
    ]


JSON = '[events]\ndecoder = "json"\n[events.fields]\ntime = "ts"\nmodel = "m"\nprediction = "p"\n'
EVERY_FIELD = (
    "id, time, model, prediction, version, probabilities, confidence, uncertainty, members, features, embedding, tags, "
    "payload, objects, log_probability, shadow, features.NAME, tags.NAME"
)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("idd = 'x'", f"idd = 'x': expected one of {EVERY_FIELD}; did you mean id?"),
        ("confidence.x = 'a'", 'confidence = {…}: expected a path such as "request.id"'),
        ("tags.'' = 'a'", f"tags.\"\" = 'a': expected one of {EVERY_FIELD}"),
        (
            "id = 'a..b'",
            (
                "id = 'a..b': the path 'a..b': expected keys such as request.items[0].\"user.name\", "
                "found '.b' at character 3"
            ),
        ),
        ("id = '$'", "id = '$': the whole record can be the payload or the features, nothing else"),
        ("id = 7", 'id = 7: expected a path such as "request.id"'),
        ("id = { value = 'x' }", 'id = {…}: expected a path such as "request.id"'),
        (
            "version = { value = 7 }",
            ('version = {…}: expected a path such as "request.id" or { value = "text" }, the same for all records'),
        ),
        (
            """id = '"a\\"b"'""",
            """id = '"a\\\\"b"': keys with quotes, backslashes or control characters cannot be mapped""",
        ),
        (
            "\"tags.a\" = 'ts[0]'",
            ("\"tags.a\" = 'ts[0]': 0 here and 'x' in id at the same place: an object has keys, an array positions"),
        ),
    ],
)
def test_what_is_wrong_with_a_field_is_told_with_its_place_and_the_nearest(
    tmp_path: Path, line: str, told: str
) -> None:
    before = "id = 'ts.x'\n" if line.startswith('"tags.a"') else ""
    number = JSON.count("\n") + before.count("\n") + 1
    assert bad(tmp_path, JSON + before + line) == [f"FILE:{number}: events.fields.{told}"]


def test_every_fault_of_events_is_told_at_once_with_those_of_the_rest(tmp_path: Path) -> None:
    told = bad(
        tmp_path,
        "ingest.workers = 0\n[events]\ndecoder = 'json'\n[events.fields]\ntim = 'ts'\nid = 7\n"
        "[events.topic.a]\ndecoder = 'jsn'\n[events.topic.b]\nfields.id = 'x'\n[events.topic.'c.d']\ndecoder = 'json'",
    )
    assert [": ".join(line.split(": ")[:2]) for line in told] == [
        "FILE:5: events.fields.tim = 'ts'",
        "FILE:6: events.fields.id = 7",
        "FILE:4: events.fields.time",
        "FILE:4: events.fields.model",
        "FILE:4: events.fields.prediction",
        "FILE:8: events.topic.a.decoder = 'jsn'",
        "FILE:10: events.topic.b.fields = {…}",
        'FILE:11: events.topic."c.d".fields.time',
        'FILE:11: events.topic."c.d".fields.model',
        'FILE:11: events.topic."c.d".fields.prediction',
        "FILE:1: ingest.workers = 0",
    ]
    assert told[5].endswith("expected one of json, strandline; did you mean json?")


def test_a_contradiction_between_keys_is_told_without_the_rest_of_the_file(tmp_path: Path) -> None:
    secret = f'[selection]\nsecret = "{HIDDEN}"'
    text = f'[privacy]\ndrop_fields = ["tags.region"]\n{secret}\n[model.pets]\nsegments = ["region"]'
    [told] = bad(tmp_path, text)
    assert "privacy of model.\"pets\": the tag 'region' makes segments" in told
