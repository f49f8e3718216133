"""The embed stage: takes with videos and texts in; vectors, facts and findings out, each made once."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sensorloom.embed import checked, keys, pipeline
from sensorloom.embed.errors import VectorError
from sensorloom.embed.frames import lattice_frames
from sensorloom.embed.keys import facts_key, full_fingerprint, vectors_key
from sensorloom.embed.preprocess import decode_px, to_tower
from sensorloom.embed.stage import EmbedTask, Failed, TakeToEmbed, embed_takes
from sensorloom.embed.vectors import normalise
from sensorloom.ingest.digest import FileDigest, file_digest
from sensorloom.ingest.video import decode_frames, decoder_version
from sensorloom.store.repository import Repository
from tests.embed.fake_encoder import PREPROCESS, FakeEncoder, fake_identity, few_pictures
from tests.embed.filmed_takes import filmed_take, sha256, shifted, store_take, write_film


@pytest.fixture(scope="session")
def filmed(tmp_path_factory):
    """Three short generated films."""
    folder = tmp_path_factory.mktemp("films")
    for seed, name in enumerate(("a", "b", "c")):
        write_film(folder / f"{name}.mp4", seed)
    return folder


@pytest.fixture
def world(tmp_path, filmed, monkeypatch):
    """A store, a raw folder, a fake encoder, and lists of what was decoded and loaded."""
    raw = tmp_path / "raw"
    shutil.copytree(filmed, raw)
    repo = Repository.open(str(tmp_path / "store"), create=True)
    world = SimpleNamespace(repo=repo, raw=raw, decoded=[], loaded=[], encoder=FakeEncoder())

    def load(identity, *, device, batch_size):
        world.loaded.append(identity.name)
        given = world.encoder
        world.encoder = FakeEncoder(identity, given.batch_size, given._before)
        return world.encoder

    def decode(path, uri, pts, **sizes):
        world.decoded.append((path.name, sizes["short_side_px"], sizes["luma_short_side_px"]))
        return decode_frames(path, uri, pts, **sizes)

    monkeypatch.setattr(checked, "load_encoder", load)
    monkeypatch.setattr(checked, "_loaded", {})
    monkeypatch.setattr(checked, "_passed", set())
    monkeypatch.setattr(checked, "golden_pictures", few_pictures)
    monkeypatch.setattr(pipeline, "decode_frames", decode)
    return world


def asked(world, take, **options):
    return TakeToEmbed(take.take_id, store_take(world.repo, take, world.raw, **options), str(world.raw))


def task_of(world, *takes, identity=None, backend="pil"):
    takes = tuple(take if isinstance(take, TakeToEmbed) else asked(world, take) for take in takes)
    identity = identity or fake_identity()
    return EmbedTask(
        world.repo.url, identity, backend, full_fingerprint(identity, backend), "cpu", None, takes
    )


def records(world, result):
    return world.repo.find_work(result.vectors), world.repo.find_work(result.facts)


def arrays(world, record):
    return world.repo.open_arrays(record.shards[0])


def by_hand(world, video):
    """The vectors of a camera by a plain loop."""
    frames = lattice_frames(video)
    size = decode_px(PREPROCESS, "pil")
    found = decode_frames(world.raw / video.uri, video.uri, frames.pts, short_side_px=size)
    pixels = np.stack([to_tower(frame.rgb, PREPROCESS, "pil") for _, frame in found])
    return frames.pts, *normalise(FakeEncoder().encode_images(pixels), dim=16, what="by hand")


def test_every_camera_of_a_take_has_its_vectors_and_facts_in_the_store(world):
    take = filmed_take("one", world.raw, ("a.mp4", "b.mp4"), ("C cuts an onion",))
    told = []
    (result,) = embed_takes(task_of(world, take), told.append)
    vectors, facts = records(world, result)
    stored, seen = arrays(world, vectors), arrays(world, facts)
    for video in take.videos:
        pts, expected, norms = by_hand(world, video)
        prefix = f"video.{video.name}"
        assert np.array_equal(stored[f"{prefix}/pts"], pts)
        assert np.array_equal(stored[f"{prefix}/vectors"], expected)
        assert np.array_equal(stored[f"{prefix}/norms"], norms)
        assert stored[f"{prefix}/valid"].all()
        assert np.array_equal(seen[f"{prefix}/pts"], pts)
        assert seen[f"{prefix}/is_decoded"].all()
        assert seen[f"{prefix}/brightness"].std() < 1.0 < seen[f"{prefix}/brightness"].mean()
    assert len(stored) == 2 * 4
    assert stored.attributes == {
        "take_id": "egoexo4d/one",
        "encoder": "fake",
        "fingerprint": full_fingerprint(fake_identity(), "pil"),
        "cameras": [
            {"name": name, "view": view, "rendition": "448", "sha256": sha256(world.raw / f"{name}.mp4")}
            for name, view in (("a", "ego"), ("b", "exo"))
        ],
    }
    assert (vectors.shards[0].key, vectors.shards[0].rows, vectors.shards[0].work) == (
        "egoexo4d/one", 42, result.vectors,
    )  # fmt: skip
    assert (facts.shards[0].key, facts.shards[0].work, facts.rows) == (
        "egoexo4d/one", result.facts, {"findings": ()},
    )  # fmt: skip
    assert [row["text"] for row in vectors.rows["texts"]]
    assert {row["take_id"] for row in vectors.rows["texts"]} == {"egoexo4d/one"}
    assert (sum(told), result.frames, result.reused) == (42, 42, False)
    assert {path.name: digest.sha256 for path, digest in result.digests} == {
        name: sha256(world.raw / name) for name in ("a.mp4", "b.mp4")
    }


def test_what_is_there_is_neither_decoded_nor_encoded_again(world):
    task = task_of(world, filmed_take("one", world.raw, ("a.mp4",)))
    (first,) = embed_takes(task)
    world.decoded.clear()
    checked._loaded.clear()
    shutil.rmtree(world.raw)
    (again,) = embed_takes(task)
    assert (again.vectors, again.facts, again.reused, again.frames) == (first.vectors, first.facts, True, 0)
    assert (world.decoded, world.loaded) == ([], ["fake"])


def test_keys_tell_what_results_depend_on_and_nothing_else(world):
    fingerprint = full_fingerprint(fake_identity(), "pil")
    assert set(fingerprint) - set(fake_identity().fingerprint) == {"resize", "decoder", "frame_rule"}
    keys = {
        vectors_key("1" * 64, fingerprint),
        vectors_key("2" * 64, fingerprint),
        vectors_key("1" * 64, full_fingerprint(fake_identity(), "swscale")),
        vectors_key("1" * 64, full_fingerprint(fake_identity(weights="1"), "pil")),
        facts_key("1" * 64, decoder_version()),
        facts_key("2" * 64, decoder_version()),
        facts_key("1" * 64, "another decoder"),
    }
    assert len(keys) == 7
    assert vectors_key("1" * 64, dict(reversed(fingerprint.items()))) in keys


def test_a_take_aligned_anew_with_the_same_frames_costs_nothing(world):
    take = filmed_take("one", world.raw, ("a.mp4", "b.mp4"), ("C stirs",))
    (first,) = embed_takes(task_of(world, take))
    world.decoded.clear()
    checked._loaded.clear()
    world.loaded.clear()
    anew = replace(shifted(take, 1_000), events=filmed_take("x", world.raw, (), ("C pours",)).events)
    task = task_of(world, anew)
    (second,) = embed_takes(task)
    assert (world.decoded, world.loaded, second.reused) == ([], [], True)
    assert second.vectors == vectors_key(
        task.takes[0].streams.digest, full_fingerprint(fake_identity(), "pil")
    )
    assert second.facts == facts_key(task.takes[0].streams.digest, decoder_version())
    assert {first.vectors, first.facts}.isdisjoint({second.vectors, second.facts})
    for before, after in zip(records(world, first), records(world, second), strict=True):
        assert after.shards == (replace(before.shards[0], work=after.key),)
    texts = {row["text"] for row in records(world, second)[0].rows["texts"]}
    assert "C pours" in texts
    assert "C stirs" not in texts


def test_a_take_aligned_anew_with_other_frames_is_embedded_anew(world):
    take = filmed_take("one", world.raw, ("a.mp4",))
    embed_takes(task_of(world, take))
    (second,) = embed_takes(task_of(world, shifted(take, 40_000_000)))
    assert (second.reused, len(world.decoded)) == (False, 2)


def test_the_same_encoder_under_another_name_encodes_nothing_again(world):
    take = filmed_take("one", world.raw, ("a.mp4",))
    embed_takes(task_of(world, take))
    world.decoded.clear()
    other = fake_identity("other")
    (second,) = embed_takes(task_of(world, take, identity=other))
    assert world.decoded == []
    assert arrays(world, records(world, second)[0]).attributes["encoder"] == "other"
    (back,) = embed_takes(task_of(world, take))
    assert arrays(world, records(world, back)[0]).attributes["encoder"] == "fake"


def test_another_encoder_takes_no_facts_again_and_new_facts_need_no_encoder(world, monkeypatch):
    take = filmed_take("one", world.raw, ("a.mp4",))
    (first,) = embed_takes(task_of(world, take))
    (second,) = embed_takes(task_of(world, take, identity=fake_identity("two", dim=8, weights="1")))
    assert world.decoded[1] == ("a.mp4", decode_px(PREPROCESS, "pil"), None)
    assert (second.facts, second.vectors == first.vectors) == (first.facts, False)
    assert arrays(world, records(world, second)[0])["video.a/vectors"].shape == (21, 8)
    world.loaded.clear()
    checked._loaded.clear()
    monkeypatch.setattr(keys, "FACTS_VERSION", keys.FACTS_VERSION + 1)
    (third,) = embed_takes(task_of(world, take))
    assert world.decoded[2] == ("a.mp4", 0, pipeline.LUMA_SHORT_SIDE_PX)
    assert (third.vectors, third.facts == first.facts, world.loaded) == (first.vectors, False, [])


def test_a_damaged_film_keeps_its_frames_before_the_damage_and_other_cameras(world):
    damage(world.raw / "b.mp4")
    take = filmed_take("one", world.raw, ("a.mp4", "b.mp4"))
    (result,) = embed_takes(task_of(world, take))
    vectors, facts = records(world, result)
    stored = arrays(world, vectors)
    valid = stored["video.b/valid"]
    assert valid[:5].all()
    assert 0 < (~valid).sum() < len(valid)
    assert not stored["video.b/vectors"][~valid].any()
    assert np.array_equal(arrays(world, facts)["video.b/is_decoded"], valid)
    assert stored["video.a/valid"].all()
    (finding,) = facts.rows["findings"]
    assert (finding["rule"], finding["target"], finding["stage"], finding["severity"]) == (
        "video-undecodable", "egoexo4d/one#b", "embed", "warning",
    )  # fmt: skip
    numbers = {number["name"]: number["value"] for number in finding["numbers"]}
    assert numbers["frames"] == (~valid).sum()
    assert numbers["share"] == pytest.approx((~valid).mean())
    assert numbers["first_s"] == pytest.approx(np.argmin(valid) / 10, abs=0.05)
    assert "without a sound picture, the first at" in finding["sentence"]


def damage(path):
    """Overwrite a stretch in the second half of the pictures' bytes."""
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat")
    at = start + (len(data) - start) // 2
    data[at : at + 400] = bytes(400)
    path.write_bytes(data)


def test_a_film_that_cannot_be_read_at_all_masks_its_camera_with_the_reason(world):
    take = filmed_take("one", world.raw, ("a.mp4", "b.mp4"))
    (world.raw / "b.mp4").write_bytes(b"no film" * 100)
    (result,) = embed_takes(task_of(world, take))
    vectors, facts = records(world, result)
    assert not arrays(world, vectors)["video.b/valid"].any()
    assert arrays(world, vectors)["video.a/valid"].all()
    (finding,) = facts.rows["findings"]
    assert finding["severity"] == "error"
    assert (
        "21 frames of 21 without a sound picture, the first at 0.000 s of the file; masked ("
        in finding["sentence"]
    )


def test_a_take_fails_alone_whose_file_changed_since_it_was_ingested(world):
    first = filmed_take("first", world.raw, ("a.mp4",))
    gone, odd = filmed_take("gone", world.raw, ("b.mp4",)), filmed_take("odd", world.raw, ("c.mp4",))
    task = task_of(world, asked(world, first), asked(world, gone), asked(world, odd, sources=[]), first)
    write_film(world.raw / "a.mp4", seed=7)
    (world.raw / "b.mp4").unlink()
    sound = asked(world, filmed_take("sound", world.raw, ("c.mp4",)))
    results = embed_takes(replace(task, takes=(*task.takes[:3], sound)))
    assert [isinstance(result, Failed) for result in results] == [True, True, True, False]
    assert [result.take_id for result in results] == [
        "egoexo4d/first", "egoexo4d/gone", "egoexo4d/odd", "egoexo4d/sound",
    ]  # fmt: skip
    assert results[0].message.startswith("a.mp4: changed since it was ingested (sha256 ")
    assert results[0].message.endswith("ingest it again")
    assert "b.mp4: cannot be read: No such file" in results[1].message
    assert (
        results[2].message == "c.mp4: nothing tells what it was when the take was ingested; ingest it again"
    )


def test_a_file_that_changes_while_it_is_decoded_leaves_no_record(world):
    take = filmed_take("one", world.raw, ("a.mp4",))
    world.encoder = FakeEncoder(before=lambda number: (world.raw / "a.mp4").touch())
    task = task_of(world, take)
    (result,) = embed_takes(task)
    assert isinstance(result, Failed)
    assert "changed while it was being read" in result.message
    fingerprint = full_fingerprint(fake_identity(), "pil")
    assert world.repo.find_work(vectors_key(task.takes[0].streams.digest, fingerprint)) is None


def test_a_digest_that_is_remembered_is_not_computed_again(world):
    take = asked(world, filmed_take("one", world.raw, ("a.mp4",)))
    known = file_digest(world.raw / "a.mp4")
    lie = FileDigest("0" * 64, known.stamp)
    stale = FileDigest("0" * 64, (0, 0, 0, 0))
    (trusted,) = embed_takes(task_of(world, replace(take, digests=(("a.mp4", lie),))))
    assert "sha256 000000000000" in trusted.message
    (hashed,) = embed_takes(task_of(world, replace(take, digests=(("a.mp4", stale),))))
    assert hashed.digests == ((world.raw / "a.mp4", known),)


def test_a_take_of_texts_alone_has_its_texts_and_no_cameras(world):
    take = filmed_take("one", world.raw, (), ("C stirs", "C stirs", "C pours"))
    (result,) = embed_takes(task_of(world, take))
    vectors, facts = records(world, result)
    assert (len(arrays(world, vectors)), len(arrays(world, facts)), vectors.shards[0].rows) == (0, 0, 0)
    texts = vectors.rows["texts"]
    assert len({row["text"] for row in texts}) == len(texts)
    assert {"C stirs", "C pours"} <= {row["text"] for row in texts}
    assert [row["text_id"] for row in texts] == sorted(row["text_id"] for row in texts)


def test_a_camera_without_frames_keeps_its_place(world):
    take = filmed_take("one", world.raw, ("a.mp4", "b.mp4"))
    none = replace(take.videos[1], times_ns=take.videos[1].times_ns[:0], pts=take.videos[1].pts[:0])
    (result,) = embed_takes(task_of(world, replace(take, videos=(take.videos[0], none))))
    vectors, facts = records(world, result)
    assert arrays(world, vectors)["video.b/vectors"].shape == (0, 16)
    assert arrays(world, facts)["video.b/brightness"].shape == (0,)
    assert facts.rows["findings"] == ()


def test_a_killed_run_keeps_the_takes_that_were_complete(world, monkeypatch):
    monkeypatch.setattr(pipeline, "num_cores", lambda: 1)
    takes = [filmed_take(name, world.raw, (f"{name}.mp4",)) for name in ("a", "b", "c")]
    task = task_of(world, *takes)

    def kill(number):
        if number == 1 + 3:  # after the golden pictures and 21 frames in batches of 8
            raise KeyboardInterrupt

    world.encoder = FakeEncoder(before=kill)
    with pytest.raises(KeyboardInterrupt):
        embed_takes(task)
    assert "a.mp4" in {name for name, *_ in world.decoded}
    world.decoded.clear()
    checked._loaded.clear()
    world.encoder = FakeEncoder()
    results = embed_takes(task)
    assert [result.reused for result in results] == [True, False, False]
    assert [name for name, *_ in world.decoded] == ["b.mp4", "c.mp4"]


def test_bytes_do_not_depend_on_threads_nor_on_the_company_of_other_takes(world, tmp_path, monkeypatch):
    takes = [
        filmed_take(name, world.raw, files) for name, files in (("x", ("a.mp4", "b.mp4")), ("y", ("c.mp4",)))
    ]
    task = task_of(world, *takes)
    together = [records(world, result) for result in embed_takes(task)]
    for num_cores, order in ((1, (1, 0)), (5, (0, 1))):
        other = Repository.open(str(tmp_path / f"other{num_cores}"), create=True)
        monkeypatch.setattr(pipeline, "num_cores", lambda count=num_cores: count)
        world.repo = other
        for index in order:
            (result,) = embed_takes(task_of(world, takes[index]))
            assert [record.shards for record in records(world, result)] == [
                record.shards for record in together[index]
            ]


def test_vectors_that_are_not_finite_end_the_run_before_anything_is_written(world):
    take = filmed_take("one", world.raw, ("a.mp4",))
    task = task_of(world, take)
    embed_takes(task_of(world, filmed_take("none", world.raw, (), ("C",))))
    world.encoder.encode_images = lambda pixels: np.full((len(pixels), 16), np.nan, np.float32)
    with pytest.raises(VectorError, match="egoexo4d/one: frames 0 to 7"):
        embed_takes(task)
    fingerprint = full_fingerprint(fake_identity(), "pil")
    digest = task.takes[0].streams.digest
    assert world.repo.find_work(vectors_key(digest, fingerprint)) is None
    assert world.repo.find_work(facts_key(digest, decoder_version())) is None


def test_a_task_is_small(world):
    task = task_of(world, filmed_take("one", world.raw, ("a.mp4",)))
    assert len(pickle.dumps(task)) < 3000
    assert pickle.loads(pickle.dumps(task)) == task
