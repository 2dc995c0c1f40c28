"""``strandline alerts``: what changed, since when, and how sure that is."""

from dataclasses import asdict
from typing import Annotated

import typer

from daemon.cli.context import clean, open_database, print_json, print_table, settings_of, when
from daemon.cli.names import check_model, check_name
from sinks import incidents
from sinks.errors import NotFound
from sinks.messages import describe, iso

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What changed, since when, and how sure that is.")

_PIPELINE = "(pipeline)"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command("list")
def list_all(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Only incidents of this model.")] = None,
    state: Annotated[str | None, typer.Option(help="Only those that are firing, or resolved.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List incidents: open ones first, then the newest. What fires together on a model is one incident.

    Example: strandline alerts list --state firing
    """
    check_name("--state", state, ("firing", "resolved"))
    with open_database(context) as connection:
        check_model(connection, settings_of(context), model)
        found = incidents.list_incidents(connection, model=model, state=state, limit=limit)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    print_table(
        ("incident", "state", "severity", "model", "what", "opened", "resolved"),
        (
            (each.id, each.state, each.severity, each.model or _PIPELINE, each.title, each.opened_at, each.resolved_at)
            for each in found
        ),
        empty="No incident: nothing changed, as far as the evidence goes.",
    )


@app.command()
def show(
    context: typer.Context,
    incident: Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="Its number, from `strandline alerts list`.")],
    as_json: AsJson = False,
) -> None:
    """Show an incident: the evidence, what happened when, and who was told.

    Example: strandline alerts show 3
    """
    with open_database(context) as connection:
        story = incidents.story(connection, incident)
    if story is None:
        raise NotFound(f"Incident {incident}; `strandline alerts list` shows those there are.")
    if as_json:
        print_json(asdict(story))
        return
    head = story.incident
    lines = [
        f"incident {head.id} · {head.model or _PIPELINE} · {head.state} · {head.severity}",
        head.title,
        f"opened {when(head.opened_at)}" + (f", resolved {when(head.resolved_at)}" if head.resolved_at else ""),
        "",
    ]
    for alert in story.alerts:
        ended = f", ended {iso(alert.ends_us)}" if alert.state == "resolved" and alert.ends_us is not None else ""
        lines += [f"[{alert.state}{ended}] {describe(alert)}", ""]
    lines.append("what happened:")
    lines += [f"  {when(each.at)}  {each.state:8}  {each.title}" for each in story.transitions]
    lines.append("who was told:")
    for sent in story.deliveries:
        outcome = f"delivered {when(sent.delivered_at)}" if sent.delivered_at else "waiting"
        error = f" ({sent.attempts} attempts; {sent.last_error})" if sent.last_error else ""
        lines.append(f"  {sent.route}: {outcome}{error}")
    typer.echo(clean("\n".join(lines)))
