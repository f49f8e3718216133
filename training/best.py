"""By what an epoch is better than another."""

from __future__ import annotations

from sensorloom.training.configs import BestBy
from sensorloom.training.errors import RunError
from sensorloom.training.validate import Validation

__all__ = ["merit_by"]


def merit_by(best_by: BestBy, found: Validation) -> float:
    """Return what the best epoch has most of: the merit of `found`, minus its loss, or its accuracy.

    The published code of PRIMUS and IMU2CLIP keeps the least validation loss [methods §1.6, §5.1], PRIMUS's standard
    training the best accuracy (§1.7). Raises RunError where the objective has no such score.
    """
    if best_by == "auto":
        return found.merit
    name, sign = ("val_loss", -1.0) if best_by == "loss" else ("val_accuracy", 1.0)
    if name not in found.scores:
        raise RunError(
            f"best_by={best_by} needs {name}, which validation of this objective does not give; it gives "
            f"{', '.join(found.scores)}. Set best_by=auto"
        )
    return sign * found.scores[name]
