"""``strandline run``, ``status`` and ``db``: the daemon itself and whether it is well."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from daemon import status as status_of
from daemon.cli.context import open_database, settings_of
from daemon.cli.progress import waiting
from daemon.kafka_clients import client_options
from daemon.logs import LEVELS, configure
from daemon.processes import ROLES, supervise
from sinks import grants
from sinks.cohorts import check_windows
from sinks.database import upgrade
from sinks.errors import BadSettings

__all__ = ["database", "run", "status"]

database = typer.Typer(no_args_is_help=True, help="The database's tables.")


def run(
    context: typer.Context,
    role: Annotated[str, typer.Option(help=f"Run one part only: {', '.join(ROLES)}. Default: all, supervised.")] = "",
    log_level: Annotated[str, typer.Option(help=f"One of {', '.join(LEVELS)}.")] = "info",
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; a second signal ends it at once.

    Example: strandline --config my.toml run
    """
    if log_level not in LEVELS:
        raise BadSettings(f"--log-level {log_level}: expected one of {', '.join(LEVELS)}")
    if role and role not in ROLES:
        raise BadSettings(f"--role {role}: expected one of {', '.join(ROLES)}")
    settings = settings_of(context)
    configure(log_level)
    # A certificate that cannot be read stops the start, and not every process again and again.
    client_options(settings.kafka)
    with open_database(context) as connection:
        check_windows(connection, lambda model: settings.of(model).window_seconds)
    if role:
        ROLES[role](settings)
    else:
        supervise(settings, log_level)


def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Tell whether all is well: exit code 0 if it is, 1 if something needs a look.

    Example: strandline status --json
    """
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
