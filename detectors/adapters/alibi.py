"""How detectors of ``alibi_detect`` are made and fed: on a reference, and with chance that is the same in every run."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.adapters.kinds import BACKEND, SEED, Kind
from detectors.adapters.memory import Memory, Values

__all__ = ["REFERENCE", "given", "is_ready", "learnt", "made", "seeded"]

REFERENCE = 1024
"""Events with which later ones are compared: the first of the sample."""


def is_ready(memory: Memory) -> bool:
    """Tell whether the reference is complete."""
    return len(memory[1]) >= REFERENCE


def learnt(memory: Memory, values: Values) -> Memory:
    """Return the memory with ``values`` [events, values] added to the reference."""
    reference = memory[1]
    return None, np.concatenate([reference, values])[:REFERENCE] if len(reference) else values[:REFERENCE]


def made(kind: Kind, arguments: Mapping[str, object], reference: Values) -> Any:
    """Return a new detector of that kind on a ``reference`` [events, values].

    Raises
    ------
    ImportError
        Its library is not installed, or what that computes with.
    ValueError, TypeError
        It does not take these arguments, or this reference; the library says why. Or it measures by the median
        distance of the reference's events, and that is 0: it would be blind, and say nothing.
    """
    maker = getattr(import_module(kind.module), kind.name)
    options = {name: value for name, value in arguments.items() if name != SEED}
    if "sigma" in kind.arguments and "sigma" not in options:
        same = np.unique(reference, axis=0, return_counts=True)[1].astype(np.float64)
        if 2.0 * (same**2).sum() > len(reference) ** 2:
            raise ValueError("most pairs of the reference's events are the same: say what sigma is")
    if "sigma" in options:
        options["sigma"] = np.array([options["sigma"]], dtype=np.float32)
    if kind.family == "online":
        options["verbose"] = False
    with seeded(arguments):
        return maker(given(kind, reference), **options)


def given(kind: Kind, values: Values) -> NDArray[np.floating[Any]]:
    """Return values as a detector wants them: in single precision where PyTorch or TensorFlow compute."""
    return values.astype(np.float32) if BACKEND in kind.arguments else values


@contextmanager
def seeded(arguments: Mapping[str, object]) -> Iterator[None]:
    """Seed the generators that a whole process shares, from which the library draws; 0 unless ``arguments`` say.

    Those of numpy and PyTorch are afterwards as they were. TensorFlow's cannot be read, and nobody else here uses it.
    """
    seed = int(str(arguments.get(SEED, 0)))
    # Only where the library has loaded them.
    torch, tensorflow = sys.modules.get("torch"), sys.modules.get("tensorflow")
    numpys = np.random.get_state()  # noqa: NPY002 - the library draws from no other
    torchs = None if torch is None else torch.get_rng_state()
    try:
        np.random.seed(seed)  # noqa: NPY002
        if torch is not None:
            torch.manual_seed(seed)
        if tensorflow is not None:
            tensorflow.random.set_seed(seed)
        yield
    finally:
        np.random.set_state(numpys)  # noqa: NPY002
        if torch is not None:
            torch.set_rng_state(torchs)
