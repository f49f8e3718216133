"""Exact search: against a slow reference by loops, with ties, overlaps and vectors that float32 cannot tell apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.training.search.nearest import Found, SearchRows, Stretch, search


def unit(raw: np.ndarray) -> np.ndarray:
    return raw / np.linalg.norm(raw, axis=-1, keepdims=True)


def rows_of(vectors: np.ndarray, **changes: Any) -> SearchRows:
    count = len(vectors)
    facts = {
        "take_N": np.arange(count, dtype=np.int64),
        "start_ns_N": np.zeros(count, np.int64),
        "stop_ns_N": np.full(count, 5, np.int64),
    } | changes
    return SearchRows(torch.from_numpy(vectors), **facts)


def by_loops(rows: SearchRows, query: np.ndarray, k: int, without: Stretch | None) -> list[int]:
    """The k best rows, one product at a time in float64."""
    wide = query.astype(np.float64)
    wide = (wide / np.sqrt((wide * wide).sum())).astype(np.float32).astype(np.float64)
    vectors = rows.vectors_ND.numpy().astype(np.float64)
    scored = sorted((-float((vectors[row] * wide).sum()), row) for row in range(len(rows)))
    taken = [] if without is None else [(without.take, without.start_ns, without.stop_ns)]
    found: list[int] = []
    for _, row in scored:
        take, start, stop = (int(x[row]) for x in (rows.take_N, rows.start_ns_N, rows.stop_ns_N))
        overlaps = [t == take and max(start, a) < min(stop, b) for t, a, b in taken]
        if not any(overlaps) and len(found) < k:
            found.append(row)
            taken.append((take, start, stop))
    return found


@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_it_finds_what_a_loop_finds(dtype: type, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    count, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 40))
    # Few distinct vectors: most rows tie with others.
    distinct = unit(rng.standard_normal((data.draw(st.integers(1, count)), width)))
    vectors = distinct[rng.integers(0, len(distinct), count)].astype(dtype)
    start = rng.integers(0, 40, count)
    rows = rows_of(
        vectors,
        take_N=rng.integers(0, 3, count),
        start_ns_N=start,
        stop_ns_N=start + rng.integers(1, 9, count),
    )
    without = data.draw(st.sampled_from([None, Stretch(1, 10, 20)]))
    query, k = rng.standard_normal(width).astype(np.float32), data.draw(st.integers(1, 12))
    found = search(rows, query, k, without=without)
    assert [one.row for one in found] == by_loops(rows, query, k, without)


def test_scores_are_cosines() -> None:
    rows = rows_of(unit(np.array([[1.0, 0.0], [1.0, 1.0], [-1.0, 0.0]])).astype(np.float32))
    found = search(rows, np.array([2.0, 0.0], np.float32), 3)
    assert [one.row for one in found] == [0, 1, 2]
    assert [one.score for one in found] == pytest.approx([1.0, 2**-0.5, -1.0], abs=1e-7)


def test_equal_vectors_tie_wherever_they_lie() -> None:
    """A kernel sums the last rows of a block in another order: what it says may not decide between equals."""
    rng = np.random.default_rng(0)
    same = unit(rng.standard_normal(509)).astype(np.float16)
    vectors = unit(rng.standard_normal((5000, 509))).astype(np.float16)
    places = [0, 3, 2047, 2048, 4097, 4999]
    vectors[places] = same
    found = search(rows_of(vectors), (same + vectors[1]).astype(np.float32), 6)
    assert [one.row for one in found] == places
    assert len({one.score for one in found}) == 1


def test_what_float32_cannot_tell_apart_is_told_apart() -> None:
    rng = np.random.default_rng(1)
    base = unit(rng.standard_normal(512))
    steps = rng.permutation(300)
    vectors = (base * (1 - steps[:, None] * 2e-8)).astype(np.float32)
    rows = rows_of(vectors)
    found = search(rows, base.astype(np.float32), 40)
    assert [one.row for one in found] == by_loops(rows, base.astype(np.float32), 40, None)
    assert len({one.score for one in found}) > 1


def test_a_scan_that_is_less_exact_than_promised_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a kernel that sums in float16."""
    rng = np.random.default_rng(4)
    rows = rows_of(unit(rng.standard_normal((3000, 64))).astype(np.float16))
    query = rng.standard_normal(64).astype(np.float32)
    expected = search(rows, query, 10)
    exact, asked = torch.mv, []

    def coarse(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        asked.append(matrix.dtype)
        found = exact(matrix, vector)
        return found if matrix.dtype == torch.float32 else (found * 16).round() / 16

    monkeypatch.setattr(torch, "mv", coarse)
    assert search(rows, query, 10) == expected
    assert torch.float32 in asked


@pytest.mark.parametrize("seed", range(8))
def test_an_error_within_the_promise_changes_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that the scan puts behind others, and those that are looked at only because of it, come in true order."""
    rng = np.random.default_rng(seed)
    # Cosines so close together that the error reorders them all.
    axis = unit(rng.standard_normal(32))
    vectors = unit(axis + 5e-3 * rng.standard_normal((400, 32))).astype(np.float16)
    start = rng.integers(0, 60, 400)
    rows = rows_of(vectors, take_N=rng.integers(0, 2, 400), start_ns_N=start, stop_ns_N=start + 20)
    exact = torch.mv

    def noisy(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        assert matrix.dtype == torch.float16  # or the scan was not believed
        noise = torch.from_numpy(rng.uniform(-7e-4, 7e-4, len(matrix)))
        return (exact(matrix.double(), vector.double()) + noise).float()

    monkeypatch.setattr(torch, "mv", noisy)
    for k in range(1, 8):
        query = axis.astype(np.float32)
        assert [one.row for one in search(rows, query, k)] == by_loops(rows, query, k, None)


@pytest.mark.parametrize("width", [8, 512, 2048])
def test_the_scan_of_float16_is_as_exact_as_promised(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    axis = rng.standard_normal(width)
    rows = rows_of(unit(axis + 0.3 * rng.standard_normal((4000, width))).astype(np.float16))
    asked, exact = [], torch.mv
    monkeypatch.setattr(torch, "mv", lambda *given: (asked.append(given[0].dtype), exact(*given))[1])
    query = (axis + 0.3 * rng.standard_normal(width)).astype(np.float32)
    assert [one.row for one in search(rows, query, 30)] == by_loops(rows, query, 30, None)
    assert asked == [torch.float16]


def test_threads_change_nothing() -> None:
    rng = np.random.default_rng(2)
    rows = rows_of(unit(rng.standard_normal((4096, 64))).astype(np.float32))
    query, threads = rng.standard_normal(64).astype(np.float32), torch.get_num_threads()
    try:
        found = []
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(search(rows, query, 20))
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1]


def test_a_long_stretch_of_near_equals_does_not_hide_the_next_take() -> None:
    """A thousand overlapping windows of the best take come before the first of another."""
    rng = np.random.default_rng(3)
    best, other = unit(rng.standard_normal((2, 16)))
    vectors = np.concatenate([np.tile(best, (1000, 1)), other[None]]).astype(np.float32)
    start = np.r_[np.arange(1000), 0].astype(np.int64)
    rows = rows_of(
        vectors, take_N=np.r_[np.zeros(1000, np.int64), 1], start_ns_N=start, stop_ns_N=start + 1000
    )
    assert [one.row for one in search(rows, best.astype(np.float32), 2)] == [0, 1000]
    assert [one.row for one in search(rows, best.astype(np.float32), 5)] == [0, 1000]


def test_windows_end_to_end_do_not_overlap() -> None:
    vectors = np.ones((3, 1), np.float32)
    start = np.array([0, 5, 9], np.int64)
    rows = rows_of(vectors, take_N=np.zeros(3, np.int64), start_ns_N=start, stop_ns_N=start + 5)
    query = np.ones(1, np.float32)
    assert search(rows, query, 3) == (Found(0, 1.0), Found(1, 1.0))
    assert search(rows, query, 3, without=Stretch(0, 0, 1)) == (Found(1, 1.0),)
    assert search(rows, query, 3, without=Stretch(7, 0, 99)) == (Found(0, 1.0), Found(1, 1.0))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_is_not_finite_is_never_found(dtype: type) -> None:
    vectors = np.array([[np.nan, 0], [1, 0], [np.inf, 0], [-1, 0], [0, np.nan]], dtype)
    found = search(rows_of(vectors), np.array([1, 0], np.float32), 5)
    assert [(one.row, one.score) for one in found] == [(1, 1.0), (3, -1.0)]
    assert search(rows_of(vectors[[0, 2]]), np.array([1, 0], np.float32), 5) == ()


def test_nothing_is_found_among_nothing() -> None:
    assert search(rows_of(np.zeros((0, 4), np.float16)), np.ones(4, np.float32), 3) == ()


@pytest.mark.parametrize(
    ("query", "k", "message"),
    [
        (np.ones(3, np.float32), 1, r"a query of shape \[3\] among vectors that are 4 wide"),
        (np.zeros(4, np.float32), 1, "must have a direction, its length is 0"),
        (np.full(4, np.nan, np.float32), 1, "must have a direction, its length is nan"),
        (np.ones(4, np.float32), 0, "k must be at least 1, got 0"),
    ],
)
def test_a_query_without_sense_is_refused(query: np.ndarray, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(rows_of(np.ones((2, 4), np.float32)), query, k)


def test_rows_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2 vectors, but takes and times of \[2, 3\]"):
        rows_of(np.ones((2, 4), np.float32), take_N=np.zeros(3, np.int64))
    with pytest.raises(ValueError, match=r"float16 or float32 \[N, D\], got torch.float64"):
        rows_of(np.ones((2, 4)))
