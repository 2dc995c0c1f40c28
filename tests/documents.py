"""What the documentation says that a test can hold it to: its commands, its blocks, its names and its links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.services import ROOT

__all__ = ["PAGES", "Block", "Command", "blocks", "commands", "prose", "spans"]

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_SHELL = {"sh", "console"}
_FENCE = "```"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page, with the line that it begins at."""

    page: Path
    line: int
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command as a person would type it, its words without comments."""

    page: Path
    line: int
    words: tuple[str, ...]

    def without_config(self) -> tuple[str, ...]:
        """Return the words without ``--config`` and its file."""
        words = list(self.words)
        if "--config" in words:
            at = words.index("--config")
            del words[at : at + 2]
        return tuple(words)

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}: {shlex.join(self.words)}"


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    start, language = 0, ""
    inside: list[str] | None = None
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if line.startswith(_FENCE):
            if inside is None:
                start, language, inside = number, line.removeprefix(_FENCE), []
            else:
                yield Block(page, start, language, "\n".join(inside))
                inside = None
        elif inside is not None:
            inside.append(line)


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines that stand in no block."""
    outside = True
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if line.startswith(_FENCE):
            outside = not outside
        elif outside:
            yield number, line


def spans(page: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of every piece of code within the prose."""
    for number, line in prose(page):
        for span in re.findall(r"`([^`]+)`", line):
            yield number, span


def commands(page: Path) -> Iterator[Command]:
    """Yield the commands of the shell's blocks, and those of ours that stand in the prose."""
    for block in blocks(page):
        if block.language in _SHELL:
            number = block.line
            for line in block.text.splitlines():
                number += 1
                for part in line.split("&&"):
                    if words := shlex.split(part, comments=True):
                        yield Command(page, number, _plain(words))
    for number, span in spans(page):
        if span.startswith("strandline "):
            yield Command(page, number, _plain(shlex.split(span)))


def _plain(words: list[str]) -> tuple[str, ...]:
    return (Path(words[0]).name if words[0].endswith("/strandline") else words[0], *words[1:])
