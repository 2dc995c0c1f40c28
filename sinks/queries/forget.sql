-- name: models
SELECT name FROM model ORDER BY name

-- name: before
SELECT created_at FROM forgotten WHERE digest = %(digest)s AND (model IS NULL OR model = %(model)s) ORDER BY id LIMIT 1

-- name: payloads
DELETE FROM payload USING candidate
WHERE payload.candidate_id = candidate.id AND candidate.event_id = %(event)s AND candidate.model = ANY(%(models)s)

-- name: candidates
DELETE FROM candidate
WHERE event_id = %(event)s AND model = ANY(%(models)s)
RETURNING topic, partition, "offset"

-- name: items
-- A drawn item stays, as one that got no answer: without it the estimate would be of other events than were drawn.
-- What takes the place of the id is unique, and nothing that a producer could have guessed.
WITH found AS (
    SELECT id, state
    FROM queue_item
    WHERE event_id = %(event)s AND model = ANY(%(models)s)
    FOR UPDATE
), emptied AS (
    UPDATE queue_item AS item
    SET event_id = 'forgotten-' || gen_random_uuid(),
        state = 'expired',
        settled_at = coalesce(settled_at, now()),
        lease_token = NULL,
        leased_by = NULL,
        lease_until = NULL
    FROM found
    WHERE item.id = found.id
    RETURNING item.id, found.state
), audited AS (
    INSERT INTO queue_audit (item_id, who, from_state, to_state)
    SELECT id, %(who)s, state, 'expired' FROM emptied
)
SELECT id FROM emptied

-- name: labels
DELETE FROM label WHERE item_id = ANY(%(items)s)

-- name: novel_values
UPDATE novel_value SET first_event_id = '' WHERE first_event_id = %(event)s AND model = ANY(%(models)s)

-- name: dead_letters
SELECT topic, partition, first_offset, reason, detail, value
FROM dead_letter
WHERE EXISTS (
    SELECT
    FROM unnest(%(spellings)s::text[]) AS spelling
    WHERE strpos(detail, spelling) > 0 OR position(convert_to(spelling, 'UTF8') IN value) > 0
)
FOR UPDATE

-- name: empty_dead_letter
UPDATE dead_letter
SET value = NULL, detail = %s
WHERE topic = %s AND partition = %s AND first_offset = %s AND reason = %s

-- name: outbox
SELECT id, body, last_error
FROM outbox
WHERE strpos(body::text, %(quoted)s) > 0 OR strpos(last_error, %(event)s) > 0
FOR UPDATE

-- name: empty_outbox
UPDATE outbox SET body = %s, last_error = %s WHERE id = %s

-- name: alerts
SELECT fingerprint, evidence FROM alert WHERE strpos(evidence::text, %(quoted)s) > 0 FOR UPDATE

-- name: empty_alert
UPDATE alert SET evidence = %s WHERE fingerprint = %s

-- name: transitions
SELECT id, evidence FROM alert_transition WHERE strpos(evidence::text, %(quoted)s) > 0 FOR UPDATE

-- name: empty_transition
UPDATE alert_transition SET evidence = %s WHERE id = %s

-- name: incidents
SELECT id, title FROM incident WHERE strpos(title, %(event)s) > 0 FOR UPDATE

-- name: empty_incident
UPDATE incident SET title = %s WHERE id = %s

-- name: notes
SELECT id, note FROM label WHERE strpos(note, %(event)s) > 0 FOR UPDATE

-- name: empty_note
UPDATE label SET note = %s WHERE id = %s

-- name: add
INSERT INTO forgotten (digest, model, who, reason, counts) VALUES (%s, %s, %s, %s, %s)
