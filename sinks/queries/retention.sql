-- name: windows
DELETE FROM closed_window
WHERE (cohort_id, "window") IN (
    SELECT cohort_id, "window"
    FROM closed_window
    WHERE created_at < now() - make_interval(days => %(days)s)
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)

-- name: candidates
-- What waits for a decision or for a person stays; payloads go with their candidate.
DELETE FROM candidate
WHERE id IN (
    SELECT id
    FROM candidate
    WHERE created_at < now() - make_interval(days => %(days)s)
        AND decision IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM queue_item WHERE candidate_id = candidate.id AND state IN ('pending', 'leased')
        )
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)

-- name: payloads
DELETE FROM payload
WHERE candidate_id IN (
    SELECT candidate_id
    FROM payload
    WHERE created_at < now() - make_interval(days => %(days)s)
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)

-- name: dead_letters
DELETE FROM dead_letter
WHERE (topic, partition, first_offset, reason) IN (
    SELECT topic, partition, first_offset, reason
    FROM dead_letter
    WHERE created_at < now() - make_interval(days => %(days)s)
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)

-- name: outbox
DELETE FROM outbox
WHERE id IN (
    SELECT id
    FROM outbox
    WHERE created_at < now() - make_interval(days => %(days)s) AND delivered_at IS NOT NULL
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)

-- name: queue
WITH old AS (
    SELECT id
    FROM queue_item
    WHERE settled_at < now() - make_interval(days => %(days)s) AND state IN ('labelled', 'skipped', 'expired')
    ORDER BY settled_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), labels AS (
    DELETE FROM label USING old WHERE label.item_id = old.id
), audit AS (
    DELETE FROM queue_audit USING old WHERE queue_audit.item_id = old.id
)
DELETE FROM queue_item USING old WHERE queue_item.id = old.id

-- name: transitions
DELETE FROM alert_transition
WHERE id IN (
    SELECT t.id
    FROM alert_transition AS t
    LEFT JOIN incident ON incident.id = t.incident_id
    WHERE t.created_at < now() - make_interval(days => %(days)s)
        AND (incident.id IS NULL OR incident.state = 'resolved')
    LIMIT %(limit)s
    FOR UPDATE OF t SKIP LOCKED
)

-- name: alerts
DELETE FROM alert
WHERE fingerprint IN (
    SELECT fingerprint
    FROM alert
    WHERE updated_at < now() - make_interval(days => %(days)s)
        AND state = 'resolved'
        AND NOT EXISTS (SELECT FROM alert_transition AS t WHERE t.fingerprint = alert.fingerprint)
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)

-- name: incidents
DELETE FROM incident
WHERE id IN (
    SELECT id
    FROM incident
    WHERE resolved_at < now() - make_interval(days => %(days)s)
        AND state = 'resolved'
        AND NOT EXISTS (SELECT FROM alert WHERE alert.incident_id = incident.id)
        AND NOT EXISTS (SELECT FROM alert_transition AS t WHERE t.incident_id = incident.id)
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)

-- name: novel_values
DELETE FROM novel_value
WHERE (model, kind, value) IN (
    SELECT model, kind, value
    FROM novel_value
    WHERE created_at < now() - make_interval(days => %(days)s) AND noticed_at IS NOT NULL
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)

-- name: rates
-- Selection rates that were superseded so long ago that no event of their windows can still come.
DELETE FROM control
WHERE id IN (
    SELECT old.id
    FROM control AS old
    WHERE old.kind = 'selection'
        AND EXISTS (
            SELECT
            FROM control AS newer
            WHERE newer.kind = 'selection'
                AND newer.model = old.model
                AND newer.id > old.id
                AND newer.effective_from >= old.effective_from
                AND newer.created_at < now() - make_interval(days => %(days)s)
        )
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)

-- name: processes
DELETE FROM process
WHERE (host, pid) IN (
    SELECT host, pid
    FROM process
    WHERE seen_at < now() - make_interval(days => %(days)s)
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
