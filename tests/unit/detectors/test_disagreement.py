"""Disagreement: 0 where members say the same, 1 where they could not say more different things, whatever the order."""

import math
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.disagreement import disagreement

WEIGHTS = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 5e-324])
ENSEMBLES = st.integers(1, 4).flatmap(
    lambda classes: st.lists(
        st.lists(WEIGHTS, min_size=classes, max_size=classes).filter(lambda each: sum(each) > 1e-9),
        min_size=2,
        max_size=5,
    )
)


def shares(weights: Sequence[float]) -> list[float]:
    return [each / math.fsum(weights) for each in weights]


def entropy(probabilities: Sequence[float]) -> float:
    return -math.fsum(each * math.log(each) for each in probabilities if each > 0)


@given(ENSEMBLES, st.randoms(use_true_random=False))
def test_it_is_the_mutual_information_whatever_the_order(weights: list[list[float]], chance: Random) -> None:
    members = [shares(each) for each in weights]
    mean = [math.fsum(each) / len(members) for each in zip(*members, strict=True)]
    information = entropy(mean) - sum(map(entropy, members)) / len(members)
    largest = math.log(min(len(members), len(mean)))
    found = disagreement(members)
    assert 0.0 <= found <= 1.0
    assert found == pytest.approx(information / largest if largest else 0.0, abs=2e-6)
    order = chance.sample(range(len(mean)), len(mean))
    shuffled = chance.sample(members, len(members))
    assert disagreement([[each[at] for at in order] for each in shuffled]) == found


@given(st.lists(WEIGHTS, min_size=1, max_size=6).filter(lambda each: sum(each) > 1e-9), st.integers(2, 7))
def test_members_that_say_the_same_do_not_disagree(weights: list[float], count: int) -> None:
    assert disagreement([shares(weights)] * count).hex() == (0.0).hex()


@pytest.mark.parametrize("members", [[[1, 0], [0, 1]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 0], [0, 1]] * 3])
def test_members_that_are_sure_of_different_classes_disagree_wholly(members: list[list[float]]) -> None:
    assert disagreement(members) == 1.0


def test_what_all_members_doubt_is_no_disagreement() -> None:
    assert disagreement([[0.5, 0.5], [0.5, 0.5]]) == 0.0 < disagreement([[0.5, 0.5], [0.9, 0.1]])
