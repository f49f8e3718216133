"""Batches of several sources as one: every value at its name's place, and nothing real where nothing was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sensorloom.training.batch import Batch
from sensorloom.training.errors import StreamError
from sensorloom.training.streaming.batch_shape import BatchShape, unite
from sensorloom.training.streaming.merge import Merger, Part

SAMPLES, VECTOR, ROWS, JOINTS = 5, 3, 2, 2
PLACES = {"imu": "slots", "video": "video_slots", "text": "text_sources"}
ENCODER = {"model": "ViT-B-32", "weights": "ab12"}

subsets = st.lists(st.sampled_from(["head", "chest", "wrist", "shin"]), min_size=1, max_size=4, unique=True)
columns = st.sets(st.sampled_from(["imu", "video", "mocap", "text", "label"]), min_size=1)


def example_batch(axes: dict[str, Any], has: set[str], size: int, start: int, mode: str = "first") -> Batch:
    """A batch whose every number is another one and never 0; masks are True except for the example 0."""
    generator = np.random.default_rng(start)

    def numbers(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.from_numpy(generator.uniform(1, 2, (size, *shape))).to(dtype)

    def mask(*shape: int) -> Tensor:
        return (torch.arange(size) > 0).reshape(size, *(1 for _ in shape)).expand(size, *shape).clone()

    slots, cameras, texts = (len(axes.get(name, ())) for name in ("slots", "video_slots", "text_sources"))
    tensors: dict[str, Tensor] = {"index_B": torch.arange(start, start + size)}
    if "label" in has:
        tensors["label_B"] = torch.arange(size) % 7
    if "imu" in has:
        tensors["imu_BSCT"] = numbers(slots, 6, SAMPLES)
        tensors["imu_valid_BSKT"] = mask(slots, 2, SAMPLES)
        tensors["imu_present_BSK"] = mask(slots, 2)
    if "video" in has:
        tensors["video_BVD"] = numbers(cameras, VECTOR, dtype=torch.float16)
        tensors["video_present_BV"] = mask(cameras)
    if "mocap" in has:
        tensors["mocap_BFJX"] = numbers(ROWS, JOINTS, 3)
        tensors["mocap_valid_BFJ"] = mask(ROWS, JOINTS)
    if "text" in has:
        tensors["text_present_BK"] = mask(texts)
        if mode == "all":
            tensors |= every_text(texts, size, generator)
        else:
            tensors["text_BKD"] = numbers(texts, VECTOR, dtype=torch.float16)
            tensors["text_id_BK"] = torch.arange(start, start + size * texts).reshape(size, texts) + 1
    return Batch(**tensors)


def every_text(slots: int, size: int, generator: np.random.Generator) -> dict[str, Tensor]:
    """0 … 2 texts in each slot of each example, in order."""
    counts = generator.integers(0, 3, (size, slots))
    row, slot = (
        torch.from_numpy(place.repeat(counts.reshape(-1)))
        for place in np.divmod(np.arange(size * slots), slots)
    )
    vectors = torch.from_numpy(generator.uniform(1, 2, (len(row), VECTOR))).to(torch.float16)
    ids = torch.from_numpy(generator.integers(1, 2**62, len(row)))
    return {"text_ND": vectors, "text_id_N": ids, "text_row_N": row, "text_slot_N": slot}


def source(name: str, has: set[str], places: list[str], *, mode: str = "first", **changes: Any) -> BatchShape:
    """The shape of a source that has `places` along each of its named axes."""
    named = {axis: tuple(places) for column, axis in PLACES.items() if column in has}
    rate_hz, encoder = (200 if "imu" in has else None), (ENCODER if has & {"video", "text"} else None)
    empty = example_batch(named, has, 0, 0, mode)
    return replace(BatchShape(name, empty, **named, rate_hz=rate_hz, encoder=encoder), **changes)


def parts_of(
    shapes: list[BatchShape], owners: list[int], mode: str = "first", pieces: int = 1
) -> tuple[list[Part], list[tuple[BatchShape, Batch, int]]]:
    """The parts of a batch whose rows belong to `owners`; and of each row its source, batch and row in that."""
    parts, origin = [], {}
    for number, shape in enumerate(shapes):
        of_source = np.flatnonzero(np.array(owners) == number)
        for piece, rows in enumerate(np.array_split(of_source, pieces)):
            named = {axis: getattr(shape, axis) for axis in PLACES.values()}
            fields = shape.empty.tensors().keys()
            has = {
                name
                for name in ("imu", "video", "mocap", "text", "label")
                if any(f.startswith(name) for f in fields)
            }
            batch = example_batch(named, has, len(rows), 100 * number + 10 * piece + 1, mode)
            parts.append(Part(number, shape, rows, batch))
            origin |= {row: (shape, batch, at) for at, row in enumerate(rows.tolist())}
    return parts, [origin[row] for row in range(len(owners))]


@given(st.lists(st.tuples(columns, subsets), min_size=1, max_size=4), st.data())
def test_every_value_stands_at_the_place_of_its_name_and_nothing_else_does(
    described: list[tuple[set[str], list[str]]], data: st.DataObject
) -> None:
    """An independent slow reading: row by row, name by name."""
    shapes = [source(str(number), has, places) for number, (has, places) in enumerate(described)]
    owners = data.draw(st.lists(st.integers(0, len(shapes) - 1), max_size=12))
    united = unite(shapes)
    parts, origin = parts_of(shapes, owners, pieces=data.draw(st.integers(1, 3)))
    merged = Merger(united)(parts, len(owners))
    assert merged.source_B.tolist() == owners
    assert merged.tensors().keys() - {"source_B"} == set().union(*(one.empty.tensors() for one in shapes))
    for row, (shape, batch, at) in enumerate(origin):
        assert merged.index_B[row] == batch.index_B[at]
        for field, tensor in merged.tensors().items():
            if field in ("index_B", "source_B"):
                continue
            own = getattr(batch, field)
            if field == "label_B":
                assert tensor[row] == (-1 if own is None else own[at])
            elif field.startswith("mocap"):
                assert torch.equal(tensor[row], torch.zeros_like(tensor[row]) if own is None else own[at])
            else:
                axis = PLACES[field.split("_")[0]]
                theirs = getattr(shape, axis)
                for place, name in enumerate(getattr(united, axis)):
                    value = tensor[row, place]
                    there = own is not None and name in theirs
                    assert torch.equal(
                        value, own[at, theirs.index(name)] if there else torch.zeros_like(value)
                    )


@given(
    st.lists(
        st.tuples(st.sampled_from([{"text"}, {"imu"}, {"imu", "text"}]), subsets), min_size=1, max_size=3
    ),
    st.data(),
)
def test_all_texts_of_an_example_follow_it_in_the_order_of_the_united_slots(
    described: list[tuple[set[str], list[str]]], data: st.DataObject
) -> None:
    shapes = [source(str(number), has, places, mode="all") for number, (has, places) in enumerate(described)]
    owners = data.draw(st.lists(st.integers(0, len(shapes) - 1), max_size=8))
    united = unite(shapes)
    parts, origin = parts_of(shapes, owners, "all")
    merged = Merger(united)(parts, len(owners))
    if not any("text" in has for has, _ in described):
        assert merged.text_ND is None
        return
    expected = []
    for row, (shape, batch, at) in enumerate(origin):
        for slot, name in enumerate(united.text_sources):
            if batch.text_ND is None or name not in shape.text_sources:
                continue
            own = shape.text_sources.index(name)
            mine = (batch.text_row_N == at) & (batch.text_slot_N == own)
            expected += [(row, slot, text_id) for text_id in batch.text_id_N[mine].tolist()]
    found = zip(
        merged.text_row_N.tolist(), merged.text_slot_N.tolist(), merged.text_id_N.tolist(), strict=True
    )
    assert list(found) == expected
    vectors = {
        text_id: vector
        for part in parts
        if part.batch.text_ND is not None
        for text_id, vector in zip(part.batch.text_id_N.tolist(), part.batch.text_ND, strict=True)
    }
    for text_id, vector in zip(merged.text_id_N.tolist(), merged.text_ND, strict=True):
        assert torch.equal(vector, vectors[text_id])


def test_slots_stand_in_the_order_in_which_sources_name_them() -> None:
    united = unite(
        [source("a", {"imu"}, ["wrist", "head"]), source("b", {"imu", "text"}, ["chest", "wrist"])]
    )
    assert united.slots == ("wrist", "head", "chest")
    assert united.text_sources == ("chest", "wrist")
    assert united.video_slots == ()


def test_padding_that_a_source_marked_is_left_out() -> None:
    shape = source("a", {"imu"}, ["head"])
    batch = replace(example_batch({"slots": ("head",)}, {"imu"}, 2, 5), real_B=torch.tensor([True, False]))
    assert Merger(unite([shape]))([Part(0, shape, np.arange(2), batch)], 2).real_B is None


def test_a_batch_that_is_held_is_never_overwritten_and_memory_leaves_nothing_behind() -> None:
    shapes = [source("a", {"imu", "label"}, ["head", "wrist"]), source("b", {"imu", "mocap"}, ["chest"])]
    merger = Merger(unite(shapes))
    held = []
    for owners in ([0] * 6, [1] * 6, [0, 1, 1, 0, 1, 0]):
        parts, _ = parts_of(shapes, owners)
        fresh = Merger(unite(shapes))(parts, 6)
        merger(parts, 6)  # let go at once, so its memory comes again
        held.append((merger(parts, 6), fresh))
    for merged, fresh in held:
        for name, tensor in fresh.tensors().items():
            assert torch.equal(merged.tensors()[name], tensor)


@pytest.mark.parametrize("mode", ["first", "all"])
def test_a_batch_is_made_on_the_device_of_its_parts(mode: str) -> None:
    shapes = [source("a", {"imu", "text"}, ["head"], mode=mode), source("b", {"imu"}, ["chest"])]
    there = [replace(shape, empty=shape.empty.to("meta")) for shape in shapes]
    parts = [replace(part, batch=part.batch.to("meta")) for part in parts_of(shapes, [0, 1, 0, 1], mode)[0]]
    merged = Merger(unite(there))(parts, 4)
    assert {tensor.device.type for tensor in merged.tensors().values()} == {"meta"}
    assert merged.imu_BSCT.shape == (4, 2, 6, SAMPLES)
    assert merged.text_present_BK.shape == (4, 1)


def test_a_batch_without_examples_has_every_field() -> None:
    shapes = [source("a", {"imu"}, ["head"]), source("b", {"video", "text"}, ["chest"])]
    merged = Merger(unite(shapes))([], 0)
    assert len(merged) == 0
    assert merged.imu_BSCT.shape == (0, 1, 6, SAMPLES)
    assert merged.text_BKD.shape == (0, 1, VECTOR)
    assert merged.video_BVD.dtype == torch.float16


def other(**fields: Tensor | None) -> BatchShape:
    shape = source("ego", {"imu", "video", "mocap", "text"}, ["head"])
    return replace(shape, empty=replace(shape.empty, **fields))


@pytest.mark.parametrize(("shape", "message"), [
    (other(imu_BSCT=torch.zeros(0, 1, 6, 7)), "imu_BSCT of 5 samples and of 7 samples; .* same length_s and rate_hz"),
    (other(mocap_BFJX=torch.zeros(0, 4, 2, 3)), "mocap_BFJX of 2 rows and of 4 rows; .* same length_s and rate_hz"),
    (other(mocap_BFJX=torch.zeros(0, 2, 9, 3)), "mocap_BFJX of 2 joints and of 9 joints; .* one version of sensorloom"),
    (other(video_BVD=torch.zeros(0, 1, 8)), "video_BVD of 3 numbers and of 8 numbers; embed both stores with one"),
    (other(text_BKD=torch.zeros(0, 1, 8)), "text_BKD of 3 numbers and of 8 numbers; embed both stores with one"),
    (other(imu_valid_BSKT=None), "one has the columns imu, imu_valid and the other imu, so a mask would lie"),
    (other(text_BKD=None, text_ND=torch.zeros(0, 3)), "one has a text a slot and the other all of them; .* text='all'"),
    (other(latent_kept_BM=torch.zeros(0, 0)), "one drops latents .* and the other does not; give both a share"),
    (replace(other(), rate_hz=50), "IMU of 200 Hz and of 50 Hz; build the views with the same length_s and rate_hz"),
    (replace(other(), encoder={**ENCODER, "weights": "cd"}), "whose weights is 'ab12' and 'cd'; embed both stores"),
    (replace(other(), empty=other().empty.to("meta")), "come on cpu and on meta; give both the same `resident`"),
])  # fmt: skip
def test_what_cannot_share_a_batch_is_refused_naming_both_sources(shape: BatchShape, message: str) -> None:
    mine = source("home", {"imu", "video", "mocap", "text"}, ["chest"])
    with pytest.raises(StreamError, match=f"sources 'home' and 'ego' do not mix: .*{message}"):
        unite([mine, source("third", {"label"}, []), shape])


def test_what_only_one_of_two_sources_has_need_not_fit() -> None:
    imu = replace(source("a", {"imu"}, ["head"]), rate_hz=200)
    video = source("b", {"video"}, ["ego"])
    united = unite([imu, video])
    assert (united.slots, united.video_slots) == (("head",), ("ego",))
    assert (united.rate_hz, united.encoder) == (200, ENCODER)


def test_slots_of_columns_that_a_source_was_not_opened_with_take_no_room() -> None:
    shape = replace(source("b", {"imu"}, ["head"]), video_slots=("ego",), text_sources=("atomic",))
    united = unite([shape])
    assert (united.slots, united.video_slots, united.text_sources) == (("head",), (), ())


def test_a_view_that_does_not_name_its_slots_is_refused() -> None:
    with pytest.raises(
        StreamError, match=r"source 'b': imu_BSCT has 1 slots and its view names 0, .* build the view again"
    ):
        replace(source("b", {"imu"}, ["head"]), slots=())
