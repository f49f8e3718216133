"""Judge a run that was trained without labels: by retrieval on its own view, by classes on every view that fits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sensorloom.embed.encoder import EncoderSpec
from sensorloom.embed.errors import EncoderError
from sensorloom.training.configs import SupervisedConfig
from sensorloom.training.errors import RunError, UnfitError
from sensorloom.training.evaluation.comparison import encoder_words
from sensorloom.training.evaluation.golden_texts import check_golden_texts
from sensorloom.training.evaluation.judged import ClassifiedView, Evaluation
from sensorloom.training.evaluation.judged_view import Speaker, find_views, judge_view
from sensorloom.training.evaluation.judging import ALL, USUAL, Asked, Listen, Steps
from sensorloom.training.evaluation.own_view import OwnView, judge_own_view
from sensorloom.training.evaluation.scales import Scale, find_scales, scale_scores
from sensorloom.training.evaluation.text_encoder import open_text_encoder
from sensorloom.training.loaded import LoadedRun, load_run, open_split
from sensorloom.training.parallel import pick_device
from sensorloom.training.replacing import write_whole
from sensorloom.training.stream import TripletStream

__all__ = [
    "ALL",
    "USUAL",
    "Asked",
    "ClassifiedView",
    "Evaluation",
    "evaluate_run",
    "facts_path",
    "save_evaluation",
]

_USUAL = Asked()


def evaluate_run(
    run_dir: Path | str,
    split: str = "test",
    *,
    asked: Asked = _USUAL,
    store: str | None = None,
    on_progress: Listen | None = None,
) -> Evaluation:
    """Judge the best weights of a run by the windows of `split`; heads are fitted on the split it was trained on.

    Views come from the snapshot of the run, or where that lacks them from the head of its ref. `store` overrides where
    it lies. It is computed on a GPU if this machine has one, wherever the run was trained.

    Raises UnfitError for a run with labels and for a view of `asked.views` that does not fit, RunError for a run that
    is not finished, StreamError where no view has windows of the split.
    """
    loaded = load_run(run_dir, store=store)
    config = loaded.record.config
    if isinstance(config, SupervisedConfig):
        raise UnfitError(
            f"the run in {run_dir} was trained from labels, and its own classifier is judged; leave out protocols, "
            "views and seeds"
        )
    loaded.objective.to(pick_device("auto"))
    sights = _sights(loaded, split, asked)
    views, left_out = sights.views, dict(sights.left_out)
    steps = Steps(asked, len(views), on_progress)
    own = judge_own_view(OwnView(loaded, split), steps, left_out)
    scales = steps.take(
        "scales", config.view, lambda _: scale_scores(loaded, sights.scales, left_out), left_out
    )
    stream = open_split(loaded, config.view, config.train_split, batch_size=1)
    if views:
        steps.tell("open the encoder of texts")
    speaker = _speaker(loaded, stream, asked.spec) if views else Speaker(None)
    judged = [judge_view(loaded, place, split, asked, speaker, steps) for place in views.items()]
    return Evaluation(
        run=str(loaded.run_dir),
        recipe=config.recipe,
        objective=config.objective,
        encoder=encoder_words(config),
        view=config.view,
        snapshot_id=stream.snapshot_id,
        split=split,
        vectors_of=stream.encoder_name,
        scales=scales,
        views=tuple(judged),
        left_out=left_out,
        not_judged=sights.not_judged,
        unfinished=loaded.unfinished,
        **own,
    )


def facts_path(folder: Path, split: str) -> Path:
    """Return where the facts of an evaluation lie in the folder of a run."""
    return folder / f"evaluation-{split}.json"


def save_evaluation(evaluation: Evaluation, folder: Path, more: Mapping[str, Any]) -> Path:
    """Write the facts of an evaluation, and `more`, to `evaluation-<split>.json` in `folder`; return its place."""
    folder.mkdir(parents=True, exist_ok=True)
    path = facts_path(folder, evaluation.split)
    text = json.dumps({**evaluation.facts(), **more}, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(path, text + "\n")
    return path


@dataclass(frozen=True, slots=True)
class _Sights:
    """What is looked at beside the run's own view, and why other views are not.

    `views` with labels, each with its snapshot, and why others are `not_judged`; `scales` of longer windows, and in
    `left_out` why others are none.
    """

    scales: tuple[Scale, ...]
    views: Mapping[str, str]
    left_out: Mapping[str, str]
    not_judged: Mapping[str, str]


def _sights(loaded: LoadedRun, split: str, asked: Asked) -> _Sights:
    """Find the views that the protocols look at.

    Raises UnfitError for a chosen one that does not fit, StreamError where neither they nor the run's own view have
    windows of the split.
    """
    scales, unscored = find_scales(loaded, split, asked.views) if "scales" in asked.protocols else ((), {})
    named = _labelled(asked, [scale.stream.view for scale in scales])
    has_classes = asked.is_of_classes() and (named or not asked.views)
    views, not_judged = find_views(loaded, split, named) if has_classes else ({}, {})
    if not views and not scales:
        open_split(loaded, loaded.record.config.view, split, batch_size=1)
    return _Sights(scales, views, {f"scales, {view}": why for view, why in unscored.items()}, not_judged)


def _labelled(asked: Asked, scales: Sequence[str]) -> tuple[str, ...]:
    """Return the chosen views to tell classes of; raises UnfitError for one that no protocol looks at."""
    named = tuple(view for view in asked.views if view not in scales)
    if named and not asked.is_of_classes():
        raise UnfitError(
            f"no protocol that was asked for looks at view {', '.join(map(repr, named))}: classes need labels, and "
            "scales texts for windows a whole number of times as long as the run's, which "
            f"{', '.join(scales) or 'no view here'} has"
        )
    return named


def _speaker(loaded: LoadedRun, stream: TripletStream, spec: EncoderSpec | None) -> Speaker:
    """Open the encoder of the vectors of the run's own view, to say classes with."""
    try:
        encoder = open_text_encoder(stream.encoder, spec=spec)
        check_golden_texts(stream.encoder_name, _golden(loaded, stream), encoder.encode_texts)
        return Speaker(encoder)
    except (EncoderError, RunError) as error:
        return Speaker(None, str(error))


def _golden(loaded: LoadedRun, stream: TripletStream) -> Mapping[str, NDArray[Any]] | None:
    """Return what the store keeps of the encoder of its vectors, None where it keeps nothing."""
    row = loaded.repo.manifest(loaded.repo.resolve(stream.snapshot_id), "encoders").get(stream.encoder_name)
    return None if row is None else loaded.repo.open_arrays(row)
