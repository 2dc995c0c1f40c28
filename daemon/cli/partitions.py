"""``strandline partitions``: how far each partition was read, and how a stopped one goes on."""

from dataclasses import asdict
from typing import Annotated

import typer

from daemon.audiences import audience_of
from daemon.cli.context import clean, open_database, print_json, print_table, settings_of
from daemon.cli.progress import waiting
from daemon.kafka_clients import KafkaUnavailable
from daemon.rereading import RecordReader
from daemon.settings import Settings
from sinks import partitions
from sinks.alerts import pipeline_resolved
from sinks.database import Connection, transaction
from sinks.errors import BadData, NotFound
from sinks.messages import iso
from sinks.partitions import Standing

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="How far each partition was read, and how a stopped one goes on.")


@app.command("list")
def list_all(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List partitions: who reads them, how far they are, and why one is stopped.

    `lag`: records in Kafka that were not read yet; empty if Kafka does not answer.

    Example: strandline partitions list
    """
    settings = settings_of(context)
    with open_database(context) as connection:
        found = partitions.list_all(connection, settings.kafka.topics)
    with waiting("asking Kafka"):
        lags = _lags(settings, found)
    if as_json:
        print_json([{**asdict(each), "lag": lag} for each, lag in zip(found, lags, strict=True)])
        return
    print_table(
        ("partition", "owner", "next offset", "lag", "event time", "last sign of life", "stopped"),
        (
            (
                f"{each.topic}/{each.partition}", each.owner or "(nobody)", each.next, lag,
                None if each.event_high_us is None else iso(each.event_high_us), each.updated_at, each.stopped,
            )
            for each, lag in zip(found, lags, strict=True)
        ),
        empty="No partition was seen yet: is `strandline run` running?",
    )  # fmt: skip


@app.command()
def resume(
    context: typer.Context,
    partition: Annotated[str, typer.Argument(metavar="TOPIC/NUMBER", help="The partition, as listed.")],
    start: Annotated[
        str, typer.Option("--from", metavar="earliest|latest|OFFSET", help="Where to read on.")
    ] = "earliest",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Let a stopped partition be read on: after its topic was made anew or truncated.

    Says first what will be read and what will not. Running workers take it up within seconds, and the alert ends.

    Example: strandline partitions resume predictions/3 --from earliest
    """
    topic, _, number = partition.rpartition("/")
    if not topic or not number.isdecimal() or int(number) >= 2**31:
        raise BadData(f"{partition!r}: expected TOPIC/NUMBER, for example predictions/3")
    settings = settings_of(context)
    with open_database(context) as connection:
        standing = partitions.find(connection, (topic, int(number)))
        if standing is None:
            raise NotFound(f"Partition {partition}; `strandline partitions list` shows those there are.")
        if standing.stopped is None:
            raise BadData(f"{partition} is not stopped: it goes on by itself")
        with waiting("asking Kafka"):
            to, told = _plan(settings, standing, start)
        typer.echo(clean(f"{partition} is stopped: {standing.stopped}\n{told}"))
        if not yes:
            typer.confirm("Go on?", abort=True)
        _resume(settings, connection, standing, to)
    typer.echo(f"{partition} is read on from offset {to}.")


def _resume(settings: Settings, connection: Connection, standing: Standing, to: int) -> None:
    labels = {"topic": standing.topic, "partition": str(standing.partition)}
    with transaction(connection):
        if not partitions.resume(connection, standing, to, settings.kafka.topics):
            raise BadData("Somebody else has just resumed it.")
        pipeline_resolved(connection, "partition_stopped", labels, audience=audience_of(settings, "*"))


def _plan(settings: Settings, standing: Standing, start: str) -> tuple[int, str]:
    """Return the offset to go on from, and what that means for the records there are."""
    place = f"{standing.topic}/{standing.partition}"
    with RecordReader(settings) as records:
        bounds = records.bounds((standing.topic, standing.partition))
    if bounds is None:
        raise NotFound(f"Kafka has no partition {place}.")
    first, end = bounds
    if start.isdecimal() and not first <= int(start) <= end:
        raise BadData(f"--from {start}: Kafka has offsets {first} to {end} of {place}")
    if not start.isdecimal() and start not in ("earliest", "latest"):
        raise BadData(f"--from {start}: expected earliest, latest, or an offset")
    to = int(start) if start.isdecimal() else first if start == "earliest" else end
    lines = [f"Kafka has offsets {first} to {end - 1}." if end > first else "Kafka has no records in it."]
    lines.append(f"It will be read from {to}: {end - to:,} records at once, then what comes.")
    if to > first:
        lines.append(f"Not read: offsets {first} to {to - 1}.")
    if standing.next is not None and to < min(standing.next, end):
        lines.append(
            f"Offsets below {standing.next} were read once. If the topic was made anew, these are other records; if it"
            f" was truncated, those from {to} to {min(standing.next, end) - 1} are counted twice."
        )
    return to, "\n".join(lines)


def _lags(settings: Settings, found: list[Standing]) -> list[int | None]:
    try:
        with RecordReader(settings) as records:
            bounds = [records.bounds((each.topic, each.partition)) for each in found]
    except KafkaUnavailable:
        return [None] * len(found)
    return [
        None if ends is None or each.next is None else max(0, ends[1] - each.next)
        for each, ends in zip(found, bounds, strict=True)
    ]
