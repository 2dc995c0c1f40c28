ALTER TABLE partition ADD COLUMN high_water BIGINT;

COMMENT ON COLUMN partition.high_water IS 'Kafka''s end of it, as fetches told; null before any';

CREATE TABLE process (
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    state TEXT NOT NULL,
    problems JSONB NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT process_pkey PRIMARY KEY (host, pid),
    CONSTRAINT process_state_check CHECK (state IN ('starting', 'running', 'stopped'))
) WITH (fillfactor = 50);

COMMENT ON COLUMN process.problems IS 'what keeps it from its work: kind, detail, since';
