"""Generated trees, each made once: with faults in their files and without, and takes long enough to tell clocks by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sensorloom.align.alignment import AlignSettings, align
from sensorloom.align.errors import TakeError
from sensorloom.align.timeline import AlignedTake
from sensorloom.embed.frames import lattice_frames
from sensorloom.embed.pipeline import Pipeline
from sensorloom.embed.works import CameraVectors, CameraWork, TakeWork
from sensorloom.flows.publish import FAILED_RULE
from sensorloom.ingest.errors import IngestError
from sensorloom.ingest.miniature.sample import DATASETS, write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.ingest.reader import get_reader
from sensorloom.ingest.source import TakeSource
from sensorloom.ingest.take import Finding, Take

__all__ = ["SCENES", "SHORT", "Scene", "Scenes", "ShortTrees"]

# Takes and minutes: one take for each fault of a data set, as short as the faults allow.
SHORT: Mapping[str, tuple[int, float]] = MappingProxyType(
    {"pamap2": (12, 0.5), "realworld": (9, 0.4), "ego4d": (8, 0.1), "egoexo4d": (8, 0.1)}
)
# Minutes of the take that faults of signals are planted in; pictures cost most.
SCENES: Mapping[str, float] = MappingProxyType(
    {"pamap2": 3.0, "realworld": 3.0, "ego4d": 1.5, "egoexo4d": 1.0}
)
_CAMERAS = 2
"""The wearer's and one that stands."""


@dataclass(frozen=True)
class ShortTrees:
    """Trees of short takes under `folder`, one with every fault of its data set, and its twin without any."""

    folder: Path

    @cached_property
    def _trees(self) -> dict[tuple[str, bool], dict[str, Any]]:
        return {}

    def truth(self, dataset: str, *, faulty: bool) -> dict[str, Any]:
        """Return what was written of each take of a data set."""
        if (dataset, faulty) not in self._trees:
            takes, minutes = SHORT[dataset]
            faults = tuple(DATASETS[dataset].faults) if faulty else ()
            spec = SampleSpec((dataset,), takes=takes, minutes=minutes, faults=faults)
            self._trees[dataset, faulty] = write_sample(self._root(dataset, faulty=faulty), spec)["takes"]
        return self._trees[dataset, faulty]

    def tree(self, dataset: str, *, faulty: bool) -> Path:
        """Return the folder that a tree of a data set was written to, beside its truth."""
        self.truth(dataset, faulty=faulty)
        return self._root(dataset, faulty=faulty)

    def aligned(self, dataset: str, take_id: str, *, faulty: bool) -> AlignedTake:
        """Read and align a take; raises as reader and alignment do."""
        root = self._root(dataset, faulty=faulty) / dataset
        (source,) = (one for one in get_reader(dataset).index(root) if one.take_id == take_id)
        return align(get_reader(dataset).read(root, source), AlignSettings())

    def findings(self, dataset: str, take_id: str, *, faulty: bool) -> tuple[Finding, ...]:
        """Read and align a take; return its findings, or that it cannot be read as a store tells it."""
        try:
            return self.aligned(dataset, take_id, faulty=faulty).findings
        except (IngestError, TakeError) as error:
            return (Finding(take_id, FAILED_RULE, "error", str(error)),)

    def take_with(self, dataset: str, fault: str) -> str:
        """Return the id of the take that carries `fault`."""
        takes = self.truth(dataset, faulty=True)
        return next(
            take_id
            for take_id, told in takes.items()
            if any(planted["fault"] == fault for planted in told.get("faults", ()))
        )

    def _root(self, dataset: str, *, faulty: bool) -> Path:
        return self.folder / f"{'faulty' if faulty else 'clean'}-{dataset}"


@dataclass(frozen=True, slots=True)
class Scene:
    """A clean take as its reader hands it on, what was written of it, and what its pictures told."""

    take: Take
    truth: Mapping[str, Any]
    cameras: tuple[CameraVectors, ...]


@dataclass(frozen=True)
class Scenes:
    """One longer clean take of each data set, under `folder`; their videos are decoded once, without an encoder."""

    folder: Path

    @cached_property
    def _made(self) -> dict[str, Scene]:
        return {}

    def scene(self, dataset: str) -> Scene:
        """Return the take of a data set."""
        if dataset not in self._made:
            self._made[dataset] = self._make(dataset)
        return self._made[dataset]

    def _make(self, dataset: str) -> Scene:
        out = self.folder / dataset
        told = write_sample(out, SampleSpec((dataset,), takes=1, minutes=SCENES[dataset]))["takes"]
        reader, root = get_reader(dataset), out / dataset
        source = _longest(reader.index(root))
        take = reader.read(root, source)
        return Scene(take, told[source.take_id], _see(take, root))


def _longest(sources: list[TakeSource]) -> TakeSource:
    return max(sources, key=lambda source: source.num_bytes)


def _see(take: Take, root: Path) -> tuple[CameraVectors, ...]:
    """Return the facts of the frames of the first two cameras, from the pass that embeds them."""
    cameras = tuple(map(lattice_frames, align(take, AlignSettings()).videos[:_CAMERAS]))
    if not cameras:
        return ()
    work = TakeWork(
        take.take_id, tuple(CameraWork(camera, root / camera.uri) for camera in cameras), wants_vectors=False
    )
    seen: list[CameraVectors] = []
    Pipeline([work], None, "pil", num_threads=1).run(lambda _, made: seen.extend(made))
    return tuple(seen)
