"""``strandline run``, ``check``, ``status`` and ``db``: the daemon itself and whether it is well."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from daemon import status as status_of
from daemon.cli.context import open_database, settings_of
from daemon.decoders.registry import Decoders
from daemon.logs import LEVELS, configure
from daemon.processes import ROLES, supervise
from daemon.settings import Settings
from daemon.source import KafkaSource
from sinks.cohorts import check_windows
from sinks.database import upgrade
from sinks.errors import BadSettings, StrandlineError

__all__ = ["check", "database", "run", "status"]

database = typer.Typer(no_args_is_help=True, help="The database's tables.")

_DEFAULT_SECRET = "change me"  # noqa: S105 - what check warns of


def run(
    context: typer.Context,
    role: Annotated[str, typer.Option(help=f"Run one part only: {', '.join(ROLES)}. Default: all, supervised.")] = "",
    log_level: Annotated[str, typer.Option(help=f"One of {', '.join(LEVELS)}.")] = "info",
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; a second signal ends it at once."""
    if log_level not in LEVELS:
        raise BadSettings(f"--log-level {log_level}: expected one of {', '.join(LEVELS)}")
    if role and role not in ROLES:
        raise BadSettings(f"--role {role}: expected one of {', '.join(ROLES)}")
    settings = settings_of(context)
    _check_decoders(settings)
    configure(log_level)
    _reach_database(context)
    if role:
        ROLES[role](settings)
    else:
        supervise(settings, log_level)


def check(context: typer.Context) -> None:
    """Check the configuration and reach Kafka and PostgreSQL with it; print what is in force."""
    settings = settings_of(context)
    _check_decoders(settings)
    console = Console()
    console.print_json(settings.model_dump_json(exclude={"selection": {"secret"}, "postgres": {"url"}}))
    faults = 0
    for what, reach in (("PostgreSQL", _reach_database), ("Kafka", _reach_kafka)):
        try:
            reach(context)
        except StrandlineError as error:
            faults += 1
            console.print(f"[red]✗[/red] {what}: {error}", highlight=False)
        else:
            console.print(f"[green]✓[/green] {what}")
    if settings.selection.secret == _DEFAULT_SECRET:
        console.print("[yellow]![/yellow] selection.secret is the default: a producer could choose what is labelled")
    if faults:
        raise typer.Exit(1)


def _check_decoders(settings: Settings) -> None:
    """Make the decoder of each topic, which checks its settings."""
    decoders = Decoders(settings)
    for topic in settings.kafka.topics:
        decoders.of(topic)


def _reach_database(context: typer.Context) -> None:
    with open_database(context) as connection:
        check_windows(connection, lambda model: settings_of(context).of(model).window_seconds)


def _reach_kafka(context: typer.Context) -> None:
    settings = settings_of(context)
    source = KafkaSource(settings.kafka, poll_records=1, max_event_bytes=settings.ingest.max_event_bytes)
    try:
        found = {topic for topic, _ in source.partitions()}
        missing = sorted(set(settings.kafka.topics) - found)
        if missing:
            raise BadSettings(f"kafka.topics: there is no topic {', '.join(missing)}")
    finally:
        source.close()


def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Tell whether all is well: exit code 0 if it is, 1 if something needs a look."""
    with open_database(context) as connection:
        found = status_of.collect(connection, settings_of(context))
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        table = Table(show_header=False, box=None)
        for name, value in found.lines:
            table.add_row(name, value)
        console = Console()
        console.print(table)
        for problem in found.problems:
            console.print(f"[red]✗[/red] {problem}", highlight=False)
        if not found.problems:
            console.print("[green]✓[/green] all is well")
    if found.problems:
        raise typer.Exit(1)


@database.command("upgrade")
def database_upgrade(context: typer.Context) -> None:
    """Make the tables, or bring them to this version."""
    before, after = upgrade(settings_of(context).postgres.url)
    typer.echo(f"database: {after}" + ("" if before == after else f" (was {before or 'empty'})"))
