"""A history of events to replay: two models over some days, one of which declines in the last quarter.

    python -m benchmarks.history 2_000_000 march.jsonl

An event has about 400 bytes: 10 probabilities, 10 features, 2 tags. As in benchmarks/topics.py each is one of some
thousand shapes with an id and a time of its own, so that a million are made in seconds.
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

__all__ = ["DECLINES", "START", "history", "write"]

START = 1_772_323_200
"""2026-03-01, in seconds."""
DECLINES = 0.75
"""The part of the time after which the model "digits" is less sure, and sees a feature shifted in the region "eu"."""
_SHAPES = 20_000
_AT_ONCE = 20_000


def history(events: int, days: float) -> Iterator[bytes]:
    """Yield so many events, evenly over so many days, in pieces of many lines."""
    before, after = _shapes(declined=False), _shapes(declined=True)
    step_us = days * 86_400 * 1_000_000 / events
    for first in range(0, events, _AT_ONCE):
        lines = []
        for number in range(first, min(first + _AT_ONCE, events)):
            seconds, rest = divmod(round(number * step_us), 1_000_000)
            shapes = before if number < DECLINES * events else after
            # Neighbours are unlike each other, and no two rounds are alike.
            shape = shapes[(number * 7919 + number // _SHAPES) % _SHAPES]
            lines.append(b'{"id":"%012x","time":%d.%06d,%b' % (number, START + seconds, rest, shape))
        yield b"".join(lines)


def write(path: Path, events: int, days: float) -> int:
    """Write such a history; return its size."""
    with path.open("wb") as file:
        for piece in history(events, days):
            file.write(piece)
        return file.tell()


def _shapes(*, declined: bool) -> list[bytes]:
    """Return everything of events but their beginning, models mixed."""
    chance = random.Random(1 + declined)
    shapes = []
    for number in range(_SHAPES):
        model = "digits" if number % 2 else "fraud"
        worse = declined and model == "digits"
        region = chance.choice(("eu", "us", "asia"))
        weights = [chance.random() ** (12 if worse else 20) for _ in range(10)]
        total = sum(weights)
        features = {f"f{index}": round(chance.gauss(0, 1), 4) for index in range(9)}
        event = {
            "model": model,
            "version": "1",
            "prediction": str(max(range(10), key=weights.__getitem__)),
            "probabilities": {f"{index}": round(weight / total, 5) for index, weight in enumerate(weights)},
            "features": {**features, "brightness": round(chance.gauss(0.8 if worse and region == "eu" else 0.0, 1), 4)},
            "tags": {"region": region, "app": chance.choice(("web", "phone"))},
        }
        shapes.append(json.dumps(event, separators=(",", ":")).encode()[1:] + b"\n")
    return shapes


def main() -> None:
    """Write a history to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=int, help="how many")
    parser.add_argument("file", type=Path, help="where to")
    parser.add_argument("--days", type=float, default=14, help="over how many days (default: 14)")
    arguments = parser.parse_args()
    print(f"{arguments.file}: {write(arguments.file, arguments.events, arguments.days) / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
