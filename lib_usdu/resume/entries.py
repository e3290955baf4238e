"""Arrays as files that are whole or not there: written under another name first, with a checksum, never pickled."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

MAGIC = b"usdu entry 1\n"
_DTYPES = ("|u1", "<f2", "<f4", "<f8")
_LONGEST_HEADER = 1000


def write(path: Path, key: str, array: np.ndarray) -> int:
    """Bit for bit; returns the bytes written. Raises OSError, and leaves nothing behind then."""
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    if array.dtype.str not in _DTYPES:
        raise OSError(f"arrays of {array.dtype} cannot be kept")
    # Floats hardly get smaller, levels do.
    packed = array.dtype == np.uint8
    payload = zlib.compress(array.data, 1) if packed else array.tobytes()
    header = {
        "key": key, "dtype": array.dtype.str, "shape": array.shape, "packed": packed,
        "checksum": hashlib.blake2b(payload, digest_size=20).hexdigest(),
    }  # fmt: skip
    data = MAGIC + json.dumps(header).encode() + b"\n" + payload
    replace(path, data)
    return len(data)


def read(path: Path, key: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """The array of this key and shape; None where there is none, or a damaged one, which is removed."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    with suppress(ValueError, KeyError, TypeError, zlib.error, RecursionError):
        return _parsed(data, key, shape)
    with suppress(OSError):
        path.unlink()
    return None


def _parsed(data: bytes, key: str, shape: tuple[int, ...]) -> np.ndarray:
    end = data.find(b"\n", len(MAGIC), len(MAGIC) + _LONGEST_HEADER)
    if not data.startswith(MAGIC) or end < 0:
        raise ValueError("no entry")
    header = json.loads(data[len(MAGIC) : end])
    payload = memoryview(data)[end + 1 :]
    expected = (key, list(shape), hashlib.blake2b(payload, digest_size=20).hexdigest())
    if (header["key"], header["shape"], header["checksum"]) != expected or header["dtype"] not in _DTYPES:
        raise ValueError("damaged, or of something else")
    dtype = np.dtype(header["dtype"])
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if header["packed"]:
        payload = zlib.decompressobj().decompress(payload, size + 1)  # no more, whatever the file claims
    if len(payload) != size:
        raise ValueError("of another size")
    return np.frombuffer(payload, dtype).reshape(shape)


def replace(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, even if the machine loses power."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()
