-- name: claim
-- What is claimed is due again when the lease ends: a sender that died is followed by another one.
WITH due AS (
    SELECT id
    FROM outbox AS mine
    WHERE delivered_at IS NULL AND route = %(route)s AND next_attempt_at <= now()
        -- An earlier message of the group must have arrived: a resolve never overtakes its firing.
        AND NOT EXISTS (
            SELECT
            FROM outbox AS earlier
            WHERE earlier.delivered_at IS NULL AND earlier.route = mine.route AND earlier.id < mine.id
                AND earlier.body ->> 'group' = mine.body ->> 'group'
        )
    ORDER BY next_attempt_at, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE outbox
SET attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => %(seconds)s)
FROM due
WHERE outbox.id = due.id
RETURNING outbox.id, outbox.key, outbox.body, outbox.attempts

-- name: delivered
UPDATE outbox SET delivered_at = now(), last_error = NULL WHERE id = %s

-- name: failed
UPDATE outbox
SET next_attempt_at = now() + make_interval(secs => %(seconds)s), last_error = %(error)s
WHERE id = %(id)s AND delivered_at IS NULL

-- name: put_back
UPDATE outbox
SET attempts = attempts - 1, next_attempt_at = now() + make_interval(secs => %(seconds)s)
WHERE id = %(id)s AND delivered_at IS NULL
