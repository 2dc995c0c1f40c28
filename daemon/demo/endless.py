"""``python -m daemon.demo.endless``: plays the demo's traffic without end, as time goes by, to a Kafka that is there.

For a Strandline that runs in earnest, as in docker/compose.yaml. Where Kafka is, which topic, and how long a window of
the model lasts, the configuration says.
"""

import sys
import time

from kafka.errors import KafkaError

from daemon.cli.context import choose_config
from daemon.demo.classifier import train
from daemon.demo.interruption import Interrupted, Interruption
from daemon.demo.player import Player
from daemon.demo.story import LENGTH, Change, under_way
from daemon.demo.traffic import MODEL, Traffic
from daemon.kafka_clients import KafkaUnavailable
from daemon.settings import KafkaSettings, load
from sinks.errors import StrandlineError

__all__ = ["main", "wrong"]

_SEED = 1
_TURN_SECONDS = 0.2


def wrong(window: int) -> Change | None:
    """Return what is wrong in a window: the demo's story again and again, once the model had time to learn."""
    return under_way(window % LENGTH) if window >= LENGTH else None


def main() -> int:
    """Play until a signal asks for an end; return the exit code."""
    try:
        settings = load(choose_config(None))
        _play(settings.kafka, settings.of(MODEL).window_seconds)
    except Interrupted:
        pass
    except StrandlineError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KafkaError as error:
        sys.stderr.write(f"Kafka does not answer, or has not the topic: {error}\n")
        return KafkaUnavailable.exit_code
    return 0


def _play(kafka: KafkaSettings, window_seconds: int) -> None:
    with Interruption() as interruption:
        digits = train(_SEED)
        start = int(time.time()) // window_seconds * window_seconds
        # With its start for a seed, no run repeats the events of another.
        traffic = Traffic(digits, start, start, window_seconds)
        with Player(",".join(kafka.bootstrap_servers), kafka.topics[0], traffic, wrong) as player:
            while True:
                player.play_until((time.time() - start) / window_seconds)
                interruption.sleep(_TURN_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
