"""What is counted and what is watched: a new family is one file and one line in each table here."""

from detectors.blocks import Block
from detectors.classes import ClassesBlock, ClassesMonitor
from detectors.confidence import ConfidenceBlock, ConfidenceMonitor
from detectors.layout import WHOLE, BlockSpec, Layout
from detectors.monitors import Monitor
from detectors.selection import SelectionBlock
from detectors.traffic import TrafficBlock

__all__ = ["BLOCKS", "MONITORS", "unlearnt_layout"]

BLOCKS: dict[str, type[Block]] = {
    TrafficBlock.kind: TrafficBlock,
    ConfidenceBlock.kind: ConfidenceBlock,
    ClassesBlock.kind: ClassesBlock,
    SelectionBlock.kind: SelectionBlock,
}

MONITORS: tuple[Monitor, ...] = (
    ConfidenceMonitor(),
    ClassesMonitor(),
)

LEARNING_SAMPLE = 4096
"""Events in the sample from which a stream's edges are learnt."""


def unlearnt_layout() -> Layout:
    """Return the layout of a stream of which nothing is known yet."""
    specs: tuple[BlockSpec, ...] = tuple(block.unlearnt() for block in BLOCKS.values())
    return Layout((WHOLE,), specs, LEARNING_SAMPLE)
