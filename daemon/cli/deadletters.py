"""``strandline deadletters``: events that could not be used, why, and how to send them again."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from daemon.cli.context import clean, open_database, print_json, print_table, settings_of, when
from daemon.cli.progress import working
from daemon.rereading import RecordReader
from daemon.resending import Judge, Resender, Verdict
from daemon.settings import Settings
from sinks import cohorts, dead_letters
from sinks.database import Connection
from sinks.dead_letters import Letter
from sinks.errors import BadData, NotFound

__all__ = ["ADVICE", "app"]

app = typer.Typer(no_args_is_help=True, help="Events that could not be used: why, and how to send them again.")

_HANDFUL = 10
_MEND = "Mend the producer. Sent again as it is, it is a dead letter again."
ADVICE = {
    "too_large": "Raise ingest.max_event_bytes if such events are right, then send it again; or let the producer send"
    " the address of what is large instead.",
    "no_kafka_time": "The topic's records have no timestamps (message format 0): upgrade the producer or the topic."
    " Sent again, it gets the time of that.",
    "not_json": "The value is not one JSON object. Another format, or cut off? " + _MEND,
    "not_utf8": "Let the producer encode its JSON in UTF-8. " + _MEND,
    "too_deep": "Let the producer nest less, or send the deep part as text. " + _MEND,
    "wrong_shape": "A field is not of the type that docs/events.md names. " + _MEND,
    "missing_field": "id, time, model and prediction are required. " + _MEND,
    "bad_text": "A name is empty, too long, or holds U+0000. " + _MEND,
    "bad_time": "Times are RFC 3339, or seconds or milliseconds since 1970, not micro- or nanoseconds. " + _MEND,
    "prediction_not_a_class": 'If the model predicts numbers, set kind = "regressor" for it, restart, and send it'
    " again. Else mend the producer.",
    "prediction_not_a_number": 'If the model predicts classes, set kind = "classifier" for it, restart, and send it'
    " again. Else mend the producer.",
    "too_many_models": "If these models and versions are right, raise detection.models_cap, restart, and send it again."
    " Else some producer makes up names.",
    "quarantined": "Processing it killed a worker twice: that is a fault in Strandline, worth a report. Do not send it"
    " again before it is mended.",
}
"""What to do, by reason."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Reason = Annotated[str | None, typer.Option(help="Only those of this reason, e.g. too_many_models.")]
Topic = Annotated[str | None, typer.Option(help="Only those of this topic.")]


@app.command("list")
def list_all(
    context: typer.Context,
    reason: Reason = None,
    topic: Topic = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest first; many of one reason become ranges of offsets with a count.

    Example: strandline deadletters list --reason not_json
    """
    with open_database(context) as connection:
        found = dead_letters.list_all(connection, reason=reason, topic=topic, limit=limit)
    if as_json:
        print_json([_public(each) for each in found])
        return
    print_table(
        ("where", "reason", "events", "bytes", "since", "sent again", "detail"),
        (
            (each.place, each.reason, each.count, each.size, each.created_at, each.resent_at, each.detail)
            for each in found
        ),
        empty="No dead letter: every event could be used.",
    )


@app.command()
def show(
    context: typer.Context,
    place: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="Where it lies, as listed.")],
    as_json: AsJson = False,
) -> None:
    """Show a dead letter: what was wrong, the bytes that were kept, and what to do.

    Example: strandline deadletters show predictions/0/1234
    """
    with open_database(context) as connection:
        found = dead_letters.at(connection, *dead_letters.parse_place(place))
    if not found:
        raise NotFound(f"A dead letter at {place}; `strandline deadletters list` shows those there are.")
    if as_json:
        print_json([_public(each) for each in found])
        return
    typer.echo(clean("\n\n".join(_shown(each) for each in found)))


@app.command()
def resend(
    context: typer.Context,
    places: Annotated[
        list[str] | None, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="Which, as listed.")
    ] = None,
    reason: Reason = None,
    topic: Topic = None,
    to: Annotated[str | None, typer.Option(metavar="TOPIC", help="Send to this topic; default: where it was.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of them.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what was sent again before.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help=f"Do not ask, however many there are over {_HANDFUL}.")
    ] = False,
) -> None:
    """Send dead letters again: the original records, as far as they would be accepted now.

    Change the configuration first, or try another one with --config; see what that gives with --dry-run.
    The records are read from Kafka, and keep key, headers and timestamp, with a header strandline-resent-from.

    Example: strandline deadletters resend --reason too_many_models --dry-run
    """
    if not places and reason is None and topic is None:
        raise BadData("Which? Name places, a --reason, or a --topic.")
    settings = settings_of(context)
    with open_database(context) as connection, RecordReader(settings) as records:
        letters = _wanted(connection, places or [], reason, topic, again=again)
        if not letters:
            typer.echo("No dead letter waits that fits" + ("." if again else "; --again takes those sent before, too."))
            return
        known = {(model, version) for _, model, version in cohorts.list_all(connection)}
        judge = Judge(settings, records, known)
        with working("reading", len(letters)) as advance:
            verdicts = [advance(judge.verdict(letter)) for letter in letters]
        _tell(verdicts)
        count = sum(each.accepted for each in verdicts)
        if dry_run or not count:
            return
        if count > _HANDFUL and not yes:
            typer.confirm(f"Send {count:,} records again?", abort=True)
        sent = _send(settings, connection, judge, [each.letter for each in verdicts if each.accepted], to)
    typer.echo(f"{sent:,} {'record was' if sent == 1 else 'records were'} sent again.")


def _wanted(
    connection: Connection, places: Sequence[str], reason: str | None, topic: str | None, *, again: bool
) -> list[Letter]:
    if not places:
        found_all = dead_letters.list_all(connection, reason=reason, topic=topic, waiting=not again)
        return sorted(found_all, key=_order)
    found = {}
    for place in places:
        at_place = dead_letters.at(connection, *dead_letters.parse_place(place))
        if not at_place:
            raise NotFound(f"A dead letter at {place}; `strandline deadletters list` shows those there are.")
        found.update({(each.place, each.reason): each for each in at_place})
    fits = (
        each
        for each in found.values()
        if (again or each.resent_at is None) and reason in (None, each.reason) and topic in (None, each.topic)
    )
    return sorted(fits, key=_order)


def _order(letter: Letter) -> tuple[str, int, int]:
    """Return what puts records into the order in which they came."""
    return letter.topic, letter.partition, letter.first


def _tell(verdicts: Sequence[Verdict]) -> None:
    print_table(
        ("where", "was", "events", "accepted now", "why not"),
        ((each.letter.place, each.letter.reason, each.letter.count, each.accepted, each.why) for each in verdicts),
        empty="",
    )


def _send(settings: Settings, connection: Connection, judge: Judge, letters: Sequence[Letter], to: str | None) -> int:
    sent = 0
    with Resender(settings) as resender, working("sending", len(letters)) as advance:
        for letter in letters:
            with dead_letters.sending(connection, letter) as ours:
                if ours:
                    sent += resender.send(letter, judge.accepted(letter), to or letter.topic)
            advance(None)
    return sent


def _public(letter: Letter) -> dict[str, Any]:
    found = asdict(letter)
    value = found.pop("value")
    return {"place": letter.place, **found, "value": None if value is None else _escaped(value)}


def _shown(letter: Letter) -> str:
    what = "one event" if letter.count == 1 else f"{letter.count:,} events"
    lines = [
        f"{letter.place} · {letter.reason} · {what} · {letter.size:,} bytes · {when(letter.created_at)}",
        f"  what is wrong   {letter.detail}",
        f"  what to do      {ADVICE.get(letter.reason, _MEND)}",
    ]
    if letter.resent_at is not None:
        lines.append(f"  sent again      {when(letter.resent_at)}")
    if letter.value is None:
        lines += ["", "  (its bytes were not kept; the record is in Kafka, at that offset)"]
    else:
        rest = letter.size - len(letter.value)
        lines += ["", f"  {_escaped(letter.value)}" + (f" … and {rest:,} bytes more" if rest > 0 else "")]
    return "\n".join(lines)


def _escaped(value: bytes) -> str:
    """Return bytes as text, with what is not UTF-8 or not printable in escapes."""
    text = value.decode(errors="backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
