from __future__ import annotations

from dataclasses import replace

import pytest

from sensorloom.align.errors import SettingsError
from sensorloom.align.named_views import VIEWS
from sensorloom.align.view import CAMERA_SLOTS, TEXT_SOURCES, View

PLAIN = View("v", ("d",), ("head",), ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate_hz": 60}, "view v: rate_hz must divide 200 Hz, got 60 Hz"),
        ({"rate_hz": 150}, "view v: rate_hz must divide 200 Hz, got 150 Hz"),
        ({"length_s": 5.0001}, "view v: length_s must be whole samples at 200 Hz, got 5.0001 s"),
        ({"positions": ("a", "a")}, r"view v: positions must be there and differ, got \('a', 'a'\)"),
        ({"length_s": 0.013}, "view v: length_s must be whole samples at 200 Hz, got 0.013 s"),
        ({"stride_s": 0.0}, "view v: stride_s must be whole samples at 200 Hz, got 0 s"),
        ({"positions": ()}, r"view v: positions must be there and differ, got \(\)"),
        ({"min_coverage": 1.5}, "view v: min_coverage must lie in 0 … 1, got 1.5"),
        ({"cameras": ("ego", "ego")}, "view v: cameras must differ and be among ego, exo1, .* got ego, ego"),
        ({"cameras": ("cam01",)}, "view v: cameras must differ and be among .* got cam01"),
        ({"texts": ("subtitle",)}, "view v: texts must differ and be among narration, .* got subtitle"),
        ({"class_words": (("bike", "bicycle"),)}, "view v: class_words must .* no classes, got bicycle"),
        ({"requires": ("video",)}, "view v: requires video, so cameras must be set"),
        ({"requires": ("imu", "text")}, "view v: requires text, so texts must be set"),
        ({"requires": ("mocap",)}, "view v: requires mocap, so mocap must be set"),
        ({"anchor": "texts"}, "view v: anchor is texts, so texts must be set"),
        ({"anchor": "mocap"}, "view v: anchor is mocap, so mocap must be set"),
        (
            {"cameras": ("ego",), "length_s": 0.05},
            r"view v: with video or mocap length_s must be at least 0.1 s, got 0.05 s",
        ),
        ({"pooling": "max"}, "view v: pooling must be one of mean-then-normalise, .*-last, got 'max'"),
        ({"exo": "all"}, "view v: exo must be one of separate, best, mean, got 'all'"),
        ({"imu_type": "int8"}, "view v: imu_type must be one of float32, float16, int16, got 'int8'"),
        ({"layout": "zip"}, "view v: layout must be one of plain, compressed, got 'zip'"),
        ({"num_frames": 10}, "view v: num_frames must be unset without cameras, got 10"),
        (
            {"num_frames": 0, "cameras": ("ego",)},
            "view v: num_frames must be 1 … 50, the instants of a window, got 0",
        ),
        (
            {"num_frames": 26, "cameras": ("ego",), "length_s": 2.5},
            "view v: num_frames must be 1 … 25, the instants of a window, got 26",
        ),
        ({"exo": "mean"}, "view v: exo is mean, so cameras must have an exo camera, got none"),
        (
            {"exo": "best", "cameras": ("ego",)},
            "view v: exo is best, so cameras must have an exo camera, got ego",
        ),
    ],
)
def test_a_view_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        replace(PLAIN, **changes)


@pytest.mark.parametrize(
    ("length_s", "rate_hz", "samples", "slow"), [(5, 200, 1000, 50), (2.5, 50, 125, 25), (5.12, 100, 512, 51)]
)
def test_lengths_are_counted_in_samples_and_instants(length_s, rate_hz, samples, slow):
    view = replace(PLAIN, length_s=length_s, stride_s=length_s, rate_hz=rate_hz)
    assert (view.samples, view.slow_samples) == (samples, slow)
    assert view.length_ns == samples * view.step_ns == round(length_s * 1e9)


def test_the_named_views_have_the_sizes_of_their_papers():
    sizes = {name: (view.samples, len(view.classes), len(view.positions)) for name, view in VIEWS.items()}
    assert {name: size for name, size in sizes.items() if size[1]} == {
        "har-pamap2": (1000, 18, 1),
        "har-realworld": (250, 8, 1),
        "crossl-pamap2": (512, 12, 3),
        "crossl-realworld": (250, 8, 7),
        "har-egoexo4d": (250, 8, 1),
        "har-egoexo4d-aura": (1000, 8, 1),
        "har-ego4d": (250, 10, 1),
        "har-ego4d-15": (250, 15, 1),
    }
    assert VIEWS["crossl-pamap2"].grid_samples == 1024


def test_recipes_carry_the_rates_sources_and_anchors_of_their_papers():
    primus = VIEWS["primus"]
    assert (primus.rate_hz, primus.samples, primus.texts) == (50, 250, ("atomic",))
    assert (primus.anchor, primus.cameras, primus.requires) == ("texts", ("ego",), ("imu", "text"))
    assert (VIEWS["aura-video"].anchor, VIEWS["aura-video"].cameras) == ("tiles", CAMERA_SLOTS)
    assert VIEWS["aura-aad"].texts == ("atomic",)
    assert VIEWS["aura-commentary"].texts == ("commentary",)
    assert (VIEWS["aura-mocap"].anchor, VIEWS["aura-mocap"].requires) == ("mocap", ("imu", "mocap"))
    everything = VIEWS["all-modalities"]
    assert set(everything.datasets) == {"ego4d", "egoexo4d"}
    assert everything.requires == ()
    assert (everything.cameras, everything.texts) == (CAMERA_SLOTS, TEXT_SOURCES)


@pytest.mark.parametrize(
    ("cameras", "together"),
    [
        (CAMERA_SLOTS, ("ego", "exo")),
        (("exo2", "ego", "exo1"), ("exo", "ego")),
        (("exo3",), ("exo",)),
    ],
)
def test_exo_cameras_have_a_slot_each_or_share_one(cameras, together):
    assert replace(PLAIN, cameras=cameras).video_slots == cameras
    assert PLAIN.video_slots == ()
    for exo in ("best", "mean"):
        assert replace(PLAIN, cameras=cameras, exo=exo).video_slots == together


def test_a_repo_variant_differs_from_its_recipe_in_the_rules_of_the_published_code_alone():
    names = [name for name in VIEWS if name.endswith("-repo")]
    assert names == ["primus-repo", "aura-video-repo", "aura-aad-repo", "aura-commentary-repo"]
    for name in names:
        plain = VIEWS[name.removesuffix("-repo")]
        variant = VIEWS[name]
        same = {"text_rule": "own", "leak_free": True, "cameras": plain.cameras}
        same |= {"pooling": plain.pooling, "num_frames": plain.num_frames}
        assert variant != replace(plain, name=name)
        assert replace(variant, name=plain.name, **same) == plain


def test_recipes_pool_frames_as_their_papers_and_published_code_do():
    for name in ("primus", "primus-repo", "aura-video", "all-modalities"):
        view = VIEWS[name]
        assert (view.pooling, view.num_frames, view.exo) == ("mean-then-normalise", None, "separate")
    repo = VIEWS["aura-video-repo"]
    assert (repo.pooling, repo.num_frames, repo.cameras) == ("middle", 10, ("exo2",))


def test_every_named_view_is_held_exactly_and_read_in_place():
    assert {(view.imu_type, view.layout) for view in VIEWS.values()} == {("float32", "plain")}
