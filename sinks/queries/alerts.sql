-- name: lock_model
SELECT name FROM model WHERE name = %s FOR NO KEY UPDATE

-- name: lock_pipeline
SELECT pg_advisory_xact_lock(hashtext('strandline pipeline alerts'))

-- name: recorded
SELECT FROM alert_transition WHERE fingerprint = %s AND "window" = %s AND state = %s

-- name: alert
SELECT fingerprint, incident_id, model, labels, state, severity, evidence, starts_us, ends_us, updated_at
FROM alert
WHERE fingerprint = %s

-- name: alerts_of_incident
SELECT fingerprint, incident_id, model, labels, state, severity, evidence, starts_us, ends_us, updated_at
FROM alert
WHERE incident_id = %s AND state = ANY(%s)
ORDER BY fingerprint

-- name: list_alerts
SELECT fingerprint, incident_id, model, labels, state, severity, evidence, starts_us, ends_us, updated_at
FROM alert
WHERE (%(model)s::text IS NULL OR model = %(model)s) AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY updated_at DESC, fingerprint
LIMIT %(limit)s

-- name: put_alert
INSERT INTO alert (fingerprint, incident_id, model, labels, state, severity, evidence, starts_us, ends_us)
VALUES (
    %(fingerprint)s, %(incident_id)s, %(model)s, %(labels)s, %(state)s, %(severity)s, %(evidence)s, %(starts_us)s,
    %(ends_us)s
)
ON CONFLICT (fingerprint) DO UPDATE
SET incident_id = excluded.incident_id,
    state = excluded.state,
    severity = excluded.severity,
    evidence = excluded.evidence,
    starts_us = excluded.starts_us,
    ends_us = excluded.ends_us,
    updated_at = now()

-- name: add_transition
INSERT INTO alert_transition (fingerprint, incident_id, "window", state, evidence)
VALUES (%s, %s, %s, %s, %s)
RETURNING id

-- name: transitions
SELECT created_at, fingerprint, "window", state, evidence
FROM alert_transition
WHERE incident_id = %s
ORDER BY id

-- name: open_incident
SELECT id FROM incident WHERE model = %s AND state = 'firing'

-- name: add_incident
INSERT INTO incident (model, state, severity, title) VALUES (%s, 'firing', %s, %s) RETURNING id

-- name: reopen_incident
UPDATE incident SET state = 'firing', resolved_at = NULL WHERE id = %s

-- name: update_incident
UPDATE incident
SET state = %(state)s,
    severity = coalesce(%(severity)s, severity),
    title = coalesce(%(title)s, title),
    resolved_at = CASE WHEN %(state)s::text = 'resolved' THEN now() END
WHERE id = %(id)s
RETURNING id, model, state, severity, title, opened_at, resolved_at

-- name: incident
SELECT id, model, state, severity, title, opened_at, resolved_at FROM incident WHERE id = %s

-- name: list_incidents
SELECT id, model, state, severity, title, opened_at, resolved_at
FROM incident
WHERE (%(model)s::text IS NULL OR model = %(model)s) AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY (state = 'firing') DESC, id DESC
LIMIT %(limit)s

-- name: send
INSERT INTO outbox (key, route, model, body)
SELECT %(key)s, route, %(model)s, %(body)s
FROM unnest(%(routes)s::text[]) AS route
ON CONFLICT (key, route) DO NOTHING

-- name: send_update
-- Of an incident that fires already, with the same severity: not before a while after the last message, and in the
-- place of one that nobody has tried to send yet.
WITH last AS (
    SELECT DISTINCT ON (route)
        id, route, delivered_at, attempts,
        body ->> 'status' = 'firing' AS fires,
        body ->> 'severity' = %(severity)s AS as_severe
    FROM outbox
    WHERE model = %(model)s AND body ->> 'group' = %(group)s
    ORDER BY route, id DESC
), merged AS (
    UPDATE outbox
    SET body = %(body)s, next_attempt_at = CASE WHEN last.as_severe THEN next_attempt_at ELSE now() END
    FROM last
    WHERE outbox.id = last.id AND last.fires AND outbox.delivered_at IS NULL AND outbox.attempts = 0
    RETURNING outbox.route
)
INSERT INTO outbox (key, route, model, body, next_attempt_at)
SELECT
    %(key)s, wanted.route, %(model)s, %(body)s,
    CASE
        WHEN last.fires AND last.as_severe
        THEN greatest(now(), coalesce(last.delivered_at, now()) + make_interval(secs => %(seconds)s))
        ELSE now()
    END
FROM unnest(%(routes)s::text[]) AS wanted (route)
LEFT JOIN last ON last.route = wanted.route
WHERE wanted.route NOT IN (SELECT route FROM merged)
ON CONFLICT (key, route) DO NOTHING

-- name: send_updates_now
UPDATE outbox
SET next_attempt_at = now()
WHERE model = %(model)s AND body ->> 'group' = %(group)s AND delivered_at IS NULL AND attempts = 0

-- name: deliveries
SELECT route, key, attempts, created_at, delivered_at, last_error
FROM outbox
WHERE model = %s AND body ->> 'group' = %s
ORDER BY id

-- name: take_novel
UPDATE novel_value
SET noticed_at = now()
WHERE (model, kind, value) IN (
    SELECT model, kind, value
    FROM novel_value
    WHERE noticed_at IS NULL
    ORDER BY model, kind, value
    LIMIT %s
    FOR UPDATE SKIP LOCKED
)
RETURNING model, kind, value, version, first_event_id

-- name: due_to_end
SELECT labels
FROM alert
WHERE model = '' AND labels ->> 'alertname' = %s AND state = 'firing'
    AND updated_at < now() - make_interval(secs => %s)
ORDER BY fingerprint

-- name: due_repeats
SELECT id, model
FROM incident
WHERE state = 'firing' AND NOT EXISTS (
    SELECT
    FROM outbox
    WHERE outbox.model = incident.model
        AND outbox.body ->> 'group' = 'incident-' || incident.id
        AND outbox.created_at > now() - make_interval(secs => %s)
)
ORDER BY id

-- name: next_repeat
SELECT count(*) FROM outbox WHERE model = %s AND body ->> 'group' = %s

-- name: now_us
SELECT (extract(epoch FROM now()) * 1000000)::bigint
