"""Retention finds what is old by an index: it runs every minute, beside everything else."""

from collections.abc import Iterator

import pytest

from daemon.jobs.retention import RetentionJob
from daemon.settings import RetentionSettings
from sinks.database import Connection, connect
from sinks.statements import statement

ROWS = 20_000
AGED = f"now() - n * interval '400 days' / {ROWS}"
"""When row n was made: the rows are spread over more than a year."""
TABLES = {
    "model": ("name, window_seconds", "n::text, 300", 50),
    "cohort": ("model, version, created_at", f"(1 + n % 50)::text, n::text, {AGED}", ROWS),
    "control": (
        "kind, cohort_id, model, effective_from, body, created_at",
        (
            "(ARRAY['selection', 'layout'])[1 + n % 2], CASE WHEN n % 2 = 1 THEN n END, (1 + n % 50)::text,"
            f" {ROWS} - n, '', {AGED}"
        ),
        ROWS,
    ),
    "closed_window": (
        'cohort_id, "window", layout_id, events, summary, readings, created_at',
        f"1 + n % 500, n, 1, 1, '', '', {AGED}",
        ROWS,
    ),
    "candidate": (
        (
            'model, version, event_id, topic, partition, "offset", event_time_us, "window", expected_error, reason,'
            " select_draw, order_draw, decision, created_at"
        ),
        f"'1', '', n::text, '', 0, n, 1, 1, 0, 'uniform', 0, 0, 'passed', {AGED}",
        ROWS,
    ),
    "payload": ("candidate_id, event, truncated, created_at", f"n, '', false, {AGED}", ROWS),
    "queue_item": (
        "candidate_id, model, version, event_id, reason, urgent, day, order_draw, state, settled_at",
        f"n, '1', '', n::text, 'uniform', false, now(), 0, 'labelled', {AGED}",
        ROWS,
    ),
    "label": ("item_id, value, labelled_by", "n, '8', 'ada'", ROWS),
    "queue_audit": ("item_id, who, to_state", "n, 'ada', 'labelled'", ROWS),
    "dead_letter": (
        "topic, partition, first_offset, reason, last_offset, count, detail, size, created_at",
        f"'predictions', 0, n, 'not_json', n, 1, '', 1, {AGED}",
        ROWS,
    ),
    "outbox": (
        "key, route, model, body, delivered_at, created_at",
        f"n::text, 'log', '1', '{{}}', now(), {AGED}",
        ROWS,
    ),
    "incident": ("model, state, severity, title, resolved_at", f"n::text, 'resolved', 'ticket', '', {AGED}", ROWS),
    "alert": (
        "fingerprint, incident_id, model, labels, state, severity, evidence, updated_at",
        f"n::text, n, n::text, '{{}}', 'resolved', 'ticket', '{{}}', {AGED}",
        ROWS,
    ),
    "alert_transition": (
        'fingerprint, incident_id, "window", state, evidence, created_at',
        f"n::text, n, 1, 'resolved', '{{}}', {AGED}",
        ROWS,
    ),
    "novel_value": (
        "model, kind, value, version, nominated, first_window, first_event_id, noticed_at, created_at",
        f"'1', 'classes', n::text, '', 5, 1, '', now(), {AGED}",
        ROWS,
    ),
}
DAYS = {
    f"{name}_days": 390 for name in ("windows", "candidates", "payloads", "dead_letters", "queue", "alerts", "versions")
}
SETTINGS = RetentionSettings(**DAYS, outbox_days=390)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, name="test") as opened:
        for table, (columns, values, count) in TABLES.items():
            rows = f"SELECT {values} FROM generate_series(1, {count}) AS n"
            opened.execute(f"INSERT INTO {table} ({columns}) {rows}".encode())
        opened.execute("ANALYZE")
        yield opened


def test_no_statement_reads_a_whole_table_and_each_keeps_what_is_young(connection: Connection) -> None:
    job = RetentionJob(SETTINGS)
    for name, days in job._days.items():
        rows = connection.execute(
            b"EXPLAIN " + statement("retention", name), {"seconds": days * 86_400, "limit": 1000}
        ).fetchall()
        plan = "\n".join(row[0] for row in rows)
        # Parts are those few that reduce has not taken yet, processes those few that ran today.
        grown = plan.replace("Seq Scan on part", "").replace("Seq Scan on process", "")
        assert "Seq Scan" not in grown, f"{name}:\n{plan}"
    job.run_once(connection)
    for table, (columns, _, count) in TABLES.items():
        time = next(
            (each for each in ("created_at", "settled_at", "resolved_at", "updated_at") if each in columns), None
        )
        if time is not None:
            old = f"SELECT count(*) FILTER (WHERE {time} < now() - interval '391 days'), count(*) FROM {table}"
            left, all_there = connection.execute(old.encode()).fetchall()[0]
            assert all_there < count, f"{table}: nothing went"
            if table not in {"cohort", "control"}:
                assert left == 0, f"{table}: {left} rows stay"


def test_status_does_not_read_all_windows(connection: Connection) -> None:
    rows = connection.execute(b"EXPLAIN " + statement("status", "windows")).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan, plan
