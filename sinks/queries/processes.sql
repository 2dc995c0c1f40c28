-- name: beat
INSERT INTO process (host, pid, name, role, state, problems, started_at)
SELECT %(host)s, each.*
FROM unnest(
    %(pids)s::integer[], %(names)s::text[], %(roles)s::text[], %(states)s::text[], %(problems)s::jsonb[],
    %(started)s::timestamptz[]
) AS each (pid, name, role, state, problems, started_at)
ON CONFLICT (host, pid) DO UPDATE
SET name = excluded.name,
    role = excluded.role,
    state = excluded.state,
    problems = excluded.problems,
    started_at = excluded.started_at,
    seen_at = now()

-- name: list
SELECT host, pid, name, role, state, problems, started_at, seen_at, seen_at > now() - make_interval(secs => %s)
FROM process
WHERE state != 'stopped'
ORDER BY host, name, pid
