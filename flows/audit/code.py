"""Which code measures a take: what it found is worth remembering as long as that stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

__all__ = ["MEASURING", "code_digest", "digest_of"]

_ROOT = Path(__file__).parents[2]
MEASURING = (
    "align",
    "flows/audit/load.py",
    "flows/audit/take.py",
    "flows/audit/windows.py",
    "flows/audit/report_takes.py",
    "flows/audit/report_windows.py",
    "ingest/source.py",
    "ingest/take.py",
)
"""Packages and modules whose sources decide what a take's audit comes out as, from the same shards and rules."""
_LIBRARIES = ("numpy", "scipy")


@cache
def code_digest() -> str:
    """Return the digest of `MEASURING` and of the versions of what computes for it."""
    versions = "".join(f"{name} {version(name)}\n" for name in _LIBRARIES)
    return sha256((versions + digest_of(_ROOT, MEASURING)).encode()).hexdigest()


def digest_of(root: Path, places: Sequence[str]) -> str:
    """Return one digest of the names and the bytes of all Python sources at `places` below `root`."""
    digest = sha256()
    for place in places:
        path = root / place
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            data = source.read_bytes()
            digest.update(f"{source.relative_to(root).as_posix()} {len(data)}\n".encode())
            digest.update(data)
    return digest.hexdigest()
