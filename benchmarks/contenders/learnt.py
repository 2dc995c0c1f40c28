"""The steady state: layouts that were learnt, and streams that are registered, before anything is measured."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.topics import SEGMENT_TAG, START, Topic, events, model_names, segment_names
from daemon.buffer import NEVER, Buffer, Cohort
from daemon.fields import FieldReader
from daemon.records import Records
from daemon.settings import Settings
from detectors import growth
from detectors.folding import fold
from detectors.layout import WHOLE, Layout
from detectors.registry import unlearnt_layout
from detectors.summary import Summary

__all__ = ["VERSION", "as_records", "learnt_layout", "summary_of"]

VERSION = "1"
_SAMPLE = 10_000


def as_records(values: Sequence[bytes]) -> Records:
    """Return events as a Kafka client would."""
    return Records(range(len(values)), [START * 1000 + number for number in range(len(values))], values)


def learnt_layout(settings: Settings, topic: Topic) -> Layout:
    """Return the layout that the first events make of each model: their fields, edges and values, and all segments."""
    sample = list(events(replace(topic, models=1, count=_SAMPLE)))
    fielded = growth.with_fields(
        summary_of(settings, unlearnt_layout(), sample), fields_cap=settings.detection.fields_cap
    )
    caps = settings.detection
    sampled = summary_of(settings, fielded, sample)
    layout = growth.finished(sampled, classes_cap=caps.classes_cap, pairs_cap=caps.pairs_cap)
    return replace(layout, segments=(WHOLE, *(f"{SEGMENT_TAG}={name}" for name in segment_names(topic.segments))))


def summary_of(settings: Settings, layout: Layout, values: Sequence[bytes]) -> Summary:
    """Return the summary of events of one model under ``layout``."""
    model = model_names(1)[0]
    cohort = Cohort(0, model, VERSION, settings.of(model))
    buffer = Buffer(settings, lambda _model, _version: cohort)
    buffer.add("", 0, as_records(values), NEVER)
    return fold(layout, FieldReader(layout, everything=True).columns(buffer.batch(), np.arange(len(buffer))))
