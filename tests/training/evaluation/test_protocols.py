"""Which classifiers each protocol of each paper has, and for which runs it makes no sense."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from sensorloom.training.batch import Batch
from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.classification import head_facts
from sensorloom.training.evaluation.fitting import AURA_FIT, CROSSL_FIT, PRIMUS_FIT
from sensorloom.training.evaluation.heads import CrosslHead, TransferHead
from sensorloom.training.evaluation.labelled import Bench
from sensorloom.training.evaluation.prompts import prompts_of
from sensorloom.training.evaluation.protocols import PROTOCOLS, contenders, in_text_space, paper_of, refusal
from sensorloom.training.facts import StreamFacts
from sensorloom.training.recipes import RECIPES, make_recipe
from tests.training.labelled_benches import planted_bench


@pytest.fixture(autouse=True)
def _phrases(monkeypatch) -> None:
    monkeypatch.setattr(
        "sensorloom.training.evaluation.class_texts.prompts_of",
        lambda name: tuple(f"{name} {way}" for way in ("so", "or so")),
    )


def bench(recipe: str = "imu2clip", **options: object) -> Bench:
    prompts = {f"class {number}": (f"class {number} so", f"class {number} or so") for number in range(4)}
    return planted_bench(make_recipe(recipe), prompts=prompts, **options)


def test_a_run_is_judged_as_the_paper_of_the_view_does_and_crossl_as_its_own() -> None:
    assert paper_of(make_recipe("primus"), "har-egoexo4d") == "primus"
    assert paper_of(make_recipe("primus"), "har-realworld") == "primus"
    assert paper_of(make_recipe("aura-aad"), "har-pamap2") == "aura"
    assert paper_of(make_recipe("aura-video"), "har-egoexo4d-aura") == "aura"
    assert paper_of(make_recipe("crossl-pamap2"), "crossl-pamap2") == "crossl"
    assert paper_of(make_recipe("crossl-realworld"), "har-pamap2") == "crossl"


def test_only_what_was_trained_beside_texts_or_videos_can_be_asked_in_words() -> None:
    """Methods §2.7: mocap-only-trained encoders are excluded."""
    can = {name for name in RECIPES if in_text_space(make_recipe(name))}
    assert can == {
        *("primus", "imu2clip", "aura-aad", "aura-commentary", "aura-video", "aura-joint"),
        *("jepa", "all-modalities"),
    }
    assert not in_text_space(replace(make_recipe("primus"), mm=0.0, nn_teacher=0.0))
    for name in can:
        assert not in_text_space(replace(make_recipe(name), imu_only=1.0)), name
        assert in_text_space(replace(make_recipe(name), imu_only=0.9)), name
    assert not in_text_space(replace(make_recipe("jepa"), semantic_weight=0.0))
    assert not in_text_space(replace(make_recipe("all-modalities"), modalities="imu,mocap"))


def test_zero_shot_is_the_texts_of_the_classes_and_nothing_learns() -> None:
    """Methods §1.7 prompts, averaged; §2.7 bare class names."""
    (primus,) = contenders(bench(), "zero-shot")
    assert (primus.head, primus.settings, primus.whole) == ("class texts", None, False)
    assert primus.texts.wording == "prompts"
    (aura,) = contenders(bench("aura-aad", view="har-pamap2"), "zero-shot")
    assert aura.texts.wording == "names"


def test_the_probe_starts_from_zero_and_from_prompts_where_the_run_knows_texts() -> None:
    """Methods §1.7."""
    plain, warm = contenders(bench(), "linear-probe")
    assert (plain.head, plain.texts, plain.settings) == ("linear from zero", None, PRIMUS_FIT)
    assert (warm.head, warm.texts.wording, warm.settings) == (
        "linear from class texts",
        "prompts",
        PRIMUS_FIT,
    )
    assert not plain.make().weight.any()
    assert warm.make().weight.allclose(warm.texts.vector_CD)
    for other in (bench("simclr"), bench(said=False)):
        assert [each.head for each in contenders(other, "linear-probe")] == ["linear from zero"]


def test_the_probe_from_zero_needs_no_prompts(monkeypatch) -> None:
    unsaid = planted_bench(make_recipe("imu2clip"))
    monkeypatch.setattr("sensorloom.training.evaluation.class_texts.prompts_of", prompts_of)
    assert [each.head for each in contenders(unsaid, "linear-probe")] == ["linear from zero"]
    with pytest.raises(RunError, match="class 'class 0' has no prompts"):
        contenders(unsaid, "zero-shot")


def test_transfer_is_auras_head_on_frozen_features() -> None:
    """Methods §2.7."""
    (one,) = contenders(bench(), "transfer")
    assert (one.head, one.texts.wording, one.settings, one.whole) == ("text MLP", "names", AURA_FIT, False)
    assert isinstance(one.make(), TransferHead)


def test_crossl_has_its_own_head_and_needs_no_texts() -> None:
    """Methods §3: frozen encoders, Dense 128, whatever the view."""
    (one,) = contenders(bench("crossl-pamap2", said=False), "transfer")
    assert (one.head, one.texts, one.settings, one.whole) == ("MLP 128", None, CROSSL_FIT, False)
    assert isinstance(one.make(), CrosslHead)
    (tuned,) = contenders(bench("crossl-pamap2", said=False), "fine-tune")
    assert (tuned.head, tuned.settings, tuned.whole) == ("MLP 128", CROSSL_FIT, True)


def test_fine_tuning_fits_all_weights_of_a_copy() -> None:
    """Methods §2.7: fine-tune: same, all weights."""
    (one,) = contenders(bench(), "fine-tune")
    assert (one.head, one.texts.wording, one.settings, one.whole) == ("text MLP", "names", AURA_FIT, True)
    run = bench()
    run = replace(run, loaded=replace(run.loaded, objective=nn.Linear(3, 3)))
    (one,) = contenders(run, "fine-tune")
    made = one.make()
    assert {name.partition(".")[0] for name, _ in made.named_parameters()} == {"objective", "head"}
    assert made.objective is not run.loaded.objective
    (plain,) = contenders(bench(said=False), "fine-tune")
    assert (plain.head, plain.texts) == ("linear", None)


def test_from_scratch_is_standard_training_of_primus() -> None:
    """Methods §1.7: random encoder + random Linear (no input norm), all parameters."""
    (one,) = contenders(bench("simclr"), "from-scratch")
    assert (one.head, one.texts, one.settings, one.whole) == ("linear", None, PRIMUS_FIT, True)
    supervised = one.make().supervised
    assert supervised.head.weight.shape == (4, 512)
    assert supervised.head.weight.any()


@pytest.mark.parametrize("recipe", ["primus", "simclr", "imu2clip", "jepa"])
@pytest.mark.parametrize("preset", ["paper", "repo"])
def test_from_scratch_on_a_view_of_aura_begins_the_objective_anew(monkeypatch, recipe, preset) -> None:
    """PRIMUS's own, which keeps neighbours of a take apart, is not told of takes: there are none to keep apart."""
    facts = StreamFacts((1, 6, 150), vector_size=16, mocap_rows=30, text_slots=1, video_slots=2)
    monkeypatch.setattr("sensorloom.training.evaluation.protocols.open_split", lambda *args, **options: None)
    monkeypatch.setattr("sensorloom.training.evaluation.protocols.facts_of", lambda _: facts)
    config = replace(make_recipe(recipe), preset=preset, **({"encoder": "tpn"} if recipe == "primus" else {}))
    (one,) = contenders(planted_bench(config, view="har-pamap2"), "from-scratch")
    assert one.whole
    present_BSK = torch.ones(2, 1, 2, dtype=torch.bool)
    windows = Batch(index_B=torch.arange(2), imu_BSCT=torch.ones(2, 1, 6, 150), imu_present_BSK=present_BSK)
    assert one.make().eval().objective.embed(windows)["imu"][1].tolist() == [True, True]


def test_what_is_told_of_a_head() -> None:
    _, warm = contenders(bench(), "linear-probe")
    told = head_facts(warm, lambda settings: replace(settings, epochs=3))
    assert (told.kind, told.trained, told.wording, told.texts_by) == (
        "linear from class texts", "head", "prompts", "planted",
    )  # fmt: skip
    assert told.settings == replace(PRIMUS_FIT, epochs=3)
    (zero,) = contenders(bench(), "zero-shot")
    assert (head_facts(zero).trained, head_facts(zero).settings) == ("nothing", None)
    (tuned,) = contenders(bench(said=False), "fine-tune")
    assert (head_facts(tuned).trained, head_facts(tuned).texts_by) == ("all", None)


def test_what_makes_no_sense_is_refused_with_its_reason() -> None:
    simclr, imu2clip = make_recipe("simclr"), make_recipe("imu2clip")
    assert "simclr was trained without texts" in str(refusal("zero-shot", simclr, has_texts=True))
    assert "no encoder of texts is at hand" in str(refusal("zero-shot", imu2clip, has_texts=False))
    assert "transfer holds windows against the texts" in str(refusal("transfer", imu2clip, has_texts=False))
    assert all(refusal(protocol, imu2clip, has_texts=True) is None for protocol in PROTOCOLS)
    always = ("linear-probe", "fine-tune", "from-scratch")
    assert all(refusal(protocol, simclr, has_texts=False) is None for protocol in always)
    with pytest.raises(
        RunError, match="zero-shot on view 'har': simclr was trained without texts and videos"
    ):
        contenders(bench("simclr"), "zero-shot")
