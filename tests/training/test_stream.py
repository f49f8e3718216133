"""The stream: exact examples in an exact order, resumed anywhere, refused where it would be wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensorloom.store.repository import Repository
from sensorloom.training.batch import Batch
from sensorloom.training.errors import StateError, StreamError
from sensorloom.training.stream import TripletStream
from sensorloom.training.streaming.gather import Rows

MakeStore = Callable[..., Repository]
TRAIN = 20 + 13 + 17  # of buckets 0, 1 and 3; bucket 2 is empty


def stream_of(repo: Repository | str, **options: Any) -> TripletStream:
    return TripletStream(repo, **{"view": "tiny", "split": "train", "batch_size": 8, **options})


def indices(batches: list[Batch]) -> list[int]:
    return [index for batch in batches for index in batch.index_B.tolist()]


def same(left: list[Batch], right: list[Batch]) -> bool:
    return len(left) == len(right) and all(
        a.tensors().keys() == b.tensors().keys()
        and all(torch.equal(a.tensors()[name], b.tensors()[name]) for name in a.tensors())
        for a, b in zip(left, right, strict=True)
    )


def test_every_window_comes_once_an_epoch_with_its_own_data(make_store: MakeStore) -> None:
    repo = make_store(slots=2)
    stream = stream_of(repo, columns=("imu", "imu_valid"), last="keep")
    snapshot = repo.resolve("main")
    tensors = repo.manifest(snapshot, "tensors:tiny")
    labels = dict(
        repo.scan(snapshot, "windows:tiny").select("window_id", "label_index").collect().iter_rows()
    )
    seen = []
    for batch in stream:
        for at, window_id in enumerate(stream.window_ids(batch.index_B)):
            bucket, row = int(window_id.partition("@")[0][-1]), int(window_id.partition("@")[2].split("+")[0])
            shard = repo.open_arrays(tensors.get(f"{bucket:02d}"))
            assert np.array_equal(batch.imu_BSCT[at].numpy(), shard["imu"][row])
            assert batch.imu_valid_BSKT[at].all()
            assert batch.imu_present_BSK[at].all()
            assert batch.label_B[at] == labels[window_id]
            seen.append(window_id)
    assert len(seen) == TRAIN == stream.num_examples
    assert len(set(seen)) == TRAIN
    assert stream.window_shape == (2, 6, 150)
    assert stream.classes == ("rest", "slow", "fast", "never")


def test_epochs_differ_and_repeat_exactly(make_store: MakeStore) -> None:
    repo = make_store()
    stream = stream_of(repo)
    first, second = list(stream), list(stream)
    assert len(first) == len(stream) == TRAIN // 8
    assert indices(first) != indices(second)
    assert stream.epoch == 2
    stream.set_epoch(0)
    assert same(list(stream), first)
    assert same(list(stream_of(repo)), first)
    assert indices(list(stream_of(repo, seed=1))) != indices(first)


def test_without_shuffle_windows_come_in_storage_order(make_store: MakeStore) -> None:
    stream = stream_of(make_store(), shuffle="none", last="keep")
    assert indices(list(stream)) == list(range(TRAIN))


def test_a_store_in_memory_streams_the_same(make_store: MakeStore) -> None:
    assert same(list(stream_of(make_store())), list(stream_of(make_store(url="memory://stream-test"))))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 9),
    drop_last=st.booleans(),
    before=st.sampled_from([1, 2, 4]),
    after=st.sampled_from([1, 2, 4, 8]),
    stop=st.integers(1, 11),
)
def test_a_position_resumes_bit_for_bit_on_any_number_of_ranks(
    tiny: Repository, seed: int, drop_last: bool, before: int, after: int, stop: int
) -> None:
    """The global sequence over two epochs, cut anywhere, saved on some ranks and continued on others."""
    options: dict[str, Any] = {"seed": seed, "last": "drop" if drop_last else "keep"}
    alone = stream_of(tiny, **options)
    undisturbed = [batch.index_B.tolist() for batch in [*alone, *alone]]
    begun, state = run_ranks(tiny, before, stop, None, options)
    ended, _ = run_ranks(tiny, after, len(undisturbed) - stop, json.dumps(state), options)
    assert begun + ended == undisturbed


def run_ranks(
    repo: Repository, ranks: int, length: int, state: str | None, options: dict[str, Any]
) -> tuple[list[list[int]], dict[str, Any]]:
    """Return the global batches of `length` steps of all ranks, and the position after them."""
    streams = [stream_of(repo, rank=rank, num_ranks=ranks, **options) for rank in range(ranks)]
    shares = []
    for stream in streams:
        if state is not None:
            stream.load_state_dict(json.loads(state))
        shares.append([batch.index_B.tolist() for batch in islice(endless(stream), length)])
    steps = [[index for share in step for index in share] for step in zip(*shares, strict=True)]
    return steps, streams[0].state_dict()


def endless(stream: TripletStream) -> Any:
    while True:
        yield from stream


def test_stopping_in_the_middle_goes_on_where_it_stopped(make_store: MakeStore) -> None:
    repo = make_store()
    whole = list(stream_of(repo))
    stream = stream_of(repo)
    begun = list(islice(stream, 2))
    assert stream.state_dict()["batch"] == 2
    assert same([*begun, *stream], whole)


@pytest.mark.parametrize(("options", "name"), [
    ({"split": "val"}, "split"), ({"batch_size": 4}, "batch_size"), ({"seed": 1}, "seed"),
    ({"shuffle": "none"}, "shuffle"), ({"last": "keep"}, "last"),
])  # fmt: skip
def test_a_position_of_another_stream_is_refused(
    make_store: MakeStore, options: dict[str, Any], name: str
) -> None:
    repo = make_store()
    state = stream_of(repo, **options).state_dict()
    with pytest.raises(StateError, match=f"another stream: {name} is .* there and .* here"):
        stream_of(repo).load_state_dict(state)


def test_a_position_of_another_snapshot_or_version_is_refused(make_store: MakeStore) -> None:
    repo = make_store()
    state = stream_of(repo).state_dict()
    make_store(view="other")
    with pytest.raises(
        StateError, match=rf"snapshot is .* open the stream with snapshot='{state['snapshot']}'"
    ):
        stream_of(repo).load_state_dict(state)
    stream_of(repo, snapshot=state["snapshot"]).load_state_dict(state)
    with pytest.raises(StateError, match="version is 99 there and 2 here"):
        stream_of(repo).load_state_dict({**state, "version": 99})
    with pytest.raises(StateError, match=r"not one of this stream: it lacks .* and has .* besides"):
        stream_of(repo).load_state_dict({"epoch": 3})
    for wrong in (None, "1", 1.0, True):
        with pytest.raises(StateError, match=f"epoch 0, batch {wrong!r} lies outside"):
            stream_of(repo, snapshot=state["snapshot"]).load_state_dict({**state, "batch": wrong})
    with pytest.raises(StateError, match="epoch 0, batch 99 lies outside epochs of 6 batches"):
        stream_of(repo, snapshot=state["snapshot"]).load_state_dict({**state, "batch": 99})


def test_what_is_not_there_is_named_with_what_is(make_store: MakeStore) -> None:
    repo = make_store()
    with pytest.raises(StreamError, match=r"has no view 'har'; it has tiny\. `sensorloom build har`"):
        stream_of(repo, view="har")
    with pytest.raises(
        StreamError,
        match=r"'dev' of view 'tiny' .*: test \(22\), train \(50\), val \(24\)",
    ):
        stream_of(repo, split="dev")
    with pytest.raises(StreamError, match=r"unknown columns \['smell'\]; a stream has imu, imu_valid"):
        stream_of(repo, columns=("imu", "smell"))
    with pytest.raises(StreamError, match="has 50 windows, less than one batch of 51"):
        stream_of(repo, batch_size=51)
    with pytest.raises(StreamError, match="the column 'imu' was not asked for"):
        _ = stream_of(repo, columns=("imu_valid",)).window_shape


@pytest.mark.parametrize(("wrong", "message"), [
    ({"rank": 2, "num_ranks": 2}, r"rank 2 lies outside \[0, 2\)"),
    ({"batch_size": 0}, "batch_size and num_ranks must be at least 1, got 0 and 1"),
    ({"rank": 0, "num_ranks": 3}, "must be a multiple of num_ranks, got 8 over 3 ranks"),
    ({"seed": -1}, r"seed must lie in \[0, 2\*\*64\), got -1"),
])  # fmt: skip
def test_an_order_that_cannot_be_is_an_error_of_the_stream(
    tiny: Repository, wrong: dict[str, int], message: str
) -> None:
    with pytest.raises(StreamError, match=message):
        next(iter(stream_of(tiny, **wrong)))


def test_a_view_without_any_window_says_so(make_store: MakeStore) -> None:
    with pytest.raises(StreamError, match="the view has no windows at all"):
        stream_of(make_store(rows=(0, 0)))


def test_tensors_that_do_not_match_their_windows_are_refused(make_store: MakeStore) -> None:
    def lose_a_row(arrays: dict[str, Any], windows: list[dict[str, Any]]) -> None:
        del windows[:1]

    with pytest.raises(
        StreamError, match="shard 00: 19 windows but tensors of 20 rows; `sensorloom build tiny`"
    ):
        stream_of(make_store(edit=lose_a_row))


def test_a_missing_array_is_named(make_store: MakeStore) -> None:
    def lose_masks(arrays: dict[str, Any], windows: list[dict[str, Any]]) -> None:
        del arrays["imu_valid"]

    with pytest.raises(StreamError, match="shard 00 lacks imu_valid of the column 'imu_valid'; it has imu"):
        stream_of(make_store(edit=lose_masks), columns=("imu_valid",))


def test_shards_of_different_window_length_are_refused(make_store: MakeStore) -> None:
    def cut(arrays: dict[str, Any], windows: list[dict[str, Any]]) -> None:
        if len(windows) == 13:
            arrays["imu"] = arrays["imu"][..., :100]

    with pytest.raises(
        StreamError,
        match=r"do not fit together: rows of imu are float32\[1, 6, 150\] in 00 and float32\[1, 6, 100\] in 01",
    ):
        stream_of(make_store(edit=cut))


def test_windows_without_labels_stream_without_them(make_store: MakeStore) -> None:
    def forget(arrays: dict[str, Any], windows: list[dict[str, Any]]) -> None:
        for row in windows:
            row["label"] = row["label_index"] = None

    stream = stream_of(make_store(edit=forget))
    assert stream.labels is None
    assert next(iter(stream)).label_B is None


def test_a_batch_that_is_held_is_never_overwritten(make_store: MakeStore) -> None:
    """Buffers are recycled; a view of a tensor, and the array behind it, keep theirs from that."""
    repo = make_store()
    expected = [batch.imu_BSCT.clone() for batch in stream_of(repo)]
    stream = stream_of(repo)
    slices = [batch.imu_BSCT[3:5] for batch in stream]
    stream.set_epoch(0)
    arrays = [batch.imu_BSCT.numpy() for batch in stream]
    list(islice(endless(stream), 40))
    assert all(torch.equal(part, whole[3:5]) for part, whole in zip(slices, expected, strict=True))
    assert all(np.array_equal(array, whole) for array, whole in zip(arrays, expected, strict=True))


def test_memory_is_reused_once_nobody_holds_it() -> None:
    column = Rows(np.zeros((9, 1000), np.float32), np.zeros(1, np.int64))
    rows = np.arange(4)
    first = column.gather(np.zeros(4, np.int64), rows)
    address = first.ctypes.data
    second = column.gather(np.zeros(4, np.int64), rows)
    assert second.ctypes.data != address
    del first
    assert column.gather(np.zeros(4, np.int64), rows).ctypes.data == address


def test_only_the_newest_iterator_goes_on(make_store: MakeStore) -> None:
    stream = stream_of(make_store())
    old = iter(stream)
    next(old)
    next(iter(stream))
    with pytest.raises(StreamError, match="only its newest iterator can go on"):
        next(old)
    moved = iter(stream)
    stream.set_epoch(3)
    with pytest.raises(StreamError, match="the stream was moved"):
        next(moved)


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sensorloom-stream")]


def test_no_thread_outlives_its_iterator(make_store: MakeStore) -> None:
    batches = iter(stream_of(make_store()))
    next(batches)
    assert workers()
    batches.close()
    assert not workers()


@pytest.mark.parametrize("cores", [1, 2, 64])
def test_batches_are_the_same_whoever_makes_them(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    """Where threads have no core of their own the consumer makes some batches, in whatever mode it is."""
    repo = make_store()
    expected = list(stream_of(repo, threads=1))
    monkeypatch.setattr("sensorloom.training.streaming.walk.own_cores", lambda: cores)
    for _ in range(10):
        with torch.inference_mode():
            batches = list(stream_of(repo, threads=2))
        assert same(batches, expected)
        assert not any(tensor.is_inference() for batch in batches for tensor in batch.tensors().values())


def test_a_url_opens_like_a_repository(make_store: MakeStore, tmp_path: Path) -> None:
    repo = make_store()
    assert same(list(stream_of(str(tmp_path / "store"))), list(stream_of(repo)))
