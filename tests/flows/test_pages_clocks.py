"""Offsets, drifts, lags and strips stand where their numbers say, and the sentences beside them say the same."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from sensorloom.align.rules import RULES
from sensorloom.flows.audit.report_takes import SegmentFacts, Strip, SyncFacts
from sensorloom.flows.audit.sync import sync_of
from sensorloom.flows.pages.clocks import clocks
from sensorloom.flows.pages.lags import lag_plot
from sensorloom.flows.pages.scale import Scale, coordinate, symmetric, ticks
from sensorloom.flows.pages.strips import strips
from sensorloom.flows.pages.syncs import measured, pair_sentence, sync_sentence
from sensorloom.flows.pages.take import render_take
from sensorloom.flows.pages.whiskers import axis, lane, whisker
from sensorloom.flows.pages.words import signed
from tests.flows.page_reader import Document
from tests.flows.pictured import detail, pair, pictured, point, sync
from tests.flows.reports import rule

PAGES = files("sensorloom.flows.pages")
STYLE, SCRIPT = (PAGES.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
MINUS = "\N{MINUS SIGN}"


def test_an_axis_holds_every_value_and_marks_round_numbers() -> None:
    scale = symmetric([300.0, -20.0], 50.0)
    assert (scale.low, scale.high) == pytest.approx((-330.0, 330.0))
    assert ticks(scale) == [-200.0, 0.0, 200.0]
    assert ticks(Scale(0.0, 1.0)) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert symmetric([], 50.0).high == pytest.approx(55.0)
    assert symmetric([float("inf"), 10.0], 5.0).high == pytest.approx(11.0)


def test_a_coordinate_is_short_and_has_no_negative_zero() -> None:
    assert [coordinate(value) for value in (1.0, 0.333333, -0.001, 2.5)] == ["1", "0.33", "0", "2.5"]


def test_a_whisker_stands_where_its_numbers_say() -> None:
    """On an axis from −100 to 100: 50 ± 10 spans 70 to 80 % of the width, the band of ±20 spans 40 to 60 %."""
    drawn = whisker(Scale(-100.0, 100.0), 50.0, 10.0, "shifted", 20.0)
    assert re.search(r'<circle cx="75%" [^>]*class="dot shifted"', drawn)
    assert re.search(r'<line x1="70%" x2="80%" y1="12" y2="12"', drawn)
    assert re.search(r'<rect x="40%" width="20%" [^>]*class="band"', drawn)
    assert drawn.count("<line") == 4  # the line of zero, the interval and its two ends


def test_a_whisker_that_leaves_the_axis_has_no_end_there() -> None:
    drawn = whisker(Scale(-100.0, 100.0), 90.0, 50.0, "unknown", None)
    assert re.search(r'<line x1="70%" x2="100%"', drawn)
    assert drawn.count("<line") == 3
    assert "band" not in drawn


def test_a_lane_draws_every_value_once() -> None:
    drawn = lane(Scale(-10.0, 10.0), [("aligned", 0.0), ("aligned", 5.0), ("shifted", -10.0)], None, "three")
    paths = dict(re.findall(r'<path d="([^"]*)" class="ticks (\w+)"', drawn))
    assert paths == {"M500 4v14M750 4v14": "aligned", "M0 4v14": "shifted"}
    assert 'aria-label="three"' in drawn


def test_an_axis_says_its_unit_and_range_aloud() -> None:
    assert f"ms, {MINUS}330 to +330" in Document(axis(symmetric([300.0], 1.0), "ms")).said


def test_the_worst_takes_stand_in_rows_with_links_and_numbers() -> None:
    text = clocks(pictured())
    said = Document(text).said
    assert said.index("pamap2/104 +412.0 ± 4.0 ms") < said.index(f"pamap2/107 {MINUS}61.0 ± 4.0 ms")
    assert '<a href="takes/pamap2-104.html"><code>pamap2/104</code></a>' in text
    assert "<code>pamap2/107</code>" in text
    assert "pamap2/107</code></a>" not in text
    assert said.count("± 4.0 ms ") == 8  # six rows, and the median twice
    assert "all 8 comparisons" in said
    assert "pamap2/120" not in said


def test_a_row_names_its_stream_where_the_pair_is_of_several() -> None:
    points = (
        point("egoexo4d/a", 84.0, "shifted", second="cam03"),
        point("egoexo4d/b", 90.0, "shifted", second="chest"),
    )
    said = Document(clocks(replace(pictured(), pairs=(pair(points=points, second="chest"),)))).said
    assert "egoexo4d/a cam03 +84.0" in said
    assert "egoexo4d/b +90.0" in said


def test_a_take_that_drifts_is_not_hidden_behind_larger_sound_offsets() -> None:
    sound = [point(f"pamap2/{place}", 40.0 - place) for place in range(10)]
    points = (*sound, point("pamap2/late", 1.0, "drifting", drift_ppm=300.0))
    named = re.findall("<code>([^<]*)</code>", clocks(pictured(pairs=(pair(points=points),))))
    assert named == ["pamap2/late", *(f"pamap2/{place}" for place in range(5))]


def test_an_offset_that_tells_nothing_is_neither_drawn_nor_named() -> None:
    wide = point("a/wide", 900.0, "unknown", offset_ci_ms=2000.0)
    text = clocks(pictured(pairs=(pair(points=(wide, *pair().points)),)))
    assert "a/wide" not in text
    assert "+500" not in text
    assert text.count("<circle") == clocks(pictured()).count("<circle")


def test_takes_too_short_to_tell_a_drift_leave_its_columns_out() -> None:
    short = point("a/1", 90.0, "shifted", drift_ppm=None, drift_ci_ppm=None)
    text = clocks(pictured(pairs=(pair(points=(short,)),)))
    assert "Drift<" not in text
    assert "ppm" not in text
    assert "Drift<" in clocks(pictured())


def test_the_band_is_the_limit_that_held() -> None:
    """Tuned limits come with the findings; without one it is the table's."""
    tuned = rule("sync-shifted", threshold=200.0, unit="ms")
    bands = []
    for rules in ((tuned,), ()):
        text = clocks(pictured(rules=rules))
        width = re.search(r'width="([\d.]+)%" y="0" height="100%" class="band"', text)
        assert width is not None
        bands.append(float(width[1]))
    usual = RULES["sync-shifted"].threshold
    assert usual is not None
    assert bands[0] / bands[1] == pytest.approx(200.0 / usual, rel=0.01)


def test_a_pair_of_which_nothing_can_be_told_has_no_plot() -> None:
    nothing = pair(
        points=(point("a/1", None, "unknown"),), takes=1, aligned=0, shifted=0, drifting=0, unknown=1
    )
    text = clocks(pictured(pairs=(replace(nothing, median_offset_ms=None, spread_ms=None),)))
    assert "chest against hand, by acceleration - 0 0 0 1" in Document(text).said
    assert "<circle" not in text
    assert "<details" not in text


def test_pairs_of_a_data_set_share_one_axis_and_sound_ones_are_folded() -> None:
    """412 ms is the furthest: on an axis to ±453.2 ms it stands at 955 of 1,000, and −6 ms of the other at 493."""
    near = pair(second="ankle", shifted=0, drifting=0, points=(point("a/1", -6.0),))
    text = clocks(pictured(pairs=(pair(), near)))
    table, _, rest = text.partition("</table>")
    lanes = re.findall(r'<path d="([^"]*)" class="ticks (\w+)"', table)
    assert ("M955 4v14", "shifted") in lanes
    assert ("M493 4v14", "aligned") in lanes
    shown, _, folded = rest.partition("<summary>Takes of 1 aligned pair</summary>")
    assert "<h4>chest against hand" in shown
    assert "ankle" not in shown
    assert "<h4>ankle against hand" in folded


def test_without_pairs_the_section_says_so() -> None:
    assert "No two streams of any take could be compared." in Document(clocks(pictured(pairs=()))).said


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "chest is stamped late by 24.0 ± 1.2 ms; it drifts by +80.0 ± 6.5 ppm."),
        (
            {"offset_ms": -3.0, "drift_ppm": None, "drift_ci_ppm": None},
            "chest is stamped early by 3.0 ± 1.2 ms; the take is too short to tell a drift.",
        ),
        (
            {"drift_ppm": -4.0},
            f"chest is stamped late by 24.0 ± 1.2 ms; no drift can be seen ({MINUS}4.0 ± 6.5 ppm).",
        ),
        (
            {"jump_ms": -250.0},
            f"chest is stamped late by 24.0 ± 1.2 ms; it drifts by +80.0 ± 6.5 ppm; the offset jumps by {MINUS}250 ms.",
        ),
        ({"offset_ms": 0.5}, "No offset can be seen (+0.5 ± 1.2 ms); it drifts by +80.0 ± 6.5 ppm."),
        ({"offset_ms": None, "reason": "repetitive motion"}, "Cannot tell: repetitive motion."),
        (
            {"verdict": "unknown", "offset_ms": 394.0, "offset_ci_ms": 600.0},
            "Cannot tell: the interval is too wide, +394 ± 600 ms.",
        ),
    ],
)
def test_what_was_measured_is_said_in_a_plain_sentence(changes: dict[str, Any], expected: str) -> None:
    assert sync_sentence(sync(**changes)) == expected


def test_a_pair_is_said_in_plain_sentences() -> None:
    assert pair_sentence(pair()) == (
        f"6 of 8 comparisons aligned, 1 shifted, 1 drifting. Offset over all: {MINUS}1.2 ± 4.0 ms (median, spread)."
        " Furthest off: pamap2/104, late by 412.0 ± 4.0 ms. In 1 more nothing can be told."
    )
    few = pair(median_offset_ms=3.0, spread_ms=None)
    assert "Offset over all: +3 ms (median)." in pair_sentence(few)
    sound = pair(points=(point("a/1", 2.0),), takes=1, aligned=1, shifted=0, drifting=0, unknown=0)
    assert "Furthest" not in pair_sentence(sound)


@pytest.mark.parametrize(
    ("value", "half", "expected"),
    [
        (412.44, 8.25, "+412.4 ± 8.2 ms"),
        (412.4, 25.0, "+412 ± 25 ms"),
        (-0.04, 1.0, "0.0 ± 1.0 ms"),
        (-0.0001, None, f"{MINUS}0.0001 ms"),
        (None, None, "-"),
        (0.0, 0.5, "0.00 ± 0.50 ms"),
    ],
)
def test_a_measured_number_has_sign_interval_and_unit(
    value: float | None, half: float | None, expected: str
) -> None:
    assert measured(value, half, "ms") == expected


def test_a_sign_is_always_there() -> None:
    assert [signed(value) for value in (1234.5, 2.134, -99.99, 0.0)] == [
        "+1,234",
        "+2.13",
        f"{MINUS}100",
        "0",
    ]


def test_dots_lie_on_the_line_that_made_them() -> None:
    """Segments of an exact line: the fit runs through the first and the last dot."""
    lags = tuple(SegmentFacts(10.0 * at, 20.0 + 0.5 * at, 1.0, 0.9) for at in range(21))
    exact = sync(segments=lags, offset_ms=25.0, drift_ppm=50.0, offset_ci_ms=0.1, drift_ci_ppm=0.1)
    text = lag_plot(exact, 0.0, "exact")
    dots = [(float(x), int(y)) for x, y in re.findall(r'cx="([\d.]+)%" cy="(\d+)"', text)]
    line = re.search(r'<path d="M([\d.]+) (\d+)L([\d.]+) (\d+)" class="fit"', text)
    assert line is not None
    left, first, right, last = map(float, line.groups())
    for x, y in dots:
        assert y == pytest.approx(first + (last - first) * (10 * x - left) / (right - left), abs=1)
    assert dots[0][1] > dots[-1][1]  # what grows goes up


def test_nothing_told_draws_dots_and_no_line() -> None:
    text = lag_plot(sync(offset_ms=None, drift_ppm=None), 0.0, "none")
    assert "fit" not in text
    assert text.count("<circle") == 59


def test_a_weak_segment_is_faint() -> None:
    text = lag_plot(sync(), 0.0, "weak")
    assert text.count('class="dot weak"') == 6


def test_a_strip_shows_every_run_in_its_place() -> None:
    """Of 100 s: invalid from 20 to 25 s is 200 to 250 of 1,000; a run of 10 ms still shows."""
    runs = (("valid", 0.0, 20.0), ("invalid", 20.0, 25.0), ("valid", 25.0, 99.99), ("retimed", 99.99, 100.0))
    text = strips((Strip("hand", 0.0, runs),), "quality")
    assert '<path d="M200 0h50v14h-50z" class="run-invalid">' in text
    assert '<path d="M998.5 0h1.5v14h-1.5z" class="run-retimed">' in text
    said = Document(text).said
    assert ">99%" not in said
    assert "95% recorded, 5% not measured, <1% re-timed of 1.7 min" in said
    assert said.endswith("recorded re-timed not measured")


def test_time_counts_from_the_start_of_a_take_that_is_stamped_since_1970() -> None:
    """As REALWORLD's are: 1,436,428,759 s would not be read by anybody."""
    since = 1_436_428_759.0
    moved = tuple(replace(item, time_s=since + item.time_s) for item in sync().segments)
    strip = strips((Strip("hand", since, (("valid", since, since + 600.0),)),), "quality")
    for text in (lag_plot(sync(segments=moved), since, "late"), strip):
        marks = re.findall(r'class="tick" text-anchor="middle">([^<]*)<', text)
        assert marks == ["100", "200", "300", "400", "500"]


def test_a_strip_without_runs_is_an_empty_track() -> None:
    assert "hand -" in Document(strips((Strip("hand", 0.0, ()),), "quality")).said


def test_the_page_of_a_take_tells_its_clocks() -> None:
    said = Document(render_take(detail(), "5" * 64, style=STYLE, script=SCRIPT)).said
    assert "chest against hand ✕ drifting by acceleration" in said
    assert "1 pair of which nothing can be told ankle against hand ? cannot tell by acceleration" in said
    assert "Cannot tell: too little motion." in said
    assert "59 segments in numbers" in said
    assert "aria01 take timesync.csv +1,234 ms +3.1 ppm 0.4 ms 17,000" in said


def test_the_first_screen_of_a_take_says_what_its_verdict_on_clocks_rests_on() -> None:
    within = sync(first="waist/gyroscope", second="waist/accelerometer", verdict="aligned")
    apart = sync(first="waist/gyroscope", second="shin/gyroscope", verdict="unknown")

    def said(*syncs: SyncFacts) -> str:
        facts = replace(detail().facts, sync=sync_of(syncs))
        page = render_take(detail(facts=facts, syncs=syncs), "5" * 64, style=STYLE, script=SCRIPT)
        return Document(page).said.partition("Quality along the take")[0]

    assert "clocks, by 0 of 1 pair of devices ? cannot tell" in said(within, apart)
    assert "clocks, by 1 of 2 pairs of devices ✓ aligned" in said(
        within, apart, replace(apart, verdict="aligned")
    )
    assert "clocks - nothing to compare" in said(within)


def test_what_a_rule_means_stands_once_and_targets_without_their_take() -> None:
    (_, gaps) = detail().findings
    twice = detail(findings=(gaps, replace(gaps, target="pamap2/101#chest")))
    text = render_take(twice, "5" * 64, style="", script="")
    assert text.count("re-timing wins back") == 1
    assert "<code>#hand</code>" in text
    assert "<code>#chest</code>" in text


def test_the_page_of_a_take_says_what_it_lacks() -> None:
    bare = detail(syncs=(), clocks=(), strips=(), streams=(), findings=(), views=(), pictures=())
    said = Document(render_take(bare, "5" * 64, style=STYLE, script=SCRIPT)).said
    for sentence in (
        "It has no two streams to compare.",
        "Every stream is stamped on one clock.",
        "It has no stream.",
        "No finding at all.",
        "No view has a window of it.",
        "No window of it was found wanting.",
    ):
        assert sentence in said
