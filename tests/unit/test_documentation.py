"""The documentation names nothing that does not exist: commands, options, keys, variables, metrics, files, links."""

import re
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from daemon.cli.main import app
from daemon.kafka_clients import KafkaUnavailable
from daemon.settings import CONFIG_VARIABLE, Settings, Sources, load, validate
from daemon.settings.schema import dotted, keys_of
from daemon.settings.sources import lay_environment
from sinks.errors import StrandlineError
from sinks.metrics import told
from tests.documents import PAGES, blocks, commands, prose, spans
from tests.services import ROOT

CLI = typer.main.get_command(app)
README = ROOT / "README.md"
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def options(command: Any) -> set[str]:
    return {name for each in command.params for name in each.opts if name.startswith("-")} | {"--help", "-h"}


def every_command(group: Any = CLI) -> Iterator[Any]:
    yield group
    for each in getattr(group, "commands", {}).values():
        yield from every_command(each)


# Those of the benchmarks are no commands of ours.
EVERY_OPTION = {"--quick", "--only", "--data"}.union(*(options(each) for each in every_command()))


@pages
def test_commands_and_their_options_exist(page: Path) -> None:
    for command in commands(page):
        if command.words[0] != "strandline":
            continue
        found, known = CLI, options(CLI)
        for word in command.without_config()[1:]:
            if word.startswith("-"):
                assert word in known, f"{command}: there is no {word}"
            elif isinstance(found, TyperGroup):
                assert word in found.commands, f"{command}: there is no {word}"
                found = found.commands[word]
                known |= options(found)


@pages
def test_options_in_the_text_exist(page: Path) -> None:
    for line, span in spans(page):
        if span.startswith("--"):
            assert span.split()[0] in EVERY_OPTION, f"{page.name}:{line}: {span}"


SECTIONS = "|".join(set(Settings.model_fields) - {"model"})
KEYS = {dotted(path) for path, _ in keys_of(Settings)}
NO_KEY = (".md", ".py", ".toml", ".sql", "kafka.net.manager")
LOGGED = {
    name
    for path in (ROOT / "daemon").rglob("*.py")
    for name in re.findall(r'log\.\w+\(\s*"(\w+\.\w+)"', path.read_text(encoding="utf-8"))
}
"""What the log's lines are called."""


@pages
def test_keys_of_the_configuration_exist(page: Path) -> None:
    for line, span in spans(page):
        for key in re.findall(rf"(?<![\w./-])(?:{SECTIONS})\.[a-z_.]+", span):
            name = key.rstrip(".")
            if name.endswith(NO_KEY) or name in LOGGED:
                continue
            assert any(known == name or known.startswith(f"{name}.") for known in KEYS), f"{page.name}:{line}: {span}"


@pages
def test_blocks_of_the_configuration_are_valid(page: Path) -> None:
    for block in blocks(page):
        if block.language == "toml" and block.text.startswith("["):
            validate(Sources(tomllib.loads(block.text)))


@pages
def test_variables_exist(page: Path) -> None:
    for name in re.findall(r"\bSTRANDLINE_[A-Z][A-Z_]*", page.read_text()):
        sources = Sources()
        lay_environment(sources, Settings, {name: "1"})
        assert name == CONFIG_VARIABLE or not sources.faults, f"{page.name}: {name}"


@pages
def test_examples_of_variables_are_valid(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER_URL", "https://pager.example")
    for block in blocks(page):
        given = dict(re.findall(r"^(STRANDLINE_\w+)=('[^']*'|\S*)", block.text, re.MULTILINE))
        if given:
            load(None, {name: text.strip("'") for name, text in given.items()})


ROLE = "strandline_daemon"
SERIES = {each.name for each in told()}


@pages
def test_metrics_exist(page: Path) -> None:
    for name in re.findall(r"\bstrandline_[a-z_]+", page.read_text()):
        assert name == ROLE or re.sub(r"_(bucket|count|sum)$", "", name) in SERIES, f"{page.name}: {name}"


def headings(page: Path) -> set[str]:
    """Return what the page's headings are as the end of a link."""
    titles = (line.lstrip("#").strip() for _, line in prose(page) if line.startswith("#"))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for line, text in prose(page):
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            place = (page.parent / name).resolve() if name else page
            assert place.exists(), f"{page.name}:{line}: {target}"
            assert not anchor or anchor in headings(place), f"{page.name}:{line}: {target}"


@pages
def test_files_exist(page: Path) -> None:
    for line, span in spans(page):
        if re.fullmatch(r"(daemon|detectors|sinks|tests|docs|benchmarks|requirements)/[\w./-]+", span):
            assert (ROOT / span).exists(), f"{page.name}:{line}: {span}"


def test_advice_in_the_program_leads_somewhere() -> None:
    texts = (each.read_text() for folder in ("daemon", "sinks") for each in (ROOT / folder).rglob("*.py"))
    found = re.findall(r"(docs/\w+\.md)(?:#([\w-]+))?", "\n".join(texts))
    assert ("docs/operations.md", "a-partition-is-stopped") in found
    for name, anchor in found:
        assert (ROOT / name).exists(), name
        assert not anchor or anchor in headings(ROOT / name), f"{name}#{anchor}"


def errors(root: type[StrandlineError] = StrandlineError) -> Iterator[type[StrandlineError]]:
    yield root
    for each in root.__subclasses__():
        yield from errors(each)


def test_the_readme_has_every_exit_code() -> None:
    codes = {each.exit_code for each in errors()} | {0, 130}
    assert KafkaUnavailable.exit_code in codes
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", README.read_text(), re.MULTILINE)} == codes


def test_the_readme_has_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    names = {re.split(r"[\[><=]", each)[0] for each in wanted}
    assert set(re.findall(r"^\| ([a-z-]+) \| \d+ \|", README.read_text(), re.MULTILINE)) == names
