"""``strandline init``: look at a topic, and write a configuration for it."""

import shlex
import sys
from collections import Counter
from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from daemon.classnames import read_classes
from daemon.cli.context import clean, invocation, print_table, servers
from daemon.draft import Draft, Trial, draft, example, values_of
from daemon.sampling import Sampled, sample
from daemon.settings import KafkaSettings
from sinks.errors import BadData, BadSettings

__all__ = ["init"]

_SECRET_BYTES = 24

_SHOWN = 5


def init(
    context: typer.Context,
    topic: Annotated[str, typer.Option(help="The topic with the inference events.")],
    bootstrap_servers: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where Kafka is.")] = "localhost:9092",
    output: Annotated[Path, typer.Option("--output", "-o", help="The configuration to write.")] = Path("config.toml"),
    most: Annotated[
        int, typer.Option("--sample", min=1, max=100_000, help="Look at so many of the last records.")
    ] = 1000,
    classes: Annotated[
        Path | None,
        typer.Option(help="Names of the classes, if probabilities come as an array: JSON, CSV, or one a line."),
    ] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(metavar="TAG", help="Watch each value of this tag apart, too; for several tags, several times."),
    ] = None,
    postgres: Annotated[str, typer.Option(metavar="URL", help="The database. Default: to be set in the file.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking, on a terminal too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Look at the last records of a topic, tell what they seem to mean, and write a configuration for them.

    Records may be our own events or any JSON objects. Nothing is changed in
    Kafka. Exit code 1 if the mapping is not complete: the file says what has
    to be done by hand.

    Example: strandline init --topic predictions --bootstrap-servers kafka:9092
    """
    if not topic.strip():
        raise BadData("--topic: expected the name of a topic")
    names = read_classes(classes) if classes else ()
    if output.exists() and not force:
        raise BadSettings(f"{output} is there already: --force overwrites it, --output writes elsewhere")
    if not output.parent.is_dir():
        raise BadSettings(f"{output.parent}: there is no such directory to write {output.name} into")
    brokers = servers(bootstrap_servers)
    samples = _sample(brokers, topic, most)
    found = draft(samples, topic, brokers, names, segment or ())
    found.postgres = postgres
    found.secret = token_urlsafe(_SECRET_BYTES)
    _show(found)
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Write {output}?", default=True, abort=True)
    try:
        # It holds a secret, and perhaps a password.
        output.touch(mode=0o600)
        output.write_text(found.toml(), encoding="utf-8")
    except OSError as error:
        raise BadSettings(f"{output}: {error.strerror}") from error
    _show_next(context, found, output)
    if found.missing or (found.trial is not None and not found.trial.decoded):
        raise typer.Exit(1)


def _sample(brokers: tuple[str, ...], topic: str, most: int) -> list[Sampled]:
    settings = KafkaSettings(bootstrap_servers=brokers, topics=(topic,))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"reading {clean(topic)}", total=most)
        samples = sample(settings, most, progress=lambda count: progress.update(task, completed=count))
    if not samples:
        raise BadData(f"the topic {topic!r} is empty: there have to be some events to look at")
    return samples


def _show(found: Draft) -> None:
    if found.proposal is None:
        typer.echo(f"{found.samples} records: our own events")
    else:
        typer.echo(f"{found.samples} records: JSON of another shape. What they seem to mean:\n")
        rows = [(each.field, each.path_text, example(each.example), each.count) for each in found.proposal.found]
        if found.proposal.model is not None:
            rows.append(("model", "(the topic's name)", found.proposal.model, found.samples))
        print_table(("our field", "where it stands", "for example", "samples"), rows, empty="nothing")
        if found.proposal.left:
            typer.echo("\nNot mapped:\n")
            left = [(each.path_text, example(each.example), each.count) for each in found.proposal.left]
            print_table(("where", "for example", "samples"), left, empty="")
    typer.echo("")
    if found.trial is not None:
        _print_trial(found.trial)
    for each in found.missing:
        typer.echo(clean(f"Not complete: {each}"))
    _show_segments(found)


def _show_segments(found: Draft) -> None:
    if found.segments:
        typer.echo(clean(f"Watched apart, too: each value of {', '.join(found.segments)}"))
    others = {name: count for name, count in found.could_be_segments.items() if name not in found.segments}
    if others:
        first = shlex.quote(next(iter(others)))
        typer.echo(clean(f"Tags whose values could be watched apart: {', '.join(values_of(others))}. To choose,"))
        typer.echo(clean(f"name them: --segment {first}, or later in the file: segments"))


def _print_trial(trial: Trial) -> None:
    """Print how many records can be used, which cannot, and why."""
    typer.echo(f"{trial.decoded} records can be used, {len(trial.dead)} would be dead letters")
    for reason, count in Counter(letter.reason for letter in trial.dead).most_common():
        first = next(letter for letter in trial.dead if letter.reason == reason)
        place = f"{first.topic}/{first.partition}/{first.offset}"
        typer.echo(clean(f"  {count} {reason}; for example {place}: {first.detail}"))
    for defect, count in trial.defects.items():
        typer.echo(f"  {count} with the defect {defect}")
    models = [f"{model} {version}".strip() for model, version in sorted(trial.models)]
    if models:
        typer.echo(clean(f"  models: {', '.join(models[:_SHOWN])}" + (", …" if len(models) > _SHOWN else "")))


def _show_next(context: typer.Context, found: Draft, output: Path) -> None:
    start = f"{invocation(context).split(' --config')[0]} --config {shlex.quote(str(output))}"
    typer.echo(f"\n{output} is written." + ("" if found.postgres else " Set postgres.url in it."))
    if found.missing:
        typer.echo("Complete [events.fields] in it (docs/events.md tells how), then:")
    else:
        typer.echo("Look it over, then:")
    for command in ("db upgrade", "check", "run"):
        typer.echo(f"  {start} {command}")
