"""A server that stands before another and does to its answers what networks and object stores do.

It passes every request on, remembers it, and spoils what it is told to. `delay_s` and `bytes_per_s` make a distant,
narrow link of it, over all connections together; they are for measurements, tests count requests instead.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PIECE = 1 << 16
STATUS = {"busy": 503, "failing": 500, "forbidden": 403, "gone": 404}
# Headers of one connection, not of the answer.
OF_CONNECTION = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass
class Fault:
    """What happens to the next `times` objects asked for whose path contains `part`.

    Kinds: those of `STATUS`; `truncated` (the connection ends half-way), `shorter` and `longer` (a body that looks
    whole), `wrong` (one byte is another).
    """

    part: str
    kind: str
    times: int


@dataclass
class FaultyServer:
    upstream: str
    delay_s: float = 0.0
    bytes_per_s: float = 0.0
    gets: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    before_answer: Callable[[str], None] = lambda path: None
    halfway: Callable[[str], None] = lambda path: None

    def __post_init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._free_at_s = 0.0
        handler = type("Handler", (_Handler,), {"faulty": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def spoil(self, part: str, kind: str, times: int = 1) -> None:
        """Do `kind` to the next `times` objects asked for whose path contains `part`."""
        with self._lock:
            self._faults.append(Fault(part, kind, times))

    def count(self, part: str) -> int:
        """Return how often an object was asked for whose path contains `part`."""
        return sum(part in path for path in self.gets)

    def left(self) -> int:
        """Return how many faults nobody met."""
        return sum(fault.times for fault in self._faults)

    def fault_of(self, path: str, byte_range: str | None) -> str | None:
        """Note that an object is asked for and return what to do to the answer."""
        with self._lock:
            self.gets.append(path)
            self.ranges.append(byte_range)
            for fault in self._faults:
                if fault.part in path and fault.times:
                    fault.times -= 1
                    return fault.kind
        return None

    def pass_through(self, num_bytes: int) -> None:
        """Wait as long as the link takes for that many bytes."""
        if self.bytes_per_s:
            with self._lock:
                self._free_at_s = max(self._free_at_s, time.monotonic()) + num_bytes / self.bytes_per_s
                wait_s = self._free_at_s - time.monotonic()
            time.sleep(max(0.0, wait_s))


class _Server(ThreadingHTTPServer):
    # A client that dies leaves a thread of the server behind, which must not keep the tests from ending.
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faulty: FaultyServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
        """Say nothing."""

    def _forward(self) -> None:
        faulty = self.faulty
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = None
        # A listing is a GET with a query, and not of an object.
        if self.command == "GET" and "?" not in self.path:
            kind = faulty.fault_of(self.path, self.headers.get("Range"))
            faulty.before_answer(self.path)
        if faulty.delay_s:
            time.sleep(faulty.delay_s)
        if kind in STATUS:
            self._answer(STATUS[kind], [], b"", b"")
            return
        upstream = http.client.HTTPConnection(urlsplit(faulty.upstream).netloc)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        headers = [(key, value) for key, value in answer.getheaders() if key.lower() not in OF_CONNECTION]
        if self.command == "HEAD":
            headers.append(("Content-Length", answer.headers.get("Content-Length", "0")))
        self._answer(answer.status, headers, *_spoilt(data, kind))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes, lost: bytes) -> None:
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(data) + len(lost)))
        self.end_headers()
        half = len(data) // 2
        self._send(data[:half])
        if half:
            self.faulty.halfway(self.path)
        self._send(data[half:])
        if lost:
            self.close_connection = True

    def _send(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            self.faulty.pass_through(len(piece))
            self.wfile.write(piece)


def _spoilt(data: bytes, kind: str | None) -> tuple[bytes, bytes]:
    """Return what is sent of a body and what is promised but never sent."""
    half = len(data) // 2
    if kind == "truncated":
        return data[:half], data[half:]
    if kind == "shorter":
        return data[:half], b""
    if kind == "longer":
        return data + b"\0", b""
    if kind == "wrong":
        return data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :], b""
    return data, b""
