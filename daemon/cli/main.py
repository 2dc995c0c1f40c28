"""``strandline``: the root of the command line. A new group of commands is one file here and one line below."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from daemon.cli import (
    alerts,
    check,
    deadletters,
    demo,
    events,
    forget,
    init,
    partitions,
    queue,
    reference,
    replay,
    run,
    status,
)
from sinks.errors import BadData, DatabaseUnavailable, NotPermitted, StrandlineError

__all__ = ["app", "main"]

_HELP = """Watches machine-learning models in production.

Reads inference events from Kafka, keeps what it finds in PostgreSQL, tells on-call what changed, and puts the \
samples most worth a label into a queue.

A first round:

  strandline demo         see it all, on this machine, in a minute

  strandline init         look at your topic, write a configuration for it

  strandline db upgrade   make the tables in your own database

  strandline check        are configuration, Kafka and PostgreSQL right?

  strandline run          watch

  strandline alerts list  what changed

  strandline queue next   the next sample to label

Completion in the shell: strandline --install-completion, once.

Configuration: --config, else $STRANDLINE_CONFIG, else ./config.toml, else strandline/config.toml in the user's \
configuration directory, else the defaults. Any key by the environment, too: STRANDLINE_INGEST__WORKERS=4.
"""

app = typer.Typer(
    name="strandline",
    help=_HELP,
    no_args_is_help=True,
    # A fault of ours is shown as Python shows it; what a person can mend is caught in main().
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# In the order in which --help lists them.
app.command()(demo.demo)
app.command()(init.init)
app.command()(run.run)
app.command()(check.check)
app.command()(status.status)
app.add_typer(alerts.app, name="alerts")
app.add_typer(queue.app, name="queue")
app.add_typer(reference.app, name="reference")
app.command()(replay.replay)
app.add_typer(events.app, name="events")
app.add_typer(deadletters.app, name="deadletters")
app.add_typer(partitions.app, name="partitions")
app.command()(forget.forget)
app.add_typer(run.database, name="db")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"strandline {version('strandline')}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="PATH", help="The configuration.")] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    # Until the settings are read, the context holds where to read them from.
    context.obj = config


def main() -> None:
    """Run the command line; what a person can mend ends with one message and an exit code of its own."""
    try:
        app()
    except StrandlineError as error:
        _fail(error)
    except psycopg.errors.InsufficientPrivilege as error:
        _fail(NotPermitted(f"({str(error).strip()})"))
    except psycopg.OperationalError as error:
        _fail(DatabaseUnavailable(str(error).strip()))
    except UnicodeEncodeError as error:
        _fail(BadData(f"Not UTF-8: {error.object[max(0, error.start - 20) : error.end]!r}"))
    except OSError as error:
        # Where output goes is full or closed; there is nowhere to say more than that.
        _fail(StrandlineError(f"{error.strerror or error}"))


def _fail(error: StrandlineError) -> None:
    sys.stdout.flush()
    typer.echo(f"strandline: {error}", err=True)
    sys.exit(error.exit_code)
