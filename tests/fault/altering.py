"""What several scenarios do to a trial beyond its own means: its configuration, and topics besides its own."""

import json
import subprocess
import sys
from collections.abc import Iterable

from tests.fault.trial import NotHeld, Trial
from tests.services import ROOT

__all__ = ["also_read", "alter", "event", "strandline"]


def alter(trial: Trial, *changes: tuple[str, str]) -> None:
    """Replace lines of the configuration, given as (before, after), for the processes that are started from here on."""
    for path in (trial.config, trial.directory / "direct.toml"):
        text = path.read_text()
        for before, after in changes:
            if before not in text:
                raise ValueError(f"the configuration has no {before!r}")
            text = text.replace(before, after)
        path.write_text(text)


def also_read(trial: Trial, topics: Iterable[str]) -> None:
    """Have these topics read, too."""
    more = "".join(f', "{topic}"' for topic in topics)
    alter(trial, (f'topics = ["{trial.topic}"]', f'topics = ["{trial.topic}"{more}]'))


def event(name: str, second: float, model: str, **fields: object) -> bytes:
    """Return an event that happens at ``second``, seconds since 1970."""
    plain = {"id": name, "time": second, "model": model, "version": "1", "prediction": "a", "confidence": 0.9}
    return json.dumps({**plain, **fields}).encode()


def strandline(trial: Trial, *words: str) -> str:
    """Run a command as an operator does, and return what it printed."""
    command = [sys.executable, "-m", "daemon", "--config", str(trial.config), *words]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if told.returncode != 0:
        raise NotHeld(f"strandline {' '.join(words)}: exit code {told.returncode}\n{told.stdout}{told.stderr}")
    return told.stdout
