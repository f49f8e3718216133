"""The page of an evaluation: one sound, self-contained document in which a value stays a value."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from sensorloom.flows.evaluation_page import write_evaluation
from sensorloom.flows.pages.confusion import confusion_table
from sensorloom.flows.pages.evaluation import render_evaluation
from sensorloom.training.evaluation.classification import HeadFacts
from sensorloom.training.evaluation.paper_tables import paper_tables
from sensorloom.training.evaluation.robustness import MissingScores
from tests.flows.page_reader import Document
from tests.training.evaluations import classified, curve, evaluation, protocol, retrieved

PAGES = files("sensorloom.flows.pages")
STYLE, SCRIPT = (PAGES.joinpath(name).read_text() for name in ("style.css", "script.js"))
BARE = {"retrieval": (), "offsets": (), "scales": (), "missing": (), "views": (), "not_judged": {}}
HOSTILE = "<script>alert('1')</script>\"&'"


def page(**changes: Any) -> str:
    found = evaluation(**changes)
    return render_evaluation(found, paper_tables([found]), style=STYLE, script=SCRIPT)


@pytest.mark.parametrize("changes", [{}, BARE], ids=["full", "bare"])
def test_every_element_is_closed_and_ids_are_unique(changes: dict[str, Any]) -> None:
    document = Document(page(**changes))
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [each["href"] for each in document.all("a")]
    assert {target.removeprefix("#") for target in targets if target} <= set(ids)


def test_same_facts_same_bytes() -> None:
    assert page() == page()


def test_the_page_fetches_nothing_and_runs_one_script() -> None:
    document = Document(page())
    assert len(document.all("script")) == 1
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", page())
    (policy,) = (
        meta["content"]
        for meta in document.all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_hostile_text_stays_text() -> None:
    judged = classified(
        HOSTILE,
        data=HOSTILE,
        classes=(HOSTILE, "slow", "fast"),
        few_shot=(curve(short=(HOSTILE,)),),
        left_out={HOSTILE: HOSTILE},
        scores=(protocol("zero-shot", 0.1, 0.2), replace(protocol("transfer", 0.1, 0.2), view=HOSTILE)),
    )
    (longer,) = evaluation().scales
    text = page(
        scales=(replace(longer, view=HOSTILE, data=HOSTILE),),
        run=HOSTILE, recipe=HOSTILE, encoder=HOSTILE, view=HOSTILE, data=HOSTILE, vectors_of=HOSTILE,
        views=(judged,), left_out={HOSTILE: HOSTILE}, not_judged={HOSTILE: HOSTILE}, snapshot_id=HOSTILE,
        split=HOSTILE, objective=HOSTILE,
    )  # fmt: skip
    document = Document(text)
    assert len(document.all("script")) == 1
    assert "<script>alert" not in text
    assert HOSTILE in document.said


def test_scores_stand_beside_chance() -> None:
    said = Document(page()).said
    assert "imu → text one right, as published 80 80 0.062 0.012" in said
    assert "against other takes only" in said
    assert "guess: most frequent class" in said
    assert "zero-shot class texts, classes said by prompts; nothing was fitted 0.111 0.121" in said
    assert "head.gyroscope 0.530 0.500" in said
    assert "imu → text 5 s the nearest counts 2.5 80 0.500 0.125" in said
    assert "AURA-MFM Table 2" in said
    assert "PAMAP2, 544 random test windows" in said
    assert "har-egoexo4d : its windows are of 50 Hz" in said
    assert "from-scratch : there was no time" in said


def test_the_curve_has_chance_and_errors() -> None:
    text = page()
    assert 'class="curves"' in text
    assert 'class="chance"' in text
    assert 'class="bar-of-error"' in text
    assert "Classes with fewer labels" not in text
    assert "Classes with fewer labels than asked for somewhere: fast." in page(
        views=(classified(few_shot=(curve(short=("fast",)),)),)
    )


def test_a_curve_that_ends_with_all_labels_says_so() -> None:
    few, most = curve().points
    whole = replace(curve(), points=(few, replace(most, train_windows=61, is_all=True)))
    assert "The last point takes all 61 labels there are." in page(views=(classified(few_shot=(whole,)),))
    assert "labels there are" not in page()


def test_what_was_measured_on_no_window_has_no_number() -> None:
    none = MissingScores("head", 0.0, (), 0)
    document = Document(page(missing=(none,)))
    assert "head \N{EN DASH}" in document.said


def test_generated_data_and_random_weights_are_named() -> None:
    assert "Measured on generated data: these scores say nothing about real recordings." in page()
    real = {"data": "recorded egoexo4d", "scales": (), "views": (classified(data="recorded pamap2"),)}
    assert "generated" not in Document(page(**real, vectors_of="vit-b-32.openai")).said
    assert "of random weights (vit-b-32.random-0)" in page(**real, vectors_of="vit-b-32.random-0")


def test_leaks_are_told() -> None:
    leaky = classified(pretrained_takes=2, pretrained_participants=4, shared_participants=1)
    said = Document(page(views=(leaky,), shared_participants=3)).said
    assert "2 takes of this split the encoder was pretrained on." in said
    assert "4 participants of this split are also in the data that the encoder was pretrained on." in said
    assert "1 participant of this split are also in the split that heads were fitted on." in said
    assert "3 participants of this split are also in the training split." in said


def test_every_snapshot_that_was_judged_is_named() -> None:
    said = Document(page()).said
    assert "aura-aad: snapshot ab12 har-pamap2: snapshot cd34" in said
    assert "aad-10s: snapshot" not in said


def test_longer_windows_are_told_with_their_pieces_and_their_own_chance() -> None:
    said = Document(page()).said
    assert "aad-10s: 10 s, 2 pieces; generated miniature of egoexo4d, 40 windows of 3 participants" in said
    assert (
        "; the encoder was pretrained on 1 take of them; it was pretrained on other windows of 2 parti"
        in said
    )
    assert "imu → text one right, as published 40 0.500 0.250 0.188 0.107" in said


def test_windows_left_out_for_want_of_a_sensor_are_told() -> None:
    said = Document(page(views=(classified(without_sensors={"train": 12, "test": 1}),))).said
    assert "12 labelled windows of split train without any sensor left out." in said
    assert "1 labelled window of split test without any sensor left out." in said


def test_a_confusion_matrix_shades_by_the_share_of_a_row() -> None:
    text = confusion_table("Confusion", ("a", "b"), [[3, 1], [0, 0]])
    document = Document(text)
    styles = [each["style"] for each in document.all("td") if "style" in each]
    assert styles == ["--share: 0.75", "--share: 0.25", "--share: 0", "--share: 0"]
    titles = [each["title"] for each in document.all("td") if "title" in each]
    assert titles[:2] == ["a called a: 75%", "a called b: 25%"]


def test_facts_and_page_are_written_and_replaced(tmp_path: Path) -> None:
    found = evaluation()
    for _ in range(2):
        paths = write_evaluation(found, paper_tables([found]), tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "evaluation-test.html",
        "evaluation-test.json",
    ]
    facts = json.loads(paths.facts.read_text())
    assert facts["retrieval"][0]["r10"] == 0.5
    assert facts["views"][0]["scores"][0]["confusion"] == [[5, 1, 0], [2, 3, 0], [0, 0, 1]]
    assert [table["source"] for table in facts["tables"]] == [
        "AURA-MFM Table 2",
        "AURA-MFM Table 4",
        "No published figure",
    ]
    assert Document(paths.page.read_text()).said


SCALE = evaluation().scales[0]
TEXTED = protocol(
    "linear-probe", 0.1, 0.2, head=HeadFacts("linear from class texts", "head", "names", None, None)
)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({}, {"offsets": ()}),
        ({}, {"missing": evaluation().missing[:1]}),
        ({}, {"views": ()}),
        ({}, {"views": (classified(few_shot=()),)}),
        ({}, {"views": (classified(positions=()),)}),
        ({}, {"views": (classified("har-realworld"),)}),
        ({}, {"retrieval": (retrieved(),)}),
        ({"scales": (SCALE, replace(SCALE, view="aad-30s"))}, {"scales": (SCALE,)}),
        ({"views": (classified(scores=(*classified().scores, TEXTED)),)}, {}),
        ({"views": (classified(few_shot=(curve(), replace(curve(), head=TEXTED.head))),)}, {}),
    ],
    ids=[
        "protocol", "missing sensor", "views", "few-shot", "positions", "view", "pair", "scale", "head",
        "head of few-shot",
    ],
)  # fmt: skip
def test_what_an_evaluation_lacks_is_kept_aside(
    earlier: dict[str, Any], later: dict[str, Any], tmp_path: Path
) -> None:
    first = write_evaluation(evaluation(**earlier), (), tmp_path)
    fuller = first.facts.read_text(), first.page.read_text()
    kept = write_evaluation(evaluation(**later), (), tmp_path).earlier
    assert [path.name for path in kept] == ["evaluation-test.1.json", "evaluation-test.1.html"]
    assert tuple(path.read_text() for path in kept) == fuller


def test_other_numbers_and_seeds_take_the_place_of_earlier_ones(tmp_path: Path) -> None:
    several = protocol("zero-shot", 0.2, 0.2, macro_f1_error=0.1, accuracy_error=0.1)
    one = (protocol("zero-shot", 0.3, 0.3),)
    write_evaluation(evaluation(views=(classified(scores=(several,)),)), (), tmp_path)
    assert write_evaluation(evaluation(views=(classified(scores=one),)), (), tmp_path).earlier == ()


@pytest.mark.parametrize("taken", ["evaluation-test.1.json", "evaluation-test.1.html"])
def test_a_number_that_is_taken_is_left_as_it_is(taken: str, tmp_path: Path) -> None:
    (tmp_path / taken).write_text("kept before")
    write_evaluation(evaluation(), (), tmp_path)
    kept = write_evaluation(evaluation(offsets=()), (), tmp_path).earlier
    assert [path.name for path in kept] == ["evaluation-test.2.json", "evaluation-test.2.html"]
    assert (tmp_path / taken).read_text() == "kept before"


def test_a_number_that_another_process_takes_meanwhile_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_evaluation(evaluation(), (), tmp_path)
    theirs = tmp_path / "evaluation-test.1.html"
    theirs.write_text("theirs")
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path != theirs and exists(path))
    kept = write_evaluation(evaluation(offsets=()), (), tmp_path).earlier
    assert [path.name for path in kept] == ["evaluation-test.2.json", "evaluation-test.2.html"]
    assert theirs.read_text() == "theirs"
    assert not (tmp_path / "evaluation-test.1.json").exists()


def test_what_cannot_be_written_leaves_the_earlier_one_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_evaluation(evaluation(), (), tmp_path)
    before = paths.facts.read_text(), paths.page.read_text()

    def fail(*_: Any, **__: Any) -> str:
        raise RuntimeError("no page")

    with monkeypatch.context() as patch:
        patch.setattr("sensorloom.flows.evaluation_page.render_evaluation", fail)
        with pytest.raises(RuntimeError, match="no page"):
            write_evaluation(evaluation(offsets=()), (), tmp_path)
    assert len([*tmp_path.iterdir()]) == 2
    monkeypatch.setattr("sensorloom.training.evaluation.judge.write_whole", fail)
    with pytest.raises(RuntimeError, match="no page"):
        write_evaluation(evaluation(offsets=()), (), tmp_path)
    assert (paths.facts.read_text(), paths.page.read_text()) == before


@pytest.mark.parametrize(
    "damaged", ["{", "[]", "3", '{"views": null}', '{"views": [{"view": "har-pamap2"}]}', '{"views": ["x"]}']
)
def test_facts_that_are_none_make_room(damaged: str, tmp_path: Path) -> None:
    (tmp_path / "evaluation-test.json").write_text(damaged)
    assert write_evaluation(evaluation(), (), tmp_path).earlier == ()
    assert json.loads((tmp_path / "evaluation-test.json").read_text())["view"] == "aura-aad"
