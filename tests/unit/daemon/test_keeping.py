import json
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.buffer import NEVER, Buffer, Cohort
from daemon.keeping import Keeping
from daemon.records import Records
from daemon.redaction import Redaction
from daemon.settings import Settings
from tests.harness import START_SECONDS, event

KEY = b"k" * 32


def redacted(value: object, *, drop: tuple[str, ...] = (), hashed: tuple[str, ...] = (), anywhere: bool = False) -> Any:
    found = Redaction(drop, hashed, KEY, anywhere=anywhere).redacted(json.dumps(value).encode())
    return None if found is None else json.loads(found)


def settings(**sections: dict[str, Any]) -> Settings:
    return Settings.model_validate({"selection": {"secret": "s"}, **sections})


def keeping(**sections: dict[str, Any]) -> Keeping:
    return Keeping(settings(**sections))


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("features.ssn", {"features": {"a.b": 1, "age": 3}, "payload": [{"mail": "x", "n": 1}, "mail"]}),
        ("features.a.b", {"features": {"ssn": "9", "age": 3}, "payload": [{"mail": "x", "n": 1}, "mail"]}),
        ("payload.mail", {"features": {"ssn": "9", "a.b": 1, "age": 3}, "payload": [{"n": 1}, "mail"]}),
        ("payload", {"features": {"ssn": "9", "a.b": 1, "age": 3}}),
        ("features.none", {"features": {"ssn": "9", "a.b": 1, "age": 3}, "payload": [{"mail": "x", "n": 1}, "mail"]}),
    ],
)
def test_a_path_names_a_field_through_objects_and_arrays(path: str, left: object) -> None:
    whole = {"features": {"ssn": "9", "a.b": 1, "age": 3}, "payload": [{"mail": "x", "n": 1}, "mail"]}
    assert redacted(whole, drop=(path,)) == left


def test_equal_values_have_equal_hashes_and_only_under_the_same_key() -> None:
    first = redacted({"user": "ada", "other": "ada", "third": "bob", "none": None}, hashed=("user", "other", "none"))
    assert first["user"] == first["other"] != "ada"
    assert len(bytes.fromhex(first["user"])) == 16
    assert (first["third"], first["none"]) == ("bob", None)
    other = json.loads(Redaction((), ("user",), b"x" * 32).redacted(b'{"user": "ada"}') or b"")
    assert other["user"] != first["user"]
    assert redacted({"user": {"b": 1, "a": 2}}, hashed=("user",)) == redacted(
        {"user": {"a": 2, "b": 1}}, hashed=("user",)
    )


def test_what_is_dropped_and_hashed_is_dropped() -> None:
    assert redacted({"user": "ada"}, drop=("user",), hashed=("user",)) == {}


def test_without_fields_to_redact_the_bytes_stay_as_they_came() -> None:
    value = b'{"id":  "1", "id": "2", "x": NaN}'
    assert Redaction((), (), KEY).redacted(value) is value


def test_of_a_key_that_stands_there_twice_no_value_is_left_behind() -> None:
    assert Redaction(("ssn",), (), KEY).redacted(b'{"ssn": "1", "x": NaN, "ssn": "2"}') == b'{"x":NaN}'


def test_a_dead_letter_that_cannot_be_redacted_keeps_no_bytes() -> None:
    keeps = keeping(privacy={"drop_fields": ["features.ssn"]}, ingest={"max_event_bytes": 100})
    assert keeps.dead_letter(b'{"features": {"ssn": "123"}, "a": 1}') == b'{"features":{},"a":1}'
    # Of another shape than an event's: the fields are looked for at every object.
    assert keeps.dead_letter(b'{"event": [{"features": {"ssn": "123"}}]}') == b'{"event":[{"features":{}}]}'
    for value in (
        b'{"features": {"ssn": "12',
        b'[{"features": {"ssn": "1"}}]',
        b'"{}"',
        b'{"a": "' + b"x" * 100 + b'"}',
    ):
        assert keeps.dead_letter(value) is None


def test_dead_letters_keep_their_first_bytes_or_none() -> None:
    assert keeping(dead_letters={"bytes": 3}).dead_letter(b"{broken") == b"{br"
    assert keeping(dead_letters={"bytes": "off"}).dead_letter(b"{broken") is None


def test_a_dead_letter_is_redacted_for_every_model() -> None:
    keeps = keeping(model={"pets": {"privacy": {"drop_fields": ["a"]}}, "cars": {"privacy": {"hash_fields": ["b"]}}})
    kept = json.loads(keeps.dead_letter(b'{"a": 1, "b": 2}') or b"")
    assert set(kept) == {"b"}
    assert kept["b"] != 2


def test_a_models_own_settings_lie_over_the_general_ones() -> None:
    keeps = keeping(
        privacy={"drop_fields": ["payload"]},
        model={
            "*": {"privacy": {"hash_fields": ["tags.user"]}},
            "pets": {"privacy": {"payload": "none"}},
            "cars": {"privacy": {"drop_fields": [], "payload": "reference"}},
        },
    )
    whole = b'{"tags": {"user": "ada"}, "payload": 1}'
    stored, truncated = keeps.with_candidate("others", whole)
    assert (set(json.loads(stored or b"")), truncated) == ({"tags"}, False)
    assert keeps.with_candidate("pets", whole) == (None, False)
    assert keeps.with_candidate("cars", whole) == (None, False)
    assert [keeps.by_reference(name) for name in ("others", "pets", "cars")] == [False, False, True]
    shown = json.loads(keeps.shown("cars", whole) or b"")
    assert shown["payload"] == 1
    assert shown["tags"]["user"] == keeps.hashed("ada")


def test_a_hashed_tag_is_counted_under_the_hash_it_is_stored_with() -> None:
    wanted = settings(
        privacy={"hash_fields": ["tags.region"]},
        model={"*": {"segments": ["region"]}, "open": {"privacy": {"hash_fields": []}, "segments": ["region"]}},
    )

    def cohort_of(model: str, version: str) -> Cohort:
        return Cohort(1, model, version, wanted.of(model))

    buffer = Buffer(wanted, cohort_of)
    plain = [event(number, second=0, model=model) for number, model in ((0, "pets"), (1, "pets"), (2, "open"))]
    buffer.add("events", 0, Records([0, 1, 2], [START_SECONDS * 1000] * 3, plain), NEVER)
    tags = buffer.batch().columns.tags["region"]
    stored, _ = Keeping(wanted).with_candidate("pets", plain[0])
    assert [tags.names[code] for code in tags.codes] == [Keeping(wanted).hashed(each) for each in ("us", "eu")] + ["us"]
    assert json.loads(stored or b"")["tags"]["region"] == tags.names[tags.codes[0]]


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        (
            {"privacy": {"drop_fields": ["tags.region"]}, "model": {"*": {"segments": ["region"]}}},
            "put it into hash_fields",
        ),
        ({"model": {"*": {"segments": ["region"], "privacy": {"drop_fields": ["tags"]}}}}, "put it into hash_fields"),
        ({"model": {"pets": {"segments": ["region"], "privacy": {"hash_fields": ["tags"]}}}}, '"tags.region"'),
        ({"privacy": {"drop_fields": ["prediction"]}}, "nothing can be counted"),
        ({"privacy": {"hash_fields": ["features..ssn"]}}, "features.ssn"),
        ({"privacy": {"payload": True}}, "inline"),
        ({"dead_letters": {"bytes": 0}}, "greater than or equal to 1"),
    ],
)
def test_contradictions_are_told(sections: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(**sections)


def test_the_digest_of_an_id_is_no_other_hash_of_it() -> None:
    keeps = keeping()
    assert keeps.digest("event-1") == keeping().digest("event-1") != keeps.digest("event-2")
    assert keeps.digest("event-1").hex() != keeps.hashed("event-1")
    assert keeps.digest("event-1") != keeping(selection={"secret": "other"}).digest("event-1")
