from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensorloom.align.best_exo import best_exo, choose_exo
from sensorloom.align.view import View
from sensorloom.align.window import cut_windows

S = 1_000_000_000


@pytest.fixture
def chosen(make_aligned, make_event, make_video):
    """The camera of each of four windows of 5 s, from what descriptions (second, camera) and the take say."""

    def chosen(said, of_take=None, cameras=("cam01", "cam02", "cam03")):
        events = tuple(
            make_event("atomic", at, **({} if name is None else {"best_exo": name}))
            for at, name in sorted(said, key=lambda vote: vote[0])
        )
        videos = (make_video("cam09"), *(make_video(name, "exo") for name in cameras))
        facts = {} if of_take is None else {"best_exo": of_take}
        aligned = make_aligned(videos=videos, events=events, facts=facts)
        return list(best_exo(aligned, np.arange(4) * 5 * S, 5 * S))

    return chosen


def test_the_descriptions_of_a_window_choose_and_else_the_take(chosen):
    said = [(0.0, "cam01"), (4.999, "cam01"), (5.0, "cam03"), (15.0, "cam02")]
    assert chosen(said, "cam02") == ["cam01", "cam03", "cam02", "cam02"]
    assert chosen(said) == ["cam01", "cam03", None, "cam02"]


def test_most_votes_count_then_the_take_then_the_name(chosen):
    split = [
        (1, "cam03"),
        (2, "cam02"),
        (3, "cam02"),
        (6, "cam03"),
        (7, "cam02"),
        (11, "cam03"),
        (12, "cam01"),
    ]
    assert chosen(split, "cam03") == ["cam02", "cam03", "cam03", "cam03"]
    assert chosen(split) == ["cam02", "cam02", "cam01", None]


def test_a_camera_that_the_take_lacks_has_no_vote(chosen):
    # `cam09` is the ego camera here, `gp01` a walk-around phone that is not read.
    assert chosen([(1, "gp01"), (6, "cam09"), (7, "cam01"), (11, None)], "gp01") == [
        None,
        "cam01",
        None,
        None,
    ]
    assert chosen([(1, "cam01")], "cam01", cameras=()) == [None] * 4


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(
        st.tuples(st.integers(0, 19), st.sampled_from(["cam01", "cam02", "gp01", None])), max_size=12
    ),
    of_take=st.sampled_from(["cam01", "cam03", "gp01", None]),
)
def test_no_camera_has_more_votes_than_the_chosen_one(chosen, said, of_take):
    names = chosen(said, of_take)
    for window, name in enumerate(names):
        votes = Counter(camera for at, camera in said if at // 5 == window and camera in ("cam01", "cam02"))
        if votes:
            assert votes[name] == max(votes.values())
        else:
            assert name == (of_take if of_take in ("cam01", "cam03") else None)


def test_the_best_camera_is_shown_where_it_is_there_and_else_none(make_aligned, make_video):
    view = View("v", ("egoexo4d",), ("head",), (), cameras=("exo2", "ego", "exo1"), exo="best")
    videos = (make_video("aria01"), make_video("cam01", "exo"), make_video("cam02", "exo", 10))
    for best, places in (("cam01", [2, 2, 2, 2]), ("cam02", [0, 0, -1, -1]), ("aria01", [-1] * 4)):
        aligned = make_aligned(videos=videos, facts={"best_exo": best})
        assert choose_exo(aligned, view, cut_windows(aligned, view).windows).tolist() == places
    fewer = replace(view, cameras=("exo1",))
    aligned = make_aligned(videos=videos, facts={"best_exo": "cam02"})
    assert choose_exo(aligned, fewer, cut_windows(aligned, fewer).windows).tolist() == [-1] * 4
    assert choose_exo(aligned, view, ()).shape == (0,)
