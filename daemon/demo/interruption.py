"""Ctrl-C, told to the program where it can be dealt with."""

import signal
import time
from types import FrameType, TracebackType
from typing import Self

__all__ = ["EXIT_CODE", "Interrupted", "Interruption"]

EXIT_CODE = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_SECONDS = 0.1


class Interrupted(BaseException):
    """Somebody wants the demo to end. Not an Exception: nothing on the way may take it for a fault."""


class Interruption:
    """Notes signals that ask for an end; :meth:`check` raises where nothing is left half-done.

    A first signal raises nowhere else, so that a service that is being started is known, and stopped. A second
    one raises at once, unless cleaning up has begun: nothing disturbs that.
    """

    def __init__(self) -> None:
        self._asked = False
        self._cleaning = False
        self._before: dict[signal.Signals, object] = {}

    def check(self) -> None:
        """Raise Interrupted if somebody asked for an end."""
        if self._asked:
            self.clean_up()
            raise Interrupted

    def sleep(self, seconds: float) -> None:
        """Sleep, but not on when somebody asks for an end."""
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))
            self.check()

    def clean_up(self) -> None:
        """Let signals change nothing from now on."""
        self._cleaning = True

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            # Once somebody asked for an end the program is about to leave: Python would give a signal that comes
            # while it shuts down back its default, and the exit code would tell of that.
            signal.signal(number, signal.SIG_IGN if self._asked else handler)  # type: ignore[arg-type] # as signal() gave it

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        again, self._asked = self._asked, True
        if again and not self._cleaning:
            self.clean_up()
            raise Interrupted
