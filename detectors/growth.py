"""How a layout grows: fields and edges learnt from samples, and labels for what it met and did not know.

A stream begins with a layout that knows nothing. First it learns which fields there are, then, from a sample of
their values, where edges go and which values are categories; from then on labels are only ever appended.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from detectors.categories import CategoryBlock
from detectors.centroids import DISTANCE, distance_specs
from detectors.classes import ClassesBlock
from detectors.confidence import ConfidenceBlock
from detectors.embeddings import PROJECTIONS
from detectors.fields import FieldsBlock, path_of
from detectors.folding import SEGMENT
from detectors.layout import BlockSpec, Layout
from detectors.numbers import NumberBlock
from detectors.pairs import PairsBlock
from detectors.selection import UNCERTAINTY, SelectionBlock
from detectors.summary import Summary, sampled_fields, sketch_name

__all__ = ["FIELDS_KNOWN", "LEARNING_WINDOWS", "beyond", "finished", "grown", "learnt", "reached", "with_fields"]

LEARNING_WINDOWS = 12
"""After so many windows a stream's edges are fixed, however few events it had."""
FIELDS_KNOWN = 1000
"""Fields that a layout knows of, watched or not; what is more counts as new for ever."""
_SEEN_TWICE = 2
_LOOKED = 64
"""Events looked at as a whole after which the fields are known."""
_FIELD_WINDOWS = 3
_WATCHED = {"number": NumberBlock.kind, "text": CategoryBlock.kind, "boolean": CategoryBlock.kind}


def learnt(summaries: Sequence[Summary], *, fields_cap: int, classes_cap: int, pairs_cap: int) -> Layout | None:
    """Return what is learnt from the windows of one layout that still learns; None if they are not enough.

    First the fields, from _LOOKED events or _FIELD_WINDOWS windows; then edges and labels, from a full sample
    or LEARNING_WINDOWS windows with events.
    """
    if not summaries:
        return None
    whole = Summary.empty(summaries[0].layout)
    for summary in summaries:
        whole.add(summary)
    filled = sum(int(summary.events[0]) > 0 for summary in summaries)
    if any(not spec.labels for spec in whole.layout.blocks_of(FieldsBlock.kind)):
        looked = int(whole.total(FieldsBlock.kind, "looked")[0])
        if looked < _LOOKED and filled < _FIELD_WINDOWS:
            return None
        fielded = with_fields(whole, fields_cap=fields_cap)
        if fielded != whole.layout:
            return fielded
    if len(whole.sample.hashes) < whole.layout.sample_size and filled < LEARNING_WINDOWS:
        return None
    return finished(whole, classes_cap=classes_cap, pairs_cap=pairs_cap)


def with_fields(whole: Summary, *, fields_cap: int) -> Layout:
    """Return the layout of ``whole`` with a block for each field that was sketched, up to ``fields_cap``.

    A field is of the type that it had most often, and is watched if it was seen twice.
    """
    layout = whole.layout
    sketch = whole.sketches.get(FieldsBlock.kind)
    if sketch is None:
        return layout
    seen = Counter(label for _, label in sketch.entries)
    types: dict[str, str] = {}
    for label in sorted(seen, key=lambda label: (-seen[label], label)):
        types.setdefault(path_of(label), label)
    labels = list(types.values())[:FIELDS_KNOWN]
    watched = [label for label in labels if label.split()[0] in _WATCHED and seen[label] >= _SEEN_TWICE]
    blocks = [BlockSpec(_WATCHED[label.split()[0]], field=path_of(label)) for label in sorted(watched[:fields_cap])]
    known = layout.with_block(replace(layout.block(FieldsBlock.kind), labels=tuple(sorted(labels))))
    return replace(known, blocks=(*known.blocks, *blocks))


def finished(whole: Summary, *, classes_cap: int, pairs_cap: int) -> Layout:
    """Return the layout that the sample and the sketches of ``whole`` make; it learns no more.

    Classes beyond the cap, the rarest ones, stay counted as other. Of pairs beyond theirs some are chosen for good.
    """
    layout = replace(whole.layout, sample_size=0)
    layout = layout.with_block(ConfidenceBlock.learnt(whole.sample.values[:, 0]))
    sampled = dict(zip(sampled_fields(layout), whole.sample.values[:, 1:].T, strict=True))
    for field, values in sampled.items():
        layout = layout.with_block(NumberBlock.learnt(field, values))
        if field == UNCERTAINTY:
            layout = layout.with_block(SelectionBlock.learnt(values))
    layout = replace(layout, blocks=(*layout.blocks, *distance_specs(sampled)))
    for spec in layout.blocks_of(CategoryBlock.kind):
        layout = layout.with_block(CategoryBlock.learnt(spec.field, whole.sketches.get(sketch_name(spec))))
    classes = layout.block(ClassesBlock.kind)
    sketch = whole.sketches.get(ClassesBlock.kind)
    found = [] if sketch is None else [name for name in sketch.most_frequent() if name not in classes.labels]
    labels = classes.labels + tuple(sorted(found[: max(0, classes_cap - len(classes.labels))]))
    layout = layout.with_block(replace(classes, labels=labels))
    predicted = Counter([] if sketch is None else (name for _, name in sketch.entries))
    shares = {name: number / predicted.total() for name, number in predicted.items() if name in labels}
    # Projections have no meaning by themselves, and would take the place of pairs that have one.
    paired = {field: values for field, values in sampled.items() if field not in PROJECTIONS}
    pairs = PairsBlock.learnt(paired, shares, pairs_cap)
    return replace(layout, blocks=(*layout.blocks, pairs)) if pairs.pairs else layout


def grown(layout: Layout, summary: Summary, *, segments_cap: int, classes_cap: int) -> Layout | None:
    """Return ``layout`` with labels for what ``summary`` met most often without one; None if nothing is new.

    A class is given a label once it was met twice, so that noise in names does not use up the cap; what
    exceeds the caps stays counted as other. Labels are only ever appended.
    """
    segments = _additions(summary, SEGMENT, layout.segments, segments_cap, at_least=1)
    new = replace(layout, segments=layout.segments + segments)
    if not layout.sample_size:
        caps = {ClassesBlock.kind: classes_cap, FieldsBlock.kind: FIELDS_KNOWN}
        for spec in layout.blocks:
            if spec.kind in caps:
                labels = _additions(summary, spec.kind, spec.labels, caps[spec.kind], at_least=_SEEN_TWICE)
                new = new.with_block(replace(spec, labels=spec.labels + labels))
    return None if new == layout else new


def reached(layout: Layout, *, segments_cap: int, classes_cap: int, fields_cap: int, pairs_cap: int) -> tuple[str, ...]:
    """Return the names of the caps that leave ``layout`` no room: what it meets beyond them is counted as other."""
    # The distance comes with the projections: no event has it.
    numbers = [spec for spec in layout.blocks_of(NumberBlock.kind) if spec.field != DISTANCE]
    fields = numbers + layout.blocks_of(CategoryBlock.kind)
    # A layout from before fields were watched knows none.
    known = [label for spec in layout.blocks_of(FieldsBlock.kind) for label in spec.labels]
    watchable = [label for label in known if label.split()[0] in _WATCHED]
    full = {
        "segments_cap": len(layout.segments) >= segments_cap > 1,
        "classes_cap": len(layout.block(ClassesBlock.kind).labels) >= classes_cap,
        "fields_cap": len(fields) >= fields_cap and len(watchable) > len(fields),
        "pairs_cap": any(len(spec.pairs) >= pairs_cap for spec in layout.blocks_of(PairsBlock.kind)),
    }
    return tuple(name for name, is_full in full.items() if is_full)


def beyond(summary: Summary, caps: Collection[str]) -> tuple[str, ...]:
    """Return those of the ``caps`` that its layout has reached beyond which ``summary`` met something."""
    met = {
        "segments_cap": SEGMENT in summary.sketches,
        "classes_cap": ClassesBlock.kind in summary.sketches,
        "fields_cap": True,
        # Which pairs are counted was chosen once; what comes is in them, or never was in one.
        "pairs_cap": False,
    }
    return tuple(cap for cap in caps if met[cap])


def _additions(summary: Summary, kind: str, known: tuple[str, ...], cap: int, *, at_least: int) -> tuple[str, ...]:
    sketch = summary.sketches.get(kind)
    if sketch is None or len(known) >= cap:
        return ()
    names, counts = np.unique([value for _, value in sketch.entries], return_counts=True)
    often = {str(name) for name, count in zip(names, counts, strict=True) if count >= at_least}
    new = [name for name in sketch.most_frequent() if name in often and name not in known]
    return tuple(new[: cap - len(known)])
