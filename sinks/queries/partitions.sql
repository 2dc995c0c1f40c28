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
-- A new epoch: whoever still has the old position in mind is fenced. Windows closed without this partition, so it
-- goes on at the others' watermark, as one that is new: what is older is late.
UPDATE partition
SET next_offset = %(to)s,
    event_high_us = greatest(event_high_us, seen.high),
    epoch = epoch + 1,
    stopped_reason = NULL,
    topic_id = NULL,
    claims = 0,
    suspect_offset = NULL,
    suspect_deaths = 0,
    updated_at = now()
FROM (
    SELECT min(event_high_us) AS high FROM partition WHERE topic = ANY(%(all_topics)s) AND stopped_reason IS NULL
) AS seen
WHERE topic = %(topic)s AND partition = %(partition)s AND stopped_reason IS NOT NULL
    AND next_offset IS NOT DISTINCT FROM %(from)s
