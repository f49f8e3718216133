"""By what windows can be found: which vectors there are, and which of them a run holds against one another. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from sensorloom.training.assemble import columns_for
from sensorloom.training.configs import RunConfig
from sensorloom.training.errors import RunError
from sensorloom.training.search.vector_index import LEARNT

__all__ = ["FROZEN", "MODALITIES", "Modality", "check_run", "modalities_of"]

Modality = Literal["imu", "video", "text", "mocap"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)
FROZEN = ("text", "video")
"""Modalities whose vectors are a frozen encoder's, in the store."""


def modalities_of(config: RunConfig) -> tuple[Modality, ...]:
    """Return what a run of `config` holds against one another in one space."""
    columns = columns_for(config)
    return tuple(name for name in MODALITIES if name in columns)


def check_run(by: Modality, of: Modality, held: Sequence[str] | None) -> None:
    """Raise RunError unless a run that has `held` against one another, None for no run, holds `by` against `of`."""
    for name in dict.fromkeys((by, of)):
        if name in LEARNT and held is None:
            raise RunError(
                f"vectors of {name} are made by a run; name one that was trained with it:"
                " `sensorloom query --run RUN`"
            )
        if name in LEARNT and held is not None and name not in held:
            raise RunError(
                f"the run makes no vectors of {name}; it has those of: {', '.join(held) or 'none'}"
            )
    if {by, of} & {*LEARNT} and {by, of} & {*FROZEN} and not {*FROZEN} & {*(held or ())}:
        raise RunError(
            f"the run was trained without texts and videos, so its vectors of {by if by in LEARNT else of} cannot"
            f" be held against a {of if by in LEARNT else by}; take a run of imu2clip, primus or aura-aad, for one"
        )
