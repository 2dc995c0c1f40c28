"""The demo's events: what the model says of digits that two cameras take, window by window.

One generator makes the reference and the live traffic: there are only a few hundred pictures, and a reference
of the pictures themselves would differ from their jittered copies by more than the tolerance. What a window holds
depends on the seed and the window alone, never on timing.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from daemon.demo.classifier import Digits
from daemon.demo.images import blurred, jittered, png_url
from daemon.demo.story import CAMERAS, WINDOW_SECONDS, Change

__all__ = ["EVENTS_PER_WINDOW", "MODEL", "PARTITIONS", "VERSION", "Message", "Traffic"]

MODEL, VERSION = "digits", "1"
PARTITIONS = 3
EVENTS_PER_WINDOW = 1000
"""On average."""
_REFERENCE_EVENTS = 20_000
_AT_ONCE = 5000
_MILLISECONDS = 1000
_REFERENCE_STREAM, _LIVE_STREAM = 0, 1
_DIGITS = 4
"""Decimals of a probability: their sum stays one to a thousandth."""


@dataclass(frozen=True, slots=True)
class Message:
    """A record to be: its event time, its partition, its value."""

    time_ms: int
    partition: int
    value: bytes


class Traffic:
    """The stream of one seed; ``start_seconds`` is when its first window begins, in event time."""

    def __init__(self, digits: Digits, seed: int, start_seconds: int, window_seconds: int = WINDOW_SECONDS) -> None:
        self._digits = digits
        self._seed = seed
        self._start_seconds = start_seconds
        self._window_seconds = window_seconds

    def time_ms(self, position: float) -> int:
        """Return the event time at ``position``, in windows since the beginning."""
        return round((self._start_seconds + position * self._window_seconds) * _MILLISECONDS)

    def write_reference(self, path: Path) -> None:
        """Write events of a time when all was well, one JSON object a line."""
        random = np.random.default_rng([self._seed, _REFERENCE_STREAM])
        with path.open("wb") as file:
            for _ in range(0, _REFERENCE_EVENTS, _AT_ONCE):
                pictures, cameras = self._pictures(random, _AT_ONCE, None)
                for event in self._events(pictures, cameras):
                    file.write(msgspec.json.encode(event) + b"\n")

    def window(self, number: int, change: Change | None) -> list[Message]:
        """Return the events of a window, in the order of their times."""
        random = np.random.default_rng([self._seed, _LIVE_STREAM, number])
        count = int(random.poisson(EVENTS_PER_WINDOW))
        times = np.sort(random.integers(self.time_ms(number), self.time_ms(number + 1), count)).tolist()
        pictures, cameras = self._pictures(random, count, change)
        messages = []
        for position, event in enumerate(self._events(pictures, cameras)):
            event |= {
                "id": f"scan-{self._seed}-{number:05}-{position:04}",
                "time": times[position],
                "payload": png_url(pictures[position]),
            }
            messages.append(Message(times[position], position % PARTITIONS, msgspec.json.encode(event)))
        return messages

    def _pictures(
        self, random: np.random.Generator, count: int, change: Change | None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Draw pictures, and the position of the camera that took each."""
        held_out, unseen = self._digits.held_out, self._digits.unseen
        drawn = held_out[random.integers(len(held_out), size=count)]
        others = unseen[random.integers(len(unseen), size=count)]
        cameras = random.integers(len(CAMERAS), size=count)
        arrives = random.random(count)
        if change is not None:
            drawn = np.where((arrives < change.share)[:, None, None], others, drawn)
        pictures = jittered(drawn, random)
        if change is not None and change.blur:
            fogged = cameras == CAMERAS.index(change.camera)
            pictures[fogged] = blurred(pictures[fogged], change.blur)
        return pictures, cameras

    def _events(self, pictures: NDArray[np.float64], cameras: NDArray[np.int64]) -> list[dict[str, object]]:
        names = self._digits.classes
        probabilities = np.round(self._digits.probabilities(pictures), _DIGITS)
        best = probabilities.argmax(axis=1)
        return [
            {
                "model": MODEL,
                "version": VERSION,
                "prediction": names[best[position]],
                "probabilities": dict(zip(names, row, strict=True)),
                "tags": {"camera": CAMERAS[cameras[position]]},
            }
            for position, row in enumerate(probabilities.tolist())
        ]
