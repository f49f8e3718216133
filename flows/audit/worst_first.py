"""The order in which takes are looked at."""

from __future__ import annotations

from collections.abc import Mapping

from sensorloom.flows.audit.report_takes import TakeFacts, TakeSync

__all__ = ["worst_first"]

_SYNC_RANKS: Mapping[TakeSync, int] = {"drifting": 0, "shifted": 1, "unknown": 2, "aligned": 3, "none": 4}


def worst_first(take: TakeFacts) -> tuple[int, int, int, int, str]:
    """Return the key that sorts takes by their errors, then their clocks, their warnings, their notes, their id."""
    return -take.errors, _SYNC_RANKS[take.sync], -take.warnings, -take.notes, take.take_id
