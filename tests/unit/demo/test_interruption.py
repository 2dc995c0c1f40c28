import os
import signal

import pytest

from daemon.demo.interruption import Interrupted, Interruption


def test_a_first_signal_waits_for_a_check() -> None:
    with Interruption() as interruption:
        interruption.check()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            interruption.check()


def test_a_second_signal_raises_at_once() -> None:
    with Interruption():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)


def test_nothing_disturbs_the_cleaning_up() -> None:
    with Interruption() as interruption:
        interruption.clean_up()
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)


def test_sleep_ends_early() -> None:
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            interruption.sleep(60)


def test_the_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
