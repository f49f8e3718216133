"""Faults of a built view: rows, signals, vectors and texts that do not belong where they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from sensorloom.ingest.take import NS_PER_S, Severity
from tests.faults.fault import Fault
from tests.faults.stores import Bucket

__all__ = ["VIEW_FAULTS"]

Row = dict[str, Any]
Plant = Callable[[list[Bucket]], None]

_IMU = ("imu", "imu_valid", "imu_present")
_DUPLICATES = 0.21
_DIM = 64


def _rows(buckets: list[Bucket]) -> Iterator[Row]:
    for bucket in buckets:
        yield from bucket.rows


def _largest(buckets: list[Bucket]) -> Bucket:
    return max(buckets, key=lambda bucket: len(bucket.rows))


def _of(buckets: list[Bucket], split: str) -> Iterator[tuple[Bucket, int]]:
    """Yield the windows of a split as their bucket and their place in it."""
    for bucket in buckets:
        yield from ((bucket, place) for place, row in enumerate(bucket.rows) if row["split"] == split)


def _duplicate_windows(buckets: list[Bucket]) -> None:
    """Give 21 % of the windows of every take the signal of the window before them."""
    for bucket in buckets:
        count = len(bucket.rows)
        for place in range(1, count, max(1, round(1 / _DUPLICATES))):
            for name in _IMU:
                bucket.arrays[name][place] = bucket.arrays[name][place - 1]


def _split_at_random(buckets: list[Bucket]) -> None:
    """Split windows, not participants: every fourth goes to test."""
    for place, row in enumerate(_rows(buckets)):
        row["split"] = "test" if place % 4 == 0 else "train"


def _split_takes(buckets: list[Bucket]) -> None:
    """Split takes, not sessions: of the first two takes of one session, one goes to train and one to test.

    Participants are told apart by take, as by the published lists, which name takes only.
    """
    takes: dict[str, list[str]] = {}
    for row in _rows(buckets):
        session = takes.setdefault(row["capture_id"], [])
        if row["take_id"] not in session:
            session.append(row["take_id"])
    one, other = next(session for session in takes.values() if len(session) > 1)[:2]
    for row in _rows(buckets):
        if row["take_id"] in (one, other):
            row["split"] = "train" if row["take_id"] == one else "test"
            row["participant_id"] = row["take_id"]


def _overlap(buckets: list[Bucket]) -> None:
    """Cut windows of one take with half overlap, every other one for test."""
    for place, row in enumerate(_largest(buckets).rows):
        if place % 2:
            row["start_ns"] -= 5 * NS_PER_S // 2
            row["stop_ns"] -= 5 * NS_PER_S // 2
        row["split"] = "test" if place % 2 else "train"


def _copy_across(names: tuple[str, ...], buckets: list[Bucket]) -> None:
    """Give three windows of test what three windows of train have."""
    for (source, one), (target, other), _ in zip(
        _of(buckets, "train"), _of(buckets, "test"), range(3), strict=False
    ):
        for name in names:
            target.arrays[name][other] = source.arrays[name][one]


def _edit_texts(change: Callable[[Row, Row], None], buckets: list[Bucket]) -> None:
    """Change every text of every window: `change(window, text)`."""
    for row in _rows(buckets):
        for text in row["texts"]:
            change(row, text)


def _tell_task(row: Row, text: Row) -> None:
    """Put the name of the task before the text, as the published reader does."""
    task = row["take_id"].rpartition("/")[2].rpartition("_")[0]
    seconds = row["stop_ns"] // NS_PER_S
    text["text"] = f"A comment from the start of task '{task}' up to {seconds} seconds: {text['text']}"


def _far(_: Row, text: Row) -> None:
    text["offset_ms"] = 30_000.0


def _generic(_: Row, text: Row) -> None:
    text["text"] = "C does something"


def _same(_: Row, text: Row) -> None:
    text["text"], text["text_id"] = "C walks around the bicycle.", "0" * 64


def _say_each_once(buckets: list[Bucket]) -> None:
    """Let no two windows have a text in common."""
    for place, row in enumerate(_rows(buckets)):
        for number, text in enumerate(row["texts"]):
            text["text"], text["text_id"] = f"{text['text']} {place}.{number}", f"{place:032d}{number:032d}"


def _contradict(buckets: list[Bucket]) -> None:
    """Let two annotators say the opposite of the same moment."""
    for row in _rows(buckets):
        if row["texts"]:
            said = row["texts"][0] | {"text": "C picks up the cup.", "annotator": "annotator-1"}
            denied = said | {"text": "C puts down the cup.", "annotator": "annotator-2", "text_id": "1" * 64}
            row["texts"] = [said, denied]


def _share_texts(buckets: list[Bucket]) -> None:
    """Give every window of test a text of train."""
    texts = next(
        bucket.rows[place]["texts"] for bucket, place in _of(buckets, "train") if bucket.rows[place]["texts"]
    )
    for bucket, place in _of(buckets, "test"):
        bucket.rows[place]["texts"] = texts


def _overflow(buckets: list[Bucket]) -> None:
    _largest(buckets).arrays["video"][0, 0, :4] = np.inf


def _not_normalised(buckets: list[Bucket]) -> None:
    for bucket in buckets:
        bucket.arrays["video"] *= np.float16(7.5)


def _collapsed(buckets: list[Bucket]) -> None:
    """Let an encoder say the same of every picture."""
    first = next(bucket for bucket in buckets if bucket.rows).arrays["video"][0, 0].copy()
    for bucket in buckets:
        present = bucket.arrays["video_present"]
        bucket.arrays["video"][present] = first


def _tell_well(buckets: list[Bucket]) -> None:
    """Let an encoder tell all texts apart, and pictures by what their texts say, so that a minute is enough."""
    for bucket in buckets:
        arrays = bucket.arrays
        vectors = [np.random.default_rng(text.tolist()).normal(size=_DIM) for text in arrays["text_ids"]]
        lengths = [np.linalg.norm(vector) for vector in vectors]
        told = np.array(vectors).reshape(-1, _DIM) / np.array(lengths).reshape(-1, 1)
        arrays["text_vectors"] = told.astype(np.float16)
        for place, (first, last) in enumerate(arrays["text_offsets"][:, :2]):
            seen = told[arrays["text_rows"][first:last]].sum(axis=0)
            length = np.linalg.norm(seen)
            if length:
                arrays["video"][place, 0] = seen / length


def _shuffle_texts(buckets: list[Bucket]) -> None:
    """Sort the texts of one take apart from its windows."""
    rows = _largest(buckets).arrays["text_rows"]
    rows[:] = np.random.default_rng(0).permutation(rows)


def _later_video(buckets: list[Bucket]) -> None:
    """Give every window of one take the pictures of three windows later."""
    arrays = _largest(buckets).arrays
    arrays["video"][:] = np.roll(arrays["video"], -3, axis=0)


_Row = tuple[str, str, str, Severity, str, str, Plant]

# Fault, view, rule, severity, how, source, what plants it.
_ROWS: tuple[_Row, ...] = (
    (
        "realworld-duplicate-windows", "har-realworld", "duplicate-windows", "warning",
        "21 % of the windows are others again",
        "PRIMUS: flooring to whole seconds merges narrations, methods §6", _duplicate_windows,
    ),
    (
        "pamap2-windows-at-random", "har-pamap2", "leak-participant", "error",
        "windows, not participants, are split at random",
        "splits of windows, https://github.com/ermongroup/Wifi_Activity_Recognition/issues/47", _split_at_random,
    ),
    (
        "egoexo4d-sessions-shared", "aura-aad", "leak-capture", "error",
        "two takes of one session are in train and test",
        "AURA-MFM: 239 of 262 test sessions occur in train, methods §0 row 15", _split_takes,
    ),
    (
        "pamap2-overlapping-windows", "har-pamap2", "leak-overlap", "error",
        "windows that overlap by half are split in turns",
        "splits of windows, https://github.com/fchest/EEG-AAD/issues/7", _overlap,
    ),
    (
        "realworld-signal-in-both", "har-realworld", "leak-signal", "error",
        "three windows of train are in test under other names",
        "files that lie twice in an archive", partial(_copy_across, _IMU),
    ),
    (
        "ego4d-vector-in-both", "all-modalities", "leak-vector", "error",
        "three windows of test have the pictures of windows of train",
        "videos that were uploaded twice", partial(_copy_across, ("video", "video_present")),
    ),
    (
        "egoexo4d-text-in-both", "aura-aad", "leak-text", "note",
        "windows of test are paired with texts of train",
        "narrations that repeat, ImageBind#114", _share_texts,
    ),
    (
        "egoexo4d-task-in-text", "aura-aad", "label-in-text", "warning",
        "every text begins with the name of its task",
        "AURA-MFM, preprocess/save_imu_text.py: methods §0 row 12", partial(_edit_texts, _tell_task),
    ),
    (
        "egoexo4d-texts-far", "aura-aad", "text-far", "note",
        "texts lie 30 s from their windows",
        "IMU2CLIP and PRIMUS move windows at the ends: methods §6", partial(_edit_texts, _far),
    ),
    (
        "egoexo4d-texts-generic", "aura-aad", "text-generic", "note",
        "every text is `C does something`",
        "narrations without content, Ego4D#387", partial(_edit_texts, _generic),
    ),
    (
        "egoexo4d-texts-repeated", "aura-aad", "text-repeated", "note",
        "every window has the same text",
        "a join that kept the first row only", partial(_edit_texts, _same),
    ),
    (
        "egoexo4d-texts-contradict", "aura-aad", "texts-contradict", "warning",
        "two annotators say the opposite of one moment",
        "several annotators a take, ImageBind#114", _contradict,
    ),
    (
        "ego4d-vectors-overflow", "all-modalities", "vector-not-finite", "error",
        "a vector holds infinity", "half precision overflows above 65504", _overflow,
    ),
    (
        "ego4d-vectors-long", "all-modalities", "vector-norm-off", "error",
        "vectors are 7.5 long", "features saved before they were normalised", _not_normalised,
    ),
    (
        "ego4d-vectors-collapsed", "all-modalities", "vectors-collapsed", "error",
        "every picture has the same vector", "weights that did not load (strict=False)", _collapsed,
    ),
    (
        "ego4d-texts-shuffled", "all-modalities", "text-video-shuffled", "error",
        "the texts of a take are sorted apart from its windows", "a column sorted apart from its neighbours",
        _shuffle_texts,
    ),
    (
        "ego4d-video-of-later", "all-modalities", "video-fits-elsewhere", "warning",
        "the pictures are those of three windows later", "frames counted at another rate: CONE#5", _later_video,
    ),
)  # fmt: skip

_BEFORE = {
    "egoexo4d-texts-repeated": _say_each_once,
    "ego4d-texts-shuffled": _tell_well,
    "ego4d-video-of-later": _tell_well,
}

_PUBLISHED = {
    "realworld-duplicate-windows": 3,
    "egoexo4d-task-in-text": 4,
    "egoexo4d-sessions-shared": 5,
}


def _fault(row: _Row) -> Fault:
    identity, view, rule, severity, how, source, plant = row
    dataset = identity.partition("-")[0]
    published = _PUBLISHED.get(identity, 0)
    before = _BEFORE.get(identity)
    return Fault(identity, dataset, "view", how, rule, severity, source, "", published, plant, view, before)


VIEW_FAULTS: tuple[Fault, ...] = tuple(map(_fault, _ROWS))
