"""Masks of a JEPA: against a slow reference from the same draws, their statistics, and what they never do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sensorloom.training.streaming.draws import uniform
from sensorloom.training.terms import block_masks
from sensorloom.training.terms.block_masks import PURPOSE, block_lengths, draw_block_masks

ROWS, PATCHES = 6, 25


def reference(
    seed: int, there: list[list[bool]], per_triad: int
) -> tuple[list[list[bool]], list[list[bool]]]:
    """Context and target of one example, block by block and token by token."""
    rows, patches = len(there), len(there[0])
    draws = uniform(torch.tensor([seed]), PURPOSE, (4, 3 + rows))[0].double().tolist()
    lengths = [n for n in range(1, patches + 1) if 0.15 - 1e-12 <= n / patches <= 0.25 + 1e-12]
    whole = sum(map(sum, there))
    target = [[False] * patches for _ in range(rows)]
    for length_u, start_u, mode_u, *row_u in draws:
        length = lengths[int(length_u * len(lengths))]
        start = int(start_u * (patches - length + 1))
        here = [row for row in range(rows) if any(there[row])]
        chosen = max(here, key=lambda row: row_u[row], default=0)
        if mode_u < 0.4:
            hidden_rows = [chosen]
        elif mode_u < 0.8:
            hidden_rows = [row for row in range(rows) if row // per_triad == chosen // per_triad]
        else:
            hidden_rows = list(range(rows))
        more = [list(row) for row in target]
        for row in hidden_rows:
            for patch in range(start, start + length):
                more[row][patch] |= there[row][patch]
        if whole - sum(map(sum, more)) >= 0.25 * whole:
            target = more
    if not any(map(any, target)):
        return target, target
    context = [[there[g][t] and not target[g][t] for t in range(patches)] for g in range(rows)]
    return context, target


def everywhere(examples: int, rows: int = ROWS, patches: int = PATCHES) -> Tensor:
    return torch.ones(examples, rows, patches, dtype=torch.bool)


@pytest.mark.parametrize(("rows", "per_triad"), [(6, 3), (12, 3), (4, 1)])
@pytest.mark.parametrize("share", [1.0, 0.9, 0.3, 0.02])
def test_masks_equal_the_slow_reference(rows: int, per_triad: int, share: float) -> None:
    examples = 60
    there = everywhere(examples, rows) & (torch.rand(examples, rows, PATCHES) < share)
    there[:, 1:3] &= torch.rand(examples, 1, 1) < 0.8
    seeds = torch.arange(examples) * 7919
    masks = draw_block_masks(seeds, there, per_triad)
    for example, seed in enumerate(seeds.tolist()):
        context, target = reference(seed, there[example].tolist(), per_triad)
        assert masks.context_BGL[example].tolist() == context
        assert masks.target_BGL[example].tolist() == target


@pytest.mark.parametrize("share", [1.0, 0.7, 0.1])
def test_context_is_the_rest_and_at_least_a_quarter_of_what_is_there(share: float) -> None:
    there = everywhere(2000) & (torch.rand(2000, ROWS, PATCHES) < share)
    masks = draw_block_masks(torch.arange(2000), there, 3)
    assert not (masks.context_BGL & masks.target_BGL).any()
    assert not (masks.target_BGL & ~there).any()
    usable = masks.target_BGL.any(dim=(1, 2))
    assert torch.equal((masks.context_BGL | masks.target_BGL)[usable], there[usable])
    assert (masks.context_BGL.sum(dim=(1, 2)) >= 0.25 * there.sum(dim=(1, 2)))[usable].all()
    assert usable.float().mean() > 0.98


def test_a_block_is_long_and_wide_as_often_as_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of windows with one block alone: rows hidden, lengths, and which channel or triad."""
    monkeypatch.setattr(block_masks, "TARGET_BLOCKS", 1)
    target = draw_block_masks(torch.arange(6000), everywhere(6000), 3).target_BGL
    hidden_rows, length = target.any(dim=2).sum(dim=1), target.any(dim=1).sum(dim=1)
    shares = {
        int(rows): count / 6000 for rows, count in zip(*hidden_rows.unique(return_counts=True), strict=True)
    }
    assert {rows: share.item() for rows, share in shares.items()} == pytest.approx(
        {1: 0.4, 3: 0.4, 6: 0.2}, abs=0.02
    )
    assert (length.bincount(minlength=8) / 6000).tolist() == pytest.approx(
        [0] * 4 + [1 / 3] * 3 + [0], abs=0.02
    )
    one, triad = target[hidden_rows == 1].any(dim=2), target[hidden_rows == 3].any(dim=2)
    assert one.double().mean(dim=0).tolist() == pytest.approx([1 / 6] * 6, abs=0.03)
    assert triad.double().mean(dim=0).tolist() == pytest.approx([1 / 2] * 6, abs=0.03)
    assert torch.equal(triad[:, :3].any(dim=1), triad[:, :3].all(dim=1))
    starts = target.any(dim=1).int().argmax(dim=1)[length == 5].bincount(minlength=21) / (length == 5).sum()
    assert starts.tolist() == pytest.approx([1 / 21] * 21, abs=0.02)


def test_every_block_covers_15_to_25_percent_of_the_time() -> None:
    """A run of hidden tokens in a row is no shorter than the shortest block."""
    target = draw_block_masks(torch.arange(500), everywhere(500), 3).target_BGL.flatten(0, 1)
    for row in target.tolist():
        runs = "".join("x" if hidden else " " for hidden in row).split()
        assert all(len(run) >= 4 for run in runs)
    single = [row for row in target.tolist() if 0 < sum(row) <= 6]
    assert {sum(row) for row in single} == {4, 5, 6}


def test_a_window_hides_in_its_present_sensor_only() -> None:
    there = everywhere(300)
    there[:, :3] = False
    masks = draw_block_masks(torch.arange(300), there, 3)
    assert masks.target_BGL[:, 3:].any(dim=(1, 2)).all()
    assert not masks.target_BGL[:, :3].any()
    assert not masks.context_BGL[:, :3].any()


def test_an_example_without_tokens_or_without_room_has_neither_mask() -> None:
    there = everywhere(20)
    there[:10] = False
    there[10:] = False
    there[10:, 0, 12] = True
    masks = draw_block_masks(torch.arange(20), there, 3)
    assert not masks.target_BGL.any()
    assert not masks.context_BGL.any()


def test_neighbours_and_order_change_no_mask() -> None:
    seeds, order = torch.arange(30) * 31, torch.randperm(30)
    there = everywhere(30) & (torch.rand(30, ROWS, PATCHES) < 0.8)
    masks, again = draw_block_masks(seeds, there, 3), draw_block_masks(seeds[order], there[order], 3)
    assert torch.equal(again.target_BGL, masks.target_BGL[order])
    assert torch.equal(again.context_BGL, masks.context_BGL[order])


@pytest.mark.parametrize("patches", [4, 5, 6, *range(8, 60)])
def test_lengths_lie_between_the_shares(patches: int) -> None:
    shortest, longest = block_lengths(patches)
    expected = [n for n in range(1, patches) if 15 * patches <= 100 * n <= 25 * patches]
    assert (shortest, longest) == (expected[0], expected[-1])


@pytest.mark.parametrize("patches", [1, 2, 3, 7])
def test_a_grid_in_which_no_block_fits_is_refused(patches: int) -> None:
    with pytest.raises(ValueError, match=f"covers 15 to 25 % of {patches} patches; choose a patch length"):
        block_lengths(patches)


def test_rows_that_are_no_whole_sensors_are_refused() -> None:
    with pytest.raises(ValueError, match="7 rows of tokens are no whole sensors of 3 rows each"):
        draw_block_masks(torch.arange(2), everywhere(2, 7), 3)
