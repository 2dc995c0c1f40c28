"""``strandline run``, ``check`` and ``db``: the daemon itself, and what it needs."""

from typing import Annotated

import typer
from rich.console import Console

from daemon.cli.context import open_database, settings_of
from daemon.logs import LEVELS
from daemon.processes import ROLES, alone, supervise
from daemon.settings import Settings
from daemon.source import KafkaSource
from sinks.cohorts import check_windows
from sinks.database import upgrade
from sinks.errors import BadSettings, StrandlineError

__all__ = ["check", "database", "run"]

database = typer.Typer(no_args_is_help=True, help="The database's tables.")

_DEFAULT_SECRET = "change me"  # noqa: S105 - what check warns of


def run(
    context: typer.Context,
    role: Annotated[str, typer.Option(help=f"Run one part only: {', '.join(ROLES)}. Default: all, supervised.")] = "",
    workers: Annotated[int | None, typer.Option(min=1, help="Ingest processes, instead of ingest.workers.")] = None,
    ops_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port for health and metrics, instead of ops.port; 0: none.")
    ] = None,
    log_level: Annotated[str, typer.Option(help=f"One of {', '.join(LEVELS)}.")] = "info",
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; a second signal ends it at once.

    Serves /livez, /readyz and /metrics at ops.host and ops.port. Logs go to standard error, as JSON if that is no
    terminal. Exit code 0 once all has stopped in good order.
    """
    if log_level not in LEVELS:
        raise BadSettings(f"--log-level {log_level}: expected one of {', '.join(LEVELS)}")
    if role and role not in ROLES:
        raise BadSettings(f"--role {role}: expected one of {', '.join(ROLES)}")
    settings = _overridden(settings_of(context), workers, ops_port)
    _reach_database(context)
    if role:
        alone(role, settings, log_level)
    else:
        supervise(settings, log_level)


def _overridden(settings: Settings, workers: int | None, ops_port: int | None) -> Settings:
    ingest = settings.ingest if workers is None else settings.ingest.model_copy(update={"workers": workers})
    ops = settings.ops if ops_port is None else settings.ops.model_copy(update={"port": ops_port})
    return settings.model_copy(update={"ingest": ingest, "ops": ops})


def check(context: typer.Context) -> None:
    """Check the configuration and reach Kafka and PostgreSQL with it; print what is in force."""
    settings = settings_of(context)
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


@database.command("upgrade")
def database_upgrade(context: typer.Context) -> None:
    """Make the tables, or bring them to this version."""
    before, after = upgrade(settings_of(context).postgres.url)
    typer.echo(f"database: {after}" + ("" if before == after else f" (was {before or 'empty'})"))
