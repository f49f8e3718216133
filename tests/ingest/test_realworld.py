from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.align.classes import REALWORLD_CLASSES
from sensorloom.ingest.errors import ArchiveError, LayoutError, RawFileError
from sensorloom.ingest.reader import Reader
from sensorloom.ingest.readers.realworld import ACTIVITIES, POSITIONS, RealworldReader
from sensorloom.ingest.readers.realworld_names import RawName, parse_name
from sensorloom.ingest.take import Finding, Take
from tests.ingest.raw_text import bomb_bytes, realworld_csv, write, zip_bytes
from tests.ingest.reader_contract import ReaderContract


def sensor_zip(sensor: str, activity: str, positions: Iterable[str] = POSITIONS, part: str = "") -> bytes:
    gravity = 9.81 if sensor == "acc" else 0.0
    token = "acc" if sensor == "acc" else "Gyroscope"
    members = {
        f"{token}_{activity}{part}_{position}.csv": realworld_csv(gravity=gravity, seed=seed)
        for seed, position in enumerate(positions)
    }
    return zip_bytes(
        {**members, "readme.txt": "frequency: 50 Hz", f"__MACOSX/._{token}_{activity}_chest.csv": "junk"}
    )


def write_pair(folder: Path, activity: str, positions: Iterable[str] = POSITIONS, part: str = "") -> None:
    for sensor in ("acc", "gyr"):
        write(folder / f"{sensor}_{activity}_csv.zip", sensor_zip(sensor, activity, positions, part))


def write_nested_pair(folder: Path, activity: str) -> None:
    """Zips in zips with the download's asymmetry: acc numbers its first part, gyr does not; CSVs of part 1 never do."""
    for sensor, first in (("acc", "_1"), ("gyr", "")):
        inner = {
            f"{sensor}_{activity}{part}_csv.zip": sensor_zip(sensor, activity, ["chest", "head"], token)
            for part, token in ((first, ""), ("_2", "_2"), ("_3", "_3"))
        }
        write(folder / f"{sensor}_{activity}_csv.zip", zip_bytes(inner, zipfile.ZIP_STORED))


def read_all(root: Path) -> dict[str, Take]:
    reader = RealworldReader()
    return {source.take_id: reader.read(root, source) for source in reader.index(root)}


def rules(take: Take) -> dict[str, Finding]:
    return {finding.rule: finding for finding in take.findings}


class TestContract(ReaderContract):
    @pytest.fixture
    def reader(self) -> Reader:
        return RealworldReader()

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        folder = tmp_path / "realworld2016_dataset"
        write_pair(folder / "proband1" / "data", "walking")
        write_pair(folder / "proband10", "jumping")
        write_nested_pair(folder / "proband4" / "data", "climbingup")
        write(folder / "proband1" / "data" / "mag_walking_csv.zip", b"not even a zip")
        write(folder / "proband1" / "data" / "acc_walking_sqlite.zip", b"not even a zip")
        return tmp_path


def test_the_real_recording_zipped_as_shipped(real_data: Path, tmp_path: Path) -> None:
    for sensor, name in (("acc", "acc_walking_shin.csv"), ("gyr", "Gyroscope_walking_shin.csv")):
        content = (real_data / "realworld" / name).read_bytes()
        packed = zip_bytes({name: content, "readme.txt": f"{name}\nfrequency: 50 Hz"})
        write(tmp_path / "proband1" / "data" / f"{sensor}_walking_csv.zip", packed)
    take = read_all(tmp_path)["realworld/proband1/walking"]
    acc, gyr = take.streams
    assert (acc.name, acc.values.shape, gyr.name, gyr.values.shape) == (
        "shin/accelerometer", (31947, 3), "shin/gyroscope", (31946, 3),
    )  # fmt: skip
    assert acc.times_ns[0] == 1435993159412 * 1_000_000
    np.testing.assert_array_equal(acc.values[0], np.float32([-0.80325466, 9.996989, -1.4407109]))
    assert (acc.times_ns[-1] - acc.times_ns[0]) / 1e9 == pytest.approx(639.6, abs=0.1)
    assert acc.clock == gyr.clock == "realworld/proband1/shin/epoch"
    found = {
        finding.rule: finding.numbers
        for finding in take.findings
        if finding.target.endswith("#shin/accelerometer")
    }
    assert set(found) == {"gaps", "jitter", "stall-and-burst", "saturation"}
    assert found["gaps"]["count"] == 48
    assert found["gaps"]["longest_gap_ms"] == 1531
    assert found["stall-and-burst"]["count"] == 44
    assert found["saturation"]["limit_m_s2"] == pytest.approx(19.61, abs=0.005)
    assert rules(take)["missing-position"].numbers == {"count": 6}
    (label,) = take.labels
    assert (label.text, label.start_ns) == ("walking", min(acc.times_ns[0], gyr.times_ns[0]))


def test_parts_are_takes_of_their_own(tmp_path: Path) -> None:
    write_nested_pair(tmp_path / "proband4" / "data", "climbingup")
    takes = read_all(tmp_path)
    assert sorted(takes) == [f"realworld/proband4/climbingup{part}" for part in ("", "/2", "/3")]
    for take in takes.values():
        assert [stream.name for stream in take.streams] == [
            f"{position}/{kind}" for position in ("chest", "head") for kind in ("accelerometer", "gyroscope")
        ]
        assert take.capture_id == "realworld/proband4/climbingup"
        assert "missing-sensor" not in rules(take)


@pytest.mark.parametrize(
    ("zip_part", "csv_part", "take_id"),
    [
        ("", "", "realworld/proband4/lying"),
        ("_1", "", "realworld/proband4/lying"),
        ("", "_1", "realworld/proband4/lying/1"),
        ("_2", "", "realworld/proband4/lying/2"),
        ("", "_2", "realworld/proband4/lying/2"),
    ],
)
@pytest.mark.parametrize("with_others", [False, True])
def test_an_id_does_not_depend_on_what_else_is_there(
    zip_part: str, csv_part: str, take_id: str, with_others: bool, tmp_path: Path
) -> None:
    data = tmp_path / "proband4" / "data"
    write(data / f"acc_lying{zip_part}_csv.zip", sensor_zip("acc", "lying", ["chest"], csv_part))
    if with_others:
        write(data / "acc_lying_3_csv.zip", sensor_zip("acc", "lying", ["chest"], "_3"))
    others = ["realworld/proband4/lying/3"] if with_others else []
    assert list(read_all(tmp_path)) == [take_id, *others]


def test_a_lone_second_part_keeps_its_number(tmp_path: Path) -> None:
    write_pair(tmp_path / "proband6" / "data", "sitting", part="_2")
    assert list(read_all(tmp_path)) == ["realworld/proband6/sitting/2"]


@pytest.mark.parametrize(
    "layout", ["root", "outer zip", "zip beside", "proband", "extracted", "flat", "no data folder"]
)
def test_it_is_found_wherever_it_lies(layout: str, tmp_path: Path) -> None:
    data = tmp_path / "realworld2016_dataset" / "proband3" / "data"
    root = tmp_path
    if layout in ("extracted", "flat"):
        for token, folder in (("acc", "acc_lying_csv"), ("Gyroscope", "gyr_lying_csv")):
            inner = data / folder if layout == "extracted" else data
            for position in POSITIONS:
                write(inner / f"{token}_lying_{position}.csv", realworld_csv(gravity=9.81 * (token == "acc")))
    elif layout in ("outer zip", "zip beside"):
        members = {
            f"realworld2016_dataset/proband3/data/{sensor}_lying_csv.zip": sensor_zip(sensor, "lying")
            for sensor in ("acc", "gyr")
        }
        outer = write(tmp_path / "realworld2016_dataset.zip", zip_bytes(members))
        root = outer if layout == "outer zip" else tmp_path
    else:
        write_pair(data.parent if layout == "no data folder" else data, "lying")
        root = data.parent if layout == "proband" else tmp_path / "realworld2016_dataset"
    (take,) = read_all(root).values()
    assert take.take_id == "realworld/proband3/lying"
    assert len(take.streams) == 14
    assert take.findings == ()


def test_a_missing_position_and_a_missing_sensor_are_told(tmp_path: Path) -> None:
    write(tmp_path / "proband2" / "acc_jumping_csv.zip", sensor_zip("acc", "jumping", ["chest", "thigh"]))
    write(tmp_path / "proband2" / "gyr_jumping_csv.zip", sensor_zip("gyr", "jumping", ["chest"]))
    take = read_all(tmp_path)["realworld/proband2/jumping"]
    assert len(take.streams) == 3
    assert rules(take)["missing-sensor"].target == "realworld/proband2/jumping#thigh/gyroscope"
    assert rules(take)["missing-position"].sentence.endswith("forearm, head, shin, upperarm, waist")


def test_copies_in_zip_and_folder_are_read_once(tmp_path: Path) -> None:
    data = tmp_path / "proband1" / "data"
    write(data / "acc_walking_1_csv.zip", sensor_zip("acc", "walking", ["chest"]))
    write(data / "acc_walking_csv" / "acc_walking_chest.csv", realworld_csv(200))
    (take,) = read_all(tmp_path).values()
    (stream,) = take.streams
    assert len(stream.times_ns) == 200
    assert rules(take)["duplicate-file"].severity == "note"
    assert (
        "proband1/data/acc_walking_csv/acc_walking_chest.csv, not" in rules(take)["duplicate-file"].sentence
    )


def test_unknown_words_are_told_and_kept(tmp_path: Path) -> None:
    write(tmp_path / "proband1" / "acc_swimming_ankle.csv", realworld_csv())
    (take,) = read_all(tmp_path).values()
    assert (take.take_id, take.streams[0].position) == ("realworld/proband1/swimming", "ankle")
    assert "ankle, swimming" in rules(take)["unknown-name"].sentence


def test_ids_that_jump_are_told(tmp_path: Path) -> None:
    text = realworld_csv(300).replace("\n250,", "\n251,", 1)
    write(tmp_path / "proband1" / "acc_walking_chest.csv", text)
    (take,) = read_all(tmp_path).values()
    assert rules(take)["id-not-consecutive"].numbers == {"count": 2, "first_line": 251}


def test_columns_may_come_in_another_order_with_others_between(tmp_path: Path) -> None:
    text = "\ufeffattr_z,attr_time,note,attr_x,id,attr_y\r\n" + "".join(
        f"3,{1000 + 20 * row},ä,1,{row},2\r\n" for row in range(1, 4)
    )
    write(tmp_path / "proband1" / "acc_walking_chest.csv", text)
    (take,) = read_all(tmp_path).values()
    np.testing.assert_array_equal(take.streams[0].values, np.tile(np.float32([1, 2, 3]), (3, 1)))
    np.testing.assert_array_equal(take.streams[0].times_ns, np.array([1020, 1040, 1060]) * 1_000_000)


HEADER = "id,attr_time,attr_x,attr_y,attr_z\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "id,attr_time,attr_x,attr_z\n1,2,3,4\n",
            r"chest\.csv: the header lacks column 'attr_y'; it has 'id', 'attr_time', 'attr_x', 'attr_z'",
        ),
        ("id,attr_time,attr_x,attr_y,attr_z,attr_x\n1,2,3,4,5,6\n", r"the header repeats column 'attr_x'"),
        ("", r"acc_walking_chest\.csv: is empty; download it again"),
        (HEADER, r"has a header and no rows; download it again"),
        (
            HEADER + "1,2,3,4,5\n2,3,4",
            r"line 3: found 3 columns, expected 5, and the file .* is cut",
        ),
        (HEADER + "1,2,3,4,5\n2,3,,4,5\n", r"line 3: column 3 \(attr_x\): found '', expected a number or NaN"),
        (HEADER + "1,2,3,4,5\n2,3.5,4,4,5\n", r"line 3: column 2 \(attr_time\): found '3.5', expected an integer"),
        (HEADER + "1,2,3,4,5\n2,99999999999999,4,4,5\n", r"line 3: attr_time 99999999999999 ms lies beyond"),
        (
            HEADER + "1,2,3,4,5\n2,-9223372036854775808,4,4,5\n",
            r"line 3: attr_time -9223372036854775808 ms lies beyond",
        ),
        (HEADER.encode() + b"1,2,3,4,5\n2,3,\xff\xfe,4,5\n", r"line 3: is not UTF-8 text: byte 0xff at place 4"),
        ("id,attr_time\n".encode("utf-16"), r"line 1 is not UTF-8 text"),
        (b"\0" * (5 << 20), r"the header lacks column 'id'"),
        (HEADER + "7" * (5 << 20), r"no line ends within \d+ bytes after line 2; this is not a text table"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_an_error_of_its_stream_alone(
    content: str | bytes, message: str, tmp_path: Path
) -> None:
    write(tmp_path / "proband1" / "acc_walking_chest.csv", content)
    with pytest.raises(RawFileError, match=message):
        read_all(tmp_path)
    write(tmp_path / "proband1" / "Gyroscope_walking_chest.csv", realworld_csv(gravity=0))
    (take,) = read_all(tmp_path).values()
    assert [stream.name for stream in take.streams] == ["chest/gyroscope"]
    finding = rules(take)["unreadable-file"]
    assert (finding.severity, finding.target) == ("error", "realworld/proband1/walking#chest/accelerometer")
    assert "proband1/acc_walking_chest.csv" in finding.sentence


def test_a_file_that_cannot_be_opened_is_an_error_of_its_stream(tmp_path: Path) -> None:
    write(tmp_path / "proband1" / "acc_walking_chest.csv", realworld_csv())
    (tmp_path / "proband1" / "acc_walking_head.csv").mkdir()
    (tmp_path / "proband1" / "acc_walking_shin.csv").symlink_to("gone")
    (take,) = read_all(tmp_path).values()
    sentences = [finding.sentence for finding in take.findings if finding.rule == "unreadable-file"]
    assert sentences == [
        "proband1/acc_walking_head.csv: cannot be read: Is a directory",
        "proband1/acc_walking_shin.csv: cannot be read: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            lambda: zip_bytes({"../acc_lying_chest.csv": realworld_csv()}),
            r"proband2/acc_lying_csv\.zip: member '\.\./acc_lying_chest\.csv' is unsafe",
        ),
        (
            lambda: bomb_bytes("acc_lying_chest.csv"),
            r"acc_lying_csv\.zip!acc_lying_chest\.csv: \d+ bytes unpack to 104857601",
        ),
        (lambda: sensor_zip("acc", "lying")[:-100], r"proband2/acc_lying_csv\.zip: is not a sound zip archive"),
        (bytes, r"proband2/acc_lying_csv\.zip: is not a sound zip archive"),
    ],
    ids=["escape", "bomb", "truncated", "empty"],
)  # fmt: skip
@pytest.mark.parametrize("with_gyroscope", [True, False])
def test_a_bad_archive_fails_its_take_alone(
    content: Callable[[], bytes], message: str, with_gyroscope: bool, tmp_path: Path
) -> None:
    write_pair(tmp_path / "proband1", "lying")
    write(tmp_path / "proband2" / "acc_lying_csv.zip", content())
    if with_gyroscope:
        write(tmp_path / "proband2" / "gyr_lying_csv.zip", sensor_zip("gyr", "lying"))
    reader = RealworldReader()
    sound, bad = reader.index(tmp_path)
    assert (sound.take_id, bad.take_id) == ("realworld/proband1/lying", "realworld/proband2/lying")
    assert len(reader.read(tmp_path, sound).streams) == 14
    with pytest.raises(ArchiveError, match=message):
        reader.read(tmp_path, bad)


@pytest.mark.parametrize("with_gyroscope", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_a_sensor_zip_without_a_csv_fails_its_take_alone(
    nested: bool, with_gyroscope: bool, tmp_path: Path
) -> None:
    write_pair(tmp_path / "proband1", "lying")
    empty = zip_bytes({"readme.txt": "frequency: 50 Hz", "acc_lying_chest.txt": realworld_csv()})
    packed = zip_bytes({"acc_lying_1_csv.zip": empty}) if nested else empty
    write(tmp_path / "proband2" / "acc_lying_csv.zip", packed)
    write(tmp_path / "proband2" / "photos.zip", empty)
    if with_gyroscope:
        write(tmp_path / "proband2" / "gyr_lying_csv.zip", sensor_zip("gyr", "lying"))
    reader = RealworldReader()
    sound, bad = reader.index(tmp_path)
    assert (sound.take_id, bad.take_id) == ("realworld/proband1/lying", "realworld/proband2/lying")
    assert len(reader.read(tmp_path, sound).streams) == 14
    with pytest.raises(RawFileError, match=r"proband2/acc_lying_csv\.zip: holds no CSV named as a sensor's"):
        reader.read(tmp_path, bad)


def test_an_archive_that_tells_no_take_fails_under_its_own_name(tmp_path: Path) -> None:
    write_pair(tmp_path / "proband1", "lying")
    write(tmp_path / "proband2.zip", b"PK")
    reader = RealworldReader()
    _, bad = reader.index(tmp_path)
    assert bad.take_id == "realworld/proband2.zip"
    with pytest.raises(ArchiveError, match=r"proband2\.zip: is not a sound zip archive"):
        reader.read(tmp_path, bad)


def test_a_lone_broken_archive_is_named(tmp_path: Path) -> None:
    root = write(tmp_path / "realworld2016_dataset.zip", b"PK")
    with pytest.raises(ArchiveError, match=r"realworld2016_dataset\.zip: is not a sound zip archive"):
        RealworldReader().index(root)


def test_an_archive_mended_since_it_was_listed_asks_for_another_run(tmp_path: Path) -> None:
    write_pair(tmp_path / "proband1", "lying")
    bad = write(tmp_path / "proband1" / "acc_walking_csv.zip", b"PK")
    reader = RealworldReader()
    source = reader.index(tmp_path)[1]
    bad.write_bytes(sensor_zip("acc", "walking"))
    with pytest.raises(RawFileError, match="could not be listed before and now can; run again"):
        reader.read(tmp_path, source)


def test_its_words_are_those_of_the_views() -> None:
    assert ACTIVITIES == REALWORLD_CLASSES


WORD = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
PARTS = st.none() | st.integers(0, 99)
TOKENS = st.sampled_from([("acc", "accelerometer"), ("Gyroscope", "gyroscope"), ("gyr", "gyroscope")])


@given(st.integers(1, 999), WORD, PARTS, WORD, TOKENS)
def test_a_name_read_from_both_ends_gives_back_what_it_was_made_of(
    proband: int, activity: str, part: int | None, position: str, token: tuple[str, str]
) -> None:
    number = "" if part is None else f"_{part}"
    uri = f"set.zip!proband{proband}/data/{token[0]}_x_csv.zip!{token[0]}_{activity}{number}_{position}.csv"
    name = parse_name(uri, "raw")
    assert name == RawName(proband, activity, part, position, token[1])  # type: ignore[arg-type]


@given(st.text(max_size=60))
def test_any_address_is_a_name_or_none(uri: str) -> None:
    assert parse_name(uri, "proband1") is None or uri.lower().endswith(".csv")


@pytest.mark.parametrize(
    ("container", "csv", "part"),
    [
        ("acc_climbingup_1_csv.zip", "acc_climbingup_chest.csv", None),
        ("acc_climbingup_1_csv.zip", "acc_climbingup_1_chest.csv", 1),
        ("gyr_climbingup_csv.zip", "Gyroscope_climbingup_chest.csv", None),
        ("gyr_climbingup_2_csv.zip", "Gyroscope_climbingup_2_chest.csv", 2),
        ("acc_walking_csv.zip", "acc_walking_2_chest.csv", 2),
        ("acc_climbingup_3_csv", "acc_climbingup_chest.csv", 3),
    ],
)
def test_the_part_stands_in_the_file_or_its_container(container: str, csv: str, part: int | None) -> None:
    name = parse_name(f"proband4/data/{container}!{csv}", "raw")
    assert name is not None
    assert name.part == part


def test_a_folder_whose_name_is_no_text_is_refused(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9") / "proband1"
    folder.mkdir(parents=True)
    (folder / "acc_walking_chest.csv").write_text("")
    with pytest.raises(LayoutError, match=r"'caf\\udce9/.*is not UTF-8 text; rename"):
        RealworldReader().index(tmp_path)
