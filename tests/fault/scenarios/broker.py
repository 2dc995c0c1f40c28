"""Kafka: the broker started again, far away, or gone without a word."""

import time

from tests.fault.scenario import scenario
from tests.fault.trial import Trial


@scenario("9a", "the broker started again, and killed")
def broker_restarted(trial: Trial) -> None:
    rounds = 2 if trial.full else 1
    trial.start_usual()
    with trial.feed.spread_over(rounds * 60.0):
        for _ in range(rounds):
            trial.wait_until_caught_up()
            trial.services.kafka.restart()
            trial.wait_until_caught_up()
            trial.services.kafka.kill()
            time.sleep(trial.chance.uniform(1.0, 8.0))
            trial.services.kafka.start()
            trial.wait_until_caught_up()


@scenario("9b", "a broker 2 s away")
def broker_far_away(trial: Trial) -> None:
    """Let an answer take two seconds, while workers join, read, and are killed."""
    proxy = trial.kafka_proxy()
    trial.start_usual()
    with trial.feed.spread_over(80.0):
        trial.wait_until_caught_up()
        proxy.latency = 1.0
        victim = trial.processes[-1]
        trial.wait_until_caught_up()
        victim.kill()
        trial.wait_until_claimed(trial.start())
        trial.wait_until_caught_up()
    proxy.latency = 0.0


@scenario("9c", "connections to the broker that are half open")
def connections_half_open(trial: Trial) -> None:
    """Let all connections fall silent without an end; nobody has to start anything again."""
    rounds = 2 if trial.full else 1
    proxy = trial.kafka_proxy()
    trial.start_usual()
    with trial.feed.spread_over(rounds * 60.0):
        for _ in range(rounds):
            trial.wait_until_caught_up()
            proxy.fall_silent()
            # What came before the silence may still be read; what is sent from now on may not.
            time.sleep(2.0)
            trial.told["caught up after"] = f"{2.0 + trial.wait_until_caught_up():.1f} s"
