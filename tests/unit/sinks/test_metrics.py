import re
from pathlib import Path

from daemon.ops.catalogue import page
from sinks.metrics import told

BOUNDED = {
    "cap",
    "defect",
    "monitor",
    "reason",
    "service",
    "job",
    "outcome",
    "version",
    "process",
    "topic",
    "partition",
    "state",
    "severity",
}


def test_the_page_of_metrics_is_made_from_the_definitions() -> None:
    written = Path("docs/metrics.md").read_text()
    assert written == page(), "make it anew: python -m daemon.ops.catalogue > docs/metrics.md"


def test_names_follow_the_conventions_and_labels_are_bounded() -> None:
    for each in told():
        assert re.fullmatch(r"strandline_[a-z_]+", each.name)
        assert each.name.endswith("_total") == (each.type == "counter")
        assert each.type != "histogram" or each.name.endswith("_seconds")
        assert set(each.labels) <= BOUNDED
        assert each.text[0].isupper() or each.text[0].isdigit()
        assert not each.text.endswith(".")
