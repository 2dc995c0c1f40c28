-- name: models
SELECT name, window_seconds, EXISTS (SELECT FROM candidate WHERE model = name AND decision IS NULL)
FROM model
ORDER BY name

-- name: lock_model
-- NO KEY: foreign keys to the model must not wait for this.
SELECT name FROM model WHERE name = %s FOR NO KEY UPDATE SKIP LOCKED

-- name: undecided
SELECT id, event_time_us, "window", reason, nominated, wanted, select_draw
FROM candidate
WHERE model = %s AND decision IS NULL
ORDER BY id
LIMIT %s

-- name: queued
SELECT day, count(*) FROM queue_item WHERE model = %s AND day = ANY(%s) GROUP BY day

-- name: decide
WITH decided AS (
    SELECT *
    FROM unnest(
        %(ids)s::bigint[], %(decisions)s::text[], %(selected)s::float8[], %(propensities)s::float8[],
        %(urgent)s::boolean[], %(days)s::date[]
    ) AS d (id, decision, selected, propensity, urgent, day)
), updated AS (
    UPDATE candidate
    SET decision = decided.decision, selected = decided.selected
    FROM decided
    WHERE candidate.id = decided.id
    RETURNING candidate.id
)
INSERT INTO queue_item (candidate_id, model, version, event_id, reason, propensity, urgent, day, order_draw)
SELECT c.id, c.model, c.version, c.event_id, c.reason, decided.propensity, decided.urgent, decided.day, c.order_draw
FROM decided
JOIN candidate AS c ON c.id = decided.id
WHERE decided.decision = 'queued'
ORDER BY c.id
-- An event outlives its candidate in the queue: sent again after that, it is not queued twice.
ON CONFLICT (model, event_id) DO NOTHING

-- name: newly_closed
SELECT cohort.id, closed."window", closed.layout_id, closed.summary
FROM cohort
JOIN closed_window AS closed ON closed.cohort_id = cohort.id
LEFT JOIN unnest(%(cohorts)s::bigint[], %(windows)s::bigint[]) AS known (cohort_id, "window")
    ON known.cohort_id = cohort.id
WHERE cohort.model = %(model)s AND closed."window" > greatest(known."window", %(after)s::bigint)
ORDER BY cohort.id, closed."window"
