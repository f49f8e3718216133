"""A small server of queries for this machine alone: a page with a form, and the same facts as JSON.

`GET /` is the page, `GET /query` JSON; both take `text` or `window` with `by`, and `of`, `k`, `split`. It listens on
127.0.0.1 and answers only what was addressed to it by that name: a site in a browser that points its own name at this
machine (DNS rebinding), or sends a request from its own pages, is refused.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sensorloom import SensorloomError
from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.flows.queries.facts import Answer, Asked, Form
from sensorloom.flows.queries.page import page_of_answer
from sensorloom.flows.queries.query import MAX_FOUND, Searcher

__all__ = ["HOST", "QueryServer"]

HOST = "127.0.0.1"
_MAX_TARGET = 16_384
"""Bytes of a request's target: a thousand characters of text, escaped, and the rest."""
_MAX_FIELDS = 10
_USUAL_K = 10
_MAX_AT_ONCE = 16
"""Requests that are worked on or wait; one more is told to come again."""
_PATIENCE_S = 10.0
"""How long a peer may take to say what it wants."""
_FIELDS = ("text", "window", "by", "of", "k", "split")
_SENTENCE = "this query failed by a fault of the program; the terminal that serves it tells which"
_FAULT = {True: ("application/json", json.dumps({"error": _SENTENCE})), False: ("text/plain", _SENTENCE)}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class QueryServer(ThreadingHTTPServer):
    """Answers queries of one searcher, one at a time, on `port` of this machine; 0 takes a free one.

    Raises `RunError` where the port is taken or may not be listened on, `ConfigError` where nothing can be found.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, searcher: Searcher, port: int, *, raw: Path | None = None) -> None:
        if not searcher.windows.modalities:
            raise ConfigError(
                f"view {searcher.view.view!r} has no vectors to find windows by; run `sensorloom embed` and `sensorloom"
                " build`, or serve another view or a run"
            )
        self.searcher, self.raw = searcher, raw
        self.answering, self.room = Lock(), BoundedSemaphore(_MAX_AT_ONCE)
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise RunError(
                f"cannot listen on {HOST}:{port}: {error}; name another port: --serve PORT"
            ) from error

    @property
    def address(self) -> str:
        """Return where a browser finds it."""
        return f"http://{HOST}:{self.server_port}/"

    @property
    def names(self) -> frozenset[str]:
        """Return what requests may address it as."""
        hosts = (HOST, "localhost")
        bare = frozenset(hosts) if self.server_port == 80 else frozenset()
        return bare | {f"{host}:{self.server_port}" for host in hosts}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a peer that hung up; anything else is a fault of ours and is told."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: QueryServer
    server_version, sys_version = "sensorloom", ""
    timeout = _PATIENCE_S

    def do_GET(self) -> None:
        """Answer a query, or show the form."""
        self._respond(with_body=True)

    def do_HEAD(self) -> None:
        """Answer as `do_GET` does, without the body."""
        self._respond(with_body=False)

    def log_message(self, *_: Any) -> None:
        """Keep quiet: a query may be private."""

    def _respond(self, *, with_body: bool) -> None:
        if not self.server.room.acquire(blocking=False):
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", "busy; come again", with_body=with_body)
            return
        try:
            self._send(*self._answered(), with_body=with_body)
        finally:
            self.server.room.release()

    def _answered(self) -> tuple[HTTPStatus, str, str]:
        """Return status, type and body of the answer to the request."""
        refused = self._refusal()
        if refused is not None:
            return refused[0], "text/plain", refused[1]
        target = urlsplit(self.path)
        if target.path not in ("/", "/query"):
            return HTTPStatus.NOT_FOUND, "text/plain", "there are / and /query"
        with self.server.answering:
            return self._found(target.path == "/query", target.query)

    def _found(self, is_json: bool, query: str) -> tuple[HTTPStatus, str, str]:
        """Return the answer to a query, else what is wrong with it, else that the fault is ours."""
        searcher = self.server.searcher
        offered = searcher.windows.modalities
        try:
            try:
                asked = read_query(query, offered)
                if asked is None and is_json:
                    raise ConfigError("a query is a text or the id of a window: /query?text=…&of=…&k=…")
                answer = None if asked is None else searcher.answer(asked)
                return HTTPStatus.OK, *self._shown(is_json, Form(offered), answer)
            except SensorloomError as error:
                form = Form(offered, read_form(query, offered), str(error))
                return HTTPStatus.BAD_REQUEST, *self._shown(is_json, form, None)
        except Exception:
            traceback.print_exc()
            return HTTPStatus.INTERNAL_SERVER_ERROR, *_FAULT[is_json]

    def _shown(self, is_json: bool, form: Form, answer: Answer | None) -> tuple[str, str]:
        """Return type and body: an answer, nothing that was asked yet, or the problem of the form."""
        if is_json:
            facts = {"error": form.problem} if answer is None else asdict(answer)
            return "application/json", json.dumps(facts, ensure_ascii=False)
        return "text/html", page_of_answer(self.server.searcher, answer, raw=self.server.raw, form=form)

    def _refusal(self) -> tuple[HTTPStatus, str] | None:
        """Return why a request is not looked at, None for one that is."""
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0].strip().lower() not in self.server.names:
            return HTTPStatus.MISDIRECTED_REQUEST, f"this server is {self.server.address}"
        origin = self.headers.get("Origin")
        if origin is not None and origin not in {f"http://{name}" for name in self.server.names}:
            return HTTPStatus.FORBIDDEN, "asked from another site"
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return HTTPStatus.FORBIDDEN, "asked from another site"
        if len(self.path) > _MAX_TARGET:
            return HTTPStatus.REQUEST_URI_TOO_LONG, f"at most {_MAX_TARGET} bytes are read"
        if not self.path.startswith("/"):
            return HTTPStatus.BAD_REQUEST, "there are / and /query"
        if self.headers.get("Content-Length", "0").strip() != "0" or "Transfer-Encoding" in self.headers:
            return HTTPStatus.BAD_REQUEST, "a query has no body"
        return None

    def _send(self, status: HTTPStatus, kind: str, text: str, *, with_body: bool) -> None:
        # A lone surrogate, which no UTF-8 has, can come out of a table of words.
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def read_query(text: str, modalities: tuple[str, ...]) -> Asked | None:
    """Read the query part of a target; None where nothing is asked. Raises `ConfigError` for what is no query.

    What is not said: `of` the first modality there is, `by` IMU where the view has it, `k` ten.
    """
    try:
        parsed = parse_qs(
            text, strict_parsing=bool(text), encoding="utf-8", errors="strict", max_num_fields=_MAX_FIELDS,
            keep_blank_values=True,
        )  # fmt: skip
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigError(f"the query cannot be read ({error}); it is name=value&…, escaped UTF-8") from error
    unknown = sorted(set(parsed) - {*_FIELDS})
    if unknown:
        raise ConfigError(f"unknown field {unknown[0][:50]!r}; there are {', '.join(_FIELDS)}")
    several = [name for name, values in parsed.items() if len(values) > 1]
    if several:
        raise ConfigError(f"{several[0]} is given {len(parsed[several[0]])} times")
    fields: Mapping[str, str] = {
        name: values[0].strip() for name, values in parsed.items() if values[0].strip()
    }
    if not {"text", "window"} & fields.keys():
        return None
    by_default = ("imu" if "imu" in modalities else modalities[0]) if "window" in fields else "text"
    return Asked(
        of=fields.get("of", modalities[0]),
        k=_whole(fields.get("k", str(_USUAL_K))),
        text=fields.get("text", ""),
        window_id=fields.get("window", ""),
        by=fields.get("by", by_default),
        split=fields.get("split"),
    )


def read_form(text: str, modalities: tuple[str, ...]) -> Asked:
    """Return what a form was filled in with, however wrong: it is shown again, so that nobody types it anew."""
    try:
        parsed = parse_qs(text, errors="replace", max_num_fields=_MAX_FIELDS)
    except ValueError:
        parsed = {}
    said = {name: values[0].strip() for name, values in parsed.items()}
    of, k = said.get("of", ""), said.get("k", "")
    return Asked(
        of=of if of in modalities else modalities[0],
        k=int(k) if k.isdecimal() and k.isascii() and 1 <= int(k[:5]) <= MAX_FOUND else _USUAL_K,
        text=said.get("text", ""),
        window_id=said.get("window", ""),
    )


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 5):
        raise ConfigError(f"k must be 1 to {MAX_FOUND}, got {text[:50]!r}")
    return int(text)
