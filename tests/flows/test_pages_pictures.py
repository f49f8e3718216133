"""A window's picture shows what was measured and no more; takes and vectors are told with their numbers."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from sensorloom.flows.audit.report_windows import FramePicture, Skeleton, TextShown, Trace
from sensorloom.flows.pages.findings import findings
from sensorloom.flows.pages.html import concat
from sensorloom.flows.pages.overview import overview
from sensorloom.flows.pages.pictures import picture as drawn_picture
from sensorloom.flows.pages.prose import prose
from sensorloom.flows.pages.skeletons import BONES
from sensorloom.flows.pages.skeletons import skeleton as drawn_skeleton
from sensorloom.flows.pages.take import render_take
from sensorloom.flows.pages.takes import takes
from sensorloom.flows.pages.traces import traces
from sensorloom.flows.pages.vectors import chance, health
from sensorloom.flows.pages.views import views
from sensorloom.flows.pages.words import measure_words
from sensorloom.flows.pages.worst import worst
from sensorloom.ingest.readers.egoexo4d_pose import JOINTS
from tests.flows.large_report import large
from tests.flows.page_reader import Document
from tests.flows.pictured import JPEG, detail, picture, pictured, skeleton, take, trace, vectors
from tests.flows.reports import dataset, rule, view

MINUS = "\N{MINUS SIGN}"


def test_a_trace_is_lifted_over_what_was_not_measured() -> None:
    """A spike inside the invalid part is neither drawn nor in the range that is told."""
    values = tuple(999.0 if 4 <= place < 6 else float(place % 2) for place in range(10))
    shown = Trace("hand", "gyroscope", "rad/s", 0.0, 1.0, (values,) * 3, ((4.0, 6.0),))
    text = traces((shown,), 0.0, 10.0)
    paths = re.findall(r'<path d="([^"]*)" class="axis-([xyz])"', text)
    assert [name for _, name in paths] == ["x", "y", "z"]
    assert all(path.count("M") == 2 and path.count("l") == 6 for path, _ in paths)
    assert '<rect x="200" y="0" width="100" height="60" class="invalid">' in text
    assert "0 to 1 rad/s; 2 s without measurement" in text


def test_a_trace_of_one_constant_or_of_nothing_is_drawn() -> None:
    constant = Trace("hand", "accelerometer", "m/s²", 0.0, 1.0, ((3.0,) * 5,) * 3, ())
    nothing = Trace("hand", "accelerometer", "m/s²", 0.0, 1.0, ((0.0,) * 5,) * 3, ((0.0, 5.0),))
    missing = Trace("hand", "accelerometer", "m/s²", 0.0, 1.0, ((float("nan"),) * 5,) * 3, ())
    assert 'd="M0 30l100 0l100 0l100 0l100 0"' in traces((constant,), 0.0, 5.0)
    for empty in (nothing, missing):
        assert traces((empty,), 0.0, 5.0).count('d=""') == 3


def test_the_scale_of_a_trace_is_upright() -> None:
    rising = Trace("hand", "gyroscope", "rad/s", 0.0, 1.0, ((0.0, 1.0),), ())
    path = re.search(r'd="M0 (\d+)l\d+ (-?\d+)"', traces((rising,), 0.0, 2.0))
    assert path is not None
    assert int(path[2]) == 6 - 60  # all of the height but for its room, upwards


def dots(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.-]+)" cy="([\d.-]+)"', text)]


def test_a_body_looks_the_same_whichever_way_it_faces() -> None:
    body = skeleton(())
    turned = replace(body, points=tuple(p and (-p[1] + 5, p[0] - 2, p[2]) for p in body.points))
    np.testing.assert_allclose(dots(drawn_skeleton(turned)), dots(drawn_skeleton(body)), atol=0.02)


def test_a_body_is_seen_from_the_front_with_its_left_on_the_right() -> None:
    places = dots(drawn_skeleton(skeleton(())))
    front = dict(zip(JOINTS, places[:17], strict=True))
    side = dict(zip(JOINTS, places[17:], strict=True))
    assert front["left-shoulder"][0] > front["right-shoulder"][0]
    assert front["nose"][1] < front["left-hip"][1] < front["left-ankle"][1]
    assert side["left-wrist"][0] != pytest.approx(side["left-shoulder"][0], abs=1)


def test_a_joint_that_was_not_seen_takes_its_bones_along() -> None:
    whole, part = drawn_skeleton(skeleton(())), drawn_skeleton(skeleton(("left-shoulder",)))
    lost = sum("left-shoulder" in bone for bone in BONES)
    assert whole.count("<line") - part.count("<line") == 2 * lost
    assert "16 of 17 joints" in part
    assert {name for bone in BONES for name in bone} == set(JOINTS)


def test_a_body_without_joints_or_with_one_is_drawn() -> None:
    assert "No joint was seen." in drawn_skeleton(skeleton(JOINTS))
    one = Skeleton(("nose",), ((1.0, 2.0, 3.0),))
    assert dots(drawn_skeleton(one)) == [(80.0, 80.0), (80.0, 80.0)]


def test_frames_are_shown_where_they_are_there_and_else_how_to_get_them() -> None:
    with_frames = picture(frames=(FramePicture("ego", 40.0, JPEG), FramePicture("ego", 42.5, None)))
    document = Document(drawn_picture(with_frames, concat(["take"])))
    (image,) = document.all("img")
    assert str(image["src"]).startswith("data:image/jpeg;base64,/9j/")
    assert image["alt"] == "ego at 40.00 s of the take"
    without = Document(drawn_picture(picture(), concat(["take"]))).said
    assert (
        "Frames of ego at 40.00, 42.50, 45.00 s of the take: to see them, run sensorloom audit --raw DIR ."
        in without
    )


def test_a_picture_tells_its_window() -> None:
    said = Document(drawn_picture(picture(), concat(["pamap2/101"]))).said
    assert "walking score 2.4 pamap2/101 · 40.00 to 45.00 s of the take · har-pamap2 · train" in said
    assert f"narration {MINUS}0.3 s C picks up the cup summary Makes tea" in said
    assert "longest gap 900 ms" in said
    assert "sensorloom trace pamap2/101@40000000000+5000000000" in said


def test_the_place_of_a_text_is_told_to_a_tenth_of_a_second() -> None:
    texts = tuple(TextShown("atomic", "", at) for at in (-0.4, 132.0, -2340.0))
    said = Document(drawn_picture(picture(texts=texts), concat(["a"]))).said
    assert f"atomic 0.0 s atomic +0.1 s atomic {MINUS}2.3 s" in said


def test_a_picture_of_a_window_with_nothing_but_a_score() -> None:
    bare = picture(traces=(), skeleton=None, frames=(), texts=(), numbers={}, reasons=(), label="")
    said = Document(drawn_picture(bare, concat(["a"]))).said
    assert "har-pamap2" in said
    assert "The window has no IMU." in said
    assert "quality number" not in said


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("longest_gap_ms", 900.0, ("longest gap", "900 ms")),
        ("hand_gravity_m_s2", 9.8123, ("hand gravity", "9.812 m/s²")),
        ("start_s", 1.5, ("start", "1.5 s")),
        ("saturated_share", 0.25, ("saturated share", "0.25")),
        ("axes", 2.0, ("axes", "2")),
    ],
)
def test_a_number_is_told_with_the_unit_in_its_key(key: str, value: float, expected: tuple[str, str]) -> None:
    assert measure_words(key, value) == expected


def test_the_worst_windows_stand_open_and_the_rest_unfolds() -> None:
    text = worst(pictured())
    first, _, folded = text.partition("<summary>1 more window of pamap2</summary>")
    assert first.count('class="window"') == 2
    assert folded.count('class="window"') == 1
    assert "No window was found wanting." in worst(pictured(worst=()))


def test_data_sets_without_a_window_to_show_are_named_in_one_sentence() -> None:
    shown = pictured(datasets=tuple(map(dataset, ("ego4d", "pamap2", "realworld"))))
    assert "No window of ego4d, realworld was found wanting." in Document(worst(shown)).said
    assert "No window of" not in worst(pictured(datasets=(dataset("pamap2"),)))


def test_the_time_of_a_picture_counts_from_the_beginning_of_its_take() -> None:
    """Phones stamp in seconds since 1970."""
    start_s = 1_436_000_000.25
    frames = tuple(FramePicture("ego", start_s + at, jpeg) for at, jpeg in ((41.0, JPEG), (44.0, JPEG)))
    late = picture(start_s=start_s + 40.0, stop_s=start_s + 45.0, take_start_s=start_s, frames=frames)
    text = drawn_picture(replace(late, traces=()), concat(["take"]))
    assert "40.00 to 45.00 s of the take" in Document(text).said
    assert "ego at 41.00 s of the take" in text
    assert "14360" not in text


def test_takes_stand_worst_first_with_links_to_the_pages_there_are() -> None:
    shown = pictured(
        takes=(take("a/1", warnings=9), take("a/2", errors=1), take("b/3", page="takes/b 3.html"))
    )
    text = takes(shown)
    said = Document(text).said
    assert re.findall(r"<tr [^>]*><th[^>]*>(?:<a[^>]*>)?<code>([^<]*)", text) == ["a/2", "a/1", "b/3"]
    assert 'href="takes/b%203.html"' in text
    assert "3 takes, 1 with a page of their own. Any other: sensorloom audit --take TAKE_ID" in said


def test_takes_with_as_many_errors_stand_by_their_clocks() -> None:
    rows = (take("a/1", sync="aligned"), take("a/2", sync="drifting"), take("a/3", sync="shifted"))
    text = takes(pictured(takes=rows))
    assert re.findall(r"<tr [^>]*><th[^>]*><code>([^<]*)", text) == ["a/2", "a/3", "a/1"]


def test_windows_are_counted_over_all_views_and_said_to_be() -> None:
    """Views overlap: 30 windows of 5 s in a take of 11 s are no mistake."""
    assert "Windows in all views" in Document(takes(pictured())).said
    assert "windows in all views 55" in Document(render_take(detail(), "5" * 64, style="", script="")).said


def test_the_card_of_a_data_set_tallies_its_takes_and_clocks() -> None:
    said = Document(overview(pictured())).said
    assert "Takes 1 with errors, 1 with warnings Clocks 1 aligned, 1 shifted" in said
    assert "Takes 1 without either Clocks 1 with nothing to compare" in said
    unknown = overview(pictured(takes=(take(sync="unknown"),)))
    assert "Clocks 1 where nothing can be told between devices" in Document(unknown).said


def test_no_card_says_yes_above_takes_with_errors() -> None:
    """The large report is what the pages are looked at by: its cards say what its takes do."""
    facts = large(num_takes=40)
    cards = re.findall(r"<article.*?</article>", overview(facts), re.DOTALL)
    with_errors = 0
    for card, told in zip(cards, facts.datasets, strict=True):
        said = Document(card).said
        assert ("✓ Yes" in said) == (told.verdict.level == "ok")
        if told.takes_with_errors:
            with_errors += 1
            assert f"{told.takes_with_errors} with errors" in said
            assert "✓ Yes" not in said
    assert with_errors > 1


def test_views_are_compared_in_one_table_that_leads_to_each() -> None:
    text = views(pictured())
    assert 'href="#view-har-pamap2"' in text
    assert 'id="view-har-pamap2"' in text
    assert "All views" not in views(pictured(views=(view(),)))


def test_many_views_are_folded_and_a_link_leads_into_each() -> None:
    text = views(pictured(views=tuple(view(f"v{place}") for place in range(3))))
    assert text.count('<details class="view">') == 3
    assert re.search(
        r'<details class="view"><summary><h3>v1 .*?</summary><p class="lead" id="view-v1">', text
    )
    assert "<details" not in views(pictured())


def test_commands_in_sentences_are_code_and_the_rest_is_text() -> None:
    assert prose("Run `a <b>`, then & go.") == "Run <code>a &lt;b&gt;</code>, then &amp; go."
    assert prose("Only one ` here.") == "Only one ` here."


def test_vectors_are_told_with_what_guessing_would_score() -> None:
    told = view(**vectors())
    said = Document(concat([chance(told), health(told)])).said
    assert "test 20 20 5% 50% 100% 18% 8.3% 31% 4%" in said
    assert "ego 96% of 100 1.000 0.310 21 of 64" in said
    assert "narration 8 0.310 0.120 14.2 1" in said
    assert concat([chance(view()), health(view())]) == ""


def test_a_rule_of_the_audit_says_what_it_means_what_to_do_its_limit_and_source() -> None:
    told = rule(
        "sync-shifted", meaning="It is late.", advice="Shift it.", threshold=50.0, unit="ms", source="physics"
    )
    said = Document(findings(pictured(rules=(told,)))).said
    assert "It is late. Shift it. Limit 50 ms, source: physics" in said


def test_an_example_leads_to_the_page_of_its_take() -> None:
    example = replace(rule().examples[0], take_id="pamap2/101")
    text = findings(pictured(rules=(rule(examples=(example,)),)))
    assert '<a href="takes/pamap2-101.html"><code>pamap2/a#chest</code></a>' in text


def test_traces_of_a_window_share_one_axis_of_time() -> None:
    text = traces((trace(), trace("chest")), 40.0, 45.0)
    assert text.count('class="scale"') == 1
    assert re.findall(r">(\d+)</text>", text) == ["1", "2", "3", "4"]
