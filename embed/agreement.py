"""Whether texts go with the video of their own windows better than with that of others: a detector of shuffled rows.

Only similarities inside one take are compared, each freed of what its window and its text have with everything
(the rows' and columns' means), so neither a general liking of the encoder nor the place it films counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.take import NS_PER_S

__all__ = ["MAX_LAG", "TakeAgreement", "fit_takes", "measure_take"]

MAX_LAG = 12
"""A text is tried on the video of so many windows before and after its own."""

_FEWEST_WINDOWS, _FEWEST_TEXTS = 8, 4
_MOST_WINDOWS = 2000


@dataclass(frozen=True, slots=True)
class TakeAgreement:
    """How well n windows of a take go with their texts, which change `changes` times over it.

    `paired` is the mean cosine of a window's video and its own text, `shuffled` that with all texts of the take.
    `effects` float64[2·MAX_LAG + 1] tell, from MAX_LAG windows earlier to as many later, by how many of the take's own
    spreads (rms) a text fits the video there better than any, so that chance is 0 ± 1/√changes; NaN where too few
    pairs are that far apart. `better` is by how many standard errors it fits there better than its own, and `lags_s`
    how far away that is in s. `video` and `text` float32[D] are the take's means.
    """

    take_id: str
    windows: int
    changes: int
    paired: float
    shuffled: float
    effects: NDArray[np.float64]
    better: NDArray[np.float64]
    lags_s: NDArray[np.float64]
    video: NDArray[np.float32]
    text: NDArray[np.float32]

    @property
    def effect(self) -> float:
        """The effect at the windows' own places."""
        return float(self.effects[MAX_LAG])

    @property
    def error(self) -> float:
        """The standard error of an effect if pairing were by chance."""
        return float(1 / np.sqrt(self.changes))


def measure_take(
    take_id: str, video: NDArray[np.float32], text: NDArray[np.float32], start_ns: NDArray[np.int64]
) -> TakeAgreement | None:
    """Measure n windows of one take: unit vectors `video` and `text` [n, D], in any order of `start_ns` int64[n].

    None where there are under 8 windows or under 4 distinct texts, or all videos are the same: nothing can be told. Of
    more than 2,000 windows as many are taken, evenly.
    """
    order = np.argsort(start_ns, kind="stable")
    order = order[:: -(-len(order) // _MOST_WINDOWS)] if len(order) else order
    video, text, start_ns = video[order], text[order], start_ns[order]
    if len(order) < _FEWEST_WINDOWS or len({row.tobytes() for row in text}) < _FEWEST_TEXTS:
        return None
    changes = int((text[1:] != text[:-1]).any(axis=1).sum())
    similar = (video @ text.T).astype(np.float64)
    excess = similar - similar.mean(axis=0) - similar.mean(axis=1, keepdims=True) + similar.mean()
    rms = float(np.sqrt((excess * excess).mean()))
    # float16 keeps a cosine to about 1e-3 / sqrt(D): below that is no similarity but its rounding.
    if rms < 1e-4:
        return None
    excess /= rms
    effects, better, lags_s = _profile(excess, changes, start_ns)
    return TakeAgreement(
        take_id=take_id,
        windows=len(order),
        changes=changes,
        paired=float(np.diagonal(similar).mean()),
        shuffled=float(similar.mean()),
        effects=effects,
        better=better,
        lags_s=lags_s,
        video=video.mean(axis=0),
        text=text.mean(axis=0),
    )


def _profile(
    excess: NDArray[np.float64], changes: int, start_ns: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return effects, how much better they are than at lag 0, and the lags in s, of excess[video, text] [n, n].

    Neighbours that share a text do not count apart: what is independent are the changes.
    """
    count = len(excess)
    effects = np.full(2 * MAX_LAG + 1, np.nan)
    better, lags_s = np.zeros_like(effects), np.zeros_like(effects)
    own = np.diagonal(excess)
    for lag in range(-min(MAX_LAG, count // 3), min(MAX_LAG, count // 3) + 1):
        # Text j on the video of window j + lag.
        there = np.diagonal(excess, -lag)
        of_text = slice(max(0, -lag), count - max(0, lag))
        effects[MAX_LAG + lag] = there.mean()
        gain = there - own[of_text]
        error = gain.std(ddof=1) / np.sqrt(max(1.0, changes * len(gain) / count))
        better[MAX_LAG + lag] = gain.mean() / error if error > 0 else 0.0
        apart = start_ns[abs(lag) :] - start_ns[: count - abs(lag)]
        lags_s[MAX_LAG + lag] = np.sign(lag) * float(np.median(apart)) / NS_PER_S
    return effects, better, lags_s


def fit_takes(takes: list[TakeAgreement]) -> NDArray[np.float64]:
    """Return by how many spreads each take's texts fit its own video better than other takes', float64[A].

    That is what a take with another's texts lacks. Zeros where all takes are the same.
    """
    if not takes:
        return np.zeros(0)
    video = np.stack([take.video for take in takes]).astype(np.float64)
    text = np.stack([take.text for take in takes]).astype(np.float64)
    # Similarities freed of rows' and columns' means are those of centred vectors; of thousands of takes the matrix of
    # all pairs is not needed, only its squares' sum.
    video -= video.mean(axis=0)
    text -= text.mean(axis=0)
    rms = float(np.sqrt(max(0.0, ((video.T @ video) * (text.T @ text)).sum()))) / len(takes)
    own = np.einsum("ad,ad->a", video, text)
    found: NDArray[np.float64] = own / rms if rms > 1e-5 else np.zeros(len(takes))
    return found
