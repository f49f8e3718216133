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
from sensorloom.flows.sweeps.grid import Grid, Variant
from sensorloom.flows.sweeps.needs import check_needs
from sensorloom.flows.sweeps.report import PointResult, Score, SweepReport, to_json
from sensorloom.flows.view_words import views_words
from sensorloom.flows.work import Progress
from sensorloom.store.manifest import Snapshot
from sensorloom.store.repository import Repository
from sensorloom.training.replacing import write_whole

if TYPE_CHECKING:
    from sensorloom.training.configs import RunConfig
    from sensorloom.training.run import RunResult

__all__ = ["FACTS", "Judge", "SweepOrder", "run_sweep"]

FACTS = "sweep.json"
_SEED, _SNAPSHOT = "seed", "snapshot"
_LONG_NAME = 100


@dataclass(frozen=True, slots=True)
class Judge:
    """What the scores of a finished run are; `name` says it in words, `views` which it looks at beside the run's.

    `split` is what it scores there and on the run's own view, None where it reads no split but the run's.
    """

    name: str
    scores: Callable[[RunResult], Mapping[str, Score]]
    views: tuple[str, ...] = ()
    split: str | None = None


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


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What an earlier call left in the folder: the scores of the runs that are done and still there, by the run."""

    snapshot_id: str
    judged_by: str
    scores: Mapping[str, Mapping[str, Score]]


def run_sweep(order: SweepOrder, on_progress: Progress | None = None) -> SweepReport:
    """Train and judge what is not done yet, and return the whole sweep.

    A point whose loss leaves the finite range, whose folder is damaged or whose windows cannot be streamed is told as
    failed, and the others go on. Raises RecipeError for a setting that a recipe does not have, ConfigError where the
    folder holds runs of other settings or another sweep, and for a view or a split that is not there: all before
    anything is trained.
    """
    repo = Repository.open(order.store)
    earlier = _earlier(order)
    snapshot = repo.resolve(earlier.snapshot_id if earlier else order.settings.get(_SNAPSHOT, "main"))
    points = list(_points(order, snapshot))
    refuse_others(order.out, {point.run: point.config for point in points})
    check_needs(repo, snapshot, _needs(points, order.judge))
    scores = earlier.scores if earlier and earlier.judged_by == order.judge.name else {}
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


def _needs(points: Sequence[_Point], judge: Judge) -> dict[str, list[str]]:
    """Return the splits of each view that are read: those of the runs, and by the judge the one it scores as well."""
    needs: dict[str, list[str]] = {}
    for config in (point.config for point in points):
        splits = [config.train_split, config.val_split, *([judge.split] if judge.split else [])]
        for view in (config.view, *judge.views):
            needs.setdefault(view, []).extend(splits)
    return needs


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
    from sensorloom.training.errors import CheckpointError, StreamError
    from sensorloom.training.errors import RunError as TrainingRunError
    from sensorloom.training.record import load_record
    from sensorloom.training.run import train

    folder = order.out / point.run
    try:
        resume = load_record(folder) is not None
        result = train(point.config, order.store, folder, resume=resume, progress=tell)
        return _result(point, dict(order.judge.scores(result)))
    except (TrainingRunError, CheckpointError, StreamError) as error:
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
    write_whole(out / FACTS, text + "\n")
    return report


def _earlier(order: SweepOrder) -> _Earlier | None:
    """Return what the folder says of the sweep begun there, None where there is none. Raises ConfigError."""
    path = order.out / FACTS
    if not path.exists():
        return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        found = _Earlier(str(facts["snapshot_id"]), str(facts["judged_by"]), dict(_kept(order.out, facts)))
        name = facts["sweep"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"cannot read {path}, which is damaged or of another version: {error!r}; remove it, the runs beside it "
            "are kept"
        ) from error
    if name != order.grid.name:
        raise ConfigError(
            f"{order.out} holds the sweep {name!r}, not {order.grid.name!r}; name another folder by --out"
        )
    return found


def _kept(out: Path, facts: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Score]]]:
    for point in facts["points"]:
        scores = {name: _score(told) for name, told in point["scores"].items()}
        if not point["failure"] and (out / point["run"]).is_dir():
            yield point["run"], scores


def _score(told: Mapping[str, Any]) -> Score:
    chance = told["chance"]
    return Score(float(told["value"]), None if chance is None else float(chance))
