-- name: lock_partitions
SELECT pg_advisory_xact_lock(hashtext('strandline partitions'))

-- name: lock_partitions_shared
SELECT pg_advisory_xact_lock_shared(hashtext('strandline partitions'))

-- name: add_partitions
-- A partition that appears later starts at the others' watermark: what is older is late there as it is elsewhere.
INSERT INTO partition (topic, partition, event_high_us)
SELECT fresh.topic, fresh.partition, seen.high
FROM unnest(%(topics)s::text[], %(partitions)s::integer[]) AS fresh (topic, partition)
CROSS JOIN (
    SELECT CASE WHEN bool_or(event_high_us IS NULL) THEN NULL ELSE min(event_high_us) END AS high
    FROM partition
    WHERE topic = ANY(%(all_topics)s) AND stopped_reason IS NULL
) AS seen
ON CONFLICT DO NOTHING

-- name: claim
WITH wanted AS (
    SELECT p.topic, p.partition, w.claimed, w.tried
    FROM partition AS p
    JOIN unnest(%(topics)s::text[], %(partitions)s::integer[], %(claimed)s::bigint[], %(tried)s::bigint[])
        AS w (topic, partition, claimed, tried)
        USING (topic, partition)
    WHERE p.stopped_reason IS NULL
      AND (NOT %(leased)s OR p.owner IS NULL OR p.owner = %(owner)s OR p.lease_until < now())
    ORDER BY p.topic, p.partition
    FOR UPDATE OF p
)
UPDATE partition AS p
SET epoch = p.epoch + 1,
    owner = %(owner)s,
    lease_until = now() + make_interval(secs => %(lease_seconds)s),
    -- Who had it last and claims anew was cut off or fenced, and did not die: of nothing, nor of the suspect it tried.
    claims = p.claims + CASE WHEN p.epoch = wanted.claimed THEN 0 ELSE 1 END,
    suspect_deaths = p.suspect_deaths - CASE WHEN p.suspect_deaths > 0 AND p.epoch = wanted.tried THEN 1 ELSE 0 END,
    updated_at = now()
FROM wanted
WHERE p.topic = wanted.topic AND p.partition = wanted.partition
RETURNING p.topic, p.partition, p.epoch, p.next_offset, p.event_high_us, p.claims, p.suspect_offset, p.suspect_deaths

-- name: positions
SELECT topic, partition, epoch, next_offset
FROM partition
WHERE (topic, partition) IN (SELECT * FROM unnest(%(topics)s::text[], %(partitions)s::integer[]))
ORDER BY topic, partition
FOR UPDATE

-- name: advance
UPDATE partition AS p
SET next_offset = moved.next_offset,
    event_high_us = moved.high,
    high_water = coalesce(moved.high_water, p.high_water),
    lease_until = now() + make_interval(secs => %(lease_seconds)s),
    -- Progress of other partitions is none of this one: its worker may die of what comes first in it, if anything does.
    claims = CASE
        WHEN moved.next_offset >= moved.high_water THEN 0
        WHEN moved.careful THEN p.claims
        WHEN (p.next_offset, p.event_high_us) IS NOT DISTINCT FROM (moved.next_offset, moved.high) THEN p.claims
        ELSE 0
    END,
    -- A suspicion ends when the event was passed, not with a sign of life.
    suspect_offset = CASE WHEN moved.next_offset > p.suspect_offset THEN NULL ELSE p.suspect_offset END,
    suspect_deaths = CASE WHEN moved.next_offset > p.suspect_offset THEN 0 ELSE p.suspect_deaths END,
    updated_at = now()
FROM unnest(
    %(topics)s::text[], %(partitions)s::integer[], %(next)s::bigint[], %(high)s::bigint[], %(high_water)s::bigint[],
    %(careful)s::boolean[]
) AS moved (topic, partition, next_offset, high, high_water, careful)
WHERE p.topic = moved.topic AND p.partition = moved.partition

-- name: suspect
-- Counted as a death beforehand: claims alone say nothing, a worker may come and go without trying the suspect.
UPDATE partition
SET suspect_offset = %(offset)s,
    suspect_deaths = 1 + CASE WHEN suspect_offset = %(offset)s THEN suspect_deaths ELSE 0 END
WHERE topic = %(topic)s AND partition = %(partition)s AND epoch = %(epoch)s

-- name: skip
UPDATE partition SET next_offset = %s, updated_at = now()
WHERE topic = %s AND partition = %s AND epoch = %s AND next_offset IS NOT DISTINCT FROM %s

-- name: stop
UPDATE partition SET stopped_reason = %s, updated_at = now()
WHERE topic = %s AND partition = %s AND epoch = %s

-- name: stop_recreated
-- A new epoch: who still reads it by the old offsets is fenced. Where nothing was read the offsets hold for any topic.
UPDATE partition AS p
SET stopped_reason = %(reason)s, epoch = p.epoch + 1, updated_at = now()
FROM unnest(%(topics)s::text[], %(ids)s::text[]) AS told (topic, id)
WHERE p.topic = told.topic AND p.topic_id <> told.id AND p.next_offset > 0 AND p.stopped_reason IS NULL
RETURNING p.topic, p.partition, p.next_offset

-- name: note_topics
UPDATE partition AS p
SET topic_id = told.id
FROM unnest(%(topics)s::text[], %(ids)s::text[]) AS told (topic, id)
WHERE p.topic = told.topic AND p.topic_id IS DISTINCT FROM told.id AND p.stopped_reason IS NULL
  AND (p.topic_id IS NULL OR coalesce(p.next_offset, 0) = 0)

-- name: release
UPDATE partition SET lease_until = now() WHERE owner = %s

-- name: highest
SELECT max(event_high_us) FROM partition WHERE topic = ANY(%s) AND stopped_reason IS NULL

-- name: watermarks
SELECT count(*), count(event_high_us), min(event_high_us)
FROM partition
WHERE topic = ANY(%s) AND stopped_reason IS NULL

-- name: add_parts
INSERT INTO part (cohort_id, "window", layout_id, events, body)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %b::bytea[])

-- name: count_dead_letters
INSERT INTO dead_letter_total AS t (topic, partition, reason, count)
SELECT * FROM unnest(%s::text[], %s::integer[], %s::text[], %s::bigint[])
ON CONFLICT (topic, partition, reason) DO UPDATE SET count = t.count + excluded.count
RETURNING topic, partition, reason, count

-- name: add_dead_letters
INSERT INTO dead_letter (topic, partition, first_offset, last_offset, count, reason, detail, size, value)
SELECT * FROM unnest(
    %s::text[], %s::integer[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::text[], %s::text[], %s::bigint[], %b::bytea[]
)

-- name: count_skipped
INSERT INTO skipped_total AS t (topic, partition, reason, count)
SELECT * FROM unnest(%s::text[], %s::integer[], %s::text[], %s::bigint[])
ON CONFLICT (topic, partition, reason) DO UPDATE SET count = t.count + excluded.count

-- name: add_candidates
INSERT INTO candidate (
    model, version, event_id, topic, partition, "offset", event_time_us, "window", prediction, confidence,
    expected_error, reason, nominated, wanted, select_draw, order_draw
)
SELECT * FROM unnest(
    %s::text[], %s::text[], %s::text[], %s::text[], %s::integer[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::text[], %s::double precision[], %s::double precision[], %s::text[], %s::double precision[],
    %s::double precision[], %s::double precision[], %s::double precision[]
)
ON CONFLICT (model, event_id) DO NOTHING
RETURNING id, model, event_id

-- name: add_payloads
INSERT INTO payload (candidate_id, event, truncated)
SELECT * FROM unnest(%s::bigint[], %b::bytea[], %s::boolean[])

-- name: forgotten
SELECT digest, model FROM forgotten WHERE digest = ANY(%s)

-- name: add_novel_values
WITH at_cap AS (
    SELECT model FROM novel_value WHERE model = ANY(%s::text[]) GROUP BY model HAVING count(*) >= %s
)
INSERT INTO novel_value (model, kind, value, version, nominated, first_window, first_event_id)
SELECT *
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::integer[], %s::bigint[], %s::text[])
    AS fresh (model, kind, value, version, nominated, first_window, first_event_id)
WHERE model NOT IN (SELECT model FROM at_cap)
ON CONFLICT DO NOTHING

-- name: lock_novel_values
SELECT model, kind, value, nominated
FROM novel_value
WHERE (model, kind, value) IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]))
ORDER BY model, kind, value
FOR UPDATE

-- name: nominate_novel_values
UPDATE novel_value AS n SET nominated = n.nominated + more.nominated
FROM unnest(%s::text[], %s::text[], %s::text[], %s::integer[]) AS more (model, kind, value, nominated)
WHERE n.model = more.model AND n.kind = more.kind AND n.value = more.value
