-- name: list
SELECT topic, partition, first_offset, last_offset, count, reason, detail, size, created_at, resent_at, NULL
FROM dead_letter
WHERE (%(topic)s::text IS NULL OR topic = %(topic)s)
    AND (%(reason)s::text IS NULL OR reason = %(reason)s)
    AND (%(waiting)s = false OR resent_at IS NULL)
ORDER BY created_at DESC, topic, partition, first_offset, reason
LIMIT %(limit)s

-- name: topics
SELECT DISTINCT topic FROM dead_letter_total ORDER BY topic

-- name: at
SELECT topic, partition, first_offset, last_offset, count, reason, detail, size, created_at, resent_at, value
FROM dead_letter
WHERE topic = %s AND partition = %s AND first_offset <= %s AND last_offset >= %s
ORDER BY first_offset, reason

-- name: mark
UPDATE dead_letter
SET resent_at = now()
WHERE topic = %s AND partition = %s AND first_offset = %s AND reason = %s AND resent_at IS NOT DISTINCT FROM %s
