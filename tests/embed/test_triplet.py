"""Windows joined with cached vectors, against the plainest way of doing it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorloom.align.extract import extract
from sensorloom.align.timeline import AlignedTake, Grid, ImuTrack, Quality, VideoTrack
from sensorloom.align.view import View
from sensorloom.align.window import Window, WindowText, cut_windows
from sensorloom.embed.embedded import CachedVectors, narrow, not_embedded
from sensorloom.embed.errors import EmbedError, VectorError
from sensorloom.embed.paired_texts import index_texts, refuse_texts, vectors_of
from sensorloom.embed.triplet import join_video, mean_for_best
from sensorloom.ingest.take import TextEvent
from tests.embed.cached import DIM, ENCODER, STEP, lattice, text_vector, vectors_of_take

S = 1_000_000_000
VIEW = View("v", ("egoexo4d",), ("head",), (), requires=(), cameras=("ego", "exo1", "exo2"))
ULP = 2.0**-11


def camera(name, view="ego", seconds=20.0, rate_hz=30.0):
    times = np.round(np.arange(round(seconds * rate_hz)) * 1e9 / rate_hz).astype(np.int64)
    # Ticks that are neither indices nor times.
    pts = 7 + 512 * np.arange(len(times))
    return VideoTrack(name, view, f"{name}.mp4", "448", (1, 15360), 448, 448, False, times, pts)


def take_of(*videos, seconds=20, facts=None, events=()):
    count = seconds * 200
    noise = np.random.default_rng(1).normal(0, 1, (count, 6)).astype(np.float32)
    imu = ImuTrack("head", "aria", noise, np.full((count, 2), Quality.VALID, np.uint8))
    return AlignedTake(
        "egoexo4d/t", "egoexo4d", "c", "egoexo4d/1", None, Grid(0, count), (imu,), videos=videos,
        facts=facts or {}, events=events,
    )  # fmt: skip


def cached(take, dim=DIM, **changes):
    arrays, attributes = vectors_of_take(take, **changes)
    return CachedVectors(
        ENCODER, dim, arrays, {each["name"]: each["sha256"] for each in attributes["cameras"]}
    )


def join(take, view, **changes):
    """What a build does with one take: narrowed take, windows, arrays."""
    embedded = narrow(take, view, cached(take, **changes), {})
    cut = cut_windows(embedded.aligned, view)
    part = extract(embedded.aligned, view, cut.windows).named
    return embedded, cut, join_video(embedded, view, cut.windows, part["frames"], DIM)


def slow_camera(take, name, start_ns, changes):
    """Frames shown at the 50 instants of a window, and the mean of their vectors; None where below 90 %."""
    (video,) = (video for video in take.videos if video.name == name)
    arrays, _ = vectors_of_take(take, **changes)
    vectors, norms, valid = (arrays[f"video.{name}/{key}"] for key in ("vectors", "norms", "valid"))
    sound = {int(place): row for row, place in enumerate(lattice(video)) if valid[row]}
    shown = []
    for instant in range(start_ns, start_ns + 50 * STEP, STEP):
        near = [place for place in sound if abs(int(video.times_ns[place]) - instant) <= STEP // 2]
        shown.append(
            min(near, key=lambda place, at=instant: abs(int(video.times_ns[place]) - at), default=-1)
        )
    total = np.zeros(DIM)
    for place in sorted({place for place in shown if place >= 0}):
        total += float(norms[sound[place]]) * vectors[sound[place]].astype(np.float64)
    enough = sum(place >= 0 for place in shown) >= 45
    return shown, (total / math.sqrt(float((total**2).sum())) if enough else None)


@settings(max_examples=25, deadline=None)
@given(
    rate_hz=st.sampled_from([10.0, 24.0, 29.97, 30.0]),
    broken=st.lists(st.integers(0, 99), max_size=40),
)
def test_windows_have_the_mean_of_the_vectors_at_their_instants(rate_hz, broken):
    take = take_of(camera("aria01", rate_hz=rate_hz), camera("cam01", "exo", 12.0), seconds=10)
    changes = {"broken": {"aria01": [row for row in broken if row < len(lattice(take.videos[0]))]}}
    _, cut, arrays = join(take, VIEW, **changes)
    assert [window.start_ns for window in cut.windows] == [0, 5 * S]
    for number, window in enumerate(cut.windows):
        for slot, name in enumerate(("aria01", "cam01")):
            shown, mean = slow_camera(take, name, window.start_ns, changes)
            assert arrays["frames"][number, slot].tolist() == shown
            assert arrays["video_present"][number, slot] == (mean is not None) == window.video_present[slot]
            expected = np.zeros(DIM) if mean is None else mean
            assert arrays["video"][number, slot] == pytest.approx(expected, abs=ULP)
    assert not arrays["video_present"][:, 2].any()
    assert not arrays["video"][:, 2].any()
    assert (arrays["frames"][:, 2] == -1).all()


@pytest.mark.parametrize(("lost", "there"), [(5, True), (6, False)])
def test_a_camera_is_there_where_enough_instants_have_a_vector(lost, there):
    take = take_of(camera("aria01"))
    view = replace(VIEW, requires=("video",))
    _, cut, arrays = join(take, view, broken={"aria01": slice(60, 60 + lost)})
    assert len(cut.windows) == 3 + there
    assert arrays["video_present"][:, 0].all()
    drops = {drop.rule: drop.numbers["windows"] for drop in cut.drops}
    assert drops == ({} if there else {"window-lacks-video": 1})
    masked = join(take, VIEW, broken={"aria01": slice(60, 60 + lost)})[2]
    assert masked["video_present"][:, 0].tolist() == [True, there, True, True]
    assert bool(masked["video"][1].any()) == there
    assert (masked["frames"][1, 0] < 0).sum() == lost


def test_the_rule_and_the_number_of_frames_are_the_views():
    take = take_of(camera("aria01", rate_hz=10.0))
    arrays, _ = vectors_of_take(take)
    view = replace(VIEW, pooling="middle", num_frames=10)
    _, _, joined = join(take, view)
    # The middle of 10 frames of 50 is the 28th.
    for window in range(4):
        expected = arrays["video.aria01/vectors"][50 * window + 27].astype(np.float64)
        assert joined["video"][window, 0] == pytest.approx(expected, abs=2 * ULP)


def test_exo_cameras_that_share_a_slot_show_the_mean_of_those_there():
    take = take_of(camera("aria01"), camera("cam01", "exo"), camera("cam02", "exo", 10.0))
    separate = join(take, VIEW)[2]["video"].astype(np.float64)
    _, _, joined = join(take, replace(VIEW, exo="mean", cameras=("exo2", "exo1", "ego")))
    assert joined["video"].shape == (4, 2, DIM)
    assert joined["frames"].shape == (4, 3, 50)
    assert joined["video_present"].all()
    both = separate[:2, 1] + separate[:2, 2]
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    assert joined["video"][:2, 0] == pytest.approx(both, abs=2 * ULP)
    assert joined["video"][2:, 0] == pytest.approx(separate[2:, 1], abs=2 * ULP)
    assert joined["video"][:, 1] == pytest.approx(separate[:, 0], abs=2 * ULP)


def test_the_best_exo_camera_is_shown_and_the_mean_where_it_is_not_there():
    event = TextEvent("atomic", "take", 16 * S, 16 * S, "C turns", "a", 0, {"best_exo": "cam01"})
    videos = (
        camera("aria01"),
        camera("cam01", "exo"),
        camera("cam02", "exo", 10.0),
        camera("cam03", "exo", 15),
    )
    take = take_of(*videos, facts={"best_exo": "cam02"}, events=(event,))
    view = replace(VIEW, cameras=("ego", "exo1", "exo2", "exo3"))
    separate = join(take, view)[2]["video"]
    embedded, cut, joined = join(take, replace(view, exo="best"))
    mean = join(take, replace(view, exo="mean"))[2]["video"]
    assert np.array_equal(joined["video"][:2, 1], separate[:2, 2])
    assert np.array_equal(joined["video"][2, 1], mean[2, 1])
    assert np.array_equal(joined["video"][3, 1], separate[3, 1])
    assert np.array_equal(joined["video"][:, 0], separate[:, 0])
    (finding,) = mean_for_best(embedded, replace(view, exo="best"), cut.windows)
    assert (finding.rule, finding.severity, dict(finding.numbers)) == (
        "best-exo-mean",
        "note",
        {"windows": 1},
    )
    assert finding.sentence.startswith("v: in 1 window no exo camera that is there was called the best")
    assert mean_for_best(embedded, view, cut.windows) == []


def test_a_camera_whose_vectors_cancel_has_no_direction_and_is_not_there():
    take = take_of(camera("cam01", "exo", rate_hz=10.0), camera("cam02", "exo"), facts={"best_exo": "cam01"})
    whole = cached(take)
    arrays = dict(whole.arrays)
    signs = np.where(np.arange(200) % 2, -1, 1)[:, None]
    arrays["video.cam01/vectors"] = (arrays["video.cam01/vectors"][:1] * signs).astype(np.float16)
    arrays["video.cam01/norms"] = np.ones(200, np.float32)
    joined = {}
    for exo in ("separate", "best"):
        view = replace(VIEW, exo=exo, cameras=("exo1", "exo2"))
        embedded = narrow(take, view, replace(whole, arrays=arrays), {})
        windows = cut_windows(embedded.aligned, view).windows
        frames = extract(embedded.aligned, view, windows).frames
        joined[exo] = join_video(embedded, view, windows, frames, DIM)
    assert joined["separate"]["video_present"].tolist() == [[False, True]] * 4
    assert not joined["separate"]["video"][:, 0].any()
    # The best camera shows nothing, so the mean of the others stands in.
    assert joined["best"]["video_present"].all()
    assert joined["best"]["video"][:, 0] == pytest.approx(
        joined["separate"]["video"][:, 1].astype(np.float64), abs=2 * ULP
    )


def test_without_a_best_exo_camera_every_window_shows_the_mean():
    take = take_of(camera("aria01"), camera("cam01", "exo", 15), camera("cam02", "exo", 10.0))
    view = replace(VIEW, exo="best")
    embedded, cut, joined = join(take, view)
    mean = join(take, replace(VIEW, exo="mean"))[2]
    assert np.array_equal(joined["video"], mean["video"])
    assert joined["video_present"].tolist() == [[True, True]] * 3 + [[True, False]]
    (finding,) = mean_for_best(embedded, view, cut.windows)
    assert finding.numbers == {"windows": 3}  # in the last no exo camera is there, so nothing stands in


def test_cameras_without_vectors_of_the_file_as_it_is_are_masked_and_told():
    videos = (camera("aria01"), camera("cam01", "exo"), camera("cam02", "exo"), camera("cam05", "exo"))
    take = take_of(*videos)
    view = replace(VIEW, cameras=("ego", "exo1", "exo2"))
    digests = {video.uri: hashlib.sha256(video.uri.encode()).hexdigest() for video in take.videos}
    whole = cached(take)
    assert narrow(take, view, whole, digests).lacking == ()
    assert not_embedded(narrow(take, view, whole, digests), view, ENCODER) == []
    other = narrow(take, view, whole, {**digests, "cam01.mp4": "0" * 64})
    assert other.lacking == ("cam01",)
    none = narrow(take, view, None, digests)
    assert none.lacking == ("aria01", "cam01", "cam02")
    (finding,) = not_embedded(none, view, ENCODER)
    assert (finding.rule, finding.severity, dict(finding.numbers)) == (
        "take-not-embedded", "warning", {"cameras": 3, "texts": 0},
    )  # fmt: skip
    assert finding.sentence == (
        "v: aria01, cam01, cam02 masked, as made-up.model has no vectors of the take as it is now; run"
        " `sensorloom embed`, then build again"
    )
    lost = narrow(take, view, cached(take, leave_out=("aria01",)), digests)
    assert lost.lacking == ("aria01",)
    windows = cut_windows(lost.aligned, view).windows
    assert {window.video_present for window in windows} == {(False, True, True)}
    assert narrow(take_of(camera("aria01", seconds=0)), view, None, {}).lacking == ()


def test_a_take_that_is_not_embedded_has_no_texts_of_the_view_left():
    events = tuple(
        TextEvent(source, "take", at * S, at * S, "C turns", "a", 0)
        for at, source in enumerate(("atomic", "commentary", "atomic"), 3)
    )
    take = take_of(camera("aria01"), events=events)
    view = replace(VIEW, texts=("atomic",))
    assert narrow(take, view, cached(take), {}).aligned.events == events
    none = narrow(take, view, None, {})
    assert none.aligned.events == events[1:2]
    (finding,) = not_embedded(none, view, ENCODER)
    assert finding.sentence.startswith(
        "v: aria01 masked and 2 texts left out, as made-up.model has no vectors"
    )
    assert finding.numbers == {"cameras": 1, "texts": 2}
    texts_alone = replace(view, cameras=())
    (finding,) = not_embedded(narrow(take, texts_alone, None, {}), texts_alone, ENCODER)
    assert finding.sentence.startswith("v: 2 texts left out, as")


def test_vectors_that_are_not_as_wide_as_their_encoder_are_refused():
    take = take_of(camera("aria01"))
    message = (
        r"egoexo4d/t: vectors of camera aria01 must be \[201, 6\] by encoder made-up.model, the store has"
        r" \[201, 5\]; run `sensorloom embed` again"
    )
    arrays, _ = vectors_of_take(take, dim=5)
    with pytest.raises(VectorError, match=message):
        narrow(take, VIEW, CachedVectors(ENCODER, DIM, arrays, {}), {})


def test_no_windows_and_no_frames_give_arrays_of_the_same_kind():
    for take in (take_of(), take_of(camera("aria01")), take_of(camera("aria01", seconds=0))):
        for exo, slots in (("separate", 3), ("best", 2), ("mean", 2)):
            view = replace(VIEW, exo=exo)
            embedded = narrow(take, view, cached(take), {})
            joined = join_video(embedded, view, (), np.empty((0, 3, 50), np.int32), DIM)
            shapes = {name: (array.shape, array.dtype.name) for name, array in joined.items()}
            assert shapes == {
                "video": ((0, slots, DIM), "float16"),
                "video_present": ((0, slots), "bool"),
                "frames": ((0, 3, 50), "int32"),
            }


def window_of(number, texts):
    start = number * 5 * S
    inside = tuple(
        WindowText(slot, "atomic", word, hashlib.sha256(word.encode()).hexdigest(), "a", 0.0, 0.0)
        for slot, word in texts
    )
    return Window(
        f"t@{start}", f"egoexo4d/{number}", start, start + 5 * S, "", -1, (1.0,), 1, 0, 0, texts=inside
    )


@given(
    texts=st.lists(
        st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abcdef"))).map(
            lambda inside: sorted(inside, key=lambda text: text[0])
        ),
        max_size=8,
    )
)
def test_offsets_lead_from_each_slot_to_its_texts_in_their_order(texts):
    windows = [window_of(number, inside) for number, inside in enumerate(texts)]
    index = index_texts(windows, 3)
    assert index.offsets.shape == (len(windows), 4)
    assert (index.digests.shape, index.digests.dtype) == ((len(index.ids), 32), np.uint8)
    assert (index.rows.dtype, index.offsets.dtype) == (np.int32, np.int64)
    assert list(index.ids) == sorted({text.text_id for window in windows for text in window.texts})
    for number, window in enumerate(windows):
        for slot in range(3):
            start, stop = index.offsets[number, slot : slot + 2]
            found = [index.digests[row].tobytes().hex() for row in index.rows[start:stop]]
            assert found == [text.text_id for text in window.texts if text.slot == slot]
    # One text after the other, each pair of a window and a slot once.
    assert len(index.rows) == sum(map(len, texts))
    if windows:
        assert (index.offsets[0, 0], index.offsets[-1, -1]) == (0, len(index.rows))
        assert np.array_equal(index.offsets[1:, 0], index.offsets[:-1, -1])


@given(stored=st.sets(st.binary(min_size=32, max_size=32), max_size=20), data=st.data())
def test_vectors_of_texts_are_found_by_their_ids(stored, data):
    ids = sorted(stored)
    digests = np.frombuffer(b"".join(ids), np.uint8).reshape(len(ids), 32)
    vectors = np.arange(len(ids) * DIM).reshape(len(ids), DIM).astype(np.float16)
    asked = data.draw(st.lists(st.sampled_from(ids or [b"\0" * 32])))
    asked.append(data.draw(st.binary(min_size=32, max_size=32)))
    found = vectors_of({"ids": digests, "vectors": vectors}, [text.hex() for text in asked], DIM)
    assert found.keys() == {text.hex() for text in asked if text in stored}
    for text_id, vector in found.items():
        assert vector.tolist() == vectors[ids.index(bytes.fromhex(text_id))].tolist()


def test_texts_of_another_width_are_refused():
    arrays = {"ids": np.zeros((1, 32), np.uint8), "vectors": np.zeros((1, 5), np.float16)}
    with pytest.raises(
        VectorError, match=r"vectors of texts are 5 wide in the store, 6 by their encoder; run `sens"
    ):
        vectors_of(arrays, [], 6)


def test_texts_without_a_vector_are_refused_with_the_takes_they_are_of():
    windows = [window_of(number, [(0, "a"), (0, "b")] if number % 2 else [(0, "c")]) for number in range(14)]
    a, b = (hashlib.sha256(word.encode()).hexdigest() for word in "ab")
    message = (
        r"^egoexo4d/1, egoexo4d/11, egoexo4d/13, egoexo4d/3, egoexo4d/5 and 2 more: 2 texts without a vector by"
        rf" encoder made-up, the first {min(a, b)}; run `sensorloom embed`$"
    )
    with pytest.raises(EmbedError, match=message):
        refuse_texts({a, b}, windows, "made-up")
    with pytest.raises(
        EmbedError, match=r"^egoexo4d/0: 1 text without a vector by encoder made-up, the first"
    ):
        refuse_texts({windows[0].texts[0].text_id}, windows[:1], "made-up")


def test_made_up_vectors_differ():
    # Else the tests above would prove nothing.
    assert not np.array_equal(text_vector("a"), text_vector("b"))
