"""Detectors of other libraries as monitors, by name."""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from daemon.settings.section import Names, Section
from detectors.adapters.kinds import BACKEND, KINDS, fault_of_arguments
from detectors.adapters.watch import Adapter
from detectors.raw import is_truth

__all__ = ["MonitorSettings"]

_BACKENDS = {"tensorflow": ("tensorflow_probability", "strandline[alibi-tensorflow]"), "pytorch": ("torch", "torch")}
"""What some detectors of alibi-detect compute with: the module they need, and what installs it."""


class MonitorSettings(Section):
    """A detector of another library that watches values of the bounded sample of each window."""

    kind: str
    on: Annotated[str, Field(min_length=1)] | Annotated[Names, Field(min_length=1)]
    args: Annotated[Mapping[str, object], Field(validate_default=True)] = {}
    model: Annotated[str, Field(min_length=1)] = "*"
    threshold: Annotated[float | None, Field(validate_default=True)] = None
    name: str = ""

    @property
    def values(self) -> tuple[str, ...]:
        """What it watches."""
        return _several(self.on)

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name or f"{self.kind} on {', '.join(self.values)}"

    def adapter(self) -> Adapter:
        """Return the monitor."""
        threshold = math.inf if self.threshold is None else self.threshold
        return Adapter(self.title, self.kind, self.values, self.args, threshold)

    @field_validator("kind")
    @classmethod
    def _kind_is_known_and_installed(cls, name: str) -> str:
        kind = KINDS.get(name)
        if kind is None:
            near = get_close_matches(name, KINDS, 1)
            message = f"expected one of {', '.join(KINDS)}" + (f"; did you mean {near[0]}?" if near else "")
            raise ValueError(message)
        if find_spec(kind.library) is None:
            message = f"it needs a library that is not installed: pip install 'strandline[{kind.extra}]'"
            raise ValueError(message)
        return name

    @field_validator("on")
    @classmethod
    def _kind_can_watch_it(cls, on: str | tuple[str, ...], others: ValidationInfo) -> str | tuple[str, ...]:
        kind = KINDS.get(others.data.get("kind", ""))
        if kind is not None and kind.single and len(_several(on)) > 1:
            raise ValueError(f"{kind.name} watches one value: expected a text, not a list")
        if kind is not None and kind.truths and not all(map(is_truth, _several(on))):
            message = f'{kind.name} watches what is true or false: expected "PATH=VALUE", such as "prediction=cat"'
            raise ValueError(message)
        return on

    @field_validator("args")
    @classmethod
    def _kind_takes_them(cls, args: Mapping[str, object], others: ValidationInfo) -> Mapping[str, object]:
        kind = KINDS.get(others.data.get("kind", ""))
        fault = None if kind is None else fault_of_arguments(kind, args)
        if fault is not None:
            name, message = fault
            near = get_close_matches(name, () if kind is None else kind.arguments, 1)
            hint = f"; did you mean {near[0]}?" if near and near != [name] else ""
            raise ValueError(f"{name}: {message}{hint}")
        if kind is not None and BACKEND in kind.arguments:
            backend = args.get(BACKEND, "tensorflow")
            if backend not in _BACKENDS:
                raise ValueError(f"{BACKEND}: expected one of {', '.join(_BACKENDS)}, found {backend!r}")
            module, install = _BACKENDS[str(backend)]
            if find_spec(module) is None:
                other = next(name for name in _BACKENDS if name != backend)
                message = f"{kind.name} computes with {module}, which is not installed: pip install '{install}'"
                raise ValueError(f'{message}, or say {BACKEND} = "{other}"')
        return args

    @field_validator("threshold")
    @classmethod
    def _scores_need_one(cls, threshold: float | None, others: ValidationInfo) -> float | None:
        kind = KINDS.get(others.data.get("kind", ""))
        if kind is not None and (kind.family == "score") != (threshold is not None):
            message = "expected a number: the mean score of a window from which it fires"
            raise ValueError(message if threshold is None else f"{kind.name} gives no scores, and takes none")
        return threshold


def _several(on: str | tuple[str, ...]) -> tuple[str, ...]:
    return (on,) if isinstance(on, str) else on
