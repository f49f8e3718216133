"""Ego-Exo4D: what is a text, of whom and when, and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sensorloom.ingest.take import Finding, Take, TextEvent
from tests.ingest.egoexo4d_raw import Json, Tree, entry, found

TAKE = "egoexo4d/cmu_bike01_2"
UID = "uid-cmu_bike01_2"
FOLDER = "annotations/expert_commentary/cmu_bike01_2/expert-3"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.take(entry(), videos=False)
    return tree


def description(text: Any = "C picks a nut.", seconds: Any = 0.5, **more: Any) -> Json:
    return {"text": text, "timestamp": seconds, "subject": "C", "ego_visible": True, "unsure": False, **more}


def passed(*descriptions: Json, annotator: Any = "a-1", **more: Any) -> Json:
    return {
        "annotation_uid": "ann-1",
        "annotator_id": annotator,
        "rejected": False,
        "descriptions": list(descriptions),
        **more,
    }


def atomic(tree: Tree, *passes: Any, split: str = "train") -> Take:
    tree.write(
        f"annotations/atomic_descriptions_{split}.json", {"annotations": {UID: list(passes), "other": [7]}}
    )
    return tree.read()


def comment(
    text: Any = " Keep the wrist low.", seconds: Any = 0.8, recording: str = "4.webm", **more: Any
) -> Json:
    return {
        "recording": recording,
        "video_time": seconds,
        "text": text,
        "error": False,
        "duration_approx": 9.5,
        **more,
    }


def commented(*comments: Json, expert: str = "expert-3") -> Json:
    return {
        "commentary": f"cmu_bike01_2/{expert}",
        "task_name": "Remove a Wheel",
        "commentary_data": list(comments),
    }


def commentary(tree: Tree, *experts: Any) -> Take:
    tree.write("annotations/expert_commentary_train.json", {"ds": "x", "annotations": {UID: list(experts)}})
    return tree.read()


def left_out(take: Take, rule: str) -> Finding:
    (finding,) = found(take, rule)
    assert finding.target == f"{TAKE}#text"
    return finding


# --- atomic descriptions


def test_a_description_is_a_moment_good_to_two_seconds(tree: Tree) -> None:
    take = atomic(
        tree, passed(description(" C picks a nut. ", best_exo={"raw_cam_id": "x", "cam_id": "cam02"}))
    )
    (event,) = take.events
    assert event == TextEvent(
        source="atomic",
        clock="annotation-seconds",
        start_ns=500_000_000,
        stop_ns=500_000_000,
        text="C picks a nut.",
        annotator="a-1",
        uncertainty_ns=2_000_000_000,
        tags={
            "annotation_uid": "ann-1",
            "subject": "C",
            "ego_visible": "true",
            "unsure": "false",
            "best_exo": "cam02",
            "pass": "1",
        },
    )


@pytest.mark.parametrize("yes", [True, "1", "true", "True"])
@pytest.mark.parametrize("no", [False, "0", "false"])
def test_flags_may_be_strings_of_which_zero_is_false(tree: Tree, yes: Any, no: Any) -> None:
    take = atomic(tree, passed(description(ego_visible=no, unsure=yes)))
    tags = take.events[0].tags
    assert (tags["ego_visible"], tags["unsure"]) == ("false", "true")


def test_the_subject_goes_by_two_names(tree: Tree) -> None:
    other = description("O waits.")
    other["narration_subject"] = other.pop("subject").replace("C", "O")
    take = atomic(tree, passed(description(), other))
    assert [event.tags["subject"] for event in take.events] == ["C", "O"]


def test_best_exo_may_be_null(tree: Tree) -> None:
    take = atomic(
        tree, passed(description(best_exo=None), description("C stands.", best_exo={"cam_id": None}))
    )
    assert all("best_exo" not in event.tags for event in take.events)
    assert len(take.events) == 2


def test_annotators_are_kept_apart_though_they_say_the_same(tree: Tree) -> None:
    take = atomic(tree, passed(description()), passed(description(), annotator=17))
    assert [event.annotator for event in take.events] == ["a-1", "17"]
    assert [event.tags["pass"] for event in take.events] == ["1", "2"]
    assert not found(take, "text-duplicate")


def test_a_pass_without_an_annotator_is_one_of_its_own(tree: Tree) -> None:
    take = atomic(
        tree, passed(description(), annotator=None), passed(description(), annotator=None, annotation_uid="b")
    )
    assert [event.annotator for event in take.events] == ["ann-1", "b"]


@pytest.mark.parametrize("yes", [True, "True", "1"])
def test_a_rejected_pass_is_no_text(tree: Tree, yes: Any) -> None:
    take = atomic(
        tree, passed(description(), description("C turns."), rejected=yes), passed(description("C sits."))
    )
    assert [(event.text, event.tags["pass"]) for event in take.events] == [("C sits.", "1")]
    finding = left_out(take, "text-rejected")
    assert (finding.severity, dict(finding.numbers)) == ("note", {"count": 2})


def test_empty_texts_and_times_beyond_the_take_are_left_out(tree: Tree) -> None:
    take = atomic(
        tree,
        passed(
            description("  "), description(None), description("late", 3.01), description("early", -2.01),
            description("at the end", 2.99), description("before", -1.99),
        ),
    )  # fmt: skip
    assert [event.text for event in take.events] == ["at the end", "before"]
    assert left_out(take, "text-empty").numbers["count"] == 2
    beyond = left_out(take, "text-outside")
    assert (beyond.severity, dict(beyond.numbers)) == ("warning", {"count": 2})
    assert beyond.sentence.endswith("descriptions[2] at 3.01 s")


def test_the_same_text_told_twice_by_one_annotator_counts_once(tree: Tree) -> None:
    tree.write("annotations/atomic_descriptions_val.json", {"annotations": {UID: [passed(description())]}})
    take = atomic(tree, passed(description()))
    assert len(take.events) == 1
    assert left_out(take, "text-duplicate").numbers["count"] == 1


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (description(seconds="0.5"), "descriptions[0].timestamp: expected a number, got \"0.5\""),
        (description(seconds=1e12), "descriptions[0].timestamp: expected -1e+09 to 1e+09 s, got 1000000000000.0"),
        (description(seconds=float("nan")), "descriptions[0].timestamp: expected a finite number, got NaN"),
        (description(text=7), "descriptions[0].text: expected a text, got 7"),
        (description(text="half \ud83d"), "descriptions[0].text: expected a text of whole characters"),
    ],
)  # fmt: skip
def test_a_malformed_description_names_its_json_path_and_leaves_the_others(
    tree: Tree, broken: Json, message: str
) -> None:
    take = atomic(tree, passed(broken, description("C sits.")))
    assert [event.text for event in take.events] == ["C sits."]
    finding = left_out(take, "text-malformed")
    assert finding.severity == "warning"
    assert f'atomic_descriptions_train.json: $.annotations["{UID}"][0].{message}' in finding.sentence


def test_best_exo_may_be_a_name_as_takes_json_spells_it(tree: Tree) -> None:
    (event,) = atomic(tree, passed(description(best_exo="cam04"))).events
    assert event.tags["best_exo"] == "cam04"


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("unsure", "maybe", 'unsure: expected true/false, got "maybe"'),
        ("ego_visible", "", 'ego_visible: expected true/false, got ""'),
        ("best_exo", [1], "best_exo: expected an object, got a list of 1"),
        ("best_exo", {"cam_id": 4}, "best_exo.cam_id: expected a text, got 4"),
        ("subject", 7, "subject: expected a text, got 7"),
    ],
)
def test_a_tag_that_cannot_be_read_is_lost_alone(tree: Tree, member: str, value: Any, message: str) -> None:
    take = atomic(tree, passed(description(**{"best_exo": "cam01", member: value})))
    (event,) = take.events
    assert set(event.tags) == {"annotation_uid", "subject", "ego_visible", "unsure", "best_exo", "pass"} - {
        member
    }
    finding = left_out(take, "text-tag-malformed")
    assert (finding.severity, dict(finding.numbers)) == ("note", {"count": 1})
    assert f"descriptions[0].{message}" in finding.sentence


@pytest.mark.parametrize(
    "broken", [7, {"annotator_id": "a"}, passed(rejected="perhaps"), passed(annotator=[1])]
)
def test_a_malformed_pass_leaves_the_others(tree: Tree, broken: Any) -> None:
    take = atomic(tree, broken, passed(description()))
    assert len(take.events) == 1
    assert f'$.annotations["{UID}"][0]' in left_out(take, "text-malformed").sentence


def test_texts_that_are_no_list_are_malformed(tree: Tree) -> None:
    tree.write("annotations/atomic_descriptions_train.json", {"annotations": {UID: {}}})
    assert "expected a list, got an object" in left_out(tree.read(), "text-malformed").sentence


# --- expert commentary


def test_a_comment_is_at_its_pause_and_certain(tree: Tree) -> None:
    (event,) = commentary(tree, commented(comment())).events
    assert (event.source, event.start_ns, event.stop_ns) == ("commentary", 800_000_000, 800_000_000)
    assert event.text == "Keep the wrist low."
    assert (event.annotator, event.uncertainty_ns) == ("expert-3", 0)
    assert dict(event.tags) == {
        "task_name": "Remove a Wheel",
        "recording": "4.webm",
        "duration_approx_s": "9.5",
        "expert": "expert-3",
    }


@pytest.mark.parametrize("yes", [True, "true", "1"])
def test_a_comment_whose_transcription_failed_is_no_text(tree: Tree, yes: Any) -> None:
    take = commentary(
        tree, commented(comment(None, error=yes), comment("lost", recording="5.webm", error=yes), comment())
    )
    assert [event.text for event in take.events] == ["Keep the wrist low."]
    finding = left_out(take, "text-erroneous")
    assert (finding.severity, dict(finding.numbers)) == ("note", {"count": 2})
    assert not found(take, "text-empty")


def test_experts_are_kept_apart(tree: Tree) -> None:
    take = commentary(tree, commented(comment()), commented(comment(), expert="expert-4"))
    assert [event.annotator for event in take.events] == ["expert-3", "expert-4"]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (comment(seconds=None), "commentary_data[0].video_time: expected a number, got null"),
        (comment(recording=3), "commentary_data[0].recording: expected a text, got 3"),
        (comment(error="no"), 'commentary_data[0].error: expected true/false, got "no"'),
        (
            comment(duration_approx="long"),
            'commentary_data[0].duration_approx: expected a number, got "long"',
        ),
    ],
)
def test_a_malformed_comment_names_its_json_path(tree: Tree, broken: Json, message: str) -> None:
    take = commentary(tree, commented(broken, comment(recording="5.webm")))
    assert len(take.events) == 1
    assert (
        f'expert_commentary_train.json: $.annotations["{UID}"][0].{message}'
        in left_out(take, "text-malformed").sentence
    )


def test_a_malformed_expert_leaves_the_others(tree: Tree) -> None:
    take = commentary(tree, {"commentary": 7}, commented(comment()))
    assert len(take.events) == 1
    assert "[0].commentary: expected a text, got 7" in left_out(take, "text-malformed").sentence


# --- the folder form


def folder(tree: Tree, *annotations: Json, transcriptions: Any = None) -> None:
    tree.write(
        f"{FOLDER}/data.json",
        {"user_id": "x", "annotations": list(annotations), "proficiency": {"rating": 3}},
    )
    if transcriptions is not None:
        tree.write(f"{FOLDER}/transcriptions.json", transcriptions)


def recorded(recording: str = "4.webm", seconds: float = 0.8) -> Json:
    return {"recording_path": recording, "duration_approx": 9.5, "video_time": seconds, "events": []}


def test_the_folder_form_gives_the_same_text(tree: Tree) -> None:
    (expected,) = commentary(tree, commented(comment())).events
    (tree.root / "annotations/expert_commentary_train.json").unlink()
    folder(tree, recorded(), transcriptions={"4.webm": {"text": " Keep the wrist low.", "error": False}})
    take = tree.read()
    assert take.events == (expected,)
    assert [file.uri for file in take.files if "expert" in file.uri] == [
        f"{FOLDER}/data.json", f"{FOLDER}/transcriptions.json",
    ]  # fmt: skip


def test_both_forms_together_count_once(tree: Tree) -> None:
    folder(
        tree, recorded(), recorded("5.webm", 0.9), recorded("6.webm", 0.95),
        transcriptions={
            "4.webm": {"text": " Keep the wrist low.", "error": False},
            "5.webm": {"text": "Only here.", "error": False},
            "6.webm": {"error": True, "error_desc": "no speech"},
        },
    )  # fmt: skip
    take = commentary(tree, commented(comment(), comment(None, recording="6.webm", error=True)))
    assert [event.text for event in take.events] == ["Keep the wrist low.", "Only here."]
    assert left_out(take, "text-duplicate").numbers["count"] == 1
    assert left_out(take, "text-erroneous").numbers["count"] == 1


def test_a_voice_without_a_transcription_is_no_text(tree: Tree) -> None:
    folder(tree, recorded())
    take = tree.read()
    assert take.events == ()
    told = left_out(take, "text-untranscribed")
    assert (told.severity, dict(told.numbers)) == ("note", {"count": 1})
    assert not found(take, "text-empty")


@pytest.mark.parametrize(("path", "key"), [("recordings/4.webm", "4.webm"), ("4.webm", "out/4.webm")])
def test_a_transcription_is_found_by_the_recordings_name(tree: Tree, path: str, key: str) -> None:
    folder(tree, recorded(path), transcriptions={key: {"text": "Keep low.", "error": False}})
    (event,) = tree.read().events
    assert (event.text, event.tags["recording"]) == ("Keep low.", "4.webm")


@pytest.mark.parametrize("broken", [7, {"video_time": 1.0}, {"recording_path": 3, "video_time": 1.0}])
def test_a_malformed_recording_of_a_folder_is_told(tree: Tree, broken: Any) -> None:
    folder(tree, broken, transcriptions={})
    assert f"{FOLDER}/data.json: $.annotations[0]" in left_out(tree.read(), "text-malformed").sentence


@pytest.mark.parametrize("name", ["data.json", "transcriptions.json"])
def test_a_broken_folder_is_told(tree: Tree, name: str) -> None:
    folder(tree, recorded(), transcriptions={})
    tree.write(f"{FOLDER}/{name}", "{")
    finding = left_out(tree.read(), "text-malformed")
    assert f"{FOLDER}/{name}: line 1 column 2: is not JSON" in finding.sentence


def test_annotations_that_are_no_list_are_told(tree: Tree) -> None:
    tree.write(f"{FOLDER}/data.json", {"annotations": 7})
    assert (
        f"{FOLDER}/data.json: $.annotations: expected a list, got 7"
        in left_out(tree.read(), "text-malformed").sentence
    )


def test_folders_of_other_takes_are_theirs(tree: Tree) -> None:
    tree.write(f"{FOLDER.replace('bike01_2', 'bike01_21')}/data.json", {"annotations": [recorded()]})
    take = tree.read()
    assert not [file for file in take.files if "expert" in file.uri]
