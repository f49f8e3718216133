"""What is said of a view that was built again: which fields of its recipe, how many buckets, or nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from sensorloom.align.named_views import VIEWS
from sensorloom.flows.changes import ViewBuild, changed_fields, changes_in_words, view_change

PAMAP2 = VIEWS["har-pamap2"]
NOW = ViewBuild(asdict(PAMAP2), {"00": "a", "01": "b", "02": "c"})


def built(works: dict[str, str], **fields: object) -> ViewBuild:
    return ViewBuild(asdict(replace(PAMAP2, **fields)), works)


def test_a_recipe_differs_from_itself_in_nothing_whether_read_or_made() -> None:
    made = asdict(VIEWS["har-egoexo4d"])
    read = json.loads(json.dumps(made))
    assert changed_fields(read, made) == changed_fields(made, read) == {}


def test_fields_that_differ_are_told_with_both_values() -> None:
    compressed = asdict(replace(PAMAP2, imu_type="int16", layout="compressed"))
    changes = changed_fields(compressed, asdict(PAMAP2))
    assert changes == {"imu_type": ("int16", "float32"), "layout": ("compressed", "plain")}
    assert changes_in_words(changes) == "imu_type int16 → float32, layout compressed → plain"


def test_a_field_that_an_older_build_did_not_know_had_its_default() -> None:
    older = {name: value for name, value in asdict(PAMAP2).items() if name not in ("imu_type", "layout")}
    assert changed_fields(older, asdict(PAMAP2)) == {}
    assert changed_fields(older, asdict(replace(PAMAP2, imu_type="float16"))) == {
        "imu_type": ("float32", "float16")
    }


def test_a_line_tells_values_in_words_and_of_long_ones_the_field_alone() -> None:
    changes = {
        "positions": (["chest", "hand"], []),
        "num_frames": (None, 5),
        "leak_free": (True, False),
        "classes": (["walking"], [f"class {number}" for number in range(12)]),
    }
    assert changes_in_words(changes) == (
        "positions chest + hand → none, num_frames unset → 5, leak_free true → false, classes changed"
    )


@pytest.mark.parametrize(
    ("before", "committed", "words"),
    [
        (None, True, "new"),
        (NOW, False, "unchanged"),
        (NOW, True, "split anew"),
        (built({"00": "x", "01": "y", "02": "z"}, rate_hz=50), True, "built anew: rate_hz 50 → 200"),
        (
            built({"00": "a", "01": "y"}),
            True,
            "2 of 3 buckets built (takes, vectors or code changed)",
        ),
        (
            built({**NOW.works, "03": "d", "04": "e"}),
            True,
            "0 of 3 buckets built, 2 dropped (takes, vectors or code changed)",
        ),
    ],
)
def test_the_strongest_reason_is_told(before: ViewBuild | None, committed: bool, words: str) -> None:
    assert view_change(before, NOW, committed=committed).words == words
