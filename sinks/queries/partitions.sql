-- name: list
SELECT topic, partition, next_offset, event_high_us,
       CASE WHEN lease_until < now() - interval '30 seconds' THEN NULL ELSE owner END,
       stopped_reason, updated_at
FROM partition
WHERE topic = ANY(%s)
ORDER BY topic, partition

-- name: find
SELECT topic, partition, next_offset, event_high_us, owner, stopped_reason, updated_at
FROM partition
WHERE topic = %s AND partition = %s

-- name: resume
-- A new epoch: whoever still has the old position in mind is fenced.
UPDATE partition
SET next_offset = %(to)s, epoch = epoch + 1, stopped_reason = NULL, claims = 0, suspect_offset = NULL,
    suspect_deaths = 0, updated_at = now()
WHERE topic = %(topic)s AND partition = %(partition)s AND stopped_reason IS NOT NULL
    AND next_offset IS NOT DISTINCT FROM %(from)s
