"""Which detectors of other libraries there are: their names, arguments, and how what they remember is kept.

A table, so that a configuration can be checked without importing libraries that take seconds to load.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

__all__ = ["BACKEND", "KINDS", "SEED", "Kind", "fault_of_arguments"]

Argument = type[bool] | type[int] | type[float] | type[str] | type[list[object]] | type[Mapping[str, object]]
SEED = "seed"
BACKEND = "backend"
"""The argument that tells what computes, of those that need PyTorch or TensorFlow."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A detector: where it is, what it watches, and what may be said to it.

    ``module`` and ``name``: where its class is. ``family``: how it is run. ``arguments``: by name, those that a
    configuration may give; ``seed`` is always given, 0 unless the configuration says otherwise. ``required``: of
    these, those that it must give. ``simulated``: how many streams the thresholds come from unless it says otherwise.
    ``memory``: "attributes" where what it remembers is plain numbers, which are stored; "history" where it is not, or
    is larger than the values are, so that the detector is made anew from the last values it was fed each time.
    ``truths``: only for what is 0 or 1. ``single``: only for one value, not for several together.
    """

    module: str
    name: str
    family: Literal["drift", "score", "test", "online"]
    memory: Literal["attributes", "history"]
    arguments: Mapping[str, Argument] = field(default_factory=lambda: MappingProxyType({}))
    truths: bool = False
    single: bool = True
    required: tuple[str, ...] = ()
    simulated: int = 0

    @property
    def compares(self) -> bool:
        """Whether it compares with a reference, and has to learn that first."""
        return self.family in {"test", "online"}

    @property
    def library(self) -> str:
        """The package that is imported."""
        return self.module.partition(".")[0]

    @property
    def extra(self) -> str:
        """The extra that installs it."""
        return self.library.removesuffix("_detect")


_HOEFFDING: Mapping[str, Argument] = {
    "drift_confidence": float,
    "warning_confidence": float,
    "two_sided_test": bool,
}

_ALIBI = "alibi_detect.cd"
_TESTS: Mapping[str, Argument] = {"p_val": float, "correction": str}
_ONLINE: Mapping[str, Argument] = {"ert": float, "n_bootstraps": int, SEED: int}
_KERNEL: Mapping[str, Argument] = {BACKEND: str, "sigma": float, SEED: int}
_LSDD: Mapping[str, Argument] = {"n_kernel_centers": int, "lambda_rd_max": float}
_ONE_WINDOW, _WINDOWS = ("ert", "window_size"), ("ert", "window_sizes")

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "river.ADWIN": Kind(
            "river.drift",
            "ADWIN",
            "drift",
            "history",
            {"delta": float, "clock": int, "max_buckets": int, "min_window_length": int, "grace_period": int},
        ),
        "river.KSWIN": Kind(
            "river.drift",
            "KSWIN",
            "drift",
            "attributes",
            {"alpha": float, "window_size": int, "stat_size": int, "seed": int},
        ),
        "river.PageHinkley": Kind(
            "river.drift",
            "PageHinkley",
            "drift",
            "attributes",
            {"min_instances": int, "delta": float, "threshold": float, "alpha": float, "mode": str},
        ),
        "river.DDM": Kind(
            "river.drift.binary",
            "DDM",
            "drift",
            "attributes",
            {"warm_start": int, "warning_threshold": float, "drift_threshold": float},
            truths=True,
        ),
        "river.EDDM": Kind(
            "river.drift.binary",
            "EDDM",
            "drift",
            "attributes",
            {"warm_start": int, "alpha": float, "beta": float},
            truths=True,
        ),
        "river.FHDDM": Kind(
            "river.drift.binary",
            "FHDDM",
            "drift",
            "attributes",
            {"sliding_window_size": int, "confidence_level": float, "short_window_size": int},
            truths=True,
        ),
        "river.HDDMA": Kind("river.drift.binary", "HDDMA", "drift", "attributes", _HOEFFDING, truths=True),
        "river.HDDMW": Kind(
            "river.drift.binary", "HDDMW", "drift", "history", {**_HOEFFDING, "lambda_val": float}, truths=True
        ),
        "river.HalfSpaceTrees": Kind(
            "river.anomaly",
            "HalfSpaceTrees",
            "score",
            "history",
            {"n_trees": int, "height": int, "window_size": int, "limits": dict, "seed": int},
            single=False,
        ),
        "river.StandardAbsoluteDeviation": Kind("river.anomaly", "StandardAbsoluteDeviation", "score", "attributes"),
        "alibi.KSDrift": Kind(_ALIBI, "KSDrift", "test", "history", {**_TESTS, "alternative": str}, single=False),
        "alibi.CVMDrift": Kind(_ALIBI, "CVMDrift", "test", "history", _TESTS, single=False),
        "alibi.ChiSquareDrift": Kind(_ALIBI, "ChiSquareDrift", "test", "history", _TESTS, truths=True, single=False),
        "alibi.FETDrift": Kind(
            _ALIBI, "FETDrift", "test", "history", {**_TESTS, "alternative": str}, truths=True, single=False
        ),
        "alibi.MMDDrift": Kind(
            _ALIBI, "MMDDrift", "test", "history", {**_KERNEL, "p_val": float, "n_permutations": int}, single=False
        ),
        "alibi.LSDDDrift": Kind(
            _ALIBI,
            "LSDDDrift",
            "test",
            "history",
            {**_KERNEL, **_LSDD, "p_val": float, "n_permutations": int},
            single=False,
        ),
        "alibi.CVMDriftOnline": Kind(
            _ALIBI,
            "CVMDriftOnline",
            "online",
            "history",
            {**_ONLINE, "window_sizes": list},
            single=False,
            required=_WINDOWS,
            simulated=10_000,
        ),
        "alibi.FETDriftOnline": Kind(
            _ALIBI,
            "FETDriftOnline",
            "online",
            "history",
            {**_ONLINE, "window_sizes": list, "alternative": str, "lam": float},
            truths=True,
            single=False,
            required=_WINDOWS,
            simulated=10_000,
        ),
        "alibi.MMDDriftOnline": Kind(
            _ALIBI,
            "MMDDriftOnline",
            "online",
            "history",
            {**_ONLINE, **_KERNEL, "window_size": int},
            single=False,
            required=_ONE_WINDOW,
            simulated=1_000,
        ),
        "alibi.LSDDDriftOnline": Kind(
            _ALIBI,
            "LSDDDriftOnline",
            "online",
            "history",
            {**_ONLINE, **_KERNEL, **_LSDD, "window_size": int},
            single=False,
            required=_ONE_WINDOW,
            simulated=1_000,
        ),
    }
)
"""By the name that a configuration gives."""

_WORDS: Mapping[Argument, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list of whole numbers",
    dict: "a table",
}


def fault_of_arguments(kind: Kind, given: Mapping[str, object]) -> tuple[str, str] | None:
    """Return the first argument that the kind does not take, or misses, with what was expected; None if all fit."""
    for name, value in given.items():
        wanted = kind.arguments.get(name)
        if wanted is None:
            return name, f"there is no such argument; {kind.name} takes {', '.join(sorted(kind.arguments)) or 'none'}"
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = is_number if wanted is float else type(value) is wanted
        if wanted is list:
            fits = isinstance(value, list) and bool(value) and all(type(each) is int for each in value)
        if not fits:
            return name, f"expected {_WORDS[wanted]}, found {value!r}"
    for name in kind.required:
        if name not in given:
            return name, f"{kind.name} has none of its own: expected {_WORDS[kind.arguments[name]]}"
    return None
