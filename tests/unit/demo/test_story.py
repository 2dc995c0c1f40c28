import pytest

from daemon.demo.story import INJECTED, LENGTH, Fired, clock, false_alarms, judge, under_way

BLUR, UNSEEN = INJECTED


def fired(window: int, monitor: str, segment: str = "") -> Fired:
    return Fired(window, monitor, segment, "title")


def test_the_monitors_have_time_to_calibrate_and_the_story_ends_well() -> None:
    assert BLUR.first >= 24
    assert BLUR.end < UNSEEN.first
    assert UNSEEN.end < LENGTH


def test_changes_are_under_way_from_their_first_window_to_before_their_end() -> None:
    assert under_way(BLUR.first - 1) is None
    assert under_way(BLUR.first) is BLUR
    assert under_way(BLUR.end - 1) is BLUR
    assert under_way(BLUR.end) is None
    assert under_way(LENGTH + 1000) is None


def test_both_noticed() -> None:
    outcomes = judge([fired(UNSEEN.first + 1, "classes"), fired(BLUR.first, "confidence")])
    assert [outcome.delay for outcome in outcomes] == [1, 2]


@pytest.mark.parametrize(
    "alarm",
    [
        fired(BLUR.first + 5, "confidence"),
        fired(BLUR.first - 1, "confidence"),
        fired(BLUR.first, "classes"),
        fired(BLUR.first, "confidence", "camera=south"),
    ],
    ids=["too late", "too early", "another monitor", "a segment only"],
)
def test_not_noticed(alarm: Fired) -> None:
    assert judge([alarm])[0].noticed is None
    assert judge([alarm])[0].delay is None


def test_the_fifth_window_is_still_in_time() -> None:
    assert judge([fired(BLUR.first + 4, "confidence")])[0].delay == 5


def test_whatever_fires_before_the_first_change_is_false() -> None:
    early = fired(BLUR.first - 1, "classes", "camera=north")
    assert false_alarms([early, fired(BLUR.first, "confidence")]) == [early]


def test_clock() -> None:
    assert clock(1_760_000_400_000_000) == "09:00"
