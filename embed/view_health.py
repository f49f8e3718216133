"""The health of one view: its vectors, how video and texts agree, what is there twice, what its splits share.

Shards are read one at a time and once. What is kept of a window are its video vector, as float16, and a sketch of its
signal (about 1.6 KB at 512 dimensions), beside its row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorloom.align.leakage import Leak, Row, find_leakage, find_shared_texts, find_twin_windows
from sensorloom.align.rules import Rule
from sensorloom.embed.agreement import TakeAgreement, measure_take
from sensorloom.embed.copied_video import find_copied_video
from sensorloom.embed.health import VectorHealth, VectorSums, judge_vectors, measure_sums, sum_vectors
from sensorloom.embed.near_duplicates import find_twins
from sensorloom.embed.shuffles import Agreement, judge_takes
from sensorloom.embed.signal_sketch import Sketches, join_sketches, sketch_signals
from sensorloom.embed.view_columns import text_means, video_means
from sensorloom.ingest.take import Finding, counted

__all__ = ["ViewArrays", "ViewHealth", "check_view"]

Arrays = Mapping[str, NDArray[Any]]
Rules = Mapping[str, Rule]

_MOST_SAMPLED = 20_000
"""So many vectors of a column tell how many directions it fills."""


@dataclass(frozen=True, slots=True)
class ViewArrays:
    """The tensors of a view: each of `shards` opens one, in the order of the window rows.

    A shard has `imu`, `imu_present` (`imu_scale` where int16) and, where the view has them, `video`, `video_present`,
    `text_vectors`, `text_rows`, `text_offsets`. `video_slots` and `text_sources` name the view's slots, as the
    attributes of a shard do.
    """

    view: str
    shards: Sequence[Callable[[], Arrays]]
    video_slots: tuple[str, ...] = ()
    text_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ViewHealth:
    """What was measured of a view, what its splits share, and what is wrong. `findings` do not repeat the leaks."""

    view: str
    vectors: tuple[VectorHealth, ...]
    agreement: tuple[Agreement, ...]
    leaks: tuple[Leak, ...]
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class _Gathered:
    """What is kept of the shards read so far."""

    sketches: list[Sketches] = field(default_factory=list)
    video: NDArray[np.float16] | None = None
    shown: NDArray[np.bool_] | None = None
    sums: dict[str, VectorSums] = field(default_factory=dict)
    takes: dict[tuple[str, str], list[TakeAgreement]] = field(default_factory=lambda: defaultdict(list))


def check_view(arrays: ViewArrays, rows: Sequence[Row], rules: Rules) -> ViewHealth:
    """Check a view whose windows are `rows`, in the order of its shards.

    A row has `window_id`, `take_id`, `dataset`, `participant_id`, `capture_id`, `split`, `start_ns`, `stop_ns` and,
    for the leak of texts, `texts`. Raises `ValueError` where the shards hold another number of windows.
    """
    gathered, read = _Gathered(), 0
    every = max(1, len(rows) // _MOST_SAMPLED)
    for open_shard in arrays.shards:
        shard = open_shard()
        count = len(shard["imu"])
        if read + count <= len(rows):
            _gather(gathered, arrays, shard, (rows, read, every))
        read += count
    if read != len(rows):
        raise ValueError(f"view {arrays.view}: its tensors hold {read} windows, its window table {len(rows)}")
    health = tuple(measure_sums(column, sums) for column, sums in sorted(gathered.sums.items()))
    findings: list[Finding] = []
    for measured in health:
        sums = gathered.sums[measured.column]
        names = () if measured.column == "text" else [row["window_id"] for row in rows]
        findings += judge_vectors(arrays.view, measured, sums, rules, names)
    agreement = []
    for (source, dataset), takes in sorted(gathered.takes.items()):
        agreed, told = judge_takes(arrays.view, f"text/{source}", dataset, takes, rules)
        agreement.append(agreed)
        findings += told
    told_twice, leaks = _find_copies(arrays.view, gathered, rows, rules)
    return ViewHealth(arrays.view, health, tuple(agreement), leaks, (*findings, *told_twice))


def _gather(
    gathered: _Gathered, arrays: ViewArrays, shard: Arrays, place: tuple[Sequence[Row], int, int]
) -> None:
    """Add one shard's windows; `place` is all rows, the first of them, and one of how many vectors to sample."""
    rows, first, every = place
    gathered.sketches.append(sketch_signals(shard))
    for column, vectors, present in _columns(arrays, shard):
        fresh = sum_vectors(vectors, present, every)
        gathered.sums[column] = gathered.sums[column] + fresh if column in gathered.sums else fresh
    if "video" not in shard:
        return
    video, shown = video_means(shard)
    if gathered.video is None or gathered.shown is None:
        gathered.video = np.zeros((len(rows), video.shape[1]), np.float16)
        gathered.shown = np.zeros(len(rows), np.bool_)
    gathered.video[first : first + len(video)], gathered.shown[first : first + len(video)] = video, shown
    for source, name in enumerate(arrays.text_sources if "text_offsets" in shard else ()):
        text, said = text_means(shard, source)
        for dataset, take in _agreements((video, text), shown & said, rows[first : first + len(video)]):
            gathered.takes[name, dataset].append(take)


def _columns(
    arrays: ViewArrays, shard: Arrays
) -> Iterator[tuple[str, NDArray[np.float16], NDArray[np.bool_]]]:
    if "video" in shard:
        for slot in range(shard["video"].shape[1]):
            name = arrays.video_slots[slot] if slot < len(arrays.video_slots) else str(slot)
            yield f"video/{name}", shard["video"][:, slot], shard["video_present"][:, slot]
    if "text_vectors" in shard:
        vectors = shard["text_vectors"]
        yield "text", vectors, np.ones(len(vectors), np.bool_)


def _agreements(
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]], both: NDArray[np.bool_], rows: Sequence[Row]
) -> Iterator[tuple[str, TakeAgreement]]:
    """Yield the data set and the agreement of each take of a shard that can be measured."""
    places: dict[str, list[int]] = defaultdict(list)
    for place in np.flatnonzero(both).tolist():
        places[rows[place]["take_id"]].append(place)
    for take_id, own in sorted(places.items()):
        start_ns = np.array([rows[place]["start_ns"] for place in own], np.int64)
        take = measure_take(take_id, vectors[0][own], vectors[1][own], start_ns)
        if take is not None:
            yield rows[own[0]]["dataset"], take


def _find_copies(
    view: str, gathered: _Gathered, rows: Sequence[Row], rules: Rules
) -> tuple[list[Finding], tuple[Leak, ...]]:
    """Return findings on windows that are there twice in one split, and every leak between two whose rule is on."""
    leaks = [*find_leakage(rows)]
    findings: list[Finding] = []
    duplicates, leak = rules.get("duplicate-windows"), rules.get("leak-signal")
    if gathered.sketches and (duplicates or leak):
        pairs = _twin_signals(join_sketches(gathered.sketches), rows, leak.limit if leak else _SIGNAL_WITHIN)
        leaks += find_twin_windows("signal", rows, pairs)
        if duplicates:
            findings += _tell_duplicates(duplicates, view, rows, pairs)
    leak = rules.get("leak-vector")
    if gathered.video is not None and gathered.shown is not None and leak:
        pairs = find_copied_video(gathered.video, gathered.shown, rows, leak.limit)
        leaks += find_twin_windows("vector", rows, pairs)
    leaks += find_shared_texts(rows)
    leaks = [leak for leak in leaks if f"leak-{leak.kind}" in rules]
    return findings, tuple(sorted(leaks, key=lambda leak: (leak.kind, leak.first, leak.second)))


_SIGNAL_WITHIN = 0.05


def _twin_signals(sketches: Sketches, rows: Sequence[Row], within: float) -> NDArray[np.int64]:
    """Return pairs int64[p, 2] of windows with all but equal signals; of equal ones in a split, with the first."""
    splits = {name: number for number, name in enumerate(sorted({row["split"] for row in rows}))}
    split = np.array([splits[row["split"]] for row in rows], np.int64)
    twins = find_twins(sketches.values, sketches.moves, split, within, inside=True)
    again = np.flatnonzero(twins.first != np.arange(len(rows)))
    pairs = np.concatenate((np.stack((twins.first[again], again), axis=1), twins.pairs))
    return pairs[sketches.same_level(pairs, within)]


def _tell_duplicates(
    rule: Rule, view: str, rows: Sequence[Row], pairs: NDArray[np.int64]
) -> Iterator[Finding]:
    """Yield a finding for each split in which too many windows are there already, earlier in the table."""
    windows: dict[str, int] = defaultdict(int)
    for row in rows:
        windows[row["split"]] += 1
    again: dict[str, dict[int, int]] = defaultdict(dict)
    for first, second in pairs.tolist():
        if rows[first]["split"] == rows[second]["split"]:
            again[rows[first]["split"]].setdefault(second, first)
    for split, of in sorted(again.items()):
        share = len(of) / windows[split]
        if share > rule.limit:
            second, first = next(iter(of.items()))
            sentence = (
                f"{split}: {counted(len(of), 'window')} of {windows[split]} ({share:.0%}) carry the signal of another,"
                f" as {rows[second]['window_id']} that of {rows[first]['window_id']}"
            )
            yield rule.finding(view, sentence, {"windows": len(of), "share": share})
