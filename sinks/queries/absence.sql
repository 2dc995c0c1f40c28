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
