"""The settings in force, one by one: value and origin, secrets masked."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from pydantic import SecretStr

from daemon.settings.schema import KeyPath, dotted, find, table_of, value_at
from daemon.settings.secret import ENVIRONMENT, FILE
from daemon.settings.sources import Sources
from daemon.settings.whole import Settings

__all__ = ["DEFAULT", "Setting", "as_toml", "effective"]

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Setting:
    """A key and what is in force for it: a plain value, asterisks for a secret, and where that comes from."""

    path: KeyPath
    value: object
    origin: str


def effective(settings: Settings, sources: Sources) -> list[Setting]:
    """Return everything in force; of models all that holds for ``"*"``, and what was set for others."""
    # As JSON, so that secrets are asterisks.
    # An empty list of tables has no header to stand under.
    whole = settings.model_dump(mode="json", exclude={"model"} if settings.monitor else {"model", "monitor"})
    models = {"*": settings.of("*").model_dump(mode="json")}
    for name, own in settings.model.items():
        if name != "*":
            models[name] = own.model_dump(mode="json", exclude_unset=True)
    return [Setting(path, value, _origin(path, sources)) for path, value in _leaves({**whole, "model": models}) if path]


def as_toml(settings: Sequence[Setting]) -> Iterator[str]:
    """Return the lines of a TOML file that says the same, with the origins as comments."""
    for table, inside in groupby(settings, key=lambda each: table_of(each.path)):
        rows = [(f"{dotted(each.path[len(table) :])} = {_toml(each.value)}", each.origin) for each in inside]
        width = max(len(text) for text, _ in rows)
        yield ""
        names = dotted([step for step in table if isinstance(step, str)])
        yield f"[[{names}]]" if isinstance(table[-1], int) else f"[{names}]"
        yield from (f"{text:{width}}  # {origin}" for text, origin in rows)


def _leaves(value: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, object]]:
    if isinstance(value, dict) and value:
        for key, inside in value.items():
            yield from _leaves(inside, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for position, inside in enumerate(value):
            yield from _leaves(inside, (*path, position))
    else:
        yield path, value


def _origin(path: KeyPath, sources: Sources) -> str:
    *table, key = path
    in_file = (*table, f"{key}{FILE}")
    if (file := value_at(sources.table, in_file)) is not None:
        return f"{sources.place(in_file)}, {in_file[-1]} = {json.dumps(file)}"
    given = value_at(sources.table, path)
    if given is None:
        return DEFAULT
    _, _, field = find(Settings, path)
    from_environment = (
        field is not None and field.annotation is SecretStr and isinstance(given, str) and given.startswith(ENVIRONMENT)
    )
    return f"{sources.place(path)}" + (f', "{given}"' if from_environment else "")


def _toml(value: object) -> str:
    # What JSON and TOML write alike: texts, numbers, truth, and lists of them.
    return json.dumps(value, ensure_ascii=False)
