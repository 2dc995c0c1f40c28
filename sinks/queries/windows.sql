-- name: cohorts_with_parts
SELECT cohort.id, cohort.model, cohort.version, oldest.window
FROM cohort
CROSS JOIN LATERAL (
    SELECT part.window FROM part WHERE part.cohort_id = cohort.id ORDER BY part.window LIMIT 1
) AS oldest
ORDER BY cohort.id

-- name: lock_cohort
-- NO KEY: ingest's foreign keys to this row must not wait for reduce.
SELECT reduced_window, state FROM cohort WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED

-- name: hold_cohort
SELECT reduced_window, state FROM cohort WHERE id = %s FOR NO KEY UPDATE

-- name: due_windows
SELECT DISTINCT "window" FROM part WHERE cohort_id = %s AND "window" < %s ORDER BY "window" LIMIT %s

-- name: take_parts
DELETE FROM part WHERE cohort_id = %s AND "window" = %s RETURNING layout_id, body

-- name: layout
SELECT body FROM control WHERE id = %s AND kind = 'layout'

-- name: close_window
INSERT INTO closed_window (cohort_id, "window", layout_id, events, summary, readings)
VALUES (%s, %s, %s, %s, %s, %s)

-- name: history
SELECT "window", layout_id, summary
FROM closed_window
WHERE cohort_id = %s AND "window" < %s
ORDER BY "window" DESC
LIMIT %s

-- name: between
SELECT "window", layout_id, summary
FROM closed_window
WHERE cohort_id = %s AND "window" BETWEEN %s AND %s
ORDER BY "window"
LIMIT %s

-- name: reaches_back
SELECT FROM closed_window
WHERE cohort_id = %s AND "window" <= %s AND layout_id = ANY(%s) AND events > 0
LIMIT 1

-- name: back
SELECT min(last."window")
FROM (SELECT "window" FROM closed_window WHERE cohort_id = %s ORDER BY "window" DESC LIMIT %s) AS last

-- name: save_state
UPDATE cohort SET reduced_window = %s, state = %s WHERE id = %s
