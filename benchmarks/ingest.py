"""PAMAP2 text to committed 200 Hz windows on one core: this project, beside a careful pandas + scipy script.

Both read the same generated subject file (warm page cache), resample 18 channels to 200 Hz with validity, and
write the timeline and the label-pure 5 s windows of the chest. This project also hashes the raw file,
checks it, writes its findings, names every shard by content, syncs it to disk and commits. Their windows
must agree one by one, and their signals within `SIGNAL_TOLERANCE`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from harness import (
    Contender,
    SetupError,
    Turns,
    drive,
    generated,
    medians,
    need,
    options,
    same,
    say,
    scratch,
    warm,
)

WARM_UP_MINUTES = 1.0
"""Each contender first processes a file this short: imports that libraries put off are no part of the measure."""
SIGNAL_TOLERANCE = 0.005
"""Largest root-mean-square difference of the two window tensors, as a share of a channel's standard
deviation: the two low-pass filters differ next to the Nyquist frequency, where a sensor's noise is."""

MEANING = {
    "mb_per_s_core": "raw MB/s, text to committed windows, one core",
    "over_pandas": "times faster than pandas + scipy doing the same work",
    "over_pandas_any_space": "the same, were the script to split at any white space, as most scripts for this data do",
    "over_pandas_lean": "the same, were the script not to check the streams nor to sync its files",
    "peak_mb": "peak memory of this project, MB",
    "ingest_mb_per_s_core": "raw MB/s of ingest alone (to the committed timeline)",
    "raw_mb": "raw text, MB",
    "windows": "windows of 5 s, agreed on by both",
    "seconds": "this project: ingest and build, s",
    "pandas_seconds": "pandas + scipy: the same work, s",
    "pandas_check_seconds": "of these: checks of the streams, s",
    "pandas_sync_seconds": "of these: syncing files to disk, s",
    "pandas_any_space_seconds": "splitting at any white space instead of a single space would add, s",
    "pandas_peak_mb": "peak memory of pandas + scipy, MB",
    "crossl_seconds": "building crossl-pamap2 (three positions) besides, s",
    "hash_seconds": "part: sha256 of the raw file, s",
    "parse_seconds": "part: text to a take with findings, s",
    "align_seconds": "part: take to 200 Hz timeline, s",
    "write_seconds": "part: timeline shard, digested and synced, s",
    "cut_seconds": "part: windows cut and gathered, s",
    "signal_difference": "rms difference of the two, share of the standard deviation",
}


def main() -> None:
    arguments = _parse()
    drive(lambda: (_bench(arguments), MEANING))


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument(
        "--minutes", type=float, default=63.0, help="length of the generated recording (63: about 140 MB)"
    )
    return parser.parse_args()


def _bench(arguments: argparse.Namespace) -> Mapping[str, float]:
    need("pandas", "scipy", "pyarrow")
    tell = say(arguments.quiet)
    with scratch(arguments.work) as folder:
        raw, small = (_raw(arguments.work, minutes, tell) for minutes in (arguments.minutes, WARM_UP_MINUTES))
        raw_mb = warm(_data_file(raw)) / 1e6
        contenders = [
            Contender("ours", "ingest_ours.py", ("--raw", str(raw), "--warm-up", str(small))),
            Contender(
                "pandas",
                "ingest_pandas.py",
                ("--file", str(_data_file(raw)), "--warm-up", str(_data_file(small))),
            ),
            Contender("parts", "ingest_parts.py", ("--raw", str(raw))),
        ]
        rounds = Turns(arguments.rounds, 1, folder, tell).play(contenders)
        ours, pandas, parts = (medians(rounds[name]) for name in ("ours", "pandas", "parts"))
        tell("comparing what both wrote")
        same("windows", ours["windows"], pandas["windows"])
        compared = Turns(1, 1, folder, tell).play(
            [Contender("compare", "ingest_compare.py", (str(folder / "ours"), str(folder / "pandas")))]
        )["compare"][0]
        same("shared window starts", compared["shared_starts"], ours["windows"])
        same("signal difference", compared["signal_difference"], 0.0, SIGNAL_TOLERANCE)
    return _numbers(raw_mb, ours, pandas, parts) | {"signal_difference": compared["signal_difference"]}


def _numbers(
    raw_mb: float, ours: Mapping[str, float], pandas: Mapping[str, float], parts: Mapping[str, float]
) -> dict[str, float]:
    seconds = ours["ingest_seconds"] + ours["build_seconds"]
    any_space = pandas["any_space_read_seconds"] - pandas["single_space_read_seconds"]
    return {
        "mb_per_s_core": raw_mb / seconds,
        "over_pandas": pandas["seconds"] / seconds,
        "over_pandas_any_space": (pandas["seconds"] + any_space) / seconds,
        "over_pandas_lean": (pandas["seconds"] - pandas["check_seconds"] - pandas["sync_seconds"]) / seconds,
        "peak_mb": ours["peak_mb"],
        "ingest_mb_per_s_core": raw_mb / ours["ingest_seconds"],
        "raw_mb": raw_mb,
        "windows": ours["windows"],
        "seconds": seconds,
        "pandas_seconds": pandas["seconds"],
        "pandas_check_seconds": pandas["check_seconds"],
        "pandas_sync_seconds": pandas["sync_seconds"],
        "pandas_any_space_seconds": any_space,
        "pandas_peak_mb": pandas["peak_mb"],
        "crossl_seconds": ours["crossl_seconds"],
        **{key: value for key, value in parts.items() if key.endswith("_seconds")},
    }


def _raw(folder: Path, minutes: float, tell: Callable[[str], None]) -> Path:
    name = f"pamap2-{minutes:g}-minutes"
    return generated(folder, name, "ingest_sample.py", ("--minutes", str(minutes)), tell) / "pamap2"


def _data_file(raw: Path) -> Path:
    files = sorted(raw.rglob("*.dat"))
    if len(files) != 1:
        raise SetupError(
            f"expected one generated .dat file under {raw}, found {len(files)}; remove that folder, run again"
        )
    return files[0]


if __name__ == "__main__":
    sys.exit(main())
