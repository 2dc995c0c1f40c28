CREATE TABLE candidate (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    event_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    event_time_us BIGINT NOT NULL,
    "window" BIGINT NOT NULL,
    prediction TEXT,
    confidence DOUBLE PRECISION,
    expected_error DOUBLE PRECISION NOT NULL,
    reason TEXT NOT NULL,
    nominated DOUBLE PRECISION,
    wanted DOUBLE PRECISION,
    select_draw DOUBLE PRECISION NOT NULL,
    order_draw DOUBLE PRECISION NOT NULL,
    decision TEXT,
    selected DOUBLE PRECISION,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT candidate_pkey PRIMARY KEY (id),
    CONSTRAINT candidate_model_event_id_key UNIQUE (model, event_id),
    CONSTRAINT candidate_decision_check CHECK (decision IN ('queued', 'passed'))
);

CREATE INDEX candidate_created_at_idx ON candidate (created_at);

CREATE INDEX candidate_undecided_idx ON candidate (model, id) WHERE decision IS NULL;

COMMENT ON COLUMN candidate.expected_error IS 'as it was when scored';

COMMENT ON COLUMN candidate.reason IS 'uniform, uncertainty or never_seen';

COMMENT ON COLUMN candidate.nominated IS 'pi 1; null where no draw was made';

COMMENT ON COLUMN candidate.wanted IS 'pi that the mix of weights asks for; null where no draw was made';

COMMENT ON COLUMN candidate.select_draw IS 'uniform in [0, 1), for the second phase';

COMMENT ON COLUMN candidate.order_draw IS 'uniform in [0, 1), for the order of the queue';

COMMENT ON COLUMN candidate.decision IS 'null: not yet decided';

COMMENT ON COLUMN candidate.selected IS 'pi 2';

CREATE TABLE dead_letter (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    first_offset BIGINT NOT NULL,
    reason TEXT NOT NULL,
    last_offset BIGINT NOT NULL,
    count BIGINT NOT NULL,
    detail TEXT NOT NULL,
    size BIGINT NOT NULL,
    value BYTEA,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT dead_letter_pkey PRIMARY KEY (topic, partition, first_offset, reason)
);

CREATE INDEX dead_letter_created_at_idx ON dead_letter (created_at);

COMMENT ON COLUMN dead_letter.size IS 'bytes of the value';

COMMENT ON COLUMN dead_letter.value IS 'its first bytes; null beyond the cap';

CREATE TABLE dead_letter_total (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    reason TEXT NOT NULL,
    count BIGINT NOT NULL,
    CONSTRAINT dead_letter_total_pkey PRIMARY KEY (topic, partition, reason)
);

CREATE TABLE incident (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    severity TEXT NOT NULL,
    title TEXT NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    resolved_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT incident_pkey PRIMARY KEY (id),
    CONSTRAINT incident_state_check CHECK (state IN ('firing', 'resolved')),
    CONSTRAINT incident_severity_check CHECK (severity IN ('page', 'ticket', 'notice'))
);

CREATE UNIQUE INDEX incident_open_key ON incident (model) WHERE state = 'firing';

CREATE TABLE model (
    name TEXT NOT NULL,
    window_seconds INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT model_pkey PRIMARY KEY (name)
);

COMMENT ON COLUMN model.window_seconds IS 'fixed: every window index counts in it';

CREATE TABLE novel_value (
    model TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    version TEXT NOT NULL,
    nominated INTEGER NOT NULL,
    first_window BIGINT NOT NULL,
    first_event_id TEXT NOT NULL,
    noticed_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT novel_value_pkey PRIMARY KEY (model, kind, value)
);

COMMENT ON COLUMN novel_value.kind IS 'class';

COMMENT ON COLUMN novel_value.nominated IS 'events of it that became candidates for that';

CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    key TEXT NOT NULL,
    route TEXT NOT NULL,
    model TEXT NOT NULL,
    body JSONB NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    delivered_at TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (id),
    CONSTRAINT outbox_key_route_key UNIQUE (key, route)
);

CREATE INDEX outbox_created_at_idx ON outbox (created_at);

CREATE INDEX outbox_due_idx ON outbox (next_attempt_at) WHERE delivered_at IS NULL;

COMMENT ON COLUMN outbox.key IS 'makes a repeated delivery harmless';

CREATE TABLE partition (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    epoch BIGINT DEFAULT '0' NOT NULL,
    next_offset BIGINT,
    event_high_us BIGINT,
    owner TEXT,
    lease_until TIMESTAMP WITH TIME ZONE,
    claims INTEGER DEFAULT '0' NOT NULL,
    suspect_offset BIGINT,
    suspect_deaths INTEGER DEFAULT '0' NOT NULL,
    stopped_reason TEXT,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT partition_pkey PRIMARY KEY (topic, partition)
)
 WITH (fillfactor = 50);

COMMENT ON COLUMN partition.epoch IS 'rises with every claim';

COMMENT ON COLUMN partition.next_offset IS 'null until first claimed';

COMMENT ON COLUMN partition.event_high_us IS 'greatest event time so far; null before any';

COMMENT ON COLUMN partition.claims IS 'since progress was made';

COMMENT ON COLUMN partition.suspect_offset IS 'being processed alone, after claims without progress';

COMMENT ON COLUMN partition.stopped_reason IS 'set: left out of watermarks until resumed';

CREATE TABLE queue_audit (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    item_id BIGINT NOT NULL,
    who TEXT NOT NULL,
    from_state TEXT,
    to_state TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT queue_audit_pkey PRIMARY KEY (id)
);

CREATE INDEX queue_audit_item_id_idx ON queue_audit (item_id);

CREATE TABLE queue_item (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    candidate_id BIGINT NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    event_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    propensity DOUBLE PRECISION,
    urgent BOOLEAN NOT NULL,
    day DATE NOT NULL,
    order_draw DOUBLE PRECISION NOT NULL,
    state TEXT DEFAULT 'pending' NOT NULL,
    lease_token UUID,
    leased_by TEXT,
    lease_until TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    settled_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT queue_item_pkey PRIMARY KEY (id),
    CONSTRAINT queue_item_model_event_id_key UNIQUE (model, event_id),
    CONSTRAINT queue_item_state_check CHECK (state IN ('pending', 'leased', 'labelled', 'skipped', 'expired')),
    CONSTRAINT queue_item_candidate_id_key UNIQUE (candidate_id)
)
 WITH (fillfactor = 80);

CREATE INDEX queue_item_claim_idx ON queue_item (urgent DESC, day, order_draw) WHERE state = 'pending';

CREATE INDEX queue_item_lease_idx ON queue_item (lease_until) WHERE state = 'leased';

CREATE INDEX queue_item_model_day_idx ON queue_item (model, day);

CREATE INDEX queue_item_settled_at_idx ON queue_item (settled_at);

COMMENT ON COLUMN queue_item.propensity IS 'pi; null: queued for certain, stays out of estimates';

COMMENT ON COLUMN queue_item.day IS 'of the event';

CREATE TABLE skipped_total (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    reason TEXT NOT NULL,
    count BIGINT NOT NULL,
    CONSTRAINT skipped_total_pkey PRIMARY KEY (topic, partition, reason)
);

COMMENT ON COLUMN skipped_total.reason IS 'tombstone';

CREATE TABLE alert (
    fingerprint TEXT NOT NULL,
    incident_id BIGINT,
    model TEXT NOT NULL,
    labels JSONB NOT NULL,
    state TEXT NOT NULL,
    severity TEXT NOT NULL,
    evidence JSONB NOT NULL,
    starts_us BIGINT,
    ends_us BIGINT,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT alert_pkey PRIMARY KEY (fingerprint),
    CONSTRAINT alert_state_check CHECK (state IN ('pending', 'firing', 'resolved')),
    CONSTRAINT alert_severity_check CHECK (severity IN ('page', 'ticket', 'notice')),
    CONSTRAINT alert_incident_id_fkey FOREIGN KEY(incident_id) REFERENCES incident (id)
);

COMMENT ON COLUMN alert.fingerprint IS 'of the labels, never of values';

COMMENT ON COLUMN alert.evidence IS 'the last transition: what changed, since when, how sure';

COMMENT ON COLUMN alert.starts_us IS 'event time at which the change began';

CREATE TABLE cohort (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    reduced_window BIGINT,
    state BYTEA,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT cohort_pkey PRIMARY KEY (id),
    CONSTRAINT cohort_model_version_key UNIQUE (model, version),
    CONSTRAINT cohort_model_fkey FOREIGN KEY(model) REFERENCES model (name)
);

COMMENT ON COLUMN cohort.reduced_window IS 'last window reduced; null before any';

COMMENT ON COLUMN cohort.state IS 'detectors.cohort.CohortState';

CREATE TABLE label (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    item_id BIGINT NOT NULL,
    value TEXT NOT NULL,
    labelled_by TEXT NOT NULL,
    note TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT label_pkey PRIMARY KEY (id),
    CONSTRAINT label_item_id_labelled_by_key UNIQUE (item_id, labelled_by),
    CONSTRAINT label_item_id_fkey FOREIGN KEY(item_id) REFERENCES queue_item (id)
);

CREATE TABLE payload (
    candidate_id BIGINT NOT NULL,
    event BYTEA NOT NULL,
    truncated BOOLEAN NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT payload_pkey PRIMARY KEY (candidate_id),
    CONSTRAINT payload_candidate_id_fkey FOREIGN KEY(candidate_id) REFERENCES candidate (id) ON DELETE CASCADE
);

CREATE INDEX payload_created_at_idx ON payload (created_at);

COMMENT ON COLUMN payload.event IS 'the event as it came, or without what is too large';

CREATE TABLE alert_transition (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    fingerprint TEXT NOT NULL,
    incident_id BIGINT,
    "window" BIGINT NOT NULL,
    state TEXT NOT NULL,
    evidence JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT alert_transition_pkey PRIMARY KEY (id),
    CONSTRAINT alert_transition_fingerprint_window_state_key UNIQUE (fingerprint, "window", state),
    CONSTRAINT alert_transition_state_check CHECK (state IN ('pending', 'firing', 'resolved')),
    CONSTRAINT alert_transition_fingerprint_fkey FOREIGN KEY(fingerprint) REFERENCES alert (fingerprint),
    CONSTRAINT alert_transition_incident_id_fkey FOREIGN KEY(incident_id) REFERENCES incident (id)
);

CREATE TABLE control (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    kind TEXT NOT NULL,
    cohort_id BIGINT,
    model TEXT NOT NULL,
    effective_from BIGINT NOT NULL,
    body BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT control_pkey PRIMARY KEY (id),
    CONSTRAINT control_kind_check CHECK (kind IN ('layout', 'reference', 'selection')),
    CONSTRAINT control_cohort_id_fkey FOREIGN KEY(cohort_id) REFERENCES cohort (id),
    CONSTRAINT control_model_fkey FOREIGN KEY(model) REFERENCES model (name)
);

CREATE INDEX control_model_kind_effective_from_idx ON control (model, kind, effective_from);

COMMENT ON COLUMN control.kind IS 'layout, reference or selection';

COMMENT ON COLUMN control.cohort_id IS 'null: of the whole model';

COMMENT ON COLUMN control.effective_from IS 'window';

CREATE TABLE closed_window (
    cohort_id BIGINT NOT NULL,
    "window" BIGINT NOT NULL,
    layout_id BIGINT NOT NULL,
    events BIGINT NOT NULL,
    summary BYTEA NOT NULL,
    readings BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT closed_window_pkey PRIMARY KEY (cohort_id, "window"),
    CONSTRAINT closed_window_cohort_id_fkey FOREIGN KEY(cohort_id) REFERENCES cohort (id),
    CONSTRAINT closed_window_layout_id_fkey FOREIGN KEY(layout_id) REFERENCES control (id)
);

CREATE INDEX closed_window_created_at_idx ON closed_window (created_at);

COMMENT ON COLUMN closed_window.summary IS 'detectors.summary.Summary, zstd';

COMMENT ON COLUMN closed_window.readings IS 'detectors.monitors.Readings, zstd';

CREATE TABLE part (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    cohort_id BIGINT NOT NULL,
    "window" BIGINT NOT NULL,
    layout_id BIGINT NOT NULL,
    events BIGINT NOT NULL,
    body BYTEA NOT NULL,
    CONSTRAINT part_pkey PRIMARY KEY (id),
    CONSTRAINT part_cohort_id_fkey FOREIGN KEY(cohort_id) REFERENCES cohort (id),
    CONSTRAINT part_layout_id_fkey FOREIGN KEY(layout_id) REFERENCES control (id)
);

CREATE INDEX part_cohort_id_window_idx ON part (cohort_id, "window");

COMMENT ON COLUMN part.body IS 'detectors.summary.Summary, zstd';
