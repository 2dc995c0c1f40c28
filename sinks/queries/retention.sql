-- Rows are found by an index and deleted by their place (ctid): locked between the two, they do not move. Whatever
-- the sizes of tables are, the planner so never reads one from end to end. Rows in use are left for the next run.
-- OFFSET 0 keeps a condition what it is, a look-up for each row, instead of a join of whole tables.

-- name: windows
DELETE FROM closed_window
WHERE ctid = ANY(ARRAY(
    SELECT ctid
    FROM closed_window
    WHERE created_at < now() - make_interval(secs => %(seconds)s)
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))

-- name: candidates
-- What waits for a decision or for a person stays; payloads go with their candidate.
DELETE FROM candidate
WHERE ctid = ANY(ARRAY(
    SELECT ctid
    FROM candidate
    WHERE created_at < now() - make_interval(secs => %(seconds)s)
        AND decision IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM queue_item WHERE candidate_id = candidate.id AND state IN ('pending', 'leased') OFFSET 0
        )
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))

-- name: payloads
DELETE FROM payload
WHERE ctid = ANY(ARRAY(
    SELECT ctid
    FROM payload
    WHERE created_at < now() - make_interval(secs => %(seconds)s)
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))

-- name: dead_letters
DELETE FROM dead_letter
WHERE ctid = ANY(ARRAY(
    SELECT ctid
    FROM dead_letter
    WHERE created_at < now() - make_interval(secs => %(seconds)s)
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))

-- name: outbox
DELETE FROM outbox
WHERE ctid = ANY(ARRAY(
    SELECT ctid
    FROM outbox
    WHERE created_at < now() - make_interval(secs => %(seconds)s) AND delivered_at IS NOT NULL
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))

-- name: queue
WITH old AS (
    SELECT id
    FROM queue_item
    WHERE settled_at < now() - make_interval(secs => %(seconds)s) AND state IN ('labelled', 'skipped', 'expired')
    ORDER BY settled_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), labels AS (
    DELETE FROM label WHERE item_id = ANY(ARRAY(SELECT id FROM old))
), audit AS (
    DELETE FROM queue_audit WHERE item_id = ANY(ARRAY(SELECT id FROM old))
)
DELETE FROM queue_item WHERE id = ANY(ARRAY(SELECT id FROM old))

-- name: transitions
DELETE FROM alert_transition
WHERE ctid = ANY(ARRAY(
    SELECT ctid
    FROM alert_transition AS t
    WHERE created_at < now() - make_interval(secs => %(seconds)s)
        AND NOT EXISTS (SELECT FROM incident WHERE id = t.incident_id AND state = 'firing' OFFSET 0)
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))

-- name: alerts
DELETE FROM alert
WHERE ctid = ANY(ARRAY(
    SELECT ctid
    FROM alert
    WHERE updated_at < now() - make_interval(secs => %(seconds)s)
        AND state = 'resolved'
        AND NOT EXISTS (SELECT FROM alert_transition AS t WHERE t.fingerprint = alert.fingerprint OFFSET 0)
    ORDER BY updated_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))

-- name: incidents
DELETE FROM incident
WHERE ctid = ANY(ARRAY(
    SELECT ctid
    FROM incident
    WHERE resolved_at < now() - make_interval(secs => %(seconds)s)
        AND state = 'resolved'
        AND NOT EXISTS (SELECT FROM alert WHERE alert.incident_id = incident.id OFFSET 0)
        AND NOT EXISTS (SELECT FROM alert_transition AS t WHERE t.incident_id = incident.id OFFSET 0)
    ORDER BY resolved_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))

-- name: novel_values
DELETE FROM novel_value
WHERE ctid = ANY(ARRAY(
    SELECT ctid
    FROM novel_value
    WHERE created_at < now() - make_interval(secs => %(seconds)s) AND noticed_at IS NOT NULL
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))

-- name: rates
-- Selection rates that were superseded so long ago that no event of their windows can still come.
DELETE FROM control
WHERE ctid = ANY(ARRAY(
    SELECT ctid
    FROM control AS old
    WHERE kind = 'selection'
        -- Older than the one that superseded it.
        AND created_at < now() - make_interval(secs => %(seconds)s)
        AND EXISTS (
            SELECT
            FROM control AS newer
            WHERE newer.kind = 'selection'
                AND newer.model = old.model
                AND newer.id > old.id
                AND newer.effective_from >= old.effective_from
                AND newer.created_at < now() - make_interval(secs => %(seconds)s)
            OFFSET 0
        )
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))

-- name: versions
-- Versions that were replaced, and of which nothing is left: with them their layouts and references.
WITH old AS (
    SELECT id
    FROM cohort
    WHERE created_at < now() - make_interval(secs => %(seconds)s)
        AND EXISTS (SELECT FROM cohort AS newer WHERE newer.model = cohort.model AND newer.id > cohort.id OFFSET 0)
        AND NOT EXISTS (SELECT FROM part WHERE part.cohort_id = cohort.id OFFSET 0)
        AND NOT EXISTS (SELECT FROM closed_window AS closed WHERE closed.cohort_id = cohort.id OFFSET 0)
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), controls AS (
    DELETE FROM control WHERE cohort_id = ANY(ARRAY(SELECT id FROM old))
)
DELETE FROM cohort WHERE id = ANY(ARRAY(SELECT id FROM old))

-- name: processes
DELETE FROM process
WHERE ctid = ANY(ARRAY(
    SELECT ctid
    FROM process
    WHERE seen_at < now() - make_interval(secs => %(seconds)s)
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
