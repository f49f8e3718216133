"""Narrations and summaries of an Ego4D video: passes, tags, times, damage, through the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sensorloom.ingest.take import Take, TextEvent
from tests.ingest.ego4d_raw import (
    entry,
    found,
    imu_rows,
    narration,
    read_one,
    rules,
    summary,
    told,
    write_tree,
)

ONE, TWO = "narration_pass_1", "narration_pass_2"


def read(tmp_path: Path, **passes: Any) -> Take:
    return read_one(write_tree(tmp_path, entry(), imu_rows(), None, {"a": {**passes, "status": "complete"}}))


def test_a_narration_is_a_moment_known_to_two_seconds(tmp_path: Path) -> None:
    passes = {ONE: told([narration(1.5, "  #C C picks up a cup \n")]), TWO: told()}
    take = read(tmp_path, **passes)
    assert take.events == (
        TextEvent(
            source="narration",
            clock="canonical",
            start_ns=1_500_000_000,
            stop_ns=1_500_000_000,
            text="#C C picks up a cup",
            annotator=ONE,
            uncertainty_ns=2_000_000_000,
            tags={"pass": "1", "subject": "C"},
        ),
    )
    assert rules(take) == {"video-absent"}


def test_passes_are_kept_apart_though_they_say_the_same(tmp_path: Path) -> None:
    same = told([narration(1.0)])
    take = read(tmp_path, **{ONE: same, TWO: same})
    assert [(event.annotator, event.tags["pass"]) for event in take.events] == [(ONE, "1"), (TWO, "2")]


@pytest.mark.parametrize(("kept", "lost", "words"), [(ONE, TWO, "pass 2"), (TWO, ONE, "pass 1")])
@pytest.mark.parametrize("is_null", [False, True])
def test_either_pass_may_be_absent(tmp_path: Path, kept: str, lost: str, words: str, is_null: bool) -> None:
    take = read(tmp_path, **{kept: told([narration(1.0)])}, **({lost: None} if is_null else {}))
    assert [event.annotator for event in take.events] == [kept]
    assert found(take, "narration-pass-missing").sentence == f"{words} of the narrations is absent"


@pytest.mark.parametrize("narrations", [None, {"b": {ONE: told([narration(1.0)])}}, {"a": None}])
def test_no_narrations_at_all_are_told(tmp_path: Path, narrations: Any) -> None:
    take = read_one(write_tree(tmp_path, entry(), imu_rows(), None, narrations))
    assert take.events == ()
    assert found(take, "narration-missing").severity == "note"


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("#C C walks", {"subject": "C"}),
        ("# C C walks", {"subject": "C"}),
        ("#c c walks", {"subject": "C"}),
        ("#O man X walks", {"subject": "O"}),
        ("#C C talks to #O woman Y", {"subject": "C and O"}),
        ("#C C picks up #unsure", {"subject": "C", "unsure": "true"}),
        ("#C C picks up #Unsure.", {"subject": "C", "unsure": "true"}),
        ("C buys a #cup", {}),
    ],
)
def test_tags_inside_the_text_are_read_and_the_text_is_kept(
    tmp_path: Path, text: str, tags: dict[str, str]
) -> None:
    (event,) = read(tmp_path, **{ONE: told([narration(1.0, text)])}).events
    assert event.text == text
    assert event.tags == {"pass": "1", **tags}


def test_a_narration_tagged_summary_tells_of_no_moment(tmp_path: Path) -> None:
    take = read(tmp_path, **{ONE: told([narration(1.0, "#summary #C C was at home"), narration(2.0)])})
    assert [(event.source, event.uncertainty_ns) for event in take.events] == [
        ("summary", 0),
        ("narration", 2_000_000_000),
    ]
    assert found(take, "narration-is-summary").numbers["count"] == 1


def test_times_out_of_order_are_sorted_and_told(tmp_path: Path) -> None:
    take = read(tmp_path, **{ONE: told([narration(time) for time in (1.0, 3.0, 2.0, 3.5, 0.5)])})
    assert [event.start_ns / 1e9 for event in take.events] == [0.5, 1.0, 2.0, 3.0, 3.5]
    assert found(take, "narrations-disordered").numbers["count"] == 2


def test_disorder_is_counted_over_both_passes(tmp_path: Path) -> None:
    once = told([narration(3.0), narration(2.0)])
    assert found(read(tmp_path, **{ONE: once, TWO: once}), "narrations-disordered").numbers["count"] == 2


def test_order_is_judged_inside_each_pass(tmp_path: Path) -> None:
    passes = {ONE: told([narration(3.0)]), TWO: told([narration(1.0)])}
    assert "narrations-disordered" not in rules(read(tmp_path, **passes))


def test_texts_outside_the_video_are_left_out_and_told(tmp_path: Path) -> None:
    outside = [narration(-2.0), narration(-2.001), narration(4.02), narration(6.0), narration(6.001)]
    summaries = [summary(4.0, 6.0), summary(-3.0, 0.0)]
    take = read(tmp_path, **{ONE: told([*outside, narration(7.5)], summaries)})
    assert [event.start_ns / 1e9 for event in take.events] == [-2.0, 4.02, 6.0]
    outside_told = found(take, "text-outside")
    assert dict(outside_told.numbers) == {"count": 5, "latest_s": 7.5}
    assert outside_told.severity == "warning"


def test_summaries_are_cut_to_the_video_and_told_beyond_a_few_frames(tmp_path: Path) -> None:
    near, far = summary(-0.1, 4.1), summary(-100.0, 500.0)
    take = read(tmp_path, **{ONE: told([], [near, far, summary(3.0, 9.0), summary(1.0, 2.0)])})
    assert [(event.start_ns / 1e9, event.stop_ns / 1e9) for event in take.events] == [
        (0.0, 4.0),
        (0.0, 4.0),
        (1.0, 2.0),
        (3.0, 4.0),
    ]
    cut = found(take, "summary-clipped")
    assert (cut.severity, dict(cut.numbers)) == ("note", {"count": 2, "largest_overhang_s": 496.0})
    assert cut.sentence == "2 summaries cut to the video of 4 s, by up to 496 s"
    assert "text-outside" not in rules(take)


def test_one_summary_that_begins_before_the_video_is_cut(tmp_path: Path) -> None:
    take = read(tmp_path, **{ONE: told([], [summary(-0.2, 2.0)])})
    assert take.events[0].start_ns == 0
    assert found(take, "summary-clipped").sentence == "1 summary cut to the video of 4 s, by up to 0.2 s"


def test_a_summary_is_a_stretch(tmp_path: Path) -> None:
    take = read(tmp_path, **{TWO: told([], [summary(0.0, 3.5, " #C C was at home ")])})
    assert take.events == (
        TextEvent("summary", "canonical", 0, 3_500_000_000, "#C C was at home", TWO, tags={"pass": "2"}),
    )


def test_a_summary_that_ends_before_it_starts_is_left_out(tmp_path: Path) -> None:
    take = read(tmp_path, **{ONE: told([], [summary(3.65, 1.76), summary(0.0, 2.0), summary(0.5, 1.0)])})
    assert [(event.start_ns, event.stop_ns) for event in take.events] == [
        (0, 2_000_000_000),
        (500_000_000, 1_000_000_000),
    ]
    assert found(take, "summary-reversed").numbers["count"] == 1


def test_texts_without_words_are_left_out(tmp_path: Path) -> None:
    take = read(tmp_path, **{ONE: told([narration(1.0, "  "), narration(2.0)], [summary(0, 1, "")])})
    assert [event.source for event in take.events] == ["narration"]
    assert found(take, "text-empty").sentence == "2 texts left out: no words"


@pytest.mark.parametrize(
    ("passes", "kept", "problem"),
    [
        (
            {ONE: told([narration("1.0"), narration(2.0)])},
            1,
            'narration.json: $.a.narration_pass_1.narrations[0].timestamp_sec: expected a number, got "1.0"',
        ),
        (
            {ONE: told([narration(1.0), narration(2.0, None)])},
            1,
            "$.a.narration_pass_1.narrations[1].narration_text: expected a text, got null",
        ),
        ({ONE: told([{"narration_text": "#C C walks"}])}, 0, "narrations[0].timestamp_sec: is missing"),
        (
            {ONE: told([narration(1e300)])},
            0,
            "narrations[0].timestamp_sec: expected -1e+09 to 1e+09 s, got 1e+300 s",
        ),
        ({ONE: {"narrations": "none"}}, 0, '$.a.narration_pass_1.narrations: expected a list, got "none"'),
        ({ONE: [], TWO: told([narration(1.0)])}, 1, "$.a.narration_pass_1: expected an object"),
        (
            {ONE: told([], [summary(0.0, "late")])},
            0,
            '$.a.narration_pass_1.summaries[0].end_sec: expected a number, got "late"',
        ),
    ],
)
def test_a_wrong_type_loses_one_text_and_is_named_by_its_path(
    tmp_path: Path, passes: dict[str, Any], kept: int, problem: str
) -> None:
    take = read(tmp_path, **passes)
    assert len(take.events) == kept
    malformed = found(take, "text-malformed")
    assert problem in malformed.sentence
    assert len(take.streams) == 2


def test_an_entry_that_is_no_object_is_told(tmp_path: Path) -> None:
    take = read_one(write_tree(tmp_path, entry(), imu_rows(), None, {"a": "later"}))
    assert '$.a: expected an object, got "later"' in found(take, "text-malformed").sentence
