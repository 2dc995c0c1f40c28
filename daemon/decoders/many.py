"""Many records at a time, while all are regular: the same checks as ``events.read``, on whole lists.

What is wrong with a record is not told here: the answer is then None, and ``events.read`` tells it.
"""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from daemon.events import INTEGERS, MAX_DEPTH, MAX_ID, MAX_NAME, NULL, Event
from daemon.expected import Expected
from daemon.repeated import distinct
from detectors import popcount

__all__ = ["read_many"]

_NUL = "\x00"
_BRACE, _BRACKET, _N = map(ord, "{[n")
_WORD = 8


def read_many(
    parse: Callable[[bytes], Event], values: Sequence[bytes], expected: Expected | None = None
) -> list[Event] | None:
    """Return the events that ``parse`` finds in ``values``, or None unless ``events.read`` accepts each as it is.

    Versions are left as they came; ``events.read`` makes text of them. ``expected``: what ``parse`` reads into slots.
    """
    # A line feed ends every text and every character: nothing that is broken in one can be mended by the next.
    joined = b"\n".join(values)
    if not _is_utf8(joined) or _may_be_deep(joined, values):
        return None
    # Texts end up in PostgreSQL, which cannot hold U+0000; unescaped, no JSON holds it. One byte is found much faster.
    if b"\\" in joined and b"\\u0000" in joined:
        return None
    try:
        events = [parse(value) for value in values]
    except msgspec.DecodeError:
        return None
    return events if _all_right(events, features_read=expected is not None) else None


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _may_be_deep(joined: bytes, values: Sequence[bytes]) -> bool:
    """Say whether more objects and arrays begin in any of ``values`` than may be nested."""
    if len(joined) <= MAX_DEPTH:
        return False
    text = np.frombuffer(joined, dtype=np.uint8)
    # "[" and "{" differ in one bit, which is set here: 0x5b and 0x7b.
    opened = (text | 0x20) == _BRACE
    starts = np.zeros(len(values), dtype=np.int64)
    np.cumsum(np.array(list(map(len, values[:-1])), dtype=np.int64) + 1, out=starts[1:])
    # Eight bytes at a time: what begins in the last few bytes of a text may be missed.
    words = opened[: len(opened) // _WORD * _WORD].view(np.uint64)
    first = np.minimum(starts // _WORD, len(words) - 1)
    if np.add.reduceat(popcount.ones(words), first, dtype=np.uint32).max() <= MAX_DEPTH - _WORD:
        return False
    return bool(np.add.reduceat(opened.view(np.uint8), starts, dtype=np.uint32).max() > MAX_DEPTH)


def _all_right(events: Sequence[Event], *, features_read: bool) -> bool:
    sizes = [len(event.id) for event in events]
    # What repeats is looked at once.
    predictions = distinct([event.prediction for event in events])
    names = {*distinct([event.model for event in events]), *(each for each in predictions if type(each) is str)}
    versions = {str(each) for each in distinct([event.version for event in events]) if each is not None}
    return (
        0 < min(sizes) <= max(sizes) <= MAX_ID
        and "" not in names
        and max(map(len, names | versions)) <= MAX_NAME
        # They may come from the configuration, too.
        and not any(_NUL in each for each in names | versions)
        and all(each in INTEGERS for each in predictions if type(each) is int)
        and (features_read or _begin(_BRACE, [event.features for event in events]))
        and _begin(_BRACKET, [event.members for event in events])
        and _begin(_BRACKET, [event.embedding for event in events])
        and _begin(_BRACKET, [event.objects for event in events])
    )


def _begin(first: int, raws: list[msgspec.Raw]) -> bool:
    """Say whether each that is not null begins with ``first``."""
    return raws.count(NULL) == len(raws) or {memoryview(raw)[0] for raw in raws} <= {first, _N}
