"""Generated MP4 files, read back with plain PyAV: what cameras write, the same bytes every time."""

from __future__ import annotations

import hashlib
import io

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from sensorloom.ingest.miniature.scene import Camera, render_view
from sensorloom.ingest.miniature.video import Encoding, write_video

F = 45
PLAIN = Encoding()
TIMES_NS = np.arange(F, dtype=np.int64) * 10**9 // 30


@pytest.fixture(scope="module")
def pictures():
    turn = np.cumsum(np.full(F, 0.01))
    return list(render_view(Camera(448, 448, 300.0), turn, turn / 2, turn / 4, "test"))


def encoded(pictures, times_ns=TIMES_NS, encoding=PLAIN):
    buffer = io.BytesIO()
    write_video(buffer, pictures, times_ns, encoding)
    return buffer.getvalue()


def opened(data):
    return av.open(io.BytesIO(data))


def test_it_is_h264_in_mp4_with_b_frames(pictures):
    with opened(encoded(pictures)) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.frames) == (448, 448, F)
        assert stream.average_rate == 30
        kinds = [PictureType(frame.pict_type).name for frame in container.decode(video=0)]
    assert len(kinds) == F
    assert kinds.count("B") >= F // 2
    assert kinds[0] == "I"


def test_pictures_come_back_nearly_as_they_were(pictures):
    with opened(encoded(pictures)) as container:
        for frame, picture in zip(container.decode(video=0), pictures, strict=True):
            error = frame.to_ndarray(format="rgb24").astype(float) - picture
            assert np.sqrt(np.mean(error**2)) < 4


def test_the_same_pictures_give_the_same_bytes(pictures):
    """Also with other things in memory: x264's mbtree read what nobody wrote, and differed one time in three."""
    rng = np.random.default_rng(4)
    digests = set()
    for _ in range(12):
        clutter = [rng.integers(0, 256, int(size), np.uint8) for size in rng.integers(1000, 3_000_000, 10)]
        digests.add(hashlib.sha256(encoded(pictures[:20], TIMES_NS[:20])).hexdigest())
        del clutter
    assert len(digests) == 1


def test_nothing_in_the_file_tells_when_or_by_which_release_it_was_made(pictures):
    data = encoded(pictures[:3], TIMES_NS[:3])
    created = data.index(b"mvhd") + 8
    assert data[created : created + 8] == bytes(8)  # creation and modification time
    with opened(data) as container:
        assert not {"creation_time", "encoder"} & {*container.metadata, *container.streams.video[0].metadata}


@pytest.mark.parametrize("start_ns", [0, 33_333_333, 284_324_000_000])
@pytest.mark.parametrize("index_first", [False, True])
def test_a_start_offset_is_kept_to_the_tick(pictures, start_ns, index_first):
    data = encoded(pictures, TIMES_NS + start_ns, Encoding(index_first=index_first))
    with opened(data) as container:
        assert container.streams.video[0].time_base.denominator == 30_000
        stamps = sorted(packet.pts for packet in container.demux(video=0) if packet.size)
    assert stamps == [round((int(time) + start_ns) * 3 / 100_000) for time in TIMES_NS]
    assert (data.index(b"moov") < data.index(b"mdat")) == index_first


def test_keyframes_come_as_often_as_asked(pictures):
    with opened(encoded(pictures, encoding=Encoding(keyframe_every=15))) as container:
        keys = [packet.pts for packet in container.demux(video=0) if packet.is_keyframe and packet.size]
    assert keys == [0, 15_000, 30_000]


def test_a_higher_crf_makes_a_smaller_file(pictures):
    sizes = [len(encoded(pictures, encoding=Encoding(crf=crf))) for crf in (24, 30, 36)]
    assert sizes == sorted(sizes, reverse=True)


def test_no_frames_give_a_track_of_no_frames():
    with opened(encoded([], np.empty(0, np.int64))) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert [packet for packet in container.demux(video=0) if packet.size] == []


@pytest.mark.parametrize("times_ns", [[0, 0], [5, 0], [0, 10_000]])
def test_times_that_are_not_ticks_in_order_are_refused(pictures, times_ns):
    with pytest.raises(ValueError, match=r"frame times must be different ticks of 1/30000 s, in order"):
        encoded(pictures[:2], np.array(times_ns))


@pytest.mark.parametrize(("frames", "times"), [(2, 3), (3, 2)])
def test_a_time_for_each_frame_is_needed(pictures, frames, times):
    with pytest.raises(ValueError, match="zip"):
        encoded(pictures[:frames], TIMES_NS[:times])


def test_a_clip_of_20_s_stays_small(pictures):
    turning = [pictures[abs(index % 88 - 44)] for index in range(600)]
    assert len(encoded(turning, np.arange(600) * 10**9 // 30)) < 700_000
