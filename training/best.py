"""By what an epoch is better than another."""

from __future__ import annotations

import math

from sensorloom.training.configs import BestBy
from sensorloom.training.errors import RunError
from sensorloom.training.validate import Validation

__all__ = ["merit_by"]


def merit_by(best_by: BestBy, found: Validation, epoch: int) -> float:
    """Return what the best epoch has most of: the merit of `found`, minus its loss, or its accuracy.

    The published code of PRIMUS and IMU2CLIP keeps the least validation loss [methods §1.6, §5.1], PRIMUS's standard
    training the best accuracy (§1.7). Raises RunError where the objective has no such score, and where it is not finite
    in this `epoch`, from 0.
    """
    name, sign = {"auto": ("merit", 1.0), "loss": ("val_loss", -1.0)}.get(best_by, ("val_accuracy", 1.0))
    scores = {"merit": found.merit, **found.scores}
    if name not in scores:
        raise RunError(
            f"best_by={best_by} needs {name}, which validation of this objective does not give; it gives "
            f"{', '.join(found.scores)}. Set best_by=auto"
        )
    if not math.isfinite(scores[name]):
        lost = {each: value for each, value in found.scores.items() if not math.isfinite(value)}
        told = ", ".join(f"{each} is {value}" for each, value in (lost or {name: scores[name]}).items())
        raise RunError(
            f"epoch {epoch} (from 0): on the validation split {told}, so no epoch can be the best; lower the learning "
            "rate, or look at the windows of that split"
        )
    return sign * scores[name]
