"""Decoding ahead of an encoder: what comes out, what is held meanwhile, and what becomes of errors."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from sensorloom.embed import pipeline
from sensorloom.embed.cores import num_cores
from sensorloom.embed.errors import VectorError
from sensorloom.embed.facts import FactsCollector
from sensorloom.embed.frames import CameraFrames
from sensorloom.embed.pipeline import WAITING_BATCHES, Pipeline, embed_cameras
from sensorloom.embed.works import CameraWork, TakeWork
from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.video import DecodedFrame
from tests.embed.fake_encoder import PREPROCESS, SIZE_PX, FakeEncoder

LIMIT_S = 30.0
"""Longest that a test waits for another thread; only a fault reaches it."""


def picture(name, pts):
    seed = [*name.encode(), int(pts)]
    return np.random.default_rng(seed).integers(0, 256, (SIZE_PX, SIZE_PX, 3), np.uint8)


@dataclass
class Films:
    """Fake videos: their pictures are made of the file's name and the stamp. Counts what is decoded."""

    corrupt: dict[str, set[int]] = field(default_factory=dict)
    missing: dict[str, set[int]] = field(default_factory=dict)
    breaks: dict[str, tuple[int, Exception]] = field(default_factory=dict)
    on_frame: list = field(default_factory=list)
    decoded: int = 0
    asked: list = field(default_factory=list)
    threads: list = field(default_factory=list)
    turned: set[str] = field(default_factory=set)

    def decode(self, path, uri, pts, *, short_side_px=None, luma_short_side_px=None, threads=None):
        self.asked.append((uri, short_side_px, luma_short_side_px))
        self.threads.append(threads)
        stop_at, error = self.breaks.get(path.name, (None, None))
        for index, at in enumerate(pts.tolist()):
            if at == stop_at:
                raise error
            for listen in self.on_frame:
                listen(path.name, at)
            if at in self.missing.get(path.name, ()):
                continue
            self.decoded += 1
            rgb = picture(path.name, at) if short_side_px != 0 else None
            shape = (48, 36) if path.name in self.turned and index >= len(pts) // 2 else (36, 48)
            luma = None if luma_short_side_px is None else np.full(shape, at % 256, np.uint8)
            yield index, DecodedFrame(at, rgb, at in self.corrupt.get(path.name, ()), luma)


@pytest.fixture
def films(monkeypatch):
    films = Films()
    monkeypatch.setattr(pipeline, "decode_frames", films.decode)
    yield films
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode-")]


def camera(name, count, first=0):
    pts = np.arange(first, first + count, dtype=np.int64) * 3
    return CameraWork(CameraFrames(name, "exo", f"{name}.mp4", "448", (1, 30), pts), Path(f"/raw/{name}.mp4"))


def take(take_id, *cameras, vectors=True, facts=False):
    return TakeWork(take_id, cameras, wants_vectors=vectors, wants_facts=facts)


def run(works, encoder, **options):
    results = {}
    told = []
    Pipeline(works, encoder, "swscale", **options).run(
        lambda work, cameras: results.__setitem__(work.take_id, cameras), told.append
    )
    return results, sum(told)


def expected(name, pts):
    """The vectors of one picture at a time, normalised by hand."""
    encoder = FakeEncoder()
    rows = [encoder.encode_images(picture(f"{name}.mp4", at)[None]) for at in pts]
    raw = np.concatenate([np.zeros((0, 16), np.float32), *rows])
    norms = np.linalg.norm(raw.astype(np.float64), axis=1)
    return raw / norms[:, None], norms


def check(cameras):
    for made in cameras:
        vectors, norms = expected(made.frames.name, made.frames.pts)
        np.testing.assert_allclose(made.vectors, vectors, atol=1e-3)
        np.testing.assert_allclose(made.norms, norms, rtol=1e-5)
        assert made.valid.all()
        assert (made.vectors.dtype, made.norms.dtype) == (np.float16, np.float32)


@pytest.mark.parametrize("num_threads", [1, 2, 7])
def test_every_frame_gets_the_vector_of_its_picture(films, num_threads):
    works = [take("a", camera("a1", 21), camera("a2", 3), camera("a3", 0), camera("a4", 9)), take("b")]
    works += [take("c", camera("c1", 1)), take("d", camera("d1", 40), camera("d2", 40))]
    results, frames = run(works, FakeEncoder(), num_threads=num_threads)
    assert set(results) == {"a", "b", "c", "d"}
    assert [made.frames.name for made in results["a"]] == ["a1", "a2", "a3", "a4"]
    assert results["b"] == ()
    assert frames == films.decoded == 21 + 3 + 9 + 1 + 80
    for cameras in results.values():
        check(cameras)


@pytest.mark.parametrize("num_threads", [1, 5])
def test_batches_are_full_but_for_the_last_of_a_take_and_never_shared(films, num_threads):
    encoder = FakeEncoder()
    run(
        [take("a", camera("a1", 11), camera("a2", 8)), take("b", camera("b1", 5))],
        encoder,
        num_threads=num_threads,
    )
    rows = [("a1", 3 * at) for at in range(11)] + [("a2", 3 * at) for at in range(8)]
    wanted = [rows[:8], rows[8:16], rows[16:], [("b1", 3 * at) for at in range(5)]]
    given = {batch.tobytes() for batch in encoder.batches}
    assert given == {b"".join(picture(f"{name}.mp4", at).tobytes() for name, at in rows) for rows in wanted}
    assert len(encoder.batches) == 4


def test_frames_that_do_not_decode_soundly_are_masked_where_they_are(films):
    films.corrupt = {"a1.mp4": {9, 12}}
    films.missing = {"a1.mp4": {15}, "a2.mp4": {0}}
    encoder = FakeEncoder()
    results, frames = run([take("a", camera("a1", 20), camera("a2", 5), facts=True)], encoder)
    first, second = results["a"]
    assert np.flatnonzero(~first.valid).tolist() == [3, 4, 5]
    assert np.flatnonzero(~second.valid).tolist() == [0]
    assert not first.vectors[3:6].any()
    assert not first.norms[3:6].any()
    vectors, _ = expected("a1", first.frames.pts)
    np.testing.assert_allclose(first.vectors[first.valid], vectors[first.valid], atol=1e-3)
    assert np.flatnonzero(~first.facts.is_decoded).tolist() == [3, 4, 5]
    assert (frames, first.error) == (25, None)


def test_a_file_that_breaks_masks_the_rest_of_its_camera_alone(films):
    films.breaks = {
        "a1.mp4": (30, RawFileError("a1.mp4: cut")),
        "a2.mp4": (0, RawFileError("a2.mp4: no MP4")),
    }
    encoder = FakeEncoder()
    works = [take("a", camera("a1", 30), camera("a2", 30), camera("a3", 9), facts=True)]
    results, frames = run(works, encoder, num_threads=2)
    first, second, third = results["a"]
    assert np.flatnonzero(first.valid).tolist() == list(range(10))
    assert not second.valid.any()
    assert (first.error, second.error, third.error) == ("a1.mp4: cut", "a2.mp4: no MP4", None)
    check([third])
    assert frames == 69
    # Rows 16 to 55 have no picture, and no batch of them alone is encoded.
    assert len(encoder.batches) == 9 - 5


def test_facts_are_told_when_a_picture_is_shown(films, monkeypatch):
    told = []

    class Watched(FactsCollector):
        def push(self, row, luma, time_s):
            told.append((row, time_s))
            super().push(row, luma, time_s)

    monkeypatch.setattr(pipeline, "FactsCollector", Watched)
    films.missing = {"a1.mp4": {60 + 3}}
    run([take("a", camera("a1", 4, first=20), facts=True)], FakeEncoder())
    assert told == [(0, 2.0), (2, pytest.approx(2.2)), (3, pytest.approx(2.3))]


def test_a_camera_whose_pictures_change_their_shape_fails_nobody(films):
    films.turned = {"a1.mp4"}
    results, frames = run([take("a", camera("a1", 20), camera("a2", 9), facts=True)], FakeEncoder())
    check(results["a"])
    assert frames == 29
    assert [made.error for made in results["a"]] == [None, None]
    assert results["a"][0].facts.is_decoded.all()


@pytest.fixture
def cores(monkeypatch):
    """Make this a machine of 8 cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return monkeypatch


@pytest.mark.parametrize(("num_threads", "each"), [(1, 8), (3, 2), (8, 1), (20, 1), (None, 1)])
def test_decode_threads_share_the_cores(films, cores, num_threads, each):
    run([take("a", camera("a1", 3), camera("a2", 3))], FakeEncoder(), num_threads=num_threads)
    assert films.threads == [each] * 2


def test_the_cameras_of_one_take_share_the_cores_and_a_lone_one_has_all(films, cores):
    begun = []

    class Watched(Pipeline):
        def __init__(self, *args, num_threads):
            begun.append(num_threads)
            super().__init__(*args, num_threads=num_threads)

    cores.setattr(pipeline, "Pipeline", Watched)
    for count, each in ((1, 8), (2, 4), (5, 1), (20, 1)):
        films.threads.clear()
        cameras = [camera(f"a{index}", 3) for index in range(count)]
        embed_cameras(cameras, FakeEncoder(), "swscale", wants_facts=False)
        assert films.threads == [each] * count
    assert begun == [1, 2, 5, 8]


@pytest.mark.parametrize(
    ("limit", "found"),
    [(None, 8), ("1", 1), ("3", 3), ("4,2", 4), ("64", 8), ("0", 1), ("", 8), ("many", 8), ("-1", 8)],
)
def test_a_worker_of_one_thread_decodes_with_one(cores, limit, found):
    if limit is not None:
        cores.setenv("OMP_NUM_THREADS", limit)
    assert num_cores() == found


def test_where_a_process_cannot_be_bound_all_cores_are_its(cores):
    cores.delattr(os, "sched_getaffinity")
    cores.setattr(os, "cpu_count", lambda: 5)
    assert num_cores() == 5


def test_facts_alone_need_neither_encoder_nor_colours(films):
    results, frames = run([take("a", camera("a1", 100), vectors=False, facts=True)], None)
    (made,) = results["a"]
    assert frames == 100
    assert made.valid.all()
    assert made.vectors.shape == (100, 0)
    assert len(made.facts.brightness) == 100
    assert films.asked == [("a1.mp4", 0, pipeline.LUMA_SHORT_SIDE_PX)]


def test_vectors_alone_take_no_small_pictures(films):
    (made,) = embed_cameras([camera("a1", 3)], FakeEncoder(), "swscale", wants_facts=False)
    check([made])
    assert made.facts is None
    assert films.asked == [("a1.mp4", pipeline.decode_px(PREPROCESS, "swscale"), None)]
    assert repr(made) == "CameraVectors(a1, [3, 16], 3 valid)"


def test_the_next_take_is_decoded_while_this_one_is_encoded(films):
    began = threading.Event()
    films.on_frame = [lambda name, _: began.set() if name == "b1.mp4" else None]
    encoder = FakeEncoder(before=lambda number: number or began.wait(LIMIT_S))
    results, _ = run([take("a", camera("a1", 8)), take("b", camera("b1", 8))], encoder, num_threads=1)
    assert began.is_set()
    assert set(results) == {"a", "b"}


def test_what_is_held_does_not_grow_with_the_videos(films):
    """An encoder slower than the decoders: they pause, whatever there is left."""
    encoded, most = 0, 0

    def held(*_):
        nonlocal most
        most = max(most, films.decoded - encoded)

    def count(number):
        nonlocal encoded
        encoded = 4 * number

    films.on_frame = [held]
    works = (take(f"t{index}", camera(f"c{index}", 400), camera(f"d{index}", 3)) for index in range(4))
    run(works, FakeEncoder(batch_size=4, before=count), num_threads=2)
    # Those that wait, those that two threads fill and have just filled, the one being encoded, and ends of cameras.
    assert most <= 4 * (WAITING_BATCHES + 2 + 2 + 1 + 2)
    assert most >= 4 * WAITING_BATCHES


def test_takes_are_drawn_as_threads_become_free(films):
    drawn = []

    def works():
        for index in range(50):
            drawn.append(index)
            yield take(f"t{index}", camera(f"c{index}", 8))

    seen = []
    encoder = FakeEncoder(before=lambda number: seen.append(len(drawn) - number))
    run(works(), encoder, num_threads=2)
    assert len(drawn) == 50
    assert max(seen) <= WAITING_BATCHES + 2 + 2


@pytest.mark.parametrize("error", [ValueError("a fault"), MemoryError("none left")])
def test_an_error_in_a_decode_thread_is_raised_and_ends_the_run(films, error):
    films.breaks = {"b1.mp4": (60, error)}
    works = [take("a", camera("a1", 500)), take("b", camera("b1", 500)), take("c", camera("c1", 500))]
    with pytest.raises(type(error), match=str(error)) as raised:
        run(works, FakeEncoder(), num_threads=2)
    assert raised.value.__notes__[-1] == "while camera b1 of take b was decoded: /raw/b1.mp4"


@pytest.mark.parametrize("error", [VectorError("nan"), KeyboardInterrupt()])
def test_an_error_of_the_encoder_stops_the_threads(films, error):
    def fail(number):
        if number == 3:
            raise error

    with pytest.raises(type(error)):
        run(
            [take("a", camera("a1", 5000)), take("b", camera("b1", 5000))],
            FakeEncoder(before=fail),
            num_threads=3,
        )
    assert films.decoded < 1000


def test_an_error_of_a_callback_or_of_the_takes_is_raised(films):
    def works():
        yield take("a", camera("a1", 5))
        raise RuntimeError("no more takes")

    with pytest.raises(RuntimeError, match="no more takes"):
        run(works(), FakeEncoder(), num_threads=2)

    def refuse(work, cameras):
        raise RuntimeError(f"{work.take_id} cannot be written")

    with pytest.raises(RuntimeError, match="a cannot be written"):
        Pipeline([take("a", camera("a1", 5))], FakeEncoder(), "swscale").run(refuse)


def test_vectors_that_are_not_finite_are_never_given(films, monkeypatch):
    encoder = FakeEncoder()
    monkeypatch.setattr(
        encoder, "encode_images", lambda pixels: np.full((len(pixels), 16), np.nan, np.float32)
    )
    with pytest.raises(VectorError, match="a: frames 0 to 4"):
        run([take("a", camera("a1", 5))], encoder)


def test_vectors_without_an_encoder_are_a_mistake(films):
    with pytest.raises(ValueError, match="a: vectors are wanted, and there is no encoder"):
        run([take("a", camera("a1", 5))], None)
