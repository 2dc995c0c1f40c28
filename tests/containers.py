"""What the folder docker/ says: the services of compose.yaml, the instructions of the Dockerfile, the unit."""

import json
import shlex
from collections.abc import Mapping
from functools import cache
from typing import Any

from ruamel.yaml import YAML

from tests.services import ROOT

__all__ = [
    "COMPOSE",
    "DOCKER",
    "DOCKERFILE",
    "IN_SERVICE",
    "SECRETS",
    "UNIT",
    "arguments",
    "compose",
    "environment",
    "exec_form",
    "unit",
]

DOCKER = ROOT / "docker"
COMPOSE = DOCKER / "compose.yaml"
DOCKERFILE = DOCKER / "Dockerfile"
UNIT = DOCKER / "strandline.service"
SECRETS = "/run/secrets"
"""Where a container finds its secrets."""
IN_SERVICE = ("migrate", "strandline", "producer")
"""The services that run our image."""


@cache
def compose() -> dict[str, Any]:
    """Return compose.yaml, its anchors and merges resolved."""
    found: dict[str, Any] = YAML(typ="safe").load(COMPOSE)
    return found


def environment(service: str, replaced: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a service, with parts ``replaced``: names that only its network or container knows."""
    found = {}
    for name, value in compose()["services"][service]["environment"].items():
        found[name] = str(value)
        for old, new in replaced.items():
            found[name] = found[name].replace(old, new)
    return found


def arguments(instruction: str) -> list[list[str]]:
    """Return what stands behind each such instruction of the Dockerfile, in words."""
    return [shlex.split(text) for text in _texts(instruction)]


def _texts(instruction: str) -> list[str]:
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    logical = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [line.removeprefix(instruction) for line in logical if line.startswith(f"{instruction} ")]


def exec_form(instruction: str) -> list[str]:
    """Return the command behind the last such instruction of the Dockerfile; HEALTHCHECK's behind its options."""
    command = json.loads(f"[{_texts(instruction)[-1].rpartition('[')[2]}")
    return [str(word) for word in command]


def unit() -> dict[str, list[str]]:
    """Return the directives of the unit: to each its values."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found
