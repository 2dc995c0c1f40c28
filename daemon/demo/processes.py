"""Processes that never outlive the one that started them, and services made of them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from daemon.demo import guard

START_PATIENCE = 60.0  # seconds until a service that does not answer counts as failed
STOP_PATIENCE = 15.0
LOG_TAIL = 30  # lines shown when a service does not start


class ServiceError(RuntimeError):
    """A service cannot be started; the message tells why, and what to do."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Tell whether somebody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class GuardedProcess:
    """A command with a log file, that never outlives this process.

    Parameters
    ----------
    name
        What people call it, for error messages.
    command
        The program and its arguments.
    log
        Where its output goes; appended to.
    stop_signal
        The signal on which it ends in an orderly way.
    user
        The system user to run as, if not the current one.
    environment
        Its environment, if not this process' own.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        log: Path,
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        user: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        arguments = [str(os.getpid()), str(int(stop_signal)), user, *command]
        with log.open("ab") as output:
            self._guard = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-S", guard.__file__, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._guard.poll() is None

    def failure(self, what: str) -> ServiceError:
        """Return an error with the end of the log."""
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL:]
        return ServiceError(f"{self.name} {what}. The end of its log:\n" + "\n".join(lines))

    def wait(self, seconds: float) -> int:
        """Wait until it ends by itself, and return its exit status."""
        try:
            return self._guard.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self.failure(f"did not end within {seconds:.0f} s") from None

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until the check succeeds.

        Raises
        ------
        ServiceError
            If the process ends before, or does not get ready in time.
        """
        deadline = time.monotonic() + START_PATIENCE
        while not ready():
            if not self.running:
                raise self.failure(f"ended at once, with status {self._guard.returncode}")
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready within {START_PATIENCE:.0f} s")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in an orderly way, or else by force; returns when it is gone."""
        if self.running:
            self._guard.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guard.wait(STOP_PATIENCE)
        self.kill()

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL to the guard and to all it has started."""
        if self.running:
            os.killpg(self._guard.pid, signal.SIGKILL)
            self._guard.wait()


class Service:
    """A service that can be started, stopped, killed and started again on the same data."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._process: GuardedProcess | None = None

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Start it, and return when it answers; does nothing while it runs."""
        if self.running:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self._process = self._launch()
            self._process.wait_until(self._ready)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it in an orderly way; does nothing when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.stop()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def restart(self) -> None:
        """Stop it and start it again, on the same data and the same address."""
        self.stop()
        self.start()

    def _launch(self) -> GuardedProcess:
        raise NotImplementedError

    def _ready(self) -> bool:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
