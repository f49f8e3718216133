"""Shuffled epochs of a store of generated windows: this project's stream, memcpy, a naive Dataset + DataLoader, and
what other projects' formats and loaders make of the same windows.

All hand on the same windows of imu float32[6, 1000] and two float16[512] with their numbers, in batches of 256, from a
warm page cache, on the same cores. All shuffle the whole epoch but Lance, whose sampler shuffles batches of neighbours,
WebDataset and LitData, which shuffle files and what is within reach, and memcpy, which copies in storage order, the
fastest that memory allows. Every contender notes a marker of each window in every array it got; all must have got each
window once an epoch, its arrays together, and the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from harness import (
    Contender,
    SetupError,
    Turns,
    drive,
    medians,
    need,
    options,
    same,
    say,
    scratch,
    warm,
)

PEERS = ("lance", "hf_arrow", "litdata", "mds", "webdataset")
SLOW_PEERS, SLOW_WINDOWS, WORKERS = ("mds", "webdataset"), 10_000, (0, 2)
"""Peers whose epochs take so long that they are given a part of the windows, at the same rate. Whether worker processes
help them depends on the machine: they run with either number of them, and the faster counts.
"""
ARRAYS = ("imu", "video", "text")
MEANING = {
    "windows_per_s": "windows/s of this project's stream, later epochs",
    "over_memcpy": "share of memcpy into reused memory, later epochs",
    "over_memcpy_first": "share of the same memcpy, this project's first epoch",
    "over_memcpy_fresh": "share of memcpy into fresh memory, later epochs",
    "over_naive": "times faster than Dataset + DataLoader, later epochs",
    **{f"over_{name}": f"times faster than {name}, later epochs" for name in PEERS},
    "first_batch_ms": "opening the store to the first batch in a process that opened one before, ms",
    "first_windows_per_s": "windows/s of this project's stream, first epoch",
    "memcpy_windows_per_s": "windows/s of memcpy into reused memory",
    "memcpy_first_windows_per_s": "windows/s of memcpy into reused memory, first epoch",
    "memcpy_fresh_windows_per_s": "windows/s of memcpy into fresh memory",
    "naive_windows_per_s": "windows/s of Dataset + DataLoader, later epochs",
    "naive_first_windows_per_s": "windows/s of Dataset + DataLoader, first epoch",
    **{f"{name}_windows_per_s": f"windows/s of {name}, later epochs" for name in PEERS},
    **{f"{name}_first_windows_per_s": f"windows/s of {name}, first epoch" for name in PEERS},
    **{f"{name}_workers": f"workers with which {name} was faster" for name in SLOW_PEERS},
    "workers_windows_per_s": "windows/s of this project's stream in two DataLoader workers, later epochs",
    "cold_windows_per_s": "windows/s from files that are not in the page cache, opening included",
    "cold_compressed_windows_per_s": "the same of a compressed int16 store, through an empty shard cache",
    "compressed_windows_per_s": "windows/s of that store from then on",
    "compressed_share": "bytes of that store's tensors, of those of the plain one",
    "windows": "windows of the split",
    "data_mb": "bytes of an epoch, MB",
    "threads": "cores that each contender had",
    "anonymous_mb": "growth of anonymous memory in this project's process from opening on, MB",
    "peak_mb": "peak memory of this project's process with the mapped store, MB",
}


@dataclass(frozen=True, slots=True)
class Data:
    """What all contenders read: `folder` has it, of `windows` windows; `sums` of its bits by array."""

    folder: Path
    windows: int
    sums: Mapping[str, float]

    def windows_of(self, name: str) -> int:
        return min(self.windows, SLOW_WINDOWS) if name in SLOW_PEERS else self.windows


def main() -> None:
    arguments = _parse()
    drive(lambda: (_bench(arguments), MEANING))


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument(
        "--windows", type=int, default=40_000, help="windows of the store (40,000: about 1 GB)"
    )
    parser.add_argument(
        "--threads", type=int, default=2, help="cores for every contender; 2 is what the stream uses"
    )
    parser.add_argument("--peers", default="all", help=f"all, none, or some of {','.join(PEERS)}")
    return parser.parse_args()


def _bench(arguments: argparse.Namespace) -> Mapping[str, float]:
    need("torch")
    peers = _peers(arguments.peers)
    tell = say(arguments.quiet)
    with scratch(arguments.work) as folder:
        tell(f"generating {arguments.windows:,} windows")
        given = ("--windows", str(arguments.windows), "--compressed")
        once = Turns(1, 1, folder, tell)
        sums = once.play([Contender("data", "stream_data.py", given)])["data"][0]
        data = Data(folder / "data", arguments.windows, sums)
        tried = {contender.name: [contender] for contender in _own(data, arguments.threads)}
        tried |= {name: _peer(data, name, arguments.threads, once) for name in peers}
        cold = {contender.name: [contender] for contender in _cold(data, arguments.threads)}
        size = sum(warm(path) for path in sorted(folder.rglob("*")) if path.is_file())
        tell(f"{size / 1e9:.1f} GB in all formats")
        turns = Turns(arguments.rounds, arguments.threads, folder, tell)
        rounds = turns.play([*chain(*tried.values())])
        # After all others: what comes back from the disk lies in smaller pages than what was written at once.
        rounds |= turns.play([*chain(*cold.values())])
        tried |= cold
        data_mb = sum((data.folder / f"{name}.npy").stat().st_size for name in ARRAYS) / 1e6
    for name, contenders in tried.items():
        for numbers in chain(*(rounds[contender.name] for contender in contenders)):
            _check(name, numbers, data)
    ran = {name: _fastest([rounds[each.name] for each in contenders]) for name, contenders in tried.items()}
    return {
        **_numbers(ran),
        **_peer_numbers(ran, peers),
        "compressed_share": sums["compressed_share"],
        "windows": arguments.windows,
        "data_mb": data_mb,
        "threads": arguments.threads,
        "anonymous_mb": ran["ours"]["anonymous_mb"],
        "peak_mb": ran["ours"]["peak_mb"],
    }


def _peers(asked: str) -> Sequence[str]:
    """Return the peers to compare with; raises `SetupError` for unknown ones and where they are not installed."""
    if asked == "none":
        return ()
    names = PEERS if asked == "all" else tuple(asked.split(","))
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise SetupError(f"--peers takes all, none, or some of {','.join(PEERS)} with commas, got {asked!r}")
    if not _python().exists():
        raise SetupError(
            f"the bench compares with {', '.join(names)}, whose environment is not at {_python().parents[1]}: "
            "`make peers` in the checkout makes it (about 1 GB); --peers none leaves them out"
        )
    return names


def _python() -> Path:
    return Path(sys.prefix) / "peers" / "bin" / "python"


def _own(data: Data, threads: int) -> list[Contender]:
    given = _given(data, threads)
    return [Contender(name, f"stream_{name}.py", given) for name in ("ours", "memcpy", "naive", "workers")]


def _cold(data: Data, threads: int) -> list[Contender]:
    stores = (("cold", "store"), ("cold_compressed", "compressed"))
    given = _given(data, threads)
    return [Contender(name, "stream_cold.py", (*given, "--store", store)) for name, store in stores]


def _given(data: Data, threads: int) -> tuple[str, ...]:
    return ("--data", str(data.folder), "--threads", str(threads), "--windows", str(data.windows))


def _peer(data: Data, name: str, threads: int, once: Turns) -> list[Contender]:
    """Have a peer write the windows in its own format, and return it reading them, in all the ways that it is tried."""
    python, script = str(_python()), f"stream_{name}.py"
    given = ("--threads", str(threads), "--windows", str(data.windows_of(name)))
    kept = once.folder / "peers" / name
    kept.parent.mkdir(exist_ok=True)
    writer = Contender(
        f"writing {name}", script, (*given, "--data", str(data.folder), "--write", str(kept)), python
    )
    once.play([writer])
    reading = (*given, "--data", str(kept))
    if name not in SLOW_PEERS:
        return [Contender(name, script, reading, python)]
    return [
        Contender(f"{name} in {workers} workers", script, (*reading, "--workers", str(workers)), python)
        for workers in WORKERS
    ]


def _fastest(tried: Sequence[Sequence[Mapping[str, float]]]) -> Mapping[str, float]:
    """Return the medians over the rounds of the way with the fastest later epochs."""
    return max(map(medians, tried), key=lambda numbers: numbers.get("later", 0.0))


def _check(name: str, numbers: Mapping[str, float], data: Data) -> None:
    same(f"windows missing or repeated, or their arrays apart ({name})", numbers["misplaced"], 0)
    # What is stored as int16 is not the same bits, and a part of the windows does not have all of them.
    if name != "cold_compressed" and data.windows_of(name) == data.windows:
        for array in ARRAYS:
            same(f"sum of all bits of {array} ({name})", numbers[f"bits_{array}"], data.sums[f"bits_{array}"])


def _numbers(ran: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    ours, memcpy, naive = ran["ours"], ran["memcpy"], ran["naive"]
    return {
        "windows_per_s": ours["later"],
        "over_memcpy": ours["later"] / memcpy["reused_later"],
        "over_memcpy_first": ours["first"] / memcpy["reused_later"],
        "over_memcpy_fresh": ours["later"] / memcpy["fresh_later"],
        "over_naive": ours["later"] / naive["later"],
        "first_batch_ms": ours["first_batch_ms"],
        "first_windows_per_s": ours["first"],
        "memcpy_windows_per_s": memcpy["reused_later"],
        "memcpy_first_windows_per_s": memcpy["reused_first"],
        "memcpy_fresh_windows_per_s": memcpy["fresh_later"],
        "naive_windows_per_s": naive["later"],
        "naive_first_windows_per_s": naive["first"],
        "workers_windows_per_s": ran["workers"]["later"],
        "cold_windows_per_s": ran["cold"]["cold"],
        "cold_compressed_windows_per_s": ran["cold_compressed"]["cold"],
        "compressed_windows_per_s": ran["cold_compressed"]["later"],
    }


def _peer_numbers(ran: Mapping[str, Mapping[str, float]], peers: Sequence[str]) -> dict[str, float]:
    each: Mapping[str, Callable[[Mapping[str, float]], float]] = {
        "over_{}": lambda peer: ran["ours"]["later"] / peer["later"],
        "{}_windows_per_s": lambda peer: peer["later"],
        "{}_first_windows_per_s": lambda peer: peer["first"],
    }
    numbers = {form.format(name): value(ran[name]) for form, value in each.items() for name in peers}
    return numbers | {f"{name}_workers": ran[name]["workers"] for name in SLOW_PEERS if name in peers}


if __name__ == "__main__":
    main()
