"""A headless Chromium, driven over the pipe of its DevTools protocol with nothing but the standard library.

`--remote-debugging-pipe` makes it read commands from descriptor 3 and write answers and events to 4, as JSON between
zero bytes (https://chromedevtools.github.io/devtools-protocol).
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

__all__ = ["Browser", "Page", "find_chromium", "open_browser"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE_S = 60.0
"""How long an answer may take before the browser counts as hung."""
_LOWEST_FREE = 10  # descriptors from here on are out of the way of 3 and 4


def find_chromium() -> str | None:
    """Return the path of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One running browser: sends commands, keeps what it tells in the meantime."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._last = 0
        self._rest = b""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result; raises `RuntimeError` with what the browser says against it."""
        self._last += 1
        command = {"id": self._last, "method": method, "params": parameters}
        command |= {"sessionId": session} if session else {}
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while (message := self.read()).get("id") != self._last:
            self.events.append(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return dict(message["result"])

    def wait(self, method: str, session: str) -> dict[str, Any]:
        """Return the parameters of the next event of that name, those told already included."""
        for place, event in enumerate(self.events):
            if event["method"] == method and event.get("sessionId") == session:
                return dict(self.events.pop(place)["params"])
        while True:
            event = self.read()
            if event.get("method") == method and event.get("sessionId") == session:
                return dict(event["params"])
            self.events.append(event)

    def read(self) -> dict[str, Any]:
        """Return the next message."""
        end = monotonic() + PATIENCE_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, end - monotonic()))
            chunk = os.read(self._answers, 1 << 20) if ready else b""
            if not chunk:
                raise RuntimeError("Chromium hangs" if not ready else "Chromium ended")
            self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))


class Page:
    """One tab, which writes down every error on its console and every request it makes."""

    def __init__(self, browser: Browser, *, width: int = 1280, height: int = 900) -> None:
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def open(self, path: Path) -> None:
        """Open a file from disk and wait until it is loaded and painted once."""
        self._browser.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        self._browser.wait("Page.loadEventFired", self._session)
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))")

    def run(self, script: str) -> Any:
        """Return what `script` evaluates to; raises `RuntimeError` where it throws."""
        told = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in told:
            raise RuntimeError(json.dumps(told["exceptionDetails"]))
        return told["result"].get("value")

    def click(self, selector: str) -> None:
        """Click into the middle of the first element that matches, as a mouse does."""
        place = self.run(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            " found.scrollIntoView({block: 'center'});"
            " const at = found.getBoundingClientRect();"
            " return [at.x + at.width / 2, at.y + at.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1
            )

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        for letter in text:
            self.call("Input.dispatchKeyEvent", type="char", text=letter)

    def press(self, key: str) -> None:
        """Press and release one key by its name."""
        codes = {"Tab": 9, "Enter": 13}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key,
                windowsVirtualKeyCode=codes[key], **(text if kind == "keyDown" else {}),
            )  # fmt: skip

    def requests(self) -> list[str]:
        """Return the addresses of every request since the page was opened, its own and embedded data apart."""
        asked = [event["request"]["url"] for event in self._of("Network.requestWillBeSent")]
        return [url for url in asked[1:] if not url.startswith("data:")]

    def complaints(self) -> list[str]:
        """Return what the console holds of errors and warnings, and every exception."""
        said = [str(event["entry"]) for event in self._of("Log.entryAdded")]
        said += [str(event["exceptionDetails"]) for event in self._of("Runtime.exceptionThrown")]
        return said + [str(event) for event in self._of("Runtime.consoleAPICalled")]

    def _of(self, method: str) -> list[dict[str, Any]]:
        return [
            event["params"]
            for event in self._browser.events
            if event.get("method") == method and event.get("sessionId") == self._session
        ]


@contextmanager
def open_browser(program: str, profile: Path) -> Iterator[Browser]:
    """Start Chromium with an empty `profile` folder; it is gone when the block is left."""
    theirs_in, commands = _pipe()
    answers, theirs_out = _pipe()
    silence = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, silence, stream) for stream in (0, 1, 2)]
    actions += [(os.POSIX_SPAWN_DUP2, theirs_in, 3), (os.POSIX_SPAWN_DUP2, theirs_out, 4)]
    command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    # What it leaves lying about, it leaves beside its profile.
    environment = os.environ | {"TMPDIR": str(profile)}
    process = os.posix_spawn(program, command, environment, file_actions=actions, setpgroup=0)
    for own in (theirs_in, theirs_out, silence):
        os.close(own)
    try:
        yield Browser(commands, answers)
    finally:
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(commands)
        os.close(answers)


def _pipe() -> tuple[int, int]:
    """Return a pipe whose ends keep clear of the descriptors that Chromium wants for its own."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _LOWEST_FREE) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
