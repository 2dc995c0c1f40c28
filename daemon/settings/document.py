"""The page ``docs/configuration.md``, made of ``config.toml`` and the settings' classes.

What a key means is written in one place, the comment behind it in ``config.toml``; what it takes is what its class
checks. ``python -m daemon.settings.document > docs/configuration.md`` makes the page anew.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from inspect import cleandoc
from itertools import groupby

from pydantic import SecretStr

from daemon.settings.lines import lines_of
from daemon.settings.model import ModelSettings
from daemon.settings.schema import KeyPath, dotted, expected, find, section_in, table_of
from daemon.settings.whole import Settings

__all__ = ["Entry", "default_text", "entries", "page"]

# A key that has no default stands in a comment of its own: "# token = …"; so does a table that need not be there.
_WITHOUT_DEFAULT = re.compile(r"^# (?=[a-z_.]+ = |\[\[)", re.MULTILINE)

_INTRODUCTION = """\
# Configuration

<!-- Made of config.toml and the classes in daemon/settings by: python -m daemon.settings.document -->

One TOML file holds it all. Strandline takes the one that `--config` names, else `$STRANDLINE_CONFIG`, else
`./config.toml`, else `strandline/config.toml` in the user's configuration directory. What is left out keeps its
default; [config.toml](../config.toml) shows them all, to be copied. `strandline check` prints what is in force and
where each value comes from, reaches PostgreSQL and Kafka, and warns of what could be a surprise. What is wrong stops
every command with exit code 2, and all of it is told at once:

```
strandline: The configuration is not valid.
  config.toml:7: kafka.topix: there is no such key; did you mean kafka.topics?
  config.toml:12: ingest.commit_seconds = 'often': expected a number of seconds, more than 0, at most 60
  STRANDLINE_INGEST__WORKERS: ingest.workers = 0: expected a whole number, at least 1, at most 1,000
```

## The environment

Every key can be set by a variable, too, which wins over the file: `STRANDLINE_`, the table, two underscores, the key,
all in capitals.

```sh
STRANDLINE_KAFKA__BOOTSTRAP_SERVERS=a:9092,b:9092   # a list of texts: with commas, or as in TOML
STRANDLINE_INGEST__WORKERS=4
STRANDLINE_MODEL__OWNER=ml-platform                 # of all models: [model."*"]
STRANDLINE_MODEL__DIGITS__OWNER=vision              # of the model "digits"
STRANDLINE_ALERTS__ROUTES='[{"name": "pager", "type": "webhook", "url": "env:PAGER_URL"}]'
```

A text stands as it is; anything else is written as in TOML or JSON. Capitals name the model of the file that is
written like it but for case, hyphens and dots (`FRAUD_EU`: `fraud-eu`), else one in small letters. Any other variable
that begins with `STRANDLINE_` is an error, but for those that Kubernetes sets for services.

## Secrets

A secret, called `token` here, can be given in three ways, in the file or by variables:

```toml
token = "…"                           # itself
token = "env:NAME"                    # in the environment variable NAME
token_file = "/run/secrets/token"     # in a file, without the end of its last line
```

`token` and `token_file` together are an error, unless one is in the file and the other in the environment. Secrets are
shown nowhere: not in logs, not in errors, not by `check`. What is a secret, the tables below tell.

## Settings by model

`[model."*"]` holds for all models, `[model."fraud-*"]` for those whose names match (`*`, `?` and `[…]` as in a shell),
`[model.fraud-eu]` for one. They are merged key by key: the name wins over patterns, the longer pattern over the shorter
one; of two as long the later.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key as ``config.toml`` shows it: its value there (None if it has no default), and its comment."""

    path: KeyPath
    default: str | None
    meaning: str


def default_text() -> str:
    """Return the default configuration, with its comments."""
    return resources.files("daemon").joinpath("config.toml").read_text(encoding="utf-8")


def entries(text: str) -> Iterator[Entry]:
    """Yield every key that ``text`` shows, each on a line of its own, also those that stand in a comment."""
    original, shown = text.splitlines(), _WITHOUT_DEFAULT.sub("", text)
    rows = shown.splitlines()
    for path, line in lines_of(shown).items():
        row = rows[line - 1]
        key = row.partition("=")[0].strip()
        if row.startswith("[") or not dotted(path).endswith(f".{key}"):
            continue
        value, comment = _split(row)
        yield Entry(path, value if original[line - 1] == row else None, comment)


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for table, inside in groupby(entries(default_text()), key=lambda entry: table_of(entry.path)):
        rows = "".join(_row(entry, table) for entry in inside)
        parts.append(
            f"## {_title(table)}\n\n{_meaning(table)}\n\n| Key | Default | Takes | Meaning |\n|---|---|---|---|\n{rows}"
        )
    return "\n".join(parts)


def _split(row: str) -> tuple[str, str]:
    """Return value and comment of a line; a "#" may stand in the value, too."""
    for end in (at for at, character in enumerate(row) if character == "#"):
        try:
            tomllib.loads(row[:end])
        except tomllib.TOMLDecodeError:
            continue
        return row[:end].partition("=")[2].strip(), row[end + 1 :].strip()
    return row.partition("=")[2].strip(), ""


def _title(table: KeyPath) -> str:
    if isinstance(table[-1], int):
        return f"`[[{dotted(table[:-1])}]]`"
    return f"`[{dotted(table)}]`"


def _meaning(table: KeyPath) -> str:
    if table[0] == "model":
        return cleandoc(ModelSettings.__doc__ or "")
    _, _, field = find(Settings, table)
    section = None if field is None else section_in(field)
    return cleandoc((section or Settings).__doc__ or "")


def _row(entry: Entry, table: KeyPath) -> str:
    _, _, field = find(Settings, entry.path)
    if field is None:
        raise KeyError(dotted(entry.path))
    takes = "a secret" if field.annotation is SecretStr else expected(entry.path, field)
    default = "" if entry.default is None else f"`{entry.default}`"
    cells = (f"`{dotted(entry.path[len(table) :])}`", default, takes, entry.meaning.removesuffix("; a secret"))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
