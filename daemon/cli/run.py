"""``strandline run`` and ``db``: the daemon itself, and what it needs."""

from typing import Annotated

import typer

from daemon.cli.context import open_database, settings_of
from daemon.cli.progress import waiting
from daemon.decoders.registry import Decoders
from daemon.kafka_clients import client_options
from daemon.logs import LEVELS
from daemon.monitors import check_monitors
from daemon.processes import ROLES, alone, supervise
from daemon.settings import Settings
from daemon.sources.registry import source_of
from sinks import grants
from sinks.cohorts import check_windows
from sinks.database import upgrade
from sinks.errors import BadSettings

__all__ = ["database", "run"]

database = typer.Typer(no_args_is_help=True, help="The database's tables.")


def run(
    context: typer.Context,
    role: Annotated[str, typer.Option(help=f"Run one part only: {', '.join(ROLES)}. Default: all, supervised.")] = "",
    workers: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Ingest processes, instead of ingest.workers.")
    ] = None,
    ops_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port for health and metrics, instead of ops.port; 0: none.")
    ] = None,
    log_level: Annotated[str, typer.Option(help=f"One of {', '.join(LEVELS)}.")] = "info",
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; a second signal ends it at once.

    Serves /livez, /readyz and /metrics at ops.host and ops.port. Logs go to
    standard error, as JSON if that is no terminal. Exit code 0 once all has
    stopped in good order.

    Example: strandline --config my.toml run
    """
    if log_level not in LEVELS:
        raise BadSettings(f"--log-level {log_level}: expected one of {', '.join(LEVELS)}")
    if role and role not in ROLES:
        raise BadSettings(f"--role {role}: expected one of {', '.join(ROLES)}")
    settings = _overridden(settings_of(context), workers, ops_port)
    # What cannot be read stops the start, and not every process again and again.
    Decoders(settings).check()
    client_options(settings.kafka)
    source_of(settings.kafka)
    check_monitors(settings)
    with open_database(context) as connection:
        check_windows(connection, lambda model: settings.of(model).window_seconds)
    if role:
        alone(role, settings, log_level)
    else:
        supervise(settings, log_level)


def _overridden(settings: Settings, workers: int | None, ops_port: int | None) -> Settings:
    ingest = settings.ingest if workers is None else settings.ingest.model_copy(update={"workers": workers})
    ops = settings.ops if ops_port is None else settings.ops.model_copy(update={"port": ops_port})
    return settings.model_copy(update={"ingest": ingest, "ops": ops})


@database.command("upgrade")
def database_upgrade(
    context: typer.Context,
    grant_to: Annotated[str, typer.Option(metavar="ROLE", help="Grant this role what the daemon needs.")] = "",
) -> None:
    """Make the tables, or bring them to this version; all of it or nothing. Run it as the tables' owner.

    Example: strandline db upgrade --grant-to strandline_daemon
    """
    with waiting("upgrading the database"):
        before, after = upgrade(settings_of(context).postgres.conninfo)
    typer.echo(f"database: {after}" + ("" if before == after else f" (was {before or 'empty'})"))
    if grant_to:
        with open_database(context) as connection:
            grants.apply(connection, grant_to)
        typer.echo(f"granted to {grant_to}: reading and writing rows, and nothing else")


@database.command("grants")
def database_grants(
    context: typer.Context, role: Annotated[str, typer.Argument(help="The role that the daemon logs in as.")]
) -> None:
    """Print the grants that the daemon's role needs, as SQL; `db upgrade --grant-to ROLE` applies them.

    Example: strandline db grants strandline_daemon
    """
    with open_database(context) as connection:
        for each in grants.needed(connection, role):
            typer.echo(f"{each};")
