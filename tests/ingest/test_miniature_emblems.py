"""Generated pictures show what their texts say: an emblem of each phase, in colours alone, at the planted time."""

from __future__ import annotations

from functools import cache
from itertools import combinations, islice

import numpy as np
import pytest

from sensorloom.ingest.miniature.ego4d_schedule import catalogue
from sensorloom.ingest.miniature.egoexo4d_tasks import TASKS
from sensorloom.ingest.miniature.emblems import COLOURS, FULL, SHAPES, Emblem, draw_emblem
from sensorloom.ingest.miniature.movements import MOVEMENTS
from sensorloom.ingest.miniature.scene import Camera, render_person, render_view
from sensorloom.ingest.miniature.shown import show_phases, shown_truth
from sensorloom.ingest.miniature.tints import TINTS
from sensorloom.ingest.miniature.wearer import Phase
from sensorloom.ingest.video import decode_frames, read_video_table
from tests.ingest.egoexo4d_tree import BIKE, DANCE

LUMA = np.array([0.299, 0.587, 0.114])
RED_DISC, BLUE_BARS = Emblem("disc", "red"), Emblem("bars", "blue")
SIZES = [(160, 160), (192, 256), (192, 128), (96, 128), (128, 96), (120, 160)]


@cache
def view(height_px=160, width_px=160, tint=None):
    return next(render_view(Camera(width_px, height_px, 150.0), *np.zeros((3, 1)), "emblems", tint=tint))


def drawn(picture, emblem=RED_DISC, opacity=FULL, place="hands"):
    picture = picture.copy()
    draw_emblem(picture, emblem, opacity, place)
    return picture


def test_all_colours_are_of_the_panes_luma():
    assert np.array(list(COLOURS.values())) @ LUMA == pytest.approx(122, abs=1.5)


@pytest.mark.parametrize("place", ["hands", "beside"])
@pytest.mark.parametrize(("height_px", "width_px"), SIZES)
def test_an_emblem_is_small_and_inside_the_centre_crop(height_px, width_px, place):
    picture = view(height_px, width_px)
    changed = (drawn(picture, place=place) != picture).any(axis=2)
    assert 0 < changed.mean() < 0.12
    short_px = min(height_px, width_px)
    top, left = (height_px - short_px) // 2, (width_px - short_px) // 2
    if place == "beside" or height_px <= width_px:
        changed[top : top + short_px, left : left + short_px] = False
        assert not changed.any()


def test_an_emblem_beside_a_person_covers_nothing_of_them():
    for picture in render_person(128, 96, np.full(40, 2.0), "emblems"):
        person = picture.min(axis=2) > 190
        pane = (drawn(picture, place="beside") != picture).any(axis=2)
        assert person.any()
        assert not (person & pane).any()


def test_which_emblem_it_is_shows_in_the_colours_alone():
    """In a scene of middling luma; in darkest shadow and brightest light a colour is cut."""
    picture = (view() // 3 + 80).astype(np.uint8)
    bare = drawn(picture, opacity=0)
    for shape in SHAPES:
        for colour in COLOURS:
            shown = drawn(picture, Emblem(shape, colour))
            assert np.abs((shown - bare.astype(float)) @ LUMA).max() < 14
            assert np.abs((shown - bare.astype(float)) @ LUMA).mean() < 0.3
            assert np.abs(shown - bare.astype(float)).max() > 50


def test_a_faded_emblem_is_between_the_pane_and_the_whole():
    picture = view()
    whole, half, bare = (drawn(picture, opacity=opacity).astype(int) for opacity in (FULL, FULL // 2, 0))
    np.testing.assert_allclose(half, (whole + bare) / 2, atol=40)
    assert 0.4 < np.abs(half - bare).sum() / np.abs(whole - bare).sum() < 0.65
    np.testing.assert_array_equal(drawn(picture, None), bare)


def test_every_movement_has_an_emblem_of_its_own_that_is_seen_at_64_px():
    emblems = [movement.emblem for movement in MOVEMENTS.values()]
    assert len(set(emblems)) == len(MOVEMENTS)
    for place in ("hands", "beside"):
        pictures = [drawn(view(64, 64), emblem, place=place).astype(int) for emblem in emblems]
        apart = [np.abs(one - other).max(axis=2) > 40 for one, other in combinations(pictures, 2)]
        assert min(different.sum() for different in apart) > 40


def test_steps_of_a_task_differ_by_emblem_and_scenarios_by_tint():
    for task in TASKS.values():
        assert len({step.movement.emblem for step in task.steps}) == len(task.steps)
    places = {video.plan.place for video in islice(catalogue(0, None), 11)}
    assert TINTS.keys() == TASKS.keys() | places
    tinted = [view(tint=tint).astype(int) for tint in TINTS.values()]
    assert min(np.abs(one - other).mean() for one, other in combinations(tinted, 2)) > 8


def test_a_tint_keeps_the_scene_nearly_as_bright():
    plain = view() @ LUMA
    for tint in TINTS.values():
        assert np.abs(view(tint=tint) @ LUMA - plain).mean() < 12


PHASES = (Phase("walks", RED_DISC, 0.0, 2.0), Phase("jumps", BLUE_BARS, 2.0, 4.0))


def test_an_emblem_lasts_as_long_as_its_phase_and_comes_without_a_jump():
    time_s = np.arange(-10, 130) / 30
    pictures = np.array(list(show_phases((view().copy() for _ in time_s), PHASES, time_s, "hands")), np.int64)
    bare = drawn(view(), opacity=0)
    for second, emblem in ((1.0, RED_DISC), (1.5, RED_DISC), (2.5, BLUE_BARS)):
        np.testing.assert_array_equal(pictures[time_s == second][0], drawn(view(), emblem))
    for second in (time_s[0], 0.0, 2.0, 4.0, time_s[-1]):
        np.testing.assert_array_equal(pictures[np.isclose(time_s, second)][0], bare)
    steps = np.abs(np.diff(pictures, axis=0)).sum(axis=(1, 2, 3))
    assert steps.max() < 0.25 * np.abs(drawn(view()).astype(int) - bare).sum()


def test_truth_tells_what_is_shown_in_the_videos_time():
    told = shown_truth(PHASES, 1.0, 2.0)
    assert told == [
        {"name": "walks", "emblem": "red disc", "start_s": 0.0, "stop_s": 1.0},
        {"name": "jumps", "emblem": "blue bars", "start_s": 1.0, "stop_s": 2.0},
    ]
    assert shown_truth(PHASES, 2.0, 1.0) == [
        {"name": "jumps", "emblem": "blue bars", "start_s": 0.0, "stop_s": 1.0}
    ]


def emblem_traces(root, video):
    """How much of each picture, at the emblem's place, has each colour rather than grey, float64[F, 6]."""
    uri = video["uri"]
    frames = decode_frames(root / uri, uri, read_video_table(root / uri, uri).pts)
    pictures = np.array([frame.rgb for _, frame in frames], np.float64)
    (height_px, width_px), short_px = pictures.shape[1:3], min(pictures.shape[1:3])
    top, left = (height_px - short_px) // 2 + short_px // 16, width_px // 2 + short_px * 22 // 100
    patch = pictures[:, top : top + short_px // 5, left : left + short_px // 5]
    chroma = patch.mean(axis=(1, 2)) - (patch.mean(axis=(1, 2)) @ LUMA)[:, None]
    tones = np.array(list(COLOURS.values())) - 122
    return chroma @ (tones / np.linalg.norm(tones, axis=1, keepdims=True)).T


@pytest.mark.parametrize(("take_id", "camera"), [(BIKE, "cam01"), (BIKE, "cam03"), (DANCE, "gp02")])
def test_the_emblem_in_an_exo_video_shows_the_planted_offset(egoexo4d_sample, take_id, camera):
    root, truth, _ = egoexo4d_sample
    take = truth[take_id]
    video = take["videos"][camera]
    traces = emblem_traces(root, video)
    time_s, names = np.arange(len(traces)) / 30, list(COLOURS)
    lags_ms = np.arange(-300, 301, 10)
    scores = []
    for lag_ms in lags_ms:
        shown = np.zeros_like(traces)
        for phase in take["shown"]:
            inside = (time_s + lag_ms / 1e3 >= phase["start_s"]) & (time_s + lag_ms / 1e3 < phase["stop_s"])
            shown[inside, names.index(phase["emblem"].split()[0])] = 1
        used = shown.any(axis=0)
        scores.append(np.corrcoef(shown[:, used].ravel(), traces[:, used].ravel())[0, 1])
    assert abs(lags_ms[int(np.argmax(scores))] - video["offset_ms"]) <= 40
    assert max(scores) > 0.6
