"""What the audit found out about takes, remembered: a file for each part of each, named by all that it depends on.

It lies under `$XDG_CACHE_HOME/sensorloom/audit/`. Losing it costs computing anew, nothing else: a file that is gone,
broken or another's is written again, and where the folder cannot be written nothing is remembered. Every file carries
the digest of its name and its content, so what is read back is what was written under that name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from sensorloom.flows.audit.code import code_digest
from sensorloom.flows.audit.report_takes import SegmentFacts, SyncFacts
from sensorloom.flows.audit.take import AuditTask, Part, TakeAudit
from sensorloom.flows.audit.windows import WorstWindow
from sensorloom.ingest.take import Finding
from sensorloom.training.replacing import replacing

__all__ = ["AuditCache", "audit_key", "decode", "encode"]

MAX_BYTES = 2_000_000_000
"""Once the remembered audits take more, those that no audit asked for the longest are forgotten."""


def audit_key(task: AuditTask, part: Part) -> str:
    """Return the digest of all that a part of a take's audit depends on: not the place of the store.

    What is found by the streams alone is the same whatever views cut from them.
    """
    inputs = {
        "code": code_digest(),
        "part": part,
        "take_id": task.take_id,
        "streams": task.streams.digest,
        "frames": task.frames and task.frames.digest,
        "windows": [asdict(windows) for windows in task.windows] if part == "windows" else None,
        "clipped": [asdict(finding) for finding in task.clipped] if part == "windows" else None,
        "rules": [asdict(rule) for rule in task.rules],
    }
    return sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def encode(audit: TakeAudit) -> bytes:
    """Return the audit of a take as one line of JSON."""
    return json.dumps(asdict(audit), ensure_ascii=False, allow_nan=False).encode()


def decode(data: bytes) -> TakeAudit:
    """Rebuild the audit of a take from what `encode` made of it."""
    facts = json.loads(data)
    return TakeAudit(
        take_id=facts["take_id"],
        findings=tuple(Finding(**finding) for finding in facts["findings"]),
        syncs=tuple(_sync(sync) for sync in facts["syncs"]),
        roles=facts["roles"],
        worst=tuple(
            WorstWindow(**{**window, "reasons": tuple(window["reasons"])}) for window in facts["worst"]
        ),
    )


class AuditCache:
    """A folder of remembered audits."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def default(cls) -> AuditCache:
        """Return the user's."""
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cls(home / "sensorloom" / "audit")

    def find(self, key: str) -> bytes | None:
        """Return what is remembered under `key`, None where nothing sound is."""
        path = self._path(key)
        try:
            held = path.read_bytes()
        except OSError:
            return None
        head, _, data = held.partition(b"\n")
        if head != _seal(key, data):
            return None
        with suppress(OSError):
            os.utime(path)  # `forget` spares what is asked for
        return data

    def keep(self, key: str, data: bytes) -> None:
        """Remember `data`, whole or not at all."""
        path = self._path(key)
        # A full or read-only disk costs time at the next audit, no result of this one.
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                partial.write_bytes(_seal(key, data) + b"\n" + data)

    def forget(self, max_bytes: int = MAX_BYTES) -> None:
        """Remove the files that nothing asked for the longest, until the rest are `max_bytes` at most."""
        left = max_bytes
        for path, num_bytes in self._newest_first():
            left -= num_bytes
            if left < 0:
                with suppress(OSError):
                    path.unlink()

    def _newest_first(self) -> Iterator[tuple[Path, int]]:
        found = []
        with suppress(OSError):
            for entry in os.scandir(self._folder):
                with suppress(OSError):  # another audit may have removed it meanwhile
                    told = entry.stat()
                    found.append((told.st_mtime_ns, entry.name, told.st_size))
        for _, name, num_bytes in sorted(found, reverse=True):
            yield self._folder / name, num_bytes

    def _path(self, key: str) -> Path:
        return self._folder / key


def _seal(key: str, data: bytes) -> bytes:
    """Return the first line of a file: the digest of its name and what follows."""
    return sha256(key.encode() + b"\n" + data).hexdigest().encode()


def _sync(facts: Mapping[str, Any]) -> SyncFacts:
    return SyncFacts(**{**facts, "segments": tuple(SegmentFacts(**segment) for segment in facts["segments"])})
