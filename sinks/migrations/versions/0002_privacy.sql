CREATE TABLE forgotten (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    digest BYTEA NOT NULL,
    model TEXT,
    who TEXT NOT NULL,
    reason TEXT,
    counts JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT forgotten_pkey PRIMARY KEY (id)
);

CREATE INDEX forgotten_digest_idx ON forgotten (digest);

COMMENT ON COLUMN forgotten.digest IS 'keyed hash of the event''s id; never the id';

COMMENT ON COLUMN forgotten.model IS 'null: of every model';

COMMENT ON COLUMN forgotten.counts IS 'rows changed, by table';

ALTER TABLE dead_letter ADD COLUMN resent_at TIMESTAMP WITH TIME ZONE;

-- What retention looks for, and what the foreign keys of what it deletes are looked up by.
CREATE INDEX alert_transition_created_at_idx ON alert_transition (created_at);

CREATE INDEX alert_transition_incident_id_idx ON alert_transition (incident_id);

CREATE INDEX alert_updated_at_idx ON alert (updated_at);

CREATE INDEX alert_incident_id_idx ON alert (incident_id);

CREATE INDEX incident_resolved_at_idx ON incident (resolved_at);

CREATE INDEX novel_value_created_at_idx ON novel_value (created_at);

CREATE INDEX closed_window_layout_id_idx ON closed_window (layout_id);

CREATE INDEX control_cohort_id_idx ON control (cohort_id);

CREATE INDEX control_rates_idx ON control (created_at) WHERE kind = 'selection';

CREATE INDEX cohort_created_at_idx ON cohort (created_at);

COMMENT ON COLUMN payload.event IS 'the event, without what is too large or must not be kept';
