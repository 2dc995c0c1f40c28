"""``strandline`` with failpoints: a process that dies, stops or hangs at a named point of its work.

``python -m tests.fault.launch --failpoint commit.before=die@3 --config my.toml run --role ingest`` dies when it is
about to commit for the third time. Only the process itself has them: run one role. The points are functions wrapped
from here, so that the program knows nothing of them.

A failpoint is written ``POINT=ACTION``, or ``POINT=ACTION@N`` for the Nth time it is passed instead of the first.

Points: ``commit.before`` (all is written), ``commit.in`` (COMMIT is sent, its reply not yet read), ``commit.after``
(it is stored, but not yet noted in memory), ``batch`` (between the partitions of one poll) and ``event:TEXT`` (an event
that holds the text is about to be decoded). Actions: ``die`` (SIGKILL), ``stop`` (SIGSTOP) and ``hang:SECONDS``.
"""

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from psycopg import generators
from psycopg.transaction import BaseTransaction

from daemon.__main__ import main
from daemon.accumulate import Accumulation
from daemon.records import Records
from sinks import effects
from sinks.ledger import Ledger

__all__ = ["install"]

_SYNTAX = re.compile(r"(?P<point>[^=:]+)(:(?P<text>[^=]+))?=(?P<action>die|stop|hang:[\d.]+)(@(?P<nth>\d+))?")
Hit = Callable[[], None]


def install(failpoint: str) -> None:
    """Put one failpoint into this process."""
    parsed = _SYNTAX.fullmatch(failpoint)
    if parsed is None or parsed["point"] not in _POINTS:
        raise SystemExit(f"--failpoint {failpoint}: expected POINT=ACTION or POINT=ACTION@N; see tests/fault/launch.py")
    passed, nth = count(1), int(parsed["nth"] or 1)

    def hit() -> None:
        if next(passed) == nth:
            sys.stderr.write(f"failpoint {failpoint}\n")
            sys.stderr.flush()
            _act(parsed["action"])

    _POINTS[parsed["point"]](hit, (parsed["text"] or "").encode())


def _act(action: str) -> None:
    name, _, seconds = action.partition(":")
    if name == "hang":
        time.sleep(float(seconds))
    else:
        os.kill(os.getpid(), signal.SIGKILL if name == "die" else signal.SIGSTOP)


def _before_commit(hit: Hit, _: bytes) -> None:
    write = effects.write

    def wrapped(*given: Any, **named: Any) -> None:
        write(*given, **named)
        hit()

    effects.write = wrapped


def _in_commit(hit: Hit, _: bytes) -> None:
    """Wrap psycopg's own COMMIT, of transactions that the ledger's commit opened."""
    commit, commit_gen = Ledger.commit, BaseTransaction._commit_gen
    committing = False

    def wrapped(*given: Any, **named: Any) -> None:
        nonlocal committing
        committing = True
        try:
            commit(*given, **named)
        finally:
            committing = False

    def sending(transaction: "BaseTransaction[Any]") -> Any:
        if not committing or not transaction._outer_transaction:
            yield from commit_gen(transaction)
            return
        transaction._pop_savepoint("commit")
        transaction.status = transaction.Status.COMMITTED
        transaction.pgconn.send_query(b"COMMIT")
        yield from generators.send(transaction.pgconn)
        hit()
        yield from generators.fetch_many(transaction.pgconn)

    Ledger.commit = wrapped  # type: ignore[method-assign]
    BaseTransaction._commit_gen = sending  # type: ignore[assignment,method-assign]


def _after_commit(hit: Hit, _: bytes) -> None:
    commit = Ledger.commit

    def wrapped(*given: Any, **named: Any) -> None:
        commit(*given, **named)
        hit()

    Ledger.commit = wrapped  # type: ignore[method-assign]


def _batch(hit: Hit, _: bytes) -> None:
    add = Accumulation.add

    def wrapped(self: Accumulation, topic: str, partition: int, records: Records, high_us: int) -> int:
        high_us = add(self, topic, partition, records, high_us)
        hit()
        return high_us

    Accumulation.add = wrapped  # type: ignore[method-assign]


def _event(hit: Hit, text: bytes) -> None:
    add = Accumulation.add

    def wrapped(self: Accumulation, topic: str, partition: int, records: Records, high_us: int) -> int:
        if any(text in (value or b"") for value in records.values):
            hit()
        return add(self, topic, partition, records, high_us)

    Accumulation.add = wrapped  # type: ignore[method-assign]


_POINTS: dict[str, Callable[[Hit, bytes], None]] = {
    "commit.before": _before_commit,
    "commit.in": _in_commit,
    "commit.after": _after_commit,
    "batch": _batch,
    "event": _event,
}


if __name__ == "__main__":
    while sys.argv[1:2] == ["--failpoint"]:
        install(sys.argv[2])
        del sys.argv[1:3]
    main()
