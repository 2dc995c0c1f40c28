import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe

import pytest

from daemon.ops import supervisor
from daemon.ops.health import Health, Report
from daemon.ops.supervisor import Child, Supervisor, report_to
from tests.harness import wait_for


def working(pipe: Pipe) -> None:
    health = Health("child", "child")
    report_to(pipe, health)
    health.running()
    while True:
        health.beat()
        time.sleep(0.1)


def hanging(pipe: Pipe) -> None:
    report_to(pipe, Health("child", "child"))
    time.sleep(600)


def dying(_: Pipe) -> None:
    os._exit(3)


@contextmanager
def running(main: Callable[..., None]) -> Iterator[tuple[Child, Health, list[Report]]]:
    child, health, stop = Child("child", "child", main, ()), Health("supervisor", "supervisor"), threading.Event()
    ended: list[Report] = []
    thread = threading.Thread(target=Supervisor([child], health).run, args=(stop, ended.append))
    thread.start()
    try:
        yield child, health, ended
    finally:
        stop.set()
        thread.join(30)


def test_a_child_says_how_it_is_and_stops_when_told() -> None:
    with running(working) as (child, _, _):
        wait_for(lambda: child.standing().up and child.report is not None and child.report.state == "running")
    assert child.report is not None
    assert child.report.state == "stopped"
    assert child.restarts == 0


def test_a_child_that_dies_is_told_and_started_again_after_ever_longer_pauses() -> None:
    with running(dying) as (child, health, _):
        wait_for(lambda: child.down is not None)
        wait_for(lambda: [each.kind for each in health.report().problems] == ["process"])
        assert "exit code 3" in health.report().problems[0].detail
        wait_for(lambda: child.restarts >= 2)
        assert child._backoff >= 4


def test_a_child_whose_loop_does_not_turn_is_killed_and_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(hanging) as (child, _, ended):
        # However long it took to start.
        wait_for(lambda: child.report is not None)
        monkeypatch.setattr(supervisor, "_HUNG_SECONDS", 2.0)
        wait_for(lambda: child.restarts == 1)
        assert [each.state for each in ended] == ["stopped"]


def test_a_child_that_beats_while_it_waits_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(working) as (child, _, _):
        wait_for(lambda: child.report is not None)
        monkeypatch.setattr(supervisor, "_HUNG_SECONDS", 6.0)
        until = time.monotonic() + 8
        wait_for(lambda: time.monotonic() > until)
        assert child.restarts == 0
