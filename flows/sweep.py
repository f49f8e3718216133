"""Train every point of a grid, each an ordinary run in a folder of its own, and keep what is done.

A sweep is a folder: `sweep.json` (what, on which snapshot, every score; written anew after each point), a run a point
and seed under `RECIPE/SETTINGS/seed-N`, an SVG a score and `index.html`. A sweep that was killed goes on when the same
command is given again: finished points are kept, the one that was at work goes on from its last checkpoint, and all
read the snapshot that the first one read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sensorloom.flows.errors import ConfigError
from sensorloom.flows.kept_runs import refuse_others
from sensorloom.flows.replacing import replacing
from sensorloom.flows.sweep_grid import Grid, Variant
from sensorloom.flows.sweep_report import PointResult, Score, SweepReport, to_json
from sensorloom.flows.view_words import views_words
from sensorloom.flows.work import Progress
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository

if TYPE_CHECKING:
    from sensorloom.training.configs import RunConfig
    from sensorloom.training.run import RunResult

__all__ = ["FACTS", "Judge", "SweepOrder", "run_sweep"]

FACTS = "sweep.json"
_SEED, _SNAPSHOT = "seed", "snapshot"
_LONG_NAME = 100


@dataclass(frozen=True, slots=True)
class Judge:
    """What the scores of a finished run are; `name` says it in words, `views` which it looks at beside the run's."""

    name: str
    scores: Callable[[RunResult], Mapping[str, Score]]
    views: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SweepOrder:
    """What to train `seeds` times each, with which `settings` at every point, from which store, into which folder."""

    grid: Grid
    seeds: int
    settings: Mapping[str, str]
    store: str
    out: Path
    judge: Judge


@dataclass(frozen=True, slots=True)
class _Point:
    variant: Variant
    seed: int
    config: RunConfig
    run: str


def run_sweep(order: SweepOrder, on_progress: Progress | None = None) -> SweepReport:
    """Train and judge what is not done yet, and return the whole sweep.

    A point whose loss leaves the finite range, or whose folder is damaged, is told as failed, and the others go on.
    Raises RecipeError for a setting that a recipe does not have, ConfigError where the folder holds runs of other
    settings or another sweep, StreamError for a view that is not there: all before anything is trained.
    """
    repo = Repository.open(order.store)
    earlier = _earlier(order)
    snapshot = repo.resolve(earlier["snapshot_id"] if earlier else order.settings.get(_SNAPSHOT, "main"))
    points = list(_points(order, snapshot))
    refuse_others(order.out, {point.run: point.config for point in points})
    scores = _kept(earlier, order)
    results = {each.run: _result(each, scores[each.run]) for each in points if each.run in scores}
    begun = _begun(order, repo, snapshot, points)
    report = _write(order.out, begun, points, results)
    for number, point in enumerate(points):
        if point.run not in results:
            results[point.run] = _train(order, point, _teller(on_progress, point, number, len(points)))
            report = _write(order.out, begun, points, results)
    if on_progress is not None:
        on_progress("", len(points), len(points))
    return report


def _points(order: SweepOrder, snapshot: Snapshot) -> Iterator[_Point]:
    """Yield every variant with every seed; variants that a default makes alike share one run."""
    from sensorloom.training.configs import config_to_json
    from sensorloom.training.recipes import make_recipe
    from sensorloom.training.settings import apply_settings

    for variant in order.grid.variants:
        base = apply_settings(make_recipe(variant.recipe), {**order.settings, _SNAPSHOT: snapshot.id})
        varied = apply_settings(base, variant.settings)
        before = config_to_json(base)
        changed = {key: value for key, value in config_to_json(varied).items() if value != before[key]}
        name = _name(changed, variant)
        for seed in range(base.seed, base.seed + order.seeds):
            config = apply_settings(varied, {_SEED: str(seed)})
            yield _Point(variant, seed, config, f"{variant.recipe}/{name}/seed-{seed}")


def _name(changed: Mapping[str, object], variant: Variant) -> str:
    """Return the name of the folder of a variant by what it changes, or of much by what was asked and a digest."""
    name = quote(",".join(f"{key}={value}" for key, value in sorted(changed.items())), safe="=,+ ")
    if len(name) > _LONG_NAME:
        asked = quote(",".join(f"{key}={value}" for key, value in variant.settings.items()), safe="=,+ ")
        name = f"{asked[:_LONG_NAME]}-{sha256(name.encode()).hexdigest()[:8]}"
    return name or "as-it-is"


def _train(order: SweepOrder, point: _Point, tell: Callable[[str, int, int], None]) -> PointResult:
    from sensorloom.training.errors import CheckpointError
    from sensorloom.training.errors import RunError as TrainingRunError
    from sensorloom.training.record import load_record
    from sensorloom.training.run import train

    folder = order.out / point.run
    try:
        resume = load_record(folder) is not None
        result = train(point.config, order.store, folder, resume=resume, progress=tell)
        return _result(point, dict(order.judge.scores(result)))
    except (TrainingRunError, CheckpointError) as error:
        return _result(point, {}, str(error))


def _result(point: _Point, scores: Mapping[str, Score], failure: str = "") -> PointResult:
    variant = point.variant
    return PointResult(
        line=variant.line,
        x=variant.x,
        recipe=variant.recipe,
        settings=dict(variant.settings),
        seed=point.seed,
        run=point.run,
        scores=scores,
        failure=failure,
    )


def _begun(order: SweepOrder, repo: Repository, snapshot: Snapshot, points: Sequence[_Point]) -> SweepReport:
    views = (*(point.config.view for point in points), *order.judge.views)
    return SweepReport(
        grid=order.grid,
        seeds=tuple(sorted({point.seed for point in points})),
        settings=dict(order.settings),
        store=order.store,
        snapshot_id=snapshot.id,
        data=views_words(repo, snapshot, views),
        judged_by=order.judge.name,
        points=(),
    )


def _teller(
    on_progress: Progress | None, point: _Point, number: int, total: int
) -> Callable[[str, int, int], None]:
    def tell(line: str, _: int, __: int) -> None:
        if on_progress is not None:
            on_progress(f"{point.run}: {line}", number, total)

    return tell


def _write(
    out: Path, begun: SweepReport, points: Sequence[_Point], results: Mapping[str, PointResult]
) -> SweepReport:
    """Return the sweep with what is known by now, and write it down; points may share a run."""
    known = [(point, results[point.run]) for point in points if point.run in results]
    report = replace(
        begun, points=tuple(_result(point, found.scores, found.failure) for point, found in known)
    )
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(to_json(report), ensure_ascii=False, indent=1, allow_nan=False)
    with replacing(out / FACTS) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    return report


def _earlier(order: SweepOrder) -> dict[str, Any] | None:
    """Return what the folder says of the sweep begun there, None where there is none. Raises ConfigError."""
    path = order.out / FACTS
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        right = isinstance(found["points"], list) and isinstance(found["snapshot_id"], str)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"cannot read {path}: {error!r}; remove it, the runs beside it are kept") from error
    if not right or found.get("sweep") != order.grid.name:
        raise ConfigError(
            f"{order.out} holds the sweep {found.get('sweep')!r}, not {order.grid.name!r}; name another folder by --out"
        )
    return dict(found)


def _kept(earlier: Mapping[str, Any] | None, order: SweepOrder) -> dict[str, dict[str, Score]]:
    """Return the scores of the runs that are done, by the run; none where they were judged otherwise."""
    if earlier is None or earlier.get("judged_by") != order.judge.name:
        return {}
    return {
        point["run"]: {name: Score(**score) for name, score in point["scores"].items()}
        for point in earlier["points"]
        if not point["failure"] and (order.out / point["run"]).is_dir()
    }
