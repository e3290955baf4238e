"""Whole pictures: in memory while there is room for them, beyond that in a file the system pages in and out."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
import weakref
from typing import BinaryIO

import numpy as np

IN_MEMORY = 2 * 2**30
"""Bytes of pictures held in memory at once; those made while it is used up go to files."""


class _Held:
    """The bytes of pictures in memory now."""

    bytes = 0

    def add(self, array: np.ndarray) -> None:
        """Counts an array for as long as it, or a view of it, is there."""
        size = array.nbytes
        self.bytes += size
        weakref.finalize(array, self._give_back, size)

    def _give_back(self, size: int) -> None:
        self.bytes -= size


held = _Held()
"""One for the process, whose memory it counts, whatever run holds the pictures."""

RELEASE_EVERY = 16
"""Windows after which pictures in files are released: often enough to stay small, seldom enough to cost nothing."""


_NO_FALLOCATE = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV)
_WRITTEN_AT_ONCE = 2**24


def new_canvas(shape: tuple[int, ...]) -> np.ndarray:
    """A new uint8 array of this shape, its content arbitrary.

    Where it lies in a file, the file has no name (POSIX) or goes when the array does (Windows): nothing is left behind,
    not by a crash either. The file is made where `tempfile` makes them: TMPDIR moves it. Raises OSError when the
    disk is full.
    """
    size = int(np.prod(shape, dtype=np.int64))
    if held.bytes + size > IN_MEMORY:
        return _in_file(shape, size)
    array = np.empty(shape, np.uint8)
    held.add(array)
    return array


def copy_canvas(picture: np.ndarray) -> np.ndarray:
    """A copy of a picture (h, w, ...), uint8, made strip by strip."""
    copied = new_canvas(picture.shape)
    step = max(1, 2**25 // max(picture[:1].nbytes, 1))
    for y in range(0, len(picture), step):
        copied[y : y + step] = picture[y : y + step]
        release(picture)
        release(copied)
    return copied


def release(picture: np.ndarray) -> None:
    """Lets the system take back the memory of a picture that lies in a file; its pixels stay. Nothing for others."""
    mapped = _mapping(picture)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def in_file(picture: np.ndarray) -> bool:
    """Whether the pixels lie in a file."""
    return _mapping(picture) is not None


def _in_file(shape: tuple[int, ...], size: int) -> np.ndarray:
    with tempfile.TemporaryFile(prefix="usdu-") as file:  # the mapping outlives the name and the handle
        _take_room(file, size)
        return np.frombuffer(mmap.mmap(file.fileno(), size), np.uint8).reshape(shape)


def _take_room(file: BinaryIO, size: int) -> None:
    """Makes the file so long that a full disk is an error here, not a crash when the pixels are written: a file that
    is only said to be long has no room on the disk yet."""
    try:
        os.posix_fallocate(file.fileno(), 0, size)
        return
    except AttributeError:  # macOS, Windows
        pass
    except OSError as error:  # file systems that cannot (network drives, musl's libc)
        if error.errno not in _NO_FALLOCATE:
            raise
    zeros = bytes(min(size, _WRITTEN_AT_ONCE))
    for start in range(0, size, len(zeros)):
        file.write(zeros[: size - start])
    file.flush()


def _mapping(picture: np.ndarray) -> mmap.mmap | None:
    memory: object = picture
    while isinstance(memory, np.ndarray):
        memory = memory.base
    if isinstance(memory, memoryview):
        memory = memory.obj
    return memory if isinstance(memory, mmap.mmap) else None
