"""The demo's model: reads handwritten digits, and was never shown one of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.demo.images import BRIGHTEST, SIDE, jittered

__all__ = ["UNSEEN", "Digits", "train"]

UNSEEN = "8"
"""The digit that training leaves out: without it the model reads most eights as ones, and is unsure of all."""
_COPIES = 8
_PASSES = 15
_HIDDEN = 64


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """A trained model, and the pictures it has not seen.

    ``held_out``: of the digits it knows; ``unseen``: of the one it does not; both [n, SIDE, SIDE].
    """

    classes: tuple[str, ...]
    held_out: NDArray[np.float64]
    unseen: NDArray[np.float64]
    _network: Any

    def probabilities(self, pictures: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each class, [n, classes]."""
        found: NDArray[np.float64] = self._network.predict_proba(_inputs(pictures))
        return found


def train(seed: int) -> Digits:
    """Train a small neural network on half of scikit-learn's digits, in about a second."""
    # Here, not above: scikit-learn takes a second to import, and only the demo has it.
    from sklearn.datasets import load_digits  # noqa: PLC0415
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415

    random = np.random.default_rng(seed)
    pictures, digits = load_digits(return_X_y=True)
    pictures, names = pictures.reshape(-1, SIDE, SIDE), digits.astype(str)
    known = random.permutation(np.flatnonzero(names != UNSEEN))
    half = len(known) // 2
    shown = np.tile(known[:half], _COPIES)
    network = MLPClassifier(
        (_HIDDEN,),
        learning_rate_init=0.01,
        batch_size=128,
        max_iter=_PASSES,
        n_iter_no_change=_PASSES,
        random_state=seed,
    )
    _fit(network, _inputs(jittered(pictures[shown], random)), names[shown])
    return Digits(
        tuple(str(name) for name in network.classes_), pictures[known[half:]], pictures[names == UNSEEN], network
    )


def _fit(network: Any, inputs: NDArray[np.float64], names: NDArray[np.str_]) -> None:
    import warnings  # noqa: PLC0415

    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # noqa: PLC0415

    # Matrices this small are faster without threads, which would take the processor from the daemon.
    with warnings.catch_warnings(), threadpool_limits(1):
        # It is stopped early on purpose.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(inputs, names)


def _inputs(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    return pictures.reshape(len(pictures), SIDE * SIDE) / BRIGHTEST
