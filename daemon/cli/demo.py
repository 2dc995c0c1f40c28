"""``strandline demo``: the whole of it on this machine, with a real model, a broker and a database."""

from pathlib import Path
from typing import Annotated

import typer

from daemon.demo.processes import ServiceError

__all__ = ["demo"]


def demo(
    leave: Annotated[
        bool, typer.Option("--exit", help="End when the story is told; exit code 0 if all of it was noticed.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Another number, other traffic and another model.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave database, logs and configuration behind.")] = False,
    picture: Annotated[Path | None, typer.Option(hidden=True, help="Write an SVG of screen and tables.")] = None,
) -> None:
    """Show it live: a model in production goes wrong twice, and is noticed. Needs about a minute, and nothing else.

    Example: strandline demo --exit
    """
    # Here, not above: no other command needs the broker's client, or should wait for it.
    from daemon.demo.performance import perform  # noqa: PLC0415

    try:
        code = perform(leave=leave, seed=seed, keep=keep, picture=picture)
    except ServiceError as error:
        typer.echo(f"strandline: {error}", err=True)
        code = 1
    raise typer.Exit(code)
