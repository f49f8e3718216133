"""How the report says numbers, durations and the names of rules."""

from __future__ import annotations

from sensorloom.flows.report import Level, Recipe

__all__ = [
    "DROP_WORDS",
    "RULE_WORDS",
    "VERDICT_WORDS",
    "count",
    "duration",
    "hours",
    "number",
    "percent",
    "recipe_words",
]

VERDICT_WORDS: dict[Level, str] = {"ok": "Yes", "care": "With care", "no": "No"}

DROP_WORDS = {
    "label-not-in-view": "Label not in the view",
    "label-overlap": "Two labels at once",
    "label-run-too-short": "Label held for less than a window",
    "window-coverage": "Too few usable samples",
    "window-flat": "Accelerometer flat",
    "window-position-missing": "No sensor at the position",
    "window-tail": "Rest after the last whole window",
    "break-dropped": "Breaks in the recording",
    "unlabelled": "No label",
    "between-anchors": "Nothing to begin a window at",
}

RULE_WORDS = {
    # The take and its files
    "take-absent": "The metadata lists takes that have no file on disk; they are skipped.",
    "take-unreadable": "The take could not be read; an earlier version of it, if there is one, stays in use.",
    "unreadable-file": "A sensor's file could not be read; the take goes on without that sensor.",
    "duplicate-file": "The same recording lies in several places; one copy of each is read.",
    "missing-sensor": "A position has one of accelerometer and gyroscope only; the other is masked.",
    "missing-position": "Positions of the data set have no file; views mask them or cut no window.",
    "unknown-name": "A position or activity is not the data set's word; it is kept as it is named.",
    "mirrored-axes": "A left-handed participant wore the sensors mirrored; the axes are kept as recorded.",
    # Stamps as recorded
    "too-few-samples": "Fewer than two samples, so no rate can be told; nothing to train on.",
    "duplicate-stamps": "Samples share a stamp with the one before; alignment moves them apart as re-timed.",
    "non-monotonic-stamps": "Stamps step back; an error where so often that the order of samples is in doubt.",
    "id-not-consecutive": "The file's count of samples jumps; rows are lost or out of order.",
    "rate-off-claim": "The measured rate is not the one the data set claims; stamps are believed, not the claim.",
    "jitter": "Intervals between samples vary; resampling to the grid evens them out.",
    "gaps": "No sample for longer than the limit, by the stamps; re-timing wins back those that are stalls.",
    "stall-and-burst": "The logger stalled, then caught up in a burst; the samples are sound, their stamps late.",
    # Values as recorded; nothing is repaired
    "missing-samples": "Samples have no value; short losses are bridged, longer ones left invalid.",
    "all-zero": "Every sample is zero; the sensor was dead, leave it out.",
    "saturation": "An axis stands at its limit; the true peaks were likely higher than recorded.",
    "stuck-axis": "One axis does not change for long; an error where it hardly ever does.",
    "frozen-sensor": "All axes do not change for long; an error where they hardly ever do.",
    "identical-axes": "Two axes carry the same values; one of them was not recorded.",
    "accelerometer-in-g": "Values are in g, not m/s²; they are kept, and 9.8 times too small beside others.",
    "gravity-doubtful": "At rest the accelerometer does not read gravity; its unit or scale is in doubt.",
    "gyroscope-in-degrees": "Values are in °/s, not rad/s; they are kept, and 57 times too large beside others.",
    "gyroscope-outliers": "Single samples turn faster than a body can; they are kept as recorded.",
    # Labels as recorded
    "activity-0": "Stretches between activities carry no class; no window crosses them.",
    "unknown-activity": "Activity numbers are not in the data set's list; their runs keep the number as name.",
    "run-without-length": "Activity runs end before they start, as stamps step back; they are left out.",
    "short-label": "A label is held for less than a usual window; it gives few windows or none.",
    # What alignment did
    "clock-island": "A sensor's clock was off by over an hour; it is left out of the take.",
    "stall-retimed": "Samples of a stall's burst were spread back over the stall; their times are estimates.",
    "stamp-retimed": "Late or disordered stamps were moved between their neighbours; times are estimates.",
    "stamp-lost": "The clock was set back; samples whose time cannot be told count as missing.",
    "sensor-unusable": "No sample of the sensor has a place on the grid; it is masked throughout.",
    "sensor-spans-differ": "Accelerometer and gyroscope start or stop apart; where one is alone, it alone is valid.",
    "gap-invalid": "After re-timing, gaps longer than the limit remain; they are marked invalid, not filled.",
    "samples-interpolated": "Losses within the limit were bridged by straight lines.",
    "position-coverage": "How much of the take the sensors of a position are usable for.",
    "break-dropped": "The recording was paused; nothing is filtered, filled or cut across the break.",
    # What a view did
    "label-not-in-view": "Time under labels that the view does not list; it gives no window.",
    "label-overlap": "Two labels hold at once; that time is left out, as either may be wrong.",
    "label-run-too-short": "A label is held for less than one window of the view; it gives none.",
    "window-tail": "What is left after the last whole window of a run; it is not cut.",
    "window-coverage": "Windows with too few usable samples were dropped.",
    "window-flat": "Windows in which an accelerometer does not move at all were dropped.",
    "window-position-missing": "The take lacks positions of the view; they are masked, or no window is cut.",
}
"""What each rule means and what follows from it."""


def count(value: int, noun: str = "", plural: str = "") -> str:
    """Return `1,234` or `1,234 takes`."""
    if not noun:
        return f"{value:,}"
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def hours(value: float) -> str:
    """Return hours with the unit that suits their size."""
    return duration(value * 3600)


def duration(seconds: float) -> str:
    """Return a length of time with three digits or so: `12.3 h`, `4.5 min`, `8.0 s`."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            value = seconds / size
            return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
    return f"{seconds:.1f} s"


def percent(part: float, whole: float) -> str:
    """Return a share in percent that reads 0 % or 100 % only when it is exactly that."""
    if whole <= 0:
        return "-"
    share = 100 * part / whole
    if 0 < share < 1:
        return "<1%"
    if 99 < share < 100:
        return ">99%"
    return f"{share:.0f}%"


def number(value: float) -> str:
    """Return a measured number without needless digits."""
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


def recipe_words(recipe: Recipe) -> str:
    """Return what a view cuts, in one line."""
    stride = "end to end" if recipe.stride_s == recipe.length_s else f"every {recipe.stride_s:g} s"
    where = {"tiles": stride, "texts": "at each text", "mocap": f"{stride} of annotated motion"}[
        recipe.anchor
    ]
    also = [*recipe.cameras, *recipe.texts, *(["mocap"] if recipe.mocap != "none" else [])]
    return (
        f"{recipe.length_s:g} s windows {where}, {recipe.rate_hz} Hz, from {', '.join(recipe.positions)}"
        f"{', with ' + ', '.join(also) if also else ''}; "
        f"each sensor usable for at least {recipe.min_coverage:.0%}"
    )
