"""Classify windows by a pretrained encoder, as PRIMUS, AURA-MFM and CroSSL do, each number against chance.

Axes: N windows · C classes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sensorloom.training.fitting import Fitted, FitProgress, FitSettings, Scored, fit, score_examples
from sensorloom.training.metrics import Chance, chance_levels
from sensorloom.training.protocols import (
    PROTOCOLS,
    Bench,
    Contender,
    Paper,
    ProtocolName,
    contenders,
    paper_of,
    refusal,
)

__all__ = [
    "HeadFacts",
    "ProtocolScore",
    "SeedScore",
    "Tune",
    "fit_contender",
    "score_protocol",
    "score_protocols",
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


def score_protocols(
    bench: Bench,
    protocols: Sequence[ProtocolName] = PROTOCOLS,
    *,
    seeds: Sequence[int] = (0,),
    tune: Tune | None = None,
    progress: FitProgress | None = None,
) -> Iterator[ProtocolScore]:
    """Yield the scores of the protocols, each as soon as it is there; those that `refusal` refuses are passed over."""
    for protocol in protocols:
        if refusal(protocol, bench.config, has_texts=bench.say is not None) is None:
            yield from score_protocol(bench, protocol, seeds=seeds, tune=tune, progress=progress)


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
    raise NotImplementedError


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
    raise NotImplementedError


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean of `values`, None of fewer than two."""
    return statistics.stdev(values) / sqrt(len(values)) if len(values) > 1 else None
