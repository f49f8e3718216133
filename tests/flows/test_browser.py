"""The pages in a real browser: they open from disk, fetch nothing, and what the script promises works.

Chromium has to be there (Debian: `apt install chromium`); SENSORLOOM_NO_BROWSER=1 leaves these tests out.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from time import perf_counter

import pytest

from sensorloom.flows.pages.report import render
from sensorloom.flows.pages.take import render_take
from sensorloom.flows.report import Example, Report
from sensorloom.flows.report_takes import TakeDetail, TextShown
from tests.flows.browser import Browser, Page, find_chromium, open_browser
from tests.flows.pictured import detail, large, picture, pictured, sync, take
from tests.flows.reports import rule, view

PAGES = files("sensorloom.flows.pages")
STYLE, SCRIPT = (PAGES.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
SNAPSHOT = "5" * 64
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"
MANY = tuple(
    take(f"pamap2/{number:03}", seconds=60.0 * number, errors=number % 2, windows=number * 100)
    for number in range(250)
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if os.environ.get("SENSORLOOM_NO_BROWSER"):
        pytest.skip("SENSORLOOM_NO_BROWSER is set")
    program = find_chromium()
    if program is None:
        pytest.fail("no Chromium is installed: apt install chromium, or set SENSORLOOM_NO_BROWSER=1")
    with open_browser(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def shown(browser: Browser, folder: Path, facts: Report | TakeDetail, *, width: int = 1280) -> Page:
    """Write the page of `facts` to disk and open it."""
    if isinstance(facts, Report):
        text = render(facts, style=STYLE, script=SCRIPT)
    else:
        text = render_take(facts, SNAPSHOT, style=STYLE, script=SCRIPT)
    path = folder / "index.html"
    path.write_text(text, encoding="utf-8")
    page = Page(browser, width=width)
    page.open(path)
    return page


def takes_shown(page: Page) -> list[str]:
    rows = "[...document.querySelectorAll('#take-table tbody tr')].filter((row) => row.offsetHeight)"
    return list(page.run(f"{rows}.map((row) => row.cells[0].textContent)"))


def said(page: Page, selector: str) -> str:
    return str(page.run(f"document.querySelector('{selector}').textContent"))


@pytest.mark.parametrize(
    "facts",
    [pictured(), Report(SNAPSHOT, (), (), ()), detail(), detail(syncs=(), strips=(), pictures=())],
    ids=["index", "empty index", "take", "empty take"],
)
def test_a_page_opens_from_disk_without_a_complaint_or_a_request(
    browser: Browser, tmp_path: Path, facts: Report | TakeDetail
) -> None:
    page = shown(browser, tmp_path, facts)
    assert page.run("document.querySelector('h1').offsetHeight") > 0
    assert page.complaints() == []
    assert page.requests() == []


def test_the_policy_forbids_what_the_page_does_not_do(browser: Browser, tmp_path: Path) -> None:
    """That nothing is asked for is no luck: a request made on purpose is refused by the page's own policy."""
    page = shown(browser, tmp_path, pictured())
    refused = page.run(
        "new Promise((told) => { document.addEventListener('securitypolicyviolation',"
        " (event) => told(event.violatedDirective)); new Image().src = 'https://example.invalid/x.png'; })"
    )
    assert refused == "img-src"
    page.run("document.body.insertAdjacentHTML('beforeend', '<img src=data:, onerror=\"window.ran = 1\">')")
    assert page.run("new Promise((done) => setTimeout(() => done(window.ran ?? 0)))") == 0


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


def test_a_link_unfolds_its_view(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, pictured(views=tuple(view(f"v{place}") for place in range(3))))
    folded = "document.querySelector('#view-v2').checkVisibility()"
    assert page.run(folded) is False
    page.click("a[href='#view-v2']")
    assert page.run(f"new Promise((done) => requestAnimationFrame(() => done({folded})))") is True


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


def test_a_script_in_a_narration_a_take_or_a_rule_stays_text(browser: Browser, tmp_path: Path) -> None:
    evil = picture(EVIL, take_id=EVIL, label=EVIL, reasons=(EVIL,), texts=(TextShown(EVIL, EVIL, 1.0),))
    facts = pictured(
        takes=(take(EVIL, worst_rule=EVIL, page=f"takes/{EVIL}.html"),),
        rules=(rule(EVIL, examples=(Example(EVIL, EVIL, EVIL, {EVIL: 1.0}),)),),
        worst=(evil,),
    )
    of_take = detail(facts=take(EVIL), pictures=(evil,), syncs=(sync(first=EVIL, second=EVIL, method=EVIL),))
    for shown_facts in (facts, of_take):
        page = shown(browser, tmp_path, shown_facts)
        assert page.run("[document.scripts.length, document.querySelectorAll('img').length]") == [1, 0]
        assert page.run("document.querySelector('.texts dd').textContent") == EVIL
        assert page.complaints() == []
        assert not [event for event in browser.events if event["method"] == "Page.javascriptDialogOpening"]


@pytest.mark.parametrize("facts", [pictured(), detail()], ids=["index", "take"])
def test_a_phone_scrolls_in_one_direction(
    browser: Browser, tmp_path: Path, facts: Report | TakeDetail
) -> None:
    long = "x" * 60
    if isinstance(facts, Report):
        facts = replace(facts, takes=(*facts.takes, take(f"pamap2/{long}", page=f"takes/{long}.html")))
    page = shown(browser, tmp_path, facts, width=390)
    assert page.run("document.documentElement.scrollWidth") == 390


def test_dark_where_the_reader_asks_for_it_and_white_on_paper(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, pictured())
    ground = "getComputedStyle(document.body).backgroundColor"
    grounds = []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.call("Emulation.setEmulatedMedia", media="", features=features)
        grounds.append(sum(map(int, page.run(f"{ground}.match(/\\d+/g).slice(0, 3)"))))
    assert grounds[0] > 600 > 150 > grounds[1]
    page.call("Emulation.setEmulatedMedia", media="print", features=features)
    assert page.run(ground) == "rgb(255, 255, 255)"
    assert page.run("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    accent = "getComputedStyle(document.querySelector('main a')).color"
    assert page.run(accent) == "rgb(20, 101, 92)"
    assert page.run("document.querySelector('nav').offsetHeight") == 0
    paper = base64.b64decode(page.call("Page.printToPDF", printBackground=True)["data"])
    assert paper.startswith(b"%PDF")


def test_a_screen_reader_hears_names_without_marks(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, pictured(worst=(picture(),)))
    page.click("#take-table th:nth-child(5) button")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]
    assert ("button", "Errors") in named
    assert ("columnheader", "Errors") in named
    assert {
        role for role, name in named if not name and role in ("image", "button", "table", "region")
    } == set()
    drawings = [name for role, name in named if role == "image"]
    assert any("0.9 s without measurement" in name for name in drawings)
    assert any("16 of 17 joints" in name for name in drawings)


def test_the_command_that_traces_a_window_is_one_click_away(browser: Browser, tmp_path: Path) -> None:
    page = shown(browser, tmp_path, pictured(worst=(picture("pamap2/it's@1+2"),)))
    page.click(".command button")
    assert page.run("getSelection().toString()") == """sensorloom trace 'pamap2/it'"'"'s@1+2'"""
    assert page.complaints() == []


@pytest.mark.slow
def test_five_thousand_takes_stay_usable(browser: Browser, tmp_path: Path) -> None:
    """The bound on size is asserted; how long it takes to open and to sort is printed, as that is the machine's."""
    page = shown(browser, tmp_path, large())
    size = (tmp_path / "index.html").stat().st_size
    assert size < 10_000_000
    page.call("Performance.enable", timeDomain="threadTicks")
    begin = perf_counter()
    page.open(tmp_path / "index.html")
    opened_s = perf_counter() - begin
    metrics = page.call("Performance.getMetrics")["metrics"]
    (busy_s,) = (metric["value"] for metric in metrics if metric["name"] == "ThreadTime")
    begin = perf_counter()
    page.click("#take-table th:nth-child(4) button")
    page.run("document.body.offsetHeight")
    sorted_s = perf_counter() - begin
    assert page.complaints() == []
    assert said(page, "#takes output") == "5,000 takes, 100 shown"
    times = f"opens in {opened_s:.2f} s ({busy_s:.2f} s of its thread), sorts in {sorted_s:.2f} s"
    print(f"\nindex of 5,000 takes: {size / 1e6:.1f} MB, {times}")  # noqa: T201
