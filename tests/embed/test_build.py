"""The build stage: takes of a bucket in, window tensors and rows out."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest

from sensorloom.align.alignment import AlignSettings, align
from sensorloom.align.codec import encode_arrays, encode_attributes
from sensorloom.align.extract import extract
from sensorloom.align.named_views import VIEWS
from sensorloom.align.timeline import AlignedTake, Grid, ImuTrack, MocapTrack, Quality, VideoTrack
from sensorloom.align.window import cut_windows
from sensorloom.align.wording import text_digest
from sensorloom.embed.build import BuildEncoder, BuildTask, build_bucket, build_key
from sensorloom.embed.errors import EmbedError, VectorError
from sensorloom.flows.tables import WINDOWS
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.ingest.reader import get_reader
from sensorloom.ingest.take import TextEvent
from sensorloom.store.repository import Repository
from tests.embed.cached import DIM, ENCODER, text_vector, texts_of_takes, vectors_of_take

S = 1_000_000_000
ALL = VIEWS["all-modalities"]


def aligned_take(name, seconds, *, videos=True, mocap=True):
    """A generated take; videos and mocap last for as long as the IMU."""
    rng = np.random.default_rng(len(name))
    count = round(seconds * 200)
    values = rng.normal(0, 1, (count, 6)).astype(np.float32)
    imu = ImuTrack("head", "aria", values, np.full((count, 2), Quality.VALID, np.uint8))
    times = np.round(np.arange(seconds * 30) * 1e9 / 30).astype(np.int64)
    ego = VideoTrack("aria01", "ego", "a.mp4", "448", (1, 30), 448, 448, False, times, np.arange(len(times)))
    joints = rng.normal(0, 1, (seconds * 10, 17, 3)).astype(np.float32)
    names = ("left-hip", "right-hip", *map(str, range(15)))
    track = MocapTrack("annotation", names, 0, joints, np.full(joints.shape[:2], Quality.VALID, np.uint8))
    events = tuple(
        TextEvent("atomic", "take", round(at * S), round(at * S), f"C turns at {at}", "a", 2 * S)
        for at in (6.0, 7.0)
    )
    return AlignedTake(
        f"egoexo4d/{name}", "egoexo4d", "capture", "egoexo4d/1", "train", Grid(0, count), (imu,),
        videos=(ego,) if videos else (), mocap=track if mocap else None, events=events,
    )  # fmt: skip


@pytest.fixture
def repo(tmp_path):
    return Repository.open(str(tmp_path / "store"), create=True)


def store(repo, take, **attributes):
    return repo.write_arrays(
        take.take_id,
        encode_arrays(take),
        rows=take.grid.num_samples,
        attributes={**encode_attributes(take), **attributes},
        work="0" * 64,
    )


def store_vectors(repo, take, **changes):
    arrays, attributes = vectors_of_take(take, **changes)
    return repo.write_arrays(take.take_id, arrays, rows=0, attributes=attributes, work="1" * 64)


def store_texts(repo, takes, dim=DIM):
    return tuple(
        repo.write_arrays(bucket, arrays, rows=len(arrays["ids"]), attributes={}, work="2" * 64)
        for bucket, arrays in sorted(texts_of_takes(takes, dim).items())
    )


def encoder_of(repo, takes, embedded=None):
    """What a store has of the made-up encoder: vectors of the `embedded` takes, texts of all."""
    known = takes if embedded is None else embedded
    vectors = tuple(store_vectors(repo, take) if take in known else None for take in takes)
    return BuildEncoder(ENCODER, {"weights": "f"}, DIM, vectors, store_texts(repo, takes))


def build(repo, view, takes, encoder=None):
    shards = tuple(store(repo, take) for take in takes)
    built = build_bucket(BuildTask(repo.url, view, "00", shards, encoder))
    assert built.work == build_key(asdict(view), shards, encoder)
    return repo.find_work(built.work)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A generated take of Ego-Exo4D: an ego camera, four exo cameras, descriptions that name the best one."""
    root = tmp_path_factory.mktemp("raw")
    write_sample(root, SampleSpec(datasets=("egoexo4d",), takes=1, minutes=0.5))
    reader = get_reader("egoexo4d")
    (source,) = reader.index(root / "egoexo4d")
    return align(reader.read(root / "egoexo4d", source), AlignSettings())


def test_a_bucket_holds_the_windows_of_its_takes_one_after_the_other(repo):
    takes = (aligned_take("one", 12), aligned_take("three", 20, videos=False, mocap=False))
    record = build(repo, ALL, takes)
    arrays = repo.open_arrays(record.shards[0])
    parts = [extract(take, ALL, cut_windows(take, ALL).windows).named for take in takes]
    assert set(parts[0]) == {
        "imu", "imu_valid", "imu_present", "frames", "video_present", "mocap", "mocap_valid",
    }  # fmt: skip
    for name in parts[0]:
        expected = np.concatenate([part[name] for part in parts])
        assert np.array_equal(arrays[name], expected), name
        assert arrays[name].dtype == expected.dtype
    assert arrays["frames"].shape == (6, 5, 50)
    assert arrays["mocap"].shape == (6, 50, 17, 3)
    assert [row["take_id"] for row in record.rows["windows"]] == ["egoexo4d/one"] * 2 + ["egoexo4d/three"] * 4


def test_window_rows_carry_texts_cameras_and_motion(repo):
    record = build(repo, ALL, (aligned_take("one", 12),))
    empty, row = record.rows["windows"]
    assert empty["texts"] == []
    assert row["texts"][1] == {
        "slot": 2,
        "source": "atomic",
        "text": "C turns at 7.0",
        "text_id": text_digest("C turns at 7.0"),
        "annotator": "a",
        "offset_ms": -500.0,
        "uncertainty_ms": 2000.0,
    }
    assert row["video_present"] == [True, False, False, False, False]
    assert row["mocap_share"] == 1.0
    table = pa.Table.from_pylist([dict(row) for row in record.rows["windows"]], schema=WINDOWS)
    assert set(row) | {"split"} == set(table.column_names)
    assert table["texts"][1].as_py()[0]["offset_ms"] == -1500.0


def test_a_view_of_the_imu_alone_holds_no_other_arrays(repo):
    view = replace(VIEWS["har-pamap2"], name="plain", positions=("head",), classes=())
    record = build(repo, view, (aligned_take("one", 12),))
    assert set(repo.open_arrays(record.shards[0])) == {"imu", "imu_valid", "imu_present"}
    (row, _) = record.rows["windows"]
    assert (row["video_present"], row["mocap_share"], row["texts"]) == ([], None, [])


def test_takes_without_windows_leave_a_shard_of_none_and_their_findings(repo):
    record = build(repo, VIEWS["aura-commentary"], (aligned_take("one", 12),))
    assert record.rows["windows"] == ()
    assert repo.open_arrays(record.shards[0])["imu"].shape == (0, 1, 6, 1000)
    short = build(repo, VIEWS["aura-aad"], (aligned_take("one", 3),))
    assert [row["rule"] for row in short.rows["findings"]] == ["text-outside-take"]


def test_what_is_built_is_not_built_again(repo, monkeypatch):
    takes = (aligned_take("one", 12),)
    record = build(repo, ALL, takes)
    monkeypatch.setattr("sensorloom.embed.build.load_aligned", None)
    assert build(repo, ALL, takes) == record


def test_a_triplet_shard_holds_the_vectors_of_what_its_windows_show_and_say(repo, recorded):
    encoder = encoder_of(repo, (recorded,))
    record = build(repo, ALL, (recorded,), encoder)
    arrays = repo.open_arrays(record.shards[0])
    assert set(arrays) == {
        "imu", "imu_valid", "imu_present", "frames", "mocap", "mocap_valid",
        "video", "video_present", "text_ids", "text_vectors", "text_rows", "text_offsets",
    }  # fmt: skip
    plain = repo.open_arrays(build(repo, ALL, (recorded,)).shards[0])
    for name in plain:
        assert np.array_equal(arrays[name], plain[name]), name
    windows = record.rows["windows"]
    assert len(windows) == 6
    assert arrays["video_present"].all()
    stored, _ = vectors_of_take(recorded)
    for slot, name in enumerate(("aria01", "cam01", "cam02", "cam03", "cam04")):
        video = next(video for video in recorded.videos if video.name == name)
        assert video.view == ("exo" if slot else "ego")
        vectors, norms = stored[f"video.{name}/vectors"].astype(float), stored[f"video.{name}/norms"]
        for window in range(len(windows)):
            pts = video.pts[arrays["frames"][window, slot]]
            rows = [stored[f"video.{name}/pts"].tolist().index(tick) for tick in pts]
            mean = sum(norms[row] * vectors[row] for row in rows)
            assert arrays["video"][window, slot] == pytest.approx(mean / np.linalg.norm(mean), abs=2**-11)
    said = 0
    for window, row in enumerate(windows):
        for slot in range(len(ALL.texts)):
            start, stop = arrays["text_offsets"][window, slot : slot + 2]
            places = arrays["text_rows"][start:stop]
            expected = [text["text_id"] for text in row["texts"] if text["slot"] == slot]
            assert [arrays["text_ids"][place].tobytes().hex() for place in places] == expected
            for place, text_id in zip(places, expected, strict=True):
                assert np.array_equal(arrays["text_vectors"][place], text_vector(text_id))
            said += len(expected)
    assert said == len(arrays["text_rows"]) > len(arrays["text_ids"]) > 0
    assert (arrays["text_offsets"][:, 1] == arrays["text_offsets"][:, 0]).all()  # no narrations here
    attributes = arrays.attributes
    assert (attributes["encoder"], attributes["fingerprint"]) == (ENCODER, {"weights": "f"})
    assert attributes["video_slots"] == ["ego", "exo1", "exo2", "exo3", "exo4"]
    assert attributes["text_sources"] == list(ALL.texts)


def test_a_generated_take_says_which_exo_camera_is_best(repo, recorded):
    encoder = encoder_of(repo, (recorded,))
    separate = repo.open_arrays(build(repo, ALL, (recorded,), encoder).shards[0])
    record = build(repo, replace(ALL, exo="best"), (recorded,), encoder)
    best = repo.open_arrays(record.shards[0])
    assert best["video"].shape == (6, 2, DIM)
    assert best.attributes["video_slots"] == ["ego", "exo"]
    assert recorded.facts["best_exo"] == "cam02"
    chosen = []
    for window, row in enumerate(record.rows["windows"]):
        said = [
            event.tags["best_exo"]
            for event in recorded.events
            if row["start_ns"] <= event.start_ns < row["stop_ns"] and "best_exo" in event.tags
        ]
        camera = max(sorted(set(said)), key=lambda name: (said.count(name), name == "cam02"), default="cam02")
        slot = int(camera.removeprefix("cam0"))
        assert np.array_equal(best["video"][window], separate["video"][window, [0, slot]])
        chosen.append(camera)
    assert len(set(chosen)) > 1


def test_a_bucket_of_takes_has_what_each_of_its_takes_has(repo):
    takes = (aligned_take("one", 12), aligned_take("three", 20, videos=False), aligned_take("fourth", 25))
    whole = repo.open_arrays(build(repo, ALL, takes, encoder_of(repo, takes)).shards[0])
    parts = [
        repo.open_arrays(build(repo, ALL, (take,), encoder_of(repo, (take,))).shards[0]) for take in takes
    ]
    for name in ("video", "video_present", "frames", "imu"):
        assert np.array_equal(whole[name], np.concatenate([part[name] for part in parts])), name
    # Every take says the same two things: they stand in the shard once.
    assert whole["text_ids"].shape == (2, 32)
    assert len(whole["text_rows"]) == sum(len(part["text_rows"]) for part in parts)


def test_a_take_that_is_not_embedded_is_masked_and_told(repo):
    takes = (aligned_take("one", 12), aligned_take("three", 20))
    record = build(repo, ALL, takes, encoder_of(repo, takes, embedded=takes[:1]))
    arrays = repo.open_arrays(record.shards[0])
    assert arrays["video_present"][:, 0].tolist() == [True] * 2 + [False] * 4
    assert not arrays["video"][2:].any()
    assert len(arrays["text_rows"]) == arrays["text_offsets"][1, -1] == 2
    (row,) = (row for row in record.rows["findings"] if row["rule"] == "take-not-embedded")
    assert (row["take_id"], row["severity"], row["stage"]) == ("egoexo4d/three", "warning", "build")
    assert row["sentence"].startswith(
        "all-modalities: aria01 masked and 2 texts left out, as made-up.model has"
    )
    dropped = build(repo, VIEWS["aura-video"], takes, encoder_of(repo, takes, embedded=()))
    assert dropped.rows["windows"] == ()
    assert repo.open_arrays(dropped.shards[0])["video"].shape == (0, 5, DIM)
    assert sum(row["rule"] == "take-not-embedded" for row in dropped.rows["findings"]) == 2


def test_vectors_of_a_file_that_was_replaced_since_are_not_used(repo):
    take = aligned_take("one", 12)
    encoder = encoder_of(repo, (take,))
    made_of = {"a.mp4": "0" * 64}
    _, attributes = vectors_of_take(take)
    for digest, there in ((attributes["cameras"][0]["sha256"], True), (made_of["a.mp4"], False)):
        streams = store(repo, take, sources=[{"uri": "a.mp4", "sha256": digest, "num_bytes": 1}])
        built = build_bucket(BuildTask(repo.url, ALL, "00", (streams,), encoder))
        arrays = repo.open_arrays(repo.find_work(built.work).shards[0])
        assert arrays["video_present"][:, 0].all() == arrays["video"][:, 0].any() == there


def test_frames_that_do_not_decode_mask_a_window_and_stay_out_of_its_vector(repo):
    take = aligned_take("one", 12)
    shard = store_vectors(repo, take, broken={"aria01": slice(10, 40)})
    encoder = replace(encoder_of(repo, (take,)), vectors=(shard,))
    record = build(repo, ALL, (take,), encoder)
    arrays = repo.open_arrays(record.shards[0])
    assert arrays["video_present"][:, 0].tolist() == [False, True]
    assert (arrays["frames"][0, 0] < 0).sum() == 30
    assert record.rows["windows"][0]["video_present"][0] is False
    whole = repo.open_arrays(build(repo, ALL, (take,), encoder_of(repo, (take,))).shards[0])
    assert np.array_equal(arrays["video"][1], whole["video"][1])
    assert not arrays["video"][0].any()


def test_a_text_without_a_vector_ends_the_build_and_is_named(repo):
    take = aligned_take("one", 12)
    encoder = encoder_of(repo, (take,))
    first = min(text_digest(f"C turns at {at}") for at in (6.0, 7.0))
    message = (
        rf"^egoexo4d/one: 2 texts without a vector by encoder made-up.model, the first {first};"
        r" run `sensorloom embed`$"
    )
    with pytest.raises(EmbedError, match=message):
        build(repo, ALL, (take,), replace(encoder, texts=()))
    wide = store_texts(repo, (take,), dim=9)
    with pytest.raises(VectorError, match=r"vectors of texts are 9 wide in the store, 6 by their encoder"):
        build(repo, ALL, (take,), replace(encoder, texts=wide))
    with pytest.raises(VectorError, match=r"camera aria01 must be \[121, 7\] by encoder made-up.model"):
        build(repo, ALL, (take,), replace(encoder, dim=7))


def test_a_view_of_texts_alone_does_not_ask_what_the_vectors_of_frames_are(repo):
    take = aligned_take("one", 12)
    encoder = encoder_of(repo, (take,))
    view = VIEWS["aura-aad"]
    record = build(repo, view, (take,), encoder)
    arrays = repo.open_arrays(record.shards[0])
    assert {"video", "frames"}.isdisjoint(arrays)
    assert arrays["text_offsets"].tolist() == [[0, 2], [2, 4]]
    remade = replace(encoder, vectors=(store_vectors(repo, take, broken={"aria01": slice(0, 9)}),))
    assert build(repo, view, (take,), remade) == record
    unknown = build(repo, view, (take,), replace(encoder, vectors=(None,), texts=()))
    assert unknown.key != record.key
    assert unknown.rows["windows"] == ()
    rules = [row["rule"] for row in unknown.rows["findings"]]
    assert rules == ["anchor-missing", "take-not-embedded"]
    short = build(repo, view, (aligned_take("two", 3),), encoder)
    empty = repo.open_arrays(short.shards[0])
    shapes = {name: empty[name].shape for name in empty if name.startswith("text")}
    assert shapes == {
        "text_ids": (0, 32), "text_vectors": (0, DIM), "text_rows": (0,), "text_offsets": (0, 2),
    }  # fmt: skip


def test_a_view_without_cameras_and_texts_does_not_know_of_encoders(repo):
    take = aligned_take("one", 12)
    view = VIEWS["aura-mocap"]
    encoder = encoder_of(repo, (take,))
    record = build(repo, view, (take,), encoder)
    assert record == build(repo, view, (take,))
    assert set(repo.open_arrays(record.shards[0]).attributes) == {"view", "bucket", "imu_worst_error"}


def test_the_key_of_a_bucket_follows_its_vectors_and_the_encoder_and_not_the_texts_of_others(repo):
    takes = (aligned_take("one", 12), aligned_take("three", 20))
    streams = tuple(store(repo, take) for take in takes)
    encoder = encoder_of(repo, takes)

    def key(view=ALL, **changes):
        return build_key(asdict(view), streams, replace(encoder, **changes))

    others = store_texts(repo, (*takes, aligned_take("another", 12)))
    assert key(texts=others) == key(texts=()) == key()
    remade = store_vectors(repo, takes[0], broken={"aria01": slice(0, 1)})
    keys = [
        key(), key(vectors=(remade, encoder.vectors[1])), key(vectors=(None, encoder.vectors[1])),
        key(fingerprint={"weights": "e"}), key(name="other"), key(dim=7), build_key(asdict(ALL), streams),
        key(replace(ALL, pooling="middle")), key(replace(ALL, exo="mean")), key(replace(ALL, num_frames=5)),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)


def test_a_recipe_as_a_shard_tells_it_has_the_key_that_it_was_built_under(repo):
    take = aligned_take("one", 12)
    encoder = encoder_of(repo, (take,))
    record = build(repo, ALL, (take,), encoder)
    recipe = repo.open_arrays(record.shards[0]).attributes["view"]
    assert build_key(recipe, (store(repo, take),), encoder) == record.key
