"""Whether video files are still those that a take was ingested from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from sensorloom.ingest.digest import FileDigest, check_unchanged, file_digest, stamp
from sensorloom.ingest.errors import RawFileError

__all__ = ["check_still_unchanged", "source_digests"]


def source_digests(
    root: Path, uris: Iterable[str], ingested: Mapping[str, str], known: Mapping[str, FileDigest]
) -> dict[Path, FileDigest]:
    """Return the digest of each file, `known` or read now, where it equals that `ingested`, the sha256 by URI.

    Raises `RawFileError` for a file that is not there, or not the one that was ingested.
    """
    digests: dict[Path, FileDigest] = {}
    for uri in dict.fromkeys(uris):
        path = root / uri
        digest = known.get(uri)
        if digest is None or digest.stamp != stamp(path):
            digest = file_digest(path)
        if uri not in ingested:
            raise RawFileError(
                f"{uri}: nothing tells what it was when the take was ingested; ingest it again"
            )
        if digest.sha256 != ingested[uri]:
            raise RawFileError(
                f"{uri}: changed since it was ingested (sha256 {digest.sha256[:12]}, was {ingested[uri][:12]});"
                " ingest it again"
            )
        digests[path] = digest
    return digests


def check_still_unchanged(digests: Mapping[Path, FileDigest]) -> None:
    """Raise `RawFileError` where a file was written to since its digest was taken."""
    for path, digest in digests.items():
        check_unchanged(path, digest)
