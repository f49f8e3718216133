"""The page of a query: what it says, that hostile text stays text, and bodies that move in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sensorloom.flows.audit.report_windows import TextShown
from sensorloom.flows.pages.motion import moving_skeleton
from sensorloom.flows.pages.query import render_query
from sensorloom.flows.queries.facts import Asked, Form, HitPicture, Motion
from tests.flows.browser import Browser, Page
from tests.flows.page_reader import Document
from tests.flows.pictured import picture
from tests.flows.queried import EVIL, answer, hit, motion
from tests.flows.shown_pages import PAGES, SCRIPT, STYLE

OWN_STYLE, OWN_SCRIPT = (
    PAGES.joinpath(f"query.{kind}").read_text(encoding="utf-8") for kind in ("css", "js")
)
TEXTS = (TextShown("atomic", EVIL, 1.0),)
EVIL_HIT = hit(
    window_id=EVIL,
    take_id=EVIL,
    dataset=EVIL,
    split=EVIL,
    label=EVIL,
    matched=EVIL,
    texts=TEXTS,
    is_query=True,
)


def render(*hits, **changes) -> str:
    return render_query(*answer(*hits, **changes), style=STYLE + OWN_STYLE, script=SCRIPT + OWN_SCRIPT)


def shown(browser: Browser, folder: Path, text: str, *, width: int = 1280) -> Page:
    path = folder / "query.html"
    path.write_text(text, encoding="utf-8")
    page = Page(browser, width=width)
    page.open(path)
    return page


def test_the_page_says_what_was_asked_and_found() -> None:
    page = Document(render(hit(1), hit(2, score=0.2, is_query=True, start_s=70.0, stop_s=75.0)))
    assert "a person climbs a wall" in page.said
    assert "2 windows of 250,000 of view all-modalities, by vectors of video" in page.said
    assert "by the encoder generated; searched in 12.3 ms" in page.said
    assert "All of these takes are generated data: the scores say nothing about real" in page.said
    assert "70.00 to 75.00 s" in page.said
    assert page.said.count("the window asked with") == 1
    assert page.said.count("C climbs a wall") >= 3
    links = {one["href"] for one in page.all("a")}
    assert {"#hit-1", "#hit-2"} <= links
    assert {one["id"] for one in page.all("article")} == {"hit-1", "hit-2"}
    assert "sensorloom query … --raw DIR" in page.said  # its frames were not asked for
    assert page.all("form") == []


def test_the_page_of_a_run_says_so() -> None:
    asked = Asked("mocap", window_id="a@0+5", by="imu", split="test")
    page = Document(render(hit(is_generated=False), asked=asked, run="runs/primus"))
    assert "body motion like the IMU of a@0+5" in page.said
    assert (
        "of view all-modalities, split test, by vectors of body motion, by the run runs/primus" in page.said
    )
    assert "generated data" not in page.said


def test_where_some_takes_are_recorded_not_all_are_called_generated() -> None:
    page = Document(render(hit(1), hit(2, is_generated=False)))
    assert (
        "Some of these takes are generated data: the scores say nothing about real recordings." in page.said
    )


def test_nothing_found_is_said() -> None:
    assert "Nothing was found." in Document(render()).said


def test_a_hit_that_could_not_be_drawn_still_says_what_was_said() -> None:
    facts, _ = answer(hit())
    page = Document(render_query(facts, {}, style="", script=""))
    assert "C climbs a wall" in page.said
    assert page.all("svg") == []


def test_the_form_keeps_what_was_asked() -> None:
    facts, drawn = answer(hit(), asked=Asked("text", k=7, text="x"))
    page = Document(
        render_query(facts, drawn, style="", script="", form=Form(("video", "text"), problem="no such thing"))
    )
    (chosen,) = [one["value"] for one in page.all("option") if "selected" in one]
    assert chosen == "text"
    assert "no such thing" in page.said
    empty = Document(render_query(None, {}, style="", script="", form=Form(("video", "text"))))
    assert empty.all("article") == []
    assert len(empty.all("form")) == 1


def test_the_form_keeps_what_was_asked_in_vain() -> None:
    form = Form(("video", "text"), Asked("text", k=7, text="climbs", window_id="w"), "one of both")
    page = Document(render_query(None, {}, style="", script="", form=form))
    assert [one["value"] for one in page.all("option") if "selected" in one] == ["text"]
    assert [one["value"] for one in page.all("input")] == ["climbs", "w", "7"]
    assert "one of both" in page.said


def test_hostile_text_is_escaped_everywhere() -> None:
    facts, drawn = answer(EVIL_HIT, asked=Asked("text", text=EVIL), view=EVIL, run=EVIL, snapshot_id=EVIL)
    drawn = {EVIL: HitPicture(replace(drawn[EVIL].window, view=EVIL, split=EVIL), drawn[EVIL].motion)}
    text = render_query(facts, drawn, style="", script="", form=Form(problem=EVIL))
    page = Document(text)
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert "<script>alert" not in text
    assert page.said.count(EVIL) >= 6


def values_of(markup: str) -> list[list[str]]:
    return [found.split(";") for found in re.findall(r'values="([^"]*)"', markup)]


def test_a_body_has_a_path_for_every_instant() -> None:
    markup = moving_skeleton(motion(30))
    paths = values_of(markup)
    assert len(paths) == 8  # left, right and middle bones and joints, from the front and from the side
    assert {len(instants) for instants in paths} == {30}
    assert 'dur="3.00s"' in markup
    assert paths[3][0].count("h0") == 16  # an ear is not there
    assert "Body over 3.0 s, from the front and the side." in markup


def test_unseen_ends_are_left_out_and_an_unseen_middle_draws_nothing() -> None:
    some = motion(30, slice(10, 20))
    frames = list(some.frames)
    frames[15] = (None,) * len(some.joints)
    markup = moving_skeleton(replace(some, frames=tuple(frames)))
    paths = values_of(markup)
    assert {len(instants) for instants in paths} == {10}
    assert {instants[5] for instants in paths} == {"M0 0"}
    assert "Body over 1.0 of 3.0 s" in markup
    assert "No joint was seen" in moving_skeleton(motion(30, slice(0, 0)))


def test_a_body_that_walks_stays_in_the_picture() -> None:
    standing = motion(1).frames[0]
    walking = tuple(
        tuple(None if point is None else (point[0] + at, point[1], point[2]) for point in standing)
        for at in range(20)
    )
    instants = values_of(moving_skeleton(Motion(motion().joints, 0.1, walking)))[3]
    assert len(set(instants)) == 1
    numbers = [float(number) for number in re.findall(r"[\d.]+", instants[0])]
    assert min(numbers) >= 0
    assert max(numbers) <= 160


def test_one_joint_alone_is_drawn() -> None:
    one = Motion(("nose",), 0.1, (((1.0, 2.0, 3.0),),))
    assert values_of(moving_skeleton(one))[3] == ["M80 80h0"]


# In a browser


def test_it_opens_from_disk_without_a_complaint_or_a_request(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, render(hit(1), hit(2)))
    assert page.run("document.querySelector('h1').offsetHeight") > 0
    assert page.complaints() == []
    assert page.requests() == []


def test_hostile_text_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, render(EVIL_HIT, asked=Asked("text", text=EVIL)))
    assert page.run("[document.scripts.length, document.querySelectorAll('img').length]") == [1, 0]
    assert page.run("document.querySelector('.texts dd').textContent") == EVIL
    assert page.run("document.title") == EVIL
    assert page.complaints() == []
    assert not [event for event in browser.events if event["method"] == "Page.javascriptDialogOpening"]


def test_a_body_moves_and_stops_at_a_click(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, render(hit()))
    body = "document.querySelector('svg.moving')"
    box = f"{body}.querySelector('.joints').getBBox().height > 100"
    assert page.run(box) is True
    assert page.run(f"{body}.animationsPaused()") is False
    begun = page.run(f"{body}.getCurrentTime()")
    later = f"new Promise((done) => setTimeout(() => done({body}.getCurrentTime()), 60))"
    assert page.run(later) > begun
    page.click("svg.moving + button")
    assert page.run("document.querySelector('svg.moving + button').textContent") == "Play"
    stopped = page.run(f"{body}.getCurrentTime()")
    assert page.run(later) == stopped
    page.click("svg.moving + button")
    assert page.run(f"{body}.animationsPaused()") is False


def test_who_prefers_less_motion_sees_the_middle(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "query.html"
    path.write_text(render(hit()), encoding="utf-8")
    page = Page(browser)
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    page.call("Emulation.setEmulatedMedia", media="", features=features)
    page.open(path)
    body = "document.querySelector('svg.moving')"
    assert page.run(f"[{body}.animationsPaused(), {body}.getCurrentTime()]") == [True, pytest.approx(2.5)]
    assert page.run("document.querySelector('svg.moving + button').textContent") == "Play"


def test_a_phone_scrolls_in_one_direction(browser: Browser, tmp_path: Path) -> None:
    long = "x" * 90
    page = shown(
        browser,
        tmp_path,
        render(hit(take_id=long, matched=long, label=long), asked=Asked("video", text=long)),
        width=390,
    )
    assert page.run("document.documentElement.scrollWidth") == 390


def test_the_table_sorts_by_score(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, render(hit(1, score=0.5), hit(2, score=0.25)))
    page.click("#hits th:nth-child(2) button")
    cells = "[...document.querySelectorAll('#hits tbody tr')].map((row) => row.cells[1].textContent)"
    assert page.run(cells) == ["0.250", "0.500"]


def test_the_picture_of_the_audit_stays_as_it_was() -> None:
    """Its frames are to be seen by an audit, and its pose is the one of the middle."""
    from sensorloom.flows.pages.html import Html
    from sensorloom.flows.pages.pictures import picture as drawn

    markup = drawn(picture(), Html("take"))
    assert "sensorloom audit --raw DIR" in markup
    assert "<animate" not in markup
