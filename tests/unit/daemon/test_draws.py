"""The draws are SipHash-2-4, whatever the lengths of the texts that are hashed together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daemon.draws import Texts, draws

KEY = np.frombuffer(bytes(range(16)), dtype="<u8").astype(np.uint64)


def draw(texts: list[str], count: int = 4) -> list[list[int]]:
    found: list[list[int]] = draws([Texts(texts)], np.tile(KEY, (len(texts), 1)), count).tolist()
    return found


def test_the_published_vectors_come_out() -> None:
    # From the reference implementation: vectors_sip64 at 0, 1, 8 and 15 bytes, vectors_sip128 at 0.
    texts = ["".join(map(chr, range(size))) for size in (0, 1, 8, 15)]
    expected = [0x726FDB47DD0E0E31, 0x74F839C593DC67FD, 0x93F5F5799A932462, 0xA129CA6149BE45E5]
    assert draw(texts, 1) == [[each] for each in expected]
    assert draw([""], 2) == [[0xE6A825BA047F81A3, 0x930255C71472F66D]]


@given(st.lists(st.text(max_size=40), min_size=1, max_size=12), st.integers(0, 12))
def test_the_draws_of_a_text_do_not_depend_on_its_neighbours(texts: list[str], cut: int) -> None:
    together = draws([Texts(texts[:cut]), Texts(texts[cut:])], np.tile(KEY, (len(texts), 1)), 4).tolist()
    assert together == [draw([text])[0] for text in texts]


def test_each_text_has_a_key_of_its_own() -> None:
    keys = np.array([KEY, KEY[::-1]])
    one, other = draws([Texts(["a", "a"])], keys, 4).tolist()
    assert len({*one, *other}) == 8
