"""What the embedding of takes is asked and gives: cameras with their files in, vectors and frame facts out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensorloom.embed.batches import Batches
from sensorloom.embed.facts import FrameFacts
from sensorloom.embed.frames import CameraFrames

__all__ = ["CameraVectors", "CameraWork", "RunningTake", "TakeWork"]


@dataclass(frozen=True, slots=True)
class CameraWork:
    """The frames of one camera, and the file that they lie in."""

    frames: CameraFrames
    path: Path


@dataclass(frozen=True, slots=True)
class TakeWork:
    """What is to be made of one take; messages and results name it by `take_id`."""

    take_id: str
    cameras: tuple[CameraWork, ...]
    wants_vectors: bool = True
    wants_facts: bool = True


@dataclass(frozen=True, slots=True)
class CameraVectors:
    """What was made of one camera with N frames.

    bool[N] `valid` tells of which a sound picture decodes. `vectors` float16[N, D] have length 1, `norms` float32[N]
    are what they had before; both 0 where not valid. D is 0 where no vectors were wanted, `facts` None where none were.
    `error` tells what ended the decoding early.
    """

    frames: CameraFrames
    vectors: NDArray[np.float16]
    norms: NDArray[np.float32]
    valid: NDArray[np.bool_]
    facts: FrameFacts | None
    error: str | None

    def __repr__(self) -> str:
        return f"CameraVectors({self.frames.name}, {list(self.vectors.shape)}, {int(self.valid.sum())} valid)"


@dataclass(slots=True)
class RunningTake:
    """A take under way. Its rows are those of its cameras one after the other; camera `i` begins at `firsts[i]`."""

    work: TakeWork
    firsts: tuple[int, ...]
    batches: Batches
    vectors: NDArray[np.float16]
    norms: NDArray[np.float32]
    valid: NDArray[np.bool_]
    rows_left: int
    cameras_left: int
    facts: dict[int, FrameFacts] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, work: TakeWork, batch_size: int, dim: int) -> RunningTake:
        """Make room for the results of `work`."""
        firsts = [0]
        for camera in work.cameras:
            firsts.append(firsts[-1] + len(camera.frames.pts))
        count = firsts[-1]
        return cls(
            work=work,
            firsts=tuple(firsts),
            batches=Batches(count, batch_size),
            vectors=np.zeros((count, dim if work.wants_vectors else 0), np.float16),
            norms=np.zeros(count, np.float32),
            valid=np.zeros(count, np.bool_),
            rows_left=count,
            cameras_left=len(work.cameras),
        )

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to decode or to encode."""
        return not self.rows_left and not self.cameras_left

    def result(self) -> tuple[CameraVectors, ...]:
        """Return what was made of each camera, as views of the take's arrays."""
        return tuple(self._camera(index) for index in range(len(self.work.cameras)))

    def _camera(self, index: int) -> CameraVectors:
        rows = slice(self.firsts[index], self.firsts[index + 1])
        return CameraVectors(
            frames=self.work.cameras[index].frames,
            vectors=self.vectors[rows],
            norms=self.norms[rows],
            valid=self.valid[rows],
            facts=self.facts.get(index),
            error=self.errors.get(index),
        )
