"""What the script promises of tables, in a real browser: they sort, filter, and long ones come a page at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sensorloom.flows.pages.report import render
from tests.flows.browser import Browser, Page
from tests.flows.pictured import detail, pictured, take
from tests.flows.reports import rule
from tests.flows.shown_pages import STYLE, said, shown, takes_shown

MANY = tuple(
    take(f"pamap2/{number:03}", seconds=60.0 * number, errors=number % 2, windows=number * 100)
    for number in range(250)
)


def test_a_click_sorts_and_a_second_turns_it_round(browser: Browser, tmp_path: Path) -> None:
    """By value, not by text: 2 h come after 90 min, 1,000 windows after 900."""
    lengths = {"pamap2/a": 5400.0, "pamap2/b": 7200.0, "pamap2/c": 60.0}
    rows = tuple(take(name, seconds=length, windows=int(length)) for name, length in lengths.items())
    page = shown(browser, tmp_path, pictured(takes=rows))
    for column in (3, 4):
        heading = f"#take-table th:nth-child({column})"
        page.click(f"{heading} button")
        assert takes_shown(page) == ["pamap2/c", "pamap2/a", "pamap2/b"]
        assert page.run(f"document.querySelector('{heading}').getAttribute('aria-sort')") == "ascending"
        page.click(f"{heading} button")
        assert takes_shown(page) == ["pamap2/b", "pamap2/a", "pamap2/c"]
        assert page.run("document.querySelectorAll('#take-table [aria-sort]').length") == 1


def test_the_keyboard_sorts_too(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, pictured(takes=MANY[:3]))
    page.run("document.querySelector('#take-table th:nth-child(1) button').focus()")
    page.press("Tab")
    page.press("Tab")
    page.press("Enter")
    assert takes_shown(page) == ["pamap2/000", "pamap2/001", "pamap2/002"]
    assert page.run("document.activeElement.closest('th').getAttribute('aria-sort')") == "ascending"


def test_rules_stay_with_what_they_mean_when_sorted(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, pictured(rules=(rule("jitter", takes=9), rule("gaps", takes=1))))
    page.click("#rules th:nth-child(6) button")
    rows = page.run("[...document.querySelectorAll('#rules tbody')].map((body) => body.innerText)")
    assert [("gaps" in text, "re-timing wins back" in text) for text in rows] == [
        (True, True),
        (False, False),
    ]


def test_typing_filters_the_takes_and_says_how_many_are_left(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, pictured())
    page.click("#takes input[type=search]")
    page.type("pamap2 STUCK")
    assert takes_shown(page) == ["pamap2/104"]
    assert said(page, "#takes output") == "1 of 3 takes"


@pytest.mark.parametrize(
    ("control", "value", "left"),
    [
        ("of", "realworld", ["realworld/p1"]),
        ("worst", "error", ["pamap2/104"]),
        ("sync", "aligned", ["pamap2/101"]),
    ],
)
def test_a_choice_filters_the_takes(
    browser: Browser, tmp_path: Path, control: str, value: str, left: list[str]
) -> None:
    page = shown(browser, tmp_path, pictured())
    page.run(
        f"(() => {{ const choice = document.querySelector('#takes select[name={control}]');"
        f" choice.value = '{value}'; choice.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
    )
    assert takes_shown(page) == left


def test_boxes_filter_the_rules_by_severity(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, pictured())
    page.click("#findings input[value=warning]")
    bodies = "[...document.querySelectorAll('#rules tbody')].filter((body) => body.offsetHeight)"
    assert page.run(f"{bodies}.map((body) => body.dataset.severity)") == ["error"]
    assert said(page, "#findings output") == "1 of 3 rules"


def test_notes_are_hidden_until_they_are_asked_for(browser: Browser, tmp_path: Path) -> None:
    rules = (rule("stuck-axis", "error"), rule("jitter", "note"))
    page = shown(browser, tmp_path, pictured(rules=rules))
    assert said(page, "#findings output") == "1 of 2 rules"
    page.click("#findings input[value=note]")
    assert said(page, "#findings output") == "2 rules"
    only = shown(browser, tmp_path, pictured(rules=rules[1:]))
    assert said(only, "#findings output") == "1 rule"


def test_findings_of_a_take_are_filtered_where_they_are_many(browser: Browser, tmp_path: Path) -> None:
    few = detail()
    many = tuple(replace(few.findings[1], target=f"pamap2/101#imu-{place}") for place in range(9))
    page = shown(browser, tmp_path, replace(few, findings=(few.findings[0], *many)))
    page.click("#findings input[type=search]")
    page.type("imu-3")
    rows = "[...document.querySelectorAll('#take-findings tbody tr')].filter((row) => row.offsetHeight)"
    assert page.run(f"{rows}.length") == 1
    assert said(page, "#findings output") == "1 of 10 findings"
    assert shown(browser, tmp_path, few).run("document.querySelectorAll('form').length") == 0


def test_a_long_table_is_shown_a_page_at_a_time_but_sorted_and_searched_whole(
    browser: Browser, tmp_path: Path
) -> None:
    page = shown(browser, tmp_path, pictured(takes=MANY))
    assert len(takes_shown(page)) == 100
    assert said(page, "#takes output") == "250 takes, 100 shown"
    page.click("#take-table th:nth-child(3) button")
    page.click("#take-table th:nth-child(3) button")
    assert takes_shown(page)[0] == "pamap2/249"
    assert len(takes_shown(page)) == 100
    page.click("#takes form button")
    assert len(takes_shown(page)) == 250
    page.click("#takes input[type=search]")
    page.type("/007")
    assert takes_shown(page) == ["pamap2/007"]


def test_without_the_script_every_take_is_there(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text(render(pictured(takes=MANY), style=STYLE, script="'use strict';"), encoding="utf-8")
    page = Page(browser)
    page.open(path)
    assert len(takes_shown(page)) == 250
    assert page.run("document.querySelector('#takes form').offsetHeight") == 0
