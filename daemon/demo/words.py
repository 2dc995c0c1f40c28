"""What the demo says: the same facts for the live screen, for plain lines, and for the tables at the end."""

import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from daemon.demo.story import Outcome, clock, false_alarms, judge
from daemon.demo.view import Alarm, View

__all__ = ["REASONS", "alarm_lines", "commands", "heading", "moved", "place", "print_summary", "sentence", "verdict"]

REASONS = {
    "uniform": "a random sample, for an honest accuracy",
    "uncertainty": "the model was unsure",
    "never_seen": "first of its kind",
}
_DIGITS = 3


def sentence(alarm: Alarm) -> str:
    """Return what an alarm is about: the alert's title without the model, which is always the same here."""
    if alarm.state == "resolved":
        return str(alarm.evidence["component"]).removesuffix(" rising").removesuffix(" falling")
    return str(alarm.evidence["title"]).split(": ", 1)[-1]


def moved(alarm: Alarm) -> str:
    """Return an alarm in the fewest words: what moved from where to where, in which segment."""
    subject = str(alarm.evidence["component"]).removesuffix(" rising").removesuffix(" falling")
    before, after = (_figure(alarm.evidence[key]) for key in ("before", "after"))
    return f"{subject} {before} → {after} in {place(alarm)}"


def place(alarm: Alarm) -> str:
    """Return where: a segment, or the whole model."""
    return alarm.segment or "whole model"


def alarm_lines(alarm: Alarm) -> list[str]:
    """Return an alarm's evidence: before → after, since when, how sure."""
    evidence = alarm.evidence
    before, after, low, high = (_figure(evidence[key]) for key in ("before", "after", "low", "high"))
    figures = f"{before} → {after} (95 % {low} to {high}), {place(alarm)}"
    times = f"since {_hours(evidence['since'])}, noticed {_hours(evidence['seen'])}"
    return [figures, times, _sure(evidence["sureness"])]


def heading() -> str:
    """Return what the demo is, in a line."""
    return "a model that reads digits from two cameras, and has never seen an 8"


def commands(config: Path) -> list[str]:
    """Return what to type in another terminal, ready to be copied."""
    # The shell knows what ~ is, as long as it is not quoted.
    path = str(config)
    if config.is_relative_to(Path.home()) and shlex.quote(path) == path:
        path = f"~/{config.relative_to(Path.home())}"
    else:
        path = shlex.quote(path)
    start = f"{_program()} --config {path}"
    return [f"{start} queue next", f"{start} alerts list"]


def verdict(view: View) -> list[str]:
    """Return what went wrong with the demo; nothing if every change, and nothing before, was noticed."""
    missed = [
        f"not noticed within five windows: {outcome.change.title}"
        for outcome in judge(view.fired())
        if outcome.noticed is None
    ]
    early = [
        f"fired at {clock(view.time_us(alarm.window + 1))}, before anything was wrong: {alarm.title}"
        for alarm in false_alarms(view.fired())
    ]
    return missed + early


def print_summary(console: Console, view: View, config: Path, seed: int, *, leaving: bool = False) -> None:
    """Print the end of the story: injected and noticed, what waits for a label, what to type next."""
    faults = verdict(view)
    for part in ("", _noticed_table(view), "", _queue_table(view), ""):
        console.print(part)
    told = f"{view.events:,} events in {view.windows} windows, seed {seed}"
    for fault in faults:
        console.print(Text(f"✗ {fault}", "bold red"))
    if not faults:
        told = f"both changes were noticed, and nothing fired before the first: {told}"
    console.print(Text.assemble(("" if faults else "✓ ", "bold green"), told))
    when = "While the demo runs (it stays up without --exit), in another terminal" if leaving else "In another terminal"
    console.print(Text(f"\nType next. {when}:", "bold"))
    for command in commands(config):
        # Not broken into lines: it is to be copied.
        console.print(Text(f"  {command}", "cyan"), soft_wrap=True)


def _noticed_table(view: View) -> Table:
    table = Table(
        title="What was injected, and what was noticed", title_justify="left", title_style="bold", expand=True
    )
    for column in ("injected", "at", "noticed", "after", "as"):
        table.add_column(column, no_wrap=column in {"at", "noticed", "after"})
    for outcome in judge(view.fired()):
        table.add_row(*_noticed_row(view, outcome))
    return table


def _noticed_row(view: View, outcome: Outcome) -> list[Text]:
    change, alarm, delay = outcome.change, outcome.noticed, outcome.delay
    row = [Text(change.title), Text(f"{clock(view.time_us(change.first))}, window {change.first + 1}")]
    if alarm is None or delay is None:
        return [*row, Text("no", style="bold red"), Text("–"), Text("–")]
    return [
        *row,
        Text(clock(view.time_us(alarm.window + 1)), style="green"),
        Text(f"{delay} window" + ("s" if delay > 1 else ""), style="green"),
        Text(alarm.title.split(": ", 1)[-1]),
    ]


def _queue_table(view: View) -> Table:
    table = Table(title="What waits for a label", title_justify="left", title_style="bold", expand=True)
    table.add_column("samples", justify="right")
    table.add_column("picked because", ratio=1)
    for reason, count in sorted(view.queue.items(), key=lambda item: -item[1]):
        table.add_row(f"{count:,}", f"{reason}: {REASONS[reason]}" if reason in REASONS else reason)
    table.add_row(f"{sum(view.queue.values()):,}", f"of {view.events:,} events", style="bold")
    return table


def _program() -> str:
    """Return how this program was called, so that the commands work where it was."""
    called = Path(sys.argv[0])
    if called.name != "strandline":
        return f"{shlex.quote(sys.executable)} -m daemon"
    found = shutil.which("strandline")
    if found is not None and Path(found).resolve() == called.resolve():
        return "strandline"
    absolute = called.absolute()
    here = Path.cwd()
    return shlex.quote(str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute))


def _figure(value: object) -> str:
    return f"{value:.{_DIGITS}f}" if isinstance(value, float) else "?"


def _hours(time: str) -> str:
    return time[11:16]


def _sure(sureness: str) -> str:
    return sureness.split(" (", 1)[0].removeprefix("expected ") if sureness else ""
