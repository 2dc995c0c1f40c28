-- name: last_windows
-- The last window in which a model had events, closed or not yet.
SELECT model.name, model.window_seconds, max(last.window)
FROM model
JOIN cohort ON cohort.model = model.name
CROSS JOIN LATERAL (
    (
        SELECT closed_window.window
        FROM closed_window
        WHERE closed_window.cohort_id = cohort.id AND closed_window.events > 0
        ORDER BY closed_window.window DESC
        LIMIT 1
    )
    UNION ALL
    (SELECT part.window FROM part WHERE part.cohort_id = cohort.id ORDER BY part.window DESC LIMIT 1)
) AS last
GROUP BY model.name

-- name: traffic
SELECT closed_window.window, sum(closed_window.events)::bigint
FROM cohort
JOIN closed_window ON closed_window.cohort_id = cohort.id
WHERE cohort.model = %s AND closed_window.window >= %s
GROUP BY closed_window.window
ORDER BY closed_window.window

-- name: firing
SELECT labels ->> 'model' FROM alert WHERE labels ->> 'alertname' = %s AND state = 'firing'

-- name: first_open
-- The first window of each model that is not closed in all of its versions yet.
SELECT model.name, model.window_seconds, coalesce(min(waiting.window), max(last.window) + 1)
FROM model
JOIN cohort ON cohort.model = model.name
LEFT JOIN LATERAL (
    SELECT part.window FROM part WHERE part.cohort_id = cohort.id ORDER BY part.window LIMIT 1
) AS waiting ON true
LEFT JOIN LATERAL (
    SELECT closed_window.window
    FROM closed_window
    WHERE closed_window.cohort_id = cohort.id
    ORDER BY closed_window.window DESC
    LIMIT 1
) AS last ON true
GROUP BY model.name
HAVING max(last.window) IS NOT NULL
