"""What holds of the stream whatever its settings, its ranks, its threads and where it was interrupted."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sensorloom.store.repository import Repository
from sensorloom.training.batch import Batch
from sensorloom.training.errors import StateError
from sensorloom.training.rules import BatchRules
from sensorloom.training.stream import TripletStream
from tests.training.generated_triplets import (
    TRAIN,
    WIDTH,
    GeneratedWindow,
    Triplets,
    text_key,
    vector_of,
    write_triplets,
)
from tests.training.joined_batches import Joined, assert_same, endless, indices, joined

EVERYTHING = ("imu", "imu_valid", "video", "mocap", "text")
SHARES = (1, 2, 4)
SIZES = {"train": TRAIN, "val": 15}

Windows = Mapping[str, GeneratedWindow]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Triplets:
    return write_triplets(str(tmp_path_factory.mktemp("triplets") / "store"))


@pytest.fixture
def repo(store: Triplets) -> Repository:
    return store.repo


@pytest.fixture
def windows(store: Triplets) -> Windows:
    return store.windows


def stream_of(repo: Repository, **options: Any) -> TripletStream:
    return TripletStream(repo, **{"view": "tiny", "split": "train", "batch_size": 8, **options})


rules = st.builds(
    BatchRules,
    min_gap_s=st.sampled_from([0.0, 0.3, 0.6, 30.0]),
    imu_only=st.sampled_from([0.0, 0.4]),
    modality_dropout=st.sampled_from([0.0, 0.4]),
    block_shards=st.integers(1, 3),
)
orders = st.one_of(
    st.fixed_dictionaries({"shuffle": st.sampled_from(["global", "block", "none"]), "rules": rules}),
    st.fixed_dictionaries({"rules": st.builds(BatchRules, curriculum_epochs=st.integers(1, 3))}),
)
columns = st.sampled_from([EVERYTHING, ("imu",), ("text", "video"), ("mocap", "imu_valid"), ("imu", "text")])
# A split and its batch size; of the last batch of val in fours, one of four ranks has no example.
splits = st.sampled_from(
    [*(("train", size) for size in (4, 8, 20, 28, 48)), ("val", 4), ("val", 4), ("val", 12)]
)
options_of_streams = st.builds(
    lambda order, split, others: {**order, "split": split[0], "batch_size": split[1], **others},
    orders,
    splits,
    st.fixed_dictionaries(
        {
            "seed": st.integers(0, 3),
            "last": st.sampled_from(["drop", "keep", "pad"]),
            "text": st.sampled_from(["first", "random", "mean", "all"]),
            "columns": columns,
        }
    ),
)
legs = st.lists(
    st.fixed_dictionaries(
        {
            "num_ranks": st.sampled_from(SHARES),
            "threads": st.integers(1, 3),
            "resident": st.sampled_from([None, None, "cpu"]),
            "length": st.integers(1, 9),
        }
    ),
    min_size=1,
    max_size=3,
)


def walk(
    repo: Repository, options: dict[str, Any], leg: dict[str, Any], state: str | None, length: int
) -> tuple[list[Joined], str]:
    """Return the next `length` global batches, each rank's share read by a stream of its own, and the state."""
    how = {name: value for name, value in leg.items() if name != "length"}
    streams = [stream_of(repo, rank=rank, **options, **how) for rank in range(how["num_ranks"])]
    shares = []
    for stream in streams:
        if state is not None:
            stream.load_state_dict(json.loads(state))
        shares.append(list(islice(endless(stream), length)))
    states = {json.dumps(stream.state_dict()) for stream in streams}
    assert len(states) == 1, f"ranks stand at different places: {states}"
    return [joined(step) for step in zip(*shares, strict=True)], states.pop()


ALONE = {"num_ranks": 1, "threads": 1}


@settings(max_examples=20, deadline=None)
@given(options=options_of_streams, epoch=st.sampled_from([0, 1, 7]))
def test_an_epoch_has_every_example_exactly_once(
    store: Triplets, options: dict[str, Any], epoch: int
) -> None:
    stream = stream_of(store.repo, **options)
    stream.set_epoch(epoch)
    batches = [joined([batch]) for batch in stream]
    assert stream.epoch == epoch + 1
    assert len(batches) == len(stream)
    size, last, total = options["batch_size"], options["last"], SIZES[options["split"]]
    seen = indices(batches)
    assert seen[:total] == stream.order(epoch)[: len(seen)].tolist()
    if last == "drop":
        assert len(set(seen)) == len(seen) == total // size * size
    elif last == "keep":
        assert sorted(seen) == list(range(total))
        assert [len(batch["index_B"]) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    else:
        real = torch.cat([batch["real_B"] for batch in batches]).tolist()
        assert len(seen) == -(-total // size) * size
        assert real == [True] * total + [False] * (len(seen) - total)
        assert sorted(seen[:total]) == list(range(total))
        assert set(seen) <= set(range(total))
    assert ("real_B" in batches[0]) == (last == "pad")


@pytest.mark.parametrize("text", ["first", "random", "mean", "all"])
@pytest.mark.parametrize("resident", [None, "cpu"])
def test_a_rank_without_a_share_of_the_last_batch_has_an_empty_one_of_the_same_columns(
    repo: Repository, text: str, resident: str | None
) -> None:
    options: dict[str, Any] = {
        "split": "val", "batch_size": 4, "columns": EVERYTHING, "text": text, "last": "keep", "resident": resident,
        "rules": BatchRules(imu_only=0.4, modality_dropout=0.4),
    }  # fmt: skip
    shares = [list(stream_of(repo, rank=rank, num_ranks=4, **options)) for rank in range(4)]
    assert [len(share[-1]) for share in shares] == [0, 1, 1, 1]
    whole = [joined([batch]) for batch in stream_of(repo, **options)]
    assert_same([joined(step) for step in zip(*shares, strict=True)], whole)


@settings(max_examples=12, deadline=None)
@given(options=options_of_streams, journey=legs)
def test_batches_are_the_same_to_the_bit_for_any_ranks_and_any_interruptions(
    store: Triplets, options: dict[str, Any], journey: list[dict[str, Any]]
) -> None:
    check_journey(store.repo, options, journey)


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(options=options_of_streams, journey=legs)
def test_many_more_journeys_come_to_the_same(
    store: Triplets, options: dict[str, Any], journey: list[dict[str, Any]]
) -> None:
    check_journey(store.repo, options, journey)


def check_journey(repo: Repository, options: dict[str, Any], journey: list[dict[str, Any]]) -> None:
    """Compare two epochs read by one thread alone with those of streams that stop and go on elsewhere."""
    total = 2 * len(stream_of(repo, **options))
    undisturbed, end = walk(repo, options, ALONE, None, total)
    found: list[Joined] = []
    state = None
    for leg in [*journey, {**ALONE, "length": total}]:
        batches, state = walk(repo, options, leg, state, min(leg["length"], total - len(found)))
        found += batches
    assert_same(found, undisturbed)
    assert state == end
    assert json.loads(end)["epoch"] == 2


@settings(max_examples=20, deadline=None)
@given(options=options_of_streams, epoch=st.sampled_from([0, 3]))
def test_every_row_is_that_of_its_window(store: Triplets, options: dict[str, Any], epoch: int) -> None:
    stream = stream_of(store.repo, **options)
    stream.set_epoch(epoch)
    for batch in stream:
        ids = stream.window_ids(batch.index_B)
        assert {store.windows[name].row["split"] for name in ids} == {options["split"]}
        for at, name in enumerate(ids):
            check_row(batch, at, store.windows[name], options)
        check_latents(batch, stream)


def check_row(batch: Batch, at: int, window: GeneratedWindow, options: dict[str, Any]) -> None:
    """Compare one example with what was generated, or with nothing but sensors where the rule may say so."""
    label = window.row["label_index"]
    assert batch.label_B is not None
    assert batch.label_B[at] == (-1 if label is None else label)
    per_example = {name: t for name, t in batch.tensors().items() if not name.endswith(("_N", "_ND"))}
    row = {name: tensor[at].numpy() for name, tensor in per_example.items()}
    expected = {
        "imu_BSCT": window.arrays["imu"], "imu_present_BSK": window.arrays["imu_present"],
        "imu_valid_BSKT": window.arrays["imu_valid"],
    }  # fmt: skip
    others = {
        "video_BVD": window.arrays["video"], "video_present_BV": window.arrays["video_present"],
        "mocap_BFJX": window.arrays["mocap"], "mocap_valid_BFJ": window.arrays["mocap_valid"],
        "text_present_BK": np.array([bool(slot) for slot in window.texts]),
    }  # fmt: skip
    bare = keeps_sensors_alone(window.row["window_id"], options["seed"], options["rules"].imu_only)
    for name, value in others.items():
        expected[name] = np.zeros_like(value) if bare else value
    for name, value in expected.items():
        if name in row:
            assert row[name].dtype == value.dtype, name
            assert np.array_equal(row[name], value), name
    if "text" in options["columns"]:
        check_texts(batch, at, ((), ()) if bare else window.texts, options["text"])


def keeps_sensors_alone(window_id: str, seed: int, share: float) -> bool:
    """Say it by the definition of `choose_imu_only`, without looking at any batch."""
    digest = hashlib.sha256(f"{seed}:{window_id}".encode()).hexdigest()
    return int(digest[:16], 16) / 2**64 < share


def check_texts(batch: Batch, at: int, texts: tuple[tuple[str, ...], ...], choice: str) -> None:
    tensors = {name: tensor.numpy() for name, tensor in batch.tensors().items()}
    if choice == "all":
        mine = tensors["text_row_N"] == at
        wanted = [(slot, text) for slot, of_slot in enumerate(texts) for text in of_slot]
        assert tensors["text_slot_N"][mine].tolist() == [slot for slot, _ in wanted]
        assert tensors["text_id_N"][mine].tolist() == [text_key(text) for _, text in wanted]
        assert np.array_equal(
            tensors["text_ND"][mine], np.array([vector_of(text) for _, text in wanted]).reshape(-1, WIDTH)
        )
        return
    for slot, of_slot in enumerate(texts):
        vector, key = tensors["text_BKD"][at, slot], int(tensors["text_id_BK"][at, slot])
        if not of_slot:
            assert key == 0
            assert not vector.any()
        elif choice == "mean":
            mean = np.mean([vector_of(text).astype(np.float64) for text in of_slot], axis=0)
            assert key == text_key(of_slot[0])
            assert np.allclose(vector, mean / np.linalg.norm(mean), atol=2e-3)
        else:
            chosen = {text_key(text): text for text in (of_slot[:1] if choice == "first" else of_slot)}
            assert key in chosen
            assert np.array_equal(vector, vector_of(chosen[key]))


@pytest.mark.parametrize("batch_size", [1, 2, 4, 8])
def test_a_slot_is_there_where_it_has_a_text_however_many_others_have(
    repo: Repository, windows: Windows, batch_size: int
) -> None:
    """Also where a batch happens to have as many texts as slots, some with several and some with none."""
    as_many = 0
    for batch in stream_of(repo, columns=("text",), text="all", batch_size=batch_size):
        texts = [windows[name].texts for name in stream_of(repo).window_ids(batch.index_B)]
        assert batch.text_present_BK is not None
        assert batch.text_row_N is not None
        assert batch.text_present_BK.tolist() == [[bool(slot) for slot in of_window] for of_window in texts]
        as_many += len(batch.text_row_N) == batch.text_present_BK.numel() and not batch.text_present_BK.all()
    assert as_many or batch_size > 2


def test_texts_that_an_epoch_looked_up_once_are_those_that_a_batch_looks_up(repo: Repository) -> None:
    stream = stream_of(repo, columns=("text",), rules=BatchRules(imu_only=0.2))
    index = np.arange(stream.num_examples)
    before = stream.collate(index, 0, index)
    assert before.text_present_BK is not None
    assert not before.text_present_BK.all()
    for _ in stream:
        pass
    after = stream.collate(index, 0, index)
    assert all(torch.equal(value, before.tensors()[name]) for name, value in after.tensors().items())


def check_latents(batch: Batch, stream: TripletStream) -> None:
    """What is kept is there, and of what is there one latent is kept at least."""
    kept = batch.latent_kept_BM
    assert (kept is None) == (stream.rules.modality_dropout == 0)
    if kept is None:
        return
    assert kept.shape == (len(batch), len(stream.latents))
    there = present(batch)
    assert not (kept & ~there).any()
    assert torch.equal(kept.any(1), there.any(1))


def present(batch: Batch) -> Tensor:
    """Which latents bool[B, M] the batch has: sensors slot by slot, cameras, poses, text sources."""
    parts = []
    if batch.imu_present_BSK is not None:
        parts.append(batch.imu_present_BSK.flatten(1))
    if batch.video_present_BV is not None:
        parts.append(batch.video_present_BV)
    if batch.mocap_valid_BFJ is not None:
        parts.append(batch.mocap_valid_BFJ.flatten(1).any(1, keepdim=True))
    if batch.text_present_BK is not None:
        parts.append(batch.text_present_BK)
    return torch.cat(parts, dim=1)


@settings(max_examples=15, deadline=None)
@given(options=options_of_streams, epoch=st.integers(0, 3), data=st.data())
def test_an_example_depends_on_its_position_alone(
    store: Triplets, options: dict[str, Any], epoch: int, data: st.DataObject
) -> None:
    """Whatever else is in the batch: one position, or any of them together, comes out as in the epoch."""
    options = {**options, "last": "keep", "text": options["text"].replace("all", "random")}
    stream = stream_of(store.repo, **options)
    stream.set_epoch(epoch)
    whole = joined(list(stream))
    places = st.integers(0, SIZES[options["split"]] - 1)
    position = np.array(data.draw(st.lists(places, min_size=1, max_size=9)), np.int64)
    part = stream.collate(stream.order(epoch)[position], epoch, position)
    assert_same([joined([part])], [{name: tensor[position] for name, tensor in whole.items()}])


def test_the_size_of_a_batch_changes_no_example(repo: Repository) -> None:
    options: dict[str, Any] = {
        "columns": EVERYTHING, "text": "random", "last": "keep", "seed": 5,
        "rules": BatchRules(imu_only=0.3, modality_dropout=0.3),
    }  # fmt: skip
    whole = [joined(list(stream_of(repo, batch_size=size, **options))) for size in (1, 8, 20, 48, 100)]
    for other in whole[1:]:
        assert_same([other], [whole[0]])


def test_draws_differ_from_epoch_to_epoch_and_from_seed_to_seed(repo: Repository) -> None:
    """Otherwise that they resume would say nothing."""
    drop = BatchRules(modality_dropout=0.4)

    def drawn(seed: int, epoch: int) -> tuple[list[int], list[Any]]:
        stream = stream_of(
            repo, columns=EVERYTHING, text="random", rules=drop, seed=seed, shuffle="none", last="keep"
        )
        stream.set_epoch(epoch)
        whole = joined(list(stream))
        return whole["text_id_BK"].tolist(), whole["latent_kept_BM"].tolist()

    texts, masks = zip(*(drawn(seed, epoch) for seed in (0, 1) for epoch in (0, 1)), strict=True)
    for drawings in (texts, masks):
        assert len({str(drawing) for drawing in drawings}) == 4


def without_others(repo: Repository, share: float, epoch: int) -> set[int]:
    """Examples of which nothing but sensors is shown."""
    stream = stream_of(
        repo, columns=EVERYTHING, rules=BatchRules(imu_only=share), last="keep", batch_size=TRAIN
    )
    stream.set_epoch(epoch)
    whole = joined(list(stream))
    assert whole["imu_present_BSK"].any()
    shown = whole["video_present_BV"].any(1) | whole["mocap_valid_BFJ"].flatten(1).any(1)
    shown |= whole["text_present_BK"].any(1)
    return set(whole["index_B"][~shown].tolist())


def test_windows_with_sensors_alone_are_the_same_every_epoch_and_those_of_more_include_those_of_fewer(
    repo: Repository,
) -> None:
    ids = stream_of(repo).window_ids(torch.arange(TRAIN))
    never = without_others(repo, 0.0, 0)
    assert len(never) < TRAIN / 4
    found = []
    for share in (0.0, 0.2, 0.5, 0.9, 1.0):
        alone = {index for index, name in enumerate(ids) if keeps_sensors_alone(name, 0, share)}
        found.append(without_others(repo, share, 0))
        assert found[-1] == without_others(repo, share, 6) == alone | never
    assert all(fewer <= more for fewer, more in pairwise(found))
    assert len(found[0]) < len(found[2]) < len(found[4]) == TRAIN


def test_a_curriculum_ends_as_the_plain_shuffle(repo: Repository) -> None:
    plain, taught = stream_of(repo), stream_of(repo, rules=BatchRules(curriculum_epochs=2))
    equal = [np.array_equal(plain.order(epoch), taught.order(epoch)) for epoch in range(4)]
    assert equal == [False, False, True, True]


def close_pairs(stream: TripletStream, windows: Windows, epoch: int, gap_s: float) -> int:
    """Pairs of windows of one take in one batch that start less than `gap_s` apart, counted one by one."""
    stream.set_epoch(epoch)
    count = 0
    for batch in stream:
        rows = [windows[name].row for name in stream.window_ids(batch.index_B)]
        count += sum(
            a["take_id"] == b["take_id"] and abs(a["start_ns"] - b["start_ns"]) < gap_s * 1e9
            for at, a in enumerate(rows)
            for b in rows[:at]
        )
    return count


@pytest.mark.parametrize("num_ranks", [1, 2])
def test_windows_of_a_take_keep_their_distance_in_the_global_batch(
    repo: Repository, windows: Windows, num_ranks: int
) -> None:
    apart = BatchRules(min_gap_s=0.6)
    crowded = [close_pairs(stream_of(repo), windows, epoch, 0.6) for epoch in range(5)]
    assert all(crowded)
    spaced = stream_of(repo, rules=apart)
    assert [spaced.close_pairs(epoch) for epoch in range(5)] == [0] * 5
    assert not any(close_pairs(spaced, windows, epoch, 0.6) for epoch in range(5))
    shared = [stream_of(repo, rules=apart, rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)]
    assert_same(
        [joined(step) for step in zip(*shared, strict=True)],
        [joined([batch]) for batch in stream_of(repo, rules=apart)],
    )


def test_what_cannot_be_kept_apart_is_counted(repo: Repository, windows: Windows) -> None:
    stream = stream_of(repo, rules=BatchRules(min_gap_s=60.0), batch_size=TRAIN)
    takes = Counter(windows[name].row["take_id"] for name in stream.window_ids(torch.arange(TRAIN)))
    assert stream.close_pairs(2) == sum(count * (count - 1) // 2 for count in takes.values())
    assert stream.close_pairs(2) == close_pairs(stream, windows, 2, 60.0)


def test_a_state_is_small_and_plain(repo: Repository) -> None:
    stream = stream_of(repo, rules=BatchRules(min_gap_s=0.3), rank=1, num_ranks=2, threads=1)
    next(iter(stream))
    state = stream.state_dict()
    assert json.loads(json.dumps(state)) == state
    assert state == {
        "version": 2, "snapshot": stream.snapshot_id, "view": "tiny", "split": "train", "batch_size": 8,
        "seed": 0, "shuffle": "global", "last": "drop", "text": "first", "epoch": 0, "batch": 1,
        "rules": {
            "min_gap_s": 0.3, "imu_only": 0.0, "modality_dropout": 0.0, "curriculum_epochs": 0,
            "block_shards": 8,
        },
    }  # fmt: skip


@pytest.mark.parametrize(("options", "name", "there", "here"), [
    ({"split": "val"}, "split", "'val'", "'train'"),
    ({"batch_size": 4}, "batch_size", "4", "8"),
    ({"seed": 1}, "seed", "1", "0"),
    ({"shuffle": "none"}, "shuffle", "'none'", "'global'"),
    ({"last": "pad"}, "last", "'pad'", "'drop'"),
    ({"text": "mean"}, "text", "'mean'", "'first'"),
    ({"rules": BatchRules(min_gap_s=0.3)}, "min_gap_s", r"0\.3", r"0\.0"),
    ({"rules": BatchRules(imu_only=0.25)}, "imu_only", r"0\.25", r"0\.0"),
    ({"rules": BatchRules(modality_dropout=0.1)}, "modality_dropout", r"0\.1", r"0\.0"),
    ({"rules": BatchRules(curriculum_epochs=5)}, "curriculum_epochs", "5", "0"),
    ({"rules": BatchRules(block_shards=2)}, "block_shards", "2", "8"),
])  # fmt: skip
def test_a_state_of_another_stream_is_refused_with_both_values(
    repo: Repository, options: dict[str, Any], name: str, there: str, here: str
) -> None:
    state = json.loads(json.dumps(stream_of(repo, **options).state_dict()))
    stream = stream_of(repo)
    before = stream.state_dict()
    within = r"rules\." if "rules" in options else ""
    with pytest.raises(StateError, match=f": {within}{name} is {there} there and {here} here;"):
        stream.load_state_dict(state)
    assert stream.state_dict() == before


def test_a_state_of_another_snapshot_or_view_is_refused_with_both(tmp_path: Any) -> None:
    url = str(tmp_path / "store")
    repo = write_triplets(url).repo
    old = stream_of(repo).state_dict()
    write_triplets(url, view="other")
    new = stream_of(repo).snapshot_id
    with pytest.raises(StateError, match=f"snapshot is '{old['snapshot']}' there and '{new}' here"):
        stream_of(repo).load_state_dict(old)
    with pytest.raises(StateError, match="view is 'other' there and 'tiny' here"):
        stream_of(repo).load_state_dict(stream_of(repo, view="other").state_dict())
    stream_of(repo, snapshot=old["snapshot"]).load_state_dict(old)


def test_columns_threads_and_residence_do_not_bind_a_state(repo: Repository) -> None:
    stream = stream_of(repo, columns=("imu",), threads=1)
    next(iter(stream))
    other = stream_of(repo, columns=("video", "text"), threads=3, resident="cpu")
    other.load_state_dict(stream.state_dict())
    assert [batch.index_B.tolist() for batch in other] == [batch.index_B.tolist() for batch in stream]
