"""What to do about each kind of problem: the last words of its line in ``status`` and ``/readyz``."""

__all__ = ["advice"]

_ADVICE = {
    "starting": "wait a moment; the log says what it waits for",
    "process": "its log says why; it is started again by itself",
    "hung": "its log says what it did last; it is killed and started again by itself",
    "kafka": "is the broker up, and kafka.bootstrap_servers right? `strandline check`; it goes on by itself",
    "database": "is PostgreSQL up, and postgres.url right? `strandline check`; it goes on by itself",
    "schema": "bring the database to this version: `strandline db upgrade`, then restart",
    "job": "the log of the jobs process says why; it is tried again by itself",
    "run": "start it: `strandline run`",
    "unowned": "wait a moment: partitions find a worker; else more of them, or its log",
    "partition": "docs/operations.md#a-partition-is-stopped",
    "behind": "more workers (`ingest.workers`)? docs/operations.md#reading-is-behind",
    "spread": "docs/operations.md#one-partition-holds-back-the-windows",
    "outbox": "is the receiver up, and the route's url right? it is tried again by itself",
    "models_cap": "are these names right? raise `detection.models_cap` and restart: `strandline deadletters list`",
    "incident": "`strandline alerts list`",
}


def advice(kind: str) -> str:
    """Return what a person can do about a problem of this kind."""
    return _ADVICE[kind]
