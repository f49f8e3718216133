"""Which tokens of a window a JEPA hides and predicts: blocks of time in one channel, one sensor or all of them.

Axes: B examples · G rows of the grid of tokens (channels, or whole sensors) · L patches along the time of the window ·
M target blocks · X draws of a block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sensorloom.training.streaming.draws import uniform

__all__ = ["BlockMasks", "block_lengths", "draw_block_masks"]

PURPOSE = 4200
"""Of the draws of all blocks of an example."""
TARGET_BLOCKS = 4
MODE_SHARES = (0.4, 0.4, 0.2)
"""One channel, one sensor triad, all channels."""
SHORTEST_SHARE, LONGEST_SHARE = 0.15, 0.25
LEAST_CONTEXT_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class BlockMasks:
    """The tokens that an encoder sees, `context_BGL`, and those to predict, `target_BGL`; bool, none in both."""

    context_BGL: Tensor
    target_BGL: Tensor


def block_lengths(patches: int) -> tuple[int, int]:
    """Return the shortest and longest block, in patches, that cover 15 to 25 % of `patches`.

    Raises ValueError where no whole number of patches does.
    """
    shortest = math.ceil(SHORTEST_SHARE * patches - 1e-9)
    longest = math.floor(LONGEST_SHARE * patches + 1e-9)
    if not 1 <= shortest <= longest:
        raise ValueError(
            f"no block of whole patches covers 15 to 25 % of {patches} patches; choose a patch length that gives "
            "4, 5, 6 or at least 8 of them"
        )
    return shortest, longest


def draw_block_masks(seed_B: Tensor, there_BGL: Tensor, rows_per_triad: int) -> BlockMasks:
    """Draw the blocks of every example from its seed; tokens that are not `there_BGL` bool are in neither mask.

    Four target blocks, each of 15 to 25 % of the time (lengths and starts uniform) in one channel, one sensor triad or
    all channels with probabilities 0.4, 0.4 and 0.2; channel and triad are among those of which any token is there.
    Context is the rest. A block that would leave less than 25 % of the tokens that are there as context is left out, in
    the order of drawing [methods §4.4]. An example of which nothing can be hidden has neither mask. A triad is
    `rows_per_triad` rows that follow one another: three channels, or one row that is a sensor, whose two narrow modes
    are the same. Raises ValueError as `block_lengths` and for rows that are no whole triads.
    """
    rows = there_BGL.shape[1]
    if rows % rows_per_triad:
        raise ValueError(f"{rows} rows of tokens are no whole sensors of {rows_per_triad} rows each")
    blocks_BMGL = _draw_blocks(seed_B, there_BGL, rows_per_triad) & there_BGL[:, None]
    whole_B = there_BGL.sum(dim=(1, 2))
    target_BGL = torch.zeros_like(there_BGL)
    for block_BGL in blocks_BMGL.unbind(dim=1):
        more_BGL = target_BGL | block_BGL
        context_B = whole_B - more_BGL.sum(dim=(1, 2))
        fits_B = context_B >= LEAST_CONTEXT_SHARE * whole_B
        target_BGL = torch.where(fits_B[:, None, None], more_BGL, target_BGL)
    usable_B11 = target_BGL.any(dim=(1, 2))[:, None, None]
    return BlockMasks(there_BGL & ~target_BGL & usable_B11, target_BGL)


def _draw_blocks(seed_B: Tensor, there_BGL: Tensor, rows_per_triad: int) -> Tensor:
    """Return bool[B, M, G, L], the tokens of each block."""
    rows, patches = there_BGL.shape[1:]
    drawn_BMX = uniform(seed_B, PURPOSE, (TARGET_BLOCKS, 3 + rows))
    shortest, longest = block_lengths(patches)
    length_BM = shortest + (drawn_BMX[..., 0] * (longest - shortest + 1)).long()
    start_BM = (drawn_BMX[..., 1] * (patches - length_BM + 1)).long()
    in_time_BML = _between(start_BM, start_BM + length_BM, patches)
    # Of the rows that are there the one with the greatest draw: each as likely as any other, and so its triad.
    chosen_BM = torch.where(there_BGL.any(dim=2)[:, None], drawn_BMX[..., 3:], -1.0).argmax(dim=2)
    first_BM = chosen_BM - chosen_BM % rows_per_triad
    one_BMG = _between(chosen_BM, chosen_BM + 1, rows)
    triad_BMG = _between(first_BM, first_BM + rows_per_triad, rows)
    mode_BM1 = drawn_BMX[..., 2, None]
    wide_BMG = triad_BMG | (mode_BM1 >= MODE_SHARES[0] + MODE_SHARES[1])
    in_channels_BMG = torch.where(mode_BM1 < MODE_SHARES[0], one_BMG, wide_BMG)
    return in_channels_BMG[..., None] & in_time_BML[:, :, None]


def _between(first_BM: Tensor, stop_BM: Tensor, size: int) -> Tensor:
    """Return bool[B, M, size], true at the places first … stop − 1."""
    place = torch.arange(size, device=first_BM.device)
    return (place >= first_BM[..., None]) & (place < stop_BM[..., None])
