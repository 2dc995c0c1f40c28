"""The consumer group: workers that come and go, freeze, or take too long."""

import os
import signal
import time

import psutil

from tests.fault.scenario import ALL, scenario
from tests.fault.trial import NotHeld, Trial
from tests.fault.watch import members, watching_standstill

IDLE_SECONDS = 15
"""How long a partition may have no reader while workers come and go."""


@scenario("3a", "1, 4 and again 1 worker, eager assignor", must=ALL[:4])
def scaled_eagerly(trial: Trial) -> None:
    _scale(trial, "range")


@scenario("3b", "1, 4 and again 1 worker, cooperative assignor", must=ALL[:4])
def scaled_cooperatively(trial: Trial) -> None:
    _scale(trial, "cooperative-sticky")


def _scale(trial: Trial, assignor: str) -> None:
    trial.configure(f'partition.assignment.strategy = "{assignor}"\n')
    trial.start("jobs")
    trial.wait_until_claimed(trial.start())
    pause = 4.0 if trial.full else 2.0
    with trial.feed.spread_over(20 * pause + 20), watching_standstill(trial) as standstill:
        more = []
        for _ in range(3):
            more.append(trial.start())
            trial.wait_until_claimed(more[-1])
            time.sleep(pause)
        for process in more:
            process.terminate()
            time.sleep(pause)
        trial.wait_until_caught_up()
    trial.told["longest standstill"] = f"{standstill.longest:.1f} s"
    if standstill.longest > IDLE_SECONDS:
        raise NotHeld(f"partition {standstill.partition} stood still for {standstill.longest:.1f} s")


@scenario("4", "SIGSTOP in mid-batch, SIGCONT after the session", must=ALL[1:4], quick=True)
def frozen_and_thawed(trial: Trial) -> None:
    """Freeze a worker that holds events; let another one read them, and see the first one fenced."""
    trial.start("jobs")
    trial.wait_until_claimed(trial.start())
    with trial.feed.spread_over(60.0):
        zombie = trial.start(failpoint=f"batch=stop@{trial.chance.randint(10, 40)}")
        status = psutil.Process(zombie.pid).status
        trial.wait_for(lambda: status() == psutil.STATUS_STOPPED, f"{zombie.name} frozen")
        frozen = trial.offsets()
        trial.told["frozen for"] = f"{_until_all_moved(trial, frozen):.1f} s"
        os.kill(zombie.pid, signal.SIGCONT)
        trial.wait_for(lambda: zombie.says("ingest.fenced"), f"{zombie.name} fenced")


def _until_all_moved(trial: Trial, before: dict[int, int]) -> float:
    return trial.wait_for(
        lambda: all(offset > before[partition] for partition, offset in trial.offsets().items()),
        f"every partition read further than {before}",
    )


@scenario("5", "work that takes longer than the poll interval", must=ALL[:4])
def stuck_in_its_work(trial: Trial) -> None:
    """Let a worker hang in its work: it leaves the group, is fenced, and joins again."""
    trial.configure("max_poll_interval_seconds = 7\n")
    trial.start("jobs")
    trial.wait_until_claimed(trial.start())
    with trial.feed.spread_over(90.0):
        stuck = trial.start(failpoint="batch=hang:20@20")
        trial.wait_for(lambda: stuck.says("failpoint"), f"{stuck.name} stuck")
        both = members(trial)
        trial.told["left after"] = f"{trial.wait_for(lambda: len(members(trial)) == 1, 'one member alone'):.1f} s"
        trial.told["back after"] = f"{trial.wait_for(lambda: len(members(trial)) == 2, 'both members'):.1f} s"
        if members(trial) == both:
            raise NotHeld("the worker that was stuck never left the group")
        trial.wait_until_caught_up()
