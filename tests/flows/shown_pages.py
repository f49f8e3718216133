"""Pages as a browser shows them: written to disk and opened."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from sensorloom.flows.audit.report import Report
from sensorloom.flows.audit.report_takes import TakeDetail
from sensorloom.flows.pages.report import render
from sensorloom.flows.pages.take import render_take
from tests.flows.browser import Browser, Page

__all__ = ["STYLE", "said", "shown", "takes_shown"]

PAGES = files("sensorloom.flows.pages")
STYLE, SCRIPT = (PAGES.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
SNAPSHOT = "5" * 64


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
