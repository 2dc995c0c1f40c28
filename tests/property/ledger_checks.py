"""What the ledger's state machine looks at after every step: the tables, held against the oracle."""

from detectors.summary import Summary
from sinks.database import Connection
from sinks.effects import NEVER_SEEN, NOVEL_EVENTS, Candidate
from sinks.windows import Layouts, uncompress
from tests.property.ledger_memory import MemoryRecord
from tests.property.ledger_model import Model, Oracle

__all__ = ["KEPT", "LETTER_BYTES", "check_all"]

KEPT = 3
"""Dead letters of a partition and reason that are kept whole."""
LETTER_BYTES = 16


def check_all(connection: Connection, model: Model, oracle: Oracle) -> None:
    """Check every table that a commit writes."""
    rows = connection.execute("SELECT partition, epoch, next_offset, event_high_us FROM partition").fetchall()
    expected = {at[1]: (row.epoch, row.next, row.high) for at, row in model.rows.items()}
    assert {row[0]: row[1:] for row in rows} == expected
    _check_summaries(connection, oracle)
    _check_candidates(connection, oracle)
    _check_dead_letters(connection, oracle)


def _check_summaries(connection: Connection, oracle: Oracle) -> None:
    """Parts and closed windows add up to the oracle's, byte for byte, under the layout in force."""
    layouts = Layouts(connection)
    found: dict[tuple[int, int], tuple[int, Summary]] = {}
    for cohort_id, window, layout_id, body in connection.execute(
        'SELECT cohort_id, "window", layout_id, body FROM part'
        ' UNION ALL SELECT cohort_id, "window", layout_id, summary FROM closed_window'
    ):
        in_force = oracle.controls.in_force("layout", cohort_id, window)
        assert in_force is not None
        assert layout_id == in_force.id
        summary = Summary.from_bytes(layouts[layout_id], uncompress(body))
        _, whole = found.setdefault((cohort_id, window), (layout_id, Summary.empty(summary.layout)))
        whole.add(summary)
    stored, expected = _bytes(found), _bytes(oracle.summaries)
    wrong = {
        key: (stored.get(key), expected.get(key))
        for key in stored.keys() | expected.keys()
        if stored.get(key) != expected.get(key)
    }
    assert not wrong, f"stored and expected differ: {wrong}"
    closed = connection.execute(
        "SELECT 1 FROM part JOIN cohort ON cohort.id = part.cohort_id WHERE part.window <= cohort.reduced_window"
    ).fetchall()
    assert not closed, "a part of a closed window"


def _bytes(summaries: dict[tuple[int, int], tuple[int, Summary]]) -> dict[tuple[int, int], tuple[int, bytes]]:
    """Return the summaries as they are once their windows are closed, which some of them are."""
    return {key: (layout_id, summary.closed().to_bytes()) for key, (layout_id, summary) in summaries.items()}


def _check_candidates(connection: Connection, oracle: Oracle) -> None:
    """Every drawn event is there once, as it was drawn, and of each never-seen value the first five."""
    rows = connection.execute(
        'SELECT model, version, event_id, topic, partition, "offset", event_time_us, "window", prediction,'
        " confidence, expected_error, reason, nominated, wanted, select_draw, order_draw, event, truncated"
        " FROM candidate LEFT JOIN payload ON candidate_id = id"
    ).fetchall()
    stored = {(row[0], row[2]): Candidate(*row) for row in rows}
    assert len(stored) == len(rows)
    missing = [oracle.variants[key] for key in oracle.drawn - stored.keys()]
    assert not missing, f"drawn, but not stored: {missing}"
    for key, candidate in stored.items():
        assert candidate in oracle.variants[key], f"{candidate} is none of {oracle.variants[key]}"
    values = connection.execute("SELECT model, value, nominated FROM novel_value").fetchall()
    granted = {(model, value): count for model, value, count in values}
    assert granted == {key: min(NOVEL_EVENTS, len(ids)) for key, ids in oracle.novel.items()}
    for (model, value), ids in oracle.novel.items():
        wanted = (model, value, NEVER_SEEN)
        taken = sum((each.model, each.prediction, each.reason) == wanted for each in stored.values())
        assert taken <= granted[model, value]
        # An event that was delivered twice may have used up two of the five.
        if all(oracle.seen[model, each] == 1 for each in ids):
            assert taken == granted[model, value]


def _check_dead_letters(connection: Connection, oracle: Oracle) -> None:
    """The first of each kind are there whole, the others in ranges, all of them counted."""
    totals = connection.execute("SELECT partition, reason, count FROM dead_letter_total").fetchall()
    assert {(row[0], row[1]): row[2] for row in totals} == {key: len(dead) for key, dead in oracle.dead.items()}
    for (number, reason), dead in oracle.dead.items():
        rows = connection.execute(
            "SELECT first_offset, last_offset, count, size, value FROM dead_letter"
            " WHERE partition = %s AND reason = %s ORDER BY first_offset",
            [number, reason],
        ).fetchall()
        assert rows[:KEPT] == [_whole(each) for each in dead[:KEPT]]
        rest = [each.offset for each in dead[KEPT:]]
        ranges = [[offset for offset in rest if row[0] <= offset <= row[1]] for row in rows[KEPT:]]
        assert [offset for offsets in ranges for offset in offsets] == rest
        assert [len(offsets) for offsets in ranges] == [row[2] for row in rows[KEPT:]]
    skipped = connection.execute("SELECT partition, count FROM skipped_total").fetchall()
    assert dict(skipped) == +oracle.tombstones


def _whole(record: MemoryRecord) -> tuple[int, int, int, int, bytes]:
    value = record.value or b""
    return record.offset, record.offset, 1, len(value), value[:LETTER_BYTES]
