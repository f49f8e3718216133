"""Which texts windows carry, and windows that begin at texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sensorloom.align.errors import SettingsError
from sensorloom.align.named_views import VIEWS
from sensorloom.align.timeline import Quality
from sensorloom.align.view import View
from sensorloom.align.window import cut_windows
from sensorloom.align.wording import text_digest
from sensorloom.ingest.take import Interval, LabelInterval

S = 1_000_000_000
TILES = View("v", ("egoexo4d",), ("head",), (), texts=("narration", "atomic", "commentary", "summary"))
AT_TEXTS = replace(TILES, anchor="texts", requires=("imu", "text"))


def words(window):
    return [text.text for text in window.texts]


def starts(cut):
    return [window.start_ns / S for window in cut.windows]


def reasons(cut):
    return {drop.rule: dict(drop.numbers) for drop in cut.drops}


def test_two_narrations_a_second_apart_are_two_positives_of_one_tile(make_aligned, make_event):
    events = (make_event("narration", 6.0, "#C C bends"), make_event("narration", 7.0, "#C C stands up"))
    cut = cut_windows(make_aligned(events=events), TILES)
    assert [words(window) for window in cut.windows] == [[], ["C bends", "C stands up"], [], []]
    assert [text.offset_ms for text in cut.windows[1].texts] == [-1500.0, -500.0]


def test_passes_stay_apart_and_equal_words_share_an_id(make_aligned, make_event):
    events = tuple(
        make_event("narration", 6.0, "C bends", annotator=name, uncertainty_s=2)
        for name in ("narration_pass_1", "narration_pass_2")
    )
    (_, window, *_) = cut_windows(make_aligned(events=events), TILES).windows
    assert [text.annotator for text in window.texts] == ["narration_pass_1", "narration_pass_2"]
    assert {text.text_id for text in window.texts} == {text_digest("C bends")}
    assert {text.uncertainty_ms for text in window.texts} == {2000.0}


def test_each_source_has_its_slot_in_the_order_of_the_view(make_aligned, make_event):
    events = (
        make_event("summary", 0.0, "C cooks", stop_s=12),
        make_event("atomic", 5.0, "C cuts"),
        make_event("narration", 9.999, "#C C cuts an onion"),
        make_event("commentary", 12.0, "Good grip"),
    )
    cut = cut_windows(make_aligned(events=events), TILES)
    assert [[(text.slot, text.source) for text in window.texts] for window in cut.windows] == [
        [(3, "summary")],
        [(0, "narration"), (1, "atomic"), (2, "commentary"), (3, "summary")],
        [],
        [],
    ]
    assert cut.windows[1].texts[3].offset_ms == -1500.0


@pytest.mark.parametrize("moment_s", [5.0, 7.4996, 13.337, 19.995])
def test_the_window_of_a_comment_ends_when_it_was_made_to_the_grid_step(make_aligned, make_event, moment_s):
    view = VIEWS["aura-commentary"]
    aligned = make_aligned(events=(make_event("commentary", moment_s, " Too fast"),))
    (window,) = cut_windows(aligned, view).windows
    assert 0 <= moment_s * S - window.stop_ns < 5_000_000
    assert words(window) == ["Too fast"]
    assert 2500 <= window.texts[0].offset_ms < 2505


def test_texts_without_a_window_are_counted_by_reason(make_aligned, make_event):
    events = (
        make_event("summary", 1, "short", stop_s=2),
        make_event("commentary", 4.99, "early"),
        make_event("narration", 8, "#unsure"),
        make_event("atomic", 25.0, "late"),
    )
    cut = cut_windows(make_aligned(events=events), AT_TEXTS)
    assert cut.windows == ()
    assert reasons(cut) == {
        "text-empty": {"texts": 1},
        "text-outside-take": {"texts": 1},
        "text-before-window": {"texts": 1},
        "text-too-short": {"texts": 1},
    }
    assert cut.drops[0].sentence == "v: 1 text left out, of which nothing is left without tags"
    repo = cut_windows(
        make_aligned(seconds=5.5, events=(make_event("atomic", 3.0),)), replace(AT_TEXTS, text_rule="aura")
    )
    assert reasons(repo) == {"text-repo-dropped": {"texts": 1}}


def test_windows_at_texts_carry_their_own_text_first_then_the_neighbours_that_they_show(
    make_aligned, make_event
):
    events = (
        make_event("atomic", 6.0, "one"),
        make_event("atomic", 7.0, "two"),
        make_event("atomic", 16.0, "far"),
    )
    cut = cut_windows(make_aligned(events=events), AT_TEXTS)
    assert starts(cut) == [3.5, 4.5, 13.5]
    assert [words(window) for window in cut.windows] == [["one", "two"], ["two", "one"], ["far"]]


def test_a_comment_joins_the_windows_of_others_that_end_shortly_before(make_aligned, make_event):
    events = (
        make_event("commentary", 10.0, "first"),
        make_event("commentary", 12.0, "second"),
        make_event("commentary", 15.0, "third"),
    )
    cut = cut_windows(make_aligned(events=events), VIEWS["aura-commentary"])
    assert starts(cut) == [5, 7, 10]
    assert [words(window) for window in cut.windows] == [["first", "second"], ["second"], ["third"]]


def test_identical_windows_are_one_with_several_positives(make_aligned, make_event):
    moments = (9.0, 9.2, 9.49, 9.5, 10.7)
    events = tuple(make_event("atomic", moment, f"at {moment}") for moment in moments)
    cut = cut_windows(make_aligned(events=events), VIEWS["primus-repo"])
    assert starts(cut) == [6, 7, 8]
    assert [words(window) for window in cut.windows] == [
        ["at 9.0", "at 9.2", "at 9.49"], ["at 9.5"], ["at 10.7"],
    ]  # fmt: skip
    assert len({window.window_id for window in cut.windows}) == 3


def test_under_the_own_rule_moments_within_a_step_share_a_window(make_aligned, make_event):
    events = (make_event("atomic", 9.0, "one"), make_event("atomic", 9.001, "two"))
    (window,) = cut_windows(make_aligned(events=events), VIEWS["aura-aad"]).windows
    assert words(window) == ["one", "two"]


def test_a_text_at_the_end_of_the_take_keeps_its_window(make_aligned, make_event):
    events = (make_event("atomic", 20.5, "last", uncertainty_s=2), make_event("commentary", 20.03, "over"))
    cut = cut_windows(make_aligned(events=events), AT_TEXTS)
    assert starts(cut) == [15]
    assert words(cut.windows[0]) == ["last", "over"]


def test_no_window_at_a_text_crosses_a_break_or_leaves_its_label(make_aligned, make_event):
    events = tuple(make_event("atomic", moment, f"at {moment}") for moment in (4, 9, 16))
    paused = make_aligned(events=events, breaks=(Interval(10 * S, 11 * S),))
    cut = cut_windows(paused, AT_TEXTS)
    assert starts(cut) == [1.5, 13.5]
    assert reasons(cut) == {
        "window-outside-run": {"windows": 1, "total_s": 5.0},
        "text-unpaired": {"texts": 1},
    }
    labelled = make_aligned(
        events=events, labels=(LabelInterval(0, 7 * S, "walk"), LabelInterval(7 * S, 12 * S, "sit"))
    )
    cut = cut_windows(labelled, replace(AT_TEXTS, classes=("sit", "walk")))
    assert [(window.start_ns / S, window.label) for window in cut.windows] == [(1.5, "walk")]
    assert reasons(cut)["window-outside-run"] == {"windows": 2, "total_s": 10.0}


def test_a_view_of_texts_drops_what_its_imu_does_not_cover(make_aligned, make_event):
    quality = np.full((4000, 2), Quality.VALID, np.uint8)
    quality[:1200] = Quality.INVALID
    aligned = make_aligned(quality=quality, events=(make_event("atomic", 5.0), make_event("atomic", 15.0)))
    cut = cut_windows(aligned, AT_TEXTS)
    assert starts(cut) == [12.5]
    assert reasons(cut) == {"window-coverage": {"windows": 1, "total_s": 5.0}, "text-unpaired": {"texts": 1}}


def test_tiles_without_a_text_are_dropped_where_one_is_required(make_aligned, make_event):
    cut = cut_windows(
        make_aligned(events=(make_event("atomic", 6.0),)), replace(TILES, requires=("imu", "text"))
    )
    assert starts(cut) == [5]
    assert reasons(cut) == {"window-lacks-text": {"windows": 3, "total_s": 15.0}}


def test_only_labels_of_the_views_vocabulary_count(make_aligned):
    labels = (
        LabelInterval(0, 20 * S, "upenn_0710_Dance_2_4", "take-name"),
        LabelInterval(0, 20 * S, "Dance", "task"),
        LabelInterval(3 * S, 6 * S, "turn left", "keystep"),
    )
    aligned = make_aligned(labels=labels)
    for name, label in (("har-egoexo4d", "dance"), ("har-egoexo4d-aura", "Dance")):
        cut = cut_windows(aligned, VIEWS[name])
        assert cut.drops == ()
        assert {window.label for window in cut.windows} == {label}
        assert {VIEWS[name].classes[window.label_index] for window in cut.windows} == {label}
        assert len(cut.windows) == 4


def test_published_rules_read_the_first_pass_only(make_aligned, make_event):
    events = tuple(
        replace(make_event("atomic", moment, f"pass {number}"), tags={"pass": str(number)})
        for number, moment in ((1, 9.0), (2, 9.1), (3, 9.2))
    )
    aligned = make_aligned(events=events)
    assert words(cut_windows(aligned, VIEWS["aura-aad"]).windows[0]) == ["pass 1", "pass 2", "pass 3"]
    for name in ("aura-aad-repo", "primus-repo"):
        cut = cut_windows(aligned, VIEWS[name])
        assert [words(window) for window in cut.windows] == [["pass 1"]]
        assert reasons(cut)["text-later-pass"] == {"texts": 2}


def test_a_take_without_texts_says_why_it_gives_no_window(make_aligned):
    cut = cut_windows(make_aligned(), VIEWS["aura-aad"])
    assert cut.windows == ()
    assert "anchor-missing" in reasons(cut)


def test_texts_beyond_the_last_tile_are_counted(make_aligned, make_event):
    aligned = make_aligned(seconds=18, events=(make_event("atomic", 3.0), make_event("atomic", 17.0)))
    cut = cut_windows(aligned, replace(TILES, texts=("atomic",)))
    assert reasons(cut)["text-unpaired"] == {"texts": 1}


def test_a_sensor_without_a_sample_is_told_in_the_view(make_aligned):
    quality = np.full((4000, 2), Quality.VALID, np.uint8)
    quality[:, 0] = Quality.INVALID
    cut = cut_windows(make_aligned(quality=quality), TILES)
    (told,) = [drop for drop in cut.drops if drop.rule == "window-sensor-missing"]
    assert (told.severity, told.target.partition("#")[2]) == ("warning", "head/accelerometer")
    assert told.numbers == {"windows": 4}


def test_a_vocabulary_that_the_take_has_not_is_told(make_aligned):
    aligned = make_aligned(labels=(LabelInterval(0, 20 * S, "Dance", "task"),))
    cut = cut_windows(aligned, replace(TILES, classes=("turn left",), label_source="keystep"))
    (told,) = [drop for drop in cut.drops if drop.rule == "label-source-missing"]
    assert told.sentence.endswith("no label of the vocabulary 'keystep'; it has task")


def test_published_rules_need_whole_seconds():
    with pytest.raises(SettingsError, match=r"imu2clip puts windows on whole seconds, .* got 2\.5 s"):
        replace(VIEWS["primus-repo"], length_s=2.5)
