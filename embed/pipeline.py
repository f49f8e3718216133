"""From video files to vectors and frame facts: threads decode ahead, the caller's thread encodes.

Every decode thread takes the next camera of the first take that has one left, and draws the next take when there is
none, so that files are decoded side by side within a take and across its end. A complete batch waits for the encoder
among about `WAITING_BATCHES`; a thread that finds as many there pauses before its next batch. What is held is therefore
bounded, whatever the length of the videos: those, one batch for each thread, one for each end of a camera inside a
batch, and a decoder for each thread, which takes 0.1 GB and 0.02 GB for each thread of its codec with H.264 of 4K; all
codecs together run about one thread a core. Only the vectors themselves grow with the takes that are under way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorloom.embed.batches import Batch
from sensorloom.embed.cores import num_cores
from sensorloom.embed.encoder import Encoder
from sensorloom.embed.facts import LUMA_SHORT_SIDE_PX, FactsCollector
from sensorloom.embed.preprocess import ResizeBackend, decode_px, to_tower
from sensorloom.embed.vectors import normalise
from sensorloom.embed.works import CameraVectors, CameraWork, RunningTake, TakeWork
from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.video import DecodedFrame, decode_frames

__all__ = ["WAITING_BATCHES", "Pipeline", "embed_cameras"]

WAITING_BATCHES = 4
"""Complete batches that wait for the encoder when decoding pauses."""
_FRAMES_TOLD = 32
"""Frames between two reports of progress where nothing is encoded."""


def embed_cameras(
    cameras: Sequence[CameraWork],
    encoder: Encoder | None,
    backend: ResizeBackend,
    *,
    wants_facts: bool,
    on_frames: Callable[[int], None] | None = None,
) -> tuple[CameraVectors, ...]:
    """Embed the cameras of one take, decoded side by side; without an encoder make their facts alone.

    Raises what `Pipeline.run` does.
    """
    made: list[tuple[CameraVectors, ...]] = []
    take = TakeWork("take", tuple(cameras), wants_vectors=encoder is not None, wants_facts=wants_facts)
    pipeline = Pipeline([take], encoder, backend, num_threads=max(1, min(num_cores(), len(cameras))))
    pipeline.run(lambda _, result: made.append(result), on_frames)
    return made[0]


@dataclass(frozen=True, slots=True)
class _Event:
    """What a decode thread tells the caller's: a complete batch, or frames that need no encoder, or a camera's end."""

    take: RunningTake
    batch: Batch | None = None
    frames: int = 0
    ends_camera: bool = False


@dataclass(slots=True)
class _Cursor:
    """Where a thread stands in its camera's rows of a take: all before `settled` are done with."""

    take: RunningTake
    camera: int
    settled: int
    batch: Batch | None = None


class _Stopped(BaseException):
    """The caller's thread wants no more."""


class Pipeline:
    """One pass over the cameras of any number of takes.

    `works` is drawn from when a thread is free, in a decode thread, one at a time: it may look into files itself.
    `encoder` may be None where no take wants vectors. `num_threads` decode threads, by default one for each core, share
    the cores: each film is decoded by as many threads as cores fall to it. So name fewer where there are fewer cameras.
    """

    def __init__(
        self,
        works: Iterable[TakeWork],
        encoder: Encoder | None,
        backend: ResizeBackend,
        *,
        num_threads: int | None = None,
    ) -> None:
        num_threads = num_threads or num_cores()
        self._codec_threads = max(1, num_cores() // num_threads)
        self._works = iter(works)
        self._encoder = encoder
        self._backend = backend
        self._drawing = threading.Lock()
        self._cameras: deque[_Cursor] = deque()
        self._changed = threading.Condition()
        # What follows, and the batches of takes, only with `_changed` held.
        self._events: deque[_Event] = deque()
        self._waiting = 0
        self._alive = num_threads
        self._is_stopped = False
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"decode-{index}") for index in range(num_threads)
        ]

    def run(
        self,
        on_take: Callable[[TakeWork, tuple[CameraVectors, ...]], None],
        on_frames: Callable[[int], None] | None = None,
    ) -> None:
        """Decode and encode everything; call `on_take` when a take is complete, in no certain order.

        A video that cannot be read masks its camera. Any other error, of a thread, the encoder or a callback, ends the
        run and is raised here. No thread outlives the call.
        """
        try:
            for thread in self._threads:
                thread.start()
            for event in self._told():
                take = event.take
                frames = event.frames if event.batch is None else self._encode(take, event.batch)
                take.rows_left -= frames
                take.cameras_left -= event.ends_camera
                if frames and on_frames is not None:
                    on_frames(frames)
                if take.is_complete:
                    on_take(take.work, take.result())
        finally:
            self._stop()

    def _told(self) -> Iterator[_Event]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._events or self._failure or not self._alive)
                if self._failure is not None:
                    raise self._failure
                if not self._events:
                    return
                event = self._events.popleft()
                if event.batch is not None and event.batch.pixels is not None:
                    self._waiting -= 1
                    self._changed.notify_all()
            yield event

    def _encode(self, take: RunningTake, batch: Batch) -> int:
        """Encode the pictures of a batch, keep them in the take's arrays, return how many rows the batch has."""
        count = len(batch.is_there)
        if batch.pixels is not None and self._encoder is not None:
            raw = self._encoder.encode_images(batch.pixels)
            what = f"{take.work.take_id}: frames {batch.first} to {batch.first + count - 1}"
            rows = batch.first + np.flatnonzero(batch.is_there)
            dim = self._encoder.identity.dim
            take.vectors[rows], take.norms[rows] = normalise(raw[batch.is_there], dim=dim, what=what)
        return count

    def _stop(self) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    # Everything below runs in the decode threads.

    def _work(self) -> None:
        try:
            while (cursor := self._next_camera()) is not None:
                self._decode(cursor)
        except _Stopped:
            pass
        except BaseException as error:  # raised again in the caller's thread
            with self._changed:
                self._failure = self._failure or error
        finally:
            with self._changed:
                self._alive -= 1
                self._changed.notify_all()

    def _next_camera(self) -> _Cursor | None:
        self._wait_for_room()
        with self._drawing:
            while not self._cameras:
                self._check_stopped()
                work = next(self._works, None)
                if work is None:
                    return None
                self._begin(work)
            return self._cameras.popleft()

    def _begin(self, work: TakeWork) -> None:
        if self._encoder is None and work.wants_vectors:
            raise ValueError(f"{work.take_id}: vectors are wanted, and there is no encoder")
        size, dim = (
            (1, 0) if self._encoder is None else (self._encoder.batch_size, self._encoder.identity.dim)
        )
        take = RunningTake.begin(work, size, dim)
        self._cameras.extend(_Cursor(take, index, take.firsts[index]) for index in range(len(work.cameras)))
        if not work.cameras:
            self._tell(_Event(take))

    def _decode(self, cursor: _Cursor) -> None:
        """Decode the frames of one camera, and tell of its end."""
        take, work = cursor.take, cursor.take.work
        camera = work.cameras[cursor.camera]
        first, stop = take.firsts[cursor.camera], take.firsts[cursor.camera + 1]
        facts = FactsCollector() if work.wants_facts else None
        try:
            for row, frame in self._frames(work, camera):
                self._check_stopped()
                if frame.is_corrupt:
                    continue
                take.valid[first + row] = True
                if facts is not None and frame.luma is not None:
                    facts.push(row, frame.luma, camera.frames.seconds(row))
                self._take_up(cursor, first + row, frame)
        except RawFileError as error:
            take.errors[cursor.camera] = str(error)
        except Exception as error:
            error.add_note(
                f"while camera {camera.frames.name} of take {work.take_id} was decoded: {camera.path}"
            )
            raise
        if facts is not None:
            take.facts[cursor.camera] = facts.finish(stop - first)
        self._settle(cursor, stop)
        self._tell(_Event(take, ends_camera=True))

    def _frames(self, work: TakeWork, camera: CameraWork) -> Iterator[tuple[int, DecodedFrame]]:
        short_side_px: int | None = 0
        if work.wants_vectors and self._encoder is not None:
            short_side_px = decode_px(self._encoder.identity.preprocess, self._backend)
        return decode_frames(
            camera.path,
            camera.frames.uri,
            camera.frames.pts,
            short_side_px=short_side_px,
            luma_short_side_px=LUMA_SHORT_SIDE_PX if work.wants_facts else None,
            threads=self._codec_threads,
        )

    def _take_up(self, cursor: _Cursor, row: int, frame: DecodedFrame) -> None:
        """Put a picture in its batch, or, where nothing is encoded, tell of it now and then."""
        if self._encoder is None or frame.rgb is None or not cursor.take.work.wants_vectors:
            if row + 1 - cursor.settled >= _FRAMES_TOLD:
                self._settle(cursor, row + 1)
            return
        preprocess = self._encoder.identity.preprocess
        batch = self._batch_of(cursor, row, (preprocess.height_px, preprocess.width_px))
        picture: NDArray[np.uint8] = to_tower(frame.rgb, preprocess, self._backend)
        if batch.pixels is not None:
            batch.pixels[row - batch.first] = picture
            batch.is_there[row - batch.first] = True

    def _batch_of(self, cursor: _Cursor, row: int, size: tuple[int, int]) -> Batch:
        batch = cursor.batch
        if batch is None or row >= batch.first + len(batch.is_there):
            self._settle(cursor, max(cursor.settled, cursor.take.batches.start_of(row)))
            self._wait_for_room()
            with self._changed:
                batch = cursor.batch = cursor.take.batches.holding(row, size)
        return batch

    def _settle(self, cursor: _Cursor, stop: int) -> None:
        """Say that nothing more comes for the camera's rows before `stop`."""
        take, start = cursor.take, cursor.settled
        cursor.settled = stop
        if not take.work.wants_vectors:
            self._tell(_Event(take, frames=stop - start))
            return
        with self._changed:
            complete = list(take.batches.settle(start, stop))
            self._waiting += sum(batch.pixels is not None for batch in complete)
            self._events.extend(_Event(take, batch=batch) for batch in complete)
            self._changed.notify_all()

    def _wait_for_room(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopped or self._waiting < WAITING_BATCHES)
        self._check_stopped()

    def _tell(self, event: _Event) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def _check_stopped(self) -> None:
        if self._is_stopped:
            raise _Stopped
