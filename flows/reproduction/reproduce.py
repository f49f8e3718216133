"""Make a table or figure of a paper anew: from raw data to scores beside the published ones, as one resumable job.

The folder of a reproduction holds `reproduce.json` (what, on which snapshot, every number; written anew after each
run), an ordinary run under `runs/NAME` for each that the table has, and `index.html`. When the same command is given
again, data that was prepared and runs that were judged are kept, and the run that was at work goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensorloom.flows.chosen_encoder import named_spec
from sensorloom.flows.config import Config
from sensorloom.flows.curve_files import curve_name
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.kept_runs import refuse_others
from sensorloom.flows.prepare import Stages, prepare
from sensorloom.flows.reproduction.kept import Kept, kept
from sensorloom.flows.reproduction.origin import origin_of
from sensorloom.flows.reproduction.plans import PlannedRun, Reproduction
from sensorloom.flows.reproduction.tables import (
    FewShot,
    RunTables,
    as_in_paper,
    merged,
    renamed,
)
from sensorloom.flows.slugs import slug
from sensorloom.flows.sweeps.judges import judged
from sensorloom.flows.view_words import splits_of, views_words
from sensorloom.store.repository import Repository
from sensorloom.training.errors import CheckpointError, RunError, StreamError
from sensorloom.training.evaluation.judging import Asked
from sensorloom.training.evaluation.paper_tables import (
    PaperTable,
    class_tables,
    few_shot_tables,
    retrieval_table,
)
from sensorloom.training.replacing import write_whole

if TYPE_CHECKING:
    from sensorloom.training.configs import RunConfig
    from sensorloom.training.evaluation.classification import Tune
    from sensorloom.training.evaluation.judged import Evaluation

__all__ = ["FACTS", "ReproduceOrder", "Reproduced", "reproduce", "to_json"]

FACTS = "reproduce.json"
_RUNS = "runs"
_SPLIT = "test"


@dataclass(frozen=True, slots=True)
class ReproduceOrder:
    """What to make anew, from the raw trees of data sets by their name, into the folder `out`.

    `settings` are those of all runs, `tune` changes how heads are fitted.
    """

    plan: Reproduction
    config: Config
    raw: Mapping[str, Path]
    out: Path
    settings: Mapping[str, str]
    tune: Tune | None = None


@dataclass(frozen=True, slots=True)
class Reproduced:
    """A table or figure made anew, finished or not; `data` says in words what it was measured on."""

    plan: Reproduction
    settings: Mapping[str, str]
    store: str
    snapshot_id: str
    data: str
    trouble: tuple[str, ...]
    runs: tuple[RunTables, ...]

    @property
    def tables(self) -> tuple[PaperTable, ...]:
        """The tables of all runs in one."""
        return merged([table for run in self.runs for table in run.tables])

    @property
    def points(self) -> tuple[FewShot, ...]:
        """The points of the curves of all runs."""
        return tuple(point for run in self.runs for point in run.points)

    @property
    def curves(self) -> tuple[tuple[str, str], ...]:
        """The view and the head of each curve that can be drawn of the points."""
        return tuple(dict.fromkeys((point.view, point.head) for point in self.points))


def reproduce(order: ReproduceOrder, stages: Stages) -> Reproduced:
    """Do what is left of `order` and return the whole.

    A run that fails is told, and the others go on; takes that could not be read are tried again. Raises ConfigError
    where a data set is not there, no encoder is chosen for recorded takes, or the folder holds something else or what
    was made of another snapshot; RecipeError for a setting that a recipe lacks.
    """
    earlier = kept(order.out / FACTS, order.plan.name, order.settings, origin_of(order.config, order.raw))
    snapshot_id, trouble = _prepared(order, earlier, stages)
    configs = _configs(order, snapshot_id)
    refuse_others(order.out, configs)
    done = dict(earlier.runs) if earlier else {}
    report = _write(order, _begun(order, snapshot_id, trouble, configs), done)
    for planned, (run, config) in zip(order.plan.runs, configs.items(), strict=True):
        if planned.name not in done:
            done[planned.name] = _make(order, planned, run, config, stages)
            report = _write(order, report, done)
    return report


def _prepared(order: ReproduceOrder, earlier: Kept | None, stages: Stages) -> tuple[str, tuple[str, ...]]:
    """Return the snapshot to train on and what was left out of it, which is tried again."""
    if earlier is not None and not earlier.trouble:
        return earlier.snapshot_id, ()
    configs = _configs(order, "main").values()
    views = dict.fromkeys((*(config.view for config in configs), *order.plan.views))
    snapshot_id, trouble = prepare(order.config, order.raw, tuple(views), stages)
    if earlier is not None and snapshot_id != earlier.snapshot_id:
        raise ConfigError(
            f"{order.out} was begun on snapshot {earlier.snapshot_id[:12]}, of which something was left out "
            f"({'; '.join(earlier.trouble)}); the data is snapshot {snapshot_id[:12]} by now. Remove "
            f"{order.out / FACTS} and {order.out / _RUNS} to make all anew of it, or name another folder by --out"
        )
    return snapshot_id, trouble


def _configs(order: ReproduceOrder, snapshot: str) -> dict[str, RunConfig]:
    """Return the configuration of each run by its place below the folder."""
    from sensorloom.training.recipes import make_recipe
    from sensorloom.training.settings import apply_settings

    return {
        f"{_RUNS}/{slug(planned.name)}": apply_settings(
            make_recipe(planned.recipe), {**order.settings, **planned.settings, "snapshot": snapshot}
        )
        for planned in order.plan.runs
    }


def _make(
    order: ReproduceOrder, planned: PlannedRun, run: str, config: RunConfig, stages: Stages
) -> RunTables:
    """Train and judge one run."""
    from sensorloom.training.record import load_record
    from sensorloom.training.run import train

    folder, url = order.out / run, order.config.store.url
    try:
        views, left_out = _views(order, config)
        with stages(f"train {planned.name}") as on_progress:
            resume = load_record(folder) is not None
            train(config, url, folder, resume=resume, progress=on_progress)
        asked = Asked(
            protocols=planned.protocols, views=views, spec=named_spec(order.config), tune=order.tune
        )
        with stages(f"evaluate {planned.name}") as on_progress:
            evaluation = judged(folder, _SPLIT, asked, url, on_progress)
    except (RunError, StreamError, CheckpointError) as error:
        return RunTables(planned.name, run, failure=str(error))
    tables = renamed(_tables(order.plan, planned, evaluation), evaluation.name, planned.name)
    left_out |= {**evaluation.left_out, **evaluation.not_judged}
    left_out |= {
        f"{view.view}, {name}": why for view in evaluation.views for name, why in view.left_out.items()
    }
    return RunTables(planned.name, run, tables, tuple(_points(planned, evaluation)), left_out)


def _views(order: ReproduceOrder, config: RunConfig) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the views of the plan that have windows in every split that is needed, and why others have no score.

    Raises RunError where none has.
    """
    repo = Repository.open(order.config.store.url)
    snapshot = repo.resolve(config.snapshot)
    needed = (config.train_split, config.val_split, _SPLIT)
    left_out = {}
    for view in order.plan.views:
        missing = [split for split in needed if split not in splits_of(repo, snapshot, view)]
        if missing:
            left_out[view] = f"no windows in split {', '.join(missing)}"
    if order.plan.views and len(left_out) == len(order.plan.views):
        told = "; ".join(f"{view} has {why}" for view, why in left_out.items())
        raise RunError(f"there is nothing to judge by: {told}")
    return tuple(view for view in order.plan.views if view not in left_out), left_out


def _tables(plan: Reproduction, planned: PlannedRun, evaluation: Evaluation) -> tuple[PaperTable, ...]:
    if plan.layout == "retrieval":
        return as_in_paper(retrieval_table([evaluation]), planned.partner)
    if plan.layout == "classes":
        return class_tables([evaluation])
    return few_shot_tables([evaluation], plan.layout)


def _points(planned: PlannedRun, evaluation: Evaluation) -> Iterator[FewShot]:
    for view in evaluation.views:
        for curve in view.few_shot:
            for point in curve.points:
                yield FewShot(
                    view=view.view,
                    head=curve.head.kind,
                    run=planned.name,
                    share=planned.share,
                    shots=point.shots,
                    accuracy=point.accuracy,
                    error=point.accuracy_error,
                    chance=curve.chance.accuracy,
                )


def _begun(
    order: ReproduceOrder, snapshot_id: str, trouble: tuple[str, ...], configs: Mapping[str, RunConfig]
) -> Reproduced:
    repo = Repository.open(order.config.store.url)
    views = (*(config.view for config in configs.values()), *order.plan.views)
    return Reproduced(
        plan=order.plan,
        settings=dict(order.settings),
        store=order.config.store.url,
        snapshot_id=snapshot_id,
        data=views_words(repo, repo.resolve(snapshot_id), views),
        trouble=trouble,
        runs=(),
    )


def _write(order: ReproduceOrder, report: Reproduced, done: Mapping[str, RunTables]) -> Reproduced:
    """Return the report with the runs that are done, in the order of the plan, and write it down."""
    runs = tuple(done[planned.name] for planned in order.plan.runs if planned.name in done)
    report = replace(report, runs=runs)
    order.out.mkdir(parents=True, exist_ok=True)
    facts = {**to_json(report), "origin": origin_of(order.config, order.raw)}
    text = json.dumps(facts, ensure_ascii=False, indent=1, allow_nan=False)
    write_whole(order.out / FACTS, text + "\n")
    return report


def to_json(report: Reproduced) -> dict[str, Any]:
    """Return the report as plain JSON values, the tables of all runs in one beside those of each."""
    return {
        "reproduction": report.plan.name,
        "title": report.plan.title,
        "settings": dict(report.settings),
        "store": report.store,
        "snapshot_id": report.snapshot_id,
        "data": report.data,
        "trouble": list(report.trouble),
        "tables": [table.facts() for table in report.tables],
        "notes": list(report.plan.notes),
        "curves": [curve_name(f"{view} {head}") for view, head in report.curves],
        "runs": [{**asdict(run), "left_out": dict(run.left_out)} for run in report.runs],
    }
