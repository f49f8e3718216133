"""Every column of a stream: the values of its own windows, their masks, their texts, wherever they are gathered."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sensorloom.store.cache import ShardCache
from sensorloom.store.changes import Put
from sensorloom.store.errors import StoreError
from sensorloom.store.repository import Repository
from sensorloom.training.batch import Batch
from sensorloom.training.errors import StreamError
from sensorloom.training.rules import BatchRules
from sensorloom.training.stream import TripletStream
from sensorloom.training.streaming.lookahead import Lookahead
from tests.training.generated_triplets import (
    TRAIN,
    VIEW,
    GeneratedWindow,
    text_key,
    vector_of,
    write_triplets,
)

ALL = ("imu", "imu_valid", "video", "mocap", "text")
SLOTS = len(VIEW.texts)
Windows = dict[str, GeneratedWindow]
Written = tuple[Repository, Windows]


def write(url: str) -> Written:
    store = write_triplets(url)
    return store.repo, dict(store.windows)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(str(tmp_path_factory.mktemp("triplets") / "store"))


def stream_of(repo: Repository, **options: Any) -> TripletStream:
    chosen: dict[str, Any] = {
        "view": "tiny",
        "split": "train",
        "batch_size": 8,
        "columns": ALL,
        "last": "keep",
    }
    return TripletStream(repo, **chosen | options)


def examples(stream: TripletStream, windows: Windows) -> list[tuple[GeneratedWindow, Batch, int]]:
    """The windows of one epoch, and where each lies in which batch."""
    return [
        (windows[window_id], batch, at)
        for batch in stream
        for at, window_id in enumerate(stream.window_ids(batch.index_B))
    ]


def test_each_example_has_the_values_and_masks_of_its_window(written: Written) -> None:
    repo, windows = written
    seen = examples(stream_of(repo), windows)
    assert len(seen) == TRAIN
    fields = {
        "imu": "imu_BSCT", "imu_valid": "imu_valid_BSKT", "imu_present": "imu_present_BSK", "video": "video_BVD",
        "video_present": "video_present_BV", "mocap": "mocap_BFJX", "mocap_valid": "mocap_valid_BFJ",
    }  # fmt: skip
    for window, batch, at in seen:
        for name, field in fields.items():
            found = getattr(batch, field)[at].numpy()
            assert found.dtype == window.arrays[name].dtype
            assert np.array_equal(found, window.arrays[name]), name


def test_columns_that_nobody_asked_for_are_not_there(written: Written) -> None:
    batch = next(iter(stream_of(written[0], columns=("video",))))
    assert set(batch.tensors()) == {"index_B", "seed_B", "label_B", "video_BVD", "video_present_BV"}


@pytest.mark.parametrize("text", ["first", "random"])
def test_one_text_of_each_slot(written: Written, text: str) -> None:
    repo, windows = written
    lengths = set()
    for window, batch, at in examples(stream_of(repo, text=text), windows):
        for slot, sentences in enumerate(window.texts):
            key, vector = int(batch.text_id_BK[at, slot]), batch.text_BKD[at, slot].numpy()
            assert bool(batch.text_present_BK[at, slot]) == bool(sentences)
            chosen = [sentence for sentence in sentences if text_key(sentence) == key]
            assert len(chosen) == (1 if sentences else 0)
            assert np.array_equal(vector, vector_of(chosen[0]) if chosen else np.zeros_like(vector))
            if text == "first":
                assert chosen == list(sentences[:1])
            lengths.add(len(sentences))
    assert lengths == {0, 1, 2, 3}


def test_random_texts_come_about_equally_often_and_anew_each_epoch(written: Written) -> None:
    repo, windows = written
    stream = stream_of(repo, text="random", columns=("text",))
    places: dict[int, list[int]] = {2: [], 3: []}
    for _ in range(40):
        for window, batch, at in examples(stream, windows):
            for slot, sentences in enumerate(window.texts):
                if len(sentences) > 1:
                    keys = [text_key(sentence) for sentence in sentences]
                    places[len(sentences)].append(keys.index(int(batch.text_id_BK[at, slot])))
    for count, drawn in places.items():
        shares = np.bincount(drawn, minlength=count) / len(drawn)
        # Five standard deviations of so many draws.
        assert np.abs(shares - 1 / count).max() < 5 * (0.25 / len(drawn)) ** 0.5


def test_the_mean_of_texts_is_a_direction(written: Written) -> None:
    repo, windows = written
    for window, batch, at in examples(stream_of(repo, text="mean"), windows):
        for slot, sentences in enumerate(window.texts):
            assert bool(batch.text_present_BK[at, slot]) == bool(sentences)
            assert int(batch.text_id_BK[at, slot]) == (text_key(sentences[0]) if sentences else 0)
            found = batch.text_BKD[at, slot].numpy()
            if sentences:
                mean = np.sum([vector_of(sentence).astype(np.float64) for sentence in sentences], axis=0)
                assert np.allclose(found, mean / np.linalg.norm(mean), atol=1e-3)
            else:
                assert not found.any()


def test_all_texts_come_with_the_example_and_slot_they_belong_to(written: Written) -> None:
    repo, windows = written
    for batch in (stream := stream_of(repo, text="all", batch_size=1)):
        told = zip(
            batch.text_row_N.tolist(), batch.text_slot_N.tolist(), batch.text_id_N.tolist(), strict=True
        )
        expected = [
            (at, slot, text_key(sentence))
            for at, window_id in enumerate(stream.window_ids(batch.index_B))
            for slot, sentences in enumerate(windows[window_id].texts)
            for sentence in sentences
        ]
        assert list(told) == expected
        there = [[bool(of) for of in windows[name].texts] for name in stream.window_ids(batch.index_B)]
        assert batch.text_present_BK.tolist() == there
        sentence_of = {
            text_key(text): text for window in windows.values() for of in window.texts for text in of
        }
        for key, vector in zip(batch.text_id_N.tolist(), batch.text_ND.numpy(), strict=True):
            assert np.array_equal(vector, vector_of(sentence_of[key]))
        assert batch.text_BKD is None


def test_a_share_of_windows_keeps_its_sensors_alone(written: Written) -> None:
    repo, windows = written
    alone: dict[float, set[str]] = {}
    for share in (0.0, 0.3, 0.6, 1.0):
        alone[share] = set()
        for text in ("first", "all"):
            stream = stream_of(repo, text=text, rules=BatchRules(imu_only=share))
            for window, batch, at in examples(stream, windows):
                others = window.arrays["video_present"].any() or any(window.texts)
                if others and not batch.video_present_BV[at].any() and not batch.text_present_BK[at].any():
                    alone[share].add(window.row["window_id"])
                    assert not batch.video_BVD[at].any()
                    assert not batch.mocap_valid_BFJ[at].any()
                    assert not batch.mocap_BFJX[at].any()
                    assert text == "first" or at not in batch.text_row_N.tolist()
                else:
                    assert np.array_equal(batch.video_BVD[at].numpy(), window.arrays["video"])
                assert np.array_equal(batch.imu_BSCT[at].numpy(), window.arrays["imu"])
    assert not alone[0.0]
    assert alone[0.3] < alone[0.6] < alone[1.0]
    assert 0.1 * TRAIN < len(alone[0.3]) < 0.5 * TRAIN


def test_dropped_latents_leave_one_that_is_there(written: Written) -> None:
    repo, windows = written
    for share in (0.4, 1.0):
        stream = stream_of(repo, rules=BatchRules(modality_dropout=share))
        assert stream.latents == (
            "wrist.accelerometer", "wrist.gyroscope", "chest.accelerometer", "chest.gyroscope",
            "ego", "exo1", "mocap", "narration", "atomic",
        )  # fmt: skip
        kept, there = [], []
        for window, batch, at in examples(stream, windows):
            present = np.concatenate([
                window.arrays["imu_present"].reshape(-1), window.arrays["video_present"],
                [window.arrays["mocap_valid"].any()], [bool(sentences) for sentences in window.texts],
            ])  # fmt: skip
            found = batch.latent_kept_BM[at].numpy()
            assert not (found & ~present).any()
            assert found.any() == present.any()
            kept.append(found.sum())
            there.append(present.sum())
        if share == 1.0:
            assert set(kept) <= {0, 1}
        else:
            assert abs(sum(kept) / sum(there) - (1 - share)) < 0.15


@pytest.mark.parametrize("text", ["first", "mean", "all"])
def test_resident_columns_give_the_same_batches(written: Written, text: str) -> None:
    repo, _ = written
    options: dict[str, Any] = {"text": text, "rules": BatchRules(imu_only=0.3, modality_dropout=0.3)}
    mapped = list(stream_of(repo, **options))
    resident = list(stream_of(repo, resident="cpu", **options))
    for one, other in zip(mapped, resident, strict=True):
        assert one.tensors().keys() == other.tensors().keys()
        assert all(torch.equal(one.tensors()[name], other.tensors()[name]) for name in one.tensors())


@pytest.mark.parametrize("text", ["first", "random", "mean", "all"])
def test_a_batch_of_no_examples_has_the_shapes_of_one(written: Written, text: str) -> None:
    stream = stream_of(written[0], text=text)
    nothing = np.empty(0, np.int64)
    empty, some = stream.collate(nothing, 0, nothing), stream.collate(np.arange(3), 0, np.arange(3))
    assert empty.tensors().keys() == some.tensors().keys()
    for name, tensor in empty.tensors().items():
        assert tensor.shape[1:] == some.tensors()[name].shape[1:]
        assert len(tensor) == 0


def test_an_example_has_a_seed_of_its_own_in_each_epoch(written: Written) -> None:
    stream = stream_of(written[0], columns=("imu",))
    epochs = [torch.cat([batch.seed_B for batch in stream]).tolist() for _ in range(2)]
    assert len({*epochs[0], *epochs[1]}) == 2 * TRAIN
    other = stream_of(written[0], columns=("imu",), batch_size=5)
    assert torch.cat([batch.seed_B for batch in other]).tolist() == epochs[0]


def test_a_padded_batch_marks_what_it_repeats(written: Written) -> None:
    stream = stream_of(written[0], batch_size=20, last="pad")
    batches = list(stream)
    assert [len(batch) for batch in batches] == [20] * -(-TRAIN // 20)
    real = torch.cat([batch.index_B[batch.real_B] for batch in batches])
    assert sorted(real.tolist()) == list(range(stream.num_examples))
    padding = batches[-1].index_B[~batches[-1].real_B]
    assert padding.tolist() == batches[0].index_B[: len(padding)].tolist()


def test_windows_of_a_take_are_kept_apart_in_a_batch_as_far_as_they_go(written: Written) -> None:
    repo, windows = written
    stream = stream_of(repo, batch_size=6, columns=("imu",), rules=BatchRules(min_gap_s=0.6))
    told = 0
    for batch in stream:
        rows = [windows[window_id].row for window_id in stream.window_ids(batch.index_B)]
        told += sum(
            any(
                one is not other
                and one["take_id"] == other["take_id"]
                and abs(one["start_ns"] - other["start_ns"]) < 6e8
                for other in rows
            )
            for one in rows
        )
    assert sorted(stream.order(0).tolist()) == list(range(TRAIN))
    plain = stream_of(repo, batch_size=6, columns=("imu",))
    assert stream.order(0).tolist() != plain.order(0).tolist()
    assert (stream.close_pairs(0) == 0) == (told == 0)


def test_a_curriculum_begins_with_the_soundest_windows(written: Written) -> None:
    repo, windows = written
    stream = stream_of(repo, columns=("imu",), rules=BatchRules(curriculum_epochs=3))
    quality = np.array([window.row["valid_share"] for window, _, _ in examples(stream, windows)], np.float32)
    assert (np.diff(quality) <= 0).all()
    assert stream.order(3).tolist() == stream_of(repo, columns=("imu",)).order(3).tolist()


@pytest.mark.parametrize(("options", "message"), [
    ({"shuffle": "rows"}, "shuffle must be one of global, block, none, got 'rows'"),
    ({"last": "lose"}, "last must be one of drop, keep, pad, got 'lose'"),
    ({"text": "some"}, "text must be one of first, random, mean, all, got 'some'"),
    ({"threads": 0}, "threads must be at least 1, got 0"),
    ({"shuffle": "block", "rules": BatchRules(curriculum_epochs=1)}, "a curriculum needs shuffle='global'"),
])  # fmt: skip
def test_a_choice_that_there_is_not_is_refused(
    written: Written, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(StreamError, match=message):
        stream_of(written[0], **options)


@pytest.mark.parametrize(("rule", "value"), [
    ("min_gap_s", -1.0), ("imu_only", 1.5), ("modality_dropout", float("nan")), ("curriculum_epochs", -1),
    ("block_shards", 0),
])  # fmt: skip
def test_a_rule_outside_its_range_is_refused(rule: str, value: float) -> None:
    with pytest.raises(StreamError, match=f"rule {rule} must lie in .*, got {value!r}"):
        BatchRules(**{rule: value})


def test_a_view_that_was_not_embedded_says_what_to_do(tmp_path: Path) -> None:
    from tests.training.conftest import write_store

    repo = write_store(url=str(tmp_path / "store"))
    with pytest.raises(
        StreamError, match=r"lacks video, .* of the column 'video': .* `sensorloom embed` must"
    ):
        stream_of(repo, columns=("imu", "video"))


def test_shards_of_two_encoders_are_refused(tmp_path: Path, written: Written) -> None:
    repo, _ = write(str(tmp_path / "store"))
    snapshot = repo.resolve("main")
    shard = repo.manifest(snapshot, "tensors:tiny").get("03")
    arrays = repo.open_arrays(shard)
    changed = repo.write_arrays(
        "03", dict(arrays), rows=shard.rows, attributes={**arrays.attributes, "fingerprint": {"dim": 9}},
        work=shard.work,
    )  # fmt: skip
    repo.commit(lambda base: [Put("tensors:tiny", changed)], message="other", provenance={})
    with pytest.raises(StreamError, match=r"fingerprint\.dim is 8 in 00 and 9 in 03; build"):
        stream_of(repo)
    next(iter(stream_of(repo, columns=("imu",))))


# Shards that come through a cache


def test_a_cache_smaller_than_the_split_serves_a_block_shuffle(tmp_path: Path, written: Written) -> None:
    repo, _ = write("memory://columns-block")
    roots = repo.array_roots(repo.manifest(repo.resolve("main"), "tensors:tiny").shards)
    read = [roots[bucket].arrays.values() for bucket in (0, 3, 4, 5)]  # those with windows to train on
    cache = ShardCache(tmp_path / "cache", sum(spec.num_bytes for specs in read for spec in specs) - 1)
    options: dict[str, Any] = {"shuffle": "block", "rules": BatchRules(block_shards=1), "batch_size": 4}
    here, there = stream_of(written[0], **options), stream_of(repo, cache=cache, **options)
    for _ in range(2):
        for one, other in zip(here, there, strict=True):
            assert all(torch.equal(one.tensors()[name], other.tensors()[name]) for name in one.tensors())
    with pytest.raises(
        StreamError, match=r"4 shards .* take .* GB and the cache at .* holds .*shuffle='block'"
    ):
        stream_of(repo, cache=cache)
    with pytest.raises(
        StreamError, match=r"4 shards .* GB: give a larger one .* a smaller rules.block_shards: two"
    ):
        stream_of(repo, cache=cache, shuffle="block", rules=BatchRules(block_shards=2))


def test_the_lookahead_holds_what_steps_need_and_what_comes_next() -> None:
    needs = [np.array(step) for step in ([0], [0, 1], [1], [2, 3], [3, 4], [5], [6], [7], [0])]
    held: set[int] = set()
    lookahead = Lookahead(needs, held.add, held.discard, ahead=1)
    for step, shards in enumerate(needs):
        lookahead.reach(step)
        if step:
            lookahead.finish(step - 1)
        later = {shard for after in needs[step + 1 :] for shard in after.tolist()} - set(shards.tolist())
        assert set(shards.tolist()) <= held
        assert len(held & later) <= 1 + (
            0 in held
        )  # the one that comes next, and one that will be needed again
        assert held <= set(shards.tolist()) | later
    lookahead.close()
    assert not held


def test_a_shard_without_room_is_fetched_again_when_what_is_not_needed_is_gone() -> None:
    """There is room for two: what was fetched ahead, and what is still worked on, makes room."""
    needs = [np.array(step) for step in ([0], [1, 2], [3, 4], [5])]
    held: set[int] = set()

    def fetch(shard: int) -> None:
        if len(held) == 2:
            raise OSError("no room")
        held.add(shard)

    lookahead = Lookahead(needs, fetch, held.discard, ahead=2)
    for step, shards in enumerate(needs):
        worker = threading.Timer(0, lookahead.finish, [step - 1]) if step else None
        if worker:
            worker.start()
        lookahead.reach(step)
        if worker:
            worker.join()
        assert set(shards.tolist()) <= held
    lookahead.close()


def test_a_fetch_that_fails_is_raised_at_the_step_that_needs_it() -> None:
    def fetch(shard: int) -> None:
        if shard == 1:
            raise OSError("the link is down")

    lookahead = Lookahead([np.array([0]), np.array([1])], fetch, lambda shard: None, ahead=4)
    lookahead.reach(0)
    lookahead.finish(0)
    with pytest.raises(OSError, match="the link is down"):
        lookahead.reach(1)
    lookahead.close()


def test_batches_before_a_shard_that_is_gone_come_all_the_same(tmp_path: Path) -> None:
    repo, _ = write("memory://columns-gone")
    options: dict[str, Any] = {
        "shuffle": "none",
        "batch_size": 4,
        "cache": ShardCache(tmp_path / "cache", 10**9),
    }
    whole = list(stream_of(repo, **options))
    shard = repo.manifest(repo.resolve("main"), "tensors:tiny").shards[5]
    stream = stream_of(repo, **options | {"cache": ShardCache(tmp_path / "other", 10**9)})
    repo._objects.delete(
        [info.key for info in repo._objects.walk(f"shards/{shard.digest[:2]}/{shard.digest}.zarr")]
    )
    came: list[Batch] = []
    with pytest.raises(StoreError, match="shard 05 cannot be read"):
        came.extend(stream)
    first_of_shard = next(at for at, batch in enumerate(whole) if (batch.index_B >= 38).any())
    assert [batch.index_B.tolist() for batch in came] == [
        batch.index_B.tolist() for batch in whole[:first_of_shard]
    ]


@pytest.mark.parametrize(("options", "message"), [
    ({"resident": "gpu"}, "resident='gpu' is no device of this machine"),
    ({"rules": {"min_gap_s": 1}}, r"rules must be BatchRules\(…\), got \{'min_gap_s': 1\}"),
    ({"cache": "/tmp"}, r"cache must be ShardCache\(folder, max_bytes\), got '/tmp'"),
    ({"columns": "imu"}, r"columns must be some of imu, .* as in \('imu',\), got 'imu'"),
    ({"columns": ()}, r"columns must be some of .*, got \(\)"),
    ({"batch_size": "8"}, "batch_size must be a whole number, got '8'"),
    ({"view": "tinny"}, r"has no view 'tinny'; it has tiny\. Did you mean 'tiny'\?"),
    ({"seed": -1}, r"seed must lie in \[0, 2\*\*64\), got -1"),
    ({"columns": ("imu_valid",), "rules": BatchRules(modality_dropout=0.1)},
     "modality_dropout is 0.1, but none of the columns imu_valid has a latent to drop"),
])  # fmt: skip
def test_what_cannot_be_is_refused_at_opening(
    written: Written, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(StreamError, match=message):
        stream_of(written[0], **options)


def test_half_an_epoch_or_shard_is_refused(written: Written) -> None:
    with pytest.raises(StreamError, match=r"epoch must lie in \[0, 2\*\*64\), got 1.5"):
        stream_of(written[0]).set_epoch(1.5)  # type: ignore[arg-type]
    with pytest.raises(StreamError, match=r"rule block_shards must be a whole number, got 2.5"):
        BatchRules(block_shards=2.5)  # type: ignore[arg-type]


def test_an_order_that_was_given_away_cannot_be_changed(written: Written) -> None:
    with pytest.raises(ValueError, match="read-only"):
        stream_of(written[0]).order(0)[:] = 0


def test_shards_of_two_recipes_are_refused(tmp_path: Path) -> None:
    repo, _ = write(str(tmp_path / "store"))
    shard = repo.manifest(repo.resolve("main"), "tensors:tiny").get("03")
    arrays = repo.open_arrays(shard)
    recipe = {**arrays.attributes["view"], "positions": ["chest", "wrist"]}
    changed = repo.write_arrays(
        "03", dict(arrays), rows=shard.rows, attributes={**arrays.attributes, "view": recipe}, work=shard.work
    )
    repo.commit(lambda base: [Put("tensors:tiny", changed)], message="other", provenance={})
    with pytest.raises(
        StreamError, match=r"view\.positions is \['wrist', 'chest'\] in 00 and .* in 03; build"
    ):
        stream_of(repo, columns=("imu",))
