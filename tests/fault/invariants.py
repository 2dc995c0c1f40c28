"""What must hold after every scenario: the invariants I1 to I5, as checks that tell what is not as it must be.

The measure is the oracle, which knows the events, and a *replay*: one reader by itself that meets no fault, on another
database, given the control log that the trial recorded.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import psycopg

from daemon.settings import load
from detectors.summary import Summary
from sinks.database import connect
from sinks.windows import Layouts, uncompress
from tests.fault.oracle import MODELS, PARTITIONS
from tests.fault.trial import RECEIVERS, Trial, finish

__all__ = ["ALL", "counted", "faults"]

ALL = ("I1", "I2", "I3", "I4", "I5")

EXACT = {
    "I1": {
        "positions": "SELECT topic, partition, next_offset, event_high_us FROM partition ORDER BY 1, 2",
    },
    "I2": {
        "dead letters": """
            SELECT topic, partition, first_offset, last_offset, reason, count, value
            FROM dead_letter ORDER BY 1, 2, 3""",
        "candidates": """
            SELECT model, event_id, topic, partition, "offset", "window", prediction, confidence, expected_error,
                   nominated, wanted, select_draw, order_draw
            FROM candidate WHERE nominated IS NOT NULL ORDER BY 1, 2""",
        "never-seen values": "SELECT model, kind, value, nominated FROM novel_value ORDER BY 1, 2, 3",
    },
    "I3": {
        "closed windows": """
            SELECT model, version, "window", layout_id, events, summary, readings
            FROM closed_window JOIN cohort ON cohort.id = cohort_id ORDER BY 1, 2, 3""",
        "detector state": "SELECT model, version, reduced_window, state FROM cohort ORDER BY 1, 2",
    },
    "I4": {
        # Those about the pipeline itself are of no model, and in the database's time.
        "alert transitions": """
            SELECT fingerprint, "window", alert_transition.state, alert_transition.evidence::text
            FROM alert_transition JOIN alert USING (fingerprint) WHERE model <> '' ORDER BY 1, 2, 3""",
    },
}
"""What must be the same, row for row and byte for byte, with and without faults."""


def faults(trial: Trial, must: Iterable[str]) -> list[str]:
    """Return what does not hold of the invariants ``must``, in words."""
    wanted = set(must)
    quiet = _replay(trial)
    checks = {"I1": _offsets, "I2": _candidates_and_dead_letters, "I3": _counts, "I4": _deliveries}
    found = [f"{name}: {told}" for name, check in checks.items() if name in wanted for told in check(trial)]
    with psycopg.connect(trial.url) as mine, psycopg.connect(quiet) as theirs:
        for name in sorted(wanted & EXACT.keys()):
            for what, query in EXACT[name].items():
                rows, others = mine.execute(query.encode()).fetchall(), theirs.execute(query.encode()).fetchall()
                found += [f"{name}: {what}: {told}" for told in _difference(rows, others)]
    return found


def counted(url: str) -> Counter[str]:
    """Return how many events of each model all summaries hold, on time and late."""
    found: Counter[str] = Counter()
    with connect(url, name="test") as connection:
        layouts = Layouts(connection)
        stored = connection.execute("""
            SELECT model, layout_id, body
            FROM (SELECT cohort_id, layout_id, summary FROM closed_window UNION ALL
                  SELECT cohort_id, layout_id, body FROM part) AS whole (cohort_id, layout_id, body)
            JOIN cohort ON cohort.id = cohort_id""").fetchall()
        for model, layout_id, body in stored:
            summary = Summary.from_bytes(layouts[layout_id], uncompress(body))
            found[model] += int(summary.events[0] + summary.total("traffic", "late")[0])
    return found


def _replay(trial: Trial) -> str:
    """Read the topic anew, and return the database with what that gave."""
    url = trial.services.postgres.new_database()
    _copy_control_log(trial.url, url)
    config = trial.replay_config(url)
    reader = trial.start(config=config, failpoint=trial.deadly)

    def done() -> bool:
        nonlocal reader
        if trial.deadly and not reader.running:
            reader = trial.start(config=config, failpoint=trial.deadly)
        with psycopg.connect(url) as connection:
            rows: list[tuple[int, int]] = connection.execute("SELECT partition, next_offset FROM partition").fetchall()
        return dict(rows) == trial.feed.ends

    # Nothing is promised of how soon, and each start takes seconds on a busy machine.
    trial.wait_for(done, "the replay at the end", 600)
    reader.terminate()
    finish(load(config), publishing=False)
    return url


def _copy_control_log(source: str, target: str) -> None:
    """Give ``target`` the models, cohorts and control records of ``source``, under the same ids."""
    columns = {
        "model": "name, window_seconds",
        "cohort": "id, model, version",
        "control": "id, kind, cohort_id, model, effective_from, body",
    }
    with psycopg.connect(source) as read, psycopg.connect(target) as write:
        for table, names in columns.items():
            places = ", ".join(["%s"] * (names.count(",") + 1))
            rows = read.execute(f"SELECT {names} FROM {table} ORDER BY 1".encode()).fetchall()
            with write.cursor() as cursor:
                cursor.executemany(
                    f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({places})".encode(),
                    rows,
                )


def _difference(rows: list[tuple[object, ...]], others: list[tuple[object, ...]]) -> Iterator[str]:
    if rows != others:
        only = [str(row)[:300] for row in rows if row not in set(others)][:3]
        missing = [str(row)[:300] for row in others if row not in set(rows)][:3]
        yield f"{len(rows)} and {len(others)} rows; only with faults: {only}, without: {missing}"


def _offsets(trial: Trial) -> Iterator[str]:
    if trial.offsets() != trial.feed.ends:
        yield f"partitions are at {trial.offsets()}, and end at {trial.feed.ends}"


def _candidates_and_dead_letters(trial: Trial) -> Iterator[str]:
    letters = trial.query("SELECT partition, first_offset, value FROM dead_letter ORDER BY 1, 2")
    yield from _difference(letters, sorted([*trial.oracle.dead_letters, *trial.letters]))
    for event_id, partition, offset in trial.query('SELECT event_id, partition, "offset" FROM candidate'):
        name, _, number = event_id.rpartition("-")
        if name == "event" and (partition, offset) != (int(number) % PARTITIONS, int(number) // PARTITIONS):
            yield f"candidate {event_id} is told to be at {(partition, offset)}"
    [(doubled, undecided, queued, items)] = trial.query("""
        SELECT count(*) - count(DISTINCT (model, event_id)), count(*) FILTER (WHERE decision IS NULL),
               count(*) FILTER (WHERE decision = 'queued'), (SELECT count(*) FROM queue_item)
        FROM candidate""")
    if doubled or undecided or queued != items or not items:
        yield f"{doubled} candidates doubled, {undecided} undecided, {queued} decided for the queue, {items} in it"


def _counts(trial: Trial) -> Iterator[str]:
    """Compare what all summaries count to the oracle, and see that it was a trial at all."""
    found = counted(trial.url).total()
    sent = sum(trial.feed.ends.values()) - len(trial.oracle.broken) - len(trial.letters)
    if found != sent:
        yield f"{found} events are counted, {sent} were sent that can be"
    [(grown,)] = trial.query("SELECT count(*) FROM control WHERE effective_from > 0")
    if grown < len(MODELS):
        yield f"{grown} control records came into force in mid-stream: with so few little is proven"


def _deliveries(trial: Trial) -> Iterator[str]:
    fired = trial.query("SELECT fingerprint FROM alert_transition WHERE state = 'firing'")
    if len(fired) < 2:
        yield f"{len(fired)} alerts fired: with so few little is proven"
    for receiver in RECEIVERS:
        arrived = trial.receiver.deliveries(receiver)
        keys = {delivery.key for delivery in arrived}
        written = {key for (key,) in trial.query("SELECT key FROM outbox WHERE route = %s", receiver)}
        if keys != written:
            yield f"{receiver} was not told {written - keys}, or what nobody wrote: {keys - written}"
        told: set[str] = set()
        for delivery in arrived:
            for alert in delivery.body["alerts"]:
                if alert["status"] == "firing":
                    told.add(alert["fingerprint"])
                elif alert["fingerprint"] not in told:
                    yield f"{receiver} was told the end of {alert['fingerprint']} before its beginning"
        if missing := {fingerprint for (fingerprint,) in fired} - told:
            yield f"{receiver} was never told that these fire: {missing}"
