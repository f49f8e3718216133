"""What a shard holds of the IMU is as near to the samples as its attributes say, whatever the type and layout."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sensorloom.align.codec import encode_arrays, encode_attributes
from sensorloom.align.extract import extract
from sensorloom.align.named_views import VIEWS
from sensorloom.align.timeline import AlignedTake, Grid, ImuTrack, Quality
from sensorloom.align.window import cut_windows
from sensorloom.embed.build import BuildTask, build_bucket
from sensorloom.embed.errors import EmbedError
from sensorloom.embed.imu_types import convert_imu
from sensorloom.store.layout import shard_key
from sensorloom.store.repository import Repository

PLAIN = replace(VIEWS["har-pamap2"], name="walks", positions=("chest", "hand"), classes=(), min_coverage=0.5)
SENSORS = {"accelerometer_m_s2": slice(0, 3), "gyroscope_rad_s": slice(3, 6)}


def walk(name, seconds, seed, gap=slice(0)):
    """A generated take of two positions: gravity, a gait, noise, and a gap of the gyroscope at the hand."""
    rng = np.random.default_rng(seed)
    times = np.arange(seconds * 200) / 200
    tracks = []
    for position in ("chest", "hand"):
        values = rng.normal(0, 0.05, (len(times), 6)) + np.sin(times * 11)[:, None] * rng.uniform(0.2, 6, 6)
        values[:, 2] += 9.81
        quality = np.full((len(times), 2), Quality.VALID, np.uint8)
        if position == "hand":
            quality[gap, 1], values[gap, 3:] = Quality.INVALID, 0
        tracks.append(ImuTrack(position, "imu", values.astype(np.float32), quality))
    return AlignedTake(
        f"pamap2/{name}", "pamap2", "c", "pamap2/1", "train", Grid(0, len(times)), tuple(tracks)
    )


TAKES = (walk("one", 20, 1), walk("two", 11, 2, gap=slice(300, 700)), walk("three", 15, 3))


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    return Repository.open(str(tmp_path_factory.mktemp("store")), create=True)


def store(repo, take):
    return repo.write_arrays(
        take.take_id,
        encode_arrays(take),
        rows=take.grid.num_samples,
        attributes=encode_attributes(take),
        work="0" * 64,
    )


def build(repo, view, takes=TAKES):
    built = build_bucket(BuildTask(repo.url, view, "00", tuple(store(repo, take) for take in takes)))
    (shard,) = repo.find_work(built.work).shards
    return shard


def exact(takes=TAKES, view=PLAIN):
    parts = [extract(take, view, cut_windows(take, view).windows) for take in takes]
    return np.concatenate([part.imu for part in parts]), np.concatenate([part.valid for part in parts])


def as_read(arrays):
    """The values of a shard as `docs` and trainers read them, in float32."""
    imu = arrays["imu"].astype(np.float32)
    return imu * arrays["imu_scale"][..., None] if "imu_scale" in arrays else imu


def test_float32_is_held_exactly_in_place(repo):
    arrays = repo.open_arrays(build(repo, PLAIN))
    imu, valid = exact()
    assert arrays["imu"].tobytes() == imu.tobytes()
    assert arrays["imu"].dtype == np.float32
    assert np.array_equal(arrays["imu_valid"], valid)
    assert set(arrays) == {"imu", "imu_valid", "imu_present"}
    assert all(arrays.path(name) for name in arrays)
    assert arrays.attributes["imu_worst_error"] == {"accelerometer_m_s2": 0.0, "gyroscope_rad_s": 0.0}
    assert arrays.attributes["view"] == {**asdict(PLAIN), "positions": ["chest", "hand"]} | {
        name: list(value) for name, value in asdict(PLAIN).items() if isinstance(value, tuple)
    }


@pytest.mark.parametrize("layout", ["plain", "compressed"])
@pytest.mark.parametrize("imu_type", ["float16", "int16"])
def test_the_worst_error_is_that_of_the_worst_sample_of_all_takes(repo, imu_type, layout):
    arrays = repo.open_arrays(build(repo, replace(PLAIN, imu_type=imu_type, layout=layout)))
    imu, valid = exact()
    error = np.abs(as_read(arrays).astype(np.float64) - imu.astype(np.float64))
    assert arrays["imu"].dtype == imu_type
    told = arrays.attributes["imu_worst_error"]
    assert set(told) == set(SENSORS)
    for name, channels in SENSORS.items():
        assert told[name] == error[:, :, channels].max() > 0
    # Half a unit in the last place: of float16 at 16 to 32 m/s², of int16 at a full scale below 20 m/s².
    assert told["accelerometer_m_s2"] <= (2**-7 if imu_type == "float16" else 20 / 32767 / 2 * 1.001)
    assert not arrays["imu"][np.broadcast_to(~np.repeat(valid, 3, axis=2), imu.shape)].any()
    assert (~valid).any()
    assert np.array_equal(arrays["imu_valid"], valid)


@pytest.mark.parametrize("imu_type", ["float32", "float16", "int16"])
def test_the_layout_changes_no_value_and_plain_zarr_opens_it(repo, imu_type):
    plain = repo.open_arrays(build(repo, replace(PLAIN, imu_type=imu_type)))
    shard = build(repo, replace(PLAIN, imu_type=imu_type, layout="compressed"))
    compressed = repo.open_arrays(shard)
    group = zarr.open(f"{repo.url}/{shard_key(shard.digest, 'zarr')}", mode="r")
    assert list(plain) == list(compressed)
    for name in plain:
        assert plain[name].dtype == compressed[name].dtype == group[name].dtype
        assert np.array_equal(plain[name], compressed[name])
        assert np.array_equal(plain[name], group[name][...])
    assert plain.attributes["imu_worst_error"] == compressed.attributes["imu_worst_error"]
    narrow = {name for name in plain if compressed.path(name)}
    # 4 and 48 bytes a window.
    assert narrow == {"imu_present", "imu_scale"} & set(plain)
    assert shard.num_bytes < build(repo, replace(PLAIN, imu_type=imu_type)).num_bytes


def test_takes_of_a_bucket_are_stored_as_they_are_alone(repo):
    view = replace(PLAIN, imu_type="int16")
    whole = repo.open_arrays(build(repo, view))
    parts = [repo.open_arrays(build(repo, view, (take,))) for take in TAKES]
    for name in ("imu", "imu_scale"):
        assert np.array_equal(whole[name], np.concatenate([part[name] for part in parts]))
    errors = [part.attributes["imu_worst_error"]["gyroscope_rad_s"] for part in parts]
    assert whole.attributes["imu_worst_error"]["gyroscope_rad_s"] == max(errors) > min(errors)


def test_a_scale_is_of_a_window_and_channel_and_one_where_there_is_nothing(repo):
    still = replace(TAKES[0], imu=TAKES[0].imu[:1])
    arrays = repo.open_arrays(build(repo, replace(PLAIN, imu_type="int16"), (still,)))
    imu, _ = exact((still,))
    scale = arrays["imu_scale"]
    assert (scale.shape, scale.dtype) == ((4, 2, 6), np.float32)
    assert scale[:, 0] == pytest.approx(np.abs(imu[:, 0]).max(axis=2) / 32767)
    assert (np.abs(arrays["imu"][:, 0]).max(axis=2) == 32767).all()
    assert (scale[:, 1] == 1).all()
    assert not arrays["imu"][:, 1].any()


@pytest.mark.parametrize("imu_type", ["float16", "int16"])
def test_a_bucket_without_windows_has_the_same_arrays(repo, imu_type):
    view = replace(PLAIN, imu_type=imu_type, layout="compressed")
    arrays = repo.open_arrays(build(repo, view, (walk("short", 1, 4),)))
    assert arrays["imu"].shape == (0, 2, 6, 1000)
    assert arrays["imu"].dtype == imu_type
    assert ("imu_scale" in arrays) == (imu_type == "int16")
    assert arrays.attributes["imu_worst_error"] == {"accelerometer_m_s2": 0.0, "gyroscope_rad_s": 0.0}


def spiked(value, channel):
    values = TAKES[0].imu[1].values.copy()
    values[1500, channel] = value
    return replace(TAKES[0], imu=(TAKES[0].imu[0], replace(TAKES[0].imu[1], values=values)))


@pytest.mark.parametrize(
    ("imu_type", "value", "channel", "message"),
    [
        (
            "float16",
            -65505,
            1,
            r"accelerometer at hand in .* 65505 m/s², float16 holds at most 65504 m/s²; set",
        ),
        (
            "float16",
            np.inf,
            5,
            r"gyroscope at hand in .* reaches inf rad/s, float16 holds at most 65504 rad/s",
        ),
        (
            "int16",
            3e38,
            3,
            r"reaches 3e\+38 rad/s, int16 holds at most 1.70141e\+38 rad/s; .* = \"float32\" in",
        ),
        ("int16", np.nan, 3, r"gyroscope at hand in window .* reaches nan rad/s, int16 holds"),
        (
            "float16",
            1e9,
            0,
            r"^view walks: the accelerometer at hand in window pamap2/one@5000000000\+5000000000 ",
        ),
        (
            "float16",
            1e9,
            0,
            r"; set imu_type = \"float32\" or \"int16\" in \[views.walks\], and look at the take",
        ),
    ],
)
def test_a_value_that_the_type_cannot_hold_ends_the_build(repo, imu_type, value, channel, message):
    take = spiked(value, channel)
    with pytest.raises(EmbedError, match=message):
        build(repo, replace(PLAIN, imu_type=imu_type), (take,))
    arrays = repo.open_arrays(build(repo, PLAIN, (take,)))
    assert arrays["imu"][1, 1, channel, 500] == pytest.approx(value, nan_ok=True)


def test_the_largest_that_the_types_hold_stay_finite(repo):
    for imu_type, value in (("float16", 65504), ("int16", 1.7e38)):
        arrays = repo.open_arrays(build(repo, replace(PLAIN, imu_type=imu_type), (spiked(value, 4),)))
        assert as_read(arrays)[1, 1, 4, 500] == pytest.approx(value, rel=1e-4)


windows = hnp.arrays(
    np.float32,
    st.tuples(st.integers(0, 3), st.integers(1, 2), st.just(6), st.integers(1, 4)),
    elements=st.one_of(
        st.just(0.0), st.floats(-(2.0**126), 2.0**126, width=32), st.floats(-20, 20, width=32)
    ),
)


@settings(deadline=None)
@given(windows)
def test_int16_errs_by_half_a_step_at_most_and_keeps_zeros_and_signs(imu):
    stored, worst = convert_imu(imu, "int16")
    scale = stored["imu_scale"]
    assert np.isfinite(scale).all()
    assert (scale > 0).all()
    error = np.abs(as_read(stored).astype(np.float64) - imu)
    # Half a step, and what float32 itself rounds of the largest value.
    assert (error <= scale[..., None] * 0.51 + np.abs(imu) * 2.0**-22).all()
    assert worst[0] == error[:, :, :3].max(initial=0)
    assert worst[1] == error[:, :, 3:].max(initial=0)
    assert not stored["imu"][imu == 0].any()
    assert (np.sign(stored["imu"]) * np.sign(imu) >= 0).all()
    assert stored["imu"].min(initial=0) >= -32767


@pytest.mark.parametrize("imu_type", ["float16", "int16"])
@pytest.mark.parametrize("place", [0, 20, 99])
def test_the_worst_of_many_windows_counts_wherever_it_stands(imu_type, place):
    imu = np.random.default_rng(5).normal(0, 1, (100, 1, 6, 8)).astype(np.float32)
    imu[place, 0, 4] *= 1000
    stored, worst = convert_imu(imu, imu_type)
    error = np.abs(as_read(stored).astype(np.float64) - imu).max(axis=(1, 3))
    assert worst.tolist() == [error[:, :3].max(), error[place, 4]]


def test_values_next_to_nothing_keep_a_scale_that_float32_can_tell():
    imu = np.full((1, 1, 6, 4), 1e-39, np.float32)
    stored, worst = convert_imu(imu, "int16")
    assert (stored["imu_scale"] == np.finfo(np.float32).tiny).all()
    assert (worst <= 1e-38).all()
