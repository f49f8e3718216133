"""What the vectors and the facts of frames depend on, as the keys that their work is filed under.

Each piece of work has two: `vectors_key` and `facts_key` are what a plan computes from digests alone, `same_…` are of
what truly matters, the very frames of the very files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sensorloom.embed.encoder import Identity
from sensorloom.embed.errors import EncoderError
from sensorloom.embed.facts import CODE_VERSION as FACTS_VERSION
from sensorloom.embed.frames import FRAME_RULE
from sensorloom.embed.preprocess import ResizeBackend, resize_fingerprint
from sensorloom.ingest.video import decoder_version
from sensorloom.store.manifest import JSON, work_key

__all__ = [
    "FACTS_STAGE",
    "STAGE",
    "check_planned",
    "differing_fields",
    "facts_key",
    "full_fingerprint",
    "same_facts_key",
    "same_vectors_key",
    "vectors_key",
]

STAGE, FACTS_STAGE = "embed", "frames"
CODE_VERSION = 1


def full_fingerprint(identity: Identity, backend: ResizeBackend) -> dict[str, Any]:
    """Return all that the vectors of a frame depend on, beside the frame."""
    return {
        **identity.fingerprint,
        "resize": resize_fingerprint(backend, identity.preprocess),
        "decoder": decoder_version(),
        "frame_rule": FRAME_RULE,
    }


def vectors_key(streams_digest: str, fingerprint: Mapping[str, Any]) -> str:
    """Return the key of the work that makes the vectors of the take with this stream shard."""
    return work_key(STAGE, CODE_VERSION, streams_digest, dict(fingerprint))


def facts_key(streams_digest: str, decoder: str) -> str:
    """Return the key of the work that makes the frame facts of the take with this stream shard."""
    return work_key(
        FACTS_STAGE, FACTS_VERSION, streams_digest, {"decoder": decoder, "frame_rule": FRAME_RULE}
    )


def same_vectors_key(take_id: str, frames: Sequence[JSON], fingerprint: Mapping[str, Any]) -> str:
    """Return the key of the vectors of these frames of a take, as `records.frame_records` tells them."""
    return work_key(f"{STAGE}-frames", CODE_VERSION, [take_id, frames], dict(fingerprint))


def same_facts_key(take_id: str, frames: Sequence[JSON], decoder: str) -> str:
    """Return the key of the facts of these frames of a take."""
    return work_key(f"{FACTS_STAGE}-frames", FACTS_VERSION, [take_id, frames], decoder)


def check_planned(planned: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise `EncoderError` where this process would make other vectors than were planned."""
    told = "; ".join(
        f"{field}: {ours.get(field)!r} here, {planned.get(field)!r} in the plan"
        for field in differing_fields(planned, ours)
    )
    if told:
        raise EncoderError(
            f"this worker would make other vectors than were planned ({told}); install the same versions where the run"
            " is planned and where it works"
        )


def differing_fields(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields of two fingerprints that are not the same, by name."""
    return tuple(
        field for field in sorted({*theirs, *ours}) if theirs.get(field, ...) != ours.get(field, ...)
    )
