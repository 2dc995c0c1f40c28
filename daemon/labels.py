"""Which labels a model's samples may get: its classes, as far as they are known."""

from difflib import get_close_matches

from daemon.kinds import CLASSIFIER
from daemon.settings import Settings
from detectors.classes import ClassesBlock
from sinks import cohorts, queue
from sinks.database import Connection
from sinks.errors import BadData
from sinks.queue import Item

__all__ = ["check_label", "classes_of"]

_NEAREST = 3
_ALIKE = 0.4


def classes_of(connection: Connection, settings: Settings, item: Item) -> tuple[str, ...]:
    """Return the classes that an item's label is one of: configured, else learnt; none if it may be any text."""
    model = settings.of(item.model)
    if model.kind != CLASSIFIER:
        return ()
    if model.classes:
        return model.classes
    layout = cohorts.latest_layout(connection, item.model, item.version)
    learnt = () if layout is None else layout.block(ClassesBlock.kind).labels
    # Beyond the cap there are classes that nobody knows by name.
    return learnt if len(learnt) < settings.detection.classes_cap else ()


def check_label(connection: Connection, settings: Settings, token: str, value: str) -> None:
    """Check that a label is a class of its item's model, the item's prediction, or was given to the model before.

    Raises
    ------
    BadData
        It is none, though the classes are known; or there is no such token.
    """
    item = queue.find(connection, queue.item_of(token))
    if item is None or value == item.prediction:
        return
    classes = classes_of(connection, settings, item)
    if not classes or value in classes or queue.was_given(connection, item.model, value):
        return
    near = get_close_matches(value, classes, _NEAREST, _ALIKE)
    nearest = f"; the nearest: {', '.join(map(repr, near))}" if near else ""
    raise BadData(f"{value!r}: {item.model} has {len(classes)} classes, and not this one{nearest}. Meant: --new-class")
