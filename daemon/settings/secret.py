"""Secrets: values that come from a file or the environment if they shall not stand in the configuration.

Where a section declares ``token: SecretStr = SecretStr("")``, people may write

- ``token = "…"``: the secret itself,
- ``token = "env:NAME"``: what the environment variable ``NAME`` holds,
- ``token_file = "/run/secrets/token"``: what that file holds, without the end of its last line.

A SecretStr shows as asterisks wherever it is printed or dumped; only ``get_secret_value()`` tells it. Those who hand
settings to another process pickle them: JSON would lose the secrets.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ENVIRONMENT", "FILE", "reveal", "with_files"]

FILE = "_file"
"""What is put behind the key of a secret to name a file that holds it."""
ENVIRONMENT = "env:"
"""What is put before the name of an environment variable that holds a secret."""


@dataclass(frozen=True, slots=True)
class _InFile:
    """A secret that is to be read; ``twice``: it is also given by itself."""

    path: object
    twice: bool


def with_files(table: Mapping[str, object], secrets: Iterable[str]) -> dict[str, object]:
    """Return ``table`` with each ``<secret>_file`` in the place of its secret, for :func:`reveal` to read."""
    found = dict(table)
    for name in secrets:
        if name + FILE in found:
            found[name] = _InFile(found.pop(name + FILE), twice=name in table)
    return found


def reveal(given: object) -> object:
    """Return the secret itself, from wherever it is.

    Raises
    ------
    ValueError
        It is not there; the message holds what was expected, and nothing that could be a secret.
    """
    if isinstance(given, _InFile):
        return _read(given)
    if isinstance(given, str) and given.startswith(ENVIRONMENT):
        name = given.removeprefix(ENVIRONMENT)
        found = os.environ.get(name, "")
        if not found:
            raise ValueError(f"expected a secret in the environment variable {name}, which is empty or not set")
        return found
    return given


def _read(source: _InFile) -> str:
    if source.twice:
        raise ValueError("expected the secret or the file that holds it, not both")
    try:
        content = Path(str(source.path)).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"expected a file that holds the secret: {error.strerror}") from None
    except ValueError:
        raise ValueError("expected a file that holds the secret: this one is not UTF-8 text") from None
    secret = content.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise ValueError("expected a file that holds the secret: this one is empty")
    return secret
