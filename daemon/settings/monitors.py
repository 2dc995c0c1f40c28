"""Detectors of other libraries as monitors, by name."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from daemon.settings.section import Section
from detectors.adapters.kinds import KINDS, fault_of_arguments
from detectors.raw import is_truth

__all__ = ["MonitorSettings"]


class MonitorSettings(Section):
    """A detector of another library that watches one value of the bounded sample of each window."""

    kind: str
    on: Annotated[str, Field(min_length=1)]
    args: Annotated[Mapping[str, object], Field(validate_default=True)] = {}
    model: Annotated[str, Field(min_length=1)] = "*"
    name: str = ""

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name or f"{self.kind} on {self.on}"

    @field_validator("kind")
    @classmethod
    def _kind_is_known_and_installed(cls, name: str) -> str:
        kind = KINDS.get(name)
        if kind is None:
            near = get_close_matches(name, KINDS, 1)
            message = f"expected one of {', '.join(KINDS)}" + (f"; did you mean {near[0]}?" if near else "")
            raise ValueError(message)
        if find_spec(kind.library) is None:
            message = f"it needs a library that is not installed: pip install 'strandline[{kind.library}]'"
            raise ValueError(message)
        return name

    @field_validator("on")
    @classmethod
    def _kind_can_watch_it(cls, on: str, others: ValidationInfo) -> str:
        kind = KINDS.get(others.data.get("kind", ""))
        if kind is not None and kind.truths and not is_truth(on):
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
        return args
