"""``strandline events``: send events from a file, watch them come, and find those that cannot be used."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from kafka import KafkaProducer
from kafka.errors import KafkaError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from daemon.buffer import NEVER, Buffer, Cohort
from daemon.cli.context import clean, settings_of
from daemon.decoders.paths import Step, find, parse_path, show_path
from daemon.demo.interruption import EXIT_CODE, Interrupted, Interruption
from daemon.draft import Trial, try_out
from daemon.files import SUFFIXES, records
from daemon.kafka_clients import REQUEST_MS, KafkaUnavailable, reaching
from daemon.records import Records
from daemon.sampling import Sampled, follow, sample
from daemon.settings import KafkaSettings
from sinks.errors import BadData

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Send events, watch them come, find those that cannot be used.")

_FILE = "file"
_CLOSE_SECONDS = 30.0
_SHOWN = 20
# As seconds 1973; as what is finer, the same.
_LEAST_SECONDS = 100_000_000

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Servers = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Where Kafka is. Default: kafka.bootstrap_servers.")
]


@app.command()
def send(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help=f"Events, one a row: {SUFFIXES}.")],
    topic: Annotated[str | None, typer.Option(help="Where to. Default: the first of kafka.topics.")] = None,
    rate: Annotated[float, typer.Option(min=0, help="Events a second; 0: as fast as it goes.")] = 0,
    bootstrap_servers: Servers = None,
    model: Annotated[str | None, typer.Option(help="The model of all of them, whatever the file says.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a field of all of them.")
    ] = None,
    now: Annotated[
        bool, typer.Option("--now", help="Their time is when they are sent, not what the file says.")
    ] = False,
) -> None:
    """Send events from a file to Kafka. Ctrl-C ends it in good order.

    Example: strandline events send validation.jsonl --topic predictions --rate 100
    """
    changes = {**dict(_assignment(each) for each in set_ or ()), **({"model": model} if model is not None else {})}
    kafka = _kafka(context, topic, bootstrap_servers)
    fields = settings_of(context).events.of(kafka.topics[0]).fields
    time_path = parse_path(str(fields.get("time", "time"))) if now else None
    values = (_changed(file, number, value, changes, time_path) for number, value in records(file))
    sent, interrupted = _send_all(kafka, values, rate)
    typer.echo(f"{sent:,} events sent to {kafka.topics[0]}" + (", then interrupted" if interrupted else ""))
    if interrupted:
        raise typer.Exit(EXIT_CODE)


def _send_all(kafka: KafkaSettings, values: Iterable[bytes], rate: float) -> tuple[int, bool]:
    """Send the values; return how many were, and whether somebody wanted it to end before the last."""
    topic = kafka.topics[0]
    failures: list[BaseException] = []
    sent, interrupted = 0, False
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} events"), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    producer = _producer(kafka)
    with Interruption() as interruption, progress:
        task = progress.add_task("", total=None)
        began = time.monotonic()
        try:
            for value in values:
                if rate:
                    interruption.sleep(began + sent / rate - time.monotonic())
                interruption.check()
                producer.send(topic, value).add_errback(failures.append)
                sent += 1
                progress.update(task, completed=sent)
                if failures:
                    break
        except Interrupted:
            interrupted = True
        except KafkaError as error:
            failures.append(error)
        finally:
            producer.close(timeout=_CLOSE_SECONDS)
    if failures:
        raise KafkaUnavailable(f"{topic}: {failures[0]}")
    return sent, interrupted


def _producer(kafka: KafkaSettings) -> KafkaProducer:
    with reaching(kafka) as options:
        return KafkaProducer(**options, linger_ms=20, max_block_ms=REQUEST_MS)


@app.command()
def tail(
    context: typer.Context,
    topic: Annotated[str | None, typer.Option(help="Which topic. Default: all of kafka.topics.")] = None,
    number: Annotated[int | None, typer.Option("-n", min=1, help="End after so many. Default: go on.")] = None,
    bootstrap_servers: Servers = None,
    as_json: AsJson = False,
) -> None:
    """Print events as they come, decoded as configured; those that cannot be used with the reason.

    With -n it begins with the last ones that are there already.

    Example: strandline events tail -n 20
    """
    settings = settings_of(context)
    kafka = _kafka(context, topic, bootstrap_servers)
    console = Console(highlight=False, soft_wrap=True)
    found = follow(kafka, number or 0)
    buffer = Buffer(settings, lambda model, version: Cohort(0, model, version, settings.of(model)))
    try:
        for record in islice(found, number):
            told = _told(buffer, record)
            if as_json:
                typer.echo(json.dumps(told, ensure_ascii=False))
            elif "reason" in told:
                console.print(Text(clean(f"{_place(record)} {told['reason']}: {told['detail']}"), style="red"))
            else:
                event = json.dumps(told["event"], ensure_ascii=False)
                console.print(Text(clean(f"{_place(record)} {event}")))
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_CODE) from None
    finally:
        found.close()


@app.command()
def validate(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help=f"Events, one a row: {SUFFIXES}.")] = None,
    topic: Annotated[str | None, typer.Option(help="Look at the last records of this topic instead.")] = None,
    most: Annotated[int, typer.Option("--sample", min=1, help="So many records of the topic.")] = 1000,
    bootstrap_servers: Servers = None,
    as_json: AsJson = False,
) -> None:
    """Tell which events would be dead letters, and why: exit code 1 if any.

    Example: strandline events validate validation.jsonl
    """
    if (file is None) == (topic is None):
        raise BadData("expected either a file or --topic")
    settings = settings_of(context)
    if file is not None:
        now = round(time.time() * 1000)
        # There is no time of Kafka's in a file, so nothing can be early or late.
        settings = settings.model_copy(update={"ingest": settings.ingest.model_copy(update=_ANY_TIME)})
        rows = [Sampled(_FILE, 0, number, now, value) for number, value in records(file)]
    else:
        rows = sample(_kafka(context, topic, bootstrap_servers), most)
    trial = try_out(settings, rows)
    _report(file, rows, trial, as_json=as_json)
    if trial.dead:
        raise typer.Exit(1)


_ANY_TIME = {"max_ahead_seconds": 1e12, "max_behind_seconds": 1e12}


def _report(file: Path | None, rows: list[Sampled], trial: Trial, *, as_json: bool) -> None:
    reasons = Counter(letter.reason for letter in trial.dead)
    if as_json:
        dead = [
            {"partition": each.partition, "offset": each.offset, "reason": each.reason, "detail": each.detail}
            for each in trial.dead
        ]
        if file is not None:
            dead = [{"row": each["offset"], "reason": each["reason"], "detail": each["detail"]} for each in dead]
        found = {
            "events": len(rows),
            "valid": trial.decoded,
            "reasons": reasons,
            "defects": trial.defects,
            "dead": dead,
        }
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    typer.echo(f"{len(rows):,} events: {trial.decoded:,} can be used, {len(trial.dead):,} would be dead letters")
    for reason, count in reasons.most_common():
        typer.echo(f"  {count:,} {reason}")
    for defect, count in trial.defects.most_common():
        typer.echo(f"  {count:,} can be used, but: {defect}")
    for each in trial.dead[:_SHOWN]:
        place = f"{file}, row {each.offset}" if file is not None else f"{each.topic}/{each.partition}/{each.offset}"
        typer.echo(clean(f"{place}: {each.reason}: {each.detail}"))
    if len(trial.dead) > _SHOWN:
        typer.echo(f"… and {len(trial.dead) - _SHOWN:,} more (all with --json)")


def _kafka(context: typer.Context, topic: str | None, servers: str | None) -> KafkaSettings:
    changes: dict[str, object] = {}
    if topic is not None:
        changes["topics"] = (topic,)
    if servers is not None:
        changes["bootstrap_servers"] = tuple(each.strip() for each in servers.split(",") if each.strip())
    return settings_of(context).kafka.model_copy(update=changes)


def _assignment(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise BadData(f"--set {text}: expected KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _changed(
    file: Path, number: int, value: bytes, changes: Mapping[str, object], time_path: Sequence[Step] | None
) -> bytes:
    """Return a record with what is to be set in it; one that stays as it is may be broken."""
    if not changes and time_path is None:
        return value
    try:
        event = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{file}, line {number}: not JSON: {error}") from error
    if not isinstance(event, dict):
        raise BadData(f"{file}, line {number}: expected a JSON object")
    for key, each in changes.items():
        field, dot, name = key.partition(".")
        nested = event.setdefault(field, {}) if dot else None
        if isinstance(nested, dict):
            nested[name] = each
        else:
            event[key] = each
    if time_path is not None:
        parent, last = find(event, time_path[:-1]), time_path[-1]
        if not isinstance(parent, dict) or not isinstance(last, str):
            raise BadData(f"{file}, line {number}: there is no place for the time at {show_path(time_path)}")
        parent[last] = _now_like(parent.get(last))
    return json.dumps(event).encode()


def _now_like(before: object) -> object:
    """Return the time as it stood there: seconds, or milli-, micro- or nanoseconds; else text."""
    if isinstance(before, (int, float)):
        for scale in (1_000_000_000, 1_000_000, 1000):
            if before >= _LEAST_SECONDS * scale:
                return time.time_ns() // (1_000_000_000 // scale)
        return time.time()
    return datetime.now(UTC).isoformat()


def _place(record: Sampled) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"


def _told(buffer: Buffer, record: Sampled) -> dict[str, object]:
    """Return a record's place, and its event, or why there is none."""
    place: dict[str, object] = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    buffer.add(record.topic, record.partition, Records.of([record]), NEVER)
    buffer.clear()
    if buffer.dead_letters:
        letter = buffer.dead_letters.pop()
        return {**place, "reason": letter.reason, "detail": letter.detail}
    if record.value is None:
        return {**place, "reason": "tombstone", "detail": "a record without a value is no event"}
    return {**place, "event": json.loads(buffer.normal(record.topic, record.value))}
