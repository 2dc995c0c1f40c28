"""``strandline status``: is all well, and if not, what to do."""

import json
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daemon.cli.context import clean, open_database, settings_of, when
from daemon.ops.advice import advice
from daemon.settings import OpsSettings
from daemon.status import Status, collect
from sinks.errors import BadSettings

__all__ = ["status"]

_READY_SECONDS = 5.0


def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    ready: Annotated[
        bool,
        typer.Option(
            "--ready", help="Only ask the daemon on this host whether it is ready, for health checks: says what is not."
        ),
    ] = False,
) -> None:
    """Tell whether all is well: exit code 0 if it is, 1 if something needs a look.

    Asks the database, which all processes tell how they are. With --ready:
    exit code 0 if the daemon's /readyz at ops.host and ops.port says so,
    else 1.

    Example: strandline --config my.toml status
    """
    if ready:
        raise typer.Exit(0 if _ready(settings_of(context).ops) else 1)
    with open_database(context) as connection:
        found = collect(connection, settings_of(context))
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
    else:
        _show(found)
    if found.problems:
        raise typer.Exit(1)


def _ready(settings: OpsSettings) -> bool:
    if not settings.port:
        raise BadSettings("ops.port = 0: without a listener nobody can be asked")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - asked, not bound
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/readyz"
    try:
        answer = httpx.get(url, timeout=_READY_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        typer.echo(f"{url}: {error}", err=True)
        return False
    if not answer.is_success:
        typer.echo(answer.text.strip(), err=True)
    return answer.is_success


def _show(found: Status) -> None:
    table = Table(show_header=False, box=None)
    for name, value in found.lines:
        table.add_row(name, escape(clean(value)))
    console = Console()
    console.print(table)
    for problem in found.problems:
        since = f", since {when(problem.since)}" if problem.since is not None else ""
        console.print(f"[red]✗[/red] {escape(clean(problem.text))}{since}", highlight=False)
        console.print(f"  → {escape(advice(problem.kind))}", highlight=False)
    if not found.problems:
        console.print("[green]✓[/green] all is well")
