"""What came of a sweep, in plain values: the scores of its points, their means over seeds, what they say. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, sqrt
from statistics import mean, stdev
from typing import Any

from sensorloom.flows.curve_files import curve_name
from sensorloom.flows.sweeps.grid import Grid
from sensorloom.ingest.take import counted

__all__ = [
    "Mean",
    "PointResult",
    "Score",
    "SweepReport",
    "failures",
    "means",
    "shown_scores",
    "to_json",
    "verdicts",
]

_MANY = 20.0
"""A factor between the least and the greatest x from which on the axis is logarithmic."""


@dataclass(frozen=True, slots=True)
class Score:
    """A number of one run, and what guessing would score, None where that means nothing."""

    value: float
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class PointResult:
    """One run of a sweep: which variant and seed, where it lies, its scores by name or why it has none."""

    line: str
    x: str
    recipe: str
    settings: Mapping[str, str]
    seed: int
    run: str
    scores: Mapping[str, Score]
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Mean:
    """A score of one variant over its seeds; the standard error of the mean is None of a single one."""

    line: str
    x: str
    score: str
    mean: float
    standard_error: float | None
    seeds: int
    chance: float | None

    def words(self) -> str:
        """Return `0.412 ± 0.013`."""
        margin = "" if self.standard_error is None else f" ± {self.standard_error:.3f}"
        return f"{self.mean:.3f}{margin}"


@dataclass(frozen=True, slots=True)
class SweepReport:
    """A sweep, finished or not. `settings` are those of every point, `judged_by` says what the scores are.

    `data` says in words what was trained and scored on.
    """

    grid: Grid
    seeds: tuple[int, ...]
    settings: Mapping[str, str]
    store: str
    snapshot_id: str
    data: str
    judged_by: str
    points: tuple[PointResult, ...]

    @property
    def xs(self) -> tuple[str, ...]:
        """The choices of the axis of x, in the order of the grid."""
        return tuple(dict.fromkeys(variant.x for variant in self.grid.variants))

    @property
    def has_numbers(self) -> bool:
        """Whether every x is a number, not a name."""
        return all(_number(x) is not None for x in self.xs)

    @property
    def is_logarithmic(self) -> bool:
        """Whether the numbers of x are apart by factors."""
        numbers = [_number(x) or 0.0 for x in self.xs]
        return self.has_numbers and min(numbers) > 0 and max(numbers) / min(numbers) >= _MANY

    def place(self, x: str) -> float:
        """Return where x stands on its axis: its number, or which choice it is, from 0."""
        number = _number(x) if self.has_numbers else None
        return float(self.xs.index(x)) if number is None else number


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def is_loss(score: str) -> bool:
    """Tell whether less of a score is better; losses of other settings are often not to be compared at all."""
    return score.startswith("loss")


def means(report: SweepReport) -> tuple[Mean, ...]:
    """Return the mean and standard error of every score of every variant over the seeds that have it."""
    found = []
    for variant in report.grid.variants:
        own = [point for point in report.points if (point.line, point.x) == (variant.line, variant.x)]
        for name in dict.fromkeys(name for point in own for name in point.scores):
            scores = [point.scores[name] for point in own if name in point.scores]
            values = [score.value for score in scores]
            guesses = [score.chance for score in scores if score.chance is not None]
            error = stdev(values) / sqrt(len(values)) if len(values) > 1 else None
            chance = mean(guesses) if guesses else None
            found.append(Mean(variant.line, variant.x, name, mean(values), error, len(values), chance))
    return tuple(found)


def shown_scores(report: SweepReport) -> tuple[str, ...]:
    """Return the scores to show, in the order in which they were found: losses only where there is nothing else."""
    names = tuple(dict.fromkeys(name for point in report.points for name in point.scores))
    return tuple(name for name in names if not is_loss(name)) or names


def verdicts(report: SweepReport) -> tuple[str, ...]:
    """Say plainly what the means say: whether the reference holds, else which variant is best.

    Where a variant lacks a score or a seed of one, that comes first, and nothing is said of all of them.
    """
    by_score: dict[str, list[Mean]] = {name: [] for name in shown_scores(report)}
    for each in means(report):
        if each.score in by_score:
            by_score[each.score].append(each)
    lacking = _lacking(report, by_score)
    if report.grid.reference is None:
        return (*lacking, *_best({name: found for name, found in by_score.items() if len(found) > 1}))
    return tuple(_against_reference(report, by_score, lacking))


def _lacking(report: SweepReport, by_score: Mapping[str, Sequence[Mean]]) -> list[str]:
    """Say how many variants have no score, or not every score of every seed; nothing where all have all."""
    seeds = {(variant.line, variant.x): list[int]() for variant in report.grid.variants}
    for found in by_score.values():
        for each in found:
            seeds[each.line, each.x].append(each.seeds)
    known = [number for found in seeds.values() for number in found]
    without = sum(not found for found in seeds.values())
    whole = [len(report.seeds)] * len(by_score)
    partly = sum(found not in ([], whole) for found in seeds.values())
    if not known or not without + partly:
        return []
    told = [f"{without} of {len(seeds)} variants have no score"] if without else []
    told += [f"{partly} of {len(seeds)} variants lack some seeds or scores"] if partly else []
    low, high = min(known), max(known)
    span = f"{low} to {high}" if low < high else f"{low}"
    return [f"{', '.join(told)}; means are over {span} of {counted(len(report.seeds), 'seed')}."]


def _against_reference(
    report: SweepReport, by_score: Mapping[str, Sequence[Mean]], lacking: Sequence[str]
) -> list[str]:
    name = report.grid.reference or ""
    said, held = [], 0
    for score, found in by_score.items():
        own = next((each for each in found if each.x == name), None)
        if own is None or len(found) < 2:
            continue
        above = [each for each in found if _better(each, own)]
        held += not above
        chance = "" if own.chance is None else f" (chance {own.chance:.3f})"
        others = "each other that has a score" if lacking else "each other"
        fate = f"less than {_list(above)}" if above else f"at least as much as {others}"
        said.append(f"{score}: {name} has {own.words()}{chance}, {fate}.")
    if lacking:
        undecided = f"Whether {name} is at least as good as each other cannot be said: {lacking[0]}"
        return [undecided, *_without_effect(report, name), *said]
    if not said:
        return []
    seeds = f"on average over {counted(len(report.seeds), 'seed')}"
    whole = (
        f"{name} is at least as good as each other {seeds}, in every score."
        if held == len(said)
        else f"{name} is NOT at least as good as each other {seeds}: it is in {held} of {len(said)} scores."
    )
    return [whole, *_without_effect(report, name), *said]


def _without_effect(report: SweepReport, reference: str) -> list[str]:
    """Say which variants scored the very same as the reference in every run: what sets them apart did nothing."""
    scores = {
        x: {
            (point.seed, point.line): point.scores for point in report.points if point.x == x and point.scores
        }
        for x in report.xs
    }
    return [
        f"{x} has the very same scores as {reference}: what sets them apart had no effect here."
        for x, found in scores.items()
        if x != reference and found and found == scores[reference]
    ]


def _best(by_score: Mapping[str, Sequence[Mean]]) -> list[str]:
    said = []
    for score, found in by_score.items():
        best = found[0]
        for each in found:
            best = each if _better(each, best) else best
        tied = [each for each in found if each.mean == best.mean]
        near = [each for each in found if each not in tied and _is_near(each, best)]
        also = f"; not told from it: {_list(near)}" if near else ""
        also = "; one seed, so nothing is told apart" if best.seeds == 1 else also
        chance = "" if best.chance is None else f" (chance {best.chance:.3f})"
        names = f"are {' and '.join(map(_name, tied))}, tied" if len(tied) > 1 else f"is {_name(best)}"
        whole = "" if any(map(_beats_chance, found)) else "nothing is told from guessing; "
        said.append(f"{score}: {whole}best on average {names} with {best.words()}{chance}{also}.")
    return said


def _beats_chance(found: Mean) -> bool:
    """Tell whether a mean lies more than twice its standard error above what guessing scores, where that is known."""
    return found.chance is None or found.mean > found.chance + 2 * (found.standard_error or 0.0)


def _better(one: Mean, other: Mean) -> bool:
    return one.mean < other.mean if is_loss(one.score) else one.mean > other.mean


def _is_near(one: Mean, best: Mean) -> bool:
    """Tell whether two means differ by less than twice the standard error of their difference.

    A mean of one seed has no standard error, and is never told from another.
    """
    if one.standard_error is None or best.standard_error is None:
        return True
    return abs(one.mean - best.mean) < 2 * sqrt(one.standard_error**2 + best.standard_error**2)


def _list(found: Sequence[Mean]) -> str:
    return ", ".join(f"{_name(each)} ({each.words()})" for each in found)


def _name(found: Mean) -> str:
    return f"{found.line} at {found.x}"


def failures(report: SweepReport) -> tuple[str, ...]:
    """Say of each run that failed why; of one that points share, once."""
    failed = {point.run: point.failure for point in report.points if point.failure}
    return tuple(f"{run} failed: {reason}" for run, reason in failed.items())


def to_json(report: SweepReport) -> dict[str, Any]:
    """Return the report as plain JSON values, its means and verdicts among them."""
    points = [{**asdict(point), "settings": dict(point.settings)} for point in report.points]
    return {
        "sweep": report.grid.name,
        "question": report.grid.question,
        "x_label": report.grid.x_label,
        "reference": report.grid.reference,
        "seeds": list(report.seeds),
        "settings": dict(report.settings),
        "store": report.store,
        "snapshot_id": report.snapshot_id,
        "data": report.data,
        "judged_by": report.judged_by,
        "curves": [curve_name(score) for score in shown_scores(report)],
        "points": points,
        "means": [asdict(each) for each in means(report)],
        "verdicts": list(verdicts(report)),
        "failures": list(failures(report)),
    }
