"""``strandline replay``: what the service would have read, and when it would have alarmed."""

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from daemon.cli.context import choose_config, clean, print_json, print_table, when
from daemon.replay import reports, running
from daemon.replay.page import page, plotly_script
from daemon.replay.reports import Alarm, Line, VersionReport
from daemon.replay.store import Store
from daemon.settings import MICROSECONDS, Settings, load
from sinks.errors import BadData

__all__ = ["replay"]

_FOREVER = 2**62
_TOPIC = "topic:"
_SHOWN_BYTES = 200
_SHOWN_PLACES = 3
_NOTABLE_LATE = 0.001


def replay(
    context: typer.Context,
    data: Annotated[
        list[str],
        typer.Argument(help="Files: .jsonl or .ndjson, also with .gz or .zst behind, .csv or .parquet; or topic:NAME."),
    ],
    model: Annotated[
        list[str] | None, typer.Option(help="Only this model; for several, several times.", metavar="NAME")
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL=FILE",
            help="Start from the reference that this file makes. Default: as the service does, it is learnt.",
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting, such as detection.for_windows=2."),
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="Leave out windows that begin before (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Leave out windows that end after (UTC).")] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it into this page: pip install 'strandline[html]'.")
    ] = None,
    readings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every reading there, a line of JSON each; - for here.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Processes that count; default: one a core.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where to keep how far it came, so that it can go on.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Play history through the detectors as the service would, and tell every alarm.

    Nothing is read from or written to the database. Try settings on what has
    happened before they go live: --set 'model.*.false_alarms=1 per 7 days'.
    With --html or --state Ctrl-C loses nothing: the same command goes on.

    Example: strandline replay march.jsonl --model digits --html march.html
    """
    root = context.find_root()
    settings = root.obj = load(choose_config(root.obj), given=given or ())
    models = frozenset(model or ())
    topics = [each.removeprefix(_TOPIC) for each in data if each.startswith(_TOPIC)]
    if topics and len(data) > 1:
        raise BadData(f"{_TOPIC}{topics[0]}: expected one topic, or files")
    plan = running.Plan(
        () if topics else tuple(map(Path, data)),
        models,
        _references(reference or (), models),
        (_us(since, -_FOREVER), _us(until, _FOREVER)),
        jobs or os.cpu_count() or 1,
        "".join(topics),
    )
    if html is not None:
        # What is missing is told before the work, not after it.
        plotly_script()
        state = state or html.with_name(f"{html.name}.state")
    try:
        with _folder(state) as folder:
            with _progress() as (begun, taken):
                store = running.run(settings, plan, folder, begun=begun, taken=taken)
            with store:
                if html is not None:
                    html.write_text(page(settings, store, _title(plan)), encoding="utf-8")
                _tell(settings, store, plan, readings, as_json=as_json)
    except KeyboardInterrupt:
        if state is not None:
            typer.echo(f"interrupted; the same command goes on from {state}", err=True)
        raise


def _title(plan: running.Plan) -> str:
    names = ", ".join(Path(each).name for each in plan.places[:_SHOWN_PLACES])
    more = len(plan.places) - _SHOWN_PLACES
    return f"Replay of {names}" + (f" and {more} more" if more > 0 else "")


def _references(given: Sequence[str], models: frozenset[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for each in given:
        name, sign, path = each.partition("=")
        if not sign and len(models) == 1:
            [name], path = models, each
        if not name or not path:
            raise BadData(f"--reference {each}: expected MODEL=FILE, or FILE beside one --model")
        found[name] = Path(path)
    return found


def _us(time: datetime | None, otherwise: int) -> int:
    return otherwise if time is None else round(time.replace(tzinfo=UTC).timestamp() * MICROSECONDS)


@contextmanager
def _folder(state: Path | None) -> Iterator[Path]:
    """Give a folder for the state; it goes once all is told, and stays where a named one was interrupted."""
    if state is None:
        with tempfile.TemporaryDirectory(prefix="strandline-replay-") as folder:
            yield Path(folder)
        return
    yield state
    running.forget(state)


@contextmanager
def _progress() -> Iterator[tuple[Callable[[int | None, int], None], Callable[[int], None]]]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replaying", total=None)
        yield (
            lambda whole, done: progress.update(task, total=whole, completed=done),
            lambda more: progress.advance(task, more),
        )


def _tell(settings: Settings, store: Store, plan: running.Plan, readings: Path | None, *, as_json: bool) -> None:
    found = reports.report(settings, store)
    rejected = [
        {
            "reason": reason,
            "count": each.count,
            "place": f"{plan.topic}/{stream} at offset {each.offset}"
            if plan.topic
            else f"{plan.files[stream]} at byte {each.offset}",
            "detail": each.detail,
            "value": None if each.value is None else each.value[:_SHOWN_BYTES].decode(errors="replace"),
        }
        for reason, stream, each in store.rejected()
    ]
    if readings is not None:
        _write_readings(readings, reports.readings(settings, store))
    if as_json:
        print_json({"versions": [_plain(asdict(each)) for each in found], "rejected": rejected})
        return
    for each in found:
        _print(each)
    if not found:
        typer.echo("No event was counted.")
    if rejected:
        typer.echo("\nNot usable:\n")
        names = ("reason", "count", "place", "detail")
        print_table(names, [[each[name] for name in names] for each in rejected], empty="")


def _write_readings(path: Path, rows: Iterator[dict[str, object]]) -> None:
    lines = (json.dumps(_plain(row), ensure_ascii=False) for row in rows)
    if str(path) == "-":
        for line in lines:
            typer.echo(line)
        return
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def _print(found: VersionReport) -> None:
    title = f"{found.model} version {found.version}" if found.version else found.model
    typer.echo(clean(f"{title}: {found.events:,} events in {found.windows:,} windows, {_span(found)}"))
    if found.late > _NOTABLE_LATE * (found.events + found.late):
        typer.echo(
            f"  {found.late:,} came late and are in no reading: are the events in the order in which they were sent?"
        )
    typer.echo(
        f"  budget: {found.budget}, which is {_figure(found.allowed)} in this time; at most {_figure(found.spent)}"
        f" of it was spent. Alarms: {len(found.alarms)}\n"
    )
    if found.alarms:
        columns = ("fired", "monitor", "segment", "what", "before", "after", "since", "over")
        print_table(columns, [_alarm(each) for each in found.alarms], empty="")
        typer.echo("")
    figures = ("monitor", "segment", "windows", "least", "median", "greatest", "closest to alarm", "at", "alarms")
    print_table(figures, [_line(each) for each in found.lines], empty="nothing was read")
    typer.echo("")


def _alarm(alarm: Alarm) -> tuple[object, ...]:
    what = f"{alarm.component} (calibrating)" if alarm.calibrating else alarm.component
    over = None if alarm.over_us is None else _time(alarm.over_us)
    times = _time(alarm.fired_us), _time(alarm.since_us)
    return times[0], alarm.monitor, alarm.segment, what, alarm.before, alarm.after, times[1], over


def _line(line: Line) -> tuple[object, ...]:
    estimates = [None if math.isnan(each) else each for each in line.estimates]
    closest = f"{line.closest:.0%}" if line.watched else "learning"
    if line.failed:
        closest = f"failed in {line.failed:,} windows"
    at = None if line.closest_us is None else _time(line.closest_us)
    return line.monitor, line.segment, line.readings, *estimates, closest, at, line.alarms or None


def _span(found: VersionReport) -> str:
    return f"{when(_time(found.first_us))} to {when(_time(found.last_us))}"


def _time(us: int) -> datetime:
    return datetime.fromtimestamp(us / MICROSECONDS, UTC)


def _figure(value: float) -> str:
    return f"{value:.2g}"


def _plain(value: object) -> object:
    """Return a value with null for numbers that are not known."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {key: _plain(inside) for key, inside in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inside) for inside in value]
    return value
