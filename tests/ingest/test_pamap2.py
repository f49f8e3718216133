from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from sensorloom.align.classes import PAMAP2_CLASSES
from sensorloom.ingest.errors import ArchiveError, RawFileError
from sensorloom.ingest.reader import Reader
from sensorloom.ingest.readers.pamap2 import ACTIVITIES, Pamap2Reader
from sensorloom.ingest.take import Take
from tests.ingest.raw_text import bomb_bytes, pamap2_rows, pamap2_text, write, zip_bytes
from tests.ingest.reader_contract import ReaderContract

RUNS = [(0, 100), (1, 600), (0, 50), (4, 700), (24, 255), (0, 30)]
FIRST_REAL_ROW = (
    "8.38 0 104 30 2.37223 8.60074 3.51048 2.43954 8.76165 3.35465 -0.0922174 0.0568115 -0.0158445 14.6806 -69.2128"
    " -5.58905 1 0 0 0 31.8125 0.23808 9.80003 -1.68896 0.265304 9.81549 -1.41344 -0.00506495 -0.00678097 -0.00566295"
    " 0.47196 -51.0499 43.2903 1 0 0 0 30.3125 9.65918 -1.65569 -0.0997967 9.64689 -1.55576 0.310404 0.00830026"
    " 0.00925038 -0.0175803 -61.1888 -38.9599 -58.1438 1 0 0 0\n"
)


def read_one(text: str, tmp_path: Path, subject: str = "101") -> Take:
    write(tmp_path / "raw" / "Protocol" / f"subject{subject}.dat", text)
    (source,) = Pamap2Reader().index(tmp_path / "raw")
    return Pamap2Reader().read(tmp_path / "raw", source)


class TestContract(ReaderContract):
    @pytest.fixture
    def reader(self) -> Reader:
        return Pamap2Reader()

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        folder = tmp_path / "PAMAP2_Dataset"
        write(folder / "Protocol" / "subject101.dat", pamap2_text(pamap2_rows(RUNS)))
        write(folder / "Protocol" / "subject108.dat", pamap2_text(pamap2_rows(RUNS, seed=1)))
        write(folder / "Optional" / "subject101.dat", pamap2_text(pamap2_rows([(9, 900)], seed=2)))
        write(folder / "readme.pdf", "not read")
        return tmp_path


def test_the_real_first_row_is_read_exactly(tmp_path: Path) -> None:
    take = read_one(FIRST_REAL_ROW * 2, tmp_path)
    streams = {stream.name: stream for stream in take.streams}
    assert set(streams) == {
        f"{position}/{kind}"
        for position in ("hand", "chest", "ankle")
        for kind in ("accelerometer", "gyroscope")
    } | {"chest/heart_rate"}
    expected = {
        "hand/accelerometer": (2.37223, 8.60074, 3.51048),
        "hand/gyroscope": (-0.0922174, 0.0568115, -0.0158445),
        "chest/accelerometer": (0.23808, 9.80003, -1.68896),
        "chest/gyroscope": (-0.00506495, -0.00678097, -0.00566295),
        "ankle/accelerometer": (9.65918, -1.65569, -0.0997967),
        "ankle/gyroscope": (0.00830026, 0.00925038, -0.0175803),
        "chest/heart_rate": (104,),
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(streams[name].values[0], np.float32(values), err_msg=name)
        assert streams[name].times_ns[0] == 8_380_000_000


def test_stamps_are_exact_where_binary_fractions_are_not(tmp_path: Path) -> None:
    rows = pamap2_rows([(1, 3000)], start_s=4450.07)
    take = read_one(pamap2_text(rows), tmp_path)
    assert np.array_equal(take.streams[0].times_ns, 4_450_070_000_000 + np.arange(3000) * 10_000_000)


def test_activity_runs_become_labels_and_breaks(tmp_path: Path) -> None:
    take = read_one(pamap2_text(pamap2_rows(RUNS)), tmp_path)
    start = 8_380_000_000
    assert [(label.text, label.start_ns - start, label.stop_ns - start) for label in take.labels] == [
        ("lying", 1_000_000_000, 7_000_000_000),
        ("walking", 7_500_000_000, 14_500_000_000),
        ("rope jumping", 14_500_000_000, 17_050_000_000),
    ]
    assert [(part.start_ns - start, part.stop_ns - start) for part in take.breaks] == [
        (0, 1_000_000_000), (7_000_000_000, 7_500_000_000), (17_050_000_000, 17_350_000_000),
    ]  # fmt: skip
    rules = {finding.rule: finding for finding in take.findings}
    assert rules["activity-0"].numbers == {"count": 3, "total_s": pytest.approx(1.8)}
    assert rules["short-label"].numbers == {"count": 1, "shortest_s": pytest.approx(2.55)}


def test_its_words_are_those_of_the_views() -> None:
    assert tuple(ACTIVITIES.values()) == PAMAP2_CLASSES


def test_an_unknown_activity_is_told_and_kept(tmp_path: Path) -> None:
    take = read_one(pamap2_text(pamap2_rows([(1, 600), (14, 600)])), tmp_path)
    assert [label.text for label in take.labels] == ["lying", "activity 14"]
    (finding,) = [finding for finding in take.findings if finding.rule == "unknown-activity"]
    assert "activity ids 14 are not" in finding.sentence


def test_a_dropped_packet_is_missing_in_its_block_alone(tmp_path: Path) -> None:
    rows = pamap2_rows([(1, 600)])
    rows[100:120, 20:37] = np.nan
    take = read_one(pamap2_text(rows), tmp_path)
    for stream in take.streams:
        if stream.kind == "heart_rate":
            continue
        assert len(stream.times_ns) == 600
        assert np.isnan(stream.values).any(axis=1).sum() == (20 if stream.position == "chest" else 0)
    found = {(finding.target.partition("#")[2], finding.rule) for finding in take.findings}
    assert {("chest/accelerometer", "missing-samples"), ("chest/accelerometer", "gaps")} <= found


def test_heart_rate_keeps_only_its_own_rows(tmp_path: Path) -> None:
    take = read_one(pamap2_text(pamap2_rows([(1, 600)])), tmp_path)
    heart_rate = next(stream for stream in take.streams if stream.kind == "heart_rate")
    assert len(heart_rate.times_ns) == 55
    assert np.diff(heart_rate.times_ns)[0] == 110_000_000


def test_the_left_handed_participant_is_told(tmp_path: Path) -> None:
    take = read_one(pamap2_text(pamap2_rows([(1, 600)])), tmp_path, subject="108")
    assert take.facts["dominant_hand"] == "left"
    assert take.participant_id == "pamap2/108"
    assert "mirrored-axes" in {finding.rule for finding in take.findings}


@pytest.mark.parametrize(
    "layout", ["folder", "parent", "zip beside", "zip", "nested deflated", "nested stored", "part zips"]
)
def test_it_is_found_wherever_it_lies(layout: str, tmp_path: Path) -> None:
    text = pamap2_text(pamap2_rows([(1, 600)]))
    members = {f"PAMAP2_Dataset/{part}/subject105.dat": text for part in ("Protocol", "Optional")}
    packed = zip_bytes({**members, "__MACOSX/PAMAP2_Dataset/Protocol/._subject105.dat": b"junk"})
    root = tmp_path / "raw"
    if layout == "zip beside":
        write(root / "some name.zip", packed)
    elif layout == "zip":
        root = write(root / "pamap2+physical+activity+monitoring.zip", packed)
    elif layout.startswith("nested"):
        method = zipfile.ZIP_STORED if layout.endswith("stored") else zipfile.ZIP_DEFLATED
        root = write(root / "outer.zip", zip_bytes({"PAMAP2_Dataset.zip": packed, "readme.pdf": "x"}, method))
    elif layout == "part zips":
        write(root / "Protocol.zip", zip_bytes({"subject105.dat": text}))
        write(root / "Optional.zip", zip_bytes({"subject105.dat": text}))
    else:
        for name, content in members.items():
            write(root / name, content)
        root = root / "PAMAP2_Dataset" if layout == "folder" else root
    reader = Pamap2Reader()
    sources = reader.index(root)
    assert [source.take_id for source in sources] == [
        "pamap2/optional/subject105",
        "pamap2/protocol/subject105",
    ]
    assert [source.num_bytes for source in sources] == [len(text)] * 2
    assert all(len(reader.read(root, source).streams) == 7 for source in sources)


def test_copies_of_a_file_make_one_take(tmp_path: Path) -> None:
    text = pamap2_text(pamap2_rows([(1, 600)]))
    write(tmp_path / "PAMAP2_Dataset" / "Protocol" / "subject101.dat", text)
    write(tmp_path / "PAMAP2_Dataset.zip", zip_bytes({"PAMAP2_Dataset/Protocol/subject101.dat": text}))
    (source,) = Pamap2Reader().index(tmp_path)
    take = Pamap2Reader().read(tmp_path, source)
    (finding,) = [finding for finding in take.findings if finding.rule == "duplicate-file"]
    assert finding.severity == "note"
    assert finding.sentence.startswith("PAMAP2_Dataset/Protocol/subject101.dat is read")


def lines(count: int = 50) -> list[str]:
    return pamap2_text(pamap2_rows([(1, count)])).splitlines(keepends=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "".join(lines())[:-150],
            r"Protocol/subject101\.dat: line 50: found \d+ columns, expected 54, and the file .* is cut",
        ),
        ("".join([*lines(30), "8.9 1 NaN 3\n", *lines(3)]), r"subject101\.dat: line 31: found 4 columns, expected 54$"),
        ("".join([*lines(30), lines()[0][:-1] + " 7\n", *lines(3)]), r"line 31: found 55 columns, expected 54$"),
        ("".join(lines(9)) + "\n" + "".join(lines(3)), r"line 10: is blank, expected 54 columns"),
        (
            "".join(lines(9)) + lines()[0].replace("104", "1o4", 1),
            r"line 10: column 3 \(heart_rate\): found '1o4', expected a number or NaN",
        ),
        (
            "".join(lines(9)) + lines()[0].replace("8.38", "NaN", 1),
            r"line 10: column 1 \(time\): found 'NaN', expected a number",
        ),
        ("".join(lines(9)) + lines()[0].replace("8.38", "1e12", 1), r"line 10: time stamp 1e\+12 s lies beyond"),
        (
            "".join(lines(9)) + lines()[0].replace(" 1 104", " 1.5 104", 1),
            r"line 10: column 2 \(activity\): found '1.5', expected an integer",
        ),
        (
            "".join(lines(9)) + lines()[0].replace("104", "1e39", 1),
            r"column 3 \(heart_rate\): found '1e39', beyond the range of float32",
        ),
        (
            "".join(lines(9)) + lines()[0].replace("104", "-inf", 1),
            r"column 3 \(heart_rate\): found '-inf', expected a number or NaN",
        ),
        ("", r"subject101\.dat: is empty; download it again"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_named_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RawFileError, match=message):
        read_one(text, tmp_path)


def test_a_bad_file_leaves_the_other_takes_alone(tmp_path: Path) -> None:
    write(tmp_path / "Protocol" / "subject101.dat", "".join(lines())[:-150])
    write(tmp_path / "Protocol" / "subject102.dat", "".join(lines(600)))
    (tmp_path / "Protocol" / "subject103.dat").mkdir()
    (tmp_path / "Protocol" / "subject104.dat").symlink_to(tmp_path / "gone")
    reader = Pamap2Reader()
    sources = {source.take_id[-3:]: source for source in reader.index(tmp_path)}
    assert len(reader.read(tmp_path, sources["102"]).streams) == 7
    with pytest.raises(RawFileError, match="line 50"):
        reader.read(tmp_path, sources["101"])
    with pytest.raises(RawFileError, match=r"Protocol/subject103\.dat: cannot be read: Is a directory"):
        reader.read(tmp_path, sources["103"])
    with pytest.raises(RawFileError, match=r"Protocol/subject104\.dat: cannot be read: No such file"):
        reader.read(tmp_path, sources["104"])


def test_a_bomb_is_refused_and_the_sound_member_beside_it_read(tmp_path: Path) -> None:
    write(tmp_path / "Protocol.zip", bomb_bytes("subject101.dat"))
    write(tmp_path / "Optional.zip", zip_bytes({"subject101.dat": "".join(lines(600))}))
    reader = Pamap2Reader()
    sound, bomb = reader.index(tmp_path)
    assert reader.read(tmp_path, sound).take_id == "pamap2/optional/subject101"
    with pytest.raises(
        ArchiveError, match=r"Protocol\.zip!subject101\.dat: \d+ bytes unpack to 104857601, more than 200"
    ):
        reader.read(tmp_path, bomb)


def test_a_lone_broken_archive_is_named(tmp_path: Path) -> None:
    write(tmp_path / "PAMAP2_Dataset.zip", zip_bytes({"Protocol/subject101.dat": "x"})[:-30])
    with pytest.raises(ArchiveError, match=r"PAMAP2_Dataset\.zip: is not a sound zip archive"):
        Pamap2Reader().index(tmp_path)


def test_a_broken_archive_beside_sound_files_fails_alone(tmp_path: Path) -> None:
    write(tmp_path / "Protocol" / "subject102.dat", "".join(lines(600)))
    write(tmp_path / "Optional.zip", zip_bytes({"../subject101.dat": "x"}))
    reader = Pamap2Reader()
    broken, sound = reader.index(tmp_path)
    assert reader.read(tmp_path, sound).take_id == "pamap2/protocol/subject102"
    with pytest.raises(
        ArchiveError, match=r"Optional\.zip: member '\.\./subject101\.dat' is unsafe: .* climbs out"
    ):
        reader.read(tmp_path, broken)


def test_a_file_longer_than_one_piece_is_read_whole(tmp_path: Path) -> None:
    rows = np.tile(pamap2_rows([(1, 2000)]), (6, 1))
    rows[:, 0] = 8.38 + np.arange(len(rows)) / 100
    text = pamap2_text(rows)
    assert len(text) > 4 << 20
    take = read_one(text, tmp_path)
    np.testing.assert_allclose(take.streams[0].values, rows[:, 4:7], rtol=1e-5)
    broken = text.splitlines(keepends=True)
    broken[11_000] = "1 2 3\n"
    with pytest.raises(RawFileError, match="line 11001: found 3 columns"):
        read_one("".join(broken), tmp_path)
