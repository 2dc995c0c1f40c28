"""``strandline reference``: what each model is compared with."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from daemon import references
from daemon.cli.context import clean, open_database, print_table, settings_of
from detectors.columns import UNIT
from detectors.layout import WHOLE
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
                "effective_from": None if record.effective_from == ALWAYS else record.effective_from,
            }
            for record, model, version, reference in _all(connection)
        ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    columns = ("reference", "model", "version", "source", "events", "segments", "from window")
    print_table(columns, [tuple(row.values()) for row in rows], empty="No reference yet; the models learn theirs.")


@app.command()
def show(
    context: typer.Context,
    reference: Annotated[int, typer.Argument(help="Its number, from `strandline reference list`.")],
    as_json: AsJson = False,
) -> None:
    """Show what a reference holds: confidence and the share of each class.

    Example: strandline reference show 12
    """
    with open_database(context) as connection:
        for record, model, version, found in _all(connection):
            if record.id == reference:
                _show(_title(model, version), found, as_json=as_json)
                return
    raise NotFound(f"reference {reference}; see: strandline reference list")


def _show(title: str, reference: Reference, *, as_json: bool) -> None:
    summary = reference.summary
    whole = reference.layout.segments.index(WHOLE)
    counts = summary.cells("classes")[whole]
    labels = (*reference.layout.block("classes").labels, "(other)")
    known = int(summary.cells("confidence")[whole, :-1].sum())
    mean = float(summary.total("confidence", "confidence")[whole]) / UNIT / known if known else None
    shares = {label: int(count) / max(1, int(counts.sum())) for label, count in zip(labels, counts, strict=True)}
    events = int(summary.events[whole])
    if as_json:
        typer.echo(json.dumps({"model": title, "events": events, "mean_confidence": mean, "classes": shares}))
        return
    confidence = "unknown" if mean is None else f"{mean:.4f}"
    typer.echo(clean(f"{title}: {events:,} events ({reference.source}), mean confidence {confidence}"))
    rows = [(label, f"{share:.4f}") for label, share in sorted(shares.items(), key=lambda item: -item[1])]
    print_table(("class", "share"), rows, empty="")


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
