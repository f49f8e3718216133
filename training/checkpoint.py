"""Checkpoints: tensors as safetensors, everything else as strict JSON, never pickle.

A checkpoint is a folder `<name>/` of `tensors.safetensors` and `state.json`. It is written under a temporary
name, flushed to disk and renamed, so a folder with its final name is whole. `state.json` holds the digest of
the tensors and of itself, so damage that comes later is noticed and named.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sensorloom.ingest.digest import file_digest
from sensorloom.ingest.errors import RawFileError
from sensorloom.training.errors import CheckpointError
from sensorloom.training.replacing import sync

__all__ = [
    "Checkpoint",
    "checkpoint_name",
    "checkpoint_state",
    "latest_checkpoint",
    "load_checkpoint",
    "prune_checkpoints",
    "save_checkpoint",
    "weights_digest",
]

_VERSION = 1
_TENSORS, _STATE = "tensors.safetensors", "state.json"
_PREFIX = "step-"
_KEYS = {"version", "tensors_sha256", "state", "digest"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Named tensors, and `state` of plain JSON values."""

    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` as the folder `path`, whole or not at all, replacing an earlier one of that name.

    Raises CheckpointError if the disk refuses, naming the folder; then an earlier checkpoint of this name
    still stands. A kill between the two renames that replace it leaves the earlier one as `.<name>.earlier`.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
        save_file(tensors, temporary / _TENSORS)
        body = {
            "version": _VERSION,
            "tensors_sha256": file_digest(temporary / _TENSORS).sha256,
            "state": checkpoint.state,
        }
        text = json.dumps({**body, "digest": _digest(body)}, indent=1, allow_nan=False)
        (temporary / _STATE).write_text(text, encoding="utf-8")
        # `save_file` leaves a file to its owner alone: whoever may read the state may read the tensors.
        (temporary / _TENSORS).chmod(S_IMODE((temporary / _STATE).stat().st_mode))
        for file in (_TENSORS, _STATE):
            sync(temporary / file)
        _put_in_place(temporary, path)
    except (OSError, RawFileError, SafetensorError) as error:
        raise CheckpointError(
            f"cannot write the checkpoint {path}: {error}; make room or choose another folder"
        ) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read the checkpoint in the folder `path`.

    Raises CheckpointError that names the file if it is missing, cut, damaged, or of a version this code does
    not know.
    """
    body = _read_state(path / _STATE)
    tensors = path / _TENSORS
    try:
        found = file_digest(tensors).sha256
        if found != body["tensors_sha256"]:
            raise CheckpointError(
                f"{tensors} is damaged: its digest is {found[:12]}, {_STATE} says "
                f"{body['tensors_sha256'][:12]}; use an older checkpoint"
            )
        return Checkpoint(load_file(tensors), body["state"])
    except (OSError, RawFileError, SafetensorError) as error:
        raise CheckpointError(f"cannot read {tensors}: {error}; use an older checkpoint") from error


def checkpoint_state(path: Path) -> Mapping[str, Any]:
    """Read the plain values of the checkpoint in the folder `path`; raises CheckpointError if it cannot be read."""
    state: Mapping[str, Any] = _read_state(path / _STATE)["state"]
    return state


def weights_digest(path: Path) -> str:
    """Return the sha256 of the tensors of a checkpoint, as it says; raises CheckpointError if it cannot be read."""
    digest: str = _read_state(path / _STATE)["tensors_sha256"]
    return digest


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of the highest step in `folder`, or None if it has none."""
    found = sorted(folder.glob(f"{_PREFIX}*"))
    return found[-1] if found else None


def checkpoint_name(step: int) -> str:
    """Return the folder name of the checkpoint after `step` steps; names sort like steps."""
    return f"{_PREFIX}{step:010d}"


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the `keep` newest step checkpoints of `folder`."""
    for path in sorted(folder.glob(f"{_PREFIX}*"))[:-keep]:
        shutil.rmtree(path)


def _put_in_place(temporary: Path, path: Path) -> None:
    """Rename `temporary` to `path`; what stood there goes only once the new folder stands, or comes back."""
    earlier = path.with_name(f".{path.name}.earlier")
    if path.exists():
        shutil.rmtree(earlier, ignore_errors=True)
        path.rename(earlier)
    try:
        temporary.rename(path)
    except OSError:
        if earlier.exists():
            earlier.rename(path)
        raise
    sync(path.parent)
    shutil.rmtree(earlier, ignore_errors=True)


def _read_state(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot read {path}: {error}; use an older checkpoint") from error
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path} is cut or damaged ({error}); use an older checkpoint") from error
    if not isinstance(body, dict) or set(body) != _KEYS:
        raise CheckpointError(f"{path} is no checkpoint: it must have exactly the keys {sorted(_KEYS)}")
    if body["version"] != _VERSION:
        raise CheckpointError(
            f"{path} is of checkpoint version {body['version']!r}, this sensorloom reads {_VERSION}"
        )
    claimed = body.pop("digest")
    if claimed != _digest(body):
        raise CheckpointError(
            f"{path} is damaged: its content does not match its digest; use an older checkpoint"
        )
    return body


def _digest(body: Mapping[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
