"""The server of queries: what it answers, and what it refuses, spoken to over a socket as anybody may."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from urllib.parse import quote, urlencode

import pytest

from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.flows.queries.facts import Asked
from sensorloom.flows.queries.server import HOST, QueryServer, read_query
from tests.flows.browser import Browser, Page
from tests.flows.page_reader import Document
from tests.flows.queried import EVIL, SAID, searcher, store_of

ALL = ("imu", "video", "text")


@contextmanager
def serving(url: str) -> Iterator[QueryServer]:
    with QueryServer(searcher(url), 0) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryServer]:
    with serving(store_of(tmp_path_factory.mktemp("served"))) as opened:
        yield opened


def say(server: QueryServer, raw: bytes) -> tuple[int, dict[str, str], str]:
    """Send bytes as they are; return status, headers and body of what comes back."""
    with socket.create_connection((HOST, server.server_port), timeout=30) as peer:
        peer.sendall(raw)
        peer.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: peer.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body.decode()


def get(
    server: QueryServer, target: str, *headers: str, host: str | None = None, method: str = "GET"
) -> tuple[int, dict[str, str], str]:
    named = f"{HOST}:{server.server_port}" if host is None else host
    lines = [f"{method} {target} HTTP/1.0", f"Host: {named}", *headers, "", ""]
    return say(server, "\r\n".join(lines).encode("utf-8", "surrogateescape"))


def asking(path: str, **fields: str | int) -> str:
    return f"{path}?{urlencode(fields)}"


def test_facts_come_as_json(server: QueryServer) -> None:
    status, headers, body = get(server, asking("/query", text=SAID[1], of="text", k=2))
    assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    facts = json.loads(body)
    assert [hit["start_s"] for hit in facts["hits"]] == [5.0, 25.0]
    assert facts["asked"]["text"] == SAID[1]
    assert facts["is_generated"] is True


def test_the_page_has_a_form_and_what_was_found(server: QueryServer) -> None:
    status, headers, body = get(server, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert [one["value"] for one in Document(body).all("option")] == ["video", "text"]
    status, _, body = get(server, asking("/", text=SAID[1], k=3))
    page = Document(body)
    assert status == 200
    assert [one["id"] for one in page.all("article")] == ["hit-1", "hit-2", "hit-3"]
    assert {one["name"]: one.get("value") for one in page.all("input")} == {
        "text": SAID[1], "window": "", "k": "3",
    }  # fmt: skip


def test_hostile_words_come_back_as_words(server: QueryServer) -> None:
    for target in (asking("/", text=EVIL), asking("/", window=EVIL), asking("/", text="x", of=EVIL)):
        _, headers, body = get(server, target)
        page = Document(body)
        assert len(page.all("script")) == 1
        assert page.all("img") == []
        assert (
            headers["Content-Security-Policy"]
            == "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
    status, headers, body = get(server, asking("/query", window=EVIL))
    assert (status, headers["Content-Type"]) == (400, "application/json; charset=utf-8")
    assert "has no window" in json.loads(body)["error"]


def test_head_answers_without_a_body(server: QueryServer) -> None:
    status, headers, body = get(server, "/", method="HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) > 1000


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1", "127.0.0.1:1", "evil.example:{port}", "127.0.0.1:{port}.evil.example", "",
     "0.0.0.0:{port}", "user@127.0.0.1:{port}"],
)  # fmt: skip
def test_another_name_is_not_answered(server: QueryServer, host: str) -> None:
    """A page of evil.example whose name was pointed at 127.0.0.1 sends its own name."""
    status, _, body = get(server, "/", host=host.format(port=server.server_port))
    assert (status, "<html" in body) == (421, False)


def test_its_own_names_are_answered(server: QueryServer) -> None:
    for host in (f"localhost:{server.server_port}", f"LOCALHOST:{server.server_port}"):
        assert get(server, "/", host=host)[0] == 200
    assert say(server, b"GET / HTTP/1.0\r\n\r\n")[0] == 421
    host = f"Host: {HOST}:{server.server_port}\r\n"
    assert say(server, f"GET / HTTP/1.0\r\n{host}{host}\r\n".encode())[0] == 421


@pytest.mark.parametrize(
    "header",
    [
        "Origin: https://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ],
)
def test_another_site_is_not_answered(server: QueryServer, header: str) -> None:
    assert get(server, "/", header)[::2] == (403, "asked from another site")


def test_its_own_site_is_answered(server: QueryServer) -> None:
    own = f"http://{HOST}:{server.server_port}"
    assert get(server, "/", f"Origin: {own}", "Sec-Fetch-Site: same-origin")[0] == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/etc/passwd", 404),
        ("/../../etc/passwd", 404),
        ("/query/", 404),
        ("http://evil.example/", 400),
        ("*", 400),
        ("/?" + "x" * 20_000, 414),
        ("/query", 400),
        ("/query?text=%ff%fe", 400),
        ("/query?text=%zz&of=video", 200),
        ("/query?text", 400),
        ("/query?text=a&text=b", 400),
        ("/query?text=a&evil=1", 400),
        ("/query?" + "&".join(f"text{number}=1" for number in range(50)), 400),
        ("/query?text=a&k=1e9", 400),
        ("/query?text=a&k=-1", 400),
        ("/query?text=a&k=99999", 400),
        ("/query?text=a&k=101", 400),
        ("/query?text=a&of=imu", 400),
        ("/query?text=a&split=none", 400),
        ("/query?text=" + "a" * 1001, 400),
        ("/query?text=%00", 200),
        ("/query?text=" + quote("\N{PILE OF POO}" * 100), 200),
    ],
)
def test_a_hostile_target(server: QueryServer, target: str, status: int) -> None:
    found, _, body = get(server, target)
    assert found == status
    assert "Traceback" not in body
    assert get(server, "/query?text=a")[0] == 200


def test_a_body_is_not_read(server: QueryServer) -> None:
    assert get(server, "/", "Content-Length: 1000000000")[0] == 400
    assert get(server, "/", "Transfer-Encoding: chunked")[0] == 400
    assert get(server, "/", "Content-Length: 5", method="POST")[0] == 501
    assert get(server, "/", method="DELETE")[0] == 501


@pytest.mark.parametrize(
    "raw",
    [b"\x00\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000, b"",
     b"GET / HTTP/1.0\r\n" + b"X: y\r\n" * 500 + b"\r\n"],
)  # fmt: skip
def test_what_is_no_request_harms_nobody(
    server: QueryServer, raw: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with suppress(OSError, IndexError, ValueError):  # it hung up, or answered as of old, without a status
        say(server, raw)
    assert get(server, "/query?text=a")[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def test_too_many_at_once_are_told_to_come_again(server: QueryServer) -> None:
    taken = 0
    while server.room.acquire(blocking=False):
        taken += 1
    try:
        assert get(server, "/")[::2] == (503, "busy; come again")
    finally:
        for _ in range(taken):
            server.room.release()
    assert taken == 16
    assert get(server, "/")[0] == 200


def test_it_listens_on_this_machine_alone(server: QueryServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(
        RunError, match=rf"cannot listen on 127\.0\.0\.1:{server.server_port}: .*name another port"
    ):
        QueryServer(server.searcher, server.server_port)


def test_what_is_not_said_is_chosen() -> None:
    assert read_query("", ALL) is None
    assert read_query("text=&window=&of=video&k=10", ALL) is None
    assert read_query("text=a+b", ALL) == Asked("imu", 10, "a b", "", "text", None)
    assert read_query("window=w&of=video", ALL) == Asked("video", 10, "", "w", "imu", None)
    assert read_query("window=w", ("video", "text")) == Asked("video", 10, "", "w", "video", None)
    assert read_query("window=w&by=text&split=val&k=3", ALL) == Asked("imu", 3, "", "w", "text", "val")
    with pytest.raises(ConfigError, match=r"unknown field 'evil'; there are text, window, by, of, k, split"):
        read_query("evil=1", ALL)


def test_the_form_keeps_what_was_asked_in_vain(server: QueryServer) -> None:
    status, _, body = get(server, asking("/", text="climbs", split="none", of="text", k=3))
    page = Document(body)
    assert status == 400
    assert {one["name"]: one.get("value") for one in page.all("input")} == {
        "text": "climbs", "window": "", "k": "3",
    }  # fmt: skip
    assert [one["value"] for one in page.all("option") if "selected" in one] == ["text"]
    for text in ("text=a&k=9²", "text=a&k=99999999999", "text=a&of=smell", "&".join(["text=a"] * 50)):
        assert get(server, f"/?{quote(text, safe='=&')}")[0] == 400


def test_a_fault_is_one_sentence_and_never_an_empty_answer(
    server: QueryServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> str:
        raise ZeroDivisionError("planted")

    with monkeypatch.context() as patched:
        patched.setattr(server.searcher, "answer", broken)
        assert get(server, "/query?text=a")[0] == 500
        assert "a fault of the program" in json.loads(get(server, "/query?text=a")[2])["error"]
    monkeypatch.setattr("sensorloom.flows.queries.server.page_of_answer", broken)
    status, headers, body = get(server, "/?text=a")
    assert (status, headers["Content-Type"]) == (500, "text/plain; charset=utf-8")
    assert body == "this query failed by a fault of the program; the terminal that serves it tells which"
    assert "planted" in capfd.readouterr().err


def test_a_picture_that_cannot_be_drawn_is_told(server: QueryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(*_: object) -> dict[str, object]:
        raise RunError("the video is cut")

    monkeypatch.setattr("sensorloom.flows.queries.page.draw_hits", draw)
    monkeypatch.setattr(server, "raw", None)
    status, _, body = get(server, f"/?{urlencode({'text': SAID[1]})}")
    page = Document(body)
    assert (status, "the video is cut" in page.said) == (400, True)
    assert page.all("input")[0]["value"] == SAID[1]


def test_a_view_without_vectors_is_not_served(tmp_path: Path) -> None:
    from sensorloom.flows.config import load_config
    from sensorloom.flows.queries.query import open_store
    from sensorloom.store.repository import Repository
    from tests.flows.aligned_store import aligned_take, publish, write_view

    repo = Repository.open(str(tmp_path / "store"), create=True)
    publish(repo, write_view(repo, [aligned_take()]))
    opened = open_store(load_config(None, {"store.url": repo.url}), "walk")
    with pytest.raises(
        ConfigError, match=r"view 'walk' has no vectors to find windows by; run `sensorloom embed`"
    ):
        QueryServer(opened, 0)


def test_a_browser_asks_by_the_form(browser: Browser, server: QueryServer) -> None:
    page = Page(browser)
    browser.events.clear()
    page.call("Page.navigate", url=server.address)
    browser.wait("Page.loadEventFired", page._session)
    page.click("input[name=text]")
    page.type(SAID[1])
    page.press("Enter")
    browser.wait("Page.loadEventFired", page._session)
    assert page.run("document.querySelector('h1').textContent") == SAID[1]
    assert page.run("document.querySelectorAll('article.window').length") == 7
    assert page.run("document.querySelector('input[name=text]').value") == SAID[1]
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert {url.partition("?")[0] for url in asked if not url.startswith("data:")} == {server.address}
    assert page.complaints() == []
    refused = page.run(
        f"fetch({json.dumps(server.address + 'query?text=a')}).then(() => 'read', () => 'refused')"
    )
    assert refused == "refused"  # the page's own policy: it fetches nothing, whoever put a script on it


def test_the_command_serves_until_it_is_told_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sensorloom.flows.cli import main

    def interrupted(server: QueryServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(QueryServer, "serve_forever", interrupted)
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(SystemExit) as stop:
        main(["query", "--serve", "0", "--store", store_of(tmp_path)])
    assert not stop.value.code
    said = capsys.readouterr()
    assert "http://127.0.0.1:" in said.out
    assert "answers on this machine; Ctrl+C ends it" in said.out
    assert "only windows can be asked with; for texts: pip install 'sensorloom[ingest,embed]'" in said.err
