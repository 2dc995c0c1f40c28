"""The processes of all hosts as the database knows them: each says every few seconds how it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.types.json import Jsonb

from sinks.database import Connection
from sinks.statements import statement

__all__ = ["ALIVE_SECONDS", "Problem", "Process", "ProcessState", "Sign", "beat", "list_processes"]

ALIVE_SECONDS = 30.0
"""A process not heard of for so long is taken for dead. Ten times the pause between two signs of life."""

ProcessState = Literal["starting", "running", "stopped"]


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a process from its work. ``kind``: one word, a key of daemon.ops.advice; ``detail``: for people."""

    kind: str
    detail: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Process:
    """One process. ``name`` is unique on its host, ``role`` says what it does."""

    host: str
    pid: int
    name: str
    role: str
    state: ProcessState
    problems: tuple[Problem, ...]
    started_at: datetime
    seen_at: datetime
    alive: bool


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign of life, as a process gives it."""

    pid: int
    name: str
    role: str
    state: ProcessState
    problems: tuple[Problem, ...]
    started_at: datetime


def beat(connection: Connection, host: str, signs: Sequence[Sign]) -> None:
    """Write signs of life of processes of one host."""
    connection.execute(
        statement("processes", "beat"),
        {
            "host": host,
            "pids": [each.pid for each in signs],
            "names": [each.name for each in signs],
            "roles": [each.role for each in signs],
            "states": [each.state for each in signs],
            "problems": [Jsonb([_plain(problem) for problem in each.problems]) for each in signs],
            "started": [each.started_at for each in signs],
        },
    )


def list_processes(connection: Connection) -> list[Process]:
    """Return the processes that have not stopped in good order."""
    rows = connection.execute(statement("processes", "list"), [ALIVE_SECONDS]).fetchall()
    return [
        Process(host, pid, name, role, state, tuple(_problem(each) for each in problems), started_at, seen_at, alive)
        for host, pid, name, role, state, problems, started_at, seen_at, alive in rows
    ]


def _plain(problem: Problem) -> dict[str, str]:
    # PostgreSQL's JSON holds no NUL, and what a service answers may.
    detail = problem.detail.replace("\0", "")
    return {"kind": problem.kind, "detail": detail, "since": problem.since.isoformat()}


def _problem(plain: dict[str, str]) -> Problem:
    return Problem(plain["kind"], plain["detail"], datetime.fromisoformat(plain["since"]))
