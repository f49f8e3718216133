from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.miniature.vrs import AriaDevice, ImuRecords, write_vrs
from sensorloom.ingest.vrs import open_vrs, read_imu
from tests.ingest.aria_files import (
    HEADER_BYTES,
    RECORD_BYTES,
    calibration,
    imu,
    index_offset,
    pair,
    records,
    vrs_bytes,
)

Generation = Literal["gen1", "gen2"]
NO_WHEEL = "projectaria-tools and vrs have no wheel for this Python"
INVALID = 3


def with_gaps(generation: Generation) -> list[ImuRecords]:
    """Both IMUs; one accelerometer sample is missing."""
    truth = pair(generation, 60)
    truth[0].values[INVALID, :3] = np.nan
    return truth


@pytest.fixture(params=["gen1", "gen2"])
def generation(request: pytest.FixtureRequest) -> Generation:
    name: Generation = request.param
    return name


@pytest.fixture(params=[False, True], ids=["plain-index", "compressed-index"])
def path(request: pytest.FixtureRequest, generation: Generation, tmp_path: Path) -> Path:
    data = vrs_bytes(with_gaps(generation), generation=generation, compress_index=request.param)
    path = tmp_path / "generated.vrs"
    path.write_bytes(data)
    return path


class TestAgainstTheLibraries:
    def test_projectaria_tools_reads_what_was_written(self, path: Path, generation: Generation) -> None:
        core = pytest.importorskip("projectaria_tools.core.data_provider", reason=NO_WHEEL)
        provider = core.create_vrs_data_provider(str(path))
        assert provider.get_device_version().name.lower() == generation
        for truth in with_gaps(generation):
            stream = provider.get_stream_id_from_label(truth.label)
            assert str(stream) == truth.stream_id
            assert provider.get_imu_configuration(stream).nominal_rate_hz == truth.nominal_rate_hz
            told = [
                provider.get_imu_data_by_index(stream, row) for row in range(provider.get_num_data(stream))
            ]
            np.testing.assert_array_equal([one.capture_timestamp_ns for one in told], truth.times_ns)
            values = np.float64([[*one.accel_msec2, *one.gyro_radsec] for one in told])
            is_valid = np.array([[one.accel_valid, one.gyro_valid] for one in told])
            np.testing.assert_array_equal(is_valid, ~np.isnan(truth.values[:, ::3]))
            values[np.repeat(~is_valid, 3, axis=1)] = np.nan
            np.testing.assert_array_equal(values, truth.values.astype(np.float64))

    def test_projectaria_tools_takes_the_calibration(self, path: Path, generation: Generation) -> None:
        core = pytest.importorskip("projectaria_tools.core.data_provider", reason=NO_WHEEL)
        device = core.create_vrs_data_provider(str(path)).get_device_calibration()
        for truth in with_gaps(generation):
            model = device.get_imu_calib(truth.label)
            rectified = [
                [*model.raw_to_rectified_accel(row[:3]), *model.raw_to_rectified_gyro(row[3:])]
                for row in truth.values.astype(np.float64).tolist()
            ]
            _, calibrated = read_imu(path, truth.label, calibrated=True)
            np.testing.assert_array_equal(calibrated, np.float32(rectified))

    def test_pyvrs_reads_what_was_written(self, path: Path, generation: Generation) -> None:
        pyvrs = pytest.importorskip("pyvrs", reason=NO_WHEEL)
        with pyvrs.SyncVRSReader(str(path)) as reader:
            for truth in with_gaps(generation):
                mine = reader.filtered_by_fields(stream_ids={truth.stream_id}, record_types={"data"})
                blocks: list[Any] = [mine[row].metadata_blocks[0] for row in range(len(mine))]
                np.testing.assert_array_equal([one["capture_timestamp_ns"] for one in blocks], truth.times_ns)
                np.testing.assert_array_equal(
                    [one["gyroscope"] for one in blocks], truth.values[:, 3:].astype(np.float64)
                )


class TestLikeTheRealOnes:
    @pytest.mark.parametrize(
        "name", ["everyday_activities_recording", "aria_unit_test_timecode_sequence_calib"]
    )
    def test_layouts_and_names_are_those_of_a_real_file(
        self, real_data: Path, tmp_path: Path, name: str
    ) -> None:
        (tmp_path / "generated.vrs").write_bytes(vrs_bytes())
        real = open_vrs(real_data / "aria" / f"{name}.vrs").container
        ours = open_vrs(tmp_path / "generated.vrs").container
        for stream in ((1202, 1), (1202, 2)):
            assert set(ours.streams[stream].user) == set(real.streams[stream].user)
            same = {
                key: value for key, value in real.streams[stream].vrs.items() if key != "VRS_Serial_Number"
            }
            assert {key: ours.streams[stream].vrs.get(key) for key in same} == same
        assert set(ours.file_tags) <= set(real.file_tags)

    def test_records_are_of_the_real_size_and_in_the_order_of_time(self) -> None:
        found = records(vrs_bytes())
        assert [header[6] for header, _ in found[:4]] == [2, 2, 1, 1]
        data = found[4:]
        assert {header[0] for header, _ in data} == {RECORD_BYTES}
        times_s = [header[4] for header, _ in data]
        assert times_s == sorted(times_s)
        assert [header[1] for header, _ in found[1:]] == [header[0] for header, _ in found[:-1]]

    def test_a_compressed_index_tells_its_own_size(self) -> None:
        """Where it does not, the libraries take it for plain, find it broken, and walk the file in silence."""
        plain, packed = vrs_bytes(), vrs_bytes(compress_index=True)
        size, at = struct.unpack_from("<I", plain, index_offset(plain))[0], index_offset(packed)
        assert (packed[at + 27], struct.unpack_from("<I", packed, at + 28)[0]) == (2, size - HEADER_BYTES)

    def test_equal_input_gives_equal_bytes(self) -> None:
        assert vrs_bytes() == vrs_bytes()
        assert vrs_bytes() != vrs_bytes(generation="gen2")


class TestRoundTrip:
    @given(
        times_ns=arrays(np.int64, st.shared(st.integers(0, 30), key="rows")),
        values=arrays(
            np.float32,
            st.tuples(st.shared(st.integers(0, 30), key="rows"), st.just(6)),
            elements=st.floats(width=32, allow_nan=False),
        ),
    )
    def test_any_stamps_and_values_come_back(
        self, tmp_path_factory: pytest.TempPathFactory, times_ns: np.ndarray, values: np.ndarray
    ) -> None:
        """Also stamps that go backwards: a reader must see them as recorded."""
        truth = ImuRecords("imu-left", "1202-2", 800.0, times_ns, values)
        path = tmp_path_factory.getbasetemp() / "any.vrs"
        path.write_bytes(vrs_bytes([imu(count=20), truth]))
        read_ns, read = read_imu(path, "imu-left")
        np.testing.assert_array_equal(read_ns, times_ns)
        assert read.tobytes() == values.tobytes()

    def test_several_blocks_are_written_as_one(self, tmp_path: Path) -> None:
        truth = pair(count=40_000)
        (tmp_path / "long.vrs").write_bytes(vrs_bytes(truth))
        for one in truth:
            times_ns, values = read_imu(tmp_path / "long.vrs", one.label)
            np.testing.assert_array_equal(times_ns, one.times_ns)
            np.testing.assert_array_equal(values, one.values)

    def test_a_recording_may_have_one_imu_or_none(self, tmp_path: Path) -> None:
        (tmp_path / "one.vrs").write_bytes(vrs_bytes([imu("imu-left", 2)]))
        assert [one.label for one in open_vrs(tmp_path / "one.vrs").imus] == ["imu-left"]


class TestWhatIsRefused:
    def test_a_label_with_the_other_generations_id(self) -> None:
        with pytest.raises(ValueError, match="imu-right is stream 1202-2 on gen2, not 1202-1"):
            write_vrs(io.BytesIO(), pair("gen1"), calibration={}, device=AriaDevice(generation="gen2"))

    def test_values_of_another_shape_or_type(self) -> None:
        good = imu()
        with pytest.raises(
            ValueError, match=r"imu-right.values must be float32 \[50, 6\], got float64 \[50, 6\]"
        ):
            ImuRecords(good.label, good.stream_id, 1000.0, good.times_ns, good.values.astype(np.float64))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"must be float32 \[50, 6\], got float32 \[49, 6\]"):
            ImuRecords(good.label, good.stream_id, 1000.0, good.times_ns, good.values[1:])

    def test_half_a_sample(self) -> None:
        good = imu()
        values = good.values.copy()
        values[7, 4] = np.nan
        with pytest.raises(ValueError, match="three values of a sensor are NaN together or not at all"):
            ImuRecords(good.label, good.stream_id, 1000.0, good.times_ns, values)

    def test_a_recording_without_imus_holds_nothing_to_read(self, tmp_path: Path) -> None:
        assert calibration().keys() == {"imu-right", "imu-left"}
        (tmp_path / "none.vrs").write_bytes(vrs_bytes([]))
        with pytest.raises(RawFileError, match=r"none.vrs: .*cut before its first record"):
            open_vrs(tmp_path / "none.vrs")
