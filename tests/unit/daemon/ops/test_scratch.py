"""The directory that counters are kept in: of a supervisor that was killed nothing stays."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from daemon.ops.scratch import counting_directory

LEAVE_AT_ONCE = """
import os
from daemon.ops.scratch import counting_directory
with counting_directory() as directory:
    (directory / "counter.db").touch()
    os._exit(143)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_what_a_killed_supervisor_left_is_removed_by_the_next_one(temporary: Path) -> None:
    (temporary / "strandline-other").mkdir()
    assert subprocess.run([sys.executable, "-c", LEAVE_AT_ONCE], env={**os.environ}, check=False).returncode == 143
    [left] = temporary.glob("*/counter.db")
    with counting_directory() as directory:
        assert not left.parent.exists()
        assert {each.name for each in temporary.iterdir()} == {directory.name, "strandline-other"}
    assert {each.name for each in temporary.iterdir()} == {"strandline-other"}


def test_what_a_living_supervisor_uses_stays(temporary: Path) -> None:
    with counting_directory() as first, counting_directory() as second:
        assert sorted(temporary.iterdir()) == sorted([first, second])
