import base64
import struct
import zlib

import numpy as np

from daemon.demo.images import BRIGHTEST, SIDE, blurred, from_png_url, jittered, png_url


def pictures(count: int = 20) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, BRIGHTEST, (count, SIDE, SIDE))


def test_a_picture_comes_back_from_its_url() -> None:
    picture = np.zeros((SIDE, SIDE))
    picture[2, 5] = BRIGHTEST
    grey = from_png_url(png_url(picture))
    assert grey is not None
    assert grey[2, 5] == 0
    assert (np.delete(grey.ravel(), 2 * SIDE + 5) == 255).all()


def test_the_url_holds_a_png_with_sound_chunks() -> None:
    data = base64.b64decode(png_url(pictures(1)[0]).split(",", 1)[1])
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, names = 8, []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(name + body)
        names.append(name)
        at += 12 + length
    assert names == [b"IHDR", b"IDAT", b"IEND"]


def test_what_is_no_picture_of_ours_is_none() -> None:
    assert from_png_url("https://example.org/a.png") is None
    assert from_png_url("None") is None


def test_jitter_keeps_the_range_and_repeats_with_its_seed() -> None:
    once = jittered(pictures(), np.random.default_rng(3))
    again = jittered(pictures(), np.random.default_rng(3))
    assert (once == again).all()
    assert once.min() >= 0
    assert once.max() <= BRIGHTEST
    assert not np.allclose(once, pictures())


def test_blur_evens_out_and_none_changes_nothing() -> None:
    sharp = pictures()
    assert (blurred(sharp, 0.0) == sharp).all()
    assert blurred(sharp, 2.0).std() < blurred(sharp, 1.0).std() < sharp.std()
    assert np.allclose(blurred(np.full((1, SIDE, SIDE), 5.0), 1.5), 5.0)
