"""The directory in which a supervisor's processes count; what supervisors that were killed left behind is removed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

__all__ = ["counting_directory"]

_PREFIX = "strandline-counts-"
_LOCK = "supervisor.lock"


@contextmanager
def counting_directory() -> Iterator[Path]:
    """Make a directory that lives as long as this process holds it; remove those of processes that are gone."""
    _remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        directory = Path(name)
        new = directory / "new.lock"
        # The kernel takes the lock away when this process ends, however it does. It is there before it has its name,
        # so that nobody finds it free.
        with new.open("w") as lock:
            flock(lock, LOCK_EX)
            new.rename(directory / _LOCK)
            yield directory


def _remove_abandoned(inside: Path) -> None:
    for lock in inside.glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            if lock.parent.stat().st_uid != os.getuid():
                continue
            with lock.open() as held:
                flock(held, LOCK_EX | LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
        except OSError:
            # Somebody holds it, or another one that starts has just removed it.
            continue
