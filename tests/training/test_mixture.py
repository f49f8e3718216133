"""Mixtures: every source by its exact weight, whole epochs of each, resumed anywhere, and nothing made up."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from sensorloom.align.view import View
from sensorloom.store.cache import ShardCache
from sensorloom.store.repository import Repository
from sensorloom.training.batch import Batch
from sensorloom.training.errors import StateError, StreamError
from sensorloom.training.mixture import MixtureStream
from sensorloom.training.rules import BatchRules
from sensorloom.training.stream import TripletStream
from tests.training.generated_triplets import text_key, vector_of
from tests.training.generated_views import KnownWindow, write_view
from tests.training.joined_batches import Joined, assert_same, endless, joined

HAR = View("har", ("pamap2",), ("wrist", "chest"), ("rest", "walk"), length_s=0.5, stride_s=0.5, rate_hz=20)
EGO = replace(
    HAR, name="ego", positions=("head", "chest"), classes=(), cameras=("ego", "exo1"), mocap="world"
)
EGO = replace(EGO, texts=("narration", "atomic"))
AAD = replace(HAR, name="aad", positions=("head",), classes=(), texts=("atomic",))
IMU, TEXT, EVERYTHING = (
    ("imu", "imu_valid"),
    ("imu", "imu_valid", "text"),
    ("imu", "imu_valid", "video", "mocap", "text"),
)
COLUMNS = {"har": IMU, "ego": EVERYTHING, "aad": TEXT}
SIZES = {"har": 9, "ego": 13, "aad": 4}

Known = Mapping[str, KnownWindow]
Stores = Mapping[str, Repository]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Repository, Known]]:
    folder = tmp_path_factory.mktemp("views")
    return {
        "har": write_view(str(folder / "har"), HAR, (5, 0, 4)),
        "ego": write_view(str(folder / "ego"), EGO, (6, 7)),
        "aad": write_view(str(folder / "aad"), AAD, (4,)),
    }


@pytest.fixture(scope="module")
def stores(written: dict[str, tuple[Repository, Known]]) -> Stores:
    return {name: repo for name, (repo, _) in written.items()}


def source(stores: Stores, name: str, **options: Any) -> TripletStream:
    defaults = {
        "view": name,
        "split": "train",
        "batch_size": 4,
        "columns": COLUMNS[name],
        "seed": len(name + "x" * SIZES[name]),
    }
    return TripletStream(stores[name], **{**defaults, "rank": 0, "num_ranks": 1, **options})


@pytest.fixture
def sources(stores: Stores) -> dict[str, TripletStream]:
    return {name: source(stores, name) for name in SIZES}


def test_every_value_stands_at_the_place_of_its_name_and_nothing_missing_looks_real(
    written: dict[str, tuple[Repository, Known]], sources: dict[str, TripletStream]
) -> None:
    mixture = MixtureStream(sources, batch_size=5, last="keep")
    assert mixture.slots == ("wrist", "chest", "head")
    assert (mixture.video_slots, mixture.text_sources) == (("ego", "exo1"), ("narration", "atomic"))
    assert mixture.window_shape == (3, 6, 10)
    assert mixture.classes == (("rest", "walk"), (), ())
    for batch in islice(endless(mixture), 2 * len(mixture)):
        for row, (name, window_id) in enumerate(mixture.window_ids(batch)):
            assert list(sources)[batch.source_B[row]] == name
            check_row(mixture, batch, row, written[name][1][window_id])


def check_row(mixture: MixtureStream, batch: Batch, row: int, window: KnownWindow) -> None:
    assert batch.label_B[row] == window.label
    for place, slot in enumerate(mixture.slots):
        imu = window.imu.get(slot, np.zeros((6, 10)))
        valid = window.imu_valid.get(slot, np.zeros((2, 10), np.bool_))
        assert np.array_equal(batch.imu_BSCT[row, place], imu)
        assert np.array_equal(batch.imu_valid_BSKT[row, place], valid)
        assert np.array_equal(batch.imu_present_BSK[row, place], valid.any(-1))
    for place, slot in enumerate(mixture.video_slots):
        vector = window.video.get(slot)
        assert batch.video_present_BV[row, place] == (vector is not None)
        assert np.array_equal(batch.video_BVD[row, place], np.zeros(8) if vector is None else vector)
    for place, slot in enumerate(mixture.text_sources):
        first = next(iter(window.texts.get(slot, ())), None)
        assert batch.text_present_BK[row, place] == (first is not None)
        assert batch.text_id_BK[row, place] == (0 if first is None else text_key(first))
        assert np.array_equal(batch.text_BKD[row, place], np.zeros(8) if first is None else vector_of(first))
    assert bool(batch.mocap_valid_BFJ[row].all()) == (window.mocap is not None)
    assert np.array_equal(
        batch.mocap_BFJX[row], np.zeros((5, 17, 3)) if window.mocap is None else window.mocap
    )


weights = st.one_of(
    st.just("examples"), st.lists(st.sampled_from([0.1, 0.25, 0.7, 1, 3, 20]), min_size=3, max_size=3)
)
mixtures = st.fixed_dictionaries(
    {
        "weights": weights,
        "batch_size": st.sampled_from([4, 8, 20]),
        "epoch_length": st.sampled_from([None, 20, 33, 50]),
        "last": st.sampled_from(["drop", "keep", "pad"]),
    }
)
texts = st.sampled_from(["first", "random", "mean", "all"])
topologies = st.tuples(st.sampled_from([1, 2, 4]), st.integers(1, 3))


@settings(max_examples=15, deadline=None)
@given(mixtures, texts, topologies, topologies, st.integers(1, 12))
def test_a_position_resumes_bit_for_bit_on_any_ranks_and_threads(
    stores: Stores,
    options: dict[str, Any],
    text: str,
    before: tuple[int, int],
    after: tuple[int, int],
    stop: int,
) -> None:
    def batches(topology: tuple[int, int], length: int, state: str | None) -> tuple[list[Joined], str]:
        """The global batches of `length` steps, and the position after them."""
        ranks, threads = topology
        shares, states = [], []
        for rank in range(ranks):
            opened = {name: source(stores, name, text=text) for name in SIZES}
            mixture = MixtureStream(opened, rank=rank, num_ranks=ranks, threads=threads, **options)
            if state is not None:
                mixture.load_state_dict(json.loads(state))
            shares.append(list(islice(endless(mixture), length)))
            states.append(json.dumps(mixture.state_dict()))
        assert len(set(states)) == 1
        return [joined(step) for step in zip(*shares, strict=True)], states[0]

    undisturbed, _ = batches((1, 1), 16, None)
    begun, state = batches(before, stop, None)
    ended, _ = batches(after, 16 - stop, state)
    assert_same([*begun, *ended], undisturbed)


def rows(mixture: MixtureStream, length: int) -> Iterator[tuple[int, int]]:
    """The source and the index of each of the first `length` examples."""
    return islice(endless_rows(mixture), length)


def endless_rows(mixture: MixtureStream) -> Iterator[tuple[int, int]]:
    for batch in endless(mixture):
        real = slice(None) if batch.real_B is None else batch.real_B
        yield from zip(batch.source_B[real].tolist(), batch.index_B[real].tolist(), strict=True)


@settings(max_examples=25, deadline=None)
@given(
    weights,
    st.sampled_from([4, 8, 20]),
    st.sampled_from([None, 20, 33]),
    st.sampled_from(["drop", "keep", "pad"]),
)
def test_each_source_gives_its_weight_and_whole_epochs_of_its_own(
    stores: Stores, weights: Any, batch_size: int, epoch_length: int | None, last: Any
) -> None:
    """Over any prefix, across the epochs of the mixture, within less than one example."""
    opened = {name: source(stores, name) for name in SIZES}
    mixture = MixtureStream(
        opened, weights=weights, batch_size=batch_size, epoch_length=epoch_length, last=last
    )
    assert sum(mixture.weights) == 1
    given_ = [[], [], []]
    for length, (number, index) in enumerate(rows(mixture, 120), start=1):
        given_[number].append(index)
        for weight, indices in zip(mixture.weights, given_, strict=True):
            assert abs(len(indices) - weight * length) < 1
    for name, indices in zip(SIZES, given_, strict=True):
        size = SIZES[name]
        for epoch, first in enumerate(range(0, len(indices) - size + 1, size)):
            assert sorted(indices[first : first + size]) == list(range(size))
            assert indices[first : first + size] == opened[name].order(epoch).tolist()


def test_an_epoch_says_how_many_of_each_source_it_has(sources: dict[str, TripletStream]) -> None:
    mixture = MixtureStream(sources, batch_size=10, weights=[0.5, 0.3, 0.2], epoch_length=35, last="keep")
    assert mixture.weights == (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5))
    assert (len(mixture), mixture.num_examples) == (4, 35)
    for epoch in range(3):
        counted = torch.cat([batch.source_B for batch in mixture]).bincount(minlength=3).tolist()
        assert mixture.counts(epoch) == dict(zip(SIZES, counted, strict=True))
    assert mixture.epoch == 3
    dropping = MixtureStream(sources, batch_size=10, weights=[1, 1, 1], epoch_length=38)
    for epoch in range(3):
        counted = torch.cat([batch.source_B for batch in dropping]).bincount(minlength=3).tolist()
        assert dropping.counts(epoch) == dict(zip(SIZES, counted, strict=True))
    whole = MixtureStream(sources, batch_size=13)
    assert whole.counts(0) == whole.counts(4) == SIZES
    flat = MixtureStream(sources, batch_size=13, temperature=1e9)
    assert [round(float(weight), 5) for weight in flat.weights] == [0.33333] * 3


def test_weights_may_go_by_the_names_of_the_sources(sources: dict[str, TripletStream]) -> None:
    mixture = MixtureStream(sources, batch_size=4, weights={"aad": 0.2, "ego": 0.3, "har": 0.5})
    assert mixture.weights == (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5))


def test_an_example_looks_as_in_its_own_stream(stores: Stores) -> None:
    """Draws of texts and latents are the source's own, by its own epoch and position."""
    options = {"text": "random", "rules": BatchRules(modality_dropout=0.4), "last": "keep"}
    opened = {name: source(stores, name, **options) for name in ("ego", "aad")}
    seen: dict[tuple[str, int, int], tuple[list[Any], ...]] = {}
    for name, stream in opened.items():
        for epoch in range(4):
            for batch in stream:
                for row, index in enumerate(batch.index_B.tolist()):
                    kept = dict(zip(stream.latents, batch.latent_kept_BM[row].tolist(), strict=True))
                    ids = dict(zip(stream.text_sources, batch.text_id_BK[row].tolist(), strict=True))
                    seen[name, epoch, index] = (kept, ids)
    mixture = MixtureStream(opened, batch_size=6, weights=[1, 1], epoch_length=18)
    times: dict[tuple[str, int], int] = {}
    for batch in islice(endless(mixture), 5):
        for row, index in enumerate(batch.index_B.tolist()):
            name = list(opened)[batch.source_B[row]]
            epoch = times.get((name, index), 0)
            times[name, index] = epoch + 1
            kept, ids = seen[name, epoch, index]
            assert batch.latent_kept_BM[row].tolist() == [
                kept.get(latent, False) for latent in mixture.latents
            ]
            assert batch.text_id_BK[row].tolist() == [ids.get(slot, 0) for slot in mixture.text_sources]


def test_a_padded_batch_repeats_the_beginning_of_its_epoch_and_says_so(
    sources: dict[str, TripletStream],
) -> None:
    kept = list(MixtureStream(sources, batch_size=10, epoch_length=23, last="keep"))
    padded = list(MixtureStream(sources, batch_size=10, epoch_length=23, last="pad"))
    assert [len(batch) for batch in kept] == [10, 10, 3]
    assert [batch.real_B.sum() for batch in padded] == [10, 10, 3]
    assert kept[0].real_B is None
    for name, tensor in padded[2].tensors().items():
        if name != "real_B":
            assert torch.equal(tensor[:3], kept[2].tensors()[name])
            assert torch.equal(tensor[3:], kept[0].tensors()[name][:7])
    twice = next(iter(MixtureStream(sources, batch_size=8, epoch_length=3, last="pad")))
    assert twice.real_B.tolist() == [True] * 3 + [False] * 5
    assert twice.index_B.tolist() == [*twice.index_B[:3].tolist() * 2, *twice.index_B[:2].tolist()]


def test_a_mixture_travels_to_other_processes_and_goes_on_there(sources: dict[str, TripletStream]) -> None:
    mixture = MixtureStream(sources, batch_size=5, epoch_length=30)
    whole = list(mixture)
    mixture.set_epoch(0)
    begun = list(islice(mixture, 2))
    copy = pickle.loads(pickle.dumps(mixture))
    assert_same([batch.tensors() for batch in [*begun, *copy]], [batch.tensors() for batch in whole])


def test_workers_of_a_loader_give_the_same_sequence(sources: dict[str, TripletStream]) -> None:
    mixture = MixtureStream(sources, batch_size=5, epoch_length=33, last="keep")
    loader = DataLoader(mixture, batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert_same([batch.tensors() for batch in loader], [batch.tensors() for batch in list(mixture)])


def test_ranks_are_those_of_the_launcher(
    sources: dict[str, TripletStream], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = next(iter(MixtureStream(sources, batch_size=4)))
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    share = next(iter(MixtureStream(sources, batch_size=4)))
    assert torch.equal(share.index_B, whole.index_B[2:])
    assert torch.equal(share.source_B, whole.source_B[2:])


def test_sources_larger_than_their_cache_are_fetched_ahead_and_let_go(tmp_path: Path) -> None:
    """Shards of an object store, shuffled by blocks: the same batches as from a folder, in room for fewer than half."""
    view, counts = replace(HAR, name="local"), (6, 7, 5, 8) * 4

    def mixture(url: str, room: int, shuffle: Literal["block", "global"] = "block") -> MixtureStream:
        repo, _ = write_view(url, view, counts)
        shards = repo.manifest(repo.resolve("main"), "tensors:local").shards
        cache = ShardCache(tmp_path / "cache", room * max(shard.num_bytes for shard in shards))
        stream = TripletStream(
            repo, view="local", split="train", batch_size=4, columns=IMU, shuffle=shuffle, cache=cache,
            rules=BatchRules(block_shards=1),
        )  # fmt: skip
        return MixtureStream([stream], batch_size=4, threads=1)

    local = mixture(str(tmp_path / "store"), 1)
    whole = [batch.tensors() for batch in islice(endless(local), 2 * len(local))]
    remote = mixture("memory://mixture-test", 7)
    assert_same([batch.tensors() for batch in islice(endless(remote), len(whole))], whole)
    with pytest.raises(StreamError, match=r"the cache at .* holds .* GB: give a larger one"):
        next(iter(mixture("memory://mixture-test", 7, "global")))


def test_sources_without_names_are_numbered(sources: dict[str, TripletStream]) -> None:
    mixture = MixtureStream([*sources.values()][:2], batch_size=4)
    assert {name for batch in mixture for name, _ in mixture.window_ids(batch)} == {"0", "1"}


def test_sources_that_only_have_labels_and_images_have_no_window_shape(stores: Stores) -> None:
    mixture = MixtureStream([source(stores, "ego", columns=("video",))], batch_size=4)
    with pytest.raises(StreamError, match="no source of the mixture has the column 'imu': 0"):
        _ = mixture.window_shape
    with pytest.raises(StreamError, match="does not come from a mixture: it has no source_B"):
        mixture.window_ids(Batch(index_B=torch.arange(3)))


@pytest.mark.parametrize(("options", "message"), [
    ({"weights": [1, 2, 3]}, r"weights is \[1, 2, 3\] there and \[9, 13, 4\] here"),
    ({"epoch_length": 40}, "epoch_length is 40 there and 26 here"),
    ({"batch_size": 13}, "batch_size is 13 there and 5 here"),
    ({"last": "keep"}, "last is 'keep' there and 'drop' here"),
])  # fmt: skip
def test_a_position_of_another_mixture_is_refused(
    sources: dict[str, TripletStream], options: dict[str, Any], message: str
) -> None:
    state = MixtureStream(sources, **{"batch_size": 5, **options}).state_dict()
    with pytest.raises(StateError, match=f"another stream: {message}"):
        MixtureStream(sources, batch_size=5).load_state_dict(state)


def test_a_position_with_other_sources_is_refused_naming_them(
    stores: Stores, sources: dict[str, TripletStream]
) -> None:
    mixture = MixtureStream(sources, batch_size=5)
    state = mixture.state_dict()
    assert state["kind"] == "mixture"
    reseeded = MixtureStream({**sources, "ego": source(stores, "ego", seed=99)}, batch_size=5)
    with pytest.raises(StateError, match=r"sources\.ego\.seed is 16 there and 99 here"):
        reseeded.load_state_dict(state)
    with pytest.raises(StateError, match=r"sources is \['har', 'ego', 'aad'\] there and \['har'\] here"):
        MixtureStream({"har": sources["har"]}, batch_size=5).load_state_dict(state)
    with pytest.raises(StateError, match="batch_size is 4 there and 5 here"):
        mixture.load_state_dict(sources["har"].state_dict())
    # What only concerns batches of a source's own is no part of it.
    other = MixtureStream({**sources, "ego": source(stores, "ego", batch_size=2, last="pad")}, batch_size=5)
    other.load_state_dict({**state, "epoch": 3, "batch": 2})
    assert other.state_dict() == {**state, "epoch": 3, "batch": 2}


def test_what_cannot_be_mixed_is_refused_naming_both(
    tmp_path: Path, stores: Stores, sources: dict[str, TripletStream]
) -> None:
    def mixed_with(name: str, view: View, columns: tuple[str, ...] = IMU, **options: Any) -> None:
        repo, _ = write_view(str(tmp_path / name), view, **options)
        stream = TripletStream(repo, view=view.name, split="train", batch_size=4, columns=columns)
        MixtureStream({**sources, "new": stream}, batch_size=4)

    with pytest.raises(
        StreamError, match=r"'har' and 'new' do not mix: IMU of 20 Hz and of 40 Hz; .* length_s and rate_hz"
    ):
        mixed_with("rate", replace(HAR, rate_hz=40, length_s=0.25, stride_s=0.25))
    with pytest.raises(
        StreamError, match=r"'har' and 'new' do not mix: imu.* of 10 samples and of 20 samples; build the"
    ):
        mixed_with("length", replace(HAR, length_s=1.0))
    with pytest.raises(
        StreamError, match=r"'ego' and 'new' do not mix: .* whose weights is 'ab12' and 'cd34'; embed both"
    ):
        mixed_with("encoder", AAD, TEXT, fingerprint="cd34")
    with pytest.raises(
        StreamError, match=r"'ego' and 'new' do not mix: .* of 8 numbers and of 6 numbers; embed both"
    ):
        mixed_with("width", EGO, EVERYTHING, width=6)
    with pytest.raises(
        StreamError, match=r"'ego' and 'new' do not mix: mocap_.* of 5 rows and of 10 rows; build the views"
    ):
        mixed_with("mocap", replace(EGO, length_s=1.0), ("mocap",))
    with pytest.raises(
        StreamError, match=r"'har' and 'new' do not mix: of the IMU one has the columns imu, imu_valid"
    ):
        mixed_with("masks", HAR, ("imu",))
    mixed_with("wordless", HAR, IMU, fingerprint="cd34")


@pytest.mark.parametrize(("options", "message"), [
    ({"columns": ("imu", "gaze")}, "no source of the mixture has the columns gaze: 'har' with imu, imu_valid; 'ego'"),
    ({"epoch_length": 3}, "epoch of 3 examples is less than one batch of 4; make the epoch longer .*last='keep'"),
    ({"epoch_length": -1}, "epoch_length must be a whole number of at least 1, got -1"),
    ({"epoch_length": 0, "last": "keep"}, "epoch_length must be a whole number of at least 1, got 0"),
    ({"epoch_length": 20.0}, r"epoch_length must be a whole number of at least 1, got 20\.0"),
    ({"batch_size": 5.0}, r"batch_size must be a whole number of at least 1, got 5\.0"),
    ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
    ({"columns": "imu"}, r"columns must be a sequence of names, got 'imu'; write \('imu',\)"),
    ({"weights": {"har": 1, "ego": 1}}, "weights lack the sources aad and have nothing besides; give one weight"),
    ({"weights": {"har": 1, "ego": 1, "aad": 2, "eog": 1}}, "lack the sources nothing and have eog besides"),
    ({"weights": [1, 0, 1]}, "weight 1 must be positive and finite, got 0"),
    ({"weights": [1, 1]}, "2 weights for 3 sources"),
    ({"rank": 1, "num_ranks": 3}, "must be a multiple of num_ranks, got 4 over 3 ranks"),
    ({"rank": 2, "num_ranks": 2}, r"rank 2 lies outside \[0, 2\)"),
    ({"rank": 2}, "rank and num_ranks belong together"),
    ({"threads": 0}, "threads must be a whole number of at least 1, got 0"),
])  # fmt: skip
def test_a_mixture_that_cannot_be_is_refused(
    sources: dict[str, TripletStream], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(StreamError, match=message):
        MixtureStream(sources, **{"batch_size": 4, **options})


def test_a_mixture_of_nothing_or_with_gaps_of_its_own_is_refused(stores: Stores) -> None:
    with pytest.raises(StreamError, match="at least one source, got none"):
        MixtureStream({}, batch_size=4)
    spaced = source(stores, "har", rules=BatchRules(min_gap_s=2.5))
    with pytest.raises(
        StreamError, match=r"'har' keeps windows of a take 2\.5 s apart .* cut across; open it without"
    ):
        MixtureStream({"har": spaced}, batch_size=4)


def test_a_mixture_of_mixtures_is_refused(sources: dict[str, TripletStream]) -> None:
    inner: Any = MixtureStream({"har": sources["har"]}, batch_size=4)
    with pytest.raises(
        StreamError, match=r"source 'inner' is a MixtureStream, not a TripletStream; give .* it mixes"
    ):
        MixtureStream({"ego": sources["ego"], "inner": inner}, batch_size=4)


def test_sources_that_show_the_same_moments_together_are_refused_naming_both(stores: Stores) -> None:
    def twice(**options: Any) -> None:
        MixtureStream(
            {"a": source(stores, "har", seed=3), "b": source(stores, "har", **options)}, batch_size=6
        )

    with pytest.raises(
        StreamError, match=r"sources 'a' and 'b' .* seed 3.* another seed, or .* a larger weight"
    ):
        twice(seed=3, columns=("imu",), text="random")
    twice(seed=4)


def test_a_rank_that_cannot_open_its_mixture_tells_the_others(
    sources: dict[str, TripletStream], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr("sensorloom.training.mixture.agree", lambda *answer: told.append(answer))
    with pytest.raises(StreamError, match="no source of the mixture has the columns gaze"):
        MixtureStream(sources, batch_size=4, columns=("gaze",))
    ((identity, error),) = told
    assert identity is None
    assert isinstance(error, StreamError)
    told.clear()
    with pytest.raises(StreamError, match="no source"):
        MixtureStream(sources, batch_size=4, columns=("gaze",), rank=0, num_ranks=1)
    assert not told
    mixture = MixtureStream(sources, batch_size=4)
    assert told == [(mixture.identity(),)]
