"""The Ego4D reader: where its files may lie, what the metadata may say, and the law of every reader."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from sensorloom.ingest.errors import LayoutError, RawFileError
from sensorloom.ingest.reader import Reader
from sensorloom.ingest.readers import ego4d_tree
from sensorloom.ingest.readers.ego4d import Ego4dReader
from sensorloom.ingest.take import LabelInterval, Take
from tests.ingest.ego4d_raw import (
    component,
    csv,
    entry,
    found,
    imu_rows,
    mp4,
    narration,
    read_one,
    rules,
    told,
    write,
    write_tree,
)
from tests.ingest.reader_contract import ReaderContract


class TestContract(ReaderContract):
    @pytest.fixture
    def reader(self) -> Reader:
        return Ego4dReader()

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        folder = tmp_path / "out" / "v2"
        uids = ("a", "b", "c")
        write(folder / "ego4d.json", {"videos": [entry(uid) for uid in uids]})
        write(folder / "annotations/narration.json", {"a": {"narration_pass_1": told([narration(1.0)])}})
        write(folder / "imu/manifest.csv", b"video_uid\na\n")
        for uid in uids:
            write(folder / f"imu/{uid}.csv", csv(imu_rows()))
        write(folder / "full_scale/a.mp4", mp4())
        return tmp_path


def read(tmp_path: Path, **changes: Any) -> Take:
    return read_one(write_tree(tmp_path, entry(**changes), imu_rows()))


def ids(root: Path) -> list[str]:
    return [source.take_id for source in Ego4dReader().index(root)]


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("above", ["", "out", "data/out"])
@pytest.mark.parametrize("metadata", ["beside", "inside", "both"])
def test_a_user_may_point_to_the_tree_into_it_or_above(
    tmp_path: Path, version: str, above: str, metadata: str
) -> None:
    out = tmp_path / above
    write(out / f"{version}/imu/a.csv", csv(imu_rows()))
    write(out / f"{version}/annotations/narration.json", {"a": {"narration_pass_1": told([narration(1.0)])}})
    if metadata != "inside":
        write(out / "ego4d.json", {"videos": [entry()]})
    if metadata != "beside":
        write(out / f"{version}/ego4d.json", {"videos": [entry()]})
    roots = [tmp_path, out] + ([out / version] if metadata != "beside" else [])
    for root in roots:
        take = read_one(root)
        assert take.take_id == take.capture_id == "ego4d/a"
        assert len(take.streams) == 2
        assert len(take.events) == 1


@pytest.mark.parametrize("folder", ["annotations/", ""])
@pytest.mark.parametrize("name", ["narration.json", "narrations.json", "all_narrations_redacted.json"])
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_narrations_have_several_names_and_places(
    tmp_path: Path, folder: str, name: str, is_wrapped: bool
) -> None:
    write_tree(tmp_path, entry(), imu_rows())
    narrations = {"a": {"narration_pass_1": told([narration(1.0)])}}
    write(tmp_path / "v2" / folder / name, {"videos": narrations} if is_wrapped else narrations)
    assert [event.text for event in read_one(tmp_path).events] == ["#C C picks up a cup"]


def test_the_list_of_files_among_the_imu_files_is_no_video(tmp_path: Path) -> None:
    write_tree(tmp_path, entry(), imu_rows())
    write(tmp_path / "v2/imu/manifest.csv", b"video_uid,canonical_s3_location\na,s3://a\n")
    write(tmp_path / "v2/imu/notes.txt", b"-")
    write(tmp_path / "v2/clips/c.mp4", b"-")
    assert ids(tmp_path) == ["ego4d/a"]


def test_the_later_version_is_read_and_the_copy_told(tmp_path: Path) -> None:
    write_tree(tmp_path, entry(), imu_rows())
    write(tmp_path / "v1/imu/a.csv", csv(imu_rows(stop_s=1.0)))
    write(tmp_path / "v1/ego4d.json", {"videos": [entry(fb_participant_id=3)]})
    take = read_one(tmp_path)
    assert [file.uri for file in take.files] == ["v2/imu/a.csv"]
    assert take.participant_id == "ego4d/17"
    assert "v1/imu/a.csv" in found(take, "duplicate-file").sentence


def test_videos_without_a_file_are_absent_and_the_others_are_read(tmp_path: Path) -> None:
    reader = Ego4dReader()
    write_tree(tmp_path, entry(), imu_rows())
    write(tmp_path / "v2/ego4d.json", {"videos": [entry("z"), entry("a"), entry("y")]})
    assert [source.take_id for source in reader.index(tmp_path)] == ["ego4d/a"]
    assert reader.absent(tmp_path) == ("ego4d/y", "ego4d/z")
    write(tmp_path / "v2/full_scale/y.mp4", mp4())
    assert reader.absent(tmp_path) == ("ego4d/z",)


def test_the_metadata_is_parsed_once_for_each_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed, parse = [], ego4d_tree.read_json

    def counting(path: Path, uri: str) -> Any:
        parsed.append(uri)
        return parse(path, uri)

    monkeypatch.setattr(ego4d_tree, "read_json", counting)
    write_tree(tmp_path, entry(), imu_rows())
    reader = Ego4dReader()
    reader.index(tmp_path)
    reader.absent(tmp_path)
    assert parsed == ["v2/ego4d.json"]
    write(tmp_path / "v2/ego4d.json", {"videos": [entry(), entry("newer")]})
    assert reader.absent(tmp_path) == ("ego4d/newer",)
    assert parsed == ["v2/ego4d.json"] * 2


def test_a_file_that_the_metadata_does_not_list_is_named(tmp_path: Path) -> None:
    write_tree(tmp_path, entry(), imu_rows())
    write(tmp_path / "v2/imu/stray.csv", csv(imu_rows()))
    reader = Ego4dReader()
    listed, stray = reader.index(tmp_path)
    assert (listed.take_id, stray.take_id) == ("ego4d/a", "ego4d/stray")
    with pytest.raises(RawFileError, match=r"v2/imu/stray\.csv: v2/ego4d\.json does not list this video"):
        reader.read(tmp_path, stray)


def test_two_entries_of_one_video_must_agree(tmp_path: Path) -> None:
    write_tree(tmp_path, entry(), imu_rows())
    write(tmp_path / "v2/ego4d.json", {"videos": [entry(), entry()]})
    assert read_one(tmp_path).participant_id == "ego4d/17"
    write(tmp_path / "v2/ego4d.json", {"videos": [entry(), entry(fb_participant_id=4)]})
    with pytest.raises(RawFileError, match="lists a twice, with different entries"):
        read_one(tmp_path)


@pytest.mark.parametrize("uid", ["../../etc/passwd", "", 7, None])
def test_an_entry_without_a_sound_uid_is_a_source_that_fails(tmp_path: Path, uid: Any) -> None:
    write_tree(tmp_path, entry(), imu_rows())
    write(tmp_path / "v2/ego4d.json", {"videos": [entry(), entry(uid)]})
    reader = Ego4dReader()
    sound, unsound = reader.index(tmp_path)
    assert (sound.take_id, unsound.take_id) == ("ego4d/a", "ego4d/videos[1]")
    with pytest.raises(RawFileError, match=r"v2/ego4d\.json: \$\.videos\[1\]\.video_uid: expected"):
        reader.read(tmp_path, unsound)


def test_a_take_keeps_its_records_when_another_is_added(tmp_path: Path) -> None:
    write_tree(tmp_path, entry(), imu_rows(), None, {"a": {"narration_pass_1": told([narration(1.0)])}})
    (before,) = Ego4dReader().index(tmp_path)
    write(tmp_path / "v2/ego4d.json", {"videos": [entry("0"), entry()], "date": "later"})
    write(
        tmp_path / "v2/annotations/narration.json",
        {"0": {"narration_pass_1": told()}, "a": {"narration_pass_1": told([narration(1.0)])}},
    )
    (after,) = Ego4dReader().index(tmp_path)
    assert after == before
    assert json.loads(after.records)["video"]["video_uid"] == "a"


def test_records_do_not_depend_on_the_order_of_keys(tmp_path: Path) -> None:
    write_tree(tmp_path, entry(), imu_rows())
    (before,) = Ego4dReader().index(tmp_path)
    write(tmp_path / "v2/ego4d.json", {"videos": [dict(reversed(entry().items()))]})
    assert Ego4dReader().index(tmp_path) == [before]


def test_a_change_of_its_own_entry_changes_the_records(tmp_path: Path) -> None:
    write_tree(tmp_path, entry(), imu_rows())
    (before,) = Ego4dReader().index(tmp_path)
    write(tmp_path / "v2/ego4d.json", {"videos": [entry(fb_participant_id=18)]})
    (after,) = Ego4dReader().index(tmp_path)
    assert after.records != before.records
    assert after.files == before.files


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"duration_sec": "abc"}, r'duration_sec: expected a number, got "abc"'),
        ({"duration_sec": 0}, r"duration_sec: expected 0\.001 to 604800 s, got 0 s"),
        ({"duration_sec": -5}, r"duration_sec: expected 0\.001 to 604800 s, got -5 s"),
        ({"duration_sec": 1e12}, r"duration_sec: expected 0\.001 to 604800 s, got 1000000000000\.0 s"),
        ({"has_imu": "yes"}, r'has_imu: expected true/false, got "yes"'),
        ({"scenarios": "Cooking"}, r'scenarios: expected a list, got "Cooking"'),
        ({"scenarios": [None]}, r"scenarios\[0\]: expected a text, got null"),
        ({"fb_participant_id": "17"}, r'fb_participant_id: expected a whole number, got "17"'),
        ({"video_metadata": []}, r"video_metadata: expected an object, got a list of 0"),
    ],
)
def test_a_wrong_type_in_an_entry_is_named_by_its_path(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    write_tree(tmp_path, entry(), imu_rows())
    videos = [*(entry(uid) for uid in "xyz"), entry(**changes)]
    write(tmp_path / "v2/ego4d.json", {"videos": videos})
    with pytest.raises(RawFileError, match=rf"^v2/ego4d\.json: \$\.videos\[3\]\.{problem}"):
        read_one(tmp_path)


@pytest.mark.parametrize(
    ("interval", "problem"),
    [
        ({"start_sec": 2.0, "end_sec": 1.0}, r"\[1\]: expected an interval that ends after its start"),
        (
            {"start_sec": 2.0, "end_sec": 1e305},
            r"\[1\]\.end_sec: expected -604800 to 604800 s, got 1e\+305 s",
        ),
        ({"start_sec": -1e12, "end_sec": 1.0}, r"\[1\]\.start_sec: expected -604800 to 604800 s"),
        ({"start_sec": None, "end_sec": 1.0}, r"\[1\]\.start_sec: expected a number, got null"),
        ({"end_sec": 1.0}, r"\[1\]\.start_sec: is missing"),
        (None, r"\[1\]: expected an object, got null"),
    ],
)
def test_a_redacted_interval_without_sense_leaves_the_take_and_the_others(
    tmp_path: Path, interval: Any, problem: str
) -> None:
    sound = {"start_sec": 3.0, "end_sec": 3.5}
    take = read(tmp_path, has_redacted_regions=True, redacted_intervals=[sound, interval])
    told = found(take, "metadata-malformed")
    assert (told.severity, dict(told.numbers)) == ("warning", {"count": 1})
    assert re.search(rf"first: v2/ego4d\.json: ego4d/a\.redacted_intervals{problem}", told.sentence)
    assert take.facts["redacted_s"] == "3 to 3.5"
    assert len(take.streams) == 2


@pytest.mark.parametrize(
    ("bounds", "problem"),
    [
        ((None, 2.0), r"start_sec: expected a number, got null"),
        ((-1.7e308, 1.7e308), r"start_sec: expected -604800 to 604800 s, got -1\.7e\+308 s"),
        ((0.0, 1.7e308), r"end_sec: expected -604800 to 604800 s, got 1\.7e\+308 s"),
    ],
)
def test_a_component_without_sound_bounds_is_known_by_its_index(
    tmp_path: Path, bounds: tuple[Any, Any], problem: str
) -> None:
    parts = [component(0, 0.0, 2.0), component(1, *bounds), component(2, 2.0, 3.5)]
    take = read(tmp_path, video_components=parts)
    told = found(take, "metadata-malformed")
    assert re.search(rf"ego4d/a\.video_components\[1\]\.canonical_video_{problem}", told.sentence)
    missing = found(take, "imu-components-missing")
    assert dict(missing.numbers) == {"count": 2, "components": 3, "total_s": 1.5}


@pytest.mark.parametrize("index", [None, "0", 0.5])
def test_a_component_without_a_sound_index_is_no_component(tmp_path: Path, index: Any) -> None:
    take = read(tmp_path, video_components=[component(0, 0.0, 4.0), component(index, 0.0, 4.0)])
    told = found(take, "metadata-malformed")
    assert "video_components[1].component_idx: expected a whole number" in told.sentence
    assert not rules(take) & {"imu-components-missing", "imu-component-unknown"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"videos": [', r"v2/ego4d\.json: line 1 column 13: is not JSON"),
        (b"", r"v2/ego4d\.json: is empty"),
        (b"{}", r"v2/ego4d\.json: \$\.videos: is missing"),
        (b'{"videos": {}}', r"\$\.videos: expected a list"),
    ],
)
def test_metadata_that_cannot_be_read_fails_the_index(tmp_path: Path, data: bytes, message: str) -> None:
    write_tree(tmp_path, entry(), imu_rows())
    write(tmp_path / "v2/ego4d.json", data)
    with pytest.raises(RawFileError, match=message):
        Ego4dReader().index(tmp_path)


@pytest.mark.parametrize("data", [b'{"a": {', b"[]"])
def test_a_narration_file_that_cannot_be_read_leaves_the_sensors(tmp_path: Path, data: bytes) -> None:
    take = read_one(write_tree(tmp_path, entry(), imu_rows(), None, data))
    problem = found(take, "unreadable-file")
    assert problem.target == "ego4d/a#text"
    assert problem.sentence.startswith("v2/annotations/narration.json: ")
    assert "narration-missing" not in rules(take)
    assert len(take.streams) == 2


def test_files_without_metadata_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "v2/imu/a.csv", csv(imu_rows()))
    with pytest.raises(LayoutError, match=r"no ego4d\.json in it, .* point to the folder"):
        Ego4dReader().index(tmp_path)


def test_a_folder_that_cannot_be_listed_is_a_source_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tree(tmp_path, entry(), imu_rows(), mp4())
    scan = os.scandir

    def refusing(folder: Path) -> Any:
        if folder.name == "video_540ss":
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    reader = Ego4dReader()
    sound, refused = reader.index(tmp_path)
    assert len(reader.read(tmp_path, sound).streams) == 2
    assert refused.take_id == "ego4d/v2/video_540ss"
    with pytest.raises(RawFileError, match="v2/video_540ss: this folder could not be listed; give the right"):
        reader.read(tmp_path, refused)


def test_a_null_participant_is_one_of_their_own(tmp_path: Path) -> None:
    take = read(tmp_path, fb_participant_id=None)
    assert take.participant_id == "ego4d/unknown-a"
    assert found(take, "participant-unknown").severity == "note"


def test_nearly_everything_may_be_null(tmp_path: Path) -> None:
    nulls = dict.fromkeys(entry(), None) | {"video_uid": "a", "duration_sec": 4.0}
    take = read_one(write_tree(tmp_path, nulls, imu_rows()))
    assert len(take.streams) == 2
    assert take.labels == ()
    assert take.official_split is None
    assert take.streams[0].device == "unknown"
    bare = read_one(write_tree(tmp_path, {"video_uid": "a", "duration_sec": 4}, imu_rows()))
    assert bare.findings == take.findings


def test_one_scenario_is_a_label_of_the_whole_video(tmp_path: Path) -> None:
    take = read(tmp_path, scenarios=["Eating"])
    assert take.labels == (LabelInterval(0, 4_000_000_000, "Eating", "scenario"),)


@pytest.mark.parametrize("scenarios", [[], ["Eating", "Cooking"]])
def test_none_or_several_scenarios_are_no_label(tmp_path: Path, scenarios: list[str]) -> None:
    take = read(tmp_path, scenarios=scenarios)
    assert take.labels == ()
    assert found(take, "scenario-not-one").numbers["scenarios"] == len(scenarios)
    assert take.facts["scenarios"] == "; ".join(scenarios)


@pytest.mark.parametrize(
    ("splits", "expected", "is_told"),
    [
        ((None, None, None), None, False),
        (("train", None, None), "train", False),
        (("train", "train", "train"), "train", False),
        (("train", "val", None), "val", True),
        (("train", "val", "test"), "test", True),
        ((None, None, "test"), "test", False),
        (("multi", None, None), None, True),
        (("multi", "train", None), None, True),
        (("train", "Train ", None), None, True),
        (("multi", "train", "val"), "val", True),
    ],
)
def test_a_video_that_any_benchmark_tests_on_is_no_training_video(
    tmp_path: Path, splits: tuple[str | None, ...], expected: str | None, is_told: bool
) -> None:
    named = dict(zip(("split_em", "split_av", "split_fho"), splits, strict=True))
    take = read(tmp_path, **named)
    assert take.official_split == expected
    assert ("splits-differ" in rules(take)) == is_told
    assert {key: value for key, value in take.facts.items() if key.startswith("split_")} == {
        key: value for key, value in named.items() if value is not None
    }


def test_videos_taken_at_once_say_so(tmp_path: Path) -> None:
    assert read(tmp_path, concurrent_sets=["set-1"]).facts["concurrent_sets"] == '["set-1"]'
