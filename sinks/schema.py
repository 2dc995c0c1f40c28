"""The tables. Times of events are microseconds since 1970 (bigint); times of the service are timestamptz.

Words: a *window* is the index of a tumbling window (event time // window length); a *cohort* is a (model,
version); a *part* is what one commit adds to one window of one cohort.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA, JSONB

__all__ = ["metadata"]

metadata = sa.MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

_now = sa.text("now()")


def _identity() -> "sa.Column[int]":
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True)


def _time(name: str, *, nullable: bool = False, now: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=_now if now else None)


# Ingest: what has been read, and what it added up to.

sa.Table(
    "partition",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0", comment="rises with every claim"),
    sa.Column("next_offset", sa.BigInteger, comment="null until first claimed"),
    sa.Column("event_high_us", sa.BigInteger, comment="greatest event time so far; null before any"),
    sa.Column("high_water", sa.BigInteger, comment="Kafka's end of it, as fetches told; null before any"),
    sa.Column("topic_id", sa.Text, comment="Kafka's id of the topic that the offsets are of; null before it was told"),
    sa.Column("owner", sa.Text),
    _time("lease_until", nullable=True),
    sa.Column("claims", sa.Integer, nullable=False, server_default="0", comment="since progress was made"),
    sa.Column("suspect_offset", sa.BigInteger, comment="being processed alone, after claims without progress"),
    sa.Column("suspect_deaths", sa.Integer, nullable=False, server_default="0"),
    sa.Column("stopped_reason", sa.Text, comment="set: left out of watermarks until resumed"),
    _time("updated_at", now=True),
    # Updated by every commit: room on the page for new versions of the row, and no further index.
    postgresql_with={"fillfactor": "50"},
)

sa.Table(
    "model",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("window_seconds", sa.Integer, nullable=False, comment="fixed: every window index counts in it"),
    _time("created_at", now=True),
)

sa.Table(
    "cohort",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("model", sa.Text, sa.ForeignKey("model.name"), nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("reduced_window", sa.BigInteger, comment="last window reduced; null before any"),
    sa.Column("state", BYTEA, comment="detectors.cohort.CohortState"),
    _time("created_at", now=True),
    sa.UniqueConstraint("model", "version"),
    sa.Index(None, "created_at"),
)

sa.Table(
    "control",
    metadata,
    _identity(),
    sa.Column("kind", sa.Text, nullable=False, comment="layout, reference or selection"),
    sa.Column("cohort_id", sa.BigInteger, sa.ForeignKey("cohort.id"), comment="null: of the whole model"),
    sa.Column("model", sa.Text, sa.ForeignKey("model.name"), nullable=False),
    sa.Column("effective_from", sa.BigInteger, nullable=False, comment="window"),
    sa.Column("body", BYTEA, nullable=False),
    _time("created_at", now=True),
    sa.CheckConstraint("kind IN ('layout', 'reference', 'selection')", name="kind"),
    sa.Index(None, "model", "kind", "effective_from"),
    sa.Index(None, "cohort_id"),
    sa.Index("control_rates_idx", "created_at", postgresql_where=sa.text("kind = 'selection'")),
)

sa.Table(
    "part",
    metadata,
    _identity(),
    sa.Column("cohort_id", sa.BigInteger, sa.ForeignKey("cohort.id"), nullable=False),
    sa.Column("window", sa.BigInteger, nullable=False),
    sa.Column("layout_id", sa.BigInteger, sa.ForeignKey("control.id"), nullable=False),
    sa.Column("events", sa.BigInteger, nullable=False),
    sa.Column("body", BYTEA, nullable=False, comment="detectors.summary.Summary, zstd"),
    sa.Index(None, "cohort_id", "window"),
)

sa.Table(
    "dead_letter",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("first_offset", sa.BigInteger, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("last_offset", sa.BigInteger, nullable=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False, comment="bytes of the value"),
    sa.Column("value", BYTEA, comment="its first bytes; null beyond the cap"),
    _time("created_at", now=True),
    _time("resent_at", nullable=True),
    sa.Index(None, "created_at"),
)

sa.Table(
    "dead_letter_total",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
)

sa.Table(
    "skipped_total",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True, comment="tombstone"),
    sa.Column("count", sa.BigInteger, nullable=False),
)

# Reduce: what was found.

sa.Table(
    "closed_window",
    metadata,
    sa.Column("cohort_id", sa.BigInteger, sa.ForeignKey("cohort.id"), primary_key=True),
    sa.Column("window", sa.BigInteger, primary_key=True),
    sa.Column("layout_id", sa.BigInteger, sa.ForeignKey("control.id"), nullable=False),
    sa.Column("events", sa.BigInteger, nullable=False),
    sa.Column("summary", BYTEA, nullable=False, comment="detectors.summary.Summary, zstd"),
    sa.Column("readings", BYTEA, nullable=False, comment="detectors.monitors.Readings, zstd"),
    _time("created_at", now=True),
    sa.Index(None, "created_at"),
    sa.Index(None, "layout_id"),
)

sa.Table(
    "incident",
    metadata,
    _identity(),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    _time("opened_at", now=True),
    _time("resolved_at", nullable=True),
    sa.CheckConstraint("state IN ('firing', 'resolved')", name="state"),
    sa.CheckConstraint("severity IN ('page', 'ticket', 'notice')", name="severity"),
    # One open incident a model: what fires together is one incident.
    sa.Index("incident_open_key", "model", unique=True, postgresql_where=sa.text("state = 'firing'")),
    sa.Index(None, "resolved_at"),
)

sa.Table(
    "alert",
    metadata,
    sa.Column("fingerprint", sa.Text, primary_key=True, comment="of the labels, never of values"),
    sa.Column("incident_id", sa.BigInteger, sa.ForeignKey("incident.id")),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("labels", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("evidence", JSONB, nullable=False, comment="the last transition: what changed, since when, how sure"),
    sa.Column("starts_us", sa.BigInteger, comment="event time at which the change began"),
    sa.Column("ends_us", sa.BigInteger),
    _time("updated_at", now=True),
    sa.CheckConstraint("state IN ('pending', 'firing', 'resolved')", name="state"),
    sa.CheckConstraint("severity IN ('page', 'ticket', 'notice')", name="severity"),
    sa.Index(None, "incident_id"),
    sa.Index(None, "updated_at"),
)

sa.Table(
    "alert_transition",
    metadata,
    _identity(),
    sa.Column("fingerprint", sa.Text, sa.ForeignKey("alert.fingerprint"), nullable=False),
    sa.Column("incident_id", sa.BigInteger, sa.ForeignKey("incident.id")),
    sa.Column("window", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("evidence", JSONB, nullable=False),
    _time("created_at", now=True),
    sa.UniqueConstraint("fingerprint", "window", "state"),
    sa.CheckConstraint("state IN ('pending', 'firing', 'resolved')", name="state"),
    sa.Index(None, "created_at"),
    sa.Index(None, "incident_id"),
)

sa.Table(
    "outbox",
    metadata,
    _identity(),
    sa.Column("key", sa.Text, nullable=False, comment="makes a repeated delivery harmless"),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("body", JSONB, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    _time("next_attempt_at", now=True),
    _time("delivered_at", nullable=True),
    sa.Column("last_error", sa.Text),
    _time("created_at", now=True),
    sa.UniqueConstraint("key", "route"),
    sa.Index("outbox_due_idx", "next_attempt_at", postgresql_where=sa.text("delivered_at IS NULL")),
    sa.Index(None, "created_at"),
)

# Select: what is worth a label.

sa.Table(
    "candidate",
    metadata,
    _identity(),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("event_time_us", sa.BigInteger, nullable=False),
    sa.Column("window", sa.BigInteger, nullable=False),
    sa.Column("prediction", sa.Text),
    sa.Column("confidence", sa.Double),
    sa.Column("expected_error", sa.Double, nullable=False, comment="as it was when scored"),
    sa.Column("reason", sa.Text, nullable=False, comment="uniform, uncertainty or never_seen"),
    sa.Column("nominated", sa.Double, comment="pi 1; null where no draw was made"),
    sa.Column("wanted", sa.Double, comment="pi that the mix of weights asks for; null where no draw was made"),
    sa.Column("select_draw", sa.Double, nullable=False, comment="uniform in [0, 1), for the second phase"),
    sa.Column("order_draw", sa.Double, nullable=False, comment="uniform in [0, 1), for the order of the queue"),
    sa.Column("decision", sa.Text, comment="null: not yet decided"),
    sa.Column("selected", sa.Double, comment="pi 2"),
    _time("created_at", now=True),
    sa.UniqueConstraint("model", "event_id"),
    sa.CheckConstraint("decision IN ('queued', 'passed')", name="decision"),
    sa.Index("candidate_undecided_idx", "model", "id", postgresql_where=sa.text("decision IS NULL")),
    sa.Index(None, "created_at"),
)

sa.Table(
    "payload",
    metadata,
    sa.Column(
        "candidate_id",
        sa.BigInteger,
        sa.ForeignKey("candidate.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("event", BYTEA, nullable=False, comment="the event, without what is too large or must not be kept"),
    sa.Column("truncated", sa.Boolean, nullable=False),
    _time("created_at", now=True),
    sa.Index(None, "created_at"),
)

sa.Table(
    "novel_value",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True, comment="class"),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("nominated", sa.Integer, nullable=False, comment="events of it that became candidates for that"),
    sa.Column("first_window", sa.BigInteger, nullable=False),
    sa.Column("first_event_id", sa.Text, nullable=False),
    _time("noticed_at", nullable=True),
    _time("created_at", now=True),
    sa.Index(None, "created_at"),
)

sa.Table(
    "queue_item",
    metadata,
    _identity(),
    sa.Column("candidate_id", sa.BigInteger, nullable=False, unique=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("propensity", sa.Double, comment="pi; null: queued for certain, stays out of estimates"),
    sa.Column("urgent", sa.Boolean, nullable=False),
    sa.Column("day", sa.Date, nullable=False, comment="of the event"),
    sa.Column("order_draw", sa.Double, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="pending"),
    sa.Column("lease_token", sa.Uuid),
    sa.Column("leased_by", sa.Text),
    _time("lease_until", nullable=True),
    _time("created_at", now=True),
    _time("settled_at", nullable=True),
    sa.UniqueConstraint("model", "event_id"),
    sa.CheckConstraint("state IN ('pending', 'leased', 'labelled', 'skipped', 'expired')", name="state"),
    sa.Index(
        "queue_item_claim_idx",
        sa.text("urgent DESC"),
        "day",
        "order_draw",
        postgresql_where=sa.text("state = 'pending'"),
    ),
    sa.Index("queue_item_lease_idx", "lease_until", postgresql_where=sa.text("state = 'leased'")),
    sa.Index(None, "model", "day"),
    sa.Index(None, "settled_at"),
    postgresql_with={"fillfactor": "80"},
)

sa.Table(
    "label",
    metadata,
    _identity(),
    sa.Column("item_id", sa.BigInteger, sa.ForeignKey("queue_item.id"), nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("labelled_by", sa.Text, nullable=False),
    sa.Column("note", sa.Text),
    _time("created_at", now=True),
    sa.UniqueConstraint("item_id", "labelled_by"),
)

sa.Table(
    "queue_audit",
    metadata,
    _identity(),
    sa.Column("item_id", sa.BigInteger, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("from_state", sa.Text),
    sa.Column("to_state", sa.Text, nullable=False),
    _time("created_at", now=True),
    sa.Index(None, "item_id"),
)

# Privacy: what was to be forgotten, and must not come back.

sa.Table(
    "forgotten",
    metadata,
    _identity(),
    sa.Column("digest", BYTEA, nullable=False, comment="keyed hash of the event's id; never the id"),
    sa.Column("model", sa.Text, comment="null: of every model"),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("counts", JSONB, nullable=False, comment="rows changed, by table"),
    _time("created_at", now=True),
    sa.Index(None, "digest"),
)

# Operations: which processes there are.

sa.Table(
    "process",
    metadata,
    sa.Column("host", sa.Text, primary_key=True),
    sa.Column("pid", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("problems", JSONB, nullable=False, comment="what keeps it from its work: kind, detail, since"),
    _time("started_at"),
    _time("seen_at", now=True),
    sa.CheckConstraint("state IN ('starting', 'running', 'stopped')", name="state"),
    # A sign of life every few seconds: as for partitions.
    postgresql_with={"fillfactor": "50"},
)
