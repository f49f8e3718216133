"""A report of the largest size that must stay usable, made by hand; every number is invented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sensorloom.flows.audit.report import DatasetFacts, Report
from sensorloom.flows.audit.report_takes import PairFacts, ShiftFacts, TakeFacts
from sensorloom.flows.audit.report_windows import FramePicture
from sensorloom.flows.audit.verdict import judge
from tests.flows.pictured import pair, picture, pictured, point, trace, vectors
from tests.flows.reports import dataset, rule, view


def large(num_takes: int = 5000, num_windows: int = 250_000) -> Report:
    """Return a report of the largest size that must stay usable: four data sets, all their pairs and pictures."""
    generator = np.random.default_rng(0)
    names = ("pamap2", "realworld", "ego4d", "egoexo4d")
    rules = ("gaps", "jitter", "stall-and-burst", "sync-shifted", "window-saturated", "text-far")
    verdicts = ("aligned", "shifted", "drifting", "unknown", "none")
    takes = tuple(
        TakeFacts(
            f"{names[index % 4]}/{index:08x}-3f1c-4a55-9f6e-{index:012x}",
            names[index % 4],
            float(generator.uniform(60, 3600)),
            *(int(value) for value in generator.poisson((0.2, 2, 5))),
            num_windows // num_takes,
            rules[index % len(rules)],
            verdicts[int(generator.integers(5))],  # type: ignore[arg-type]
            f"takes/{names[index % 4]}-{index:08x}.html" if index % 50 == 0 else None,
        )
        for index in range(num_takes)
    )
    pairs = tuple(
        _large_pair(name, second, [item.take_id for item in takes if item.dataset == name], generator)
        for name in names
        for second in ("chest", "ankle", "head", "thigh")
    )
    pictures = tuple(
        picture(
            f"{name}/{index}@40000000000+5000000000",
            dataset=name,
            take_id=takes[index].take_id,
            score=5.0 - index / 4,
            traces=tuple(
                trace(position, kind, seed=10 * index + place)
                for place, position in enumerate(("head", "imu-left", "imu-right", "chest"))
                for kind in ("accelerometer", "gyroscope")
            ),
            frames=tuple(FramePicture("ego", at, generator.bytes(12_000)) for at in (40.0, 42.5, 45.0)),
        )
        for name in names
        for index in range(12)
    )
    views = tuple(
        view(f"view-{name}", datasets=(name,), windows=num_windows // 4, **vectors()) for name in names
    )
    found = tuple(
        rule(found, severity, dataset=name)
        for name in names
        for found, severity in (("stuck-axis", "error"), ("gaps", "warning"))
    )
    return judged(
        pictured(
            datasets=tuple(map(dataset, names)),
            rules=found,
            views=views,
            takes=takes,
            pairs=pairs,
            worst=pictures,
        )
    )


def judged(whole: Report) -> Report:
    """Return `whole` with data sets that tell of the takes in it, and the verdicts that follow."""
    return replace(whole, datasets=tuple(_judged(facts, whole) for facts in whole.datasets))


def _judged(facts: DatasetFacts, whole: Report) -> DatasetFacts:
    rules = [one for one in whole.rules if one.dataset == facts.dataset]
    pairs = [one for one in whole.pairs if one.dataset == facts.dataset]
    takes = [one for one in whole.takes if one.dataset == facts.dataset]
    told = replace(
        facts,
        takes=len(takes),
        takes_with_errors=sum(one.errors > 0 for one in takes),
        error_rules=tuple(one.rule for one in rules if one.severity == "error"),
    )
    views = [one for one in whole.views if facts.dataset in one.datasets]
    return replace(told, verdict=judge(told, views, rules, pairs))


def _large_pair(dataset: str, second: str, ids: list[str], generator: np.random.Generator) -> PairFacts:
    offsets = np.sort(generator.standard_t(2, len(ids)) * 12)
    off = np.abs(offsets[np.abs(offsets) > 50])
    points = [
        point(take_id, round(float(offset), 2), "shifted" if abs(offset) > 50 else "aligned")
        for take_id, offset in zip(ids, offsets, strict=True)
    ]
    return pair(
        dataset=dataset,
        second=second,
        takes=len(ids),
        aligned=len(ids) - len(off),
        shifted=len(off),
        drifting=0,
        unknown=0,
        median_offset_ms=float(np.median(offsets)),
        shift=ShiftFacts(
            int((offsets < -50).sum()), int((offsets > 50).sum()), *np.percentile(off, (0, 50, 100)).tolist()
        )
        if len(off)
        else None,
        most_drift_ppm=None,
        points=tuple(sorted(points, key=lambda one: -abs(one.offset_ms or 0))[:500]),
    )
