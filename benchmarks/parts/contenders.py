"""One process, one topic: both clients bare, with decoding, and with Strandline behind; peers beside them."""

from dataclasses import replace

from benchmarks.contenders.task import Task
from benchmarks.report import Goal, print_table
from benchmarks.stand import Contender, Outcome, Rates, Stand
from benchmarks.topics import Topic

__all__ = ["GOALS", "run"]

GOALS = (
    Goal("ratio_cpu_kafka_python", 1.0),
    Goal("ratio_cpu_confluent", 1.0),
    Goal("speedup_cpu_over_kafka_python_river", 2.0),
    Goal("speedup_cpu_over_quixstreams_river", 1.7),
    Goal("speedup_cpu_confluent_over_quixstreams_river", 4.0),
    Goal("speedup_cpu_over_kswin", 100.0),
)
_KSWIN_PART = 100
"""It takes milliseconds an event, so it gets this part of the events only."""
_BASE, _OURS = "consume + decode, ", "Strandline, "
_CLIENTS = {"kafka-python": "kafka_python", "confluent": "confluent"}
_RIVER, _QUIX, _KSWIN = "kafka-python + json + river", "quixstreams + river", "quixstreams + river KSWIN"


def run(stand: Stand, *, quick: bool) -> Outcome:
    """Measure."""
    topic, rounds = (Topic("throughput", 60_000), 1) if quick else (Topic("throughput", 300_000), 3)
    size = stand.topic(topic)
    task = Task(stand.bootstrap, topic.name, topic.count)
    contenders: dict[str, Contender] = {}
    for client in _CLIENTS:
        mine = replace(task, client=client)
        contenders |= {
            f"bare consume, {client}": Contender("consume", mine),
            f"{_BASE}{client}": Contender("consume", replace(mine, use="decode")),
            f"{_OURS}{client}": Contender("strandline", mine),
        }
    contenders |= {
        _RIVER: Contender("river_loop", task, peer=True),
        _QUIX: Contender("quix", task, peer=True),
        _KSWIN: Contender("quix", replace(task, use="kswin", count=topic.count // _KSWIN_PART), peer=True),
    }
    rates, missing = stand.compare(contenders, rounds)
    _print(rates, f"{topic.count:,} events of {size} bytes, rounds: {rounds}")
    return Outcome(_figures(rates), missing)


def _figures(rates: dict[str, Rates]) -> dict[str, float]:
    figures: dict[str, float] = {}
    pairs: dict[str, tuple[str, str]] = {}
    for client, name in _CLIENTS.items():
        pairs[f"ratio_{{}}_{name}"] = (f"{_OURS}{client}", f"{_BASE}{client}")
        if f"{_OURS}{client}" in rates:
            ours = rates[f"{_OURS}{client}"]
            figures |= {f"events_per_second_{name}": ours.wall, f"events_per_cpu_second_{name}": ours.cpu}
    pairs["speedup_{}_over_kafka_python_river"] = (f"{_OURS}kafka-python", _RIVER)
    pairs["speedup_{}_over_quixstreams_river"] = (f"{_OURS}kafka-python", _QUIX)
    pairs["speedup_{}_confluent_over_quixstreams_river"] = (f"{_OURS}confluent", _QUIX)
    pairs["speedup_{}_over_kswin"] = (f"{_OURS}kafka-python", _KSWIN)
    for figure, (ours_name, other) in pairs.items():
        if ours_name in rates and other in rates:
            figures[figure.format("cpu")] = rates[ours_name].cpu / rates[other].cpu
            figures[figure.format("wall")] = rates[ours_name].wall / rates[other].wall
    return figures


def _print(rates: dict[str, Rates], title: str) -> None:
    base = rates[f"{_BASE}kafka-python"]
    rows = [
        [name, f"{each.wall:,.0f}", f"{each.cpu:,.0f}", f"{1e6 / each.cpu:,.1f}", f"{each.cpu / base.cpu:.2f}"]
        for name, each in rates.items()
    ]
    columns = ["", "events/s (wall)", "events/CPU-s", "µs CPU/event", "to consume + decode, kafka-python"]
    print_table(title, columns, rows)
