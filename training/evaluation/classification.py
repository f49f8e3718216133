"""Classify windows by a pretrained encoder, as PRIMUS, AURA-MFM and CroSSL do, each number against chance.

Axes: N windows · C classes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sensorloom.training.evaluation.fitting import (
    FitProgress,
    FitSettings,
    Fitted,
    Scored,
    fit,
    score_examples,
)
from sensorloom.training.evaluation.labelled import Bench, labelled_rows
from sensorloom.training.evaluation.protocols import Contender, Paper, ProtocolName, contenders, paper_of
from sensorloom.training.metrics import Chance, chance_levels

__all__ = [
    "HeadFacts",
    "ProtocolScore",
    "SeedScore",
    "Tune",
    "fit_contender",
    "head_facts",
    "score_protocol",
    "standard_error",
]

Tune = Callable[[FitSettings], FitSettings]
"""Changes the settings of each fit, such as `lambda s: replace(s, learning_rate=1e-3)` for little data."""


@dataclass(frozen=True, slots=True)
class HeadFacts:
    """Which head it was, how its texts said the classes, whose they are, and how it was fitted.

    `wording` and `texts_by` are None for a head without texts, `settings` where nothing was trained. `trained` is what
    learned: "nothing", "head" or "all".
    """

    kind: str
    trained: str
    wording: str | None
    texts_by: str | None
    settings: FitSettings | None


@dataclass(frozen=True, slots=True)
class SeedScore:
    """One fit: its scores on the scored windows, and the epoch (from 0) that the validation windows chose.

    Of what is not trained there is no epoch and no `val_accuracy`.
    """

    seed: int
    macro_f1: float
    accuracy: float
    best_epoch: int | None = None
    val_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class ProtocolScore:
    """The score of one protocol with one head: means over `seeds`, and the standard errors of these means.

    Errors are None of one seed. `confusion` int64[C, C] has true classes in rows and adds up all seeds. `windows` are
    those with a label that were scored, `train_windows` those that it learned from, 0 of none. `chance` is that of the
    scored windows.
    """

    protocol: ProtocolName
    paper: Paper
    view: str
    split: str
    classes: tuple[str, ...]
    head: HeadFacts
    macro_f1: float
    accuracy: float
    macro_f1_error: float | None
    accuracy_error: float | None
    confusion: NDArray[np.int64]
    chance: Chance
    windows: int
    train_windows: int
    seeds: tuple[SeedScore, ...]

    def facts(self) -> dict[str, Any]:
        """Return the score as plain JSON values."""
        plain = ("protocol", "paper", "view", "split", "macro_f1", "accuracy", "macro_f1_error")
        more = ("accuracy_error", "windows", "train_windows")
        return {
            **{name: getattr(self, name) for name in (*plain, *more)},
            "classes": list(self.classes),
            "head": asdict(self.head),
            "chance": asdict(self.chance),
            "seeds": [asdict(seed) for seed in self.seeds],
            "confusion": self.confusion.tolist(),
        }


def score_protocol(
    bench: Bench,
    protocol: ProtocolName,
    *,
    seeds: Sequence[int] = (0,),
    tune: Tune | None = None,
    progress: FitProgress | None = None,
) -> Iterator[ProtocolScore]:
    """Yield the score of each head of a protocol (see `contenders`), fitted once for each seed.

    Raises RunError where the protocol makes no sense for the run, or a split has no window with a label.
    """
    for contender in contenders(bench, protocol):
        told = contender.texts.wording if contender.texts else None
        title = f"{protocol}, {contender.head}" + (f" ({told})" if told else "")
        fits = []
        for seed in seeds if contender.settings else seeds[:1]:
            heading = f"{title}, seed {seed}" if len(seeds) > 1 else title
            fits.append(
                (
                    seed,
                    *fit_contender(
                        bench, contender, seed=seed, tune=tune, progress=_under(heading, progress)
                    ),
                )
            )
        yield _summed(bench, protocol, contender, fits, tune)


def fit_contender(
    bench: Bench,
    contender: Contender,
    *,
    seed: int,
    chosen: Tensor | None = None,
    tune: Tune | None = None,
    progress: FitProgress | None = None,
) -> tuple[Scored, Fitted | None]:
    """Fit a contender to the training windows, or to the `chosen` rows of them, and score it; None of no fit."""
    test = bench.examples("test", whole=contender.whole)
    if contender.settings is None:
        return score_examples(contender.make().to(bench.device), test), None
    fitted = fit(
        contender.make,
        bench.examples("train", whole=contender.whole, chosen=chosen),
        bench.examples("val", whole=contender.whole),
        tune(contender.settings) if tune else contender.settings,
        seed=seed,
        device=bench.device,
        progress=progress,
    )
    return score_examples(fitted.model, test), fitted


def head_facts(contender: Contender, tune: Tune | None = None) -> HeadFacts:
    """Return what a reader is to know of a contender, fitted with settings that `tune` changed."""
    texts, settings = contender.texts, contender.settings
    return HeadFacts(
        kind=contender.head,
        trained="nothing" if settings is None else "all" if contender.whole else "head",
        wording=texts.wording if texts else None,
        texts_by=texts.encoder if texts else None,
        settings=tune(settings) if tune and settings else settings,
    )


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean of `values`, None of fewer than two."""
    return statistics.stdev(values) / sqrt(len(values)) if len(values) > 1 else None


def _summed(
    bench: Bench,
    protocol: ProtocolName,
    contender: Contender,
    fits: Sequence[tuple[int, Scored, Fitted | None]],
    tune: Tune | None,
) -> ProtocolScore:
    seeds = tuple(_seed_score(seed, scored, fitted) for seed, scored, fitted in fits)
    f1s, accuracies = [each.macro_f1 for each in seeds], [each.accuracy for each in seeds]
    confusion = np.sum([scored.confusion for _, scored, _ in fits], axis=0)
    labelled = bench.labelled
    learns = contender.settings is not None
    return ProtocolScore(
        protocol=protocol,
        paper=paper_of(bench.config, labelled.view),
        view=labelled.view,
        split=labelled.features["test"].split,
        classes=labelled.classes,
        head=head_facts(contender, tune),
        macro_f1=statistics.fmean(f1s),
        accuracy=statistics.fmean(accuracies),
        macro_f1_error=standard_error(f1s),
        accuracy_error=standard_error(accuracies),
        confusion=confusion,
        chance=chance_levels(confusion),
        windows=int(confusion.sum()) // len(seeds),
        train_windows=len(labelled_rows(labelled.features["train"])) if learns else 0,
        seeds=seeds,
    )


def _seed_score(seed: int, scored: Scored, fitted: Fitted | None) -> SeedScore:
    if fitted is None:
        return SeedScore(seed, scored.macro_f1, scored.accuracy)
    return SeedScore(seed, scored.macro_f1, scored.accuracy, fitted.best_epoch, fitted.val.accuracy)


def _under(heading: str, progress: FitProgress | None) -> FitProgress | None:
    return progress and (lambda line, done, total: progress(f"{heading}: {line}", done, total))
