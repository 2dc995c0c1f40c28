"""What `strandline init` makes of records it has never seen, of shapes that real servers write."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.classnames import read_classes
from daemon.draft import draft
from daemon.sampling import Sampled
from daemon.settings import load
from sinks.errors import BadData
from tests.broken_events import START

CHANCE = random.Random(1)
CLASSES = ("bird", "cat", "dog")
Make = Callable[[int], dict[str, Any]]


def shares(count: int = 3) -> list[float]:
    weights = [CHANCE.random() for _ in range(count)]
    return [weight / sum(weights) for weight in weights]


def nested(number: int) -> dict[str, Any]:
    return {
        "meta": {"ts_ms": (START + number) * 1000, "region": CHANCE.choice(["eu", "us"]), "model": {"name": "pets"}},
        "request": {"id": f"r-{number}", "features": {"age": number % 50, "fur": 0.5}, "text": f"a pet, {number}"},
        "response": {"label": CHANCE.choice(CLASSES), "scores": dict(zip(CLASSES, shares(), strict=True))},
    }


def flat(number: int) -> dict[str, Any]:
    return {
        "uuid": f"{number:08x}",
        "created_at": f"2025-10-09T08:{number % 60:02}:00Z",
        "model_name": "credit",
        "model_version": "3",
        "predicted_class": CHANCE.choice("abc"),
        "prob": CHANCE.uniform(0.5, 1),
        "country": CHANCE.choice(["DE", "FR"]),
        "income": CHANCE.random(),
    }


def terse(number: int) -> dict[str, Any]:
    return {
        "hdr": {"rid": f"r{number}", "svc": "toxicity", "rel": "7", "ts": (START + number) * 1000},
        "in": {"txt": f"what a day, {number}"},
        "out": {"scores": shares(), "label": CHANCE.choice(CLASSES)},
    }


def kserve(number: int) -> dict[str, Any]:
    return {
        "id": f"k-{number}",
        "model_name": "iris",
        "model_version": "1",
        "timestamp": START * 1_000_000 + number,
        "outputs": [{"name": "probs", "shape": [1, 3], "datatype": "FP32", "data": shares()}],
    }


def sagemaker(number: int) -> dict[str, Any]:
    side = {"observedContentType": "text/csv", "encoding": "CSV"}
    return {
        "captureData": {
            "endpointInput": {**side, "mode": "INPUT", "data": f"{CHANCE.random()},3,4"},
            "endpointOutput": {**side, "mode": "OUTPUT", "data": CHANCE.choice("01")},
        },
        "eventMetadata": {"eventId": f"e-{number}", "inferenceTime": "2025-10-09T08:50:00Z"},
        "eventVersion": "0",
    }


def mlflow(number: int) -> dict[str, Any]:
    return {
        "request_id": f"{number}z",
        "timestamp_ms": (START + number) * 1000,
        "model_id": "churn",
        "inputs": {"a": CHANCE.random(), "b": 2},
        "predictions": [CHANCE.choice([0, 1])],
    }


def bentoml(number: int) -> dict[str, Any]:
    return {
        "timestamp": "2025-10-09T08:50:00.123456",
        "request_id": str(10**15 + number),
        "bento_name": "flowers",
        "bento_version": "abc",
        "sepal": CHANCE.random(),
        "prediction": CHANCE.choice("xy"),
    }


def sampled(values: list[bytes]) -> list[Sampled]:
    return [Sampled("topic", 0, at, (START + at) * 1000, value) for at, value in enumerate(values)]


def samples(make: Make, count: int = 200) -> list[Sampled]:
    return sampled([json.dumps(make(number)).encode() for number in range(count)])


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            nested,
            {
                "id": "request.id",
                "time": "meta.ts_ms",
                "model": "meta.model.name",
                "prediction": "response.label",
                "probabilities": "response.scores",
                "features": "request.features",
                "payload": "request.text",
                "tags.region": "meta.region",
            },
        ),
        (
            flat,
            {
                "id": "uuid",
                "time": "created_at",
                "model": "model_name",
                "version": "model_version",
                "prediction": "predicted_class",
                "confidence": "prob",
                "tags.country": "country",
                "features.income": "income",
            },
        ),
        (
            terse,
            {
                "id": "hdr.rid",
                "time": "hdr.ts",
                "model": "hdr.svc",
                "version": "hdr.rel",
                "prediction": "out.label",
                "probabilities": "out.scores",
                "payload": "in.txt",
            },
        ),
        (
            kserve,
            {
                "id": "id",
                "time": "timestamp",
                "model": "model_name",
                "version": "model_version",
                "probabilities": "outputs[0].data",
            },
        ),
        (
            sagemaker,
            {
                "id": "eventMetadata.eventId",
                "time": "eventMetadata.inferenceTime",
                "model": {"value": "topic"},
                "prediction": "captureData.endpointOutput.data",
            },
        ),
        (
            mlflow,
            {
                "id": "request_id",
                "time": "timestamp_ms",
                "model": "model_id",
                "prediction": "predictions[0]",
                "features": "inputs",
            },
        ),
        (
            bentoml,
            {
                "id": "request_id",
                "time": "timestamp",
                "model": "bento_name",
                "version": "bento_version",
                "prediction": "prediction",
                "features.sepal": "sepal",
            },
        ),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_the_fields_of_a_shape_never_seen_are_found(make: Make, expected: dict[str, object], tmp_path: Path) -> None:
    found = draft(samples(make), "topic", ["host:9092"])
    assert found.proposal is not None
    assert found.proposal.fields() == expected
    assert found.trial is not None
    assert (found.trial.decoded, found.trial.dead) == (200, ())
    file = tmp_path / "config.toml"
    found.secret = "never the default"
    file.write_text(found.toml())
    written = load(file)
    assert written.selection.secret.get_secret_value() == "never the default"
    assert written.events == found.settings().events
    assert written.model == found.settings().model
    assert (written.kafka.topics, written.kafka.bootstrap_servers) == (("topic",), ("host:9092",))


def own(number: int) -> dict[str, Any]:
    tags = {"app": "ab"[number % 2], "user": f"u-{number}", "region": "eu"}
    return {"id": str(number), "time": START + number, "model": "pets", "prediction": "cat", "tags": tags}


def test_tags_of_few_values_are_proposed_as_segments_but_none_is_made(tmp_path: Path) -> None:
    for make, tag in ((nested, "region"), (own, "app")):
        found = draft(samples(make), "topic", ["host:9092"])
        assert found.segments == ()
        assert found.could_be_segments == {tag: 2}
        assert (
            f'\n# segments = ["{tag}"]  # tags whose values are watched apart; seen: {tag} (2 values)\n' in found.toml()
        )
        (tmp_path / "proposed.toml").write_text(found.toml())
        assert load(tmp_path / "proposed.toml").of("*").segments == ()
        (tmp_path / "chosen.toml").write_text(found.toml().replace("\n# segments", "\nsegments"))
        assert load(tmp_path / "chosen.toml").of("*").segments == (tag,)


def test_segments_that_were_asked_for_are_made(tmp_path: Path) -> None:
    found = draft(samples(own), "topic", ["host:9092"], segments=("user", "app", "user"))
    (tmp_path / "config.toml").write_text(found.toml())
    assert load(tmp_path / "config.toml").of("*").segments == ("user", "app")
    for make, there_are in ((own, "one of user, region, app"), (kserve, "none, for there are no tags")):
        with pytest.raises(BadData, match=f"--segment none: no tag of the samples; expected {there_are}"):
            draft(samples(make), "topic", ["host"], segments=("none",))


def test_more_tables_can_be_put_below_what_was_written(tmp_path: Path) -> None:
    more = (
        '[events.topic.other]\ndecoder = "strandline"\n[events.options]\na = 1\n[model."*".privacy]\npayload = "none"\n'
    )
    fields = '[events.fields]\ntime = "a"\nmodel = "b"\nprediction = "c"\n'
    written = draft(samples(nested), "topic", ["host:9092"]).toml()
    described = draft(samples(own), "topic", ["host:9092"]).toml().replace('decoder = "strandline"', 'decoder = "json"')
    for number, text in enumerate((written, described + fields)):
        file = tmp_path / f"{number}.toml"
        file.write_text(text + more)
        assert load(file).events.of("other").decoder == "strandline"
        assert load(file).privacy_of("any").payload == "none"
        assert load(file).events.fields["time"] == ("meta.ts_ms", "a")[number]


def test_class_names_in_a_side_file_name_the_prediction() -> None:
    found = draft(samples(kserve), "topic", ["host"], CLASSES)
    assert found.trial is not None
    assert found.trial.decoded == 200
    assert f"classes = {json.dumps(CLASSES)}" in found.toml()
    fewer = draft(samples(kserve), "topic", ["host"], CLASSES[:2])
    assert fewer.trial is not None
    assert {letter.reason for letter in fewer.trial.dead} == {"missing_field"}


def test_what_cannot_be_found_is_left_to_do_by_hand() -> None:
    found = draft(samples(lambda number: {"n": number, "colour": "red"}), "topic", ["host"])
    assert found.trial is None
    assert "# To be done by hand: " in found.toml()
    assert [line.partition(":")[0] for line in found.missing] == [
        f"events.fields.{name}" for name in ("time", "prediction")
    ]


def test_numbers_that_are_no_classes_make_a_regressor() -> None:
    found = draft(samples(lambda number: {**flat(number), "predicted_class": CHANCE.random()}), "topic", ["host"])
    assert found.regressor
    assert found.trial is not None
    assert found.trial.decoded == 200


def test_broken_records_among_good_ones_are_counted_with_their_reason() -> None:
    values = [json.dumps(nested(number)).encode() for number in range(50)]
    found = draft(sampled([*values, b"hello", json.dumps({**nested(1), "request": {}}).encode()]), "topic", ["host"])
    assert found.trial is not None
    assert [letter.reason for letter in found.trial.dead] == ["not_json", "missing_field"]


def test_what_is_not_json_is_told() -> None:
    with pytest.raises(BadData, match="none of 2 records is a JSON object; the first begins with b'a,b'"):
        draft(sampled([b"a,b", b"[1]"]), "topic", ["host"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '["bird", "cat", "dog"]'),
        ("a.json", '{"0": "bird", "2": "dog", "1": "cat"}'),
        ("a.json", '{"bird": 0, "cat": 1, "dog": 2}'),
        ("a.csv", "index,name\n1,cat\n0,bird\n2,dog\n"),
        ("a.csv", "bird,0\ncat,1\ndog,2\n"),
        ("a.csv", "bird\ncat\ndog\n"),
        ("a.txt", "bird\n\ncat\r\ndog"),
    ],
)
def test_class_names_are_read_in_many_forms(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_classes(tmp_path / name) == CLASSES


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", "{", "not JSON"),
        ("a.json", "7", "expected a JSON list"),
        ("a.json", '{"0": "a", "2": "b"}', "each index from 0 to 1 once"),
        ("a.csv", "a,b,c\n", "expected a JSON list"),
        ("a.txt", "", "0 names"),
        ("a.txt", "a\na\n", "none twice"),
    ],
)
def test_what_names_no_classes_is_told(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadData, match=words):
        read_classes(tmp_path / name)
