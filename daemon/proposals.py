"""What the fields of unknown JSON records may be: a proposal from names and values, for a person to judge.

Each field of ours takes the path that fits best: its values must be of the right kind, and its name speaks for it.
"""

import math
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from daemon.decoders.paths import Step, show_path
from daemon.decoders.shape import overlap

__all__ = ["Found", "Proposal", "leaves", "propose"]

_MOST_LEAVES = 400
_TAG_VALUES = 50
_TAGS = 8
_CLASSES = 1000
_DEEPEST = 8
_FEW = 8
_TAG_CHARACTERS = 64
_LEAST_DIMENSIONS = 8
# The least score. Times and probabilities are known by their values; for the rest the name has to speak.
_LEAST = {"time": 0.4, "probabilities": 0.4}
_NAMED = 1.4
_YEAR_SECONDS = 366 * 86_400
_SUM = 0.001
_NAMES = {
    "id": (
        r"^r?id$|^(uuid|guid)$|(^|_)(req|msg|rec)_?id$|^(ce_?)?id$"
        r"|(request|event|inference|prediction|trace|correlation|message|record).*id$"
    ),
    "time": r"^(ts|time|timestamp|date)$|time|(^|_)(ts|at|ms|us)(_|$)|date",
    "model": r"^(model|svc)$|model.?(name|id)$|^(endpoint|deployment|service|bento).*(name|id)?$",
    "version": r"^((bento|service|app|endpoint)_?)?version$|model.?version|^(revision|build|release|rel|ver)$",
    "prediction": (
        r"^(predicted.?)?(label|class|value)s?$|pred|^(results?|outputs?|decision|top.?class|y.?hat)$|output$"
    ),
    "probabilities": r"prob|score|softmax|likelihood|confidences|distribution",
    "confidence": r"^(confidence|certainty|prob|probability|score|max.?prob.*|top.?score)$",
    "features": r"^(features?|inputs?|instances?|x|columns|attributes|data)$|feature",
    "embedding": r"embed|vector",
    "payload": (
        r"^(payload|text|txt|prompt|image|image.?url|url|uri|sentence|message|content|body|document|query|input)$"
    ),
}
# Names that say nothing themselves, so that the one above them speaks.
_GENERIC = {
    "model": r"^(name|id)$",
    "version": r"^(number|id)$",
    "prediction": r"^(values?|data)$",
    "features": r"^(values?|data)$",
    "payload": r"^(values?|data)$",
    "confidence": r"^values?$",
}
_NO_NAME = r"(?!)"
Path = tuple[Step, ...]


@dataclass(slots=True)
class Leaf:
    """The values that stand at one path, over all samples."""

    path: Path
    values: list[object] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Names by which it may be known, the nearest first: the last key, and those above it."""
        return [step for step in reversed(self.path) if isinstance(step, str)]


@dataclass(frozen=True, slots=True)
class Found:
    """A field of ours and where it was found; an example, and in how many samples it stands."""

    field: str
    path: Path
    example: object
    count: int

    @property
    def path_text(self) -> str:
        """The path as the configuration has it."""
        return show_path(self.path)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was understood, and which paths were not. ``model``: the name for all, if no path holds one."""

    found: tuple[Found, ...]
    left: tuple[Found, ...]
    model: str | None

    def fields(self) -> dict[str, object]:
        """Return the proposal as ``[events.fields]`` of the configuration has it."""
        fields: dict[str, object] = {each.field: each.path_text for each in self.found}
        if self.model is not None:
            fields["model"] = {"value": self.model}
        return fields


def leaves(samples: Sequence[object]) -> list[Leaf]:
    """Return every path of the samples with its values; objects and arrays have one themselves, too."""
    found: dict[Path, Leaf] = {}

    def visit(value: object, path: Path) -> None:
        if path:
            if path not in found and len(found) >= _MOST_LEAVES:
                return
            found.setdefault(path, Leaf(path)).values.append(value)
        if len(path) >= _DEEPEST:
            return
        if isinstance(value, dict):
            for key, each in value.items():
                visit(each, (*path, key))
        elif isinstance(value, list) and value and (len(value) == 1 or not isinstance(value[0], (int, float))):
            # Models answer in batches: of one event, the first row.
            visit(value[0], (*path, 0))

    for sample in samples:
        visit(sample, ())
    return list(found.values())


def propose(samples: Sequence[object], times: Sequence[int], topic: str) -> Proposal:
    """Return what the samples' fields may be. ``times``: Kafka's, in milliseconds, of each sample.

    Without a field that names the model, it is called as the topic.
    """
    all_leaves = leaves(samples)
    around = statistics.median(times) / 1000 if times else 0.0
    chosen: dict[str, Leaf] = {}
    for name, fits in _kinds(len(samples), around).items():
        # What is shown to a labeler may hold anything, the features too.
        open_ = all_leaves if name == "payload" else _free(all_leaves, chosen)
        scored = [(_score(name, leaf, len(samples)), leaf) for leaf in open_ if fits(_present(leaf))]
        best = max(scored, key=lambda each: each[0], default=None)
        if best is not None and best[0] >= _LEAST.get(name, _NAMED):
            chosen[name] = best[1]
    _add_singles(all_leaves, chosen, len(samples))
    left = [leaf for leaf in _free(all_leaves, chosen) if not isinstance(leaf.values[0], (dict, list))]
    return Proposal(
        tuple(_found(name, leaf) for name, leaf in chosen.items()),
        tuple(_found("", leaf) for leaf in left),
        None if "model" in chosen else topic,
    )


def _add_singles(all_leaves: Sequence[Leaf], chosen: dict[str, Leaf], samples: int) -> None:
    """Take what is left: texts of few values as tags, numbers as features."""
    tags = 0
    for leaf in _free(all_leaves, chosen):
        name = leaf.names[0] if leaf.names else ""
        values = _present(leaf)
        if not isinstance(leaf.path[-1], str) or len(values) <= samples / 2:
            continue
        if (
            _are_tags(values, samples)
            and (samples < _FEW or _distinct(values) > 1)
            and tags < _TAGS
            and f"tags.{name}" not in chosen
        ):
            chosen[f"tags.{name}"] = leaf
            tags += 1
        elif _all(values, (int, float)) and _distinct(values) > 1 and f"features.{name}" not in chosen:
            chosen[f"features.{name}"] = leaf


def _free(all_leaves: Sequence[Leaf], chosen: dict[str, Leaf]) -> list[Leaf]:
    """Return what no field has taken yet; what is shown to a labeler takes nothing away."""
    taken = [leaf.path for name, leaf in chosen.items() if name != "payload"]
    return [
        leaf
        for leaf in all_leaves
        if leaf is not chosen.get("payload") and not any(overlap(leaf.path, path) for path in taken)
    ]


def _present(leaf: Leaf) -> list[object]:
    return [value for value in leaf.values if value is not None]


def _found(name: str, leaf: Leaf) -> Found:
    present = _present(leaf)
    return Found(name, leaf.path, present[0] if present else None, len(present))


def _score(name: str, leaf: Leaf, samples: int) -> float:
    """Return how well a field's name and presence fit: what always stands there, and not deep, comes first."""
    return _named(name, leaf) + len(_present(leaf)) / samples - len(leaf.path) / 100


def _named(name: str, leaf: Leaf) -> float:
    """Return 2 if the leaf's own name speaks for the field, 1.5 if one above it does and its own says nothing."""
    pattern = re.compile(_NAMES[name], re.IGNORECASE)
    own, *above = leaf.names
    if pattern.search(own):
        return 2.0
    generic = re.search(_GENERIC.get(name, _NO_NAME), own, re.IGNORECASE)
    return 1.5 if generic and above and pattern.search(above[0]) else 0.0


def _kinds(samples: int, around: float) -> dict[str, Callable[[list[object]], bool]]:
    """Return, for each field in the order in which they choose, what its values must be."""
    few = samples < _FEW
    return {
        "time": lambda values: bool(values) and all(_is_time(value, around) for value in values),
        "id": lambda values: (
            _all(values, (str, int)) and all(map(str, values)) and _distinct(values) > 0.9 * len(values)
        ),
        "probabilities": lambda values: sum(map(_is_distribution, values)) > 0.9 * len(values),
        "model": lambda values: _all(values, (str,)) and all(values) and _distinct(values) <= _TAG_VALUES,
        "version": lambda values: _all(values, (str, int)) and _distinct(values) <= _TAG_VALUES,
        "prediction": lambda values: _are_predictions(values, few=few),
        "confidence": lambda values: _all(values, (float, int)) and all(map(_is_share, values)),
        "embedding": lambda values: bool(values) and all(map(_is_vector, values)),
        "features": lambda values: bool(values) and all(map(_is_flat, values)),
        "payload": lambda values: _all(values, (str,)) and _distinct(values) > 0.5 * len(values),
    }


def _all(values: Sequence[object], kinds: tuple[type, ...]) -> bool:
    return bool(values) and all(isinstance(value, kinds) and not isinstance(value, bool) for value in values)


def _distinct(values: Sequence[object]) -> int:
    return len({value for value in values if isinstance(value, (str, int, float))})


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= 1


def _is_vector(value: object) -> bool:
    return isinstance(value, list) and len(value) > _LEAST_DIMENSIONS and _all(value, (int, float))


def _is_flat(value: object) -> bool:
    return (
        isinstance(value, dict) and bool(value) and not any(isinstance(each, (dict, list)) for each in value.values())
    )


def _is_time(value: object, around: float) -> bool:
    if isinstance(value, str):
        if not value.replace(".", "", 1).isdigit():
            try:
                return abs(msgspec.convert(value, datetime).timestamp() - around) < _YEAR_SECONDS
            except (msgspec.ValidationError, OverflowError):
                return False
        value = float(value)
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    return any(abs(value / scale - around) < _YEAR_SECONDS for scale in (1, 1e3, 1e6, 1e9))


def _is_distribution(value: object) -> bool:
    shares = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(shares, list) or len(shares) < 2 or not _all(shares, (int, float)):
        return False
    return all(map(_is_share, shares)) and abs(math.fsum(shares) - 1) <= _SUM


def _are_predictions(values: Sequence[object], *, few: bool) -> bool:
    if _all(values, (str,)):
        # Classes come again and again; few samples cannot tell.
        return all(values) and (few or _distinct(values) <= min(_CLASSES, len(values) // 2))
    return bool(values) and all(isinstance(value, (int, float)) for value in values)


def _are_tags(values: Sequence[object], samples: int) -> bool:
    few = _distinct(values) <= min(_TAG_VALUES, max(2, samples // 10))
    return few and all(isinstance(value, str) and 0 < len(value) <= _TAG_CHARACTERS for value in values)
