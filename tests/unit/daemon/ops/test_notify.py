import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.ops.health import Health
from daemon.ops.notify import notify, watchdog_seconds
from daemon.ops.service import Ops
from daemon.ops.standing import STALE_SECONDS, Standing
from daemon.settings import Settings
from tests.harness import wait_for

SETTINGS = Settings.model_validate({"postgres": {"url": "postgresql://127.0.0.1:1/none"}, "ops": {"port": 0}})


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The end of systemd."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(20)
        yield listening


def received(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().splitlines()


def test_a_notification_is_one_datagram(manager: socket.socket) -> None:
    assert notify("READY=1", "STATUS=ready")
    assert received(manager) == ["READY=1", "STATUS=ready"]


def test_an_abstract_address_and_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", f"@strandline-{os.getpid()}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0strandline-{os.getpid()}")
        assert notify("STOPPING=1")
        assert received(listening) == ["STOPPING=1"]
    assert not notify("STOPPING=1"), "nobody listens any more: no fault of ours"
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert not notify("READY=1")


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [({}, None), ({"WATCHDOG_USEC": "30000000"}, 15.0), ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None)],
)
def test_the_watchdog_is_told_at_half_of_its_patience(
    variables: dict[str, str], seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert watchdog_seconds() == seconds


def test_systemd_hears_that_the_roles_run_that_the_loop_turns_and_that_it_stops(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    health = Health("supervisor", "supervisor")
    child = Health("jobs", "jobs")
    standings, stop = [Standing("jobs", "jobs")], threading.Event()
    with Ops(SETTINGS, health, lambda: standings, [], stop):
        first = received(manager)
        assert "READY=1" not in first
        assert "WATCHDOG=1" in first
        standings[0] = Standing("jobs", "jobs", child.report())
        wait_for(lambda: "READY=1" in received(manager))
        assert any(line.startswith("STATUS=") for line in received(manager))
        health._clock = lambda: time.monotonic() - STALE_SECONDS - 1
        health.beat()
        wait_for(lambda: "WATCHDOG=1" not in received(manager))
        stop.set()
    wait_for(lambda: received(manager) == ["STOPPING=1"])
