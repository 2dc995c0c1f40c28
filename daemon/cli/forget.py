"""``strandline forget``: removes what is known of one event."""

from dataclasses import asdict
from typing import Annotated

import typer

from daemon.cli.context import clean, open_database, person, print_json, settings_of, when
from daemon.cli.progress import waiting
from daemon.keeping import Keeping
from sinks import forgetting
from sinks.errors import BadData

__all__ = ["forget"]

_OUT_OF_REACH = """\
Out of reach: the event's own record in Kafka{places}, which goes when the topic's retention says so;
messages that were sent already; logs and backups. Counts and statistics hold no ids."""


def forget(
    context: typer.Context,
    event_id: Annotated[str, typer.Argument(help="The event's id, as its producer gave it.", show_default=False)],
    model: Annotated[str | None, typer.Option(help="Only the event of this model; default: of every model.")] = None,
    who: Annotated[
        str | None, typer.Option("--who", metavar="NAME", help="Who wants it; default: the system's user.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why; kept with a hash of the id, so do not name the event.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Remove what is known of one event from every table, and keep it from coming back.

    An item of the queue stays as one without an answer: who is just labelling it finds the lease lost.

    Example: strandline forget 8f14e45f --reason "ticket 4711"

    Exit code 3: nothing is known of it.
    """
    if not event_id or "\0" in event_id:
        raise BadData("EVENT_ID: expected the id of an event")
    if reason is not None and event_id in reason:
        raise BadData("--reason: it names the event, and would be kept")
    digest = Keeping(settings_of(context)).digest(event_id)
    with open_database(context) as connection, waiting("looking through every table"):
        done = forgetting.forget(
            connection, event_id, digest=digest, model=model, who=person(who, "--who"), reason=reason
        )
    if as_json:
        print_json(asdict(done))
        return
    if done.counts:
        typer.echo("Forgotten, rows by table:")
        for table, count in done.counts.items():
            typer.echo(f"  {table:16} {count:>6}")
    else:
        typer.echo(f"It was forgotten at {when(done.before)}, and nothing has come since.")
    places = ", ".join(f"{topic}/{partition} at offset {offset}" for topic, partition, offset in done.places)
    typer.echo(clean(_OUT_OF_REACH.format(places=f" ({places})" if places else "")))
