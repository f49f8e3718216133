"""How much of one signal another shows at every lag: the squared multiple correlation, samples missing or not.

Both signals may have several channels in any unknown mixing, so the measure is Wilks' lambda of the canonical
correlations (the determinant of what is left of one after the best linear map of the other): rotating, mixing or
scaling either signal changes nothing. Of two single channels it is negative where they oppose one another.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.stats import chi2

__all__ = ["effective_halves", "information", "information_by_fft"]

_RIDGE = (
    1e-4  # share of the mean variance added to each channel: a channel that stands still explains nothing
)
_LEAST_SHARED = 0.5  # share of a segment that must be valid in both
_QUANTILES = (0.5, 0.9, 0.97)  # of all lags: a true peak is narrower than the last leaves over
_MOST_NEW_PER_S = 12.0  # effective samples a second, the most that generated motion shows


def information(
    cross: NDArray[np.float64], own: NDArray[np.float64], other: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return -log(Wilks' lambda) [...] of `cross` [..., Ca, Cb] with `own` [..., Ca, Ca], `other` [..., Cb, Cb]."""
    if cross.shape[-2:] == (1, 1):
        energy, agreement = (own * other)[..., 0, 0], cross[..., 0, 0]
        share = np.divide(agreement**2, energy, out=np.zeros_like(energy), where=energy > 0)
        told: NDArray[np.float64] = -np.sign(agreement) * np.log1p(-np.minimum(share, 1) / (1 + _RIDGE) ** 2)
        return told
    own, other = _with_ridge(own), _with_ridge(other)
    left = own - cross @ np.linalg.inv(other) @ np.swapaxes(cross, -1, -2)
    lost = np.linalg.det(left) / np.linalg.det(own)
    result: NDArray[np.float64] = -np.log(np.clip(lost, 1e-12, 1))
    return result


def _with_ridge(square: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add a share of the mean variance to the diagonals of `square` [..., C, C]; an empty one becomes the unit."""
    size = square.shape[-1]
    mean = np.trace(square, axis1=-2, axis2=-1) / size
    return square + np.where(mean > 0, _RIDGE * mean, 1)[..., None, None] * np.eye(size)


def information_by_fft(
    own: NDArray[np.float64],
    own_valid: NDArray[np.bool_],
    other: NDArray[np.float64],
    other_valid: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return what S segments [S, n, Ca] say at every lag inside [S, n + L - 1, Cb], float64[S, L].

    That is -log(Wilks' lambda) times the share of a segment's samples that meet a valid one: fewer samples say less.
    At lag l sample k of a segment meets sample k + l of the other. NaN where too few valid samples meet.
    """
    length, lags = own.shape[1], other.shape[1] - own.shape[1] + 1
    size = next_fast_len(other.shape[1], real=True)
    ours, ours_squared = _spectra(own, own_valid, size)
    theirs, theirs_squared = _spectra(other, other_valid, size)
    ours, ours_squared = ours.conj(), ours_squared.conj()
    cross = irfft(ours[:, :, None] * theirs[:, None, :], size)[..., :lags]
    mask, other_mask = ours_squared[:, -1:], theirs_squared[:, -1:]
    own_moments = irfft(ours_squared * other_mask, size)[..., :lags]
    other_moments = irfft(mask * theirs_squared, size)[..., :lags]
    result = information(
        np.moveaxis(cross, -1, 1).astype(np.float64),
        _square(own_moments[:, :-1], own.shape[2]),
        _square(other_moments[:, :-1], other.shape[2]),
    )
    shared = own_moments[:, -1] / length
    told: NDArray[np.float64] = np.where(shared < _LEAST_SHARED, np.nan, np.minimum(shared, 1) * result)
    return told


def _spectra(
    values: NDArray[np.float64], valid: NDArray[np.bool_], size: int
) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Return spectra of values [S, n, C] as [S, C, F], and of their products, the mask last, [S, P + 1, F]."""
    lines = np.moveaxis(values, 2, 1).astype(np.float32)
    first, second = np.triu_indices(values.shape[2])
    squares = np.concatenate((lines[:, first] * lines[:, second], valid[:, None].astype(np.float32)), axis=1)
    return rfft(lines, size), rfft(squares, size)


def _square(moments: NDArray[np.float32], channels: int) -> NDArray[np.float64]:
    """Return symmetric matrices [S, L, C, C] from their upper triangles [S, P, L]."""
    place = np.zeros((channels, channels), np.int64)
    place[np.triu_indices(channels)] = np.arange(channels * (channels + 1) // 2)
    place = np.maximum(place, place.T)
    return np.moveaxis(moments[:, place], -1, 1).astype(np.float64)


def effective_halves(
    curves: NDArray[np.float64], freedom: int, active_s: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return half the number of samples [S] behind curves [S, L]: what may count as evidence, and what most lags show.

    Were there no common motion, 2 * halves * curve would follow chi-squared with `freedom`; the median over lags
    is hardly moved by the one peak. Motion that repeats itself shows high medians and so counts for little. Of motion
    that comes and goes most lags show rest against rest, and any two bouts that meet stand far above those: to be
    evidence higher quantiles must keep to chi-squared as well, and a segment that moves for `active_s` [S] seconds has
    no more samples than so many seconds hold.
    """
    known = np.isfinite(curves).any(axis=1)
    seen = np.ones((len(_QUANTILES), len(curves)))
    seen[:, known] = np.nanquantile(np.abs(curves[known]), _QUANTILES, axis=1)
    halves: NDArray[np.float64] = chi2.ppf(_QUANTILES, freedom)[:, None] / 2 / np.maximum(seen, 1e-9)
    return np.minimum(halves.min(axis=0), _MOST_NEW_PER_S / 2 * active_s), halves[0]
