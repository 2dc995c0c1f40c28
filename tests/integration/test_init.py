"""A topic that nobody has described: from ``strandline init`` to a sample in the labeler's hands."""

import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from daemon.jobs.select import SelectJob
from daemon.settings import Settings, load
from sinks.database import connect
from tests.harness import START_SECONDS, new_topic, query, send, wait_for, working
from tests.services import ROOT, ApacheKafka

COUNT = 300
BROKEN = b'{"request": {}}'


def strandline(home: Path, *arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STRANDLINE")}
    return subprocess.Popen(
        [sys.executable, "-c", "from daemon.cli.main import main; main()", *arguments],
        cwd=home,
        env={**kept, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def run(home: Path, *arguments: str) -> tuple[int, str, str]:
    process = strandline(home, *arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def foreign(number: int) -> bytes:
    chance = random.Random(number)
    sure = 0.5 + chance.random() / 2
    scores = [sure, 1 - sure] if number % 3 else [1 - sure, sure]
    return json.dumps(
        {
            "meta": {"ts_ms": (START_SECONDS + number) * 1000, "region": "eu" if number % 2 else "us"},
            "request": {"id": f"r-{number}", "features": {"age": number % 50}, "text": f"the claim number {number}"},
            "response": {"scores": scores},
        }
    ).encode()


@pytest.fixture(scope="module")
def topic(kafka: ApacheKafka) -> str:
    name = new_topic(kafka)
    send(kafka, name, [(foreign(number), float(number)) for number in range(COUNT)])
    send(kafka, name, [(BROKEN, float(COUNT))], [0])
    return name


def drawn(settings: Settings) -> Settings:
    """Return the settings with so many labels a day that every event is drawn."""
    model = settings.of("*").model_copy(update={"labels_per_day": 1000, "expected_events_per_day": 100})
    ingest = settings.ingest.model_copy(update={"idle_seconds": 1.0})
    return settings.model_copy(update={"model": {"*": model}, "ingest": ingest})


def test_a_topic_never_seen_is_described_counted_and_labelled(
    kafka: ApacheKafka, database: str, topic: str, tmp_path: Path
) -> None:
    (tmp_path / "names.json").write_text('{"0": "honest", "1": "fraud"}')
    arguments = ("init", "--topic", topic, "--bootstrap-servers", kafka.bootstrap, "--classes", "names.json")
    code, out, err = run(tmp_path, *arguments, "--postgres", database, "-o", "my.toml", "--segment", "region")
    assert code == 0, err
    assert "Watched apart, too: each value of region" in out
    assert f"{COUNT} records can be used, 1 would be dead letters" in out
    for row in ("id\trequest.id\t", "probabilities\tresponse.scores\t", "payload\trequest.text\t", "missing_field"):
        assert row in out
    assert "strandline --config my.toml check" in out
    code, _, err = run(tmp_path, *arguments, "-o", "my.toml")
    assert code == 2
    assert "--force" in err

    settings = drawn(load(tmp_path / "my.toml"))
    assert settings.of(topic).segments == ("region",)
    with working(settings) as worker:
        wait_for(lambda: worker.committed_events == COUNT)
    assert query(database, "SELECT DISTINCT prediction FROM candidate ORDER BY 1") == [("fraud",), ("honest",)]
    assert query(database, "SELECT reason, count FROM dead_letter") == [("missing_field", 1)]
    [(stored,)] = query(
        database,
        "SELECT convert_from(event, 'utf8') FROM payload JOIN candidate ON id = candidate_id WHERE event_id = 'r-7'",
    )
    kept = json.loads(stored)
    assert (kept["id"], kept["model"], kept["prediction"]) == ("r-7", topic, "honest")
    assert (kept["payload"], kept["features"]) == ("the claim number 7", {"age": 7})
    with connect(database, name="test") as connection:
        SelectJob(settings).run_once(connection)
    code, out, err = run(tmp_path, "--config", "my.toml", "queue", "next")
    assert code == 0, err
    assert "the claim number" in out


def test_init_tells_what_is_in_the_way(kafka: ApacheKafka, tmp_path: Path) -> None:
    where = ("--bootstrap-servers", kafka.bootstrap)
    empty, text = new_topic(kafka), new_topic(kafka)
    send(kafka, text, [(b"a,b,c", 0.0)])
    for code, words, arguments in (
        (2, "is empty", ("--topic", empty, *where)),
        (2, "none of 1 records is a JSON object", ("--topic", text, *where)),
        (3, "the topics there are", ("--topic", "none", *where)),
        (7, "127.0.0.1:1", ("--topic", "none", "--bootstrap-servers", "127.0.0.1:1")),
    ):
        found, out, err = run(tmp_path, "init", *arguments)
        assert (found, out) == (code, ""), err
        assert words in err
        assert "Traceback" not in err
    assert not (tmp_path / "config.toml").exists()
    (tmp_path / "config.toml").write_text('[events]\ndecoder = "avro"\n')
    code, _, err = run(tmp_path, "run")
    assert code == 2
    assert "config.toml:2: events.decoder = 'avro': expected one of json, strandline" in err


def config(home: Path, kafka: ApacheKafka, topic: str) -> None:
    (home / "config.toml").write_text(
        f'[kafka]\nbootstrap_servers = ["{kafka.bootstrap}"]\ntopics = ["{topic}"]\n'
        '[events]\ndecoder = "json"\n[events.fields]\nid = "request.id"\ntime = "meta.ts_ms"\n'
        'model = { value = "claims" }\nprobabilities = "response.scores"\n'
    )


def test_events_are_validated_and_watched(kafka: ApacheKafka, topic: str, tmp_path: Path) -> None:
    config(tmp_path, kafka, topic)
    code, out, _ = run(tmp_path, "events", "validate", "--topic", topic, "--json")
    assert code == 1
    found = json.loads(out)
    assert (found["events"], found["valid"], found["reasons"]) == (COUNT + 1, COUNT, {"missing_field": 1})
    (tmp_path / "a.jsonl").write_bytes(foreign(1) + b"\n" + foreign(2) + b"\n")
    assert run(tmp_path, "events", "validate", "a.jsonl")[:2] == (
        0,
        "2 events: 2 can be used, 0 would be dead letters\n",
    )
    code, out, err = run(tmp_path, "events", "tail", "-n", str(COUNT + 1), "--json")
    assert code == 0, err
    told = [json.loads(line) for line in out.splitlines()]
    assert len(told) == COUNT + 1
    assert [each["reason"] for each in told if "reason" in each] == ["missing_field"]
    assert all(each["event"]["model"] == "claims" for each in told if "event" in each)


def test_on_a_terminal_it_is_told_what_is_waited_for(kafka: ApacheKafka, topic: str, tmp_path: Path) -> None:
    config(tmp_path, kafka, topic)
    ours, theirs = pty.openpty()
    try:
        process = strandline(tmp_path, "events", "tail", stderr=theirs)
        told = os.read(ours, 1000).decode()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert told.strip() == f"waiting for new events: {topic} at {kafka.bootstrap}; Ctrl-C ends it"
    assert (process.returncode, out) == (130, "")


def received(home: Path, count: int) -> list[Any]:
    code, out, err = run(home, "events", "tail", "-n", str(count), "--json")
    assert code == 0, err
    return [json.loads(line)["event"] for line in out.splitlines()]


def test_events_are_sent_from_a_file(kafka: ApacheKafka, tmp_path: Path) -> None:
    topic = new_topic(kafka, 1)
    where = ("--topic", topic, "--bootstrap-servers", kafka.bootstrap)
    (tmp_path / "config.toml").write_text(f'[kafka]\nbootstrap_servers = ["{kafka.bootstrap}"]\ntopics = ["{topic}"]\n')
    (tmp_path / "a.csv").write_text("id,time,prediction,tags.region\na,7,cat,eu\nb,8,dog,us\n")
    assert run(tmp_path, "events", "send", "a.csv", *where, "--model", "pets", "--set", "tags.app=web")[:2] == (
        0,
        f"2 events sent to {topic}\n",
    )
    before = time.time()
    assert run(tmp_path, "events", "send", "a.csv", *where, "--model", "pets", "--now")[0] == 0
    kept, _, now, _ = received(tmp_path, 4)
    assert kept == {
        "id": "a",
        "time": 7.0,
        "prediction": "cat",
        "tags": {"region": "eu", "app": "web"},
        "model": "pets",
    }
    assert before <= now["time"] <= time.time()


def test_sending_ends_in_good_order_when_interrupted(kafka: ApacheKafka, tmp_path: Path) -> None:
    topic = new_topic(kafka, 1)
    (tmp_path / "a.jsonl").write_text('{"id": "a", "time": 7, "model": "pets", "prediction": "cat"}\n' * 100_000)
    process = strandline(
        tmp_path, "events", "send", "a.jsonl", "--topic", topic, "--bootstrap-servers", kafka.bootstrap, "--rate", "50"
    )
    (tmp_path / "config.toml").write_text(f'[kafka]\nbootstrap_servers = ["{kafka.bootstrap}"]\ntopics = ["{topic}"]\n')
    received(tmp_path, 5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    sent = int(out.split()[0].replace(",", ""))
    assert out == f"{sent} events sent to {topic}, then interrupted\n"
    assert len(received(tmp_path, sent)) == sent
