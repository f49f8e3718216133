"""An Ego4D IMU file to sorted arrays on one core: this project, beside pandas doing the same.

Both read the same generated `imu/<video_uid>.csv` (warm page cache): rows without a canonical stamp and those stamped
without sense are dropped, the others grouped by component, sorted inside each, cut where components overlap; missing
accelerometer cells stay missing; the offset between the two stamps of a component is checked. What comes out must
agree. This project also checks the header and every cell, and says what it dropped where; pandas is told the types.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from harness import Contender, Turns, drive, generated, medians, need, options, same, say, scratch, warm

WARM_UP_MINUTES = 1.0
"""Each contender first reads a file this short: imports that libraries put off are no part of the measure."""

MEANING = {
    "ego4d_mb_per_s": "MB/s of an Ego4D IMU file to sorted arrays with findings, one core",
    "ego4d_over_pandas": "times faster than pandas (its own parser) giving the same arrays",
    "ego4d_over_pandas_lean": "the same, were the script not to compare stamps nor to read the column for it",
    "ego4d_over_pandas_arrow": "times faster than pandas with the parser of pyarrow",
    "ego4d_file_mb": "generated file, MB",
    "ego4d_rows": "usable rows, agreed on by all",
    "ego4d_seconds": "this project, s",
    "ego4d_pandas_seconds": "pandas: the same, s",
    "ego4d_pandas_arrow_seconds": "pandas with the parser of pyarrow: the same, s",
    "ego4d_peak_mb": "peak memory of this project, MB",
    "ego4d_pandas_peak_mb": "peak memory of pandas, MB",
}

# pandas' own parser may miss the nearest number by a unit in the last place; single precision hides most of it.
AGREED = {"rows": 0.0, "missing": 0.0, "stamp_mean_ms": 1e-6, "largest_step_ms": 1e-5}
AGREED |= {"accelerometer_mean": 1e-6, "gyroscope_first": 1e-6}


def main() -> None:
    arguments = _parse()
    drive(lambda: (_bench(arguments), MEANING))


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument(
        "--minutes", type=float, default=48.0, help="length of the generated recording (48: about 60 MB)"
    )
    return parser.parse_args()


def _bench(arguments: argparse.Namespace) -> Mapping[str, float]:
    need("pandas", "pyarrow")
    tell = say(arguments.quiet)
    with scratch(arguments.work) as folder:
        file, small = (
            _file(arguments.work, minutes, tell) for minutes in (arguments.minutes, WARM_UP_MINUTES)
        )
        file_mb = warm(file) / 1e6
        seconds = str(arguments.minutes * 60)
        common = ("--file", str(file), "--warm-up", str(small), "--seconds", seconds, "--reader")
        contenders = [
            Contender(name, "ingest_ego4d_read.py", (*common, name))
            for name in ("ours", "pandas", "pandas-lean", "pandas-arrow")
        ]
        rounds = Turns(arguments.rounds, 1, folder, tell).play(contenders)
    ours, pandas, lean, arrow = (medians(rounds[one.name]) for one in contenders)
    for theirs in (pandas, lean, arrow):
        for name, tolerance in AGREED.items():
            same(name, ours[name], theirs[name], tolerance)
    return {
        "ego4d_mb_per_s": file_mb / ours["seconds"],
        "ego4d_over_pandas": pandas["seconds"] / ours["seconds"],
        "ego4d_over_pandas_lean": lean["seconds"] / ours["seconds"],
        "ego4d_over_pandas_arrow": arrow["seconds"] / ours["seconds"],
        "ego4d_file_mb": file_mb,
        "ego4d_rows": ours["rows"],
        "ego4d_seconds": ours["seconds"],
        "ego4d_pandas_seconds": pandas["seconds"],
        "ego4d_pandas_arrow_seconds": arrow["seconds"],
        "ego4d_peak_mb": ours["peak_mb"],
        "ego4d_pandas_peak_mb": pandas["peak_mb"],
    }


def _file(folder: Path, minutes: float, tell: Callable[[str], None]) -> Path:
    name = f"ego4d-imu-{minutes:g}-minutes.csv"
    return generated(folder, name, "ingest_ego4d_sample.py", ("--minutes", str(minutes)), tell)


if __name__ == "__main__":
    sys.exit(main())
