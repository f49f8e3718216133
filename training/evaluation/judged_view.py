"""Judge a run on views with labels: which of them its encoder can take, and how well it tells their classes apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sensorloom.training.errors import RunError, StreamError, UnfitError
from sensorloom.training.evaluate import describe_split
from sensorloom.training.evaluation.class_texts import encode_class_texts
from sensorloom.training.evaluation.classification import ProtocolScore, score_protocol
from sensorloom.training.evaluation.embeddings import EmbeddedSplit
from sensorloom.training.evaluation.few_shot import FewShotCurve, few_shot_curves
from sensorloom.training.evaluation.fitting import FitProgress
from sensorloom.training.evaluation.judged import ClassifiedView
from sensorloom.training.evaluation.judging import Asked, Steps
from sensorloom.training.evaluation.labelled import Bench, labelled_rows, open_labelled, without_sensors
from sensorloom.training.evaluation.protocols import PROTOCOLS, ProtocolName, refusal
from sensorloom.training.evaluation.robustness import PositionScores, position_scores
from sensorloom.training.evaluation.text_encoder import TextEncoder
from sensorloom.training.loaded import LoadedRun, open_split, snapshots_of_views
from sensorloom.training.streaming.shards import OpenView

__all__ = ["Speaker", "find_views", "judge_view"]


@dataclass(frozen=True, slots=True)
class Speaker:
    """The encoder that says classes in words, or why there is none."""

    encoder: TextEncoder | None
    reason: str = ""


def find_views(loaded: LoadedRun, split: str, chosen: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the views with labels to judge a run on, each with its snapshot, and why others are not among them.

    All of the run's snapshot and of the head of its ref, or those that were `chosen`, whatever they cost. Raises
    UnfitError for a chosen view that has no labels or whose windows do not fit the run's encoder, which names those
    that fit, StreamError for one that is not there.
    """
    snapshots = snapshots_of_views(loaded)
    found, refused = {}, {}
    for view in chosen or sorted(snapshots):
        snapshot = snapshots.get(view, loaded.record.snapshot_id)
        if not chosen and not _classes(loaded, view, snapshot):
            continue
        try:
            _check_view(loaded, view, snapshot, split)
            found[view] = snapshot
        except (UnfitError, StreamError) as error:
            if not chosen:
                refused[view] = str(error)
            elif isinstance(error, UnfitError):
                raise UnfitError(f"{error}; {_fitting(loaded, split)}") from error
            else:
                raise
    return found, refused


def _fitting(loaded: LoadedRun, split: str) -> str:
    fitting, _ = find_views(loaded, split, ())
    return f"of this store {', '.join(fitting) or 'no view with labels'} would fit"


def _check_view(loaded: LoadedRun, view: str, snapshot: str, split: str) -> None:
    """Raise unless a view has labels, the splits that are needed, and windows that the run's encoder takes."""
    if not _classes(loaded, view, snapshot):
        raise UnfitError(f"view {view!r} has no labels; choose one that has (har-…, crossl-…)")
    for each in (loaded.record.config.train_split, loaded.record.config.val_split, split):
        open_split(loaded, view, each, batch_size=1, snapshot=snapshot)


def judge_view(
    loaded: LoadedRun, place: tuple[str, str], split: str, asked: Asked, speaker: Speaker, steps: Steps
) -> ClassifiedView:
    """Judge a run on a view of a snapshot, its `place`, by all protocols of classes that were asked for."""
    view, snapshot = place
    config, device = loaded.record.config, loaded.device
    splits = (config.train_split, config.val_split, split)
    steps.tell(f"embed {view}")
    labelled = open_labelled(loaded, view, splits=splits, snapshot=snapshot, device=device)
    test, fit = labelled.streams["test"], labelled.streams["train"]
    say = None if speaker.encoder is None else partial(encode_class_texts, labelled.classes, speaker.encoder)
    bench = Bench(loaded, labelled, say, device)
    data = describe_split(loaded.repo, test, fit)
    own = [open_split(loaded, config.view, each) for each in (config.train_split, config.val_split)]
    pretrained = describe_split(loaded.repo, test, *own)
    left_out: dict[str, str] = {}
    scores: list[ProtocolScore] = []
    for name in PROTOCOLS:
        make = partial(_scores, bench, name, asked, speaker)
        scores += steps.take(name, view, make, left_out)
    return ClassifiedView(
        view=view,
        snapshot_id=test.snapshot_id,
        split=split,
        data=data.words,
        windows=data.windows,
        classes=labelled.classes,
        shared_participants=data.shared_participants,
        pretrained_takes=pretrained.shared_takes,
        pretrained_participants=pretrained.shared_participants,
        scores=tuple(scores),
        few_shot=steps.take("few-shot", view, partial(_curves, bench, asked), left_out),
        positions=steps.take("positions", view, partial(_positions, bench), left_out),
        left_out=left_out,
        without_sensors={
            each.split: count for each in labelled.features.values() if (count := without_sensors(each))
        },
    )


def _scores(
    bench: Bench, name: ProtocolName, asked: Asked, speaker: Speaker, progress: FitProgress
) -> Iterable[ProtocolScore]:
    reason = refusal(name, bench.config, has_texts=bench.say is not None)
    if reason is not None:
        lacks_texts = refusal(name, bench.config, has_texts=True) is None
        raise RunError(f"{reason} ({speaker.reason})" if lacks_texts and speaker.reason else reason)
    if name != "zero-shot":
        _check_unseen(bench, ("train", "val"))
        _check_taught(bench)
    return score_protocol(bench, name, seeds=range(asked.seeds), tune=asked.tune, progress=progress)


def _curves(bench: Bench, asked: Asked, progress: FitProgress) -> Iterable[FewShotCurve]:
    _check_unseen(bench, ("train", "val"))
    _check_taught(bench)
    return few_shot_curves(bench, tune=asked.tune, progress=progress)


def _positions(bench: Bench, _: FitProgress) -> Iterable[PositionScores]:
    _check_unseen(bench, ("train",))
    _check_taught(bench)
    streams = bench.labelled.streams
    return position_scores(bench.loaded.objective, streams["train"], streams["test"], bench.device)


def _check_unseen(bench: Bench, roles: Iterable[str]) -> None:
    """Raise RunError if the scored split is one that something is fitted to (train) or its epoch chosen by (val)."""
    streams = bench.labelled.streams
    scored = streams["test"].split
    for role in roles:
        if streams[role].split == scored:
            way = "fitted to" if role == "train" else "chosen by"
            raise RunError(
                f"what learns is {way} split {scored!r} itself, so its score there says nothing of other windows; "
                "score it on a split that is not learned from, such as test"
            )


def _check_taught(bench: Bench) -> None:
    """Raise RunError where heads learn no class that the scored split has: they are wrong whatever the encoder."""
    taught, scored = (_classes_in(bench.labelled.features[role]) for role in ("train", "test"))
    if scored and not taught & scored:
        split, learned = (bench.labelled.streams[role].split for role in ("test", "train"))
        names = ", ".join(bench.labelled.classes[at] for at in sorted(scored))
        raise RunError(
            f"all labelled windows of split {split!r} are of {names}, and split {learned!r}, which heads are fitted "
            "to, has none of those, so a score says nothing; split so that classes are in both (`[split]` of the TOML)"
        )


def _classes_in(split: EmbeddedSplit) -> set[int]:
    return {*split.label_N[labelled_rows(split)].tolist()}


def _classes(loaded: LoadedRun, view: str, snapshot: str) -> Sequence[str]:
    """Return the classes that a view was built with, none where it has no windows."""
    opened = OpenView(loaded.repo, snapshot, view)
    if not opened.roots:
        return ()
    told: Mapping[str, Any] = opened.attribute("view", [0]) or {}
    classes: Sequence[str] = told.get("classes", ())
    return classes
