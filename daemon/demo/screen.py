"""The live screen: what comes in, how sure the model is, what fired, what waits for a label."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from daemon.demo.story import INJECTED, LENGTH, clock, under_way
from daemon.demo.view import Alarm, View
from daemon.demo.words import alarm_lines, commands, heading, moved, place, sentence

__all__ = ["HEIGHT", "WIDTH", "draw"]

WIDTH, HEIGHT = 80, 24
"""The smallest terminal that it fits in."""
_LEVELS = "▁▂▃▄▅▆▇█"
_LONGEST_BAR = 20
_QUEUE_BAR = 30
_BESIDE_LINE, _BESIDE_BAR = 20, 21
"""Columns that names and figures take."""
_LEAST_RANGE = 0.1
_USUAL_WINDOWS = 20
_STYLES = {"blur": "yellow", "unseen": "magenta"}
_SHORT = {"blur": "blur ", "unseen": "eights "}
_FRAME = 4
_LEFT, _RIGHT = 4, 5
"""How the width is shared."""
_HEIGHT_WITH_PICTURES = 34
_MOVED = 0.03
"""A share that is so far from the usual one is coloured."""
_FULL_SHARE = 0.3


def draw(view: View, config: Path, width: int, height: int) -> Layout:
    """Return the screen, of ``width`` columns and ``height`` lines, for the state of things."""
    layout = Layout()
    inside = width * _LEFT // (_LEFT + _RIGHT) - _FRAME
    layout.split_column(Layout(_story(view, width), size=5), Layout(name="body"), Layout(_footer(config), size=4))
    layout["body"].split_row(Layout(name="left", ratio=_LEFT), Layout(name="right", ratio=_RIGHT))
    digits = Layout(_digits(view, inside))
    left = [Layout(_traffic(view, inside), size=8), digits]
    if height >= _HEIGHT_WITH_PICTURES:
        digits.size = len(_digit_names(view)) + 2
        left.append(Layout(_samples(view)))
    layout["left"].split_column(*left)
    layout["right"].split_column(Layout(_alarms(view)), Layout(_incidents(view), size=4), Layout(_queue(view), size=5))
    return layout


def _panel(title: str, body: RenderableType, style: str = "bright_black", right: str = "") -> Panel:
    return Panel(
        body,
        title=f"[bold]{title}[/bold]",
        title_align="left",
        subtitle=right or None,
        subtitle_align="right",
        border_style=style,
        box=box.ROUNDED,
        padding=(0, 1),
    )


def _story(view: View, width: int) -> Panel:
    """Draw the story as a line, two columns a window where there is room."""
    step = 2 if width >= 2 * LENGTH + _FRAME else 1
    fired = {alarm.window for alarm in view.alarms if alarm.state == "firing"}
    ended = {alarm.window for alarm in view.alarms if alarm.state == "resolved"}
    line, marks = Text(), Text()
    for window in range(LENGTH):
        change = under_way(window)
        style = "green" if change is None else _STYLES[change.name]
        closed = window < view.windows
        line.append(("━" if closed else "╌") * step, style if closed else "bright_black")
        mark, colour = ("▲", "bold red") if window in fired else ("✓" if window in ended else " ", "bold green")
        marks.append(mark.ljust(step), colour)
    names = Text()
    for change in INJECTED:
        names.append("healthy".ljust(change.first * step - len(names)), "green")
        names.append(_SHORT[change.name].ljust((change.end - change.first) * step), _STYLES[change.name])
    names.append("healthy", "green")
    change = under_way(view.windows)
    now = "all is well" if change is None else change.title
    time = clock(view.time_us(0) if view.high_us is None else view.high_us)
    below = f"▲ fired  ✓ resolved   now: [bold]{now}[/bold]   event time [bold]{time}[/bold]"
    return _panel(f"Strandline[/bold]: {heading()}[bold]", Group(names, line, marks), "blue", below)


def _traffic(view: View, width: int) -> Panel:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, ratio=1)
    table.add_column(no_wrap=True, justify="right")
    known = [value for each in view.closed for value in each.confidence.values()]
    high = max(known, default=1.0)
    low = min([*known, high - _LEAST_RANGE])
    segments = list(view.closed[-1].confidence) if view.closed else []
    for segment in segments:
        line = Text()
        for window in view.closed[-max(1, width - _BESIDE_LINE) :]:
            firing = window.statuses.get(("confidence", segment)) == "firing"
            value = window.confidence.get(segment)
            level = 0 if value is None else round((value - low) / (high - low) * (len(_LEVELS) - 1))
            line.append(_LEVELS[level], "red" if firing else "green")
        latest = view.closed[-1].confidence[segment]
        style = "bold red" if view.status("confidence", segment) == "firing" else "bold"
        table.add_row(segment or "whole model", line, Text(f"{latest:.3f}", style))
    figures = Text.assemble(
        (f"{view.rate:,.0f}", "bold"),
        " events/s   ",
        (f"{view.events:,}", "bold"),
        " read   ",
        (f"{view.windows}", "bold"),
        " windows closed",
    )
    monitors = Text.assemble("monitors: ", *_states(view))
    return _panel("Mean confidence", Group(figures, monitors, Text(), table))


def _states(view: View) -> list[tuple[str, str]]:
    colours = {"firing": "bold red", "ok": "green", "calibrating": "yellow"}
    found = [(monitor, view.status(monitor)) for monitor in ("confidence", "classes")]
    return [(f"{monitor} {status}  ", colours.get(status, "bright_black")) for monitor, status in found]


def _digit_names(view: View) -> list[str]:
    return list(view.closed[-1].shares) if view.closed else []


def _digits(view: View, width: int) -> Panel:
    table = Table.grid(padding=(0, 1))
    usual = view.closed[:_USUAL_WINDOWS]
    longest = min(_LONGEST_BAR, max(1, width - _BESIDE_BAR))
    for label in _digit_names(view):
        share = view.closed[-1].shares[label]
        before = sum(each.shares.get(label, 0.0) for each in usual) / len(usual)
        unusual = abs(share - before) > _MOVED
        bar = "█" * min(longest, round(share / _FULL_SHARE * longest))
        table.add_row(
            Text(label, "bold"),
            Text(bar.ljust(longest), "magenta" if unusual else "cyan"),
            Text(f"{share:5.1%}", "bold magenta" if unusual else ""),
            Text(f"was {before:.1%}", "bright_black"),
        )
    return _panel("Predicted digits", table)


def _samples(view: View) -> Panel:
    """Show what a labeler will be shown: two lines of pixels in each line of text."""
    table = Table.grid(padding=(0, 2))
    table.add_row(*(_picture(sample.picture) for sample in view.samples))
    table.add_row(
        *(Text.assemble((f"{sample.prediction}?", "bold"), f" {sample.confidence:.0%}") for sample in view.samples)
    )
    return _panel("Queued last, and what the model thinks it is", table)


def _picture(grey: NDArray[np.uint8]) -> Text:
    picture = Text()
    for upper, lower in zip(grey[::2].tolist(), grey[1::2].tolist(), strict=True):
        for above, below in zip(upper, lower, strict=True):
            picture.append("▀", f"rgb({above},{above},{above}) on rgb({below},{below},{below})")
        picture.append("\n")
    picture.rstrip()
    return picture


def _alarms(view: View) -> Panel:
    lines = []
    # Newest first; of one window the whole model first, and what fired before what ended.
    for alarm in sorted(view.alarms, key=lambda each: (-each.window, each.state, each.segment, each.id)):
        lines += _alarm(view, alarm)
    if not lines:
        lines = [Text("None so far.", "bright_black")]
    firing = any(incident.state == "firing" for incident in view.incidents)
    return _panel("Alerts", Group(*lines), "red" if firing else "bright_black")


def _alarm(view: View, alarm: Alarm) -> list[Text]:
    at = clock(view.time_us(alarm.window + 1))
    if alarm.state == "resolved":
        told = f"resolved: {sentence(alarm)}, {place(alarm)}"
        return [_line(Text.assemble(("✓ ", "bold green"), f"{at} ", (told, "green")))]
    first = _line(Text.assemble(("▲ ", "bold red"), f"{at} ", (sentence(alarm), "bold red")))
    if alarm.segment:
        return [_line(Text.assemble(("▲ ", "red"), f"{at} ", (moved(alarm), "red")))]
    return [first, *(_line(Text("        " + line, "default")) for line in alarm_lines(alarm))]


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _incidents(view: View) -> Panel:
    lines = []
    for incident in view.incidents[:2]:
        style = "bold red" if incident.state == "firing" else "green"
        title = incident.title.split(": ", 1)[-1].replace("(and ", "+").removesuffix(")")
        page = " page" if incident.severity == "page" else ""
        lines.append(_line(Text.assemble(f"#{incident.id} ", (f"{incident.state}{page}: ", style), title)))
    return _panel("Incidents", Group(*lines) if lines else Text("None.", "bright_black"))


def _queue(view: View) -> Panel:
    table = Table.grid(padding=(0, 1))
    most = max(view.queue.values(), default=1)
    for reason, count in sorted(view.queue.items(), key=lambda item: -item[1]):
        bar = "█" * max(1, round(count / max(most, 200) * _QUEUE_BAR))
        table.add_row(reason, Text(f"{count:4,}", "bold"), Text(bar, "blue"))
    return _panel(f"To be labelled: {sum(view.queue.values()):,}", table)


def _footer(config: Path) -> Panel:
    lines = [Text(command, "cyan", no_wrap=True, overflow="ellipsis") for command in commands(config)]
    return _panel("Try it in another terminal; Ctrl-C ends", Group(*lines), "blue")
