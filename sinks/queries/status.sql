-- name: partitions
SELECT count(*),
       count(*) FILTER (WHERE stopped_reason IS NOT NULL),
       count(*) FILTER (WHERE owner IS NULL OR lease_until < now() - interval '30 seconds'),
       min(event_high_us),
       max(event_high_us),
       max(updated_at)
FROM partition
WHERE topic = ANY(%s)

-- name: processes
SELECT count(*) FILTER (WHERE application_name = 'strandline ingest'),
       count(*) FILTER (WHERE application_name = 'strandline jobs')
FROM pg_stat_activity
WHERE datname = current_database()

-- name: stopped
SELECT topic, partition, stopped_reason
FROM partition
WHERE topic = ANY(%s) AND stopped_reason IS NOT NULL
ORDER BY topic, partition

-- name: cohorts
SELECT count(DISTINCT model), count(*) FROM cohort

-- name: windows
SELECT count(*), coalesce(sum(events), 0), max(created_at) FROM closed_window

-- name: dead_letters
SELECT reason, sum(count)::bigint FROM dead_letter_total GROUP BY reason ORDER BY 2 DESC, 1

-- name: incidents
SELECT count(*) FROM incident WHERE state = 'firing'

-- name: queue
SELECT state, count(*) FROM queue_item GROUP BY state ORDER BY state

-- name: outbox
SELECT count(*), max(attempts), max(last_error)
FROM outbox
WHERE delivered_at IS NULL AND attempts > 0
