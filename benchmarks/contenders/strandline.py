"""An ingest process of Strandline: everything into summaries, candidates and offsets in PostgreSQL, exactly once.

Its default monitors are on. The layouts were learnt before, and the labelling rate is that of the topic's traffic: the
steady state.
"""

import os
import threading
import time
from collections.abc import Callable

from benchmarks.contenders.learnt import VERSION, learnt_layout
from benchmarks.contenders.task import Clock, Task, main, resident_bytes
from benchmarks.topics import SEGMENT_TAG, Topic, model_names
from daemon.logs import configure
from daemon.memory import prepare_for_many_events
from daemon.settings import Settings
from daemon.source import Poll, Source
from daemon.sources.registry import source_of
from daemon.worker import Worker
from sinks.cohorts import register
from sinks.database import Connection, connect

__all__ = ["EVENTS_PER_DAY", "prepare", "settings_of"]

EVENTS_PER_DAY = 86_400_000
"""One each millisecond."""
_LOOK_SECONDS = 0.02
_ASK_SECONDS = 0.2


def settings_of(task: Task) -> Settings:
    """Return the settings that the task means."""
    sections: dict[str, dict[str, object]] = {
        "kafka": {
            "bootstrap_servers": [task.bootstrap],
            "topics": [task.topic],
            "assignment": "static",
            "client": task.client,
        },
        "postgres": {"url": task.database},
        "model": {"*": {"segments": [SEGMENT_TAG] if task.segments else [], "expected_events_per_day": EVENTS_PER_DAY}},
    }
    for name, keys in task.settings.items():
        sections[name] = {**sections.get(name, {}), **keys}
    return Settings.model_validate(sections)


def prepare(task: Task) -> None:
    """Register what the topic holds, as it would have been learnt."""
    settings = settings_of(task)
    layout = learnt_layout(settings, Topic(task.topic, task.count, 1, task.models, task.segments, task.features))
    with connect(task.database, name="benchmark") as connection:
        for model in model_names(task.models):
            window_seconds, cap = settings.of(model).window_seconds, settings.detection.models_cap
            register(connection, model, VERSION, window_seconds=window_seconds, layout=layout, cap=cap)


def run(task: Task, clock: Clock) -> None:
    """Take in everything, alone or as one of a group."""
    configure("error", process="strandline", role="benchmark")
    settings = settings_of(task)
    alone = settings.kafka.assignment == "static"
    if alone:
        prepare(task)
    # As the process of an ingest worker does.
    prepare_for_many_events()
    stop = threading.Event()
    ingest = settings.ingest
    open_source = source_of(settings.kafka)
    source = open_source(settings.kafka, poll_records=ingest.poll_records, max_event_bytes=ingest.max_event_bytes)
    _start_with_records(source, clock)
    owner = f"benchmark-{os.getpid()}"
    worker = Worker(settings, source, lambda: connect(task.database, name="benchmark"), owner, stop)
    store = connect(task.database, name="benchmark")
    written = _written(store)

    def watch() -> None:
        for events in task.memory_at:
            _wait(lambda: worker.committed_events >= events, _LOOK_SECONDS)  # noqa: B023 - waited for at once
            clock.memory.append(resident_bytes())
        if alone:
            _wait(lambda: worker.committed_events >= task.count, _LOOK_SECONDS)
        else:
            _wait(lambda: _committed(store) >= task.count, _ASK_SECONDS)
        clock.stop(worker.committed_events)
        clock.wal_bytes = _written(store) - written
        stop.set()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    worker.run()
    watching.join()


def _start_with_records(source: Source, clock: Clock) -> None:
    poll = source.poll

    def timed(seconds: float, most: int) -> Poll:
        found = poll(seconds, most)
        if found.records:
            clock.start()
        return found

    source.poll = timed  # type: ignore[method-assign]


def _wait(until: Callable[[], bool], seconds: float) -> None:
    while not until():
        time.sleep(seconds)


def _committed(store: Connection) -> int:
    row = store.execute("SELECT coalesce(sum(next_offset), 0) FROM partition").fetchone()
    return 0 if row is None else int(row[0])


def _written(store: Connection) -> int:
    """Return the bytes that PostgreSQL has written to its log so far."""
    row = store.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    return 0 if row is None else int(row[0])


if __name__ == "__main__":
    main(run)
