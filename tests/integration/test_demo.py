"""The demo, as somebody at a terminal meets it: told to the end, and interrupted in every phase."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

COMMAND = [sys.executable, "-m", "daemon", "demo"]
MARK = "Strandline: "
READY = "here comes the traffic"


class Demo:
    """A running demo, its output, and every process it has started."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.state = directory / "state"
        self._output = (directory / "output").open("w+b")
        self._seen: dict[int, psutil.Process] = {}
        # The settings of a daemon in earnest: the demo must not go by them.
        elsewhere = {"STRANDLINE_POSTGRES__URL": "postgresql://127.0.0.1:1/none", "STRANDLINE_INGEST__WORKERS": "0"}
        environment = {**os.environ, **elsewhere, "XDG_STATE_HOME": str(self.state)}
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output, env=environment
        )

    @property
    def output(self) -> str:
        return Path(self._output.name).read_text(errors="replace")

    def wait_for(self, text: str, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < until, self.output
            self.look()

    def look(self) -> None:
        """Note the processes there are."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            self._seen.setdefault(child.pid, child)
        time.sleep(0.05)

    def end(self, seconds: float = 30) -> int:
        try:
            return self.process.wait(seconds)
        finally:
            self.process.kill()
            self.process.wait()

    def left(self) -> list[str]:
        """Return what is left of it: processes and files."""
        # Guards end a moment after what they guard.
        _, alive = psutil.wait_procs(list(self._seen.values()), timeout=3)
        processes = [str(process) for process in alive]
        return processes + [str(path) for path in self.state.rglob("*") if path.is_file()]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._output.close()


@pytest.mark.slow
def test_the_story_is_told_noticed_and_leaves_nothing(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--exit", "--seed", "4")
    try:
        demo.wait_for(READY)
        began = time.monotonic()
        while demo.process.poll() is None and time.monotonic() < began + 120:
            demo.look() if psutil.pid_exists(demo.process.pid) else None
        assert demo.end() == 0, demo.output
        assert "both changes were noticed, and nothing fired before the first" in demo.output
        assert "\x1b" not in demo.output
        assert "queue next" in demo.output
        assert not demo.left()
        assert not demo.state.exists() or not any(demo.state.iterdir())
    finally:
        demo.close()


@pytest.mark.parametrize(
    ("number", "text", "more"),
    [
        (signal.SIGINT, MARK, 0.0),
        (signal.SIGINT, MARK, 0.6),
        (signal.SIGINT, "the tables are made", 0.0),
        (signal.SIGINT, "has learnt nine", 0.5),
        (signal.SIGINT, READY, 0.0),
        (signal.SIGINT, READY, 3.0),
        (signal.SIGTERM, MARK, 1.5),
        (signal.SIGTERM, READY, 1.0),
    ],
)
@pytest.mark.slow
def test_interrupted_it_leaves_nothing(tmp_path: Path, number: int, text: str, more: float) -> None:
    demo = Demo(tmp_path)
    try:
        demo.wait_for(text)
        until = time.monotonic() + more
        while time.monotonic() < until:
            demo.look()
        demo.look()
        demo.process.send_signal(number)
        assert demo.end() == 130, demo.output
        assert "Traceback" not in demo.output
        assert not demo.left()
        assert not demo.state.exists() or not any(demo.state.iterdir())
    finally:
        demo.close()


@pytest.mark.slow
def test_ctrl_c_twice_in_a_terminal_is_not_worse_than_once(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    try:
        demo.wait_for(MARK)
        demo.look()
        demo.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        demo.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        if demo.process.poll() is None:
            demo.process.send_signal(signal.SIGINT)
        assert demo.end() == 130, demo.output
        assert "Traceback" not in demo.output
        assert not demo.left()
    finally:
        demo.close()


@pytest.mark.slow
def test_a_killed_demo_takes_its_processes_along_and_the_next_one_its_files(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    try:
        demo.wait_for(READY)
        demo.look()
        demo.process.kill()
        demo.end()
        _, alive = psutil.wait_procs(list(demo._seen.values()), timeout=15)
        assert not alive
    finally:
        demo.close()
    following = Demo(tmp_path)
    try:
        following.wait_for("the tables are made")
        following.look()
        following.process.send_signal(signal.SIGINT)
        assert following.end() == 130
        assert not following.left()
    finally:
        following.close()


def test_a_demo_without_its_extra_says_what_to_install(tmp_path: Path) -> None:
    hidden = (
        "import importlib.util as u; found = u.find_spec; "
        "u.find_spec = lambda name, *rest: None if name == 'sklearn' else found(name, *rest); "
    )
    ended = subprocess.run(
        [sys.executable, "-c", hidden + "from daemon.__main__ import main; main()", "demo"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
    )
    assert ended.returncode == 1
    assert "pip install 'strandline[demo]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_terminal_gets_the_live_screen_back_as_it_was(tmp_path: Path) -> None:
    """On a pseudo-terminal: the alternate screen is entered, and left when it is interrupted."""
    main, side = pty.openpty()
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "TERM": "xterm-256color"}
    environment |= {"COLUMNS": "100", "LINES": "30"}
    process = subprocess.Popen(COMMAND, stdin=side, stdout=side, stderr=side, env=environment, start_new_session=True)
    os.close(side)
    shown = b""
    sent = False
    try:
        while True:
            try:
                shown += os.read(main, 65_536)
            except OSError:
                break
            if b"Mean confidence" in shown and not sent:
                process.send_signal(signal.SIGINT)
                sent = True
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
        os.close(main)
    assert b"\x1b[?1049h" in shown
    assert shown.rindex(b"\x1b[?1049l") > shown.rindex(b"\x1b[?1049h")
    assert b"Traceback" not in shown
