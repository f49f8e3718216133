"""Classes as texts: the words of each class, and their vectors by the very encoder that a run was trained against.

Axes: C classes of the view · P texts of one class · D width of the vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.prompts import prompts_of
from sensorloom.training.evaluation.text_encoder import TextEncoder
from sensorloom.training.terms.contrast import unit

__all__ = ["ClassTexts", "SayClasses", "Wording", "encode_class_texts", "have_prompts", "words_of"]

Wording = Literal["names", "prompts"]
"""AURA-MFM says a class by its bare name [methods §2.7], PRIMUS by phrases, averaged, without a template [§1.7]."""

SayClasses = Callable[[Wording], "ClassTexts"]
"""Gives the texts of a view's classes: `partial(encode_class_texts, classes, encoder)`."""


@dataclass(frozen=True, slots=True)
class ClassTexts:
    """The `texts` of each class and one vector for each, float32[C, D] of length 1: the direction of their mean.

    The vector of each text is made of length 1 before the mean [methods §1.2]. `encoder` names who encoded them.
    """

    classes: tuple[str, ...]
    wording: Wording
    texts: tuple[tuple[str, ...], ...]
    vector_CD: Tensor
    encoder: str

    def __post_init__(self) -> None:
        if self.vector_CD.ndim != 2 or not len(self.classes) == len(self.texts) == len(self.vector_CD):
            raise ValueError(
                f"{len(self.classes)} classes need as many lists of texts and vectors [C, D], got {len(self.texts)} "
                f"and {list(self.vector_CD.shape)}"
            )

    @property
    def width(self) -> int:
        """Width D of the vectors."""
        return self.vector_CD.shape[1]


def words_of(classes: Sequence[str], wording: Wording) -> tuple[tuple[str, ...], ...]:
    """Return the texts of each class; raises RunError for a class without prompts, ValueError for another wording."""
    if wording not in get_args(Wording):
        raise ValueError(f"wording must be one of {', '.join(get_args(Wording))}, got {wording!r}")
    if wording == "names":
        return tuple((name,) for name in classes)
    return tuple(prompts_of(name) for name in classes)


def have_prompts(classes: Sequence[str]) -> bool:
    """Return whether somebody has written prompts for each of `classes`."""
    try:
        words_of(classes, "prompts")
    except RunError:
        return False
    return True


def encode_class_texts(classes: Sequence[str], encoder: TextEncoder, wording: Wording) -> ClassTexts:
    """Encode the texts of `classes`, all in one call.

    Raises RunError where there are no classes, for a class without prompts and where an encoder gives vectors that
    have no direction.
    """
    if not classes:
        raise RunError("there are no classes to say in words: the view has no labels; choose a view that has")
    texts, name = words_of(classes, wording), encoder.identity.name
    flat = [text for of_class in texts for text in of_class]
    rows_PD = torch.from_numpy(np.asarray(encoder.encode_texts(flat), np.float32))
    of_classes = torch.split(unit(rows_PD), [len(some) for some in texts])
    mean_CD = torch.stack([of_class_PD.mean(dim=0) for of_class_PD in of_classes])
    lost = [at for at, row_D in enumerate(mean_CD) if not (row_D.isfinite().all() and row_D.any())]
    if lost:
        raise RunError(
            f"encoder {name} gives the texts of class {classes[lost[0]]!r} vectors without a direction: "
            f"{mean_CD[lost[0]][:3].tolist()}, … on average; check its weights"
        )
    return ClassTexts(tuple(classes), wording, texts, unit(mean_CD), name)
