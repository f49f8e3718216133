from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.align.named_views import VIEWS
from sensorloom.align.text import Room, place, room_of, span_of_starts
from sensorloom.align.view import View
from sensorloom.align.window import cut_windows
from sensorloom.ingest.take import TextEvent

S = 1_000_000_000
STEP = 5_000_000


def room(seconds=60.0, length_s=5.0, stride_s=5.0, step_ns=STEP):
    return Room(0, round(seconds * S), round(length_s * S), round(stride_s * S), step_ns)


def event(source, start_s, stop_s=None, uncertainty_s=0.0, text="#C C turns"):
    stop_s = start_s if stop_s is None else stop_s
    return TextEvent(
        source, "take", round(start_s * S), round(stop_s * S), text, "a", round(uncertainty_s * S)
    )


@pytest.mark.parametrize("source", ["narration", "atomic"])
@pytest.mark.parametrize(
    ("moment_s", "start_s"),
    [(30, 27.5), (30.001, 27.5), (30.004, 27.505), (1, 0), (0, 0), (59, 55), (60.1, 55)],
)
def test_a_moment_is_centred_to_the_grid_step_and_pushed_into_the_take(source, moment_s, start_s):
    assert place(event(source, moment_s), room()).starts == (round(start_s * S),)


@pytest.mark.parametrize("moment_s", [5.0, 5.004, 12.3456, 59.999, 60.05])
def test_a_comment_looks_back_the_window_ends_when_it_was_made(moment_s):
    (start,) = place(event("commentary", moment_s), room()).starts
    stop = start + 5 * S
    assert stop % STEP == 0
    assert 0 <= min(moment_s, 60) * S - stop < STEP


def test_a_comment_too_early_to_look_back_gives_no_window():
    assert place(event("commentary", 4.999), room()).drop == "text-before-window"


def test_a_summary_gives_the_tiles_inside_its_interval():
    starts = place(event("summary", 10.002, 23), room(stride_s=2.5)).starts
    assert [start / S for start in starts] == [10.005, 12.505, 15.005, 17.505]
    assert place(event("summary", 10, 14.9), room()).drop == "text-too-short"


def test_a_moment_outside_the_take_counts_within_its_uncertainty():
    assert place(event("atomic", 61, uncertainty_s=2), room()).starts == (55 * S,)
    assert place(event("atomic", 63, uncertainty_s=2), room()).drop == "text-outside-take"
    assert place(event("commentary", 60.2), room()).drop == "text-outside-take"
    assert place(event("atomic", 2), room(seconds=4.0)).drop == "text-outside-take"


def test_the_room_is_the_grid_narrowed_to_the_instants_of_the_view(make_aligned):
    aligned = make_aligned(seconds=20.015, start_ns=3 * STEP)
    found = room_of(aligned, View("v", ("d",), ("head",), (), rate_hz=50))
    assert (found.start_ns, found.stop_ns, found.step_ns) == (20_000_000, 20_020_000_000, 20_000_000)


def test_no_window_reaches_back_to_before_the_take(make_aligned, make_event):
    early = make_aligned(start_ns=-3 * S)
    view = View("v", ("egoexo4d",), ("head",), (), texts=("atomic", "commentary"))
    assert room_of(early, view).start_ns == 0
    assert [window.start_ns // S for window in cut_windows(early, view).windows] == [0, 5, 10]
    events = (make_event("atomic", 1.0), make_event("commentary", 4.0))
    cut = cut_windows(replace(early, events=events), replace(view, anchor="texts"))
    assert [window.start_ns for window in cut.windows] == [0]
    assert [drop.rule for drop in cut.drops] == ["text-before-window"]


def imu2clip_reference(t, duration, half=2.5):
    """The rule in floating-point seconds, as methods §6 words it."""
    if t <= 2 * half:
        start, stop = 0.0, 2 * half
    elif t + 2 * half >= duration:
        start, stop = duration - 2 * half, duration
    else:
        start, stop = t - half, t + half
    start, stop = math.floor(start), math.floor(stop)
    return start if stop - start == 5 and start >= 0 and stop <= duration else None


def aura_reference(t, duration, width=5.0):
    end = duration - 1
    if t <= width / 2:
        start, stop = 0.0, width
    elif t + width / 2 >= end:
        start, stop = end - width, end
    else:
        start, stop = t - width / 2, t + width / 2
    start, stop = math.floor(start), math.floor(stop)
    return start if stop - start == 5 and start >= 0 and stop <= end else None


@settings(max_examples=300, deadline=None)
@given(
    eighths=st.integers(0, 600),
    duration_eighths=st.integers(40, 600),
    rule=st.sampled_from(["imu2clip", "aura"]),
    source=st.sampled_from(["narration", "atomic"]),
)
def test_the_published_rules_agree_with_their_words(eighths, duration_eighths, rule, source):
    t, duration = eighths / 8, duration_eighths / 8
    placed = place(event(source, t), room(seconds=duration), rule)
    if t > duration + 0.1:
        assert placed.drop == "text-outside-take"
        return
    start = {"imu2clip": imu2clip_reference, "aura": aura_reference}[rule](t, duration)
    assert placed.starts == (() if start is None else (start * S,))
    assert placed.drop == ("text-repo-dropped" if start is None else None)


@pytest.mark.parametrize(
    ("rule", "moment_s", "start_s"),
    [
        ("imu2clip", 5.0, 0), ("imu2clip", 5.125, 2), ("imu2clip", 54.875, 52), ("imu2clip", 55.0, 55),
        ("aura", 2.5, 0), ("aura", 3.5, 1), ("aura", 56.375, 53), ("aura", 56.5, 54),
    ],
)  # fmt: skip
def test_the_published_rules_at_the_edges_of_their_cases(rule, moment_s, start_s):
    assert place(event("atomic", moment_s), room(), rule).starts == (start_s * S,)


def test_flooring_to_whole_seconds_merges_narrations():
    moments = [20.0, 20.2, 20.49, 20.5, 21.4]
    starts = [place(event("narration", moment), room(), "imu2clip").starts[0] / S for moment in moments]
    assert starts == [17, 17, 17, 18, 18]
    early = {place(event("narration", moment), room(), "imu2clip").starts for moment in (0.1, 2.5, 5.0)}
    assert early == {(0,)}


def test_flooring_drops_a_length_that_is_not_whole_seconds():
    drops = {
        place(event("atomic", moment), room(length_s=2.5), "aura").drop for moment in (10.0, 10.25, 10.75)
    }
    assert drops == {"text-repo-dropped"}


def test_imu2clip_keeps_narrations_of_the_wearer_only():
    other = event("narration", 20, text="#O A man walks")
    assert place(other, room(), "imu2clip").drop == "text-repo-dropped"
    assert place(other, room()).starts
    assert place(event("atomic", 20, text="A man walks"), room(), "imu2clip").starts


@pytest.mark.parametrize("rule", ["own", "imu2clip", "aura"])
def test_under_every_rule_a_comment_looks_back_and_a_summary_holds_its_tiles(rule):
    assert place(event("commentary", 30.3), room(), rule).starts == (25_300_000_000,)
    assert place(event("summary", 30, 41), room(), rule).starts == (30 * S, 35 * S)


@pytest.mark.parametrize("name", [name for name, view in VIEWS.items() if view.anchor == "texts"])
def test_every_placed_window_lies_in_the_room_on_its_step(name, make_aligned):
    view = VIEWS[name]
    where = room_of(make_aligned(seconds=31.37, start_ns=-7 * STEP), view)
    for moment_ms in range(-200, 32_000, 37):
        for start in place(event(view.texts[0], moment_ms / 1000), where, view.text_rule).starts:
            assert start % where.step_ns == 0
            assert where.start_ns <= start <= where.stop_ns - where.length_ns


def belongs(text, start, length):
    """The rule of each source in words: what a window [start, stop) shows of the text."""
    stop = start + length
    if text.source == "summary":
        return text.start_ns <= start and stop <= text.stop_ns
    if text.source == "commentary":
        return text.start_ns - length // 2 < stop <= text.start_ns
    return start <= text.start_ns < stop


@pytest.mark.parametrize("source", ["narration", "atomic", "commentary", "summary"])
def test_texts_belong_to_the_windows_that_show_what_they_tell_of(source):
    for start_s, length in itertools.product((0, 7.0, 12.005, 20), (S, 5 * S)):
        text = event(source, start_s, start_s + 12 if source == "summary" else None)
        first, last = span_of_starts(text, length)
        for start in range(-20 * S, 40 * S, S // 8):
            assert (first <= start <= last) == belongs(text, start, length)
        edges = (first - 1, first, last, last + 1)
        assert [belongs(text, start, length) for start in edges] == [False, True, True, False]


@pytest.mark.parametrize("stride_s", [1, 2.5, 5])
def test_a_comment_belongs_to_tiles_that_show_half_of_what_it_looks_back_on(stride_s):
    first, last = span_of_starts(event("commentary", 32.3), 5 * S)
    tiles = [start for start in range(0, 60 * S, round(stride_s * S)) if first <= start <= last]
    assert len(tiles) == {1: 3, 2.5: 1, 5: 1}[stride_s]
    assert all(32.3 * S - 2.5 * S < start + 5 * S <= 32.3 * S for start in tiles)


@pytest.mark.parametrize("source", ["narration", "atomic", "commentary", "summary"])
def test_a_text_belongs_to_the_window_that_it_anchors(source):
    where = room()
    for moment_ms in range(5000, 60_000, 1234):
        text = event(source, moment_ms / 1000, moment_ms / 1000 + 6 if source == "summary" else None)
        first, last = span_of_starts(text, where.length_ns)
        for start in place(text, where).starts:
            at_the_end = text.start_ns > where.stop_ns - STEP
            assert first <= start <= last or at_the_end
