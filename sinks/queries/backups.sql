-- name: copies
SELECT current_setting('archive_mode') <> 'off'
    OR EXISTS (SELECT FROM pg_replication_slots)
    OR EXISTS (SELECT FROM pg_stat_replication)
