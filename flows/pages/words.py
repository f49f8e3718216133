"""How the report says numbers, durations and what windows drop out for."""

from __future__ import annotations

from collections.abc import Mapping

from sensorloom.flows.audit.report import Level, Recipe

__all__ = [
    "CODE_WORDS",
    "DROP_WORDS",
    "VERDICT_WORDS",
    "count",
    "duration",
    "error_words",
    "hours",
    "measure_words",
    "minus",
    "number",
    "percent",
    "recipe_words",
    "signed",
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
    "window-outside-run": "Across a break or the edge of a label",
    "window-lacks-video": "No video",
    "window-lacks-mocap": "No annotated motion",
    "window-lacks-text": "No text",
    "window-empty": "Nothing recorded",
    "break-dropped": "Breaks in the recording",
    "unlabelled": "No label",
    "between-anchors": "Between texts, or between annotated motion",
    "uncovered": "Between windows, or before the first",
}

CODE_WORDS = {
    "valid": "recorded",
    "interpolated": "interpolated",
    "retimed": "re-timed",
    "invalid": "not measured",
    "black": "black",
    "frozen": "frozen",
    "missing": "no frame",
}
"""What a stretch of a stream is, in the order of a legend."""

_SUFFIXES = {
    "_m_s2": "m/s²",
    "_rad_s": "rad/s",
    "_hz": "Hz",
    "_ppm": "ppm",
    "_ms": "ms",
    "_ns": "ns",
    "_px": "px",
    "_deg": "°",
    "_s": "s",
    "_m": "m",
}
"""Units at the end of the names of numbers, the longer before what they end in."""

_UNITS = {"accelerometer_m_s2": "m/s²", "gyroscope_rad_s": "rad/s"}


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


def signed(value: float) -> str:
    """Return a measured number with its sign and three digits or so: `+412`, `+2.13`, `0`."""
    text = f"{value:+,.0f}" if abs(value) >= 100 else f"{value:+.3g}"
    return "0" if float(text.replace(",", "")) == 0 else minus(text)


def minus(text: str) -> str:
    """Return a number's text with the sign that is as wide as a plus."""
    return text.replace("-", "\N{MINUS SIGN}")


def measure_words(key: str, value: float) -> tuple[str, str]:
    """Return a name and a value with its unit from a key that carries it: `longest_gap_ms` is `longest gap`, `… ms`."""
    for suffix, unit in _SUFFIXES.items():
        if key.endswith(suffix) and len(key) > len(suffix):
            return key.removesuffix(suffix).replace("_", " "), f"{number(value)} {unit}".strip()
    return key.replace("_", " "), number(value)


def recipe_words(recipe: Recipe) -> str:
    """Return what a view cuts, in one line."""
    stride = "end to end" if recipe.stride_s == recipe.length_s else f"every {recipe.stride_s:g} s"
    where = {"tiles": stride, "texts": "at each text", "mocap": f"{stride} of annotated motion"}[
        recipe.anchor
    ]
    where += "" if recipe.text_rule == "own" else f" by the rule of {recipe.text_rule}"
    also = [*recipe.cameras, *recipe.texts, *(["mocap"] if recipe.mocap != "none" else [])]
    return (
        f"{recipe.length_s:g} s windows {where}, {recipe.rate_hz} Hz, from {', '.join(recipe.positions)}"
        f"{', with ' + ', '.join(also) if also else ''}; "
        f"each sensor usable for at least {recipe.min_coverage:.0%}; IMU stored as {_imu_words(recipe)}"
    )


def _imu_words(recipe: Recipe) -> str:
    layout = "" if recipe.layout == "plain" else f", {recipe.layout}"
    return f"{recipe.imu_type}{layout}, {error_words(recipe.imu_type, recipe.imu_worst_error)}"


def error_words(imu_type: str, worst_error: Mapping[str, float]) -> str:
    """Return how far a stored IMU is off what was measured: `exact`, or `at most 0.002 m/s², 0.0001 rad/s off`."""
    if imu_type == "float32":
        return "exact"
    if not worst_error:
        return "error not measured"
    told = (f"{number(error)} {_UNITS.get(sensor, sensor)}" for sensor, error in worst_error.items())
    return f"at most {', '.join(told)} off"
