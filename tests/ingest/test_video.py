"""Frames by presentation time, against a plain one-threaded decode; and every way a file can be broken."""

from __future__ import annotations

import contextlib
import io
import struct
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from sensorloom.ingest import mp4, video
from sensorloom.ingest.checks_video import video_findings
from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.miniature.video import Encoding, write_video
from sensorloom.ingest.video import decode_frames, read_video_table

REAL = {"h264_10bits.mp4": 30, "h265_video.mp4": 10, "nasa_13013.mp4": 390}
F = 60


def pictures(count=F, height=48, width=64):
    """A bright square that wanders over a ramp: no two pictures are alike."""
    ramp = np.broadcast_to(np.linspace(0, 120, width).astype(np.uint8)[None, :, None], (height, width, 3))
    for index in range(count):
        picture = ramp.copy()
        picture[8:24, index % 40 : index % 40 + 12] = (250, 200, 3 * index % 256)
        yield picture


def times_ns(count=F, start_ns=0):
    return start_ns + np.arange(count, dtype=np.int64) * 10**9 // 30


PLAIN = Encoding()


def written(path, times=None, encoding=PLAIN, **shape):
    times = times_ns() if times is None else times
    with path.open("wb") as file:
        write_video(file, pictures(len(times), **shape), times, encoding)
    return path


def remuxed(path, out, change):
    """Copy a file packet by packet; `change(index, packet)` alters one, and drops it by returning False."""
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for index, packet in enumerate(source.demux(video=0)):
            if packet.size and change(index, packet) is not False:
                packet.stream = stream
                target.mux(packet)
    return out


def plain_decode(path):
    """What a decoder with one thread yields, by pts: FFmpeg's own word for what the file shows."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        stream.thread_type = "NONE"
        frames = {}
        for packet in container.demux(stream):
            with contextlib.suppress(av.FFmpegError):
                frames |= {frame.pts: frame.to_ndarray(format="rgb24") for frame in packet.decode()}
        return frames


def read(path):
    return read_video_table(path, "take/cam01.mp4")


@pytest.mark.parametrize("name", REAL)
def test_the_table_of_a_real_file_is_what_decoding_it_yields(real_data, name):
    path = real_data / "video" / name
    table, frames = read(path), plain_decode(path)
    assert table.pts.tolist() == list(frames)
    assert table.num_frames == table.expected_frames == REAL[name]
    assert (table.height_px, table.width_px, 3) == next(iter(frames.values())).shape
    assert video_findings(table, "take#cam01") == ()


def test_of_two_video_streams_ffmpegs_choice_is_read(real_data):
    table = read(real_data / "video" / "nasa_13013.mp4")
    assert (table.width_px, table.height_px, table.codec) == (480, 270, "h264")
    assert table.time_base == (1, 30000)
    assert table.times_ns[:3].tolist() == [0, 33_366_667, 66_733_333]


@pytest.mark.parametrize("name", REAL)
def test_frames_by_pts_are_those_of_a_plain_decode(real_data, name):
    path = real_data / "video" / name
    frames = plain_decode(path)
    chosen = np.sort(np.random.default_rng(3).choice(list(frames), len(frames) // 3, replace=False))
    found = list(decode_frames(path, name, chosen))
    assert [index for index, _ in found] == list(range(len(chosen)))
    for pts, (_, frame) in zip(chosen.tolist(), found, strict=True):
        assert frame.pts == pts
        np.testing.assert_array_equal(frame.rgb, frames[pts])


def test_b_frames_come_in_the_order_shown(tmp_path):
    path = written(tmp_path / "a.mp4")
    with av.open(str(path)) as container:
        stored = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert stored != sorted(stored)
    assert read(path).pts.tolist() == sorted(stored)


@pytest.mark.parametrize("start_ns", [0, 12_345_678_900, 86_400 * 10**9])
def test_a_start_offset_is_kept(tmp_path, start_ns):
    table = read(written(tmp_path / "a.mp4", times_ns(start_ns=start_ns)))
    assert np.abs(table.times_ns - times_ns(start_ns=start_ns)).max() <= 10**9 / 30_000 / 2 + 1


def test_uneven_times_are_kept(tmp_path):
    steps = np.random.default_rng(1).integers(1, 90, F) * 1_000_000
    times = np.cumsum(steps)
    table = read(written(tmp_path / "a.mp4", times))
    np.testing.assert_array_equal(table.times_ns, times)  # whole milliseconds are whole ticks of 1/30000 s


@pytest.mark.parametrize("ticks_per_s", [1024, 12_800, 30_000, 90_000])
def test_nanoseconds_are_exact_with_halves_up(tmp_path, ticks_per_s):
    pts = np.cumsum(np.random.default_rng(2).integers(1, 5000, F)) + 10**9
    times = -(-pts * 10**9 // ticks_per_s)  # up, so that the writer rounds back to these ticks
    table = read(written(tmp_path / "a.mp4", times, Encoding(ticks_per_s=ticks_per_s)))
    num, den = table.time_base
    exact = [Fraction(int(stamp) * num * 10**9, den) for stamp in table.pts]
    assert [Fraction(int(stamp), ticks_per_s) for stamp in pts] == [value / 10**9 for value in exact]
    assert table.times_ns.tolist() == [(value + Fraction(1, 2)).__floor__() for value in exact]


def test_a_file_cut_after_its_index_gives_what_is_there(tmp_path):
    path = written(tmp_path / "a.mp4", encoding=Encoding(index_first=True))
    whole = path.read_bytes()
    before = read(path)
    assert (before.num_frames, before.lost_frames, before.missing_bytes) == (F, 0, 0)
    missing = (len(whole) - whole.index(b"mdat")) // 3
    path.write_bytes(whole[:-missing])
    table = read(path)
    assert (table.missing_bytes, table.expected_frames) == (missing, F)
    assert 0 < table.num_frames < F
    assert set(table.pts) < set(before.pts)
    assert [frame.pts for _, frame in decode_frames(path, "a", table.pts)] == table.pts.tolist()
    (finding,) = video_findings(table, "take#cam01")
    assert finding.rule == "video-cut"
    assert finding.numbers == {"lost_frames": F - table.num_frames, "missing_bytes": missing}
    assert "take/cam01.mp4" in finding.sentence


def test_what_an_edit_list_discards_is_no_frame(tmp_path):
    """Frames before 0 are stored, for those after them to be built on, and never shown."""

    def earlier(index, packet):
        packet.pts, packet.dts = packet.pts - 20_000, packet.dts - 20_000

    path = remuxed(written(tmp_path / "a.mp4"), tmp_path / "b.mp4", earlier)
    table = read(path)
    assert table.pts.tolist() == list(plain_decode(path))
    assert table.num_frames == table.expected_frames == F - 20


def test_frames_before_the_first_that_decodes_are_counted_out(tmp_path):
    source = written(tmp_path / "a.mp4", encoding=Encoding(keyframe_every=24))
    path = remuxed(source, tmp_path / "b.mp4", lambda index, _: index > 0)
    table = read(path)
    assert table.pts.tolist() == list(plain_decode(path))
    assert (table.num_frames, table.undecodable_frames) == (F - 24, 23)
    (finding,) = video_findings(table, "take#cam01")
    assert (finding.rule, finding.numbers) == ("undecodable-frames", {"frames": 23})


def test_frames_at_one_time_are_one_frame(tmp_path):
    pts = {}

    def onto_the_one_before(index, packet):
        pts[index] = packet.pts
        if index == 12:
            packet.pts = pts[11]

    path = remuxed(written(tmp_path / "a.mp4"), tmp_path / "b.mp4", onto_the_one_before)
    table = read(path)
    assert (np.diff(table.pts) > 0).all()
    assert (table.num_frames, table.repeated_frames, table.expected_frames) == (F - 1, 1, F)
    (finding,) = video_findings(table, "take#cam01")
    assert (finding.rule, finding.numbers) == ("repeated-frames", {"frames": 1})
    assert [frame.pts for _, frame in decode_frames(path, "a", table.pts)] == table.pts.tolist()


def test_a_turned_picture_is_set_upright(tmp_path):
    """The matrix that a phone held upright writes: x' = -y, y' = x, a quarter turn with the clock."""
    path = written(tmp_path / "a.mp4")
    stored = plain_decode(path)[0]
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    assert struct.unpack_from(">9i", data, matrix) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, matrix, 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    table = read(path)
    assert (table.width_px, table.height_px) == (48, 64)
    _, frame = next(decode_frames(path, "a", table.pts[:1]))
    np.testing.assert_array_equal(frame.rgb, np.rot90(stored, -1))
    _, small = next(decode_frames(path, "a", table.pts[:1], short_side_px=24, luma_short_side_px=12))
    assert (small.rgb.shape, small.luma.shape) == ((32, 24, 3), (16, 12))
    assert np.abs(small.rgb - frame.rgb.reshape(32, 2, 24, 2, 3).mean(axis=(1, 3))).mean() < 3


@pytest.mark.parametrize("short_side_px", [24, 48, 63, 100])
def test_pictures_are_scaled_by_their_short_side(tmp_path, short_side_px):
    """Enlarged too: a tower needs its size. The long side is rounded down."""
    path = written(tmp_path / "a.mp4", width=70)
    pts = read(path).pts[::20]
    scaled = [frame.rgb for _, frame in decode_frames(path, "a", pts, short_side_px=short_side_px)]
    full = [frame.rgb for _, frame in decode_frames(path, "a", pts)]
    for found, picture in zip(scaled, full, strict=True):
        assert found.shape == (short_side_px, short_side_px * 70 // 48, 3)
        by_pillow = Image.fromarray(picture.copy()).resize(found.shape[1::-1], Image.Resampling.BICUBIC)
        assert np.abs(found.astype(int) - np.asarray(by_pillow)).mean() < 3


def test_no_times_need_no_decoding(tmp_path):
    assert list(decode_frames(tmp_path / "absent.mp4", "a", np.empty(0, np.int64))) == []


def test_times_to_decode_must_increase(tmp_path):
    with pytest.raises(ValueError, match=r"a\.mp4: the pts to decode must increase strictly"):
        next(decode_frames(written(tmp_path / "a.mp4"), "a.mp4", np.array([0, 0])))
    with pytest.raises(TypeError, match="pts must be int64, got float64"):
        next(decode_frames(tmp_path / "a.mp4", "a.mp4", np.array([0.5])))


@pytest.mark.parametrize("wanted", [-1000, 1500, 60_000])
def test_times_that_no_frame_has_are_left_out_unless_they_are_all(tmp_path, wanted):
    path = written(tmp_path / "a.mp4")
    asked = np.sort(np.array([0, 10_000, wanted]))
    found = list(decode_frames(path, "a.mp4", asked))
    assert [frame.pts for _, frame in found] == [0, 10_000]
    assert asked[[index for index, _ in found]].tolist() == [0, 10_000]
    with pytest.raises(
        RawFileError,
        match=rf"a\.mp4: no frame decodes at pts {wanted} \({wanted / 30000:.3f} s\), nor at any other of the 1",
    ):
        list(decode_frames(path, "a.mp4", np.array([wanted])))


def zero_frames(path):
    with path.open("wb") as file:
        write_video(file, [], np.empty(0, np.int64))


def audio_only(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.rate, sound.pts = 16000, 0
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))


def cut_in_the_middle(path):
    data = written(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])


def cut_in_the_index(path):
    data = written(path, encoding=Encoding(index_first=True)).read_bytes()
    path.write_bytes(data[: data.index(b"stts")])


def no_index(path):
    path.write_bytes(written(path).read_bytes().replace(b"moov", b"free"))


def all_zero(path):
    data = bytearray(written(path).read_bytes())
    start = data.index(b"mdat") + 4
    stop = data.index(b"moov") - 4
    data[start:stop] = bytes(stop - start)
    path.write_bytes(data)


def spoilt_index(path):
    data = written(path).read_bytes()
    start = data.index(b"moov") + 4
    path.write_bytes(data[:start] + b"\xff" * (len(data) - start))


def spoilt_sizes(path):
    data = bytearray(written(path).read_bytes())
    start = data.index(b"stts") + 8  # how many entries it has
    data[start : start + 4] = b"\xff" * 4
    path.write_bytes(data)


def unknown_codec(path):
    path.write_bytes(written(path).read_bytes().replace(b"avc1", b"qqqq"))


def far_away(path):
    written(path, times_ns(start_ns=5 * 10**18))


BROKEN = {
    zero_frames: r"has a video stream \(h264\) and no frames; download it again",
    audio_only: r"has no video stream \(streams: audio\)",
    cut_in_the_middle: r"no whole moov box in \d+ bytes\): the file is cut \d+ bytes before its end",
    cut_in_the_index: r"no whole moov box .* cut \d+ bytes before its end",
    no_index: r"no whole moov box in \d+ bytes\): the file is incomplete and nothing of it can be read",
    all_zero: r"none of the 60 video frames \(h264\) that it names can be decoded; download it again",
    spoilt_index: r"has no video stream \(streams: none\)",
    spoilt_sizes: r"FFmpeg cannot read it: .*; download it again",
    unknown_codec: r"its video stream is of a codec that this FFmpeg cannot decode",
    far_away: r"a frame at pts 150000000000000 of 1/30000 s each lies beyond 4000000000 s",
    lambda path: path.write_bytes(b""): r"is empty; download it again",
    lambda path: path.write_bytes(
        b"<html>404</html>" * 99
    ): r"is not an MP4: no box of that format at its start",
    lambda path: path.write_bytes(b"MP4"): r"is not an MP4",
    lambda path: path.mkdir(): r"cannot be read: Is a directory",
    lambda path: None: r"cannot be read: No such file or directory",
}


@pytest.mark.parametrize(("spoil", "message"), BROKEN.items(), ids=range(len(BROKEN)))
def test_what_cannot_be_read_is_told(tmp_path, spoil, message):
    path = tmp_path / "a.mp4"
    spoil(path)
    with pytest.raises(RawFileError, match=rf"^take/cam01\.mp4: (.*){message}"):
        read(path)


def test_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 16
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic.value
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate, frame.pts = 16000, 0
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24").reformat(
            format="yuvj420p"
        )
        container.mux(
            [*sound.encode(frame), *cover.encode(picture), *sound.encode(None), *cover.encode(None)]
        )
    with pytest.raises(RawFileError, match="has no video stream"):
        read(path)


def test_only_mp4_is_tried(tmp_path):
    """A playlist that names other files, or another container, is refused before FFmpeg sees it."""
    other = tmp_path / "a.mp4"
    other.write_bytes(b"ffconcat version 1.0\nfile /etc/passwd\n")
    with pytest.raises(RawFileError, match="is not an MP4"):
        read(other)


def test_a_length_beyond_all_sense_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "_MOST_FRAMES", F - 1)
    with pytest.raises(RawFileError, match=r"claims 60 frames; the limit is 59, a day at 240 frames/s"):
        read(written(tmp_path / "a.mp4"))


def test_a_size_beyond_all_sense_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "_LONGEST_SIDE_PX", 63)
    with pytest.raises(RawFileError, match=r"frames of 64 by 48 px; the limit is 63 px a side"):
        read(written(tmp_path / "a.mp4"))


def test_a_frame_without_a_time_is_refused(tmp_path, monkeypatch):
    """FFmpeg's MP4 reader always tells a time today; were it not to, nothing may be made up."""
    with av.open(str(written(tmp_path / "a.mp4"))) as container:
        untimed = SimpleNamespace(pts=None, size=9, is_corrupt=False, decode=list)
        stand_in = SimpleNamespace(streams=container.streams, demux=lambda stream: iter([untimed]))
        monkeypatch.setattr(video.av, "open", lambda *_, **__: contextlib.nullcontext(stand_in))
        with pytest.raises(RawFileError, match="frame 0 in stored order has no presentation time"):
            read(tmp_path / "a.mp4")


def test_a_file_of_tiny_boxes_is_not_walked_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(mp4, "_MOST_BOXES", 100)
    path = tmp_path / "a.mp4"
    path.write_bytes(struct.pack(">I4s", 8, b"free") * 101)
    with pytest.raises(RawFileError, match="has more than 100 boxes, as no camera writes"):
        read(path)


@pytest.mark.parametrize(
    "tail", [b"", b"\0" * 5000, b"\0\0", struct.pack(">I4s", 0, b"free") + b"junk"], ids=range(4)
)
def test_what_follows_the_last_sound_box_does_not_matter(tmp_path, tail):
    path = written(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes() + tail)
    table = read(path)
    assert (table.num_frames, table.missing_bytes) == (F, 0)


def test_boxes_with_long_lengths_are_walked(tmp_path):
    path = written(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes() + struct.pack(">I4sQ", 1, b"free", 16 + 3_000_000_000))
    assert read(path).missing_bytes == 3_000_000_000


def test_an_index_that_runs_to_the_end_of_the_file_is_whole(tmp_path):
    path = written(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    start = data.index(b"moov") - 4
    data[start : start + 4] = bytes(4)  # length 0: up to the end
    path.write_bytes(data)
    assert read(path).num_frames == F


def test_tags_that_are_no_text_do_not_matter(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(written(path))) as source, av.open(str(tmp_path / "b.mp4"), "w") as target:
        target.metadata["title"] = "ABCD"
        target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = target.streams.video[0]
                target.mux(packet)
    (tmp_path / "b.mp4").write_bytes((tmp_path / "b.mp4").read_bytes().replace(b"ABCD", b"A\xff\xfeD"))
    assert read(tmp_path / "b.mp4").num_frames == F


def test_a_table_shows_itself_briefly(tmp_path):
    assert (
        repr(read(written(tmp_path / "a.mp4")))
        == "VideoTable(take/cam01.mp4, 60 of 60 frames, h264, 64 by 48 px)"
    )
    buffer = io.BytesIO()
    write_video(buffer, pictures(3), times_ns(3))
    assert buffer.getvalue()[4:8] == b"ftyp"
