"""``strandline queue``: work through what is worth a label."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from daemon.cli.context import clean, invocation, open_database, person, print_json, print_table, settings_of, when
from daemon.cli.names import check_model, check_name
from daemon.cli.progress import waiting
from daemon.labels import check_label
from daemon.lookup import event_of
from daemon.settings import ModelSettings
from sinks import queue
from sinks.errors import NotFound
from sinks.queue import Item, Settled

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Work through the samples most worth a label.")

_REASONS = {
    "never_seen": "the model predicts something it has never predicted before",
    "uncertainty": "the model was unsure, compared with its other events",
    "uniform": "a random sample, to measure how well the model does",
}
_PAYLOAD_SHOWN = 4000
_LARGEST = 2**63 - 1

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Model = Annotated[str | None, typer.Option("--model", help="Only items of this model.")]
Token = Annotated[str, typer.Argument(help="The lease's token, as `strandline queue next` shows it.")]
Who = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who answers; default: the system's user.")]


@app.command("list")
def list_items(
    context: typer.Context,
    model: Model = None,
    state: Annotated[str | None, typer.Option(help=f"Only items that are {', '.join(queue.STATES)}.")] = None,
    reason: Annotated[str | None, typer.Option(help=f"Only items picked for: {', '.join(_REASONS)}.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    before: Annotated[
        int | None, typer.Option(min=1, max=_LARGEST, help="Only items older than this one, for the next page.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List items, the newest first.

    Example: strandline queue list --model digits --state pending
    """
    check_name("--state", state, queue.STATES)
    check_name("--reason", reason, _REASONS)
    with open_database(context) as connection:
        check_model(connection, settings_of(context), model)
        items = queue.list_items(connection, model=model, state=state, reason=reason, limit=limit, before=before)
        labels = queue.labels_of(connection, [item.id for item in items])
    if as_json:
        print_json([{**_public(item), "label": labels.get(item.id)} for item in items])
        return
    print_table(
        ("item", "model", "event", "reason", "predicted", "confidence", "probability", "state", "label", "by", "day"),
        (
            (
                item.id, item.model, item.event_id, item.reason, item.prediction, item.confidence, item.propensity,
                item.state, labels.get(item.id), item.leased_by, item.day,
            )
            for item in items
        ),
        empty="Nothing in the queue fits.",
    )  # fmt: skip


@app.command("next")
def next_item(
    context: typer.Context,
    model: Model = None,
    who: Who = None,
    lease: Annotated[int, typer.Option(min=1, max=604_800, help="Seconds for which nobody else gets it.")] = 900,
    as_json: AsJson = False,
) -> None:
    """Take the next item: what the model thought, why it was picked, and how to answer.

    Example: strandline queue next --model digits --as ada
    """
    with open_database(context) as connection:
        check_model(connection, settings_of(context), model)
        items = queue.claim(connection, n=1, who=person(who, "--as"), lease_seconds=lease, model=model)
    if items:
        _show(context, items[0], who, as_json=as_json)
    elif as_json:
        print_json(None)
    else:
        typer.echo("Nothing waits for a label. What is leased to others comes back if they do not answer.")


@app.command()
def show(
    context: typer.Context,
    item: Annotated[int, typer.Argument(min=1, max=_LARGEST, help="Its number, from `strandline queue list`.")],
    as_json: AsJson = False,
) -> None:
    """Show an item with its event, whatever its state; takes nothing from anybody.

    Example: strandline queue show 17
    """
    with open_database(context) as connection:
        found = queue.find(connection, item)
        labels = queue.labels_of(connection, [item])
    if found is None:
        raise NotFound(f"Item {item}; `strandline queue list` shows those there are.")
    _show(context, found, None, as_json=as_json, label=labels.get(item))


@app.command()
def label(
    context: typer.Context,
    token: Token,
    value: Annotated[str, typer.Argument(help="The right answer.")],
    who: Who = None,
    note: Annotated[str | None, typer.Option(help="Something worth remembering about this item.")] = None,
    new_class: Annotated[
        bool, typer.Option("--new-class", help="It is meant, though the model has no class of this name.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Answer an item. Doing it twice does no harm.

    Where the model's classes are configured or learnt, it has to be one of
    them, the prediction, or a label that was given before.

    Example: strandline queue label 17-0d9f… 8 --note "badly written"
    """
    with open_database(context) as connection:
        if not new_class:
            check_label(connection, settings_of(context), token, value)
        settled = queue.label(connection, token, value=value, who=person(who, "--as"), note=note)
    _report(settled, as_json=as_json)


@app.command()
def skip(context: typer.Context, token: Token, who: Who = None, as_json: AsJson = False) -> None:
    """Pass over an item that cannot be answered; it is not served again.

    Example: strandline queue skip 17-0d9f…
    """
    with open_database(context) as connection:
        settled = queue.skip(connection, token, who=person(who, "--as"))
    _report(settled, as_json=as_json)


@app.command()
def stats(context: typer.Context, model: Model = None, as_json: AsJson = False) -> None:
    """Show how full the queue is, by model, reason and state.

    Example: strandline queue stats --model digits
    """
    with open_database(context) as connection:
        check_model(connection, settings_of(context), model)
        rows = queue.stats(connection, model=model)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    print_table(
        ("model", "reason", "state", "items", "oldest", "settled in the last day"),
        ((row.model, row.reason, row.state, row.count, row.oldest, row.settled_last_day) for row in rows),
        empty="The queue is empty: nothing has been picked yet.",
    )


def _show(context: typer.Context, item: Item, who: str | None, *, as_json: bool, label: str | None = None) -> None:
    """Print an item; its event is read from Kafka if only its place was kept."""
    with waiting("reading the event"):
        event, missing = event_of(settings_of(context), item)
    item = replace(item, event=event)
    own = settings_of(context).of(item.model)
    if as_json:
        print_json({**_public(item), "event_missing": missing or None, **({} if item.token else {"label": label})})
    else:
        typer.echo(_shown(item, who, invocation(context), missing, label, own))


def _public(item: Item) -> dict[str, Any]:
    found = asdict(item)
    event = found.pop("event")
    found["event"] = None if event is None else _event(event)
    return found


def _event(event: bytes) -> object:
    try:
        return json.loads(event)
    except (ValueError, RecursionError):
        return event.decode(errors="replace")


def _shown(item: Item, who: str | None, start: str, missing: str, label: str | None, own: ModelSettings) -> str:
    """Return an item as a page of text. All of it comes from outside, so nothing in it may steer the terminal."""
    thought = item.prediction if item.prediction is not None else "(no prediction)"
    told = "confidence" if own.curve is None else "calibrated confidence"
    sure = "" if item.confidence is None else f", with a {told} of {item.confidence:.2f}"
    drawn = "picked for certain" if item.propensity is None else f"drawn with a probability of {item.propensity:.4g}"
    version = f" version {item.version}" if item.version else ""
    lines = [
        f"item {item.id} · {item.model}{version} · event {item.event_id} of {item.day}",
        "",
        f"  the model says   {thought}{sure}",
        f"  why this one     {_REASONS.get(item.reason, item.reason)} ({drawn})",
        f"  yours until      {when(item.lease_until)}" if item.token else f"  state            {_state(item, label)}",
        "",
        _payload(item, own.classes) if item.event is not None else f"  ({missing})",
    ]
    if item.token is None:
        return clean("\n".join(lines))
    given = "" if who is None else f" --as {shlex.quote(who)}"
    answer = shlex.quote(item.prediction) if item.prediction else "VALUE"
    commands = [
        f"  {start} queue label {item.token} {answer}{given}",
        f"  {start} queue skip {item.token}{given}",
    ]
    if item.prediction:
        commands[0] += "    # the model is right; else put the right answer there"
    return clean("\n".join([*lines, "", "To answer, or to pass over it:", "", *commands]))


def _state(item: Item, label: str | None) -> str:
    by = f" by {item.leased_by}" if item.leased_by else ""
    if item.state == "leased":
        return f"leased{by} until {when(item.lease_until)}"
    return f"{item.state}{by}" + (f": {label}" if label is not None else "")


def _payload(item: Item, classes: Sequence[str]) -> str:
    """Return the event as text; probabilities that came as an array with the names of their classes."""
    event = _event(item.event or b"")
    shares = event.get("probabilities") if isinstance(event, dict) else None
    if isinstance(event, dict) and isinstance(shares, list) and len(shares) == len(classes):
        event = {**event, "probabilities": dict(zip(classes, shares, strict=True))}
    text = event if isinstance(event, str) else json.dumps(event, indent=2, ensure_ascii=False)
    if len(text) > _PAYLOAD_SHOWN:
        text = f"{text[:_PAYLOAD_SHOWN]}\n… (the rest with --json)"
    if item.truncated:
        text += "\n(what was too large to keep is missing)"
    return "\n".join(f"  {line}" for line in text.splitlines())


def _report(settled: Settled, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(settled))
    elif settled.value is None:
        typer.echo(f"item {settled.item_id}: skipped")
    else:
        typer.echo(clean(f"item {settled.item_id}: {settled.value}, by {settled.who}"))
