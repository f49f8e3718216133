"""The generated REALWORLD tree against the documented layout and quirks, read with plain zipfile and polars."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import polars as pl
import pytest

from sensorloom.ingest.miniature import SampleSpec, write_sample
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.stalls import delays_ns, plan_stalls, stamps_ms

ALL = ("chest", "forearm", "head", "shin", "thigh", "upperarm", "waist")
ACTIVITIES = ("climbingdown", "climbingup", "jumping", "lying", "running", "sitting", "standing", "walking")
HEADER = "id,attr_time,attr_x,attr_y,attr_z"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    out = tmp_path_factory.mktemp("realworld") / "s"
    takes = write_sample(out, SampleSpec(("realworld",), seed=1, minutes=0.3))["takes"]
    return out / "realworld" / "realworld2016_dataset", takes


def names(root, uri):
    with zipfile.ZipFile(root / uri) as archive:
        return archive.namelist()


def members(data):
    """All CSVs in a zip, inner zips included, by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            if name.endswith(".zip"):
                yield from members(archive.read(name))
            elif name.endswith(".csv") and not name.startswith("__MACOSX"):
                yield name, archive.read(name)


@pytest.fixture(scope="module")
def streams(sample):
    """Every CSV by (take id, stream name): its bytes and its table."""
    root, truth = sample
    found = {}
    for take_id, take in truth.items():
        number = [*take_id.split("/"), ""][3]
        for uri in take["files"]:
            for name, data in members((root.parent / uri).read_bytes()):
                sensor, _, *numbers, position = name.removesuffix(".csv").split("_")
                if (numbers or [""])[0] != number:
                    continue
                kind = {"acc": "accelerometer", "Gyroscope": "gyroscope"}[sensor]
                found[take_id, f"{position}/{kind}"] = (data, pl.read_csv(io.BytesIO(data)))
    return found


def test_the_tree_is_the_downloads(sample):
    root, _ = sample
    for proband in range(1, 7):
        present = {path.name for path in (root / f"proband{proband}" / "data").iterdir()}
        expected = {f"{sensor}_{activity}_csv.zip" for sensor in ("acc", "gyr") for activity in ACTIVITIES}
        assert present - expected == ({"mag_walking_csv.zip"} if proband == 1 else set())
        assert expected <= present


def test_a_flat_zip_holds_one_csv_a_position_and_a_readme(sample):
    root, _ = sample
    acc = names(root, "proband1/data/acc_running_csv.zip")
    assert acc == [f"acc_running_{position}.csv" for position in ALL] + ["readMe.txt"]
    gyr = names(root, "proband1/data/gyr_running_csv.zip")
    assert gyr == [f"Gyroscope_running_{position}.csv" for position in ALL] + ["readMe.txt"]
    mag = names(root, "proband1/data/mag_walking_csv.zip")
    assert mag == [f"MagneticField_walking_{position}.csv" for position in ALL] + ["readMe.txt"]
    with zipfile.ZipFile(root / "proband1/data/acc_running_csv.zip") as archive:
        readme = archive.read("readMe.txt").decode()
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert re.findall(r"^(acc_running_\w+\.csv)\n frequency: ([\d.]+) Hz$", readme, re.MULTILINE) == [
        (f"acc_running_{position}.csv", "50.0") for position in ALL
    ]


def test_a_mac_left_its_twin_once(sample):
    root, _ = sample
    assert "__MACOSX/._acc_walking_chest.csv" in names(root, "proband1/data/acc_walking_csv.zip")
    assert not any("__MACOSX" in name for name in names(root, "proband2/data/acc_walking_csv.zip"))


@pytest.mark.parametrize("activity", ["climbingup", "climbingdown"])
def test_proband_4_has_zips_in_zips_with_the_asymmetric_names(sample, activity):
    root, truth = sample
    acc, gyr = (root / f"proband4/data/{sensor}_{activity}_csv.zip" for sensor in ("acc", "gyr"))
    assert names(root, acc) == [f"acc_{activity}_{number}_csv.zip" for number in (1, 2, 3)]
    assert names(root, gyr) == [f"gyr_{activity}{number}_csv.zip" for number in ("", "_2", "_3")]
    with zipfile.ZipFile(acc) as outer:
        for inner, number in zip(outer.namelist(), ("", "_2", "_3"), strict=True):
            with zipfile.ZipFile(io.BytesIO(outer.read(inner))) as archive:
                assert archive.namelist()[0] == f"acc_{activity}{number}_chest.csv"
    parts = [f"realworld/proband4/{activity}{number}" for number in ("", "/2", "/3")]
    assert f"realworld/proband4/{activity}/1" not in truth
    starts = [truth[part]["start_ns"] for part in parts]
    assert starts == sorted(starts)


def test_a_flat_zip_whose_only_part_is_numbered_2(sample):
    root, truth = sample
    assert "acc_walking_2_chest.csv" in names(root, "proband4/data/acc_walking_csv.zip")
    assert "Gyroscope_sitting_2_head.csv" in names(root, "proband6/data/gyr_sitting_csv.zip")
    assert {"realworld/proband4/walking/2", "realworld/proband6/sitting/2"} <= truth.keys()
    assert not {"realworld/proband4/walking", "realworld/proband6/sitting"} & truth.keys()


def test_positions_and_the_missing_ones(sample):
    _, truth = sample
    assert {name.partition("/")[0] for name in truth["realworld/proband1/lying"]["streams"]} == set(ALL)
    climbing = truth["realworld/proband2/climbingup"]["streams"]
    assert "forearm/gyroscope" in climbing
    assert "forearm/accelerometer" not in climbing
    assert "forearm/accelerometer" in truth["realworld/proband2/climbingdown"]["streams"]
    assert not any(name.startswith("thigh") for name in truth["realworld/proband6/jumping"]["streams"])
    assert "thigh/gyroscope" in truth["realworld/proband6/lying"]["streams"]


def test_every_csv_is_in_the_style_of_the_real_one(streams):
    for data, frame in streams.values():
        text = data.decode("ascii")
        assert text.startswith(HEADER + "\n1,")
        assert "\r" not in text
        assert not text.endswith("\n")
        assert frame["id"].to_list() == list(range(1, frame.height + 1))
        assert frame["attr_time"].dtype == pl.Int64
        for line in text.splitlines()[1:40]:
            for cell in line.split(",")[2:]:
                assert re.fullmatch(r"-?\d+\.\d+", cell), cell
                assert np.float32(cell).astype(str) == cell, "shortest decimal of a float32"


def test_rows_stamps_and_saturation_are_as_told(sample, streams):
    _, truth = sample
    told = {
        (take_id, name): stream for take_id, take in truth.items() for name, stream in take["streams"].items()
    }
    assert told.keys() == streams.keys()
    for key, (_, frame) in streams.items():
        stamps = frame["attr_time"].to_numpy()
        values = frame.select("attr_x", "attr_y", "attr_z").to_numpy()
        assert told[key]["rows"] == frame.height
        assert told[key]["first_stamp_ms"] == stamps[0]
        assert told[key]["last_stamp_ms"] == stamps[-1]
        assert told[key]["gaps_over_100_ms"] == (np.diff(stamps) > 100).sum()
        assert (np.diff(stamps) >= 1).all()
        if key[1].endswith("accelerometer"):
            assert np.abs(values).max() <= 19.6133
            assert told[key]["saturated_values"] == (np.abs(values) == 19.6133).sum()
        else:
            assert np.abs(values).max() < 35
    clipped = sum(stream.get("saturated_values", 0) for stream in told.values())
    assert clipped > 1000


def test_streams_start_apart_and_differ_in_rows(sample):
    _, truth = sample
    for take_id, take in truth.items():
        streams = take["streams"]
        assert len({stream["first_stamp_ms"] for stream in streams.values()}) > len(streams) / 2, take_id
        for name, acc in streams.items():
            gyr = streams.get(name.replace("accelerometer", "gyroscope"))
            if name.endswith("accelerometer") and gyr:
                assert 0 <= gyr["first_stamp_ms"] - acc["first_stamp_ms"] < 2000
                assert 0 < acc["rows"] - gyr["rows"] <= 3


def test_stamps_are_true_times_plus_the_offset_and_never_early(sample, streams):
    _, truth = sample
    take_id = "realworld/proband1/walking"
    offsets = set()
    for name, told in truth[take_id]["streams"].items():
        stamps = streams[take_id, name][1]["attr_time"].to_numpy()
        period_ns = (told["true_stop_ns"] - told["true_start_ns"]) / told["rows"]
        true_ms = (told["true_start_ns"] + np.arange(told["rows"]) * period_ns) / 1e6
        late_ms = stamps - told["clock_offset_ms"] - true_ms
        assert late_ms.min() > -1.5
        assert np.median(late_ms) < 10
        assert abs(told["clock_offset_ms"]) <= 200
        offsets.add((name.partition("/")[0], told["clock_offset_ms"]))
        for stall in told["stalls"]:
            held = (true_ms * 1e6 >= stall["start_ns"]) & (true_ms * 1e6 < stall["stop_ns"])
            assert abs(int(held.sum()) - stall["samples"]) <= 1
            assert (stamps[held] - told["clock_offset_ms"] >= stall["stop_ns"] / 1e6 - 1.5).all()
    assert len(offsets) == len(ALL), "one clock for each device, shared by its sensors"
    again = {
        (name.partition("/")[0], told["clock_offset_ms"])
        for name, told in truth["realworld/proband1/lying"]["streams"].items()
    }
    assert again == offsets


def generated_steps_ms(seed: int) -> np.ndarray:
    rng = generator("timing", seed)
    ticks = np.arange(31_947, dtype=np.int64) * 20_020_000
    stalls = plan_stalls(rng, 0, 639.6)
    return np.diff(stamps_ms(stalls.release(ticks + delays_ns(rng, len(ticks)))))


# Quantiles of the real recording of proband 1 walking, shin, as documented; the widths are ours.
REAL_MS = {0.01: 1, 0.05: 1, 0.25: 18, 0.5: 20, 0.75: 21, 0.95: 28, 0.99: 63, 0.999: 111}
WIDTH_MS = {0.01: 0, 0.05: 0, 0.25: 1, 0.5: 1, 0.75: 1, 0.95: 2, 0.99: 5, 0.999: 9}


def check_stall_and_burst(steps_ms):
    for quantile, expected in REAL_MS.items():
        assert abs(np.quantile(steps_ms, quantile) - expected) <= WIDTH_MS[quantile], quantile
    assert abs(np.mean(steps_ms == 1) - 0.077) < 0.01
    assert abs(np.mean((steps_ms >= 18) & (steps_ms <= 22)) - 0.64) < 0.02
    assert 35 <= (steps_ms > 100).sum() <= 62
    assert 1200 < steps_ms.max() <= 1560
    for gap in np.flatnonzero(steps_ms > 800):
        burst = np.argmax(steps_ms[gap + 1 :] > 2)
        assert abs(burst - steps_ms[gap] / 20) < 8


@pytest.mark.parametrize("seed", range(4))
def test_generated_timing_stalls_and_bursts_like_the_real_one(seed):
    check_stall_and_burst(generated_steps_ms(seed))


def test_the_real_file_passes_the_same_check(real_data):
    path = real_data / "realworld" / "acc_walking_shin.csv"
    check_stall_and_burst(np.diff(pl.read_csv(path)["attr_time"].to_numpy()))


def test_a_few_takes_already_differ_in_proband_and_activity(tmp_path):
    takes = write_sample(tmp_path / "s", SampleSpec(("realworld",), takes=3, minutes=0.1))["takes"]
    assert {take_id.rpartition("/")[0] if take_id[-1].isdigit() else take_id for take_id in takes} == {
        "realworld/proband1/walking", "realworld/proband4/climbingup", "realworld/proband2/standing",
    }  # fmt: skip
