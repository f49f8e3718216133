"""All pairs of modalities against loops, with five of them, slots of their own, and several data sets at once."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import nn

from sensorloom.training.batch import Batch
from sensorloom.training.objectives.all_pairs import AllPairs
from sensorloom.training.objectives.clip_alignment import ClipAlignment
from sensorloom.training.terms.modalities import Source
from tests.training.contrast_batches import Mocap, Sensors, a_batch
from tests.training.contrast_by_loops import info_nce_by_loops
from tests.training.objective_contract import ContrastContract

MODALITIES = {
    "imu": Source("imu"),
    "mocap": Source("mocap"),
    "text": Source("text", 0),
    "commentary": Source("text", 1),
    "video": Source("video", 2),
}


def make(**options: object) -> AllPairs:
    encoders = {"imu": Sensors(), "mocap": Mocap()}
    return AllPairs(encoders, MODALITIES, **options).double()  # type: ignore[arg-type]


class TestFiveModalities(ContrastContract):
    def make(self) -> nn.Module:
        return make()


class TestPositionsOnTheBody(ContrastContract):
    def make(self) -> nn.Module:
        positions = {"imu": Source("imu", 0), "imu wrist": Source("imu", 1), "text": Source("text", "mean")}
        return AllPairs({"imu": Sensors()}, positions).double()


class TestDrawnSlots(ContrastContract):
    def make(self) -> nn.Module:
        drawn = {"imu": Source("imu"), "text": Source("text", "random"), "video": Source("video", "random")}
        return AllPairs({"imu": Sensors()}, drawn).double()


def rows_and_presence(objective: AllPairs, batch: Batch) -> dict[str, tuple[list[list[float]], list[bool]]]:
    """The rows of each modality and whether they are there, read off the batch one by one."""
    tensors = batch.tensors()
    imu = objective.encoders["imu"](batch.imu_BSCT, batch.imu_present_BSK).tolist()
    mocap = objective.encoders["mocap"](batch.mocap_BFJX, batch.mocap_valid_BFJ).tolist()
    rows = range(len(batch))
    return {
        "imu": (imu, [bool(tensors["imu_present_BSK"][row].any()) for row in rows]),
        "mocap": (mocap, [bool(tensors["mocap_valid_BFJ"][row].any()) for row in rows]),
        "text": (
            [tensors["text_BKD"][row, 0].tolist() for row in rows],
            [bool(tensors["text_present_BK"][row, 0]) for row in rows],
        ),
        "commentary": (
            [tensors["text_BKD"][row, 1].tolist() for row in rows],
            [bool(tensors["text_present_BK"][row, 1]) for row in rows],
        ),
        "video": (
            [tensors["video_BVD"][row, 2].tolist() for row in rows],
            [bool(tensors["video_present_BV"][row, 2]) for row in rows],
        ),
    }


@pytest.mark.parametrize("negatives", ["all", "same_source"])
def test_every_pair_equals_the_loop_over_the_rows_that_have_both(negatives: str) -> None:
    objective = make(negatives=negatives)
    sources = torch.tensor([0, 1, 0, 0, 1, 1, 0, 1, 0, 0])
    batch = Batch(**a_batch(10, seed=3).tensors(), source_B=sources)
    terms, given = objective(batch), rows_and_presence(objective, batch)
    expected = {}
    for first, second in combinations(MODALITIES, 2):
        if {first, second} <= {"text", "commentary", "video"}:
            continue
        pairs = [row for row in range(10) if given[first][1][row] and given[second][1][row]]
        assert 1 < len(pairs) < 10
        group = sources.tolist() if negatives == "same_source" else None
        name = f"{first}-{second}"
        tau = objective.temperatures[name]().item()
        expected[name] = info_nce_by_loops(given[first][0], given[second][0], tau, pairs, group=group)
    assert len(expected) == 7
    assert {name: term.item() for name, term in terms.items() if name != "loss"} == pytest.approx(
        expected, abs=1e-12
    )
    assert terms["loss"].item() == pytest.approx(sum(expected.values()), abs=1e-12)


def test_with_imu_text_and_video_it_is_imu2clip() -> None:
    partners = {"text": Source("text", 0), "video": Source("video", 1)}
    both = AllPairs({"imu": Sensors()}, {"imu": Source("imu"), **partners}).double()
    star = ClipAlignment(both.encoders["imu"], partners).double()
    batch = a_batch(8)
    assert both(batch)["loss"].item() == star(batch)["loss"].item()


def test_a_pair_that_nobody_has_costs_nothing_and_the_others_go_on() -> None:
    batch, objective = a_batch(8), make()
    assert batch.mocap_valid_BFJ is not None
    tensors = batch.tensors() | {"mocap_valid_BFJ": torch.zeros_like(batch.mocap_valid_BFJ)}
    terms, whole = objective(Batch(**tensors)), objective(batch)
    for name, term in terms.items():
        if "mocap" in name:
            assert term.item() == 0.0
        elif name != "loss":
            assert term.item() == whole[name].item()


def test_every_pair_has_a_clamped_temperature_of_its_own() -> None:
    objective = make()
    with torch.no_grad():
        for step, temperature in enumerate(objective.temperatures.values()):
            temperature.value.fill_(step - 10.0)
    told = objective.after_step(0.0)
    assert len(told) == 7
    assert told["temperature/imu-mocap"] == pytest.approx(0.01)
    assert all(0.01 - 1e-9 <= value <= 1 for value in told.values())


def test_what_has_nothing_to_learn_is_refused() -> None:
    with pytest.raises(ValueError, match=r"need encoders of \['imu', 'mocap'\], got \['imu'\]"):
        AllPairs({"imu": Sensors()}, MODALITIES)
    frozen = {"text": Source("text", 0), "video": Source("video", 0)}
    with pytest.raises(
        ValueError, match=r"no two of the modalities \['text', 'video'\] have anything to learn"
    ):
        AllPairs({}, frozen)
    with pytest.raises(ValueError, match="negatives are of all, same_source, got 'hard'"):
        make(negatives="hard")
    with pytest.raises(ValueError, match="negatives of the same source need a mixture, the batch has Batch"):
        make(negatives="same_source")(a_batch(3))
