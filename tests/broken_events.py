"""Broken and odd events, each with the one thing that becomes of it. ``docs/events.md`` tells the same in words."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from daemon.events import MAX_DEPTH, MAX_PROBABILITIES
from daemon.settings import IngestSettings

__all__ = ["CASES", "DAY", "MODELS", "START", "Case", "Dead", "Skipped", "Taken", "event"]

START = 1_760_000_000 - 1_760_000_000 % 300
"""Time of the events, and of Kafka, in seconds; the start of a window."""
DAY = 86_400
MODELS: Mapping[str, Mapping[str, object]] = {
    "pets": {"segments": ["region"], "classes": ["cat", "dog", "bird"]},
    "prices": {"kind": "regressor"},
}
LARGEST = IngestSettings().max_event_bytes


@dataclass(frozen=True)
class Dead:
    """A dead letter with this reason, and these words in its detail."""

    reason: str
    words: str = ""


@dataclass(frozen=True)
class Taken:
    """Counted, with exactly these defects, and these values. A confidence that is not known is NaN."""

    defects: tuple[str, ...] = ()
    confidence: float = 0.9
    predicted: str | None = "cat"
    second: float = 0.0
    late: bool = False


@dataclass(frozen=True)
class Skipped:
    """A tombstone: neither an event nor a dead letter."""


@dataclass(frozen=True)
class Case:
    """A record's value, and what becomes of it. ``timestamp``: Kafka's, in milliseconds."""

    name: str
    value: bytes | None
    outcome: Dead | Taken | Skipped
    timestamp: int = START * 1000


BASE = {"time": START, "model": "pets", "version": "1", "prediction": "cat", "confidence": 0.9}


def event(name: str, *without: str, **changes: object) -> bytes:
    """Return a good event with this id, but for what is left out and changed."""
    fields = {"id": name, **BASE, **changes}
    return json.dumps({key: value for key, value in fields.items() if key not in without}).encode()


def spliced(name: str, field: str, raw: bytes) -> bytes:
    """Return an event with these very bytes as one field's value."""
    return event(name, field)[:-1] + b', "' + field.encode() + b'": ' + raw + b"}"


def _case(name: str, outcome: Dead | Taken | Skipped, *without: str, **changes: object) -> Case:
    return Case(name, event(name, *without, **changes), outcome)


def _raw(name: str, outcome: Dead | Taken, field: str, raw: bytes) -> Case:
    return Case(name, spliced(name, field, raw), outcome)


def _shares(name: str, outcome: Taken | Dead, probabilities: object) -> Case:
    return _case(name, outcome, "confidence", probabilities=probabilities)


UNKNOWN = math.nan
NO_SHARES = Taken(("probabilities_invalid",), confidence=UNKNOWN)
NOT_FINITE = Taken(("number_not_finite",), confidence=UNKNOWN)
TOO_MANY = {str(number): 1 / (MAX_PROBABILITIES + 1) for number in range(MAX_PROBABILITIES + 1)}
BOTH = Taken(("probabilities_invalid", "number_not_finite"))
DEEP = b"[" * 10_000 + b"]" * 10_000
LARGE = "x" * 300_000
HUGE = b"9" * 30
GIGANTIC = b"9" * 5000

_TEXT = [
    Case("not JSON", b"hello", Dead("not_json", "malformed")),
    Case("empty", b"", Dead("not_json", "truncated")),
    Case("truncated", event("truncated")[:-7], Dead("not_json", "truncated")),
    Case("trailing bytes", event("trailing bytes") + b"}", Dead("not_json", "trailing characters")),
    Case("two events", event("two events") * 2, Dead("not_json", "trailing characters")),
    Case("byte order mark", b"\xef\xbb\xbf" + event("byte order mark"), Dead("not_json", "byte order mark")),
    Case("UTF-16", event("UTF-16").decode().encode("utf-16"), Dead("not_utf8", "at byte 0")),
    Case("UTF-16-LE", event("UTF-16-LE").decode().encode("utf-16-le"), Dead("not_utf8", "zero byte")),
    _raw("Latin-1 in the class", Dead("not_utf8", "at byte"), "prediction", b'"\xfcber"'),
    _raw("Latin-1 in the payload", Dead("not_utf8", "at byte"), "payload", b'"\xfcber"'),
    _raw("surrogate in UTF-8", Dead("not_utf8", "at byte"), "id", b'"\xed\xa0\x80"'),
    Case("array", b"[]", Dead("wrong_shape", "Expected `object`, got `array`")),
    Case("null", b"null", Dead("wrong_shape", "Expected `object`, got `null`")),
    Case("number", b"7", Dead("wrong_shape", "Expected `object`, got `int`")),
    Case("NaN alone", b"NaN", Dead("wrong_shape", "Expected `object`, got `null`")),
    Case("tombstone", None, Skipped()),
    Case("20 MB", event("20 MB", payload="x" * 20_000_000), Dead("too_large", f"the limit is {LARGEST}")),
    _raw("deep payload", Dead("too_deep", f"more than {MAX_DEPTH}"), "payload", DEEP),
    _raw("deep unknown field", Dead("too_deep", f"more than {MAX_DEPTH}"), "extra", DEEP),
    _raw("deep objects", Dead("too_deep"), "payload", b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    Case("deep and unclosed", b"[" * 1_000_000, Dead("too_deep")),
    _raw("deep, but allowed", Taken(), "payload", b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)),
    _case("brackets in a text", Taken(), payload='[{"\\' * 10_000),
    _case("many brackets, not deep", Taken(), payload=[{"a": [1]}] * 1000),
]

_FIELDS = [
    _case("no id", Dead("missing_field", "`id`"), "id"),
    _case("no time", Dead("missing_field", "`time`"), "time"),
    _case("no model", Dead("missing_field", "`model`"), "model"),
    _case("no prediction", Dead("missing_field", "`prediction`"), "prediction"),
    _case("id a number", Dead("wrong_shape", "`$.id`"), id=7),
    _case("id empty", Dead("bad_text", "id: expected 1 to 256"), id=""),
    _case("id too long", Dead("bad_text", "id: expected 1 to 256"), id="i" * 257),
    _case("id with U+0000", Dead("bad_text", "id: expected"), id="a\x00b"),
    _raw("id a lone surrogate", Dead("not_json", "surrogate"), "id", rb'"\ud800"'),
    _raw("a lone surrogate in the payload", Dead("not_json"), "payload", rb'"\ud800 and more text"'),
    _case("model null", Dead("wrong_shape", "`$.model`"), model=None),
    _case("model empty", Dead("bad_text", "model: expected"), model=""),
    _case("model with U+0000", Dead("bad_text", "model: expected"), model="\x00"),
    _case("version a fraction", Dead("wrong_shape", "`$.version`"), version=1.5),
    _case("version too long", Dead("bad_text", "version: expected"), version="v" * 257),
    _case("version an integer", Taken(), version=1),
    _case("version null", Taken(), version=None),
    _case("confidence a text", Dead("wrong_shape", "`$.confidence`"), confidence="0.9"),
    _case("uncertainty a text", Dead("wrong_shape", "`$.uncertainty`"), uncertainty="high"),
    _case("tags not text", Dead("wrong_shape", "`$.tags[...]`"), tags={"region": 1}),
    _case("tags an array", Dead("wrong_shape", "`$.tags`"), tags=["eu"]),
    _case("tag with U+0000, and very long", Taken(), tags={"region": "e\x00u" * 1000}),
    _case("features an array", Dead("wrong_shape", "`$.features`"), features=[1, 2]),
    _case("features nested", Taken(), features={"a": [1, {"b": None}]}),
    _case("members an object", Dead("wrong_shape", "`$.members`"), members={}),
    _case("members that are none", Taken(), members=[{"cat": "sure"}, {}]),
    _raw("members with NaN", Taken(("number_not_finite",)), "members", b"[[NaN], [1.0]]"),
    _case("a shadow", Taken(), shadow={"version": 2, "prediction": "dog"}),
    _case("a shadow that is none", Taken(), shadow=[1]),
    _case("embedding a text", Dead("wrong_shape", "`$.embedding`"), embedding="0.1 0.2"),
    _case("unknown fields", Taken(), colour="red", Model={"a": 1}),
    _raw("the same key twice", Taken(), "confidence", b'0.1, "confidence": 0.9'),
]

_NUMBERS = [
    *(_raw(f"confidence {raw.decode()}", NOT_FINITE, "confidence", raw) for raw in (b"NaN", b"Infinity", b"-Infinity")),
    _raw("confidence 1e400", NOT_FINITE, "confidence", b"1e400"),
    _raw("confidence of 5,000 digits", NOT_FINITE, "confidence", GIGANTIC),
    _raw("confidence of 30 digits", Taken(("confidence_invalid",), UNKNOWN), "confidence", HUGE),
    _case("confidence 1.7", Taken(("confidence_invalid",), UNKNOWN), confidence=1.7),
    _case("confidence -0.1", Taken(("confidence_invalid",), UNKNOWN), confidence=-0.1),
    _case("confidence -0.0", Taken(confidence=0.0), confidence=-0.0),
    _case("confidence null", Taken(confidence=UNKNOWN), confidence=None),
    _case("no confidence", Taken(confidence=UNKNOWN), "confidence"),
    _raw("NaN in features", Taken(("number_not_finite",)), "features", b'{"a": NaN}'),
    _raw("1e400 in features", Taken(), "features", b'{"a": 1e400}'),
    _raw("Infinity in the payload", Taken(("number_not_finite",)), "payload", b"[Infinity]"),
    _raw("NaN among probabilities", BOTH, "probabilities", b"[NaN, 1, 0]"),
    _raw("1e400 among probabilities", BOTH, "probabilities", b'{"cat": 1e400}'),
    _shares("probabilities", Taken(confidence=0.75), {"cat": 0.75, "dog": 0.25}),
    _shares("probabilities as an array", Taken(confidence=0.5), [0.5, 0.25, 0.25]),
    _shares("probabilities sum to 0.9", NO_SHARES, {"cat": 0.6, "dog": 0.3}),
    _shares("probabilities sum to 1.0005", Taken(confidence=0.7505), {"cat": 0.7505, "dog": 0.25}),
    _shares("a negative probability", NO_SHARES, {"cat": 1.0, "dog": 0.5, "bird": -0.5}),
    _shares("a probability above one", NO_SHARES, {"cat": 1.2}),
    _shares("a probability of 1e308", NO_SHARES, [1e308, 1e308, 1e308]),
    _shares("probabilities empty", NO_SHARES, {}),
    _shares("probabilities an empty array", NO_SHARES, []),
    _shares("probabilities of 2 classes of 3", NO_SHARES, [0.5, 0.5]),
    _shares("probabilities of 4 classes of 3", NO_SHARES, [0.25] * 4),
    _shares("100,000 probabilities", NO_SHARES, [0.00001] * 100_000),
    _shares("too many by one", NO_SHARES, TOO_MANY),
    _shares("a single class", Taken(confidence=1.0), {"cat": 1}),
    _shares("null among probabilities", Dead("wrong_shape", "`$.probabilities[...]`"), {"cat": None}),
    _shares("a text among probabilities", Dead("wrong_shape", "`$.probabilities[0]`"), ["0.5"]),
    _case("confidence beside bad probabilities", Taken(("probabilities_invalid",)), probabilities=[2, 0, 0]),
]

_PREDICTIONS = [
    _case("prediction 1.5", Dead("prediction_not_a_class", "1.5"), prediction=1.5),
    _case("prediction 3.0", Taken(predicted="3"), prediction=3.0),
    _case("prediction true", Taken(predicted="true"), prediction=True),
    _case("prediction null", Dead("wrong_shape", "`$.prediction`"), prediction=None),
    _case("prediction empty", Dead("bad_text", "prediction: expected 1 to 256"), prediction=""),
    _case("prediction with U+0000", Dead("bad_text", "prediction: expected"), prediction="c\x00t"),
    _case("prediction too long", Dead("bad_text", "prediction: expected"), prediction="c" * 257),
    _case("prediction of 64 bits", Taken(predicted="18446744073709551615"), prediction=2**64 - 1),
    _raw("prediction of 30 digits", Dead("prediction_not_a_class", "1e+30"), "prediction", HUGE),
    _raw("prediction of 400 digits", Dead("wrong_shape", "out of range"), "prediction", b"9" * 400),
    _raw("prediction of 5,000 digits", Dead("wrong_shape", "`$.prediction`"), "prediction", GIGANTIC),
    _raw("prediction 1e300", Dead("prediction_not_a_class", "1e+300"), "prediction", b"1e300"),
    _raw("prediction NaN", Dead("wrong_shape", "read as null"), "prediction", b"NaN"),
    _case("a number from a regressor", Taken(predicted=None), model="prices", prediction=12.5),
    _case("a text from a regressor", Dead("prediction_not_a_number", "'12.5'"), model="prices", prediction="12.5"),
    _case("a boolean from a regressor", Dead("prediction_not_a_number", "True"), model="prices", prediction=True),
    _case("30 digits from a regressor", Taken(predicted=None), model="prices", prediction=10**29),
    _case("30 digits, too large to store", Taken(predicted=None), model="prices", prediction=10**29, payload=LARGE),
]

_TIMES = [
    _case("time in milliseconds", Taken(second=0.125), time=START * 1000 + 125),
    _case("time as text", Taken(second=0.123457), time="2025-10-09T08:50:00.123456789Z"),
    _case("time of another zone", Taken(), time="2025-10-09T10:50:00+02:00"),
    _case("time without a zone", Taken(("time_without_zone",)), time="2025-10-09T08:50:00"),
    _case("time 1970", Taken(second=-START, late=True), time=0),
    _case("eight days old", Taken(second=-8 * DAY, late=True), time=START - 8 * DAY),
    _case("time 2100", Taken(("clamped",)), time="2100-01-01T00:00:00Z"),
    _case("six minutes ahead", Taken(("clamped",)), time=START + 360),
    _case("only a date", Dead("wrong_shape", "RFC3339"), time="2025-10-09"),
    _case("digits as text", Dead("wrong_shape", "RFC3339"), time=str(START)),
    _case("time true", Dead("wrong_shape", "`$.time`"), time=True),
    _case("time null", Dead("wrong_shape", "`$.time`"), time=None),
    _case("time negative", Dead("bad_time", "expected a time from 1970 to 9999, found -1 - at `$.time`"), time=-1),
    _case("time 1969", Dead("bad_time", "1970 to 9999"), time="1969-12-31T23:59:59Z"),
    _case("time in microseconds", Dead("bad_time", "1970 to 9999"), time=START * 1_000_000),
    _case("the year 10000 elsewhere", Dead("bad_time", "1970 to 9999"), time="9999-12-31T23:59:59-14:00"),
    _case("the year 0 elsewhere", Dead("bad_time", "1970 to 9999"), time="0001-01-01T00:00:00+14:00"),
    _raw("time 1e308", Dead("bad_time", "found 1e+308"), "time", b"1e308"),
    _raw("time of 30 digits", Dead("bad_time", "1970 to 9999"), "time", HUGE),
    _raw("time of 400 digits", Dead("bad_time", "1970 to 9999"), "time", b"9" * 400),
    _raw("time of 5,000 digits", Dead("wrong_shape", "`$.time`"), "time", GIGANTIC),
    _raw("time NaN", Dead("wrong_shape", "read as null"), "time", b"NaN"),
    _raw("time 1e400", Dead("wrong_shape", "read as null"), "time", b"1e400"),
    Case("twice", event("twice"), Taken()),
    Case("twice", event("twice"), Taken()),
]

CASES = (*_TEXT, *_FIELDS, *_NUMBERS, *_PREDICTIONS, *_TIMES)
