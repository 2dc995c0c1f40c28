"""Scale in features: 10, 100 and 500 of them in an event, all watched, beside a consumer that only decodes them."""

from dataclasses import replace

from benchmarks.contenders.task import Task
from benchmarks.report import Goal, print_table
from benchmarks.stand import Contender, Outcome, Stand
from benchmarks.topics import Topic

__all__ = ["GOALS", "run"]

GOALS: tuple[Goal, ...] = ()
_FEATURES = (10, 100, 500)


def run(stand: Stand, *, quick: bool) -> Outcome:
    """Measure."""
    values, rounds = (600_000, 1) if quick else (6_000_000, 3)
    figures: dict[str, float] = {}
    rows = []
    for number in _FEATURES:
        topic = Topic(f"features-{number}", values // (number + 20), features=number)
        size = stand.topic(topic)
        task = Task(stand.bootstrap, topic.name, topic.count, features=number)
        # Tags are fields, too.
        ours = replace(task, settings={"detection": {"fields_cap": number + 10}})
        contenders = {
            f"consume + decode, {number} features": Contender("consume", replace(task, use="decode")),
            f"Strandline, {number} features": Contender("strandline", ours),
        }
        rates, _ = stand.compare(contenders, rounds)
        base, own = rates.values()
        figures |= {
            f"events_per_cpu_second_{number}_features": own.cpu,
            f"ratio_cpu_{number}_features": own.cpu / base.cpu,
        }
        row = [f"{number}", f"{size:,}", f"{base.cpu:,.0f}", f"{own.cpu:,.0f}", f"{own.cpu / base.cpu:.2f}"]
        rows.append(row)
        stand.forget(topic)
    columns = ["features", "bytes", "consume + decode, events/CPU-s", "Strandline, events/CPU-s", "ratio"]
    print_table(f"features, kafka-python, rounds: {rounds}", columns, rows)
    return Outcome(figures, {})
