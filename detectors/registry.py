"""What is counted and what is watched: a new family is one file and one line in each table here."""

from detectors.ambiguity import AmbiguityBlock, AmbiguityMonitor
from detectors.blocks import Block
from detectors.categories import CategoriesMonitor, CategoryBlock
from detectors.centroids import CentroidsBlock
from detectors.classes import ClassesBlock, ClassesMonitor
from detectors.confidence import ConfidenceBlock, ConfidenceMonitor, ConfidenceSharesMonitor
from detectors.duplicates import DuplicatesMonitor, IdsBlock
from detectors.fields import FieldsBlock, MissingMonitor, SchemaMonitor
from detectors.layout import WHOLE, BlockSpec, Layout
from detectors.monitors import Monitor
from detectors.numbers import NumberBlock, NumbersMonitor, RangeMonitor
from detectors.pairs import PairsBlock, PairsMonitor
from detectors.selection import SelectionBlock
from detectors.traffic import LatenessMonitor, TrafficBlock

__all__ = ["BLOCKS", "FIELD_BLOCKS", "LEARNT_BLOCKS", "MONITORS", "block_of", "unlearnt_layout"]

BLOCKS: dict[str, type[Block]] = {
    TrafficBlock.kind: TrafficBlock,
    ConfidenceBlock.kind: ConfidenceBlock,
    ClassesBlock.kind: ClassesBlock,
    SelectionBlock.kind: SelectionBlock,
    FieldsBlock.kind: FieldsBlock,
    AmbiguityBlock.kind: AmbiguityBlock,
    IdsBlock.kind: IdsBlock,
}
"""Those that every layout has, one each."""

FIELD_BLOCKS: dict[str, type[Block]] = {
    NumberBlock.kind: NumberBlock,
    CategoryBlock.kind: CategoryBlock,
}
"""Those of which a layout has one for each of its fields."""

LEARNT_BLOCKS: dict[str, type[Block]] = {
    CentroidsBlock.kind: CentroidsBlock,
    PairsBlock.kind: PairsBlock,
}
"""Those that a layout has, one each, once it has learnt and found something for them."""

MONITORS: tuple[Monitor, ...] = (
    ConfidenceMonitor(),
    ConfidenceSharesMonitor(),
    AmbiguityMonitor(),
    ClassesMonitor(),
    NumbersMonitor(),
    RangeMonitor(),
    CategoriesMonitor(),
    MissingMonitor(),
    SchemaMonitor(),
    PairsMonitor(),
    LatenessMonitor(),
    DuplicatesMonitor(),
)

LEARNING_SAMPLE = 4096
"""Events in the sample from which a stream's edges are learnt."""


def block_of(spec: BlockSpec) -> Block:
    """Return the block of a spec, ready to count; raises KeyError if there is none of its kind."""
    return (BLOCKS | FIELD_BLOCKS | LEARNT_BLOCKS)[spec.kind](spec)


def unlearnt_layout() -> Layout:
    """Return the layout of a stream of which nothing is known yet."""
    specs: tuple[BlockSpec, ...] = tuple(block.unlearnt() for block in BLOCKS.values())
    return Layout((WHOLE,), specs, LEARNING_SAMPLE)
