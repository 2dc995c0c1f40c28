from collections.abc import Collection
from typing import TYPE_CHECKING, cast

from daemon.positions import Position, Positions
from daemon.settings import MICROSECONDS, Settings

if TYPE_CHECKING:
    from daemon.source import Source
    from sinks.ledger import Ledger, Partition

AT: "Partition" = ("events", 0)


class QuietSource:
    """Everything was read."""

    def end(self, partition: object) -> int:
        return 5

    def high_water(self, partition: object) -> int:
        return 7


class NoOthers:
    def highest(self, topics: Collection[str]) -> None:
        return None


def positions() -> Positions:
    found = Positions(Settings(), cast("Source", QuietSource()), cast("Ledger", NoOthers()))
    found._held[AT] = Position(1, 5, 5, 1000, heard=0.0, heard_high_us=1000)
    return found


def test_event_time_passes_in_a_partition_that_is_idle() -> None:
    held = positions()
    held.raise_idle(100.0)
    assert held.moves()[AT].high_us == 1000 + 100 * MICROSECONDS


def test_the_time_for_which_kafka_was_away_is_not_idleness() -> None:
    held = positions()
    held.hear(90.0)
    held.raise_idle(100.0)
    assert held.moves()[AT].high_us == 1000
    held.raise_idle(130.0)
    assert held.moves()[AT].high_us == 1000 + 40 * MICROSECONDS


def test_a_move_carries_the_end_of_the_partition() -> None:
    assert positions().moves()[AT].high_water == 7
