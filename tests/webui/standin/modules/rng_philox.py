"""Philox 4x32-10 with Box-Muller: the numbers of `randn_source = "NV"` (rng_philox.py), as CUDA draws them."""

import numpy as np

_M = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_W = (0x9E3779B9, 0xBB67AE85)
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)


def _philox(counter, key):
    c = [x.astype(np.uint64) for x in counter]
    k = [int(key) & 0xFFFFFFFF, int(key) >> 32 & 0xFFFFFFFF]
    for _ in range(10):
        a, b = c[0] * _M[0], c[2] * _M[1]
        c = [(b >> _32) ^ c[1] ^ np.uint64(k[0]), b & _LOW, (a >> _32) ^ c[3] ^ np.uint64(k[1]), a & _LOW]
        k = [(x + w) & 0xFFFFFFFF for x, w in zip(k, _W, strict=True)]
    return c


class Generator:
    """One call of randn is one draw: counters (draw, 0, index, 0), key = seed."""

    def __init__(self, seed):
        self.seed, self.offset = int(seed), 0

    def randn(self, shape):
        n = int(np.prod(shape))
        zero = np.zeros(n, np.uint32)
        a, b, *_ = _philox([zero + np.uint32(self.offset), zero, np.arange(n, dtype=np.uint32), zero], self.seed)
        self.offset += 1
        u = a.astype(np.float32) * np.float32(2.0**-32) + np.float32(2.0**-33)
        v = b.astype(np.float32) * np.float32(2.0**-32 * 2 * np.pi) + np.float32(2.0**-33 * 2 * np.pi)
        return (np.sqrt(-2 * np.log(u)) * np.sin(v)).reshape(shape).astype(np.float32)
