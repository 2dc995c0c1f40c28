"""Real data, with the default settings: what must be found, and what must stay quiet.

- NannyML's synthetic car loans: 25,000 events are the reference; then come the 25,000 after it and 25,000 of production
  without a change, and from the 25,001st event of production on loans are of another kind.
- US census, employment in Massachusetts: 2015 is the reference, three years follow in which the model's accuracy does
  not change. Rows are shuffled within their year: as shipped, those who live in institutions stand together.
- Electricity prices of New South Wales: no truth is known; a reference is learnt from the first 20 weeks.

The first two come with the package nannyml (`make .cache/nannyml/.done`).
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.contenders.learnt import summary_of
from benchmarks.quality.cohorts import Cohort
from benchmarks.report import Goal, print_table
from benchmarks.topics import START
from daemon.settings import Settings
from detectors import growth
from detectors.reference import Reference
from detectors.registry import unlearnt_layout
from detectors.summary import Summary

__all__ = ["GOALS", "run"]

GOALS = (
    Goal("car_loans_alarmed", 1.0),
    Goal("car_loans_false_alarms", 0.0, at_most=True),
    Goal("employment_performance_alarms", 0.0, at_most=True),
)
NANNYML = Path(__file__).resolve().parents[2] / ".cache" / "nannyml" / "nannyml" / "datasets" / "data"
WINDOW = 1_000
CHANGED_WITHIN = 2
"""Windows after the change in which it is to be found."""
PERFORMANCE = ("confidence", "classes")
"""The monitors of what the model says, rather than of what it is asked."""
_SAMPLE = 10_000

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that went off: in which window, counted from the first after the reference, and by which monitor."""

    window: int
    monitor: str
    component: str


def _event(number: int, confidence: float, prediction: object, features: Mapping[str, object]) -> bytes:
    return msgspec.json.encode(
        {
            "id": f"{number}",
            "time": START + number,
            "model": "real",
            "version": "1",
            "prediction": f"{prediction}",
            "confidence": confidence,
            "features": features,
        }
    )


def _binary(number: int, row: Row, chance: str, prediction: str, left_out: Sequence[str]) -> bytes:
    """Return the event of a row with the probability of one of two classes."""
    features = {name: value for name, value in row.items() if name not in (chance, prediction, *left_out)}
    certain = float(str(row[chance]))
    return _event(number, max(certain, 1.0 - certain), row[prediction], features)


def watch(
    reference: Sequence[bytes], events: Sequence[bytes], *, window: int = WINDOW, learn: bool = False
) -> list[Alarm]:
    """Watch ``events`` with the default settings; ``learn``: the reference from windows in order, not from a file."""
    settings = Settings()
    sample = reference[:: max(1, len(reference) // _SAMPLE)]
    detection = settings.detection
    fielded = growth.with_fields(summary_of(settings, unlearnt_layout(), sample), fields_cap=detection.fields_cap)
    layout = growth.finished(
        summary_of(settings, fielded, sample), classes_cap=detection.classes_cap, pairs_cap=detection.pairs_cap
    )
    cohort = Cohort(layout, settings.of("real").budget_windows)

    def windows(values: Sequence[bytes]) -> Iterator[Summary]:
        for start in range(0, len(values) - window + 1, window):
            yield summary_of(settings, layout, values[start : start + window])

    if learn:
        for summary in windows(reference):
            cohort.take(summary)
    else:
        cohort.reference = Reference(layout, summary_of(settings, layout, reference))
    if cohort.reference is None:
        message = "the reference's windows were not enough to learn from"
        raise RuntimeError(message)
    return [
        Alarm(number, each.monitor, each.component)
        for number, summary in enumerate(windows(events))
        for each in cohort.take(summary).transitions
        if each.to == "firing"
    ]


def _csv(path: Path) -> list[dict[str, object]]:
    """Return a table's rows; numbers are numbers, empty cells are left out."""
    with path.open(encoding="utf-8") as file:
        return [{name: _value(text) for name, text in row.items() if text != ""} for row in csv.DictReader(file)]


def _value(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _car_loans(folder: Path) -> tuple[list[bytes], list[bytes]]:
    left_out = ("id", "timestamp", "repaid")
    tables = [_csv(folder / f"synthetic_car_loan_{name}.csv") for name in ("reference", "analysis")]
    rows = [row for table in tables for row in table]
    events = [_binary(number, row, "y_pred_proba", "y_pred", left_out) for number, row in enumerate(rows)]
    return events[:25_000], events[25_000:]


def _employment(folder: Path) -> tuple[list[bytes], list[bytes]]:
    import pyarrow.parquet  # noqa: PLC0415 - an optional part

    random = np.random.default_rng(1)
    events: dict[str, list[bytes]] = {}
    for name in ("reference", "analysis"):
        rows = pyarrow.parquet.read_table(folder / f"employment_MA_{name}.pq").to_pylist()
        year = np.array([row["year"] for row in rows])
        order = np.lexsort([random.random(len(rows)), year])
        left_out = ("id", "year", "employed")
        events[name] = [
            _binary(number, rows[at], "predicted_probability", "prediction", left_out)
            for number, at in enumerate(order.tolist())
        ]
    return events["reference"], events["analysis"]


def _electricity(path: Path) -> tuple[list[bytes], list[bytes]]:
    rows = _csv(path)
    # There is no model: the class is what it would predict, without saying how sure it is.
    events = [
        _event(
            number, 1.0, row["class"], {name: value for name, value in row.items() if name not in ("period", "class")}
        )
        for number, row in enumerate(rows)
    ]
    weeks = 20 * 336
    return events[:weeks], events[weeks:]


def run(*, quick: bool, data: Path) -> dict[str, float]:
    """Watch them, and print which alarms there were."""
    figures: dict[str, float] = {}
    rows = []
    if NANNYML.exists():
        loans = watch(*_car_loans(NANNYML))
        change = (25_000 + 25_000) // WINDOW
        soon = [each for each in loans if change <= each.window < change + CHANGED_WITHIN]
        early = [each for each in loans if each.window < change]
        figures |= {"car_loans_alarmed": float(bool(soon)), "car_loans_false_alarms": float(len(early))}
        figures["car_loans_monitors_alarmed"] = float(len({each.monitor for each in soon}))
        rows += [["car loans", *_told(each, change)] for each in loans]
        reference, events = _employment(NANNYML)
        census = watch(reference, events[: 60_000 if quick else None])
        figures["employment_performance_alarms"] = float(sum(each.monitor in PERFORMANCE for each in census))
        figures["employment_alarms"] = float(len(census))
        rows += [["employment", *_told(each, 0)] for each in census]
    else:
        print("car loans, employment: not available: make .cache/nannyml/.done")
    path = data / "electricity.csv"
    if path.exists():
        prices = watch(*_electricity(path), window=336, learn=True)
        figures["electricity_alarms"] = float(len(prices))
        rows += [["electricity (weeks)", *_told(each, 0)] for each in prices]
    else:
        print(f"electricity: not available: {path} is not there; --data tells where")
    print_table("alarms with default settings", ["data", "window, 0: the change", "monitor", "component"], rows)
    return figures


def _told(alarm: Alarm, change: int) -> list[str]:
    return [f"{alarm.window - change}", alarm.monitor, alarm.component]
