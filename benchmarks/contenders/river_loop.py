"""kafka-python, the standard library's json, and river: the loop that comes first to mind."""

import json

from kafka import KafkaConsumer, TopicPartition

from benchmarks.contenders.river_watch import watcher
from benchmarks.contenders.task import Clock, Task, main


def run(task: Task, clock: Clock) -> None:
    """Read and watch everything."""
    watch = watcher(task.use)
    consumer = KafkaConsumer(
        bootstrap_servers=task.bootstrap, group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    consumer.assign([TopicPartition(task.topic, number) for number in range(task.partitions)])
    seen = 0
    while seen < task.count:
        for records in consumer.poll(timeout_ms=500).values():
            clock.start()
            for record in records:
                watch(json.loads(record.value))
                seen += 1
                if seen == task.count:
                    break
    clock.stop(seen)


if __name__ == "__main__":
    main(run)
