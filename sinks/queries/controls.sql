-- name: since
SELECT id, kind, cohort_id, model, effective_from, body
FROM control
WHERE id > %s AND kind = ANY(%s)
ORDER BY id

-- name: stored
SELECT id FROM control WHERE kind = ANY(%s)

-- name: lock_shared
SELECT pg_advisory_xact_lock_shared(hashtext('strandline control'))

-- name: lock_exclusive
SELECT pg_advisory_xact_lock(hashtext('strandline control'))

-- name: next_free_window
SELECT 1 + greatest(
    (SELECT max(reduced_window) FROM cohort WHERE model = %s),
    (
        SELECT max(newest.window)
        FROM cohort
        CROSS JOIN LATERAL (
            (SELECT part.window FROM part WHERE part.cohort_id = cohort.id ORDER BY part.window DESC LIMIT 1)
            UNION ALL
            -- What reduce publishes, it publishes between closing a window and saving how far it came.
            (
                SELECT closed.window
                FROM closed_window AS closed
                WHERE closed.cohort_id = cohort.id
                ORDER BY closed.window DESC
                LIMIT 1
            )
        ) AS newest
        WHERE cohort.model = %s
    )
)

-- name: publish
INSERT INTO control (kind, model, cohort_id, effective_from, body)
VALUES (%s, %s, %s, %s, %s)
RETURNING id
