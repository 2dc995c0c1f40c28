from sinks.controls import ALWAYS, ControlRecord, Controls


def record(identity: int, effective_from: int, kind: str = "selection") -> ControlRecord:
    return ControlRecord(identity, kind, None, "digits", effective_from, str(identity).encode())


def test_the_record_in_force_is_the_last_one_that_began() -> None:
    log = Controls()
    for each in (record(1, ALWAYS), record(2, 10), record(3, 20)):
        log.add(each)
    found = {window: log.in_force("selection", "digits", window) for window in (-5, 9, 10, 19, 20, 99)}
    assert {window: each.id for window, each in found.items() if each} == {-5: 1, 9: 1, 10: 2, 19: 2, 20: 3, 99: 3}
    assert log.in_force("layout", "digits", 10) is None
    assert log.in_force("selection", "other", 10) is None


def test_of_two_from_the_same_window_on_the_later_is_in_force() -> None:
    log = Controls()
    for each in (record(1, 10), record(2, 30), record(3, 10)):
        log.add(each)
    found = [log.in_force("selection", "digits", window) for window in (10, 30)]
    assert [each.id for each in found if each is not None] == [3, 2]
