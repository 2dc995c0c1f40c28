"""Where settings come from: one file, and over it the environment. Each value keeps its place."""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from daemon.settings.lines import lines_of
from daemon.settings.model import ModelSettings
from daemon.settings.schema import KeyPath, is_text, keys_of
from daemon.settings.secret import FILE
from daemon.settings.section import Section
from sinks.errors import BadSettings

__all__ = ["CONFIG_VARIABLE", "PREFIX", "Sources", "lay_environment", "lay_option", "read_file"]

PREFIX = "STRANDLINE_"
CONFIG_VARIABLE = "STRANDLINE_CONFIG"
_MODEL = "STRANDLINE_MODEL__"
# What Kubernetes sets for a service whose name begins with "strandline".
_SERVICE = re.compile(r"STRANDLINE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=.*")
_SERVICE_PORT = re.compile(r"STRANDLINE_(\w+_)?PORT=(tcp|udp|sctp)://.*")
_DECODE_PLACE = re.compile(r"^(.*) \(at (?:line (\d+), column \d+|end of document)\)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sources:
    """What was given: the merged table, the place of each key in it, and what could not be laid into it."""

    table: dict[str, object] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def place(self, path: KeyPath) -> str | None:
        """Return where ``path``, or the nearest table around it, was given; None if nowhere."""
        return next((self.places[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.places), None)


def read_file(path: Path | None) -> Sources:
    """Return what the file at ``path`` says; nothing if there is none.

    Raises
    ------
    BadSettings
        It cannot be read, or is not TOML.
    """
    if path is None:
        return Sources()
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except OSError as error:
        raise BadSettings(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadSettings(f"{path}:{line}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        what, line = _split(str(error), text)
        raise BadSettings(f"{path}:{line}: not TOML: {what}") from error
    return Sources(table, {key: f"{path}:{line}" for key, line in lines_of(text).items()})


def lay_environment(sources: Sources, root: type[Section], environment: Mapping[str, str] = os.environ) -> None:
    """Lay what the environment says over ``sources``; a name that is not known becomes a fault there."""
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE or _of_a_service(name, environment[name]):
            continue
        known = _known(root, name, sources.table)
        if name not in known:
            close = get_close_matches(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], 1)
            hint = f"; did you mean {PREFIX}{close[0]}?" if close else ""
            sources.faults.append(f"{name}: there is no such setting{hint}")
            continue
        path, setting = known[name]
        _lay(sources, path, _parse(environment[name], setting), name)


def lay_option(sources: Sources, given: str, option: str) -> None:
    """Lay what an option of the command line says as ``key=value`` over ``sources``: a dotted key as in the file.

    A name of models needs no quotes: ``model.*.false_alarms=1 per day``.
    """
    key, sign, text = given.partition("=")
    path = tuple(_steps(key.strip()))
    if not sign or not path:
        sources.faults.append(f"{option} {given}: expected key=value, such as detection.for_windows=2")
        return
    _lay(sources, path, _value(text.strip()), option)


def _steps(key: str) -> list[str]:
    try:
        table: object = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return [step for step in key.split(".") if step]
    steps = []
    while isinstance(table, dict):
        [(step, table)] = table.items()
        steps.append(step)
    return steps


def _value(text: str) -> object:
    """Return a value as TOML or JSON writes it; else the text as it stands."""
    try:
        found = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        found = {}
    if set(found) == {"value"}:
        return found["value"]
    try:
        return json.loads(text)
    except ValueError:
        # Whoever expects something else will say so.
        return text


def _of_a_service(name: str, value: str) -> bool:
    return any(pattern.fullmatch(f"{name}={value}") for pattern in (_SERVICE, _SERVICE_PORT))


def _known(root: type[Section], name: str, table: Mapping[str, object]) -> dict[str, tuple[KeyPath, FieldInfo | None]]:
    """Return key and field of every variable there is, of models those of "*" and of the one in ``name``.

    What names the file of a secret has no field.
    """
    found: dict[str, tuple[KeyPath, FieldInfo | None]] = {}
    for path, setting in keys_of(root):
        variable = PREFIX + "__".join(str(step).upper() for step in path)
        found[variable] = path, setting
        if setting.annotation is SecretStr:
            found[variable + FILE.upper()] = (*path[:-1], f"{path[-1]}{FILE}"), None
    found.pop(_MODEL.rstrip("_"))
    keys = {"__".join(str(step).upper() for step in path): (path, each) for path, each in keys_of(ModelSettings)}
    rest = name.removeprefix(_MODEL)
    # A name of a model may hold anything, so it is what is left when the key is taken away.
    known = next((key for key in sorted(keys, key=len, reverse=True) if rest.endswith(f"__{key}")), None)
    model = rest.removesuffix(f"__{known}") if known else rest.partition("__")[0]
    for key, (path, each) in keys.items():
        found[_MODEL + key] = ("model", "*", *path), each
        if name.startswith(_MODEL):
            found[f"{_MODEL}{model}__{key}"] = ("model", _model_named(model, table), *path), each
    return found


def _model_named(model: str, table: Mapping[str, object]) -> str:
    """Return the name in ``table`` that ``model`` stands for: variables have neither small letters nor hyphens."""
    models = table.get("model")
    names = models if isinstance(models, dict) else ()
    return next((each for each in names if re.sub(r"[^A-Z0-9]", "_", each.upper()) == model), model.lower())


def _parse(text: str, setting: FieldInfo | None) -> object:
    """Return a value as TOML or JSON writes it; a text may stand as it is, texts with commas between."""
    if setting is None or is_text(setting):
        return text
    if setting.annotation == tuple[str, ...] and not text.lstrip().startswith("["):
        return [each.strip() for each in text.split(",") if each.strip()]
    return _value(text)


def _lay(sources: Sources, path: KeyPath, value: object, variable: str) -> None:
    *tables, key = (str(step) for step in path)
    table: dict[str, object] = sources.table
    for name in tables:
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            # That a value stands where a table has to be is told when it is checked.
            return
        table = inner
    secret = key.removesuffix(FILE)
    for replaced in (key, secret, secret + FILE):
        replaced_path = (*tables, replaced)
        if not sources.places.get(replaced_path, "").startswith(PREFIX):
            table.pop(replaced, None)
            for inside in [each for each in sources.places if each[: len(replaced_path)] == replaced_path]:
                del sources.places[inside]
    table[key] = value
    sources.places[path] = variable


def _split(message: str, text: str) -> tuple[str, int]:
    """Return what tomllib says, and the line it says it of."""
    match = _DECODE_PLACE.match(message)
    if match is None:
        return message, 1
    what, line = match.groups()
    return (what, int(line)) if line else (f"{what}, at the end of the file", len(text.splitlines()))
