"""The stream from an object store behind a slow link, through a shard cache that holds the split or a quarter of it.

The object store is moto's S3 server on loopback; a server before it lets through so many bytes a second, over all
connections together, and answers late. The same store on the local disk is the measure. Global shuffle where the cache
holds the split, block shuffle where it does not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness import (
    FOLDER,
    BenchFailedError,
    Contender,
    Turns,
    drive,
    medians,
    need,
    options,
    same,
    say,
    scratch,
)
from stream import ARRAYS

MEANING = {
    "remote_over_local": "share of the local stream, cache that holds the split, second epoch on",
    "remote_quarter_over_local": "share of the local stream, cache of a quarter, block shuffle, second epoch on",
    "remote_windows_per_s": "windows/s with a cache that holds the split, second epoch on",
    "remote_first_windows_per_s": "windows/s with that cache, first epoch: the link",
    "remote_quarter_windows_per_s": "windows/s with a cache of a quarter of the split, block shuffle",
    "remote_local_windows_per_s": "windows/s from the local store",
    "remote_link_windows_per_s": "windows/s that the link lets through",
    "remote_link_mb_per_s": "width of the link, MB/s",
    "remote_latency_ms": "delay of every answer, ms",
    "windows": "windows of the split",
}


def main() -> None:
    arguments = _parse()
    drive(lambda: (_bench(arguments), MEANING))


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument(
        "--windows", type=int, default=40_000, help="windows of the store; the server keeps them in memory"
    )
    parser.add_argument("--threads", type=int, default=2, help="cores for every contender")
    parser.add_argument("--link", type=float, default=200.0, help="width of the link, MB/s")
    parser.add_argument("--latency", type=float, default=5.0, help="delay of every answer, ms")
    return parser.parse_args()


def _bench(arguments: argparse.Namespace) -> Mapping[str, float]:
    need("torch", "moto", "boto3")
    tell = say(arguments.quiet)
    windows = arguments.windows
    with scratch(arguments.work) as folder:
        tell(f"generating {windows:,} windows")
        once = Turns(1, 1, folder)
        written = once.play([Contender("data", "stream_data.py", ("--windows", str(windows)))])["data"][0]
        store = folder / "data" / "store"
        size = sum(path.stat().st_size for path in store.rglob("*.zarr/**/*") if path.is_file())
        with _server(store, arguments) as url:
            given = (
                "--data",
                str(store),
                "--threads",
                str(arguments.threads),
                "--url",
                url,
                "--bytes",
                str(size),
            )
            contenders = [
                Contender(name, "stream_remote_read.py", (*given, "--how", name))
                for name in ("local", "whole", "quarter")
            ]
            rounds = Turns(arguments.rounds, arguments.threads, folder, tell).play(contenders)
    for name, turns in rounds.items():
        for numbers in turns:
            same(f"windows missing or repeated, or their arrays apart ({name})", numbers["misplaced"], 0)
            for array in ARRAYS:
                same(
                    f"sum of all bits of {array} ({name})", numbers[f"bits_{array}"], written[f"bits_{array}"]
                )
    local, whole, quarter = (medians(rounds[name]) for name in ("local", "whole", "quarter"))
    return {
        "remote_over_local": whole["later"] / local["later"],
        "remote_quarter_over_local": quarter["later"] / local["later"],
        "remote_windows_per_s": whole["later"],
        "remote_first_windows_per_s": whole["first"],
        "remote_quarter_windows_per_s": quarter["later"],
        "remote_local_windows_per_s": local["later"],
        "remote_link_windows_per_s": 1e6 * arguments.link / (size / windows),
        "remote_link_mb_per_s": arguments.link,
        "remote_latency_ms": arguments.latency,
        "windows": windows,
    }


@contextmanager
def _server(store: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """Serve `store` over S3 from a process of its own; its address, and the environment that reaches it, are set."""
    link = ("--link", str(arguments.link), "--latency", str(arguments.latency))
    command = [sys.executable, str(FOLDER / "stream_remote_server.py"), "--store", str(store), *link]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        said = server.stdout.readline() if server.stdout else ""
        if not said:
            raise BenchFailedError("the S3 server did not start; its own message stands above")
        told = json.loads(said)
        os.environ |= told["environment"]
        yield told["url"]
        if server.stdin:
            server.stdin.close()


if __name__ == "__main__":
    main()
