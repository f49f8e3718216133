"""The published numbers are those of the papers: they fit their own counts, chance and what the texts say of them."""

from __future__ import annotations

import pytest

from sensorloom.align.named_views import VIEWS
from sensorloom.training.chance import retrieval_chance
from sensorloom.training.evaluation.published import (
    CITED_IMU2CLIP,
    PARTNERS_OF,
    TABLE_2,
    TABLES_OF_CLASSES,
    PublishedRetrieval,
    PublishedScore,
    published_classes,
    published_retrieval,
)
from sensorloom.training.evaluation.published_figures import CLAIMS, FIGURE_VIEWS, FIGURES

DIGITS = 1.01e-4  # the papers cut or round after four digits

# Chance as methods §7 has it for the candidates that the fractions of Table 2 imply.
CHANCE = {
    240: (0.0042, 0.0417, 0.2083, 0.0253),
    1000: (0.0010, 0.0100, 0.0500, 0.0075),
    1216: (0.0008, 0.0082, 0.0411, 0.0063),
    1280: (0.0008, 0.0078, 0.0391, 0.0060),
}


def recalls(row: PublishedRetrieval) -> tuple[float, float, float]:
    return row.r1, row.r10, row.r50


def is_a_share_of(value: float, count: int) -> bool:
    return abs(round(value * count + 0.5 * DIGITS * count) / count - value) <= DIGITS


@pytest.mark.parametrize("row", TABLE_2, ids=lambda row: f"{row.task} {row.model}")
def test_recalls_are_shares_of_the_candidates(row: PublishedRetrieval) -> None:
    assert row.candidates is not None
    assert all(is_a_share_of(value, row.candidates) for value in recalls(row)), recalls(row)
    assert row.r1 <= row.r10 <= row.r50
    assert row.r1 < row.mrr < row.r10 or row.r1 == 0
    assert str(row.candidates) in row.measured_on


@pytest.mark.parametrize("candidates", CHANCE)
def test_our_chance_is_that_of_the_candidates(candidates: int) -> None:
    found = retrieval_chance(candidates)
    assert [found[name] for name in ("r1", "r10", "r50", "mrr")] == pytest.approx(
        CHANCE[candidates], abs=6e-5
    )


def test_table_2_has_eight_tasks_of_three_models_but_mocap_of_imu2clip() -> None:
    tasks = {(row.task, row.candidates) for row in TABLE_2}
    assert tasks == {
        ("IMU→Mocap", 240), ("Mocap→IMU", 240), ("IMU→EC", 1000), ("EC→IMU", 1000),
        ("IMU→AAD", 1216), ("AAD→IMU", 1216), ("IMU→Video", 1280), ("Video→IMU", 1280),
    }  # fmt: skip
    assert len(TABLE_2) == 8 * 3 - 2
    assert not any(row.model == "IMU2CLIP" and row.partner == "Mocap" for row in TABLE_2)


@pytest.mark.parametrize(
    ("task", "model", "numbers"),
    [
        ("IMU→Mocap", "AURA-Transformer", (0.2208, 0.6666, 0.8541, 0.3667)),
        ("Mocap→IMU", "AURA-RNN", (0.0333, 0.1875, 0.5291, 0.0915)),
        ("EC→IMU", "AURA-Transformer", (0.0309, 0.1749, 0.4930, 0.0819)),
        ("AAD→IMU", "AURA-RNN", (0.0222, 0.1562, 0.4745, 0.0714)),
        ("IMU→Video", "IMU2CLIP", (0.0, 0.0078, 0.0453, 0.0057)),
        ("Video→IMU", "AURA-RNN", (0.0164, 0.1429, 0.4734, 0.0652)),
    ],
)
def test_rows_of_table_2_stand_where_the_paper_has_them(
    task: str, model: str, numbers: tuple[float, ...]
) -> None:
    (row,) = (row for row in TABLE_2 if (row.task, row.model) == (task, model))
    assert (*recalls(row), row.mrr) == numbers


def test_imu2clip_of_aura_is_at_chance_in_aad_and_video() -> None:
    """Methods §0 row 14: its checkpoint may be of another model."""
    for row in TABLE_2:
        if row.model == "IMU2CLIP" and row.partner in ("AAD", "Video"):
            assert row.candidates is not None
            assert row.mrr < 1.1 * retrieval_chance(row.candidates)["mrr"]


@pytest.mark.parametrize("table", TABLES_OF_CLASSES.values(), ids=lambda table: table.name)
def test_accuracies_are_shares_of_the_windows_and_views_are_ours(table) -> None:
    assert all(is_a_share_of(score.accuracy, table.windows) for score in table.scores)
    assert str(table.windows) in table.data
    assert len(VIEWS[table.view].classes) == table.classes
    named = [(score.model, score.protocol) for score in table.scores]
    assert len(set(named)) == len(named) == 2 + 3 * 7


def of(view: str, model: str, protocol: str) -> PublishedScore:
    table = TABLES_OF_CLASSES[view]
    (score,) = (each for each in table.scores if (each.model, each.protocol) == (model, protocol))
    return score


def test_the_gains_that_the_text_quotes_come_out() -> None:
    """F1 of AAD Transformer over IMU2CLIP: +55 % zero-shot, +29 % transfer, +15 points fine-tuned [methods §7]."""
    gain = [
        of("har-egoexo4d-aura", "AAD Transformer", protocol).macro_f1
        - of("har-egoexo4d-aura", "IMU2CLIP", protocol).macro_f1
        for protocol in ("zero-shot", "transfer", "fine-tune")
    ]
    assert gain == pytest.approx([0.5479, 0.2885, 0.1523], abs=5e-5)


def test_random_weights_stand_under_from_scratch() -> None:
    assert of("har-pamap2", "random RNN", "from-scratch").accuracy == 0.6488
    assert of("har-pamap2", "random Transformer", "from-scratch").macro_f1 == 0.6548
    assert of("har-egoexo4d-aura", "random RNN", "from-scratch").macro_f1 == 0.4078
    assert of("har-egoexo4d-aura", "random Transformer", "from-scratch").accuracy == 0.7511


def test_numbers_that_are_not_to_be_trusted_say_why() -> None:
    assert "over channels" in of("har-egoexo4d-aura", "AAD RNN", "zero-shot").doubt
    assert "over channels" in of("har-pamap2", "Video RNN", "transfer").doubt
    assert "one number for F1 and accuracy" in of("har-pamap2", "IMU2CLIP", "zero-shot").doubt
    assert not of("har-egoexo4d-aura", "EC RNN", "zero-shot").doubt


def test_a_view_finds_the_rows_of_its_data() -> None:
    assert {row.task for row in published_retrieval("aura-mocap", "imu", "mocap")} == {"IMU→Mocap"}
    assert {row.task for row in published_retrieval("aura-aad-repo", "text", "imu")} == {"AAD→IMU"}
    assert [row.candidates for row in published_retrieval("primus", "imu", "text")] == [1216] * 3 + [None]
    assert published_retrieval("primus", "imu", "text")[-1] == CITED_IMU2CLIP[0]
    assert {row.task for row in published_retrieval("all-modalities", "imu", "text")} == {"IMU→EC", "IMU→AAD"}
    assert published_retrieval("aura-aad", "imu", "video") == ()
    assert published_retrieval("har-pamap2", "imu", "text") == ()
    assert set(PARTNERS_OF) <= set(VIEWS)
    assert {*FIGURE_VIEWS} <= set(VIEWS)


@pytest.mark.parametrize(
    ("slot", "tasks"),
    [
        ("text: atomic", {"IMU→AAD"}),
        ("text: commentary", {"IMU→EC"}),
        ("text: narration", set()),
        ("video: exo2", {"IMU→Video"}),
    ],
)
def test_one_kind_of_text_stands_beside_that_kind(slot: str, tasks: set[str]) -> None:
    assert {row.task for row in published_retrieval("all-modalities", "imu", slot)} == tasks
    back = {row.task for row in published_retrieval("all-modalities", slot, "imu")}
    assert back == {"→".join(reversed(task.split("→"))) for task in tasks}


def test_a_view_of_classes_finds_its_table() -> None:
    found = published_classes("har-pamap2")
    assert found is not None
    assert (found.name, found.windows) == ("AURA-MFM Table 4", 544)
    assert published_classes("har-realworld") is None


def test_every_figure_of_primus_has_words() -> None:
    assert {claim.figure for claim in CLAIMS} == set(FIGURES)
