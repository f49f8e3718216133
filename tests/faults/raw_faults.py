"""Faults in files: what `sensorloom sample --faults` plants, and what readers and alignment say of each."""

from __future__ import annotations

from sensorloom.ingest.miniature.sample import FAULTS as IN_FILES
from sensorloom.ingest.take import Severity
from tests.faults.fault import Fault

__all__ = ["RAW_FAULTS"]

_UNREADABLE = "take-unreadable"
_AURA = "AURA-MFM reads (x, y, 1) as coordinates: methods §0 row 11"
_IMU2CLIP = "IMU2CLIP, MMdataloader.py:227: lessons 0.4"
_CHEST = "#chest/accelerometer"

# By data set: fault, rule, severity, what the finding is about, where such a file was seen.
_ROWS: dict[str, tuple[tuple[str, str, Severity, str, str], ...]] = {
    "pamap2": (
        ("truncated-line", _UNREADABLE, "error", "", "a download that ended early"),
        ("wrong-columns", _UNREADABLE, "error", "", "a file saved by a spreadsheet"),
        ("empty-file", _UNREADABLE, "error", "", "a download that never began"),
        ("stuck-axis", "stuck-axis", "error", _CHEST, "a broken axis, as in wearables of every make"),
        ("identical-axes", "identical-axes", "error", _CHEST, "a triad read with one column twice"),
        ("all-zero", "all-zero", "error", "#ankle/accelerometer", "PRIMUS and IMU2CLIP put zeros for what is missing"),
        ("degrees", "gyroscope-in-degrees", "error", "#hand/gyroscope", "vendors' exports in °/s"),
        ("in-g", "accelerometer-in-g", "error", "#hand/accelerometer", "vendors' exports in g"),
        ("long-gap", "gaps", "warning", "#hand/accelerometer", "wireless loss, PAMAP2 readme"),
        ("backwards", "non-monotonic-stamps", "warning", "#hand/accelerometer", "a clock set back"),
        ("unknown-activity", "unknown-activity", "warning", "", "an annotation slip"),
    ),
    "realworld": (
        ("missing-column", "unreadable-file", "error", _CHEST, "an export of another version of the app"),
        ("empty-csv", "unreadable-file", "error", _CHEST, "a phone that recorded nothing"),
        ("escaping-zip", _UNREADABLE, "error", "", "zip slip, CVE-2018-1002200 and its like"),
        ("zip-bomb", _UNREADABLE, "error", "", "42.zip and its like"),
        ("truncated-zip", _UNREADABLE, "error", "", "a download that ended early"),
        ("missing-gyr", "missing-sensor", "warning", "", "archives of REALWORLD without a gyroscope"),
        ("duplicate-stamps", "duplicate-stamps", "warning", _CHEST, "Android's batches of samples"),
        ("wrong-rate", "rate-off-claim", "warning", _CHEST, "phones that give half of the rate asked for"),
    ),
    "ego4d": (
        ("ego4d-cut-video", "video-cut", "warning", "#ego", "a download that ended early"),
        ("ego4d-headless-video", "unreadable-file", "error", "#ego", "a download that ended early"),
        ("ego4d-empty-video", "unreadable-file", "error", "#ego", "a transcoder that failed"),
        ("ego4d-bad-imu-row", "unreadable-file", "error", "#head", "a file written by two at once"),
        ("ego4d-missing-imu", "imu-absent", "warning", "", "has_imu without a file, Ego4D's metadata"),
        ("ego4d-bad-json", _UNREADABLE, "error", "", "metadata edited by hand"),
    ),
    "egoexo4d": (
        ("egoexo4d-mocap-z-constant", "mocap-constant-axis", "error", "#mocap", _AURA),
        ("egoexo4d-all-zero-imu", "all-zero", "error", "#head-left/accelerometer", _IMU2CLIP),
        ("egoexo4d-truncated-vrs", "vrs-cut", "warning", "#head", "glasses that ran out of power"),
        ("egoexo4d-no-imu-vrs", "unreadable-file", "error", "#head", "the rendition of a take without IMU"),
        ("egoexo4d-cut-video", "video-cut", "warning", "", "a download that ended early"),
        ("egoexo4d-empty-video", "unreadable-file", "error", "", "a transcoder that failed"),
        ("egoexo4d-escaping-path", _UNREADABLE, "error", "", "metadata of somebody else"),
        ("egoexo4d-wrong-type", _UNREADABLE, "error", "", "metadata edited by hand"),
    ),
}  # fmt: skip

_PUBLISHED = {"egoexo4d-mocap-z-constant": 2, "egoexo4d-all-zero-imu": 1}

RAW_FAULTS: tuple[Fault, ...] = tuple(
    Fault(
        name,
        dataset,
        "raw",
        IN_FILES[name].partition(": ")[2],
        rule,
        severity,
        source,
        on,
        _PUBLISHED.get(name, 0),
    )
    for dataset, rows in _ROWS.items()
    for name, rule, severity, on, source in rows
)
