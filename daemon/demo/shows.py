"""How the demo is shown: on a live screen, or in plain lines where there is no terminal."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from daemon.demo.screen import HEIGHT, WIDTH, draw
from daemon.demo.story import clock, under_way
from daemon.demo.view import View
from daemon.demo.words import alarm_lines, commands, place, print_summary, sentence

__all__ = ["LiveShow", "Picture", "PlainShow", "Show", "fits"]

_EVERY_WINDOWS = 5
_PICTURE_WIDTH, _PICTURE_HEIGHT = 122, 36


class Show(Protocol):
    """Shows the state of things whenever it is told that there may be news."""

    def update(self, view: View) -> None:
        """Show what is new."""
        ...


class LiveShow:
    """The whole terminal, drawn anew each time."""

    def __init__(self, live: Live, config: Path) -> None:
        self._live = live
        self._config = config

    def update(self, view: View) -> None:
        """See Show."""
        self._live.update(draw(view, self._config, *self._live.console.size), refresh=True)

    @classmethod
    @contextmanager
    def on(cls, console: Console, config: Path) -> Iterator["LiveShow"]:
        """Take the terminal over, and give it back as it was."""
        with Live(console=console, screen=True, auto_refresh=False) as live:
            yield cls(live, config)


class PlainShow:
    """A line for each alarm and for each change of the story, and one every five windows."""

    def __init__(self, console: Console, config: Path) -> None:
        self._console = console
        for command in commands(config):
            self._console.print(Text(f"in another terminal: {command}"), soft_wrap=True)
        self._told_windows = 0
        self._told_alarms: set[int] = set()
        self._told_change: str | None = None

    def update(self, view: View) -> None:
        """See Show."""
        change = under_way(view.windows)
        name = None if change is None else change.title
        if name != self._told_change:
            self._told_change = name
            self._say(view.time_us(view.windows), f"injected: {name}" if name else "healthy again")
        for alarm in view.alarms:
            if alarm.id not in self._told_alarms:
                self._told_alarms.add(alarm.id)
                details = [] if alarm.state == "resolved" or alarm.segment else alarm_lines(alarm)
                text = "; ".join([f"{alarm.state}: {sentence(alarm)} [{place(alarm)}]", *details])
                self._say(view.time_us(alarm.window + 1), text)
        if view.windows >= self._told_windows + _EVERY_WINDOWS:
            self._told_windows = view.windows
            confidence = view.closed[-1].confidence.get("", float("nan"))
            queued = ", ".join(f"{count} {reason}" for reason, count in view.queue.items()) or "nothing"
            self._say(
                view.time_us(view.windows),
                f"{view.windows} windows, {view.events:,} events, {view.rate:,.0f}/s, "
                f"mean confidence {confidence:.3f}, queued: {queued}",
            )

    def _say(self, time_us: int, text: str) -> None:
        self._console.print(Text(f"{clock(time_us)}  {text}"), soft_wrap=True)


class Picture:
    """A picture of the demo for the README: the screen at its most telling, then the tables."""

    def __init__(self, path: Path, config: Path, seed: int) -> None:
        self._path = path
        self._config = config
        self._seed = seed
        self._console = Console(
            record=True,
            file=io.StringIO(),
            width=_PICTURE_WIDTH,
            height=_PICTURE_HEIGHT,
            force_terminal=True,
            color_system="truecolor",
        )
        self._taken = False

    def update(self, view: View) -> None:
        """See Show: take the picture one window after the last change was noticed."""
        firing = [
            each.window
            for each in view.alarms
            if each.state == "firing" and each.monitor == "classes" and not each.segment
        ]
        if not self._taken and firing and view.windows >= firing[0] + 3:
            self._taken = True
            self._console.print(draw(view, self._config, _PICTURE_WIDTH, _PICTURE_HEIGHT), height=_PICTURE_HEIGHT)

    def save(self, view: View) -> None:
        """Add the tables and write the SVG."""
        print_summary(self._console, view, self._config, self._seed)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._console.save_svg(str(self._path), title="strandline demo")


def fits(console: Console) -> bool:
    """Return whether there is a terminal, and room in it for the live screen."""
    return console.is_terminal and console.width >= WIDTH and console.height >= HEIGHT
