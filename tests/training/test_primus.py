"""PRIMUS against loops, batch after batch with its queue, in both presets; each difference names its row."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from sensorloom.training.batch import Batch
from sensorloom.training.objectives.primus import Primus, PrimusSettings, PrimusWeights
from sensorloom.training.terms.modalities import Source
from tests.training.contrast_batches import WIDTH, TwoHeads, a_batch, louder
from tests.training.objective_contract import ContrastContract
from tests.training.primus_by_loops import Example, SlowPrimus

TEACHERS = {"text": Source("text", 0), "video": Source("video", 1)}
EXAMPLES, LENGTH = 60, 20
TAKE_OF = torch.tensor([index // 7 if index % 5 else -1 for index in range(EXAMPLES)])
TERMS = ("ss", "mm", "nn_imu", "nn_text", "nn_video")


def make(
    preset: str = "paper",
    weights: PrimusWeights | None = None,
    teachers: Mapping[str, Source] = TEACHERS,
    take_of: Tensor | None = TAKE_OF,
) -> Primus:
    torch.manual_seed(0)
    settings = PrimusSettings(teachers, preset, weights, LENGTH, WIDTH)  # type: ignore[arg-type]
    return Primus(TwoHeads(), louder, settings, take_of).double()


def filled(preset: str, batches: int = 3) -> Primus:
    objective = make(preset)
    for step in range(batches):
        objective(a_batch(8, seed=100 + step, first_index=8 * step))
    return objective


class TestPaper(ContrastContract):
    def make(self) -> nn.Module:
        return filled("paper")


class TestRepo(ContrastContract):
    def make(self) -> nn.Module:
        return filled("repo")


class TestDrawnTeachers(ContrastContract):
    def make(self) -> nn.Module:
        drawn = {name: Source(name, "random") for name in TEACHERS}  # type: ignore[arg-type]
        return make(weights=PrimusWeights(nn_imu=0, nn_teacher=0), teachers=drawn)


class TestWithoutNeighbours(ContrastContract):
    def make(self) -> nn.Module:
        return make(weights=PrimusWeights(nn_imu=0, nn_teacher=0))


def examples(objective: Primus, batch: Batch) -> list[Example]:
    tensors = batch.tensors()
    imu, present = tensors["imu_BSCT"], tensors["imu_present_BSK"]
    raw = objective.encoder(imu, present)
    augmented = objective.encoder(louder(imu, tensors["seed_B"]), present)
    listed = []
    for row in range(len(batch)):
        text = tensors["text_BKD"][row, 0].tolist() if tensors["text_present_BK"][row, 0] else None
        video = tensors["video_BVD"][row, 1].tolist() if tensors["video_present_BV"][row, 1] else None
        listed.append(
            Example(
                raw["ssl"][row].tolist(),
                augmented["ssl"][row].tolist(),
                raw["mmcl"][row].tolist(),
                bool(present[row].any()),
                {"text": text, "video": video},
                int(TAKE_OF[batch.index_B[row]]),
            )
        )
    return listed


def slow(objective: Primus) -> SlowPrimus:
    taus = objective.temperature_ss().item(), objective.temperature_mm().item()
    return SlowPrimus(objective.settings.preset, LENGTH, *taus)


@pytest.mark.parametrize("preset", ["paper", "repo"])
@pytest.mark.parametrize("size", [3, 8, 25])
@pytest.mark.parametrize("share_there", [1.0, 0.5, 0.2])
def test_every_batch_equals_the_loops_that_retrieve_before_they_enqueue(
    preset: str, size: int, share_there: float
) -> None:
    """methods.md §1.3, §1.4."""
    objective = make(preset)
    with torch.no_grad():
        objective.temperature_mm.value.add_(0.1)
    reference = slow(objective)
    seen: set[str] = set()
    for step in range(6):
        batch = a_batch(size, step, share_there, first_index=(step * size) % (EXAMPLES - size))
        given = examples(objective, batch)
        expected = reference.terms(given)
        reference.enqueue(given)
        terms = objective(batch)
        weight = 1.0 if preset == "paper" else 0.5
        assert {name: terms[name].item() for name in TERMS} == pytest.approx(expected, abs=1e-10)
        assert terms["loss"].item() == pytest.approx(weight * sum(expected.values()), abs=1e-10)
        seen |= {name for name, value in expected.items() if value}
    # Three examples with a fifth of their slots each have a pair of IMU and a teacher but rarely.
    assert seen == set(TERMS) or (size, share_there) == (3, 0.2)


@pytest.mark.parametrize("preset", ["paper", "repo"])
def test_retrieval_comes_before_the_batch_enters_the_queue(preset: str) -> None:
    """methods.md §1.4: retrieve first, then enqueue: a first batch has nothing but zeros to meet, or nothing."""
    objective, batch = make(preset, take_of=torch.full((EXAMPLES,), -1)), a_batch(8, share_there=1.0)
    before = objective(batch)
    assert objective.queue.filled().item() == 8
    if preset == "paper":
        assert before["nn_imu"].item() == 0
    again = objective(batch)
    assert again["nn_imu"].item() != before["nn_imu"].item()
    assert objective.queue.filled().item() == 16


def test_paper_skips_neighbours_until_a_quarter_of_the_queue_is_filled_and_repo_meets_zero_rows() -> None:
    """methods.md §1.4, inferred default K/4; zero rows have cosine 0, so in `repo` the loss is 2·log B at first."""
    paper, repo = make(), make("repo")
    for step in range(4):
        batch = a_batch(2, step, 1.0, first_index=10 * step)
        in_paper, in_repo = paper(batch), repo(batch)
        if step == 0:
            assert in_repo["nn_video"].item() == pytest.approx(2 * torch.tensor(2.0).log().item())
        # 2, 4, then 6 of 20 places are filled when the second, third and fourth batch come; 5 are a quarter.
        assert (in_paper["nn_video"].item() != 0) == (step == 3)


def test_paper_finds_neighbours_in_other_takes_and_repo_in_any() -> None:
    """methods.md §1.4, inferred default: exclude neighbours of the same take; the published code has no such rule."""
    one_take = torch.zeros(EXAMPLES, dtype=torch.int64)
    found = {}
    for preset in ("paper", "repo"):
        objective = make(preset, take_of=one_take)
        for step in range(2):
            terms = objective(a_batch(8, step, 1.0, first_index=8 * step))
        found[preset] = terms["nn_video"].item()
    assert found["paper"] == 0
    assert found["repo"] != 0
    other = make(take_of=torch.arange(EXAMPLES))
    for step in range(2):
        terms = other(a_batch(8, step, 1.0, first_index=8 * step))
    assert terms["nn_video"].item() == pytest.approx(found["repo"], rel=1e-6)


def test_repo_keeps_zero_rows_as_negatives_and_paper_drops_them() -> None:
    """methods.md §1.3, imu-only samples: masked rows still act as negatives for others."""
    batch = a_batch(8, share_there=1.0)
    assert batch.text_present_BK is not None
    assert batch.video_present_BV is not None
    alone = torch.arange(8) >= 5
    tensors = batch.tensors() | {
        "text_present_BK": batch.text_present_BK & ~alone[:, None],
        "video_present_BV": batch.video_present_BV & ~alone[:, None],
    }
    few = Batch(**{name: tensor[:5] for name, tensor in batch.tensors().items()})
    differs = {
        preset: make(preset)(Batch(**tensors))["mm"].item() - make(preset)(few)["mm"].item()
        for preset in ("paper", "repo")
    }
    assert differs["paper"] == pytest.approx(0, abs=1e-12)
    assert differs["repo"] > 0.1


def test_temperatures_of_the_presets() -> None:
    """methods.md §1.3: two learnable scalars, raw and unconstrained in the code; log τ clamped by default here."""
    for preset, most, least in (("paper", 1.0, 0.01), ("repo", 7.0, -7.0)):
        objective = make(preset)
        with torch.no_grad():
            objective.temperature_ss.value.fill_(7.0)
            objective.temperature_mm.value.fill_(-7.0)
        told = objective.after_step(0.3)
        assert told["temperature_ss"] == pytest.approx(most)
        assert told["temperature_mm"] == pytest.approx(least)


def test_weights_of_the_presets_are_the_same_up_to_a_half() -> None:
    """methods.md §1.3: c = 0.5 gives 0.5·(L_SS + L_MM + L_NN)."""
    assert make().weights == PrimusWeights(1, 1, 1, 1)
    assert make("repo").weights == PrimusWeights(0.5, 0.5, 0.5, 0.5) == PrimusWeights.of_coefficient(0.5)
    assert PrimusWeights.of_coefficient(0.25) == PrimusWeights(0.25, 0.75, 0.25, 0.75)


@pytest.mark.parametrize(
    ("weights", "names"),
    [
        (PrimusWeights(nn_imu=0, nn_teacher=0), {"ss", "mm"}),
        (PrimusWeights(ss=0), {"mm", "nn_imu", "nn_text", "nn_video"}),
        (PrimusWeights(mm=0, ss=2.0), {"ss", "nn_imu", "nn_text", "nn_video"}),
        (PrimusWeights.of_coefficient(1), {"ss", "nn_imu"}),
        (PrimusWeights.of_coefficient(0), {"mm", "nn_text", "nn_video"}),
    ],
)
def test_an_ablation_has_the_terms_of_its_weights(weights: PrimusWeights, names: set[str]) -> None:
    whole, part = make(), make(weights=weights)
    for step in range(3):
        batch = a_batch(8, step, 1.0, first_index=8 * step)
        terms, all_terms = part(batch), whole(batch)
    assert set(terms) == names | {"loss"}
    if weights.mm or weights.nn_teacher:
        for name in names:
            assert terms[name].item() == all_terms[name].item()
    scale = {"ss": weights.ss, "mm": weights.mm, "nn_imu": weights.nn_imu}
    expected = sum(scale.get(name, weights.nn_teacher) * terms[name].item() for name in names)
    assert terms["loss"].item() == pytest.approx(expected, abs=1e-12)


def test_neighbours_are_found_by_video_then_text_then_sensors() -> None:
    """methods.md §1.4: domain 'imu' if c = 1, 'text' if no video modality, else 'video'; imu-only fall back to imu."""
    assert make().domains == ("video", "text")
    assert make(teachers={"text": TEACHERS["text"]}).domains == ("text",)
    assert make(weights=PrimusWeights.of_coefficient(1)).domains == ()
    objective = make(take_of=torch.full((EXAMPLES,), -1))
    batch = a_batch(6, seed=5, share_there=1.0)
    objective(batch)
    rows = objective._rows(batch)
    for held in ({"video", "text"}, {"text"}, set()):
        # Of each way to look, the vectors of the next example: so the way taken is the next place.
        moved = {
            name: (vectors.roll(-1 - shift, 0), torch.full((6,), name in held))
            for shift, (name, (vectors, _)) in enumerate(
                sorted(rows.teachers.items(), key=lambda item: item[0] == "text")
            )
        }
        given = type(rows)(rows.ssl_BD, rows.augmented_BD, rows.mmcl_BD, rows.present_B, rows.take_B, moved)
        place, found = objective._neighbours(given)
        step = 1 if "video" in held else 2 if "text" in held else 0
        assert place.tolist() == [(row + step) % 6 for row in range(6)]
        assert found.all()


@pytest.mark.parametrize("preset", ["paper", "repo"])
def test_evaluation_leaves_the_queue_as_it_is(preset: str) -> None:
    """methods.md §1.4: the code also updates it in validation, a leak that is not reproduced."""
    objective = filled(preset).eval()
    before = {name: tensor.clone() for name, tensor in objective.state_dict().items()}
    objective(a_batch(8, seed=7))
    objective.embed(a_batch(8, seed=7))
    assert all(torch.equal(tensor, before[name]) for name, tensor in objective.state_dict().items())


@pytest.mark.parametrize("preset", ["paper", "repo"])
def test_a_restored_objective_goes_on_as_the_one_that_was_saved(preset: str) -> None:
    whole, restored = filled(preset), make(preset)
    restored.load_state_dict(whole.state_dict())
    assert "take_of" not in whole.state_dict()
    for step in range(3):
        batch = a_batch(8, seed=200 + step, first_index=8 * step)
        assert restored(batch)["loss"].item() == whole(batch)["loss"].item()


def test_under_autocast_terms_are_float32() -> None:
    objective = make().float()
    batch = a_batch(8)
    tensors = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in batch.tensors().items()
    }
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for _ in range(2):
            terms = objective(Batch(**tensors))
    assert {term.dtype for term in terms.values()} == {torch.float32}
    terms["loss"].backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in objective.parameters())


def test_the_embedding_is_that_of_the_mmcl_head() -> None:
    """methods.md §1.1: keep this one downstream."""
    objective, batch = make(), a_batch(4, share_there=1.0)
    rows = objective.embed(batch)["imu"][0]
    mmcl = objective.encoder(batch.imu_BSCT, batch.imu_present_BSK)["mmcl"]
    assert torch.allclose(rows, mmcl / mmcl.norm(dim=1, keepdim=True))


def test_what_primus_cannot_be_made_of_is_refused() -> None:
    with pytest.raises(ValueError, match="'paper' looks for neighbours in other takes: give take_of"):
        make(take_of=None)
    make("repo", take_of=None)
    with pytest.raises(ValueError, match="preset must be 'paper' or 'repo', got 'mine'"):
        make("mine")
    with pytest.raises(
        ValueError, match=r"teachers of PRIMUS are text and video of those columns, got \['sound'\]"
    ):
        make(teachers={"sound": Source("text", 0)})
    with pytest.raises(ValueError, match=r"got \['text'\]"):
        make(teachers={"text": Source("video", 0)})
    with pytest.raises(ValueError, match="without teachers needs weights with mm and nn_teacher 0"):
        make(teachers={})
    make(teachers={}, weights=PrimusWeights.of_coefficient(1))
    for wrong in ((0, 0, 0, 0), (1, -1, 1, 1)):
        with pytest.raises(ValueError, match=r"are 0 or more, and not all 0, got \("):
            PrimusWeights(*wrong)
    batch = a_batch(3).tensors()
    with pytest.raises(ValueError, match="take_of is of the examples of one split, not of a mixture"):
        make()(Batch(**batch, source_B=torch.zeros(3, dtype=torch.int64)))
    with pytest.raises(ValueError, match="augmentations are drawn from the seeds of a batch"):
        make()(Batch(**{name: tensor for name, tensor in batch.items() if name != "seed_B"}))
