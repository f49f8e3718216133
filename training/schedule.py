"""Learning rates and weight decay as pure functions of the step, so that resuming needs no scheduler state."""

from __future__ import annotations

import math
from typing import Literal

__all__ = ["Schedule", "half_cosine", "learning_rate", "warmup_steps"]

Schedule = Literal["cosine", "constant"]
_LEAST_STEPS = 10
_ROUNDING = 1e-9


def warmup_steps(total_steps: int, share: float = 0.01) -> int:
    """Return the steps of a warm-up over `share` of the run: at least 10, at most the run.

    The default, a hundredth, is PRIMUS's [methods §1.7]; the sensor JEPA has a tenth [§4.4].
    """
    asked = math.floor(total_steps * share + _ROUNDING)  # 0.01 of 2900 is not 28.999…
    return min(max(asked, _LEAST_STEPS), total_steps)


def learning_rate(
    step: int, total_steps: int, peak: float, schedule: Schedule = "cosine", warmup: float = 0.01
) -> float:
    """Return the rate of `step` (from 0): linear up to `peak` over the warm-up, then half a cosine to 0.

    `warmup` is the share of all steps, as of `warmup_steps`. With the schedule "constant" it is `peak` throughout.
    Raises ValueError for a step outside [0, total_steps).
    """
    if not 0 <= step < total_steps:
        raise ValueError(f"step {step} lies outside the run's {total_steps} steps")
    if schedule == "constant":
        return peak
    rising = warmup_steps(total_steps, warmup)
    if step < rising:
        return peak * (step + 1) / rising
    return half_cosine((step - rising) / max(total_steps - rising, 1), peak, 0.0)


def half_cosine(progress: float, first: float, last: float) -> float:
    """Return what lies at `progress` in [0, 1] on half a cosine from `first` to `last`."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * progress))
