"""What generated pictures show of a wearer's phases: the emblem of each, while it lasts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.emblems import FULL, Place, draw_emblem
from sensorloom.ingest.miniature.spec import Truth
from sensorloom.ingest.miniature.wearer import Phase

__all__ = ["show_phases", "shown_truth"]

_FADE_S = 0.2


def show_phases(
    pictures: Iterable[NDArray[np.uint8]],
    phases: Sequence[Phase],
    time_s: NDArray[np.float64],
    place: Place,
) -> Iterator[NDArray[np.uint8]]:
    """Yield `pictures`, each with the emblem of the phase at its `time_s` float64[F]: drawn into it, not a copy.

    An emblem comes and goes within 0.2 s, so that the change is no jump; before and after all phases the pane is
    bare.
    """
    starts_s = np.array([phase.start_s for phase in phases])
    for picture, second in zip(pictures, time_s, strict=True):
        phase = phases[max(0, int(np.searchsorted(starts_s, second, side="right")) - 1)]
        inside_s = min(second - phase.start_s, phase.stop_s - second)
        opacity = round(FULL * min(1.0, max(0.0, inside_s / _FADE_S)))
        draw_emblem(picture, phase.emblem, opacity, place)
        yield picture


def shown_truth(phases: Sequence[Phase], lead_s: float, seconds: float) -> list[Truth]:
    """Return what is shown when, in video seconds from `lead_s` of the wearer's on, cut to 0 … `seconds`."""
    return [
        {
            "name": phase.name,
            "emblem": str(phase.emblem),
            "start_s": round(max(0.0, phase.start_s - lead_s), 6),
            "stop_s": round(min(seconds, phase.stop_s - lead_s), 6),
        }
        for phase in phases
        if phase.stop_s > lead_s and phase.start_s < lead_s + seconds
    ]
