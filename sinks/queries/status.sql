-- name: partitions
SELECT topic, partition, stopped_reason, owner IS NULL OR lease_until < now() - interval '30 seconds',
       event_high_us, greatest(high_water - next_offset, 0), updated_at, extract(epoch FROM now())::float8
FROM partition
WHERE topic = ANY(%s)
ORDER BY topic, partition

-- name: cohorts
SELECT count(DISTINCT model), count(*), count(*) FILTER (WHERE NOT EXISTS (
    SELECT FROM control WHERE control.cohort_id = cohort.id AND control.kind = 'reference'
))
FROM cohort

-- name: layouts
-- Each version's newest layout.
SELECT cohort.model, newest.body
FROM cohort
CROSS JOIN LATERAL (
    SELECT control.body
    FROM control
    WHERE control.model = cohort.model AND control.kind = 'layout' AND control.cohort_id = cohort.id
    ORDER BY control.effective_from DESC, control.id DESC
    LIMIT 1
) AS newest

-- name: windows
-- Those of a day, by the index: all of them are gigabytes.
SELECT count(*), coalesce(sum(events), 0) FROM closed_window WHERE created_at > now() - interval '1 day'

-- name: dead_letters
SELECT reason, sum(count)::bigint FROM dead_letter_total GROUP BY reason ORDER BY 2 DESC, 1

-- name: incidents
SELECT count(*) FROM incident WHERE state = 'firing'

-- name: queue
SELECT state, count(*) FROM queue_item GROUP BY state ORDER BY state

-- name: outbox
SELECT count(*),
       count(*) FILTER (WHERE attempts > 0),
       coalesce(max(attempts), 0),
       max(last_error),
       min(created_at),
       coalesce(min(created_at) < now() - interval '15 minutes', false)
FROM outbox
WHERE delivered_at IS NULL
