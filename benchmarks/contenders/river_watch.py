"""What river's users put behind a consumer: a detector for each number, and counts of the classes; nothing durable."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from river import drift

__all__ = ["watcher"]

_FEATURES = 10


def watcher(use: str) -> Callable[[Mapping[str, Any]], None]:
    """Return what takes one decoded event.

    ``use``: "adwin" watches the confidence and 10 features with ADWIN, and counts classes; "kswin" watches 10 features
    with KSWIN, which compares whole distributions.
    """
    classes: Counter[str] = Counter()
    if use == "kswin":
        detectors = [drift.KSWIN(seed=1) for _ in range(_FEATURES)]
    else:
        confidence, detectors = drift.ADWIN(), [drift.ADWIN() for _ in range(_FEATURES)]
    names = [f"f{index}" for index in range(_FEATURES)]

    def features(event: Mapping[str, Any]) -> None:
        values = event["features"]
        for name, detector in zip(names, detectors, strict=True):
            detector.update(values[name])

    def everything(event: Mapping[str, Any]) -> None:
        confidence.update(max(event["probabilities"].values()))
        features(event)
        classes[event["prediction"]] += 1

    return features if use == "kswin" else everything
