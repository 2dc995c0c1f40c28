"""Disagreement: how far apart the predictions are that several models made of one event.

Of an ensemble it is the mutual information between the class and the member that predicts it, the entropy of the mean
less the mean entropy (Houlsby, Huszár, Ghahramani, Lengyel 2011, "Bayesian active learning for classification and
preference learning"; M times that is the disagreement of Lakshminarayanan, Pritzel, Blundell 2017, "Simple and scalable
predictive uncertainty estimation using deep ensembles"). It tells what members do not know from what they agree to be
doubtful: of two members that are sure of different classes it is 1, of two that both say 0.5 and 0.5 it is 0.
"""

import math
from collections.abc import Sequence

__all__ = ["DISAGREEMENT", "SHADOW", "disagreement"]

DISAGREEMENT = "members.disagreement"
"""The path of an ensemble's disagreement, as a field."""
SHADOW = "shadow.disagreement"
"""The path of what a shadow version says otherwise: of a class 0 or 1, of a number the distance."""
_UNIT = 2**20


def disagreement(members: Sequence[Sequence[float]]) -> float:
    """Return the disagreement, in [0, 1], of M ≥ 2 members, each given by its probabilities of the same K ≥ 1 classes.

    The mean over the members of Σ p·log(p / mean p), as a part of the largest possible, log min(M, K). The terms are
    added exactly, whatever the order of members and classes, and the result is rounded to 2⁻²⁰: of members that say the
    same it is 0, and what one machine's logarithm has more in its last bit than another's makes no difference.
    """
    count = len(members)
    largest = math.log(min(count, len(members[0])))
    if largest == 0.0:
        return 0.0
    terms: list[float] = []
    for shares in zip(*members, strict=True):
        mean = math.fsum(shares) / count
        if mean > 0.0:
            terms += [share * math.log(share / mean) for share in shares if share > 0.0]
    return min(round(math.fsum(terms) / (count * largest) * _UNIT) / _UNIT, 1.0)
