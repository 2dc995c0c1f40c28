"""The page of all metrics, from their definitions: ``python -m daemon.ops.catalogue > docs/metrics.md``."""

import sys

from sinks.metrics import told

__all__ = ["page"]

_HEAD = """\
# Metrics

`GET /metrics` at `ops.host` and `ops.port` answers all of these, in Prometheus's text format or OpenMetrics. What to
alert on: [operations.md](operations.md). This page is made from the definitions in `sinks/metrics.py` by
`python -m daemon.ops.catalogue`.

What processes count begins at zero when the supervisor starts; a process that is started again counts on. A metric
with labels has no value before the first time; what is known beforehand begins at 0. What is read from the database
(partitions, cohorts, candidates, queue, alerts, outbox) is the same at every supervisor of an installation: take
`max`, not `sum`, over instances. While the database is away these are missing, and `strandline_database_up` is 0.

| Metric | Type | Labels | What it is |
|---|---|---|---|
"""


def page() -> str:
    """Return the page, as Markdown."""
    rows = (f"| `{each.name}` | {each.type} | {', '.join(each.labels)} | {each.text} |\n" for each in told())
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(page())
