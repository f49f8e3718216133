"""Learning rates as a pure function of the step, so that resuming needs no scheduler state."""

from __future__ import annotations

import math

__all__ = ["learning_rate", "warmup_steps"]


def warmup_steps(total_steps: int) -> int:
    """Return PRIMUS's warm-up length: a hundredth of the run, at least 10 steps, at most the run."""
    return min(max(total_steps // 100, 10), total_steps)


def learning_rate(step: int, total_steps: int, peak: float) -> float:
    """Return the rate of `step` (from 0): linear up to `peak` over the warm-up, then half a cosine to 0.

    Raises ValueError for a step outside [0, total_steps).
    """
    if not 0 <= step < total_steps:
        raise ValueError(f"step {step} lies outside the run's {total_steps} steps")
    warmup = warmup_steps(total_steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(total_steps - warmup, 1)
    return peak * 0.5 * (1 + math.cos(math.pi * done))
