"""Frames of damaged and of unusual films: what is not flagged must be what a sound file shows, on either path."""

from __future__ import annotations

from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from PIL import Image

from sensorloom.ingest import video_decode, video_scaling
from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.video import (
    as_decoded,
    decode_frames,
    decoder_version,
    read_video_table,
    scaler_version,
)
from sensorloom.ingest.video_file import open_video

REAL = ("h264_10bits.mp4", "h265_video.mp4", "nasa_13013.mp4")
F, KEY_EVERY = 60, 20


def picture(index, height, width):
    """Noise that drifts: no two pictures alike, and every block of each carries data that can be damaged."""
    ground = np.random.default_rng(5).integers(0, 256, (height, width, 3), np.uint8)
    return np.roll(ground // 2 + 60, 2 * index, axis=1)


def encode(path, *, codec="libx264", height=64, width=96, rate=Fraction(30), options=None, count=F):
    with av.open(str(path), "w") as container:
        settings = {"preset": "veryfast", "crf": "23", "g": str(KEY_EVERY), "bf": "2", "sc_threshold": "0"}
        settings |= {"threads": "1", **(options or {})}
        if codec == "libx264":  # whose mbtree gives other bytes for the same pictures now and then
            settings["x264-params"] = ":".join(filter(None, ("mbtree=0", settings.get("x264-params"))))
        stream = container.add_stream(codec, rate=rate, options=settings)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(picture(index, height, width), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return encode(tmp_path_factory.mktemp("sound") / "a.mp4")


def stored(path):
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def damaged(path, out, packet, change):
    data = bytearray(path.read_bytes())
    data[packet.pos : packet.pos + packet.size] = change(data[packet.pos : packet.pos + packet.size])
    out.write_bytes(data)
    return out


def flip(data):
    data[len(data) // 2] ^= 0x55
    return data


def scramble(data):
    half = len(data) // 2
    return data[:half] + np.random.default_rng(1).bytes(len(data) - half)


DAMAGE = {
    "a byte flipped": flip,
    "the second half noise": scramble,
    "all zeros": lambda data: bytes(len(data)),
}


MOST_UNSEEN = {"a byte flipped": 3, "the second half noise": 3, "all zeros": 0}
"""Of eight damaged packets. Which of them pass depends on the very bytes, so on the version of the encoder."""


def decode(path, pts, **sizes):
    return {frame.pts: frame for _, frame in decode_frames(path, "a.mp4", pts, **sizes)}


@pytest.mark.parametrize("kind", DAMAGE)
def test_from_damage_to_the_next_key_frame_nothing_is_trusted_and_all_else_is_as_it_was(
    sound, tmp_path, kind
):
    """Now and then noise or a flipped byte is a legal picture: no decoder can tell, and then nothing is flagged."""
    packets, pts = stored(sound), read_video_table(sound, "a.mp4").pts
    whole, place = decode(sound, pts), {packet.pts: place for place, packet in enumerate(packets)}
    unseen = 0
    for hit in (0, 1, 7, 20, 21, 33, 45, 59):
        found = decode(damaged(sound, tmp_path / "b.mp4", packets[hit], DAMAGE[kind]), pts)
        next_key = min((p for p in range(hit + 1, F) if packets[p].is_keyframe), default=F)
        outside = {stamp for stamp in pts.tolist() if not hit <= place[stamp] < next_key}
        trusted = {stamp for stamp, frame in found.items() if not frame.is_corrupt}
        assert trusted in (outside, set(pts.tolist()))
        unseen += trusted != outside
        for stamp in outside:
            np.testing.assert_array_equal(found[stamp].rgb, whole[stamp].rgb)
    assert unseen <= MOST_UNSEEN[kind]


def test_the_verdict_does_not_depend_on_which_frames_are_asked_for(sound, tmp_path):
    packets, pts = stored(sound), read_video_table(sound, "a.mp4").pts
    path = damaged(sound, tmp_path / "b.mp4", packets[25], DAMAGE["all zeros"])
    every = {stamp: frame.is_corrupt for stamp, frame in decode(path, pts).items()}
    some = {stamp: frame.is_corrupt for stamp, frame in decode(path, pts[1::3]).items()}
    assert some == {stamp: every[stamp] for stamp in some}
    assert 0 < sum(some.values()) < len(some) <= 20


def test_with_frame_threads_a_refused_last_packet_costs_no_sound_frame(sound, tmp_path):
    """PyAV drops what a decoder still holds when the flush meets an error; here a second pass brings it."""
    packets, pts = stored(sound), read_video_table(sound, "a.mp4").pts
    path = damaged(sound, tmp_path / "b.mp4", packets[-1], DAMAGE["all zeros"])
    found = decode(path, pts)
    assert sorted(found) == sorted(set(pts.tolist()) - {packets[-1].pts})
    assert not any(frame.is_corrupt for frame in found.values())


def test_a_sound_file_is_decoded_once(sound, monkeypatch):
    passes = []
    once = video_decode._one_pass
    monkeypatch.setattr(video_decode, "_one_pass", lambda *args: passes.append(args[-1]) or once(*args))
    decode(sound, read_video_table(sound, "a.mp4").pts)
    assert passes == [0]


@pytest.mark.parametrize("kind", [None, "all zeros", "a byte flipped"])
def test_pictures_and_verdicts_do_not_depend_on_the_threads(sound, tmp_path, kind):
    """But for what a decoder makes up of damage, which it may do otherwise each time."""
    packets, pts, path = stored(sound), read_video_table(sound, "a.mp4").pts, sound
    made_up = set()
    if kind is not None:
        path = damaged(sound, tmp_path / "b.mp4", packets[25], DAMAGE[kind])
        next_key = min(place for place in range(26, F) if packets[place].is_keyframe)
        made_up = {packet.pts for packet in packets[25:next_key]}
    first, *others = (decode(path, pts, threads=threads) for threads in (None, 1, 2, 5))
    for found in others:
        assert found.keys() - made_up == first.keys() - made_up
        for stamp in found.keys() - made_up:
            assert found[stamp].is_corrupt == first[stamp].is_corrupt
            np.testing.assert_array_equal(found[stamp].rgb, first[stamp].rgb)


def test_the_codec_runs_as_many_threads_as_it_is_told(sound, monkeypatch):
    told = []

    @contextmanager
    def watched(path, uri):
        with open_video(path, uri) as opened:
            yield opened
            told.append((opened[1].thread_type.name, opened[1].codec_context.thread_count))

    monkeypatch.setattr(video_decode, "open_video", watched)
    pts = read_video_table(sound, "a.mp4").pts
    for threads in (1, 5):
        decode(sound, pts, threads=threads)
    assert told == [("NONE", 1), ("AUTO", 5)]
    with pytest.raises(ValueError, match=r"a\.mp4: 0 threads to decode with; at least 1 is needed"):
        decode(sound, pts, threads=0)


@pytest.mark.parametrize(
    "sizes", [{}, {"short_side_px": 224}, {"short_side_px": 0, "luma_short_side_px": 96}]
)
@pytest.mark.parametrize(("height", "width"), [(16, 258), (258, 16)])
def test_a_picture_that_would_become_gigabytes_is_refused_before_it_is_scaled(
    tmp_path, monkeypatch, sizes, height, width
):
    path = encode(tmp_path / "a.mp4", count=3, height=height, width=width)
    monkeypatch.setattr(video_scaling.Scaler, "upright", None)
    with pytest.raises(
        RawFileError,
        match=rf"a\.mp4: the picture at pts 0 is {width} by {height} px; the limit is a long side 16 times the short",
    ):
        decode(path, read_video_table(path, "a.mp4").pts, **sizes)


def test_a_picture_sixteen_times_as_long_as_short_is_taken(tmp_path):
    path = encode(tmp_path / "a.mp4", count=3, height=16, width=256)
    assert len(decode(path, read_video_table(path, "a.mp4").pts, short_side_px=32)) == 3


def test_pictures_that_change_their_size_on_the_way_come_each_in_its_own(tmp_path):
    path = turning(tmp_path / "a.mp4", [(64, 96), (96, 64)])
    found = decode(path, read_video_table(path, "a.mp4").pts, luma_short_side_px=32)
    assert [frame.rgb.shape for frame in found.values()] == [(64, 96, 3)] * 10 + [(96, 64, 3)] * 10
    assert [frame.luma.shape for frame in found.values()] == [(32, 48)] * 10 + [(48, 32)] * 10


def turning(path, sizes):
    """Write ten frames of each size in one track, with the sizes in the stream itself."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        for part, (height, width) in enumerate(sizes):
            codec = stream.codec_context if part == 0 else av.CodecContext.create("libx264", "w")
            codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
            codec.time_base, codec.framerate, codec.options = Fraction(1, 30), Fraction(30), {"bf": "0"}
            packets = []
            for index in range(10 * part, 10 * part + 10):
                frame = av.VideoFrame.from_ndarray(picture(index, height, width), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 30)
                packets += codec.encode(frame)
            for packet in packets + codec.encode(None):
                packet.stream, packet.time_base = stream, Fraction(1, 30)
                container.mux(packet)
    return path


def test_a_film_damaged_from_its_first_frame_to_its_last_is_refused(sound, tmp_path):
    data = bytearray(sound.read_bytes())
    for packet in stored(sound):
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    (tmp_path / "b.mp4").write_bytes(data)
    with pytest.raises(
        RawFileError, match=r"a\.mp4: no frame decodes at pts 0 \(0\.000 s\), nor at any other of the 2"
    ):
        decode(tmp_path / "b.mp4", np.array([0, 512]))


def plain(path):
    """Yield what a decoder with one thread shows."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        stream.thread_type = "NONE"
        yield from container.decode(stream)


def check_both_paths(path):
    pts = read_video_table(path, "a.mp4").pts[::3]
    full, small = decode(path, pts), decode(path, pts, short_side_px=50, luma_short_side_px=30)
    frames = {frame.pts: frame for frame in plain(path) if frame.pts in full}
    assert list(full) == list(small) == list(frames) == pts.tolist()
    for stamp, frame in frames.items():
        turns = round(frame.rotation / 90) % 4
        np.testing.assert_array_equal(full[stamp].rgb, np.rot90(np.asarray(frame.to_image()), turns))
        size = video_scaling.scaled_size_px(frame.width, frame.height, 50)
        scaled = VideoReformatter().reformat(frame, *size, "rgb24", interpolation=video_scaling._SCALING)
        np.testing.assert_array_equal(small[stamp].rgb, np.rot90(scaled.to_ndarray(), turns))
        assert min(small[stamp].luma.shape) == 30
        assert not small[stamp].is_corrupt


@pytest.mark.parametrize("name", REAL)
def test_real_films_give_what_a_plain_decode_gives(real_data, name):
    check_both_paths(real_data / "video" / name)


@pytest.mark.parametrize(
    "shape",
    [
        {"height": 66, "width": 98},
        {"rate": Fraction(30000, 1001)},
        {"options": {"bf": "4"}},
        {"options": {"x264-params": "open-gop=1"}},
        {"height": 98, "width": 66},
    ],
    ids=str,
)
def test_generated_films_give_what_a_plain_decode_gives(tmp_path, shape):
    check_both_paths(encode(tmp_path / "a.mp4", count=30, **shape))


def test_luma_is_the_brightness_between_black_and_white(tmp_path):
    path = encode(tmp_path / "a.mp4", count=9)
    pts = read_video_table(path, "a.mp4").pts
    for frame in decode(path, pts, luma_short_side_px=64).values():
        grey = np.asarray(Image.fromarray(frame.rgb.copy()).convert("L"), float)
        assert frame.luma.shape == (64, 96)
        assert abs(frame.luma.mean() - grey.mean()) < 2


def test_facts_alone_need_no_colours(sound):
    pts = read_video_table(sound, "a.mp4").pts[:4]
    found = decode(sound, pts, short_side_px=0, luma_short_side_px=16)
    assert [frame.rgb for frame in found.values()] == [None] * 4
    assert {frame.luma.shape for frame in found.values()} == {(16, 24)}
    assert all(frame.luma is None for frame in decode(sound, pts).values())


def test_a_picture_as_decoded_loses_colour_detail_and_little_else():
    rgb = np.asarray(Image.fromarray(picture(0, 64, 96)).resize((192, 128), Image.Resampling.BICUBIC))
    back = as_decoded(rgb, None)
    assert back.shape == rgb.shape
    assert np.abs(back.astype(int).mean(axis=2) - rgb.mean(axis=2)).mean() < 12
    assert as_decoded(rgb, 50).shape == (50, 75, 3)
    with pytest.raises(ValueError, match="a picture of short side 0 px is none"):
        as_decoded(rgb, 0)


def test_versions_are_named():
    assert decoder_version().startswith(f"PyAV {av.__version__}, libavcodec ")
    assert scaler_version().startswith("libswscale ")
