"""What the agreement of takes says: whether the encoder tells at all, which takes' rows are shuffled, which shifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.rules import Rule
from sensorloom.embed.agreement import MAX_LAG, TakeAgreement, fit_takes
from sensorloom.ingest.take import Finding

__all__ = ["Agreement", "judge_takes", "judge_views"]

_FEWEST_TAKES = 5
_SURE = 5.0
"""So many standard errors make "demonstrably": one in three million, and many are looked at."""
_UNLIKE = 4.0
"""A take is told apart from others when it lies so many of their robust deviations below them."""
_MOST_BY_CHANCE = 1.645


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well the texts of one source go with their own windows' video, over the takes of one data set in a view.

    `takes` could be measured, `takes_shuffled` and `takes_shifted` of them stand out; `pairs` windows have both.
    `paired` and `shuffled` are mean cosines, with a window's own text and with any of its take; `z` is how many
    standard errors the first lies above what a shuffle gives, over all takes. `tells` says whether takes agree so
    clearly that one that does not can be accused; where not, nothing can be told.
    """

    column: str
    dataset: str
    takes: int
    takes_shuffled: int
    takes_shifted: int
    pairs: int
    paired: float
    shuffled: float
    z: float
    tells: bool


def judge_takes(
    view: str, column: str, dataset: str, takes: Sequence[TakeAgreement], rules: Mapping[str, Rule]
) -> tuple[Agreement, tuple[Finding, ...]]:
    """Return how the takes of a data set agree, and findings on those that do not though others show that they can."""
    shifted, shuffled = np.zeros(len(takes), np.bool_), np.zeros(len(takes), np.bool_)
    findings: list[Finding] = []
    usual = _usual(takes)
    if usual is not None:
        rule = rules.get("video-fits-elsewhere")
        shifts = np.array([_shift(take, usual, rule.limit if rule else 0.0) for take in takes])
        shifted = shifts != 0
        if rule:
            findings += [
                _tell_shift(rule, f"{view}: {column}", take, int(shift))
                for take, shift in zip(takes, shifts.tolist(), strict=True)
                if shift
            ]
        shuffled = _shuffled_in_time(takes) & ~shifted
    swapped = _swapped(takes) & ~shuffled & ~shifted
    if rule := rules.get("text-video-shuffled"):
        findings += [
            _tell_shuffle(rule, f"{view}: {column}", takes, at) for at in np.flatnonzero(shuffled).tolist()
        ]
        findings += [
            _tell_swap(rule, f"{view}: {column}", takes, at) for at in np.flatnonzero(swapped).tolist()
        ]
    return _agreement(column, dataset, takes, shuffled | swapped, shifted, usual is not None), tuple(findings)


def _agreement(
    column: str,
    dataset: str,
    takes: Sequence[TakeAgreement],
    shuffled: NDArray[np.bool_],
    shifted: NDArray[np.bool_],
    tells: bool,
) -> Agreement:
    pairs = np.array([take.windows for take in takes], np.float64)
    total = max(1.0, float(pairs.sum()))
    return Agreement(
        column=column,
        dataset=dataset,
        takes=len(takes),
        takes_shuffled=int(shuffled.sum()),
        takes_shifted=int(shifted.sum()),
        pairs=int(pairs.sum()),
        paired=float(pairs @ np.array([take.paired for take in takes], np.float64) / total),
        shuffled=float(pairs @ np.array([take.shuffled for take in takes], np.float64) / total),
        z=_z(takes, MAX_LAG),
        tells=tells,
    )


def _z(takes: Sequence[TakeAgreement], place: int) -> float:
    """Return by how many standard errors the effects at `place` lie above 0, over all takes that have one."""
    each = [take.effects[place] / take.error for take in takes if np.isfinite(take.effects[place])]
    return float(np.sum(each) / np.sqrt(len(each))) if each else 0.0


def _usual(takes: Sequence[TakeAgreement]) -> float | None:
    """Return the effect that takes of a data set usually have, at whatever lag they have it; None if they tell nothing.

    Takes are independent, windows are not: what counts is that nearly all takes agree, each by itself.
    """
    if len(takes) < _FEWEST_TAKES:
        return None
    best = max(range(2 * MAX_LAG + 1), key=lambda place: _z(takes, place))
    effects = np.array([take.effects[best] for take in takes])
    effects = effects[np.isfinite(effects)]
    usual = float(np.median(effects)) if len(effects) >= _FEWEST_TAKES else 0.0
    agree = float((effects > 0).mean()) if len(effects) else 0.0
    return usual if usual > 0 and agree >= 0.75 and _z(takes, best) >= _SURE else None


def _shift(take: TakeAgreement, usual: float, least_s: float) -> int:
    """Return by how many windows the take's texts fit later video, surely and as well as others' do; 0 if not."""
    place = int(np.nanargmax(take.effects))
    is_sure = take.effects[place] >= _SURE * take.error and take.better[place] >= _SURE
    if is_sure and take.effects[place] >= usual / 2 and abs(take.lags_s[place]) >= least_s:
        return place - MAX_LAG
    return 0


def _shuffled_in_time(takes: Sequence[TakeAgreement]) -> NDArray[np.bool_]:
    """Return which takes' texts fit no better than any of the take's, where others' do and here they should."""
    effects = np.array([take.effect for take in takes])
    errors = np.array([take.error for take in takes])
    usual = float(np.median(effects))
    by_chance = effects <= _MOST_BY_CHANCE * errors
    has_power = usual >= _UNLIKE * errors
    result: NDArray[np.bool_] = (
        by_chance & has_power & (usual - effects >= _UNLIKE * np.maximum(_deviation(effects), errors))
    )
    return result


def _swapped(takes: Sequence[TakeAgreement]) -> NDArray[np.bool_]:
    """Return which takes' texts fit other takes' video better than their own, where those of nearly all fit best."""
    if len(takes) < 2 * _FEWEST_TAKES:
        return np.zeros(len(takes), np.bool_)
    effects = fit_takes(list(takes))
    usual, spread = float(np.median(effects)), _deviation(effects)
    tells = usual > 0 and (effects > 0).mean() >= 0.75 and usual * np.sqrt(len(takes)) >= _SURE
    result: NDArray[np.bool_] = tells & (effects < 0) & (usual - effects >= _UNLIKE * spread)
    return result


def _deviation(values: NDArray[np.float64]) -> float:
    """Return the standard deviation, as the median distance from the median tells it."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _tell_shift(rule: Rule, where: str, take: TakeAgreement, shift: int) -> Finding:
    lag_s = float(take.lags_s[MAX_LAG + shift])
    sentence = (
        f"{where} fits the video {abs(lag_s):.1f} s {'later' if shift > 0 else 'earlier'}, by {abs(shift)} of the"
        f" take's {take.windows} windows, better than its own"
    )
    numbers = {
        "shift_s": lag_s,
        "shift_windows": shift,
        "windows": take.windows,
        "effect_own": take.effect,
        "effect_there": float(take.effects[MAX_LAG + shift]),
    }
    return rule.finding(take.take_id, sentence, numbers)


def _tell_shuffle(rule: Rule, where: str, takes: Sequence[TakeAgreement], at: int) -> Finding:
    take = takes[at]
    others = float(np.median([other.effect for other in takes]))
    sentence = (
        f"{where} fits its own windows no better than any of the take's {take.windows} windows (cosine"
        f" {take.paired:.3f} against {take.shuffled:.3f}), where that of other takes does"
    )
    numbers = {
        "windows": take.windows,
        "cosine_paired": take.paired,
        "cosine_shuffled": take.shuffled,
        "effect": take.effect,
        "usual_effect": others,
    }
    return rule.finding(take.take_id, sentence, numbers)


def _tell_swap(rule: Rule, where: str, takes: Sequence[TakeAgreement], at: int) -> Finding:
    take, effects = takes[at], fit_takes(list(takes))
    sentence = (
        f"{where} fits other takes' video better than the take's own, where that of {len(takes) - 1} other takes fits"
        " theirs"
    )
    numbers = {
        "windows": take.windows,
        "takes": len(takes),
        "effect": float(effects[at]),
        "usual_effect": float(np.median(effects)),
    }
    return rule.finding(take.take_id, sentence, numbers)


def judge_views(
    agreements: Mapping[str, Sequence[Agreement]], rules: Mapping[str, Rule]
) -> tuple[Finding, ...]:
    """Return findings on views whose texts tell nothing, where another view of the same data set and source tells.

    `agreements` are by view, of one encoder. A view with less than a quarter of the other's pairs is not accused.
    """
    findings = []
    rule = rules.get("text-video-shuffled")
    for view, mine in agreements.items() if rule else ():
        for one in mine:
            better = [
                (name, other)
                for name, others in agreements.items()
                for other in others
                if (other.column, other.dataset) == (one.column, one.dataset)
                and other.tells
                and other.pairs <= 4 * one.pairs
            ]
            if better and one.takes >= _FEWEST_TAKES and one.z <= _MOST_BY_CHANCE and rule:
                name, other = max(better, key=lambda found: found[1].z)
                sentence = (
                    f"{one.column} of {one.dataset} fits its own windows no better than any of their takes'"
                    f" (z {one.z:.1f}), but in view {name} it does (z {other.z:.1f})"
                )
                numbers = {"z": one.z, "z_elsewhere": other.z, "pairs": one.pairs, "takes": one.takes}
                findings.append(rule.finding(view, sentence, numbers))
    return tuple(findings)
