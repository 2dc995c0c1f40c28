-- name: all
SELECT id, model, version FROM cohort ORDER BY id

-- name: find
SELECT id FROM cohort WHERE model = %s AND version = %s

-- name: count
SELECT count(*) FROM cohort

-- name: add_model
INSERT INTO model (name, window_seconds) VALUES (%s, %s) ON CONFLICT DO NOTHING

-- name: window_seconds
SELECT window_seconds FROM model WHERE name = %s

-- name: windows_of_models
SELECT name, window_seconds FROM model ORDER BY name

-- name: add
INSERT INTO cohort (model, version) VALUES (%s, %s) RETURNING id

-- name: predecessor
SELECT id FROM cohort WHERE model = %s AND id <> %s ORDER BY id DESC LIMIT 1

-- name: newest_version
SELECT version FROM cohort WHERE model = %s ORDER BY id DESC LIMIT 1

-- name: state
SELECT state FROM cohort WHERE id = %s

-- name: latest_control
SELECT body FROM control WHERE kind = %s AND cohort_id = %s ORDER BY effective_from DESC, id DESC LIMIT 1
