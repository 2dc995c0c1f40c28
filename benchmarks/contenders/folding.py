"""Strandline without the services beside it: decoding, counting, and what a commit would write, from memory.

``use``: the second of the wall clock at which to begin, so that several begin together.
"""

import itertools
import time

from benchmarks.contenders.learnt import VERSION, as_records, learnt_layout
from benchmarks.contenders.strandline import settings_of
from benchmarks.contenders.task import Clock, Task, main
from benchmarks.topics import Topic, events, model_names
from daemon.accumulate import Accumulation
from daemon.buffer import NEVER, Cohort
from daemon.memory import prepare_for_many_events
from sinks.controls import ALWAYS, ControlRecord, Controls


def run(task: Task, clock: Clock) -> None:
    """Take in ``count`` events, again and again the same ones."""
    settings = settings_of(task)
    topic = Topic(task.topic, min(task.count, 50_000), features=task.features)
    model = model_names(1)[0]
    cohort = Cohort(1, model, VERSION, settings.of(model))
    controls = Controls()
    layout = learnt_layout(settings, topic).to_json().encode()
    controls.add(ControlRecord(1, "layout", cohort.id, model, ALWAYS, layout))
    accumulation = Accumulation(settings, controls, lambda _model, _version: cohort, lambda _id: cohort)
    records = as_records(list(events(topic)))
    size = settings.ingest.poll_records
    polls = itertools.cycle([records[start : start + size] for start in range(0, len(records), size)])
    prepare_for_many_events()
    time.sleep(max(0.0, float(task.use or 0) - time.time()))
    clock.start()
    seen, last = 0, time.monotonic()
    while seen < task.count:
        poll = next(polls)
        accumulation.add(task.topic, 0, poll, NEVER)
        seen += len(poll)
        if time.monotonic() - last >= settings.ingest.commit_seconds:
            accumulation.effects()
            accumulation.clear()
            last = time.monotonic()
    accumulation.effects()
    clock.stop(seen)


if __name__ == "__main__":
    main(run)
