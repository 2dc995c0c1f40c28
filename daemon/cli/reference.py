"""``strandline reference``: what each model is compared with."""

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from daemon import accepting, references
from daemon.cli.context import clean, open_database, print_json, print_table, settings_of, when
from detectors.columns import UNIT
from detectors.comparing import compared
from detectors.layout import WHOLE
from detectors.origins import UNWATCHED, Origin
from detectors.reference import Reference
from sinks import cohorts
from sinks.controls import ALWAYS, ControlRecord, Controls
from sinks.database import Connection
from sinks.errors import NotFound
from sinks.windows import uncompress

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What each model is compared with.")

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command()
def build(
    context: typer.Context,
    data: Annotated[
        Path, typer.Argument(help="Events of a time when all was well: .jsonl, .ndjson, .csv or .parquet.")
    ],
    model: Annotated[str, typer.Option(help="The model they are from.")],
    version: Annotated[str | None, typer.Option(help="Its version; default: the newest one known.")] = None,
) -> None:
    """Build a model's reference from a file and put it in force.

    Example: strandline reference build validation.jsonl --model digits
    """
    settings = settings_of(context)
    with (
        open_database(context) as connection,
        Progress(
            SpinnerColumn(), TextColumn("{task.description}"), console=Console(stderr=True), transient=True
        ) as progress,
    ):
        task = progress.add_task("reading")
        built = references.build(
            settings,
            connection,
            data,
            model,
            version,
            progress=lambda rows: progress.update(task, description=f"{rows:,} rows"),
        )
    start = "at once" if built.effective_from == ALWAYS else f"from window {built.effective_from}"
    typer.echo(f"reference of {_title(model, built.version)}: {built.events:,} events, in force {start}")


@app.command("list")
def list_all(context: typer.Context, as_json: AsJson = False) -> None:
    """List the references of all models, the newest of each last.

    Example: strandline reference list
    """
    with open_database(context) as connection:
        rows = [
            {
                "reference": record.id,
                "model": model,
                "version": version,
                "source": reference.source,
                "events": int(reference.summary.events[0]),
                "segments": len(reference.layout.segments),
                "hours": reference.hours,
                "effective_from": None if record.effective_from == ALWAYS else record.effective_from,
            }
            for record, model, version, reference in _all(connection)
        ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    columns = ("reference", "model", "version", "source", "events", "segments", "hours", "from window")
    print_table(columns, [tuple(row.values()) for row in rows], empty="No reference yet; the models learn theirs.")


@app.command()
def show(
    context: typer.Context,
    reference: Annotated[int, typer.Argument(help="Its number, from `strandline reference list`.")],
    segment: Annotated[str, typer.Option(help="What holds in this segment, such as region=eu.")] = WHOLE,
    hour: Annotated[int, typer.Option(help="Of a reference by hour: from 0, in UTC; of a week from Monday on.")] = 0,
    monitor: Annotated[str | None, typer.Option(help="Tolerances of this monitor only.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a reference holds, and where each tolerance comes from.

    A monitor alarms when it is sure that a value is beyond its bound: reference and tolerance together.

    Example: strandline reference show 12 --monitor confidence
    """
    settings = settings_of(context)
    with open_database(context) as connection:
        record, model, version, found = _one(connection, reference)
        told = references.explain(settings, connection, record.cohort_id or 0, model, found, segment, hour)
    wanted = [each for each in told if monitor in {None, each.monitor}]
    if not wanted:
        raise NotFound(f"monitor {monitor!r}; there are: {', '.join(dict.fromkeys(each.monitor for each in told))}")
    _show(_title(model, version), found, wanted, hour, as_json=as_json)


def _show(title: str, reference: Reference, told: list[Origin], hour: int, *, as_json: bool) -> None:
    summary = reference.summary
    whole = reference.layout.segments.index(WHOLE)
    counts = summary.cells("classes")[whole]
    labels = (*reference.layout.block("classes").labels, "(other)")
    known = int(summary.cells("confidence")[whole, :-1].sum())
    mean = float(summary.total("confidence", "confidence")[whole]) / UNIT / known if known else None
    shares = {label: int(count) / max(1, int(counts.sum())) for label, count in zip(labels, counts, strict=True)}
    events = int(summary.events[whole])
    if as_json:
        tolerances = [{name: _or_none(value) for name, value in asdict(each).items()} for each in told]
        values = {"model": title, "events": events, "mean_confidence": mean, "classes": shares, "hour": hour}
        typer.echo(json.dumps({**values, "tolerances": tolerances}))
        return
    confidence = "unknown" if mean is None else f"{mean:.4f}"
    typer.echo(clean(f"{title}: {events:,} events ({reference.source}), mean confidence {confidence}"))
    if reference.season is not None:
        typer.echo(f"in hour {hour} of {reference.hours} (UTC; of another: --hour):")
    print_table(
        ("component", "monitor", "reference", "tolerance", "bound", "from", "design effect", "warning"),
        [
            (
                each.component,
                each.monitor,
                f"{each.reference:.4f}",
                f"{each.tolerance:.4f}",
                "" if each.origin == UNWATCHED else f"{each.bound:.4f}",
                each.origin,
                f"{each.design_effect:.2f}" if each.measured else "not known yet",
                each.warning,
            )
            for each in told
        ],
        empty="",
    )


@app.command()
def diff(
    context: typer.Context,
    before: Annotated[int, typer.Argument(help="The number of one reference.")],
    after: Annotated[int, typer.Argument(help="The number of the other.")],
    segment: Annotated[str, typer.Option(help="Compare this segment, such as region=eu.")] = WHOLE,
    as_json: AsJson = False,
) -> None:
    """Show what differs between two references, what differs most first.

    Example: strandline reference diff 12 17
    """
    with open_database(context) as connection:
        _, one_model, one_version, one = _one(connection, before)
        _, other_model, other_version, other = _one(connection, after)
    for number, each in ((before, one), (after, other)):
        if segment not in each.layout.segments:
            raise NotFound(f"segment {segment!r} in reference {number}")
    found = compared(one, other, segment)
    if as_json:
        typer.echo(json.dumps({"before": before, "after": after, **asdict(found)}))
        return
    typer.echo(clean(f"{before}: {_title(one_model, one_version)}, {one.summary.events[0]:,} events ({one.source})"))
    typer.echo(
        clean(f"{after}: {_title(other_model, other_version)}, {other.summary.events[0]:,} events ({other.source})")
    )
    rows = [(each.component, each.monitor, each.before, each.after) for each in found.differences]
    print_table(("component", "monitor", "before", "after"), rows, empty="Nothing differs but by chance.")
    for what, fields in (
        (f"only in {before}", found.gone),
        (f"only in {after}", found.new),
        ("not compared, other edges or values", found.not_comparable),
    ):
        if fields:
            typer.echo(clean(f"{what}: {', '.join(fields)}"))


@app.command()
def accept(
    context: typer.Context,
    model: Annotated[str, typer.Option(help="The model whose present behaviour is right.")],
    version: Annotated[str | None, typer.Option(help="Its version; default: the newest one known.")] = None,
    windows: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="Of the last so many windows; default: since what fires now began."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Accept what a model does now as its new normal: alarms that fire end, and it is compared with that.

    The reference is made of the windows since the change that fires now began. Older ones stay as they are.

    Example: strandline reference accept --model digits
    """
    of = settings_of(context).of(model)
    seconds, season = of.window_seconds, of.season
    with open_database(context) as connection:
        found = accepting.accept(connection, model, version, windows=windows, season=season)
    events = int(found.reference.summary.events[0])
    since, until = (datetime.fromtimestamp(window * seconds, UTC) for window in (found.first, found.last + 1))
    if as_json:
        print_json(
            {
                "reference": found.number,
                "model": model,
                "version": found.version,
                "windows": found.reference.windows,
                "events": events,
                "since": since,
                "until": until,
            }
        )
        return
    typer.echo(
        clean(
            f"reference {found.number} of {_title(model, found.version)}: {events:,} events of "
            f"{found.reference.windows} windows, {when(since)} to {when(until)}; in force, and what fires ends, "
            "when the next window is closed"
        )
    )


def _or_none(value: object) -> object:
    """Return a value as JSON can write it."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _one(connection: Connection, number: int) -> tuple[ControlRecord, str, str, Reference]:
    for found in _all(connection):
        if found[0].id == number:
            return found
    raise NotFound(f"reference {number}; see: strandline reference list")


def _all(connection: Connection) -> list[tuple[ControlRecord, str, str, Reference]]:
    records = Controls(("reference",)).refresh(connection)
    names = {cohort_id: (model, version) for cohort_id, model, version in cohorts.list_all(connection)}
    return [
        (record, *names[record.cohort_id], Reference.from_bytes(uncompress(record.body)))
        for record in records
        if record.cohort_id is not None
    ]


def _title(model: str, version: str) -> str:
    return f"{model} version {version}" if version else model
