"""Random numbers of an example, from its own seed alone: the same in any batch, on any rank, after any resume.

Axes: B examples · W words of 64 bits · P the two halves of a word.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["derive", "normal", "uniform"]

_WORD = 2**64
# SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
_GAMMA = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = 31
_HALF_BITS = 32
_FLOAT32_BITS = 24


def uniform(seed_B: Tensor, purpose: int, shape: tuple[int, ...] = ()) -> Tensor:
    """Return float32[B, *shape], uniform on [0, 1), multiples of 2**-24; on the device of `seed_B` int64[B].

    The definition, which will not change: k = first output of SplitMix64 seeded with `purpose`; k = first output of
    SplitMix64 seeded with k XOR seed; value number 2i, from 0 and in C order of `shape`, is the upper half of output
    number i of SplitMix64 seeded with k, and value number 2i + 1 its lower half; of each half the upper 24 bits
    count. So a draw depends on nothing but (seed, purpose, its number), and every device gives the same bits.
    `purpose` tells draws for one example apart; a caller names its purposes. Raises ValueError for seeds that are no
    int64[B] and for a purpose that is negative or of more than 64 bits.
    """
    halves_BN = _halves(seed_B, purpose, math.prod(shape))
    value_BN = (halves_BN >> (_HALF_BITS - _FLOAT32_BITS)).to(torch.float32) * 2.0**-_FLOAT32_BITS
    return value_BN.reshape(len(seed_B), *shape)


def normal(seed_B: Tensor, purpose: int, shape: tuple[int, ...] = ()) -> Tensor:
    """Return float32[B, *shape] from the standard normal distribution; on the device of `seed_B` int64[B].

    The halves u, v of each word that `uniform` would use give two values (Box and Muller 1958): r·cos(2πv/2³²) and
    r·sin(2πv/2³²) with r = √(−2 ln((u + 1)/2³²)), so none lies beyond 6.67. Computed in float64 and rounded, so that
    devices agree but for a rounding of the last bit once in some 10⁸ values. Raises ValueError as `uniform`.
    """
    count = math.prod(shape)
    words = (count + 1) // 2
    pairs_BWP = _halves(seed_B, purpose, 2 * words).view(len(seed_B), words, 2).to(torch.float64)
    radius_BW = ((pairs_BWP[..., 0] + 1) * 2.0**-_HALF_BITS).log().mul(-2).sqrt()
    angle_BW = pairs_BWP[..., 1] * (2 * math.pi * 2.0**-_HALF_BITS)
    both_BWP = torch.stack((radius_BW * angle_BW.cos(), radius_BW * angle_BW.sin()), dim=-1)
    return both_BWP.flatten(1)[:, :count].to(torch.float32).reshape(len(seed_B), *shape)


def derive(seed_B: Tensor, purpose: int) -> Tensor:
    """Return other seeds int64[B] to hand on to what draws from them: the k of `uniform`. Raises ValueError as that."""
    if seed_B.dtype != torch.int64 or seed_B.ndim != 1:
        raise ValueError(
            f"seeds to draw from must be int64[B], got {seed_B.dtype} {list(seed_B.shape)}; give batch.seed_B"
        )
    if not 0 <= purpose < _WORD:
        raise ValueError(f"the purpose of a draw must lie in [0, 2**64), got {purpose}")
    key = _mixed_word(purpose + _GAMMA)
    return _mixed((seed_B ^ _signed(key)) + _signed(_GAMMA))


def _halves(seed_B: Tensor, purpose: int, count: int) -> Tensor:
    """Return the first `count` halves of words of every example, int64[B, count] in [0, 2**32)."""
    key_B = derive(seed_B, purpose)
    number_W = torch.arange(1, (count + 1) // 2 + 1, device=seed_B.device)
    word_BW = _mixed(key_B[:, None] + number_W * _signed(_GAMMA))
    pair_BWP = torch.stack((_shifted(word_BW, _HALF_BITS), word_BW & (2**_HALF_BITS - 1)), dim=-1)
    return pair_BWP.flatten(1)[:, :count]


def _mixed(word: Tensor) -> Tensor:
    """Return SplitMix64's output for states int64; products and sums wrap around, as those of uint64 do."""
    for shift, factor in _MIX:
        word = word ^ _shifted(word, shift)
        word *= _signed(factor)
    word ^= _shifted(word, _LAST_SHIFT)
    return word


def _shifted(word: Tensor, bits: int) -> Tensor:
    """Return int64 words shifted right with zeros from the left; `>>` alone would repeat the sign."""
    return (word >> bits).bitwise_and_(2 ** (64 - bits) - 1)


def _mixed_word(word: int) -> int:
    word %= _WORD
    for shift, factor in _MIX:
        word = (word ^ (word >> shift)) * factor % _WORD
    return word ^ (word >> _LAST_SHIFT)


def _signed(word: int) -> int:
    """Return the int64 that has the bits of a word of 64."""
    return word - _WORD if word >= _WORD // 2 else word
