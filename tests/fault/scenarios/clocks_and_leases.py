"""Who reads what, and when: standby by lease, and clocks that are set."""

import signal
import time

from tests.fault.altering import alter, demand
from tests.fault.clock import STEPS
from tests.fault.oracle import START_SECONDS, WINDOW_SECONDS
from tests.fault.scenario import scenario
from tests.fault.trial import NotHeld, Trial

LEASE_SECONDS = 4
SLACK_SECONDS = 6
"""To claim, on a busy machine, beyond the lease."""


@scenario("16a", "clock steps of an hour in the process")
def clock_is_set(trial: Trial) -> None:
    """Set the clocks of all processes forth and back, two of them on one static assignment."""
    trial.configure('assignment = "static"')
    jobs = trial.start("jobs", clock=True)
    for _ in range(2):
        trial.start(clock=True)
    trial.wait_for(lambda: reader(trial) > 0, "one of them reads")
    owner, seconds = reader(trial), sum(STEPS) + 20
    with trial.feed.spread_over(seconds):
        for _ in range(round(seconds)):
            time.sleep(1)
            demand(reader(trial), owner, "who reads")
    # Of the jobs nothing else tells that they run on by a clock that was set back.
    newest = START_SECONDS // WINDOW_SECONDS + trial.oracle.windows - 1
    closed = 'SELECT max("window") >= %s FROM closed_window'
    trial.wait_for(lambda: trial.query(closed, newest) == [(True,)], "the windows closed", 60)
    demand(jobs.says("jobs.clock_set_back"), True, "whether it is told")


@scenario("16b", "two processes on one static assignment")
def standby(trial: Trial) -> None:
    """Keep two processes running; end the one that reads, or stop it for longer than its lease."""
    trial.configure('assignment = "static"')
    alter(trial, ("[ingest]\n", f"[ingest]\nlease_seconds = {LEASE_SECONDS}\n"))
    rounds, took = 8 if trial.full else 2, []
    trial.start("jobs")
    running = [trial.start() for _ in range(2)]
    trial.wait_for(lambda: reader(trial) > 0, "one of them reads")
    with trial.feed.spread_over(rounds * 12.0):
        for number in range(rounds):
            trial.wait_until_caught_up()
            trial.wait_for(lambda: reader(trial) > 0, "one of them reads")
            owner = reader(trial)
            time.sleep(LEASE_SECONDS + 1)
            demand(reader(trial), owner, "who reads, after more than a lease")
            first = next(each for each in running if each.pid == owner)
            if number % 2:
                first.popen.send_signal(signal.SIGSTOP)
            else:
                first.kill()
                running[running.index(first)] = trial.start()
            took.append(trial.wait_for(lambda owner=owner: reader(trial) not in {0, owner}, "the other one reads"))  # type: ignore[misc]
            trial.wait_until_caught_up()
            first.popen.send_signal(signal.SIGCONT) if number % 2 else None
    if max(took) > LEASE_SECONDS + SLACK_SECONDS:
        raise NotHeld(f"taken over after {max(took):.1f} s, and the lease is {LEASE_SECONDS} s")
    trial.told["taken over within"] = f"{max(took):.1f} s"


def reader(trial: Trial) -> int:
    """Return the process id of the one that has all partitions; 0 while there is no such one."""
    owners = trial.query("SELECT DISTINCT owner FROM partition WHERE lease_until > now()")
    return int(owners[0][0].rpartition(":")[2]) if len(owners) == 1 else 0
