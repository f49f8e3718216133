"""Fit a classifier to labelled windows: the optimisers, schedules and choices of the best epoch of three papers.

All steps of an epoch come in an order of the seed; the last batch is as small as what is left. Ours are the batch and
the most epochs of CroSSL's classifier, of which the published code has an end by patience alone. Published rates are
for thousands of windows: of the hundreds of a generated miniature 20 epochs are 20 small steps, so there say
`replace(PRIMUS_FIT, batch_size=16, learning_rate=1e-3)`.

Axes: B windows of a batch · N windows · C classes · D width of the features.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from sensorloom.training.errors import RecipeError, RunError
from sensorloom.training.metrics import accuracy, confusion_matrix, macro_f1
from sensorloom.training.schedule import learning_rate
from sensorloom.training.settings import check_config

__all__ = [
    "AURA_FIT",
    "CROSSL_FIT",
    "PRIMUS_FIT",
    "Examples",
    "FeatureRows",
    "FitProgress",
    "FitSettings",
    "Fitted",
    "Scored",
    "fit",
    "score_examples",
]

Schedule = Literal["constant", "warm-up and cosine"]
ChooseBy = Literal["accuracy", "macro-F1", "loss"]
FitProgress = Callable[[str, int, int], None]
"""Called after each look at the validation windows: a line to show, the epochs done, the most there will be."""

_EVAL_BATCH = 1024
_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How a classifier is fitted, by AdamW and cross-entropy.

    `warm-up and cosine` is `schedule.learning_rate`. Every `validate_every` epochs, and after the last, the validation
    windows are looked at; the weights that are best by `choose_by` stay, the earliest of equals. Equal macro-F1 is told
    apart by accuracy. After `patience` looks without a better one it ends early, never with 0. Raises RecipeError.
    """

    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int
    choose_by: ChooseBy
    amsgrad: bool = False
    schedule: Schedule = "constant"
    validate_every: int = 1
    patience: int = 0

    def __post_init__(self) -> None:
        check_config(self)
        for name, least in (("validate_every", 1), ("patience", 0)):
            if getattr(self, name) < least:
                raise RecipeError(f"{name} must be at least {least}, got {getattr(self, name)}")


PRIMUS_FIT = FitSettings(
    learning_rate=1e-4,
    weight_decay=1e-4,
    batch_size=256,
    epochs=20,
    choose_by="accuracy",
    schedule="warm-up and cosine",
    validate_every=5,
)
"""PRIMUS's probe and its standard training [methods §1.7]."""

AURA_FIT = FitSettings(
    learning_rate=5e-5, weight_decay=1e-3, batch_size=1024, epochs=100, choose_by="macro-F1", amsgrad=True
)
"""AURA-MFM's transfer and fine-tuning [methods §2.7]."""

CROSSL_FIT = FitSettings(
    learning_rate=1e-4, weight_decay=0.0, batch_size=256, epochs=200, choose_by="loss", patience=5
)
"""CroSSL's classifier: Adam, which is AdamW without decay, until the loss has not been less five times [methods §3]."""


class Examples(Protocol):
    """Windows that all have a label, and what a classifier takes of them."""

    @property
    def labels(self) -> Tensor:
        """Indices of classes, int64[N], on the CPU."""

    def take(self, row_B: Tensor) -> Any:
        """Return what the classifier takes of these rows, int64[B], on its device."""


@dataclass(frozen=True, slots=True)
class FeatureRows:
    """Features float32[N, D] of a frozen encoder, and their labels int64[N]; ValueError where they do not match."""

    feature_ND: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.feature_ND.ndim != 2 or self.labels.shape != self.feature_ND.shape[:1]:
            raise ValueError(
                f"features [N, D] need labels [N], got {list(self.feature_ND.shape)} and {list(self.labels.shape)}"
            )

    def take(self, row_B: Tensor) -> Tensor:
        """Return the features [B, D] of these rows."""
        return self.feature_ND[row_B]


@dataclass(frozen=True, slots=True)
class Scored:
    """How a classifier does on some windows: `confusion` int64[C, C], true classes in rows, and mean cross-entropy."""

    confusion: NDArray[np.int64]
    loss: float

    @property
    def accuracy(self) -> float:
        """Share of windows that it calls right."""
        return accuracy(self.confusion)

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that occur or are called."""
        return macro_f1(self.confusion)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted classifier in evaluation mode with its best weights, of `best_epoch` (from 0) of so many `epochs`.

    `val` is how it did on the validation windows then, `train_loss` the mean of the last epoch.
    """

    model: nn.Module
    best_epoch: int
    epochs: int
    val: Scored
    train_loss: float


def fit(
    make: Callable[[], nn.Module],
    train: Examples,
    val: Examples,
    settings: FitSettings,
    *,
    seed: int = 0,
    device: torch.device = _CPU,
    progress: FitProgress | None = None,
) -> Fitted:
    """Fit the classifier that `make` gives, from inputs to logits [B, C], to `train`, and choose by `val`.

    The same seed gives the same numbers, to the last bit on a CPU; the caller's random state stays. Raises RunError
    where there is nothing to learn from or to choose by, and where the loss leaves the finite range.
    """
    for name, examples in (("training", train), ("validation", val)):
        if not len(examples.labels):
            raise RunError(f"the {name} split has no window with a label; choose a view and splits that have")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return _Fit(make().to(device), settings, train, seed).run(val, progress)


@dataclass(frozen=True, slots=True)
class _Best:
    """The best look so far; less than any before the first, which the last epoch always has."""

    merit: tuple[float, ...] = ()
    epoch: int = -1
    val: Scored = Scored(np.zeros((0, 0), np.int64), math.nan)
    weights: Mapping[str, Tensor] = field(default_factory=dict)


class _Fit:
    """One fit under way."""

    def __init__(self, model: nn.Module, settings: FitSettings, train: Examples, seed: int) -> None:
        self.model, self.settings, self.train = model, settings, train
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(
            weights,
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            amsgrad=settings.amsgrad,
        )
        self.order = torch.Generator().manual_seed(seed)
        self.step = 0
        self.total_steps = settings.epochs * math.ceil(len(train.labels) / settings.batch_size)

    def run(self, val: Examples, progress: FitProgress | None) -> Fitted:
        """Go through the epochs, and take the best weights back."""
        settings, best, looks_since = self.settings, _Best(), 0
        for epoch in range(settings.epochs):
            loss = self._epoch()
            if (epoch + 1) % settings.validate_every and epoch + 1 < settings.epochs:
                continue
            scored = score_examples(self.model, val)
            merit = _merit(scored, settings.choose_by)
            looks_since += 1
            if merit > best.merit:
                best, looks_since = _Best(merit, epoch, scored, _copied(self.model)), 0
            if progress:
                progress(f"loss {loss:.3f}, {scored.accuracy:.1%} right", epoch + 1, settings.epochs)
            if settings.patience and looks_since >= settings.patience:
                break
        self.model.load_state_dict(best.weights)
        self.model.eval()
        return Fitted(self.model, best.epoch, epoch + 1, best.val, loss)

    def _epoch(self) -> float:
        """Take the steps of one epoch and return the mean loss of its windows."""
        self.model.train()
        labels, settings = self.train.labels, self.settings
        total: Tensor | float = 0.0
        order_N = torch.randperm(len(labels), generator=self.order)
        for row_B in torch.split(order_N, settings.batch_size):
            self._set_rate()
            logits_BC = self.model(self.train.take(row_B)).float()
            loss = functional.cross_entropy(logits_BC, labels[row_B].to(logits_BC.device))
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.step += 1
            total = total + loss.detach() * len(row_B)
        mean = float(total) / len(labels)
        if not math.isfinite(mean):
            raise RunError(
                f"the loss of the classifier is {mean} after {self.step} steps; lower the learning rate "
                f"({settings.learning_rate:g} now), or look for features that are not finite"
            )
        return mean

    def _set_rate(self) -> None:
        if self.settings.schedule == "constant":
            return
        rate = learning_rate(self.step, self.total_steps, self.settings.learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate


def score_examples(model: nn.Module, examples: Examples) -> Scored:
    """Score a classifier in evaluation mode; it is left in the mode it came in. Raises RunError without any window."""
    labels = examples.labels
    if not len(labels):
        raise RunError("there is no window with a label to score; choose a view and a split that have")
    was_training = model.training
    model.eval()
    with torch.no_grad():
        parts = [
            model(examples.take(row_B)).float().cpu()
            for row_B in torch.split(torch.arange(len(labels)), _EVAL_BATCH)
        ]
    model.train(was_training)
    logits_NC = torch.cat(parts)
    confusion = confusion_matrix(labels.numpy(), logits_NC.argmax(dim=1).numpy(), logits_NC.shape[1])
    return Scored(confusion, functional.cross_entropy(logits_NC, labels).item())


def _merit(scored: Scored, by: ChooseBy) -> tuple[float, ...]:
    if by == "loss":
        return (-scored.loss,)
    return (scored.accuracy,) if by == "accuracy" else (scored.macro_f1, scored.accuracy)


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
