"""What the audit found out about takes, remembered: a file for each, named by all that it depends on.

It lies under `$XDG_CACHE_HOME/sensorloom/audit/`. Losing it costs computing anew, nothing else: a file that is gone or
broken is written again, and where the folder cannot be written nothing is remembered.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from sensorloom.flows.audit_take import CODE_VERSION, AuditTask, TakeAudit
from sensorloom.flows.audit_windows import WorstWindow
from sensorloom.flows.report_takes import SegmentFacts, SyncFacts
from sensorloom.ingest.take import Finding

__all__ = ["AuditCache", "audit_key", "decode", "encode"]


def audit_key(task: AuditTask) -> str:
    """Return the digest of all that a take's audit depends on, but the place of the store."""
    inputs = {
        "version": CODE_VERSION,
        "take_id": task.take_id,
        "streams": task.streams.digest,
        "frames": task.frames and task.frames.digest,
        "windows": [asdict(windows) for windows in task.windows],
        "rules": [asdict(rule) for rule in task.rules],
    }
    return sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def encode(audit: TakeAudit) -> bytes:
    """Return the audit of a take as one line of JSON."""
    return json.dumps(asdict(audit), ensure_ascii=False, allow_nan=False).encode()


def decode(data: bytes) -> TakeAudit:
    """Rebuild the audit of a take; raises `ValueError`, `KeyError` or `TypeError` for what is none."""
    facts = json.loads(data)
    return TakeAudit(
        take_id=facts["take_id"],
        findings=tuple(Finding(**finding) for finding in facts["findings"]),
        syncs=tuple(_sync(sync) for sync in facts["syncs"]),
        roles=facts["roles"],
        worst=tuple(
            WorstWindow(**{**window, "reasons": tuple(window["reasons"])}) for window in facts["worst"]
        ),
        doubtful=facts["doubtful"],
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
        try:
            data = self._path(key).read_bytes()
            decode(data)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return data

    def keep(self, key: str, data: bytes) -> None:
        """Remember `data`, whole or not at all."""
        path = self._path(key)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        with suppress(
            OSError
        ):  # a full or read-only disk costs time at the next audit, no result of this one
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                partial.write_bytes(data)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def _sync(facts: Mapping[str, Any]) -> SyncFacts:
    return SyncFacts(**{**facts, "segments": tuple(SegmentFacts(**segment) for segment in facts["segments"])})
