-- name: partitions
SELECT topic, partition, high_water - next_offset, extract(epoch FROM now()) - event_high_us / 1e6
FROM partition
WHERE topic = ANY(%s)
ORDER BY topic, partition

-- name: partition_counts
SELECT count(*) FILTER (WHERE stopped_reason IS NOT NULL),
       count(*) FILTER (
           WHERE stopped_reason IS NULL AND (owner IS NULL OR lease_until < now() - interval '30 seconds')
       )
FROM partition
WHERE topic = ANY(%s)

-- name: learning
SELECT count(*)
FROM cohort
WHERE NOT EXISTS (SELECT FROM control WHERE control.cohort_id = cohort.id AND control.kind = 'reference')

-- name: undecided
SELECT count(*) FROM candidate WHERE decision IS NULL

-- name: queue
SELECT state, count(*) FROM queue_item GROUP BY state

-- name: alerts
SELECT severity, count(*) FROM alert WHERE state = 'firing' GROUP BY severity

-- name: outbox
SELECT count(*), count(*) FILTER (WHERE attempts > 0), coalesce(extract(epoch FROM now() - min(created_at)), 0)
FROM outbox
WHERE delivered_at IS NULL
