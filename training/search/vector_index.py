"""What a run makes of every window of a view, kept in a file beside the run: `RUN/index-<view>.safetensors`.

The file is made anew where the run's weights, the snapshot or the windows are others. Half as many bytes as float32:
vectors are float16, as the store has those of texts and videos.

Axes: N windows of the view, in storage order · D width.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.embeddings import EmbeddedSplit
from sensorloom.training.replacing import replacing

__all__ = ["LEARNT", "IndexKey", "VectorIndex", "gather_splits", "index_path", "load_index", "save_index"]

LEARNT = ("imu", "mocap")
"""Modalities whose vectors are the run's own; those of texts and videos are frozen, and the store has them."""
_VERSION = "2"


@dataclass(frozen=True, slots=True)
class IndexKey:
    """What the vectors of an index depend on: the weights of the run, by digest, and the windows of its view."""

    weights_sha256: str
    snapshot_id: str
    view: str
    window_ids: tuple[str, ...]

    def facts(self) -> dict[str, str]:
        """Return the key as the file tells it."""
        digest = hashlib.sha256("\n".join(self.window_ids).encode()).hexdigest()
        named = {"weights_sha256": self.weights_sha256, "snapshot_id": self.snapshot_id, "view": self.view}
        return {"version": _VERSION, **named, "windows_sha256": digest}


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """Vectors of a run: of "imu" and "mocap" float16[N, D] of length 1, and which are there, bool[N].

    `modalities` are all that the run holds against one another in one space, whatever the view has of them.
    """

    modalities: tuple[str, ...]
    vectors: Mapping[str, tuple[Tensor, Tensor]]


def index_path(run_dir: Path, view: str) -> Path:
    """Return where the index of `view` lies."""
    return run_dir / f"index-{view}.safetensors"


def gather_splits(
    window_ids: Sequence[str], splits: Sequence[EmbeddedSplit], modalities: tuple[str, ...]
) -> VectorIndex:
    """Put what a run makes of splits into the order of `window_ids`; what is in no split is not there.

    `modalities` are those of the run, of which splits may lack some. Raises RunError for a window of a split that is
    not among `window_ids`.
    """
    place = {window_id: number for number, window_id in enumerate(window_ids)}
    names = tuple(dict.fromkeys(name for split in splits for name in split.vectors))
    vectors = {}
    for name in names:
        if name in LEARNT:
            width = next(split.vectors[name][0].shape[1] for split in splits if name in split.vectors)
            rows_ND, there_N = (
                torch.zeros(len(place), width, dtype=torch.float16),
                torch.zeros(len(place), dtype=torch.bool),
            )
            for split in splits:
                if name in split.vectors:
                    at = _places(place, split)
                    rows_ND[at], there_N[at] = split.vectors[name][0].half(), split.vectors[name][1]
            vectors[name] = (rows_ND, there_N)
    return VectorIndex(modalities, vectors)


def _places(place: Mapping[str, int], split: EmbeddedSplit) -> Tensor:
    unknown = [window_id for window_id in split.window_ids if window_id not in place]
    if unknown:
        raise RunError(
            f"split {split.split!r} of view {split.view!r} has window {unknown[0]}, which the view's own table lacks"
        )
    return torch.tensor([place[window_id] for window_id in split.window_ids])


def save_index(path: Path, key: IndexKey, index: VectorIndex) -> None:
    """Write the file whole or not at all. Raises RunError where the disk refuses."""
    tensors: dict[str, Tensor] = {}
    for name, (rows_ND, there_N) in index.vectors.items():
        tensors |= {name: rows_ND.contiguous(), f"{name}_there": there_N}
    told = {**key.facts(), "modalities": json.dumps(index.modalities)}
    try:
        with replacing(path) as partial:  # not by `save_file`, which leaves a file to its owner alone
            partial.write_bytes(save(tensors, metadata=told))
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"cannot write {path}: {error}; make room, or copy the run to a folder of yours"
        ) from error


def load_index(path: Path, key: IndexKey) -> VectorIndex | None:
    """Read the file; None where there is none, or it is of other weights, another snapshot or other windows.

    Raises RunError for a file that is cut or is no index.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, str] = file.metadata() or {}
            names = facts.pop("modalities", "")
            if facts != key.facts():
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            modalities = tuple(json.loads(names))
    except OSError as error:
        raise RunError(
            f"cannot read {path}: {error}; make it readable, or remove it: it is made anew"
        ) from error
    except (ValueError, SafetensorError) as error:
        raise RunError(f"{path} is damaged ({error}); remove it: it is made anew") from error
    vectors = {name: (tensors[name], tensors.get(f"{name}_there")) for name in LEARNT if name in tensors}
    return VectorIndex(
        modalities,
        {name: (rows, _checked(path, name, rows, there, key)) for name, (rows, there) in vectors.items()},
    )


def _checked(path: Path, name: str, rows_ND: Tensor, there_N: Tensor | None, key: IndexKey) -> Tensor:
    """Return the mask of `name`, whose tensors may be anything in a file that somebody made."""
    count = len(key.window_ids)
    fits = rows_ND.ndim == 2 and len(rows_ND) == count and rows_ND.dtype == torch.float16
    if not fits or there_N is None or there_N.shape != (count,) or there_N.dtype != torch.bool:
        raise RunError(
            f"{path} is damaged: {name} {rows_ND.dtype} {list(rows_ND.shape)} is not float16 of {count} windows with a"
            " mask; remove it: it is made anew"
        )
    return there_N
