"""What a replay finds hangs on the events and the settings alone: not on how they lie in files, or are cut."""

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from pyarrow import parquet

from daemon.replay import chunks, files, running
from daemon.replay.running import Plan, run
from daemon.replay.store import Store
from daemon.settings import Settings
from sinks.errors import BadData

FOREVER = 2**62
START = 1_760_000_000 - 1_760_000_000 % 300
SETTINGS = Settings.model_validate({"model": {"*": {"segments": ["region"]}}})
Found = tuple[list[tuple[Any, ...]], list[dict[str, Any]]]


def event(number: int, second: float, chance: random.Random, *, declined: bool = False) -> bytes:
    fields = {
        "id": f"event-{number}",
        "time": START + second,
        "model": "pets",
        "version": "2" if second > 44 * 300 and number % 2 else "1",
        "prediction": chance.choice(("cat", "dog", f"rare-{int(second / 1500)}")),
        "confidence": round(chance.betavariate(4, 2) if declined else chance.betavariate(9, 1), 6),
        "tags": {"region": chance.choice(("eu", "us"))},
        "features": {"age": round(chance.gauss(40, 10), 2)},
    }
    return json.dumps(fields).encode()


def history(windows: int = 48, events: int = 60, seed: int = 1) -> list[bytes]:
    """Return events in time order but for some that are late; new classes, a second version and a decline in them."""
    chance = random.Random(seed)
    lines = []
    for number in range(windows * events):
        second = number * 300 / events
        shifted = second - 2500 if number % 97 == 96 else second
        lines.append(event(number, max(0, shifted), chance, declined=second > 40 * 300))
    return lines


def write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def begin(state: Path, *paths: Path, settings: Settings = SETTINGS, jobs: int = 1, **given: Any) -> Store:
    plan = Plan(paths, given.get("models", frozenset()), {}, given.get("between", (-FOREVER, FOREVER)), jobs)
    taken = given.get("taken", lambda _more: None)
    return run(settings, plan, state, begun=lambda _whole, _done: None, taken=taken)


def found_in(store: Store) -> Found:
    """Return all windows that were closed, with every byte, and all alarms."""
    with store:
        cohorts = sorted(store.cohorts(), key=lambda each: each[1:])
        closed = [
            (model, version, each.window, each.late, each.summary, each.readings)
            for number, model, version in cohorts
            for each in store.closed(number)
        ]
        return closed, [alarm for number, *_ in cohorts for alarm in store.alarms(number)]


def cut(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(files, "CHUNK_BYTES", size)
    monkeypatch.setattr(chunks, "_READ_BYTES", max(100, size // 3))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What is found in ``history()`` as one file that is not cut."""
    folder = tmp_path_factory.mktemp("whole")
    found = found_in(begin(folder / "state", write(folder / "events.jsonl", history())))
    assert sum(late for _, _, _, late, *_ in found[0]) > 10
    assert {version for _, version, *_ in found[0]} == {"1", "2"}
    assert any(alarm["to"] == "firing" for alarm in found[1])
    return found


@pytest.mark.parametrize("size", [2000, 60_000])
def test_how_a_file_is_cut_changes_nothing(
    size: int, whole: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(monkeypatch, size)
    assert found_in(begin(tmp_path / "cut", write(tmp_path / "events.jsonl", history()))) == whole


def test_an_event_that_another_chunk_makes_late_is_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = history(windows=12)
    # A chunk of its own that lies wholly before what came just before it.
    lines[400:400] = lines[100:160]
    path = write(tmp_path / "events.jsonl", lines)
    whole = found_in(begin(tmp_path / "whole", path))
    cut(monkeypatch, 2000)
    assert found_in(begin(tmp_path / "cut", path)) == whole
    assert sum(late for _, _, _, late, *_ in whole[0]) >= 60


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_packed_files_are_read_as_what_is_in_them(
    suffix: str, pack: Callable[[bytes], bytes], whole: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(monkeypatch, 50_000)
    path = tmp_path / f"events.jsonl{suffix}"
    path.write_bytes(pack(b"\n".join(history())))
    assert found_in(begin(tmp_path / "state", path)) == whole
    assert not list((tmp_path / "state" / "replay.spool").iterdir())


def test_files_are_streams_of_their_own_that_come_to_a_time_together(
    whole: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = history()
    both = [write(tmp_path / f"partition-{number}.jsonl", lines[number::2]) for number in (0, 1)]
    days = [write(tmp_path / f"day-{number}.jsonl", lines[number * 600 : number * 600 + 600]) for number in range(5)]
    cut(monkeypatch, 10_000)
    assert [each[:3] for each in found_in(begin(tmp_path / "days", *days))[0]] == [each[:3] for each in whole[0]]
    found = found_in(begin(tmp_path / "both", *both))
    assert [each[:3] for each in found[0]] == [each[:3] for each in whole[0]]
    assert sum(late for _, _, _, late, *_ in found[0]) == sum(late for _, _, _, late, *_ in whole[0])


def test_rows_of_a_table_are_events_too(whole: Found, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    rows = [json.loads(line) for line in history()]
    parquet.write_table(pa.Table.from_pylist(rows), path)
    assert found_in(begin(tmp_path / "state", path)) == whole


def test_how_many_fold_changes_nothing(whole: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(monkeypatch, 40_000)
    monkeypatch.setattr(running, "_WORTH_BYTES", 0)
    path = write(tmp_path / "events.jsonl", history())
    monkeypatch.delattr(running, "Alone")
    assert found_in(begin(tmp_path / "state", path, jobs=3)) == whole


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("after", [1, 5])
def test_what_was_interrupted_goes_on_where_it_stopped(
    after: int, whole: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(monkeypatch, 60_000)
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(history())))
    taken: list[int] = []

    def stop(more: int) -> None:
        taken.append(more)
        if len(taken) == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        begin(tmp_path / "state", path, taken=stop)
    first = sum(taken)
    taken.clear()
    assert found_in(begin(tmp_path / "state", path, taken=taken.append)) == whole
    assert first + sum(taken) == sum(map(len, history())) + len(history()) - 1, "some was read twice, or never"


def test_the_state_of_another_replay_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "events.jsonl", history(windows=3))
    begin(tmp_path / "state", path).close()
    other = Settings.model_validate({"model": {"*": {"segments": ["region"], "false_alarms": "1 per day"}}})
    with pytest.raises(BadData, match="another replay"):
        begin(tmp_path / "state", path, settings=other)


def test_only_what_is_asked_for_is_watched(tmp_path: Path) -> None:
    lines = history(windows=8)
    others = [line.replace(b'"pets"', b'"cars"') for line in lines]
    path = write(tmp_path / "events.jsonl", [each for both in zip(lines, others, strict=True) for each in both])
    between = ((START + 600) * 1_000_000, (START + 1500) * 1_000_000)
    closed, _ = found_in(begin(tmp_path / "state", path, models=frozenset({"cars"}), between=between))
    assert [(model, window - START // 300) for model, _, window, *_ in closed] == [("cars", n) for n in (2, 3, 4)]


def test_what_is_no_event_is_counted_with_an_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(monkeypatch, 3000)
    lines = history(windows=4)
    lines[50:50] = [b"{", b"", b'{"id": "a"}']
    lines[120:120] = [b"[]", b"{"]
    path = write(tmp_path / "events.jsonl", lines)
    with begin(tmp_path / "state", path) as store:
        rejected = {reason: (each.count, each.offset, each.value) for reason, _, each in store.rejected()}
    assert {reason: count for reason, (count, *_) in rejected.items()} == {
        "not_json": 2,
        "missing_field": 1,
        "wrong_shape": 1,
    }
    _, offset, value = rejected["not_json"]
    assert value == b"{"
    assert path.read_bytes()[offset : offset + 2] == b"{\n"
