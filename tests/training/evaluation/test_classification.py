"""Scores of the protocols: planted features and texts, labels that mean nothing, and whole encoders on a store."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from functools import partial

import pytest
import torch

from sensorloom.store.repository import Repository
from sensorloom.training.assemble import build_objective
from sensorloom.training.configs import CrosslConfig, RunConfig, SimClrConfig
from sensorloom.training.errors import RunError
from sensorloom.training.evaluation.class_texts import encode_class_texts
from sensorloom.training.evaluation.classification import score_protocol, standard_error
from sensorloom.training.evaluation.few_shot import choose_shots, few_shot_curves
from sensorloom.training.evaluation.fitting import FitSettings
from sensorloom.training.evaluation.labelled import Bench, labelled_rows, open_labelled, without_sensors
from sensorloom.training.facts import facts_of
from sensorloom.training.loaded import open_split
from sensorloom.training.metrics import accuracy, macro_f1
from sensorloom.training.recipes import make_recipe
from sensorloom.training.stream import TripletStream
from tests.training.conftest import CLASSES
from tests.training.labelled_benches import PlantedTexts, loaded_run, planted_bench, spread

AURA_VIEW = "har-pamap2"  # bare names, which the planted encoder knows
SIMCLR = SimClrConfig(recipe="simclr", view="tiny", encoder="tpn", device="cpu")


def briskly(settings: FitSettings) -> FitSettings:
    """Settings for the few windows of a test."""
    return replace(settings, learning_rate=1e-2, batch_size=16, epochs=30)


def scores_of(bench: Bench, protocol, **options):
    return list(score_protocol(bench, protocol, tune=briskly, **options))


def bench(**options) -> Bench:
    return planted_bench(make_recipe("imu2clip"), view=AURA_VIEW, **options)


@pytest.fixture(autouse=True)
def _names_for_prompts(monkeypatch) -> None:
    monkeypatch.setattr("sensorloom.training.evaluation.class_texts.prompts_of", lambda name: (name,))


def test_zero_shot_finds_the_class_whose_text_points_the_same_way() -> None:
    (score,) = scores_of(bench(), "zero-shot")
    assert (score.accuracy, score.macro_f1) == (1.0, 1.0)
    assert score.confusion.tolist() == (12 * torch.eye(4, dtype=torch.int64)).tolist()
    assert (score.windows, score.train_windows, score.paper, score.head.trained) == (48, 0, "aura", "nothing")
    assert score.seeds[0].best_epoch is None


def test_zero_shot_of_known_directions_by_hand() -> None:
    """Two of three windows lie nearer to another class's text than to their own."""
    planted = bench(classes=3, width=3, each=1)
    features_ND = torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.6, 0.0], [0.0, 1.0, 0.1], [1, 0, 0], [1, 0, 0]])
    split = planted.labelled.features["test"]
    test = replace(split, vectors={"imu": (features_ND, torch.ones(5, dtype=torch.bool))})
    labelled = replace(planted.labelled, features={**planted.labelled.features, "test": test})
    texts = PlantedTexts({name: torch.eye(3)[number].numpy() for number, name in enumerate(labelled.classes)})
    say = partial(encode_class_texts, labelled.classes, texts)
    (score,) = scores_of(replace(planted, labelled=labelled, say=say), "zero-shot")
    assert score.confusion.tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert score.accuracy == pytest.approx(1 / 3)
    assert score.macro_f1 == pytest.approx((2 / 3 + 0 + 0) / 3)


@pytest.mark.parametrize("protocol", ["linear-probe", "transfer"])
def test_separable_features_are_told_apart(protocol) -> None:
    for score in scores_of(bench(), protocol):
        assert (score.accuracy, score.macro_f1) == (1.0, 1.0), score.head
        assert (score.windows, score.train_windows, score.split) == (48, 48, "test")


@pytest.mark.parametrize("protocol", ["zero-shot", "linear-probe", "transfer"])
def test_labels_that_mean_nothing_stay_at_chance(protocol) -> None:
    """Three standard deviations of 400 blind guesses among four."""
    blind = bench(each=100, shuffle_labels=True)
    for score in scores_of(blind, protocol):
        assert score.chance.uniform_accuracy == pytest.approx(0.25)
        assert abs(score.accuracy - 0.25) < 3 * (0.25 * 0.75 / 400) ** 0.5, score.head


def test_what_lies_with_texts_starts_its_probe_from_them() -> None:
    """Before a step the head of §1.7 is zero-shot; one from zero calls everything the first class."""
    still = partial(replace, learning_rate=1e-12, epochs=1)
    plain, warm = score_protocol(bench(), "linear-probe", tune=still)
    assert warm.accuracy == 1.0
    assert warm.head.settings.learning_rate == 1e-12
    assert [score.head.kind for score in (plain, warm)] == ["linear from zero", "linear from class texts"]


def test_means_and_errors_are_over_seeds_and_add_up() -> None:
    noisy = bench(noise=0.6)
    (score,) = scores_of(noisy, "transfer", seeds=(3, 4, 5))
    accuracies = [each.accuracy for each in score.seeds]
    assert len(set(accuracies)) > 1
    assert score.accuracy == pytest.approx(statistics.fmean(accuracies))
    assert score.accuracy_error == pytest.approx(statistics.stdev(accuracies) / 3**0.5)
    assert score.macro_f1 == pytest.approx(statistics.fmean(each.macro_f1 for each in score.seeds))
    assert accuracy(score.confusion) == pytest.approx(score.accuracy), "the confusion adds up all seeds"
    assert (score.windows, int(score.confusion.sum())) == (48, 144)
    assert [each.seed for each in score.seeds] == [3, 4, 5]
    (alone,) = scores_of(noisy, "transfer", seeds=(4,))
    assert alone.seeds[0] == score.seeds[1], "a seed is a fit of its own"
    assert (alone.accuracy_error, alone.macro_f1_error) == (None, None)
    assert alone.macro_f1 == pytest.approx(macro_f1(alone.confusion))
    (still,) = scores_of(noisy, "zero-shot", seeds=(3, 4, 5))
    assert len(still.seeds) == 1, "what learns nothing is the same for every seed"


def test_the_epoch_is_chosen_by_the_validation_windows_and_never_by_those_scored() -> None:
    """Where the validation labels are all wrong the choice is a bad one, and the scored windows cannot help."""
    whole = bench()
    val = whole.labelled.features["val"]
    wrong = replace(val, label_N=torch.where(val.label_N < 0, val.label_N, (val.label_N + 1) % 4))
    labelled = replace(whole.labelled, features={**whole.labelled.features, "val": wrong})
    (score,) = scores_of(replace(whole, labelled=labelled), "transfer")
    assert score.seeds[0].val_accuracy < 0.5
    assert score.seeds[0].accuracy < 1.0


def test_standard_errors() -> None:
    assert standard_error([1.0, 2.0, 3.0, 4.0]) == pytest.approx((5 / 3) ** 0.5 / 2)
    assert standard_error([0.5]) is None


def test_a_collapsed_encoder_scores_no_more_than_the_most_frequent_class() -> None:
    whole = bench()
    features = {
        role: replace(
            split, vectors={"imu": (torch.ones_like(split.vectors["imu"][0]) / 4, split.vectors["imu"][1])}
        )
        for role, split in whole.labelled.features.items()
    }
    collapsed = replace(whole, labelled=replace(whole.labelled, features=features))
    for protocol in ("zero-shot", "linear-probe", "transfer"):
        for score in scores_of(collapsed, protocol):
            assert score.accuracy <= score.chance.majority_accuracy == 0.25


def test_facts_are_plain_json_and_say_what_was_measured() -> None:
    scores = [*scores_of(bench(), "zero-shot"), *scores_of(bench(), "transfer")]
    told = [score.facts() for score in scores]
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert [fact["protocol"] for fact in told] == ["zero-shot", "transfer"]
    assert told[1]["head"]["settings"]["epochs"] == 30
    assert told[1]["head"]["texts_by"] == "planted"
    assert set(told[0]["chance"]) == {
        "majority_accuracy", "majority_macro_f1", "uniform_accuracy", "uniform_macro_f1",
    }  # fmt: skip


def test_progress_names_the_head_and_the_seed() -> None:
    told: list[tuple[str, int, int]] = []
    scores_of(bench(), "transfer", seeds=(0, 1), progress=lambda *args: told.append(args))
    assert told[0][0].startswith("transfer, text MLP (names), seed 0: loss ")
    assert told[-1][1:] == (30, 30)
    assert told[-1][0].startswith("transfer, text MLP (names), seed 1")


def store_bench(tiny: Repository, config: RunConfig, said: bool = False) -> Bench:
    stream = TripletStream(tiny, view="tiny", split="train", batch_size=8)
    objective = build_objective(config, facts_of(stream))
    run = loaded_run(
        config, objective, tiny, snapshot_id=stream.snapshot_id, window_shape=stream.window_shape
    )
    texts = PlantedTexts(dict(zip(CLASSES, spread(4, 96).numpy(), strict=True)))
    say = partial(encode_class_texts, CLASSES, texts) if said else None
    return Bench(run, open_labelled(run, "tiny"), say)


def test_a_labelled_view_is_opened_in_its_three_roles(tiny) -> None:
    labelled = store_bench(tiny, SIMCLR).labelled
    assert labelled.classes == CLASSES
    assert {role: len(split) for role, split in labelled.features.items()} == {
        "train": 50,
        "val": 24,
        "test": 22,
    }
    for role, stream in labelled.streams.items():
        split = labelled.features[role]
        assert split.window_ids == tuple(stream.window_ids(torch.arange(len(split))))
        assert split.label_N.tolist() == stream.labels.tolist()


def test_a_view_without_classes_is_refused(tiny, monkeypatch) -> None:
    run = store_bench(tiny, SIMCLR).loaded

    def opened(*args, **options) -> TripletStream:
        stream = open_split(*args, **options)
        stream.classes = ()
        return stream

    monkeypatch.setattr("sensorloom.training.evaluation.labelled.open_split", opened)
    with pytest.raises(RunError, match="view 'tiny' has no classes to tell apart; choose a labelled view"):
        open_labelled(run, "tiny")


@pytest.mark.parametrize("said", [False, True])
def test_fine_tuning_learns_windows_and_leaves_the_run_as_it_was(tiny, said) -> None:
    whole = store_bench(tiny, SIMCLR, said)
    before = {name: tensor.clone() for name, tensor in whole.loaded.objective.state_dict().items()}
    (score,) = score_protocol(
        whole, "fine-tune", tune=partial(replace, learning_rate=3e-3, batch_size=16, epochs=8)
    )
    assert score.accuracy > 0.9
    assert score.head.trained == "all"
    assert score.head.kind == ("text MLP" if said else "linear")
    after = whole.loaded.objective.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert not whole.loaded.objective.training


def test_fine_tuning_from_the_first_step_gives_what_the_frozen_head_gives(tiny) -> None:
    """Without learning, the whole encoder on windows and the head on stored features are one and the same."""
    whole = store_bench(tiny, SIMCLR, said=True)
    still = partial(replace, learning_rate=1e-12, epochs=1)
    (tuned,) = score_protocol(whole, "fine-tune", tune=still, seeds=(5,))
    (frozen,) = score_protocol(whole, "transfer", tune=still, seeds=(5,))
    assert tuned.confusion.tolist() == frozen.confusion.tolist()


def test_from_scratch_owes_the_run_nothing(tiny) -> None:
    whole = store_bench(tiny, SIMCLR)
    with torch.no_grad():
        for weight in whole.loaded.objective.parameters():
            weight.fill_(torch.nan)
    tune = partial(replace, learning_rate=3e-3, batch_size=16, epochs=8)
    (score,) = score_protocol(whole, "from-scratch", tune=tune)
    assert score.accuracy > 0.9
    assert (score.head.kind, score.head.trained, score.paper) == ("linear", "all", "primus")


@pytest.mark.parametrize("preset", ["paper", "repo"])
def test_a_run_of_crossl_is_scored_by_its_own_head(tiny, preset) -> None:
    config = CrosslConfig(recipe="crossl-pamap2", view="tiny", preset=preset, device="cpu")
    whole = store_bench(tiny, config)
    assert whole.width == 2 * 96, "both sensors of the slot side by side [methods §3]"
    tune = partial(replace, learning_rate=1e-3, batch_size=16, epochs=2)
    for protocol in ("transfer", "fine-tune", "from-scratch"):
        (score,) = score_protocol(whole, protocol, tune=tune)
        assert (score.paper, score.head.kind, score.windows) == ("crossl", "MLP 128", 22)
    (frozen,) = score_protocol(whole, "transfer", tune=partial(replace, learning_rate=1e-12, epochs=1))
    (tuned,) = score_protocol(whole, "fine-tune", tune=partial(replace, learning_rate=1e-12, epochs=1))
    assert tuned.confusion.tolist() == frozen.confusion.tolist(), "the same features, frozen or not"


def test_windows_without_a_label_are_neither_learned_nor_scored(make_store) -> None:
    def unlabel(arrays, windows) -> None:
        for row in windows[::3]:
            row.update(label=None, label_index=None)

    whole = store_bench(make_store(edit=unlabel), SIMCLR)
    (score,) = score_protocol(whole, "linear-probe", tune=partial(replace, epochs=1))
    assert (score.windows, score.train_windows) == (14, len(labelled_rows(whole.labelled.features["train"])))
    assert score.train_windows == 50 - 7 - 5 - 6


def test_windows_without_any_sensor_are_neither_learned_nor_scored(make_store) -> None:
    """Their feature is the zero vector, whatever their class."""

    def unworn(arrays, windows) -> None:
        arrays["imu_present"][::3] = False
        arrays["imu"][::3] = 0

    whole = store_bench(make_store(edit=unworn), SIMCLR)
    assert {role: without_sensors(split) for role, split in whole.labelled.features.items()} == {
        "train": 18,
        "val": 8,
        "test": 8,
    }
    for protocol in ("linear-probe", "fine-tune"):
        (score,) = score_protocol(whole, protocol, tune=partial(replace, epochs=1))
        assert (score.windows, score.train_windows) == (14, 50 - 18)
    taken = choose_shots(whole.labelled.features["train"], 100, 0)
    assert taken.tolist() == labelled_rows(whole.labelled.features["train"]).tolist()
    assert len(taken) == 50 - 18


def test_windows_and_features_are_of_the_same_rows(make_store) -> None:
    """Fine-tuning sees the windows whose labels it learns, also where others have none or were not chosen."""

    def unlabel(arrays, windows) -> None:
        for row in windows[::2]:
            row.update(label=None, label_index=None)

    whole = store_bench(make_store(edit=unlabel), SIMCLR)
    split, stream = whole.labelled.features["train"], whole.labelled.streams["train"]
    for chosen in (None, labelled_rows(split)[[1, 4, 5]]):
        windows = whole.examples("train", whole=True, chosen=chosen)
        features = whole.examples("train", whole=False, chosen=chosen)
        row_B = torch.tensor([2, 0])
        place_B = (labelled_rows(split) if chosen is None else chosen)[row_B]
        batch = windows.take(row_B)
        assert batch.index_B.tolist() == place_B.tolist()
        assert batch.label_B.tolist() == windows.labels[row_B].tolist() == features.labels[row_B].tolist()
        assert stream.window_ids(batch.index_B) == [split.window_ids[place] for place in place_B]
        seen = whole.loaded.objective.embed(batch)["imu"][0]
        assert torch.allclose(seen, features.take(row_B), atol=1e-6)


def test_few_shot_curves_are_of_whole_encoders_too(tiny) -> None:
    """PRIMUS's curves have standard training beside the probe: its windows are those that were chosen."""
    tune = partial(replace, learning_rate=1e-3, batch_size=8, epochs=1)
    (curve,) = few_shot_curves(store_bench(tiny, SIMCLR), "from-scratch", shots=(2, 3), trials=2, tune=tune)
    assert (curve.head.trained, curve.protocol, curve.windows) == ("all", "from-scratch", 22)
    assert [point.train_windows for point in curve.points] == [6, 9]
    assert curve.points[0].short == ("never",), "a class of the view that no window has"
