from __future__ import annotations

import inspect
import json
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.miniature.vrs import ImuRecords
from sensorloom.ingest.vrs import VrsFile, imu_labels, open_vrs, read_imu
from sensorloom.ingest.vrs_calibration import parse_calibration
from tests.ingest.aria_files import (
    HEADER_BYTES,
    RECORD_BYTES,
    calibration,
    first_data_record,
    first_record,
    imu,
    index_offset,
    pair,
    patched,
    recompressed,
    records,
    retagged,
    vrs_bytes,
)

REAL = {"everyday_activities_recording": (400, 319), "aria_unit_test_timecode_sequence_calib": (150, 121)}
LABELS = ("imu-right", "imu-left")
WHOLE = vrs_bytes()


@pytest.fixture(params=sorted(REAL))
def real_file(request: pytest.FixtureRequest, real_data: Path) -> Path:
    return real_data / "aria" / f"{request.param}.vrs"


def written(folder: Path, data: bytes) -> Path:
    path = folder / "a_noimagestreams.vrs"
    path.write_bytes(data)
    return path


def assert_holds(file: VrsFile, truth: ImuRecords, count: int | None = None) -> None:
    times_ns, values = file.read_imu(truth.label)
    np.testing.assert_array_equal(times_ns, truth.times_ns[:count])
    np.testing.assert_array_equal(values, truth.values[:count])


class TestRealFiles:
    @pytest.mark.parametrize("label", LABELS)
    def test_values_equal_those_of_projectaria_tools_bit_for_bit(self, real_file: Path, label: str) -> None:
        data_provider = pytest.importorskip(
            "projectaria_tools.core.data_provider", reason="projectaria-tools has no wheel for this Python"
        )
        provider = data_provider.create_vrs_data_provider(str(real_file))
        stream = provider.get_stream_id_from_label(label)
        told = [provider.get_imu_data_by_index(stream, row) for row in range(provider.get_num_data(stream))]
        model = provider.get_device_calibration().get_imu_calib(label)

        times_ns, raw = read_imu(real_file, label)
        np.testing.assert_array_equal(times_ns, [record.capture_timestamp_ns for record in told])
        expected = np.float64([[*record.accel_msec2, *record.gyro_radsec] for record in told])
        np.testing.assert_array_equal(raw.astype(np.float64), expected)

        # In float64 already, so that no rounding to float32 hides a difference.
        ours = parse_calibration(open_vrs(real_file).container.file_tags["calib_json"], label, "here")
        rectified = (ours.accelerometer.rectify(raw[:, :3]), ours.gyroscope.rectify(raw[:, 3:]))
        theirs = np.float64(
            [
                [
                    *model.raw_to_rectified_accel(record.accel_msec2),
                    *model.raw_to_rectified_gyro(record.gyro_radsec),
                ]
                for record in told
            ]
        )
        np.testing.assert_array_equal(np.concatenate(rectified, axis=1), theirs)
        np.testing.assert_array_equal(read_imu(real_file, label, calibrated=True)[1], np.float32(theirs))

    def test_records_equal_a_walk_through_the_bytes(self, real_file: Path) -> None:
        data = [(header, payload) for header, payload in records(real_file.read_bytes()) if header[2] == 1202]
        for instance, label in enumerate(LABELS, start=1):
            mine = [payload for header, payload in data if header[5] == instance and header[6] == 3]
            times_ns, values = read_imu(str(real_file), label)
            np.testing.assert_array_equal(times_ns, [struct.unpack_from("<q", one, 11)[0] for one in mine])
            np.testing.assert_array_equal(values, [struct.unpack_from("<6f", one, 43) for one in mine])

    def test_a_file_tells_its_device_and_its_imus(self, real_file: Path) -> None:
        file = open_vrs(real_file)
        assert [(one.label, one.stream_id, one.nominal_rate_hz) for one in file.imus] == [
            ("imu-right", "1202-1", 1000.0),
            ("imu-left", "1202-2", 800.0),
        ]
        assert tuple(one.num_records for one in file.imus) == REAL[real_file.stem]
        assert file.device.generation == "gen1"
        assert file.device.serial.startswith("1WM09")
        assert file.is_whole
        assert imu_labels(real_file) == LABELS

    def test_gravity_is_in_the_calibrated_values(self, real_data: Path) -> None:
        path = real_data / "aria" / "everyday_activities_recording.vrs"
        norms = [np.linalg.norm(read_imu(path, label, calibrated=True)[1][:, :3], axis=1) for label in LABELS]
        assert [round(float(norm.mean()), 2) for norm in norms] == [9.80, 9.84]

    @pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.99])
    def test_a_cut_file_gives_its_beginning_and_says_so(
        self, real_file: Path, tmp_path: Path, share: float
    ) -> None:
        data = real_file.read_bytes()
        whole = open_vrs(real_file)
        cut = open_vrs(written(tmp_path, data[: int(share * len(data))]))
        assert not cut.is_whole
        assert cut.has_index
        left = sum(len(records) for records in [cut.container.records.offsets])
        assert left + cut.num_lost == len(whole.container.records.offsets)
        for label, one in zip(LABELS, cut.imus, strict=True):
            for ours, theirs in zip(cut.read_imu(label), whole.read_imu(label), strict=True):
                np.testing.assert_array_equal(ours, theirs[: one.num_records])


class TestLabels:
    def test_the_two_generations_number_the_imus_the_other_way_round(self, tmp_path: Path) -> None:
        for generation, order in (("gen1", LABELS), ("gen2", LABELS[::-1])):
            truth = pair(generation)  # type: ignore[arg-type]
            file = open_vrs(written(tmp_path, vrs_bytes(truth, generation=generation)))  # type: ignore[arg-type]
            assert file.device.generation == generation
            assert tuple(one.label for one in file.imus) == order
            for one in truth:
                assert_holds(file, one)

    def test_without_a_calibration_the_device_type_tells_the_generation(self, tmp_path: Path) -> None:
        path = written(tmp_path, vrs_bytes(models={}))
        assert imu_labels(path) == LABELS
        with pytest.raises(RawFileError, match=r"a_noimage.*: no calib_json tag, so no factory calibration"):
            read_imu(path, "imu-left", calibrated=True)

    def test_an_unknown_device_has_streams_but_no_labels(self, tmp_path: Path) -> None:
        data = retagged(retagged(WHOLE, '"DeviceClass":"Aria"', '"DeviceClass":"Xria"'), "Aria", "Xria")
        path = written(tmp_path, data)
        assert imu_labels(path) == ("1202-1", "1202-2")
        assert_holds(open_vrs(path), ImuRecords("1202-1", "1202-1", 1000.0, *_arrays(pair()[0])))
        with pytest.raises(
            RawFileError, match=r"no IMU 'imu-right'; its IMUs are 1202-1, 1202-2; its tags do not"
        ):
            read_imu(path, "imu-right")

    def test_a_label_that_is_not_there_names_those_that_are(self, tmp_path: Path) -> None:
        path = written(tmp_path, WHOLE)
        with pytest.raises(RawFileError, match=r"no IMU 'imu-front'; its IMUs are imu-right, imu-left$"):
            read_imu(path, "imu-front")
        with pytest.raises(RawFileError, match=r"^take/a\.vrs: no IMU 'imu-front'"):
            open_vrs(path, "take/a.vrs").read_imu("imu-front")
        with pytest.raises(RawFileError, match=r"^take/b\.vrs: cannot be opened"):
            open_vrs(tmp_path / "nothing", "take/b.vrs")

    def test_a_file_without_imus_says_which_streams_it_has(self, tmp_path: Path) -> None:
        data = bytearray(WHOLE)
        at = data.index(struct.pack("<iH", 1202, 1))
        data[at : at + 4] = struct.pack("<i", 1201)
        at = data.index(struct.pack("<iH", 1202, 2))
        data[at : at + 4] = struct.pack("<i", 247)
        path = written(tmp_path, bytes(data))
        assert imu_labels(path) == ()
        with pytest.raises(
            RawFileError, match="no IMU stream, so no imu-right; its streams are 1201-1, 247-2"
        ):
            read_imu(path, "imu-right")

    def test_the_public_call_keeps_its_signature(self) -> None:
        signature = inspect.signature(read_imu)
        assert str(signature).replace("'", "") == (
            "(path: str | Path, label: str, *, calibrated: bool = False)"
            " -> tuple[NDArray[np.int64], NDArray[np.float32]]"
        )


def _arrays(one: ImuRecords) -> tuple[np.ndarray, np.ndarray]:
    return one.times_ns, one.values


class TestRecords:
    def test_what_is_read_is_the_callers_own(self, tmp_path: Path) -> None:
        times_ns, values = read_imu(written(tmp_path, WHOLE), "imu-right")
        assert times_ns.dtype == np.int64
        assert values.dtype == np.float32
        assert times_ns.flags.writeable
        assert times_ns.flags.owndata
        assert values.flags.writeable
        assert values.flags.owndata

    def test_invalid_sensors_are_nan_and_only_they(self, tmp_path: Path) -> None:
        place = first_data_record(WHOLE) + HEADER_BYTES
        times_ns, values = read_imu(written(tmp_path, patched(WHOLE, place, "<B", 0)), "imu-right")
        truth = pair()[0]
        assert np.isnan(values[0, :3]).all()
        np.testing.assert_array_equal(values[0, 3:], truth.values[0, 3:])
        np.testing.assert_array_equal(values[1:], truth.values[1:])
        np.testing.assert_array_equal(times_ns, truth.times_ns)
        calibrated = read_imu(tmp_path / "a_noimagestreams.vrs", "imu-right", calibrated=True)[1]
        both = open_vrs(tmp_path / "a_noimagestreams.vrs").read_raw_and_calibrated("imu-right")
        for part, alone in zip(
            both, (*read_imu(tmp_path / "a_noimagestreams.vrs", "imu-right"), calibrated), strict=True
        ):
            np.testing.assert_array_equal(part, alone)
        np.testing.assert_array_equal(np.isnan(calibrated), np.isnan(values))

    def test_places_come_from_the_layout_in_the_file(self, tmp_path: Path) -> None:
        swap = retagged(WHOLE, '"offset":43', '"offset":99')
        swap = retagged(swap, '"offset":55', '"offset":43')
        swap = retagged(swap, '"offset":99', '"offset":55')
        _, values = read_imu(written(tmp_path, swap), "imu-left")
        np.testing.assert_array_equal(values, pair()[1].values[:, [3, 4, 5, 0, 1, 2]])

    @pytest.mark.parametrize(
        ("old", "new", "match"),
        [
            (
                '"name":"gyroscope"',
                '"name":"gyrascope"',
                "its layout has no gyroscope, only accelerometer_valid",
            ),
            ('"offset":55', '"offset":75', r"its Data records have 79 bytes, its pieces reach to byte 87"),
            (
                "data_layout/size=79",
                "data_layout/size=78",
                "has 79 bytes of content, where its description .* 78",
            ),
            (
                "data_layout/size=79",
                "data_layout+image/0",
                r"are 'data_layout\+image/0', where data_layout/size",
            ),
            ('"offset":55', '"offses":55', "gyroscope has no place in its layout: offset None"),
            ('"offset":55', '"offset":-9', "gyroscope has no place in its layout: offset -9"),
            (
                '<float>","offset":55',
                '<int32>","offset":55',
                r"gyroscope is DataPieceArray<int32> of 3 in its layout, DataPieceArray<float> of 3 is read",
            ),
            ('"DL:Data', '"DL:Nata', "describes no Data"),
            ('"offset":55,', '"offset":55}', "the description of its layout is broken"),
        ],
    )
    def test_a_layout_that_cannot_be_read_is_refused_by_name(
        self, tmp_path: Path, old: str, new: str, match: str
    ) -> None:
        if old.startswith('"DL:'):
            old, new = old[1:], new[1:]
        path = written(tmp_path, retagged(WHOLE, old, new))
        with pytest.raises(
            RawFileError, match=rf"a_noimagestreams.vrs: imu-right: the record at byte \d+.*{match}"
        ):
            read_imu(path, "imu-right")

    def test_records_of_a_version_without_a_layout_are_refused(self, tmp_path: Path) -> None:
        place = first_data_record(WHOLE)
        path = written(tmp_path, patched(WHOLE, place + 12, "<I", 7))
        with pytest.raises(
            RawFileError, match=rf"byte {place} cannot be read: .* no Data record of version 7"
        ):
            read_imu(path, "imu-right")

    @pytest.mark.parametrize("codec", ["lz4", "zstd"])
    def test_compressed_records_are_read_too(self, tmp_path: Path, codec: str) -> None:
        file = open_vrs(written(tmp_path, recompressed(WHOLE, codec)))  # type: ignore[arg-type]
        for truth in pair():
            assert_holds(file, truth)

    @pytest.mark.parametrize("offset", [27, HEADER_BYTES], ids=["other-codec", "no-frame"])
    def test_a_broken_compressed_record_is_refused(self, tmp_path: Path, offset: int) -> None:
        data = bytearray(recompressed(WHOLE, "zstd"))
        place = first_data_record(bytes(data))
        data[place + offset] = 1
        with pytest.raises(RawFileError, match=f"the record at byte {place} is compressed and broken"):
            read_imu(written(tmp_path, bytes(data)), "imu-right")

    def test_a_compressed_record_of_another_size_is_refused(self, tmp_path: Path) -> None:
        shorter = retagged(recompressed(WHOLE, "zstd"), "data_layout/size=79", "data_layout/size=81")
        with pytest.raises(RawFileError, match="has not the 81 bytes of content that its description has"):
            read_imu(written(tmp_path, shorter), "imu-left")

    def test_records_of_several_kinds_keep_their_order(self, tmp_path: Path) -> None:
        """A stream may turn from plain to compressed records and back."""
        plain, packed = records(WHOLE), records(recompressed(WHOLE, "zstd"))
        parts, previous = [patched(WHOLE, 24, "<q", 0)[: first_record(WHOLE)]], 0
        for row, one in enumerate(zip(plain, packed, strict=True)):
            header, payload = one[row // 7 % 2]
            parts.append(struct.pack("<IIiIdHBBI", header[0], previous, *header[2:]) + payload)
            previous = int(header[0])
        file = open_vrs(written(tmp_path, b"".join(parts)))
        for truth in pair():
            assert_holds(file, truth)

    def test_more_records_than_a_block(self, tmp_path: Path) -> None:
        truth = pair(count=40_000)
        file = open_vrs(written(tmp_path, vrs_bytes(truth)))
        for one in truth:
            assert_holds(file, one)


class TestRates:
    def test_a_rate_in_a_compressed_configuration_is_found(self, real_file: Path) -> None:
        assert [one.nominal_rate_hz for one in open_vrs(real_file).imus] == [1000.0, 800.0]

    @pytest.mark.parametrize("rate", [b"\0" * 8, struct.pack("<d", np.nan), struct.pack("<d", -3)])
    def test_no_claim_is_no_rate(self, tmp_path: Path, rate: bytes) -> None:
        place = first_record(WHOLE) + HEADER_BYTES + 12
        data = WHOLE[:place] + rate + WHOLE[place + 8 :]
        assert [one.nominal_rate_hz for one in open_vrs(written(tmp_path, data)).imus] == [None, 800.0]


class TestCalibration:
    def test_rectified_is_the_inverse_of_the_model(self, tmp_path: Path) -> None:
        models, truth = calibration(), pair()[1]
        _, values = read_imu(written(tmp_path, vrs_bytes(models=models)), "imu-left", calibrated=True)
        model = models["imu-left"]
        again = np.concatenate(
            [
                values[:, :3] @ model.accelerometer.matrix.T + model.accelerometer.bias,
                values[:, 3:] @ model.gyroscope.matrix.T + model.gyroscope.bias,
            ],
            axis=1,
        )
        np.testing.assert_allclose(again, truth.values, rtol=0, atol=2e-6)

    def test_an_imu_without_calibration_is_told(self, tmp_path: Path) -> None:
        path = written(tmp_path, vrs_bytes(models={"imu-left": calibration()["imu-left"]}))
        assert len(read_imu(path, "imu-left", calibrated=True)[0]) == 40
        with pytest.raises(RawFileError, match="calib_json calibrates imu-left, not imu-right"):
            read_imu(path, "imu-right", calibrated=True)

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"ImuCalibrations": {}}, r"\$.ImuCalibrations is dict, list is expected"),
            ({"ImuCalibrations": [3]}, r"\$.ImuCalibrations\[0\].Label is NoneType, str is expected"),
            ({"Accelerometer": 1}, r"\$.ImuCalibrations\[0\].Accelerometer is int, dict is expected"),
            ({"Offset": [1, 2]}, r"\[0\].Accelerometer.Bias.Offset is not \[3\] finite numbers"),
            ({"Offset": ["1", "2", "3"]}, r"\[0\].Accelerometer.Bias.Offset is not \[3\] finite numbers"),
            ({"RectificationMatrix": [[1, 2], [3]]}, r"Model.RectificationMatrix is not \[3, 3\] finite"),
            ({"RectificationMatrix": [[1, 2, 3]] * 3}, r"Model.RectificationMatrix cannot be inverted"),
        ],
    )
    def test_a_calibration_of_a_wrong_type_is_told_by_its_path(
        self, change: dict[str, object], match: str
    ) -> None:
        linear = {"RectificationMatrix": np.eye(3).tolist()}
        sensor = {"Model": linear, "Bias": {"Offset": [0.0, 0, 0]}}
        one = {"Label": "imu-left", "Accelerometer": sensor, "Gyroscope": sensor}
        document = {"ImuCalibrations": [one]}
        for parent in (document, one, linear, sensor["Bias"]):
            parent.update({key: value for key, value in change.items() if key in parent})
        with pytest.raises(RawFileError, match=rf"^f.vrs: calib_json: .*{match}"):
            parse_calibration(json.dumps(document), "imu-left", "f.vrs")

    @pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
    def test_what_is_no_json_is_refused(self, text: str) -> None:
        with pytest.raises(RawFileError, match=r"^f.vrs: calib_json is not JSON"):
            parse_calibration(text, "imu-left", "f.vrs")


class TestDamage:
    @pytest.mark.parametrize(
        ("data", "match"),
        [
            (b"", "0 bytes are too few for a VRS file"),
            (WHOLE[:79], "79 bytes are too few for a VRS file, whose header alone has 80"),
            (b"id,attr_time\n" * 90, "not a VRS file: it begins with b'id,attr_', not b'VisionRe'"),
            (patched(WHOLE, 72, "<I", 0), "not a VRS file"),
            (patched(WHOLE, 76, "<I", 0x39535256), "VRS format b'VRS9' is unknown here"),
            (patched(WHOLE, 20, "<I", 2**31), "claims record headers of 2147483648 bytes"),
            (patched(WHOLE, 20, "<I", 3), "claims record headers of 3 bytes"),
            (WHOLE[:500], "no whole description record at byte 80 of 500"),
            (patched(WHOLE, 32, "<q", -1), "no whole description record at byte -1"),
            (patched(WHOLE, 32, "<q", 2**62), "no whole description record at byte 4611686018427387904"),
            (patched(WHOLE, 92, "<I", 1), "its description record has version 1 and compression 0"),
            (patched(WHOLE, 112, "<I", 2**32 - 1), "the description record at byte 80 is broken"),
            (WHOLE[: first_record(WHOLE) - 4], "cut before its first record"),
            (patched(WHOLE, 40, "<q", 2**40), "cut before its first record: .* begin at byte 1099511627776"),
            (patched(WHOLE, 40, "<q", -4), "cut before its first record"),
        ],
    )
    def test_what_cannot_be_used_is_refused(self, tmp_path: Path, data: bytes, match: str) -> None:
        with pytest.raises(RawFileError, match=f"a_noimagestreams.vrs: .*{match}"):
            open_vrs(written(tmp_path, data))

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(RawFileError, match=r"none.vrs: cannot be opened: No such file"):
            open_vrs(tmp_path / "none.vrs")

    @pytest.mark.parametrize("compress_index", [False, True])
    def test_every_cut_gives_a_beginning_and_says_so(self, tmp_path: Path, compress_index: bool) -> None:
        truth = pair(count=10)
        data = vrs_bytes(truth, compress_index=compress_index)
        start = first_data_record(data)
        for size in range(start, len(data), 37):
            file = open_vrs(written(tmp_path, data[:size]))
            left = (size - start) // RECORD_BYTES
            assert sum(one.num_records for one in file.imus) == left
            assert (file.num_lost, file.truncated_bytes) == (18 - left, (size - start) % RECORD_BYTES)
            assert not file.is_whole
            for one, found in zip(truth, file.imus, strict=True):
                assert_holds(file, one, found.num_records)

    def test_a_cut_file_without_an_index_gives_its_beginning_too(self, tmp_path: Path) -> None:
        """The index of older files lies at the end, so that a cut file has none."""
        data = patched(WHOLE, 24, "<q", len(WHOLE))[: -3 * RECORD_BYTES - 50]
        file = open_vrs(written(tmp_path, data))
        assert (file.has_index, file.num_lost, file.truncated_bytes) == (False, 0, RECORD_BYTES - 50)
        assert sum(one.num_records for one in file.imus) == 90 - 4
        assert not file.is_whole

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data, at: patched(data, 24, "<q", 0),
            lambda data, at: patched(data, 24, "<q", 2**40),
            lambda data, at: patched(data, 24, "<q", -7),
            lambda data, at: patched(data, at + 12, "<I", 3),
            lambda data, at: patched(data, at + 27, "<B", 9),
            lambda data, at: patched(data, at + HEADER_BYTES, "<I", 2**32 - 1),
            lambda data, at: patched(data, at + HEADER_BYTES + 16, "<I", 2**32 - 1),
            lambda data, at: patched(data, at + HEADER_BYTES + 20 + 8, "<I", 3),
        ],
        ids=["none", "past-end", "negative", "version", "compression", "streams", "records", "small-record"],
    )
    def test_without_a_usable_index_records_are_found_one_from_the_other(
        self, tmp_path: Path, damage
    ) -> None:  # type: ignore[no-untyped-def]
        file = open_vrs(written(tmp_path, damage(WHOLE, index_offset(WHOLE))))
        assert not file.has_index
        assert not file.is_whole
        assert file.truncated_bytes == 0
        for truth in pair():
            assert_holds(file, truth)

    def test_an_index_at_the_end_is_as_good(self, tmp_path: Path) -> None:
        at, first = index_offset(WHOLE), first_record(WHOLE)
        data = WHOLE[:at] + WHOLE[first:] + WHOLE[at:first]
        data = patched(data, 24, "<q", len(data) - (first - at))
        file = open_vrs(written(tmp_path, patched(data, 40, "<q", 0)))
        assert file.is_whole
        for truth in pair():
            assert_holds(file, truth)

    def test_a_walk_stops_where_a_record_does_not_follow_the_one_before(self, tmp_path: Path) -> None:
        place = first_data_record(WHOLE) + 20 * RECORD_BYTES
        data = patched(patched(WHOLE, 24, "<q", 0), place + 4, "<I", 5)
        file = open_vrs(written(tmp_path, data))
        assert sum(one.num_records for one in file.imus) == 20
        assert file.truncated_bytes == len(WHOLE) - place

    @pytest.mark.parametrize(("offset", "pattern", "value"), [(8, "<i", 1203), (24, "<H", 5), (26, "<B", 1)])
    def test_an_index_that_tells_of_other_records_is_not_believed(
        self, tmp_path: Path, offset: int, pattern: str, value: int
    ) -> None:
        place = first_data_record(WHOLE)
        file = open_vrs(written(tmp_path, patched(WHOLE, place + offset, pattern, value)))
        assert not file.has_index
        times_ns, _ = file.read_imu("imu-right")
        np.testing.assert_array_equal(times_ns, pair()[0].times_ns[1:])

    def test_a_wrong_entry_of_the_index_loses_no_record(self, tmp_path: Path) -> None:
        file = open_vrs(written(tmp_path, patched(WHOLE, first_record(WHOLE) - 6, "<i", 1203)))
        assert not file.has_index
        for truth in pair():
            assert_holds(file, truth)

    def test_an_entry_without_a_size_at_the_end_of_the_file_is_not_believed(self, tmp_path: Path) -> None:
        data = patched(WHOLE, first_record(WHOLE) - 19 + 8, "<I", 0)[:-RECORD_BYTES]
        file = open_vrs(written(tmp_path, data))
        assert not file.has_index
        assert sum(one.num_records for one in file.imus) == 89

    def test_a_record_of_another_size_is_refused(self, tmp_path: Path) -> None:
        """Two bytes more in one record; everything else tells of them."""
        parts, previous = [patched(WHOLE, 24, "<q", 0)[: first_record(WHOLE)]], 0
        for row, (header, payload) in enumerate(records(WHOLE)):
            content = payload + b"xy" * (row == 9)
            parts.append(
                struct.pack("<IIiIdHBBI", HEADER_BYTES + len(content), previous, *header[2:]) + content
            )
            previous = HEADER_BYTES + len(content)
        place = sum(map(len, parts[:10]))
        label = LABELS[int(records(WHOLE)[9][0][5]) - 1]
        with pytest.raises(
            RawFileError, match=rf"{label}: the record at byte {place} has 81 bytes of .* has 79"
        ):
            read_imu(written(tmp_path, b"".join(parts)), label)

    def test_a_claim_of_many_records_makes_no_large_array(self, tmp_path: Path) -> None:
        at, first = index_offset(WHOLE), first_record(WHOLE)
        entries = WHOLE[at + HEADER_BYTES + 20 : first]
        prelude = WHOLE[at + HEADER_BYTES : at + HEADER_BYTES + 16] + struct.pack("<I", 2**32 - 1)
        body = prelude + pa.compress(entries + entries[-19:] * 3_000_000, codec="zstd", asbytes=True)
        header = bytearray(WHOLE[at : at + HEADER_BYTES])
        struct.pack_into("<I", header, 0, HEADER_BYTES + len(body))
        header[27] = 2
        data = patched(
            WHOLE[:at] + bytes(header) + body + WHOLE[first:], 40, "<q", at + HEADER_BYTES + len(body)
        )
        path = written(tmp_path, data)
        tracemalloc.start()
        try:
            file = open_vrs(path)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert file.num_lost > 4e9
        assert peak_bytes < 8_000_000

    @settings(max_examples=300, deadline=None)
    @given(
        changes=st.lists(
            st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=12
        ),
        near=st.sampled_from([120, first_record(WHOLE), len(WHOLE)]),
        size=st.one_of(st.none(), st.integers(0, len(WHOLE))),
    )
    def test_no_damage_is_worse_than_an_error_with_the_files_name(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        changes: list[tuple[int, int]],
        near: int,
        size: int | None,
    ) -> None:
        data = bytearray(WHOLE)
        for place, value in changes:
            data[place % near] = value
        path = written(tmp_path_factory.getbasetemp(), bytes(data[:size]))
        try:
            file = open_vrs(path)
            for one in file.imus:
                for calibrated in (False, True):
                    times_ns, values = file.read_imu(one.label, calibrated=calibrated)
                    assert values.shape == (len(times_ns), 6) == (one.num_records, 6)
        except RawFileError as error:
            named = str(path) in str(error)
            assert named


def test_imu_without_records_is_empty(tmp_path: Path) -> None:
    file = open_vrs(written(tmp_path, vrs_bytes([imu(count=0), imu("imu-left", 2, 800.0, 5)])))
    times_ns, values = file.read_imu("imu-right")
    assert (times_ns.shape, values.shape) == ((0,), (0, 6))
    assert len(file.read_imu("imu-left")[0]) == 5
