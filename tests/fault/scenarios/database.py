"""PostgreSQL: sessions ended, the server killed, replies lost, away for long."""

import os
import signal
import time

import psutil
import psycopg

from tests.fault.proxy import Proxy
from tests.fault.scenario import scenario
from tests.fault.services import Services
from tests.fault.trial import NotHeld, Trial
from tests.fault.watch import members, watching_memory

GROWTH_BYTES = 32 << 20
"""What a process may grow by while it waits: its client's buffers fill up."""


@scenario("6a", "pg_terminate_backend in a loop")
def sessions_ended(trial: Trial) -> None:
    rounds = 60 if trial.full else 20
    trial.start_usual()
    ended = 0
    with trial.feed.spread_over(rounds * 0.6), psycopg.connect(trial.url, autocommit=True) as connection:
        for _ in range(rounds):
            time.sleep(trial.chance.uniform(0.1, 0.9))
            ended += len(
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name LIKE 'strandline %'"
                ).fetchall()
            )
    trial.told["sessions ended"] = str(ended)


@scenario("6b", "PostgreSQL killed with -9 and started again")
def server_killed(trial: Trial) -> None:
    rounds = 5 if trial.full else 2
    trial.start_usual()
    with trial.feed.spread_over(rounds * 20.0):
        for _ in range(rounds):
            time.sleep(trial.chance.uniform(2.0, 6.0))
            _kill_hard(trial.services)
            time.sleep(trial.chance.uniform(0.5, 3.0))
            trial.services.postgres.start()
            trial.wait_until_caught_up()
    trial.told["kills"] = str(rounds)


@scenario("7", "the reply to COMMIT is lost, or a half of any", must=("I2", "I3"), quick=True)
def replies_lost(trial: Trial) -> None:
    rounds = 20 if trial.full else 6
    proxy = trial.postgres_proxy()
    trial.start_usual()
    with trial.feed.spread_over(rounds * 8.0):
        for _ in range(rounds):
            _lose_a_reply(trial, proxy)
            time.sleep(trial.chance.uniform(0.2, 1.0))
            _halve_a_reply(trial, proxy)
            time.sleep(trial.chance.uniform(0.2, 1.0))
    trial.told["lost"] = f"{proxy.swallowed}, halved {proxy.halved}"


def _lose_a_reply(trial: Trial, proxy: Proxy) -> None:
    before = proxy.swallowed
    proxy.swallow_reply_to(b"COMMIT")
    trial.wait_for(lambda: proxy.swallowed > before, "a reply to COMMIT")


def _halve_a_reply(trial: Trial, proxy: Proxy) -> None:
    before = proxy.halved
    proxy.halve_next()
    trial.wait_for(lambda: proxy.halved > before, "a reply")


@scenario("8", "PostgreSQL away for two minutes")
def server_away(trial: Trial) -> None:
    """Stop the server: everybody lives, stays in the group, and does not grow; and all goes on when it is back."""
    seconds = 120.0 if trial.full else 15.0
    trial.start_usual()
    with trial.feed.spread_over(seconds + 20):
        trial.wait_until_read(0.05)
        before = members(trial)
        trial.services.postgres.stop()
        with watching_memory(trial.processes) as memory:
            time.sleep(seconds)
            during = members(trial)
            dead = [process.name for process in trial.processes if not process.running]
        trial.services.postgres.start()
    trial.told["grown by"] = f"{memory.growth / 1e6:.0f} MB"
    if dead or during != before:
        raise NotHeld(f"dead: {dead}; the group's members were {before}, then {during}")
    if memory.growth > GROWTH_BYTES:
        raise NotHeld(f"memory was {memory.first}, and at most {memory.most}")


def _kill_hard(services: Services) -> None:
    """Kill the server and all its sessions at once, as a power cut of theirs alone."""
    master = psutil.Process(int((services.postgres.directory / "data" / "postmaster.pid").read_text().split()[0]))
    for process in [master, *master.children(recursive=True)]:
        os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs([master], timeout=15)
    services.postgres.stop()
