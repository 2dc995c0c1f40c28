"""quixstreams and river: an application of its users, at its defaults; it consumes with confluent-kafka."""

import os
import tempfile
from collections.abc import Mapping
from typing import Any

from quixstreams import Application

from benchmarks.contenders.river_watch import watcher
from benchmarks.contenders.task import Clock, Task, main


def run(task: Task, clock: Clock) -> None:
    """Read and watch everything."""
    watch = watcher(task.use)
    seen = 0
    with tempfile.TemporaryDirectory() as folder:
        app = Application(
            broker_address=task.bootstrap,
            consumer_group=f"quix-{os.getpid()}",
            auto_offset_reset="earliest",
            auto_create_topics=False,
            state_dir=folder,
            loglevel="WARNING",
        )

        def take(event: Mapping[str, Any]) -> None:
            nonlocal seen
            clock.start()
            watch(event)
            seen += 1
            if seen == task.count:
                clock.stop(seen)
                app.stop()

        app.dataframe(app.topic(task.topic, value_deserializer="json")).update(take)
        app.run()


if __name__ == "__main__":
    main(run)
