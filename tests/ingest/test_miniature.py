"""The generator's face: what a sample holds, how it is replaced, what is refused; readers agree with it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.miniature import DATASETS, FAULTS, SampleError, SampleSpec, write_sample
from sensorloom.ingest.miniature.spec import assign_faults
from sensorloom.ingest.reader import READERS

BOTH = ("pamap2", "realworld")
OWN_FAULTS = tuple(fault for fault, line in FAULTS.items() if line.startswith(BOTH))
"""Those of the two; the readers of Ego4D and Ego-Exo4D meet theirs in `test_miniature_ego4d` and `…_egoexo4d_read`."""
TINY = SampleSpec(BOTH, seed=3, takes=2, minutes=0.2)


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_same_spec_gives_the_same_bytes(tmp_path):
    write_sample(tmp_path / "a", TINY)
    write_sample(tmp_path / "b", TINY)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_another_seed_gives_other_signals_in_the_same_places(tmp_path):
    write_sample(tmp_path / "a", TINY)
    write_sample(tmp_path / "b", SampleSpec(BOTH, seed=4, takes=2, minutes=0.2))
    a, b = digests(tmp_path / "a"), digests(tmp_path / "b")
    assert a.keys() == b.keys()
    assert all(a[uri] != b[uri] for uri in a if uri.endswith((".dat", ".zip")))


def test_a_take_does_not_depend_on_how_many_are_generated(tmp_path):
    few = write_sample(tmp_path / "few", SampleSpec(BOTH, takes=2, minutes=0.1))
    many = write_sample(tmp_path / "many", SampleSpec(BOTH, takes=4, minutes=0.1))
    a, b = digests(tmp_path / "few"), digests(tmp_path / "many")
    shared = [uri for uri in a if uri.startswith(BOTH)]
    assert len(shared) > 4
    assert {uri: a[uri] for uri in shared} == {uri: b[uri] for uri in shared}
    assert few["takes"].items() <= many["takes"].items()


def test_takes_go_on_beyond_the_real_collections(tmp_path):
    truth = write_sample(tmp_path / "s", SampleSpec(("pamap2",), takes=16, minutes=0.1))
    assert {"pamap2/protocol/subject110", "pamap2/protocol/subject111"} <= truth["takes"].keys()
    assert len(truth["takes"]) == 16


def test_the_folder_says_it_is_generated_and_lists_its_files(tmp_path):
    truth = write_sample(tmp_path / "s", TINY)
    note = (tmp_path / "s" / "GENERATED.txt").read_text()
    assert note.startswith("This data is generated.")
    assert "pamap2, realworld" in note
    text = (tmp_path / "s" / "truth.json").read_text()
    assert json.loads(text) == truth
    assert text == json.dumps(truth, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    on_disk = {
        path.relative_to(tmp_path / "s").as_posix(): path.stat().st_size
        for dataset in BOTH
        for path in (tmp_path / "s" / dataset).rglob("*")
        if path.is_file()
    }
    assert truth["files"] == on_disk
    assert truth["spec"]["seed"] == 3
    for take in truth["takes"].values():
        assert {f"{take['dataset']}/{uri}" for uri in take["files"]} <= on_disk.keys()


def test_progress_names_each_take(tmp_path):
    seen: list[str] = []
    truth = write_sample(tmp_path / "s", TINY, progress=seen.append)
    assert sorted(seen) == sorted(truth["takes"])


def test_an_earlier_sample_is_replaced_whole(tmp_path):
    write_sample(tmp_path / "s", TINY)
    truth = write_sample(tmp_path / "s", SampleSpec(("realworld",), takes=1, minutes=0.1))
    assert not (tmp_path / "s" / "pamap2").exists()
    assert json.loads((tmp_path / "s" / "truth.json").read_text()) == truth
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "s").mkdir()
    write_sample(tmp_path / "s", SampleSpec(("pamap2",), takes=1, minutes=0.1))
    assert (tmp_path / "s" / "pamap2").is_dir()


@pytest.mark.parametrize("uri", ["notes.txt", "pamap2/PAMAP2_Dataset/Protocol/subject104.dat"])
def test_a_folder_with_other_files_is_not_touched(tmp_path, uri):
    foreign = tmp_path / "s" / uri
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    with pytest.raises(SampleError, match=rf"s holds {uri}, which no sample wrote; choose an empty folder"):
        write_sample(tmp_path / "s", TINY)
    assert foreign.read_text() == "mine"


def test_a_real_file_put_in_the_place_of_a_generated_one_is_not_lost(tmp_path):
    write_sample(tmp_path / "s", TINY)
    replaced = tmp_path / "s" / "pamap2" / "PAMAP2_Dataset" / "Protocol" / "subject101.dat"
    replaced.write_text("a recording")
    with pytest.raises(SampleError, match=r"subject101.dat has 11 bytes, a sample wrote \d+; choose another"):
        write_sample(tmp_path / "s", TINY)
    assert replaced.read_text() == "a recording"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "s").write_text("mine")
    with pytest.raises(SampleError, match="s is a file; name a folder for the sample"):
        write_sample(tmp_path / "s", TINY)


def test_a_failure_leaves_the_earlier_sample_and_nothing_else(tmp_path):
    write_sample(tmp_path / "s", TINY)
    before = digests(tmp_path / "s")

    def stop(take_id: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "s", SampleSpec(BOTH, seed=9, takes=2, minutes=0.1), progress=stop)
    assert digests(tmp_path / "s") == before
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"datasets": ("pamap",)},
            r"unknown data set 'pamap'; did you mean 'pamap2'\? Known: ego4d, egoexo4d, pamap2, realworld\.",
        ),
        (
            {"datasets": BOTH, "faults": ("emptyfile",)},
            "unknown fault 'emptyfile'; did you mean 'empty-file'",
        ),
        ({"datasets": BOTH, "faults": ("zzz",)}, "unknown fault 'zzz' Known: all-zero, backwards, "),
        (
            {"datasets": ("pamap2",), "faults": ("zip-bomb",)},
            "fault 'zip-bomb' belongs to realworld, which is not",
        ),
        (
            {"datasets": ("pamap2",), "takes": 1, "faults": ("in-g", "degrees")},
            r"pamap2: 2 faults \(degrees, in-g\) need a take each, and there are 1; raise takes",
        ),
    ],
)
def test_what_cannot_be_generated_is_refused_before_anything_is_written(tmp_path, spec, message):
    with pytest.raises(SampleError, match=message):
        write_sample(tmp_path / "s", SampleSpec(**spec))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"datasets": ()}, "at least one data set"),
        ({"datasets": BOTH, "takes": 0}, "takes must be at least 1, got 0"),
        ({"datasets": BOTH, "minutes": 0.01}, "minutes must be at least 0.1, got 0.01"),
        ({"datasets": BOTH, "minutes": float("nan")}, "minutes must be at least 0.1, got nan"),
    ],
)
def test_a_spec_checks_its_numbers(spec, message):
    with pytest.raises(SampleError, match=message):
        SampleSpec(**spec)


def test_every_fault_is_described_and_belongs_to_one_data_set():
    assert all(line.partition(": ")[0] in DATASETS for line in FAULTS.values())
    assert sum(len(dataset.faults) for dataset in DATASETS.values()) == len(FAULTS)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    out = tmp_path_factory.mktemp("spoilt") / "s"
    return out, write_sample(out, SampleSpec(BOTH, takes=12, minutes=0.3, faults=OWN_FAULTS))


@pytest.mark.parametrize("dataset", BOTH)
def test_readers_find_exactly_the_takes_of_the_truth(spoilt, dataset):
    out, truth = spoilt
    found = {source.take_id for source in READERS[dataset].index(out / dataset)}
    assert found == {take_id for take_id, take in truth["takes"].items() if take["dataset"] == dataset}


@pytest.mark.parametrize("dataset", BOTH)
def test_readers_agree_with_the_truth_in_rows_times_and_labels(spoilt, dataset):
    out, truth = spoilt
    for source in READERS[dataset].index(out / dataset):
        told = truth["takes"][source.take_id]
        if any(fault["outcome"] == "unreadable" or fault["fault"] == "backwards" for fault in told["faults"]):
            continue
        take = READERS[dataset].read(out / dataset, source)
        assert take.participant_id == told["participant_id"]
        assert {stream.name: len(stream.times_ns) for stream in take.streams} == {
            name: stream["rows"] for name, stream in told["streams"].items()
        }
        starts = [int(stream.times_ns[0]) for stream in take.streams]
        assert min(starts) == told["start_ns"]
        if "long-gap" not in {fault["fault"] for fault in told["faults"]}:
            texts = [(label.start_ns, label.stop_ns, label.text) for label in take.labels]
            known = [(label["start_ns"], label["stop_ns"], label["text"]) for label in told["labels"]]
            assert set(known) <= set(texts)


@pytest.mark.parametrize("fault", sorted(OWN_FAULTS))
def test_each_fault_makes_its_reader_say_so(spoilt, fault):
    out, truth = spoilt
    (take_id, planted), *others = [
        (take_id, planted)
        for take_id, take in truth["takes"].items()
        for planted in take["faults"]
        if planted["fault"] == fault
    ]
    assert not others
    dataset = take_id.partition("/")[0]
    source = next(source for source in READERS[dataset].index(out / dataset) if source.take_id == take_id)
    if planted["outcome"] == "unreadable":
        with pytest.raises(RawFileError, match=r"subject\d+\.dat|acc_\w+_csv\.zip"):
            READERS[dataset].read(out / dataset, source)
        return
    findings = READERS[dataset].read(out / dataset, source).findings
    told = {finding.target.partition("#")[2] for finding in findings if finding.rule == planted["rule"]}
    assert told
    assert set(planted.get("streams", ())) <= told


def test_without_faults_no_planted_rule_fires(tmp_path):
    truth = write_sample(tmp_path / "s", SampleSpec(BOTH, takes=6, minutes=0.5))
    rules = {
        finding.rule
        for dataset in BOTH
        for source in READERS[dataset].index(tmp_path / "s" / dataset)
        for finding in READERS[dataset].read(tmp_path / "s" / dataset, source).findings
        if finding.severity == "error"
    }
    assert not rules
    assert not any(take["faults"] for take in truth["takes"].values())


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SampleError, match=r"file/sample: cannot be written: Not a directory; choose another"):
        write_sample(tmp_path / "file" / "sample", SampleSpec(datasets=("pamap2",), takes=1, minutes=0.1))


def test_more_faults_than_takes_that_can_carry_them_are_refused():
    with pytest.raises(
        SampleError, match=r"2 faults \(degrees, in-g\) need a take each, but only 1 can carry one"
    ):
        assign_faults(("degrees", "in-g"), ("pamap2/101",))
