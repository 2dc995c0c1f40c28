"""What the arrays of a cohort mean: its segments and the blocks of questions that are counted.

All segments of one (model, version) share one immutable layout, so that their summaries are one rectangular
set of arrays with the segment as the leading axis.
"""

import json
from dataclasses import asdict, dataclass

__all__ = ["WHOLE", "BlockSpec", "Layout"]

WHOLE = ""
"""The segment that is the whole model; always the first one of a layout."""


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """The parameters of one block: ``labels`` of categories, or ``edges`` of a histogram (ascending)."""

    kind: str
    labels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """Segments, blocks in their order, and how many events the raw sample holds.

    ``sample_size`` is the k of the bottom-k sample of raw values; a layout that still learns its edges holds
    4,096, later ones may hold none.
    """

    segments: tuple[str, ...]
    blocks: tuple[BlockSpec, ...]
    sample_size: int = 0

    def block(self, kind: str) -> BlockSpec:
        """Return the spec of the block called ``kind``; raises KeyError if the layout has none."""
        for spec in self.blocks:
            if spec.kind == kind:
                return spec
        raise KeyError(kind)

    def with_block(self, spec: BlockSpec) -> "Layout":
        """Return this layout with the block of that kind replaced."""
        blocks = tuple(spec if old.kind == spec.kind else old for old in self.blocks)
        return Layout(self.segments, blocks, self.sample_size)

    def to_json(self) -> str:
        """Return the layout as JSON, the same text for equal layouts."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Layout":
        """Return the layout that :meth:`to_json` wrote."""
        raw = json.loads(text)
        blocks = tuple(
            BlockSpec(block["kind"], tuple(block["labels"]), tuple(block["edges"])) for block in raw["blocks"]
        )
        return cls(tuple(raw["segments"]), blocks, raw["sample_size"])
