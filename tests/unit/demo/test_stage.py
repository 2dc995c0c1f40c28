import subprocess
import sys
from pathlib import Path

import pytest

from daemon.demo.stage import working_directory


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "state" / "demo-1"


def test_the_directory_is_gone_afterwards_and_its_parent_too(place: Path) -> None:
    with working_directory(place, keep=False):
        (place / "data").mkdir()
    assert not place.parent.exists()


def test_it_is_gone_after_a_failure(place: Path) -> None:
    with pytest.raises(ValueError, match="no"), working_directory(place, keep=False):
        raise ValueError("no")
    assert not place.exists()


def test_it_stays_when_asked_to(place: Path) -> None:
    with working_directory(place, keep=True):
        (place / "file").touch()
    assert (place / "file").exists()


def test_what_a_killed_demo_left_is_removed_and_nothing_else(place: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, running, kept = (place.parent / name for name in (f"demo-{ended.pid}", "demo-1", "demo-kept-20260101-000000"))
    for directory in (left, running, kept):
        directory.mkdir(parents=True)
    with working_directory(place.parent / "demo-2", keep=False):
        assert not left.exists()
    assert running.exists()
    assert kept.exists()
