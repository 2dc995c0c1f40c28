"""What detecting costs: an event, a stream's state, and a window of a thousand streams. CPU time of the process.

The default suite on events of the usual kind: 10 classes, 10 features, 2 tags. Counting, all that ingest does for the
detectors once columns are there, is compared with decoding the same bytes with msgspec into dict fields.
"""

import statistics
import time
from collections.abc import Callable

import msgspec
import numpy as np

from benchmarks.contenders.learnt import VERSION, as_records, learnt_layout, summary_of
from benchmarks.quality.cohorts import Cohort
from benchmarks.report import Goal, print_table
from benchmarks.topics import Topic, events, model_names
from daemon.buffer import NEVER, Buffer
from daemon.buffer import Cohort as BufferedCohort
from daemon.fields import FieldReader
from daemon.settings import Settings
from detectors.alarms import update
from detectors.bets import Moments
from detectors.folding import fold
from detectors.monitors import Nulls
from detectors.reference import Reference
from detectors.state import MonitorState
from detectors.tolerance import Variation
from sinks.windows import compress

__all__ = ["GOALS", "run"]

GOALS = (
    Goal("cost_ratio_to_decode", 1.0 / 3.0, at_most=True),
    Goal("state_bytes_per_stream", 64_000, at_most=True),
    Goal("update_seconds_1000_streams", 0.1, at_most=True),
)
STREAMS, COMPONENTS = 1_000, 60
WINDOW_EVENTS = 1_000


class Event(msgspec.Struct):
    """The event as most people would decode it."""

    id: str
    time: float
    model: str
    version: str
    prediction: str
    probabilities: dict[str, float]
    features: dict[str, float]
    tags: dict[str, str]


def cpu(work: Callable[[], object], rounds: int) -> float:
    """Return the median CPU seconds of ``work``, once it has run."""
    work()
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def _events(count: int, rounds: int) -> dict[str, float]:
    settings = Settings()
    topic = Topic("cost", count)
    values = list(events(topic))
    layout = learnt_layout(settings, topic)
    cohort = BufferedCohort(0, model_names(1)[0], VERSION, settings.of(model_names(1)[0]))
    buffer = Buffer(settings, lambda _model, _version: cohort)
    buffer.add("", 0, as_records(values), NEVER)
    columns = FieldReader(layout).columns(buffer.batch(), np.arange(len(buffer)))
    decode = msgspec.json.Decoder(Event).decode
    decoding = cpu(lambda: [decode(value) for value in values], rounds) / count
    counting = cpu(lambda: fold(layout, columns), rounds) / count
    streams = Cohort(layout, settings.of("").budget_windows, Reference(layout, summary_of(settings, layout, values)))
    streams.take(summary_of(settings, layout, values[:1000]))
    state = streams.state.to_bytes()
    return {
        "decode_microseconds_per_event": 1e6 * decoding,
        "count_microseconds_per_event": 1e6 * counting,
        "cost_ratio_to_decode": counting / decoding,
        "state_bytes_per_stream": float(len(compress(state))),
        "state_bytes_in_memory_per_stream": float(len(state)),
    }


def _update(rounds: int) -> float:
    """Return the seconds that a window of many streams takes."""
    random = np.random.default_rng(1)
    bound = np.full((STREAMS, COMPONENTS), 0.12)
    names = tuple(f"{number}" for number in range(COMPONENTS))
    state = MonitorState.fresh(names, Nulls(bound / 1.2, bound), Variation.unknown(STREAMS, COMPONENTS), 0)
    counts = random.binomial(WINDOW_EVENTS, bound / 1.2)
    moments = Moments.of_counts(np.full(STREAMS, WINDOW_EVENTS), counts)
    threshold = np.full(STREAMS, 15.0)
    return cpu(lambda: update(state, moments, threshold, 1, 0, exact=True), rounds)


def run(*, quick: bool) -> dict[str, float]:
    """Measure, and print."""
    count, rounds = (10_000, 5) if quick else (20_000, 15)
    figures = _events(count, rounds)
    figures["update_seconds_1000_streams"] = _update(rounds)
    print_table("what detecting costs", ["", ""], [[name, f"{figure:,.4g}"] for name, figure in figures.items()])
    return figures
