"""An event that kills whoever processes it, and a database without room."""

import time

import psycopg

from tests.fault.altering import demand
from tests.fault.oracle import PARTITIONS
from tests.fault.scenario import ALL, scenario
from tests.fault.trial import NotHeld, Trial

KEPT = 4096
GROWING = ("part", "candidate", "dead_letter", "closed_window", "alert_transition", "outbox", "queue_item")
TRIGGER = """
CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'could not extend file "base/16384/16653": No space left on device' USING ERRCODE = 'disk_full';
END $$"""


@scenario("13", "an event that kills its worker, amid random kills")
def deadly(trial: Trial) -> None:
    """Start again whoever dies of one event in the middle of the stream; kill others at random."""
    number = trial.oracle.count // 2 + 1
    partition, _, value = trial.oracle.stream[number]
    trial.deadly = f'event:"event-{number}"=die'
    trial.letters.append((partition, number // PARTITIONS, value[:KEPT]))
    trial.start("jobs")
    running = [trial.start(failpoint=trial.deadly) for _ in range(2)]
    kills = 0

    def read() -> bool:
        nonlocal kills
        for at, process in enumerate(running):
            if not process.running:
                running[at] = trial.start(failpoint=trial.deadly)
            elif kills < 20 and trial.chance.random() < 0.01:
                process.kill()
                kills += 1
        return trial.offsets() == trial.feed.ends

    trial.feed.rest()
    trial.wait_for(read, "all read", 400)
    quarantined = trial.query("SELECT partition, first_offset, count FROM dead_letter WHERE reason = 'quarantined'")
    demand(quarantined, [(partition, number // PARTITIONS, 1)], "what is quarantined")
    deaths = sum(process.says("failpoint event:") for process in trial.processes)
    if deaths < 2:
        raise NotHeld(f"it was quarantined after {deaths} deaths")
    trial.told["deaths of it"], trial.told["kills"] = str(deaths), str(kills)


@scenario("17", "disk full on PostgreSQL's side", must=ALL, quick=True)
def disk_full(trial: Trial) -> None:
    """Let every insertion fail as it does on a full disk, for a while."""
    seconds = 60.0 if trial.full else 12.0
    trial.start("jobs")
    workers = [trial.start() for _ in range(2)]
    statement(trial, TRIGGER)
    with trial.feed.spread_over(seconds + 15):
        trial.wait_until_read(0.1)
        for table in GROWING:
            statement(trial, f"CREATE TRIGGER no_space BEFORE INSERT ON {table} EXECUTE FUNCTION no_space()")
        told = "SELECT count(*) FROM process WHERE role = 'ingest' AND problems::text LIKE '%%No space left%%'"
        took = trial.wait_for(lambda: trial.query(told) == [(2,)], "both workers tell it")
        trial.told["told after"] = f"{took:.1f} s"
        before = trial.offsets()
        time.sleep(seconds)
        demand(trial.offsets(), before, "offsets while the disk is full")
        for table in GROWING:
            statement(trial, f"DROP TRIGGER no_space ON {table}")
        took = trial.wait_for(lambda: trial.offsets() != before, "anything read")
        trial.told["went on after"] = f"{took:.1f} s"
    for worker in workers:
        lines = worker.log.read_text().count("No space left")
        if lines > 3:
            raise NotHeld(f"{worker.name} tells {lines} times that there is no space left")


def statement(trial: Trial, text: str) -> None:
    """Run a statement that returns nothing."""
    with psycopg.connect(trial.url) as connection:
        connection.execute(text.encode())
