"""The fields of events as columns: features, tags, and what an event says in numbers.

Only what a layout counts is read. In a few events, chosen by their hashes, all fields are looked at, so that new
ones are noticed.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.buffer import Batch
from daemon.carried import Carried
from daemon.embeddings import projected
from daemon.events import MAX_NAME
from daemon.kinds import OWN_FIELDS
from daemon.members import disagreements
from daemon.shadows import otherwise
from daemon.slots import FIRST_BYTES, NULL_BYTE, Slots, can_have_slot, is_given
from detectors.categories import CategoryBlock
from detectors.centroids import DISTANCE, CentroidsBlock
from detectors.classes import ClassesBlock
from detectors.columns import DRAWS, Categories, Columns, Sightings
from detectors.disagreement import DISAGREEMENT, SHADOW
from detectors.embeddings import PROJECTIONS
from detectors.layout import Layout
from detectors.numbers import NumberBlock

__all__ = ["FEATURES", "TAGS", "FieldReader", "Fields"]

FEATURES, TAGS = "features.", "tags."
_LABELS_KEPT = 10_000
_LOOK_MASK, _LEARN_MASK = np.uint64(63), np.uint64(3)
"""One event in 64 is looked at as a whole, one in four while the fields are being learnt."""
_SAMPLE = DRAWS.index("sample")
_NOTHING_PREDICTED = Categories(np.zeros(0, dtype=np.int64), ())
Fields = tuple[dict[str, NDArray[np.float64]], dict[str, Categories], dict[str, NDArray[np.bool_]], Sightings]
"""Numbers, texts, wrong and sightings, as in Columns."""


class FieldReader:
    """Reads the fields that ``layout`` counts. ``ignored``: paths that are never looked at, with all below them.

    ``everything``: look at all events as a whole.
    """

    def __init__(self, layout: Layout, *, ignored: frozenset[str] = frozenset(), everything: bool = False) -> None:
        self._ignored = ignored
        numbers = [spec.field for spec in layout.blocks_of(NumberBlock.kind) if self._may_be_seen(spec.field)]
        texts = [spec.field for spec in layout.blocks_of(CategoryBlock.kind) if self._may_be_seen(spec.field)]
        self.slots = Slots(_names(numbers, FEATURES), _names(texts, FEATURES), _names(texts, TAGS))
        self.classes = [label for spec in layout.blocks_of(ClassesBlock.kind) for label in spec.labels]
        self._own = [path for path in numbers if path in OWN_FIELDS]
        self._disagrees, self._shadowed = DISAGREEMENT in numbers, SHADOW in numbers
        self._projections = [path for path in numbers if path in PROJECTIONS]
        known = layout.blocks_of(CentroidsBlock.kind) if DISTANCE in numbers else []
        self._centroids = CentroidsBlock(known[0]) if known else None
        self._mask = np.uint64(0) if everything else _LEARN_MASK if layout.sample_size else _LOOK_MASK
        # Features come again and again, with values that begin with one of a dozen bytes.
        self._feature_labels: dict[tuple[str, int], str] = {}

    def columns(self, batch: Batch, rows: NDArray[np.intp]) -> Columns:
        """Return the events at ``rows`` of ``batch``, in ascending order, with their fields."""
        columns, fields, own = batch.columns, batch.fields, batch.own
        embeddings, members, shadows = batch.embeddings, batch.members, batch.shadows
        # Nearly always it is all of them.
        if len(rows) < len(columns):
            columns, fields, own = columns.take(rows), fields.take(rows), None if own is None else own[rows]
            embeddings, members, shadows = _at(rows, embeddings), _at(rows, members), _at(rows, shadows)
        besides = (embeddings, members, shadows)
        numbers, texts, wrong, sightings = self.read(fields, own, columns.hashes, besides, columns.predicted)
        return replace(columns, numbers=numbers, texts=texts, wrong=wrong, sightings=sightings)

    def read(
        self,
        carried: Carried,
        own: NDArray[np.float64] | None,
        hashes: NDArray[np.uint64],
        besides: tuple[Sequence[msgspec.Raw], Sequence[msgspec.Raw], Sequence[msgspec.Raw]] = ((), (), ()),
        predicted: Categories = _NOTHING_PREDICTED,
    ) -> Fields:
        """Return the fields of n events, each given by what it carries, its own numbers [n, Own], and its draws.

        ``besides``: embeddings, members and shadows, each of all or none at all; ``predicted``: classes, of all if
        there are shadows.
        """
        slots = self.slots
        embeddings, members, shadows = besides
        found = carried.columns(slots)
        numbers = {f"{FEATURES}{name}": found.numbers[:, at] for at, name in enumerate(slots.numbers)}
        for path in self._own:
            numbers[path] = np.full(len(hashes), np.nan) if own is None else own[:, OWN_FIELDS.index(path)]
        texts = {f"{FEATURES}{name}": text for name, text in zip(slots.texts, found.texts, strict=True)}
        texts |= {f"{TAGS}{name}": tag for name, tag in zip(slots.tags, found.tags, strict=True)}
        wrong = {f"{FEATURES}{name}": rows for name, rows in found.wrong.items()}
        made: dict[str, tuple[NDArray[np.float64], NDArray[np.bool_]]] = {}
        if self._projections and embeddings:
            projections, unreadable = projected(embeddings)
            made |= {path: (projections[:, PROJECTIONS.index(path)], unreadable) for path in self._projections}
            if self._centroids is not None:
                made[DISTANCE] = self._centroids.distances(np.ascontiguousarray(projections.T)), unreadable
        if self._disagrees and members:
            made[DISAGREEMENT] = disagreements(members)
        if self._shadowed and shadows:
            said = None if own is None else own[:, OWN_FIELDS.index("prediction")]
            made[SHADOW] = otherwise(shadows, predicted, said)
        for path, (values, unreadable) in made.items():
            numbers[path] = values
            if unreadable.any():
                wrong[path] = unreadable
        contiguous = {path: np.ascontiguousarray(values) for path, values in numbers.items()}
        others = (embeddings, PROJECTIONS), (members, (DISAGREEMENT,)), (shadows, (SHADOW,))
        return contiguous, texts, wrong, self._look(carried, own, hashes, others)

    def _label_of(self, name: str, first: int) -> str:
        """Return the label of a feature by its name and the first byte of its value; none if it is not watched."""
        label = "" if first == NULL_BYTE else self._watched(FIRST_BYTES.get(first, "other"), f"{FEATURES}{name}")
        if len(self._feature_labels) >= _LABELS_KEPT:
            self._feature_labels.clear()
        if len(name) <= MAX_NAME:
            self._feature_labels[name, first] = label
        return label

    def _watched(self, type_: str, path: str) -> str:
        return f"{type_} {path}" if self._may_be_seen(path) and _can_be_watched(path) else ""

    def _may_be_seen(self, path: str) -> bool:
        return path not in self._ignored and path.partition(".")[0] not in self._ignored

    def _look(
        self,
        carried: Carried,
        own: NDArray[np.float64] | None,
        hashes: NDArray[np.uint64],
        others: Sequence[tuple[Sequence[msgspec.Raw], Sequence[str]]],
    ) -> Sightings:
        """Return which fields there are in the events whose lowest bits choose them; the highest choose the sample.

        ``others``: what each event carries besides, or none at all, and the paths of the numbers that are made of it.
        """
        looked = hashes[:, _SAMPLE] & self._mask == 0
        rows: list[int] = []
        codes: list[int] = []
        labels: dict[str, int] = {}
        for row in np.flatnonzero(looked).tolist():
            features, tags = carried.whole(row)
            found = [
                self._feature_labels.get((name, memoryview(raw)[0])) or self._label_of(name, memoryview(raw)[0])
                for name, raw in features.items()
            ]
            found += [self._watched("text", f"{TAGS}{name}") for name in tags]
            if own is not None:
                found += [
                    self._watched("number", path)
                    for path, value in zip(OWN_FIELDS, own[row].tolist(), strict=False)
                    if not math.isnan(value)
                ]
            for raws, paths in others:
                if raws and is_given(raws[row]):
                    found += [self._watched("number", path) for path in paths]
            for label in found:
                if label:
                    rows.append(row)
                    codes.append(labels.setdefault(label, len(labels)))
        return Sightings(
            looked, np.array(rows, dtype=np.intp), Categories(np.array(codes, dtype=np.int64), tuple(labels))
        )


def _at(rows: NDArray[np.intp], raws: Sequence[msgspec.Raw]) -> Sequence[msgspec.Raw]:
    return [raws[row] for row in rows.tolist()] if raws else ()


def _names(paths: Sequence[str], kind: str) -> tuple[str, ...]:
    return tuple(path.removeprefix(kind) for path in paths if path.startswith(kind))


def _can_be_watched(path: str) -> bool:
    """Say whether a name can be one: the rest is noise, and would not pass through every table and class."""
    return len(path) <= MAX_NAME and can_have_slot(path)
