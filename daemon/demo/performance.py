"""The demo from beginning to end: set up, play the story, tell what came of it."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from daemon import references
from daemon.demo.classifier import UNSEEN, train
from daemon.demo.interruption import EXIT_CODE, Interrupted, Interruption
from daemon.demo.player import Player
from daemon.demo.processes import GuardedProcess
from daemon.demo.services import package_file
from daemon.demo.shows import LiveShow, Picture, PlainShow, Show, fits
from daemon.demo.stage import TOPIC, Stage, directory, working_directory
from daemon.demo.story import LENGTH, WINDOW_SECONDS, clock, under_way
from daemon.demo.traffic import MODEL, VERSION, Traffic
from daemon.demo.view import View
from daemon.demo.words import heading, print_summary, verdict
from daemon.settings import Settings
from sinks.database import connect

__all__ = ["perform"]

_WINDOW_SECONDS = 0.85
"""The time in which a window is played."""
_WINDOW_SECONDS_AFTER = 4.0
"""The same when the story is told: traffic goes on, slowly."""
_LOOK_SECONDS = 0.2
_MOST_AHEAD_WINDOWS = 3
_STUCK_SECONDS = 60.0
_SELECT_SECONDS = 1.5
"""After this, what the last windows put forward has been selected."""
_BEGIN_HOUR = 6


def perform(*, leave: bool, seed: int, keep: bool, picture: Path | None) -> int:
    """Play the demo; return the exit code: 0 if every injected change was noticed, and nothing before.

    ``leave``: end when the story is told. ``picture``: write an SVG of the screen and the tables there.

    Raises
    ------
    ServiceError
        Something that the demo needs does not start, or stopped.
    """
    console = Console(highlight=False)
    place = directory(keep=keep)
    with Interruption() as interruption:
        try:
            with working_directory(place, keep=keep):
                stage = Stage(place, interruption)
                return _Performance(console, stage, interruption, seed, picture).play(leave=leave)
        except Interrupted:
            return EXIT_CODE
        finally:
            if keep:
                console.print(Text(f"kept: {place}"), soft_wrap=True)


class _Performance:
    def __init__(
        self, console: Console, stage: Stage, interruption: Interruption, seed: int, picture: Path | None
    ) -> None:
        self._console = console
        self._stage = stage
        self._interruption = interruption
        self._seed = seed
        self._picture = Picture(picture, stage.config, seed) if picture else None
        self._began = time.monotonic()

    def play(self, *, leave: bool) -> int:
        """Return the exit code."""
        self._console.print(Text.assemble(("Strandline", "bold"), f": {heading()}"))
        # Told at once, not after the services have been started for nothing.
        package_file("sklearn")
        with ExitStack() as stack:
            try:
                view, player, process = self._set_up(stack)
                self._play_story(player, view, process)
                faults = verdict(view)
                print_summary(self._console, view, self._stage.config, self._seed, leaving=leave)
                if self._picture is not None:
                    self._picture.save(view)
                if not leave:
                    self._go_on(player, view, process)
            finally:
                # What comes now only ends things, and must not be interrupted.
                self._interruption.clean_up()
        return 1 if faults else 0

    def _set_up(self, stack: ExitStack) -> tuple[View, Player, GuardedProcess]:
        settings, bootstrap = stack.enter_context(self._stage.services(self._seed))
        self._say("PostgreSQL and a Kafka-compatible broker are running, the tables are made")
        # It takes a few seconds to start: meanwhile the model is trained.
        process = stack.enter_context(self._stage.daemon())
        start = _start_seconds()
        traffic = Traffic(train(self._seed), self._seed, start)
        self._say(f"a small neural network has learnt nine of the ten digits: all but the {UNSEEN}")
        self._build_reference(settings, traffic)
        connection = stack.enter_context(self._stage.wait_for_daemon(process, settings.postgres.conninfo))
        self._say("the daemon reads from the broker: here comes the traffic")
        player = stack.enter_context(Player(bootstrap, TOPIC, traffic, under_way))
        return View(connection, start // WINDOW_SECONDS), player, process

    def _build_reference(self, settings: Settings, traffic: Traffic) -> None:
        path = self._stage.directory / "reference.jsonl"
        traffic.write_reference(path)
        self._interruption.check()
        with connect(settings.postgres.conninfo, name="demo") as connection:
            built = references.build(
                settings, connection, path, MODEL, VERSION, progress=lambda _: self._interruption.check()
            )
        self._say(f"its reference: {built.events:,} events of a time when all was well")

    def _play_story(self, player: Player, view: View, process: GuardedProcess) -> None:
        with self._show() as show:
            position = 0.0
            last = moved = time.monotonic()
            while view.windows < LENGTH:
                now = time.monotonic()
                closed = view.windows
                # On a slow machine the story waits for the daemon.
                position = min(position + (now - last) / _WINDOW_SECONDS, closed + float(_MOST_AHEAD_WINDOWS))
                last = now
                self._step(player, view, position, process)
                show.update(view)
                if self._picture is not None:
                    self._picture.update(view)
                if view.windows > closed:
                    moved = now
                elif now - moved > _STUCK_SECONDS:
                    raise process.failure("closes no more windows")
                self._interruption.sleep(max(0.0, now + _LOOK_SECONDS - time.monotonic()))
            self._interruption.sleep(_SELECT_SECONDS)
            view.refresh(time.monotonic())
            show.update(view)

    def _go_on(self, player: Player, view: View, process: GuardedProcess) -> None:
        """Play healthy traffic, slowly, until somebody has seen enough."""
        position = float(view.windows + 1)
        last = time.monotonic()
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            if not self._console.is_terminal:
                self._console.print(Text("Healthy traffic goes on, slowly, until Ctrl-C."))
            while True:
                now = time.monotonic()
                position += (now - last) / _WINDOW_SECONDS_AFTER
                last = now
                self._step(player, view, position, process)
                if self._console.is_terminal:
                    live.update(_going_on(view), refresh=True)
                self._interruption.sleep(_LOOK_SECONDS)

    def _step(self, player: Player, view: View, position: float, process: GuardedProcess) -> None:
        if not process.running:
            raise process.failure("ended")
        player.play_until(position)
        view.refresh(time.monotonic())

    @contextmanager
    def _show(self) -> Iterator[Show]:
        if fits(self._console):
            with LiveShow.on(self._console, self._stage.config) as show:
                yield show
        else:
            yield PlainShow(self._console, self._stage.config)

    def _say(self, text: str) -> None:
        seconds = time.monotonic() - self._began
        self._console.print(Text.assemble((f"{seconds:5.1f} s  ", "bright_black"), text), soft_wrap=True)
        self._interruption.check()


def _going_on(view: View) -> Text:
    firing = sum(incident.state == "firing" for incident in view.incidents)
    time_us = view.high_us if view.high_us is not None else view.time_us(0)
    return Text(
        f"\n{clock(time_us)}  healthy traffic goes on, slowly: {view.events:,} events, {view.windows} windows, "
        f"{firing} open incidents, {sum(view.queue.values()):,} to be labelled. Ctrl-C ends.",
        "bright_black",
    )


def _start_seconds() -> int:
    """Return when the story begins: yesterday morning, so that all of it lies in one day, and in the past."""
    morning = datetime.now(UTC).replace(hour=_BEGIN_HOUR, minute=0, second=0, microsecond=0)
    return int((morning - timedelta(days=1)).timestamp())
