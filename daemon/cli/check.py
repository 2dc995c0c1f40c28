"""``strandline check``: what is in force, where it comes from, and whether it works."""

from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from daemon.advice import about_models, about_settings
from daemon.cli.context import choose_config, clean, open_database, print_json
from daemon.decoders.registry import Decoders
from daemon.monitors import check_monitors, licences
from daemon.settings import Settings, gather, validate
from daemon.settings.effective import as_toml, effective
from daemon.settings.schema import dotted
from daemon.sources.registry import source_of
from sinks.backups import are_there_copies
from sinks.cohorts import check_windows, list_all
from sinks.errors import BadSettings, StrandlineError

__all__ = ["check"]


def check(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check the configuration and reach PostgreSQL and Kafka with it; print what is in force, and where it comes from.

    Exit code 0: all is right, warnings aside; 1: PostgreSQL or Kafka is not; 2: the configuration is not.

    Example: strandline --config my.toml check
    """
    root = context.find_root()
    path = choose_config(root.obj)
    sources = gather(path)
    settings = root.obj = validate(sources)
    Decoders(settings).check()
    source_of(settings.kafka)
    check_monitors(settings)
    in_force = effective(settings, sources)
    if not as_json:
        typer.echo(f"# Configuration: {path or 'none, the defaults'}")
        for line in as_toml(in_force):
            typer.echo(clean(line))
        typer.echo()
    warnings = [*about_settings(settings), *licences(settings)]
    faults: dict[str, str | None] = {}
    parts = {
        "PostgreSQL": partial(_reach_database, context, settings),
        "Kafka": partial(_reach_kafka, settings),
    }
    for name, reach in parts.items():
        try:
            warnings += reach()
            faults[name] = None
        except StrandlineError as error:
            faults[name] = str(error)
        if not as_json:
            _tell("✗" if faults[name] else "✓", f"{name}: {faults[name]}" if faults[name] else name)
    if as_json:
        print_json(
            {
                "ok": not any(faults.values()),
                "configuration": path,
                "settings": [{"key": dotted(it.path), "value": it.value, "origin": it.origin} for it in in_force],
                "checks": [{"name": name, "ok": fault is None, "error": fault} for name, fault in faults.items()],
                "warnings": warnings,
            }
        )
    else:
        for warning in warnings:
            _tell("!", warning)
    if any(faults.values()):
        raise typer.Exit(1)


def _reach_database(context: typer.Context, settings: Settings) -> list[str]:
    with open_database(context) as connection:
        check_windows(connection, lambda model: settings.of(model).window_seconds)
        warnings = list(about_models(settings, {model for _, model, _ in list_all(connection)}))
        if not are_there_copies(connection):
            warnings.append(
                "PostgreSQL has no archive and no standby; labels cannot be computed again: see docs/operations.md"
            )
        return warnings


def _reach_kafka(settings: Settings) -> list[str]:
    source = source_of(settings.kafka)(settings.kafka, poll_records=1, max_event_bytes=settings.ingest.max_event_bytes)
    try:
        found = {topic for topic, _ in source.partitions()}
    finally:
        source.close()
    missing = sorted(set(settings.kafka.topics) - found)
    if missing:
        raise BadSettings(f"kafka.topics: there is no topic {', '.join(missing)}")
    return []


_COLOURS = {"✓": "green", "✗": "red", "!": "yellow"}


def _tell(sign: str, text: str) -> None:
    # As a Text, so that nothing in brackets is taken for markup.
    Console().print(Text.assemble((sign, _COLOURS[sign]), " ", clean(text)), soft_wrap=True)
