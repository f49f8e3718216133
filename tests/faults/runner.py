"""Plants a fault, runs the part of the pipeline that must tell of it, and returns what it told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from sensorloom.align.alignment import AlignSettings, align
from sensorloom.align.codec import encode_arrays, encode_attributes
from sensorloom.align.rules import RULES
from sensorloom.align.timeline import AlignedTake
from sensorloom.embed.records import facts_arrays
from sensorloom.embed.works import CameraVectors
from sensorloom.flows.audit.take import AuditTask, audit_take
from sensorloom.flows.audit.vectors import audit_view
from sensorloom.flows.audit.windows import WindowsOf
from sensorloom.ingest.take import NS_PER_S, Finding, Take
from sensorloom.store.repository import Repository
from tests.faults.fault import Fault, Level, Outcome
from tests.faults.stores import Bucket, BuiltStores
from tests.faults.trees import Scenes, ShortTrees

__all__ = ["Runner"]

_LENGTH_NS = 5 * NS_PER_S
_WORK = "0" * 64


@dataclass(frozen=True)
class Runner:
    """Runs faults on trees that it keeps under `folder`; what several faults need is made once."""

    folder: Path

    @cached_property
    def short(self) -> ShortTrees:
        """Trees of short takes, with faults in their files and without."""
        return ShortTrees(self.folder / "short")

    @cached_property
    def scenes(self) -> Scenes:
        """A longer clean take of each data set."""
        return Scenes(self.folder / "scenes")

    def run(self, fault: Fault) -> Outcome:
        """Return what is told with the fault in the data and not without it."""
        ways: Mapping[Level, Callable[[Fault], tuple[Sequence[Finding], Sequence[Finding]]]] = {
            "raw": self._raw,
            "read": self._read,
            "aligned": self._aligned,
            "view": self._view,
        }
        planted, clean = ways[fault.level](fault)
        return Outcome(fault, tuple(planted), tuple(clean))

    def clean(self, dataset: str) -> tuple[Finding, ...]:
        """Return what is told of the longer take of a data set with nothing planted in it."""
        if dataset not in self._clean:
            scene = self.scenes.scene(dataset)
            self._clean[dataset] = self._audit(align(scene.take, AlignSettings()), scene.cameras)
        return self._clean[dataset]

    def clean_short(self, dataset: str) -> Mapping[str, tuple[Finding, ...]]:
        """Return what is told of the short takes of a data set without a fault, but for what a data set has itself.

        Generated trees have the quirks of what they are named after, such as a camera whose accelerometer is broken;
        what their truth tells of is no accusation.
        """
        takes = {
            take_id: told
            for take_id, told in self.short.truth(dataset, faulty=False).items()
            if not told.get("absent")
        }
        return {
            take_id: tuple(
                finding
                for finding in self._audit(self.short.aligned(dataset, take_id, faulty=False), ())
                if finding.rule not in _quirks(told)
            )
            for take_id, told in takes.items()
        }

    @cached_property
    def stores(self) -> BuiltStores:
        """Small stores with built views."""
        return BuiltStores(self.folder / "stores", self.short)

    def clean_view(self, store: str, view: str) -> tuple[Finding, ...]:
        """Return what is told of a view as it was built."""
        if view not in self._clean:
            self._clean[view] = audit_view(self.stores.store(store).task(view)).findings
        return self._clean[view]

    @cached_property
    def _clean(self) -> dict[str, tuple[Finding, ...]]:
        return {}

    @cached_property
    def _repo(self) -> Repository:
        return Repository.open(f"memory://{uuid4().hex}", create=True)

    def _raw(self, fault: Fault) -> tuple[Sequence[Finding], Sequence[Finding]]:
        take_id = self.short.take_with(fault.dataset, fault.id)
        self.short.truth(fault.dataset, faulty=False)
        planted, clean = (
            self.short.findings(fault.dataset, take_id, faulty=faulty) for faulty in (True, False)
        )
        return planted, clean

    def _read(self, fault: Fault) -> tuple[Sequence[Finding], Sequence[Finding]]:
        scene, plant = self.scenes.scene(fault.dataset), fault.plant
        assert plant is not None
        spoiled: Take = plant(scene.take)
        return self._audit(align(spoiled, AlignSettings()), scene.cameras), self.clean(fault.dataset)

    def _aligned(self, fault: Fault) -> tuple[Sequence[Finding], Sequence[Finding]]:
        scene, plant = self.scenes.scene(fault.dataset), fault.plant
        assert plant is not None
        aligned, cameras = plant(align(scene.take, AlignSettings()), scene.cameras)
        return self._audit(aligned, cameras), self.clean(fault.dataset)

    def _view(self, fault: Fault) -> tuple[Sequence[Finding], Sequence[Finding]]:
        store, before, plant = self.stores.store(fault.dataset), fault.before, fault.plant
        assert plant is not None
        if before is None:
            return audit_view(store.task(fault.view, plant)).findings, self.clean_view(
                fault.dataset, fault.view
            )

        def both(buckets: list[Bucket]) -> None:
            before(buckets)
            plant(buckets)

        return tuple(audit_view(store.task(fault.view, one)).findings for one in (both, before))

    def _audit(self, take: AlignedTake, cameras: Sequence[CameraVectors]) -> tuple[Finding, ...]:
        """Store a take and the facts of its frames, audit it as the command does; return all that is told of it."""
        arrays = encode_arrays(take)
        streams = self._repo.write_arrays(
            take.take_id, arrays, rows=take.grid.num_samples, attributes=encode_attributes(take), work=_WORK
        )
        facts = facts_arrays(cameras)
        frames = (
            self._repo.write_arrays(take.take_id, facts, rows=0, attributes={}, work=_WORK) if facts else None
        )
        rules = tuple(RULES.values())
        task = AuditTask(self._repo.url, take.take_id, streams, frames, (_tiles(take),), rules)
        audited = audit_take(replace(task, clipped=_clipped(take)))
        return (*take.findings, *audited.findings)


def _quirks(told: Mapping[str, Any]) -> set[str]:
    """Return the rules that tell of what the generator planted in a take of its own accord."""
    quirks = {*(told.get("findings") or ()), *(told.get("expected_findings") or ())}
    return quirks | ({"sensor-unusable"} if "accelerometer-masked" in quirks else set())


def _clipped(take: AlignedTake) -> tuple[Finding, ...]:
    return tuple(finding for finding in take.findings if finding.rule == "saturation")


def _tiles(take: AlignedTake) -> WindowsOf:
    """Return the windows of 5 s, one after the other, of all that the take has."""
    starts = range(take.grid.start_ns, take.grid.stop_ns - _LENGTH_NS + 1, _LENGTH_NS)
    positions = tuple(track.position for track in take.imu)
    return WindowsOf("tiles", positions, bool(take.videos), _LENGTH_NS, tuple(starts))
