"""Random numbers that depend on what they are for, never on what was drawn before them.

Every take, stream and stretch draws from a generator of its own, keyed by names. So take k has the same
bytes whether five takes are generated or fifty.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["generator"]


def generator(*key: str | int) -> np.random.Generator:
    """Return the random generator that belongs to `key`; equal keys give equal streams of numbers."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in key).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))
