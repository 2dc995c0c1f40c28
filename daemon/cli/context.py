"""What every command shares: the configuration, the database, and how answers are printed."""

import getpass
import json
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import platformdirs
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from daemon.settings import CONFIG_VARIABLE, Settings, check_server, load
from sinks.database import Connection, check_version, connect
from sinks.errors import BadData

__all__ = [
    "choose_config",
    "clean",
    "invocation",
    "open_database",
    "person",
    "print_json",
    "print_table",
    "servers",
    "settings_of",
    "when",
]


def choose_config(given: Path | None) -> Path | None:
    """Return the configuration to read: as given, else by environment, else where one lies; None for none."""
    if given is not None:
        return given
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named)
    here = Path("config.toml")
    if here.is_file():
        return here
    try:
        of_user = platformdirs.user_config_path("strandline") / "config.toml"
    except RuntimeError:
        # In containers the user id may have no home directory.
        return None
    return of_user if of_user.is_file() else None


def settings_of(context: typer.Context) -> Settings:
    """Return the settings in force; read when first asked for, so that --help never fails.

    Raises
    ------
    BadSettings
        The configuration is not valid.
    """
    root = context.find_root()
    if not isinstance(root.obj, Settings):
        root.obj = load(choose_config(root.obj))
    return root.obj


def invocation(context: typer.Context) -> str:
    """Return how this program was called, up to the command: what is printed to be typed next begins like that."""
    program = sys.argv[0] if Path(sys.argv[0]).name == "strandline" else "strandline"
    config = context.find_root().params.get("config")
    return shlex.quote(program) + (f" --config {shlex.quote(str(config))}" if config else "")


def open_database(context: typer.Context) -> Connection:
    """Return a connection to the database of the settings; to be closed by ``with``.

    Raises
    ------
    DatabaseUnavailable
        It does not answer.
    WrongDatabaseVersion
        Its schema is of another version.
    """
    connection = connect(settings_of(context).postgres.conninfo, name=f"cli {context.info_name}")
    try:
        check_version(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def person(given: str | None, option: str) -> str:
    """Return the name given with ``option``, else that of the system's user.

    Raises
    ------
    BadData
        It is no name.
    """
    if given is not None:
        if not given.strip() or "\0" in given:
            raise BadData(f"{option}: expected a name")
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # In containers the user id may have no name.
        return "unknown"


def servers(given: str) -> tuple[str, ...]:
    """Return the brokers given with ``--bootstrap-servers``, with commas between.

    Raises
    ------
    BadData
        One of them is none.
    """
    found = tuple(dict.fromkeys(each.strip() for each in given.split(",") if each.strip()))
    try:
        for each in found or ("",):
            check_server(each)
    except ValueError as error:
        raise BadData(f"--bootstrap-servers: {error}") from error
    return found


def print_json(value: object) -> None:
    """Print one JSON document; times in ISO 8601."""
    typer.echo(json.dumps(value, default=_plain, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print a table, for a terminal in columns, else with tabs between; ``empty`` if it is.

    On a terminal columns in which nothing stands are left out. The first, which other commands take, is whole.
    """
    shown = [[_text(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        typer.echo("\t".join(columns))
        for row in shown:
            typer.echo("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
        return
    if not shown:
        typer.echo(empty)
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, header_style="bold")
    told = [position for position in range(len(columns)) if any(row[position] for row in shown)]
    for position in told:
        table.add_column(columns[position], no_wrap=position == 0, overflow="fold")
    for row in shown:
        table.add_row(*(Text(row[position]) for position in told))
    Console().print(table)


def when(time: datetime | None) -> str:
    """Return a time for people: UTC, in seconds."""
    return "" if time is None else time.strftime("%Y-%m-%d %H:%M:%SZ")


def clean(text: str) -> str:
    """Return text from outside without what could steer a terminal."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return when(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bool):
        return "yes" if value else ""
    return clean(str(value))


def _plain(value: Any) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
