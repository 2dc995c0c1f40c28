"""How a layout grows: edges learnt from a sample, and labels for what it met and did not know."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from detectors.classes import ClassesBlock
from detectors.confidence import ConfidenceBlock
from detectors.layout import Layout
from detectors.summary import SEGMENT, Summary

__all__ = ["LEARNING_WINDOWS", "grown", "learnt"]

LEARNING_WINDOWS = 12
"""After so many windows a stream's edges are fixed, however few events it had."""
_SEEN_TWICE = 2


def learnt(summaries: Sequence[Summary]) -> Layout | None:
    """Return the layout learnt from the windows of one that still learns; None if they are not enough.

    Enough is a full sample, or LEARNING_WINDOWS windows with events.
    """
    if not summaries:
        return None
    whole = Summary.empty(summaries[0].layout)
    for summary in summaries:
        whole.add(summary)
    filled = sum(int(summary.events[0]) > 0 for summary in summaries)
    if len(whole.sample.hashes) < whole.layout.sample_size and filled < LEARNING_WINDOWS:
        return None
    layout = replace(whole.layout, sample_size=0)
    layout = layout.with_block(ConfidenceBlock.learnt(whole.sample.values[:, 0]))
    classes = layout.block(ClassesBlock.kind)
    sketch = whole.sketches.get(ClassesBlock.kind)
    found = [] if sketch is None else sketch.most_frequent()
    labels = classes.labels + tuple(sorted(set(found) - set(classes.labels)))
    return layout.with_block(replace(classes, labels=labels))


def grown(layout: Layout, summary: Summary, *, segments_cap: int, classes_cap: int) -> Layout | None:
    """Return ``layout`` with labels for what ``summary`` met most often without one; None if nothing is new.

    A class is given a label once it was met twice, so that noise in names does not use up the cap; what
    exceeds the caps stays counted as other. Labels are only ever appended.
    """
    segments = _additions(summary, SEGMENT, layout.segments, segments_cap, at_least=1)
    new = replace(layout, segments=layout.segments + segments)
    if not layout.sample_size:
        classes = layout.block(ClassesBlock.kind)
        labels = _additions(summary, ClassesBlock.kind, classes.labels, classes_cap, at_least=_SEEN_TWICE)
        new = new.with_block(replace(classes, labels=classes.labels + labels))
    return None if new == layout else new


def _additions(summary: Summary, kind: str, known: tuple[str, ...], cap: int, *, at_least: int) -> tuple[str, ...]:
    sketch = summary.sketches.get(kind)
    if sketch is None or len(known) >= cap:
        return ()
    names, counts = np.unique([value for _, value in sketch.entries], return_counts=True)
    often = {str(name) for name, count in zip(names, counts, strict=True) if count >= at_least}
    new = [name for name in sketch.most_frequent() if name in often and name not in known]
    return tuple(new[: cap - len(known)])
