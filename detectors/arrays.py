"""Named arrays as bytes: the one format in which summaries and detector states are stored.

Layout: the length of a JSON header as a little-endian 32-bit integer, the header (sorted keys), then every
array's raw little-endian bytes in the order of the header. The same content always gives the same bytes, so
stored states can be compared byte for byte.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["pack", "smallest_unsigned", "unpack"]

_LENGTH_BYTES = 4


def pack(meta: Mapping[str, object], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return ``meta`` (JSON-able) and ``arrays`` (any shapes, number types) as one byte string."""
    names = sorted(arrays)
    little = {name: np.ascontiguousarray(arrays[name]).astype(_little(arrays[name].dtype)) for name in names}
    columns = [[name, little[name].dtype.str, list(little[name].shape)] for name in names]
    header = json.dumps({"arrays": columns, "meta": dict(meta)}, sort_keys=True, separators=(",", ":")).encode()
    body = b"".join(little[name].tobytes() for name in names)
    return len(header).to_bytes(_LENGTH_BYTES, "little") + header + body


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what :func:`pack` was given.

    Raises
    ------
    ValueError
        The bytes end too early or are not of this format.
    """
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    header = json.loads(data[_LENGTH_BYTES:end])
    arrays: dict[str, NDArray[Any]] = {}
    for name, dtype, shape in header["arrays"]:
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(data, dtype=np.dtype(dtype), count=count, offset=end).reshape(shape).copy()
        end += arrays[name].nbytes
    return header["meta"], arrays


def smallest_unsigned(values: NDArray[np.int64]) -> NDArray[Any]:
    """Return non-negative ``values`` in the smallest unsigned integer type that holds them all."""
    return values.astype(np.min_scalar_type(int(values.max()))) if values.size else values.astype(np.uint8)


def _little(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("<") if dtype.byteorder == ">" else dtype
