"""One browser for all tests of pages that need one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.flows.browser import Browser, find_chromium, open_browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if os.environ.get("SENSORLOOM_NO_BROWSER"):
        pytest.skip("SENSORLOOM_NO_BROWSER is set")
    program = find_chromium()
    if program is None:
        pytest.fail("no Chromium is installed: apt install chromium, or set SENSORLOOM_NO_BROWSER=1")
    with open_browser(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened
