-- name: claim
WITH lapsed AS (
    SELECT id, state, urgent, day, order_draw
    FROM queue_item
    WHERE state = 'leased' AND lease_until < now() AND (%(model)s::text IS NULL OR model = %(model)s)
    ORDER BY urgent DESC, day, order_draw
    LIMIT %(n)s
    FOR UPDATE SKIP LOCKED
), pending AS (
    SELECT id, state, urgent, day, order_draw
    FROM queue_item
    WHERE state = 'pending' AND (%(model)s::text IS NULL OR model = %(model)s)
    ORDER BY urgent DESC, day, order_draw
    LIMIT %(n)s
    FOR UPDATE SKIP LOCKED
), chosen AS (
    SELECT id, state
    FROM (TABLE lapsed UNION ALL TABLE pending) AS free
    ORDER BY urgent DESC, day, order_draw
    LIMIT %(n)s
), claimed AS (
    UPDATE queue_item AS item
    SET state = 'leased',
        lease_token = gen_random_uuid(),
        leased_by = %(who)s,
        lease_until = now() + make_interval(secs => %(seconds)s)
    FROM chosen
    WHERE item.id = chosen.id
    RETURNING item.*, chosen.state AS state_before
), audited AS (
    INSERT INTO queue_audit (item_id, who, from_state, to_state)
    SELECT id, %(who)s, state_before, 'leased' FROM claimed
)
SELECT
    item.id, item.lease_token, item.model, item.version, item.event_id, item.reason, item.propensity, item.urgent,
    item.day, item.state, item.leased_by, item.lease_until, item.created_at, item.settled_at,
    candidate.prediction, candidate.confidence, candidate.expected_error, payload.event,
    coalesce(payload.truncated, false), candidate.topic, candidate.partition, candidate."offset"
FROM claimed AS item
LEFT JOIN candidate ON candidate.id = item.candidate_id
LEFT JOIN payload ON payload.candidate_id = item.candidate_id
ORDER BY item.urgent DESC, item.day, item.order_draw

-- name: any_free
SELECT
    EXISTS (SELECT FROM queue_item WHERE state = 'pending' AND (%(model)s::text IS NULL OR model = %(model)s))
    OR EXISTS (
        SELECT FROM queue_item
        WHERE state = 'leased' AND lease_until < now() AND (%(model)s::text IS NULL OR model = %(model)s)
    )

-- name: label
WITH settled AS (
    UPDATE queue_item
    SET state = 'labelled', settled_at = now(), lease_until = NULL
    WHERE id = %(id)s AND lease_token = %(token)s AND state = 'leased'
    RETURNING id, model, event_id, state, settled_at
), labelled AS (
    INSERT INTO label (item_id, value, labelled_by, note)
    SELECT id, %(value)s, %(who)s, %(note)s FROM settled
), audited AS (
    INSERT INTO queue_audit (item_id, who, from_state, to_state)
    SELECT id, %(who)s, 'leased', state FROM settled
)
SELECT id, model, event_id, state, %(value)s::text, %(who)s::text, settled_at FROM settled

-- name: skip
WITH settled AS (
    UPDATE queue_item
    SET state = 'skipped', settled_at = now(), lease_until = NULL
    WHERE id = %(id)s AND lease_token = %(token)s AND state = 'leased'
    RETURNING id, model, event_id, state, settled_at
), audited AS (
    INSERT INTO queue_audit (item_id, who, from_state, to_state)
    SELECT id, %(who)s, 'leased', state FROM settled
)
SELECT id, model, event_id, state, NULL, %(who)s::text, settled_at FROM settled

-- name: settled
-- The token stays with a settled item, so that its answer can be recognised when it comes again.
SELECT item.id, item.model, item.event_id, item.state, label.value, audit.who, item.settled_at
FROM queue_item AS item
JOIN queue_audit AS audit ON audit.item_id = item.id AND audit.to_state = item.state
LEFT JOIN label ON label.item_id = item.id AND label.labelled_by = audit.who
WHERE item.id = %(id)s AND item.lease_token = %(token)s AND item.state IN ('labelled', 'skipped')
ORDER BY audit.id DESC
LIMIT 1

-- name: renew
UPDATE queue_item
SET lease_until = now() + make_interval(secs => %(seconds)s)
WHERE id = %(id)s AND lease_token = %(token)s AND state = 'leased'
RETURNING lease_until

-- name: release
WITH released AS (
    UPDATE queue_item
    SET state = 'pending', lease_token = NULL, leased_by = NULL, lease_until = NULL
    WHERE id = %(id)s AND lease_token = %(token)s AND state = 'leased'
    RETURNING id
), audited AS (
    INSERT INTO queue_audit (item_id, who, from_state, to_state)
    SELECT id, %(who)s, 'leased', 'pending' FROM released
)
SELECT id FROM released

-- name: list
SELECT
    item.id, NULL, item.model, item.version, item.event_id, item.reason, item.propensity, item.urgent,
    item.day, item.state,
    coalesce((SELECT labelled_by FROM label WHERE item_id = item.id ORDER BY id DESC LIMIT 1), item.leased_by),
    item.lease_until, item.created_at, item.settled_at,
    candidate.prediction, candidate.confidence, candidate.expected_error, NULL, false,
    candidate.topic, candidate.partition, candidate."offset"
FROM queue_item AS item
LEFT JOIN candidate ON candidate.id = item.candidate_id
WHERE
    (%(model)s::text IS NULL OR item.model = %(model)s)
    AND (%(state)s::text IS NULL OR item.state = %(state)s)
    AND (%(reason)s::text IS NULL OR item.reason = %(reason)s)
    AND (%(before)s::bigint IS NULL OR item.id < %(before)s)
ORDER BY item.id DESC
LIMIT %(limit)s

-- name: find
SELECT
    item.id, NULL, item.model, item.version, item.event_id, item.reason, item.propensity, item.urgent,
    item.day, item.state,
    coalesce((SELECT labelled_by FROM label WHERE item_id = item.id ORDER BY id DESC LIMIT 1), item.leased_by),
    item.lease_until, item.created_at, item.settled_at,
    candidate.prediction, candidate.confidence, candidate.expected_error, payload.event,
    coalesce(payload.truncated, false), candidate.topic, candidate.partition, candidate."offset"
FROM queue_item AS item
LEFT JOIN candidate ON candidate.id = item.candidate_id
LEFT JOIN payload ON payload.candidate_id = item.candidate_id
WHERE item.id = %s

-- name: labels_of
SELECT item_id, value FROM label WHERE item_id = ANY(%s) ORDER BY id

-- name: was_given
SELECT EXISTS (
    SELECT FROM label JOIN queue_item ON queue_item.id = label.item_id WHERE queue_item.model = %s AND label.value = %s
)

-- name: stats
SELECT
    model, reason, state, count(*), min(created_at), count(*) FILTER (WHERE settled_at > now() - interval '1 day')
FROM queue_item
WHERE %(model)s::text IS NULL OR model = %(model)s
GROUP BY model, reason, state
ORDER BY model, reason, state
