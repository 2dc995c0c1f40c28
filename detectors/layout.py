"""What the arrays of a cohort mean: its segments and the blocks of questions that are counted.

All segments of one (model, version) share one immutable layout, so that their summaries are one rectangular
set of arrays with the segment as the leading axis.
"""

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache

__all__ = ["WHOLE", "BlockSpec", "Layout", "RawSpec"]

WHOLE = ""
"""The segment that is the whole model; always the first one of a layout."""


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """The parameters of one block: ``labels`` of categories, or ``edges`` of a histogram (ascending).

    ``field``: the event's field it counts, as a path ("features.age", "tags.region"), where a layout may hold
    several blocks of one kind. ``outer``: whether the first and the last edge enclose all values that they were learnt
    from. ``pairs``: what is counted together, in numbers that the block explains.
    """

    kind: str
    labels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    field: str = ""
    outer: bool = False
    pairs: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class RawSpec:
    """What is kept of single events for the detectors of other libraries.

    ``values`` (as in detectors.raw) of the ``events`` events of a window with the smallest hashes: of all events if
    there are no more.
    """

    events: int
    values: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Segments, blocks in their order, and how many events the raw sample holds.

    ``sample_size`` is the k of the bottom-k sample of raw values; a layout that still learns its edges holds
    4,096, later ones may hold none. ``raw``: what other libraries' detectors are fed with, None where there are none.
    """

    segments: tuple[str, ...]
    blocks: tuple[BlockSpec, ...]
    sample_size: int = 0
    raw: RawSpec | None = None

    @cached_property
    def _hash(self) -> int:
        return hash((self.segments, self.blocks, self.sample_size, self.raw))

    def __hash__(self) -> int:
        # Everything that is derived from a layout is looked up by it, and it may hold thousands of names.
        return self._hash

    def block(self, kind: str, field: str = "") -> BlockSpec:
        """Return the spec of the block of that kind and field; raises KeyError if the layout has none."""
        for spec in self.blocks:
            if spec.kind == kind and spec.field == field:
                return spec
        raise KeyError(kind, field)

    def blocks_of(self, kind: str) -> list[BlockSpec]:
        """Return the specs of the blocks of that kind, in their order."""
        return [spec for spec in self.blocks if spec.kind == kind]

    def with_block(self, spec: BlockSpec) -> "Layout":
        """Return this layout with the block of that kind and field replaced."""
        blocks = tuple(spec if (old.kind, old.field) == (spec.kind, spec.field) else old for old in self.blocks)
        return replace(self, blocks=blocks)

    def to_json(self) -> str:
        """Return the layout as JSON, the same text for equal layouts."""
        raw = asdict(self)
        for block in raw["blocks"]:
            # References are identified by a digest of this text: those that were stored without these stay the same.
            for later in ("field", "outer", "pairs"):
                if not block[later]:
                    del block[later]
        if self.raw is None:
            del raw["raw"]
        return json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> "Layout":
        """Return the layout that :meth:`to_json` wrote."""
        return _from_json(text)


@lru_cache(maxsize=4096)
def _from_json(text: str) -> Layout:
    """Return the layout; one object for all that are equal, so that they are compared in no time."""
    raw = json.loads(text)
    blocks = tuple(
        BlockSpec(
            block["kind"],
            tuple(block["labels"]),
            tuple(block["edges"]),
            block.get("field", ""),
            block.get("outer", False),
            tuple((one, other) for one, other in block.get("pairs", ())),
        )
        for block in raw["blocks"]
    )
    kept = raw.get("raw")
    return Layout(
        tuple(raw["segments"]),
        blocks,
        raw["sample_size"],
        None if kept is None else RawSpec(kept["events"], tuple(kept["values"])),
    )
