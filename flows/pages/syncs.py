"""How the report says what was measured of two clocks: the mark of a verdict, numbers, a plain sentence."""

from __future__ import annotations

from typing import Final

from sensorloom.flows.audit.report_takes import PairFacts, SyncFacts
from sensorloom.flows.pages.html import Html, tag
from sensorloom.flows.pages.words import count, minus, signed

__all__ = ["SYNC_WORDS", "mark", "measured", "pair_sentence", "sync_sentence"]

SYNC_WORDS: Final = {
    "aligned": "aligned",
    "shifted": "shifted",
    "drifting": "drifting",
    "unknown": "cannot tell",
    "none": "nothing to compare",
}
_LEVELS = {"aligned": "ok", "shifted": "care", "drifting": "no", "unknown": "quiet", "none": "quiet"}
_MARKS = {"aligned": "✓", "shifted": "!", "drifting": "✕", "unknown": "?", "none": "-"}


def mark(verdict: str) -> Html:
    """Return the verdict as a word with a mark beside it, so that colour is not all that tells."""
    shown = tag("span", _MARKS.get(verdict, ""), aria_hidden="true")
    return tag(
        "span", shown, " ", SYNC_WORDS.get(verdict, verdict), class_=f"sync {_LEVELS.get(verdict, 'quiet')}"
    )


def measured(value: float | None, half_width: float | None, unit: str) -> str:
    """Return `+412.3 ± 8.1 ms` with no more digits than the interval bears, or a dash where it could not be told."""
    if value is None:
        return "-"
    if half_width is None:
        return f"{signed(value)} {unit}"
    digits = 0 if half_width >= 10 else 1 if half_width >= 1 else 2
    shown = f"{value:+,.{digits}f}"
    if float(shown.replace(",", "")) == 0:
        shown = shown[1:]
    return f"{minus(shown)} ± {half_width:,.{digits}f} {unit}"


def pair_sentence(pair: PairFacts) -> str:
    """Say in a few sentences how the second stream of a pair lies against the first where that could be told."""
    told = pair.takes - pair.unknown
    off = [
        f"{count(number)} {word}"
        for number, word in ((pair.shifted, "shifted"), (pair.drifting, "drifting"))
        if number
    ]
    first = f"{pair.aligned:,} of {count(told, 'comparison')} aligned"
    parts = [", ".join([first, *off]) + "."]
    if pair.median_offset_ms is not None:
        what = "median" if pair.spread_ms is None else "median, spread"
        parts.append(f"Offset over all: {measured(pair.median_offset_ms, pair.spread_ms, 'ms')} ({what}).")
    worst = next((point for point in pair.points if point.verdict in ("shifted", "drifting")), None)
    if worst is not None and worst.offset_ms is not None:
        far = f"{_side(worst.offset_ms)} by {_size(worst.offset_ms, worst.offset_ci_ms)}"
        parts.append(f"Furthest off: {worst.take_id}, {far}.")
    if pair.unknown:
        parts.append(f"In {count(pair.unknown, 'more', 'more')} nothing can be told.")
    return " ".join(parts)


def sync_sentence(sync: SyncFacts) -> str:
    """Say in plain words how the second stream of one take lies against the first."""
    if sync.offset_ms is None or sync.verdict == "unknown":
        wide = f"the interval is too wide, {measured(sync.offset_ms, sync.offset_ci_ms, 'ms')}"
        return f"Cannot tell: {sync.reason or wide}."
    said = f"{sync.second} is stamped {_side(sync.offset_ms)} by {_size(sync.offset_ms, sync.offset_ci_ms)}"
    if sync.offset_ci_ms is not None and abs(sync.offset_ms) <= sync.offset_ci_ms:
        said = f"No offset can be seen ({measured(sync.offset_ms, sync.offset_ci_ms, 'ms')})"
    if sync.drift_ppm is None:
        said += "; the take is too short to tell a drift"
    elif sync.drift_ci_ppm is not None and abs(sync.drift_ppm) <= sync.drift_ci_ppm:
        said += f"; no drift can be seen ({measured(sync.drift_ppm, sync.drift_ci_ppm, 'ppm')})"
    else:
        said += f"; it drifts by {measured(sync.drift_ppm, sync.drift_ci_ppm, 'ppm')}"
    if sync.jump_ms is not None:
        said += f"; the offset jumps by {signed(sync.jump_ms)} ms"
    return f"{said}."


def _side(offset_ms: float) -> str:
    return "late" if offset_ms > 0 else "early"


def _size(offset_ms: float, half_width_ms: float | None) -> str:
    return measured(abs(offset_ms), half_width_ms, "ms").removeprefix("+")
