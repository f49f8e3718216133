"""Exports: what readers of the formats get is what the store holds; a folder appears whole or not at all."""

from __future__ import annotations

import fcntl
import gc
import hashlib
import json
import subprocess
import sys
import tarfile
import warnings
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from sensorloom.flows.cli import main
from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.flows.exports import windows as export_windows
from sensorloom.flows.exports import write as export_write
from sensorloom.flows.exports.export import ExportRequest, plan_export
from sensorloom.flows.exports.webdataset import sample_key
from sensorloom.flows.exports.write import export_view
from sensorloom.store.changes import Drop
from sensorloom.store.errors import MalformedObjectError
from sensorloom.store.repository import Repository
from tests.documents import build_triplets, embed_triplets
from tests.flows import made_up_view
from tests.flows.made_up_view import DIM, SPLITS, VIEW, text_vector, write_view

FORMATS = ("webdataset", "hf-parquet")
MASKED = {"imu_valid": "imu", "video_present": "video", "mocap_valid": "mocap"}
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def repo(tmp_path_factory) -> Repository:
    return write_view(str(tmp_path_factory.mktemp("view") / "store"))


def exported(repo, out, kind, **asked) -> dict:
    return export_view(repo, plan_export(repo, ExportRequest(kind, asked.pop("view", VIEW), **asked)), out)


def held(repo, view=VIEW) -> dict[str, dict]:
    """Every window of the store by id: its row and its arrays, by none of the export's code."""
    snapshot, windows = repo.resolve("main"), {}
    for shard in repo.manifest(snapshot, f"windows:{view}").shards:
        arrays = repo.open_arrays(repo.manifest(snapshot, f"tensors:{view}").get(shard.key))
        for place, row in enumerate(repo.read_table(shard).to_pylist()):
            own = {name: arrays[name][place] for name in arrays if not name.startswith("text_")}
            windows[row["window_id"]] = {"row": row, "arrays": own}
    return windows


def read_tars(out) -> dict[str, list[dict]]:
    import webdataset

    samples: dict[str, list[dict]] = {}
    with warnings.catch_warnings():
        # The library leaves its files to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        for path in sorted((out / "data").glob("*.tar")):
            stream = webdataset.WebDataset(str(path), shardshuffle=False).decode()
            samples.setdefault(path.name.split("-")[0], []).extend(stream)
        del stream
        gc.collect()
    return samples


def read_parquet(out) -> dict[str, list[dict]]:
    """Read with polars, in the shape in which the tar files give samples."""
    samples: dict[str, list[dict]] = {}
    for path in sorted((out / "data").glob("*.parquet")):
        frame = pl.read_parquet(path)
        names = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Array)]
        words = frame.drop(names, "text_vectors", strict=False).to_dicts()
        arrays = {name: frame[name].to_numpy() for name in names}
        for place, row in enumerate(words):
            sample = {"json": row, **{f"{name}.npy": array[place] for name, array in arrays.items()}}
            if "text_vectors" in frame.columns:
                sample["text_vectors.npy"] = frame["text_vectors"][place].to_numpy().reshape(-1, DIM)
            samples.setdefault(path.name.split("-")[0], []).append(sample)
    return samples


READ = {"webdataset": read_tars, "hf-parquet": read_parquet}


def tree_digest(out) -> dict[str, str]:
    files = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_reader_of_the_format_gets_what_the_store_holds(repo, tmp_path, kind):
    facts = exported(repo, tmp_path / "out", kind)
    splits, stored = READ[kind](tmp_path / "out"), held(repo)
    assert {split: len(samples) for split, samples in splits.items()} == facts["windows"]
    assert set(facts["windows"]) == {"train", "val", "test", "unassigned"}
    seen = set()
    for split, samples in splits.items():
        for sample in samples:
            row = sample["json"]
            assert (row["split"] or "unassigned") == split
            seen.add(row["window_id"])
            own = stored[row["window_id"]]
            for name, array in own["arrays"].items():
                assert sample[f"{name}.npy"].dtype == array.dtype
                assert np.array_equal(sample[f"{name}.npy"], array)
            assert row["start_ns"] == own["row"]["start_ns"]
            assert row["stop_ns"] == own["row"]["stop_ns"]
            assert row["take_id"] == own["row"]["take_id"]
            assert (row["label"], row["label_index"]) in ((None, -1), ("walk", 1))
    assert seen == stored.keys()


@pytest.mark.parametrize("kind", FORMATS)
def test_vectors_of_texts_stand_in_the_order_of_the_texts(repo, tmp_path, kind):
    exported(repo, tmp_path / "out", kind)
    stored, counts = held(repo), []
    for sample in (sample for samples in READ[kind](tmp_path / "out").values() for sample in samples):
        texts = sample["json"]["texts"]
        counts.append(len(texts))
        wanted = sorted(stored[sample["json"]["window_id"]]["row"]["texts"], key=lambda text: text["slot"])
        assert [(text["slot"], text["text"]) for text in texts] == [
            (text["slot"], text["text"]) for text in wanted
        ]
        vectors = sample["text_vectors.npy"]
        assert vectors.shape == (len(texts), DIM)
        for text, vector in zip(texts, vectors, strict=True):
            assert np.array_equal(vector, text_vector(text["text_id"]))
    assert {0, 3} <= set(counts)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("imu_type", "compress"), [("float16", False), ("int16", False), ("int16", True)])
def test_imu_is_exported_in_its_unit_however_it_is_stored(tmp_path, kind, imu_type, compress):
    exact = held(write_view(str(tmp_path / "exact")))
    repo = write_view(str(tmp_path / "store"), imu_type=imu_type, compress=compress)
    facts = exported(repo, tmp_path / "out", kind, columns=("imu",))
    worst = facts["imu_worst_error"]
    assert 0 < worst["accelerometer_m_s2"] < 0.02
    assert (
        f"off by at most {worst['accelerometer_m_s2']:.3g} m/s²" in (tmp_path / "out/README.md").read_text()
    )
    for sample in (sample for samples in READ[kind](tmp_path / "out").values() for sample in samples):
        imu = sample["imu.npy"]
        assert imu.dtype == np.float32
        error = np.abs(imu - exact[sample["json"]["window_id"]]["arrays"]["imu"])
        assert error[:, :3].max() <= worst["accelerometer_m_s2"]
        assert error[:, 3:].max() <= worst["gyroscope_rad_s"]


def test_what_is_missing_has_its_mask_beside_it(repo, tmp_path):
    exported(repo, tmp_path / "out", "webdataset")
    absent = 0
    for sample in (sample for samples in read_tars(tmp_path / "out").values() for sample in samples):
        there = sample["video_present.npy"]
        assert not sample["video.npy"][~there].any()
        assert sample["video.npy"][there].any(axis=1).all()
        assert not sample["imu.npy"][np.repeat(~sample["imu_valid.npy"], 3, axis=1)].any()
        absent += int((~there).sum())
    assert absent


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_snapshot_gives_the_same_bytes(repo, tmp_path, kind, monkeypatch):
    exported(repo, tmp_path / "a", kind)
    monkeypatch.setattr("time.time", lambda: 1e9)
    exported(repo, tmp_path / "b/c", kind)
    assert tree_digest(tmp_path / "a") == tree_digest(tmp_path / "b/c")
    assert not list((tmp_path / "b").glob(".*"))


def test_one_split_and_some_columns(repo, tmp_path):
    facts = exported(repo, tmp_path / "out", "hf-parquet", split="train", columns=("video", "imu"))
    (path,) = (tmp_path / "out/data").iterdir()
    assert path.name == "train-00000-of-00001.parquet"
    schema = pq.read_schema(path)
    assert schema.field("imu").type.list_size == 2
    assert "text_vectors" not in schema.names
    assert "mocap" not in schema.names
    assert "texts" in schema.names
    assert facts["windows"] == {"train": sum(SPLITS[number % 5] == "train" for number in range(12))}
    assert facts["columns"] == ["imu", "video"]


@pytest.mark.parametrize("kind", FORMATS)
def test_large_splits_become_several_files(repo, tmp_path, kind, monkeypatch):
    whole = exported(repo, tmp_path / "whole", kind)
    monkeypatch.setattr(export_write, "_FILE_BYTES", 1)
    monkeypatch.setattr(export_windows, "_PIECE_BYTES", 1)
    facts = exported(repo, tmp_path / "out", kind)
    assert facts["windows"] == whole["windows"]
    of_train = [file for file in facts["files"] if file["split"] == "train"]
    assert [file["windows"] for file in of_train] == [1] * facts["windows"]["train"]
    assert of_train[0]["path"].startswith("data/train-00000-of-00005.")
    assert all(file["bytes"] == (tmp_path / "out" / file["path"]).stat().st_size for file in facts["files"])
    both = [READ[kind](folder) for folder in (tmp_path / "whole", tmp_path / "out")]
    ids = [[sample["json"]["window_id"] for sample in splits["train"]] for splits in both]
    assert ids[0] == ids[1]


def test_the_facts_say_where_the_windows_come_from(repo, tmp_path):
    facts = exported(repo, tmp_path / "out", "webdataset")
    assert facts == json.loads((tmp_path / "out/export.json").read_text())
    assert facts["snapshot_id"] == repo.resolve("main").id
    assert facts["encoder"] == "made-up.model"
    assert (facts["takes"], facts["generated_takes"]) == (2, 1)
    assert (facts["windows_without_label"], facts["windows_without_split"]) == (6, 2)
    assert facts["arrays"]["text_vectors"] == f"float16[texts, {DIM}]"
    readme = (tmp_path / "out/README.md").read_text()
    assert "1 of 2 of the takes were generated" in readme
    assert "6 windows without a label" in readme
    assert "2 windows without a split" in readme
    assert "Video slots: ego, exo1." in readme


def test_the_readme_of_parquet_tells_what_other_readers_make_of_the_types(repo, tmp_path):
    exported(repo, tmp_path / "out", "hf-parquet")
    readme = (tmp_path / "out/README.md").read_text()
    assert 'with_format("numpy", columns=["video"], dtype="float16")` keeps it' in readme
    assert "`text_vectors` are ragged" in readme


def test_a_store_without_a_table_of_takes_tells_of_no_generated_ones(tmp_path):
    repo = write_view(str(tmp_path / "store"))
    repo.commit(lambda base: [Drop("takes", "00")], message="no takes", provenance={})
    facts = exported(repo, tmp_path / "out", "hf-parquet")
    assert (facts["takes"], facts["generated_takes"]) == (2, 0)


def test_the_readme_shows_code_that_reads_a_sample(repo, tmp_path, monkeypatch):
    monkeypatch.setattr(export_write, "_FILE_BYTES", 1)
    monkeypatch.setattr(export_windows, "_PIECE_BYTES", 1)
    exported(repo, tmp_path / "out", "webdataset")
    monkeypatch.chdir(tmp_path / "out")
    code = (tmp_path / "out/README.md").read_text().split("```python\n")[1].split("```")[0]
    names: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        exec(code, names)
        assert names["sample"]["imu.npy"].shape == (2, 6, 40)
        assert len(list(names.pop("dataset"))) == 5
        gc.collect()


@pytest.mark.parametrize(
    "window_id",
    ["egoexo4d/t.v1@0+5", "a b/ç.“%2E”@1+2", "a//b", "/a", "..", "../x", "a/", "x" * 300 + "/" + "y" * 300],
)
def test_every_window_id_makes_a_key_that_a_tar_file_holds(window_id, tmp_path):
    key = sample_key(window_id)
    assert unquote(key) == window_id
    assert "." not in key
    assert all(key.split("/"))


def test_tar_files_unpack_safely_whatever_the_names(tmp_path, monkeypatch):
    long = made_up_view._window
    monkeypatch.setattr(
        made_up_view,
        "_window",
        lambda take_id, place, number: (
            long(take_id, place, number) | {"window_id": f"../{'x' * 200}/é.{number}"}
        ),
    )
    exported(write_view(str(tmp_path / "store")), tmp_path / "out", "webdataset")
    for path in (tmp_path / "out/data").glob("*.tar"):
        with tarfile.open(path) as tar:
            tar.extractall(tmp_path / "unpacked", filter="data")
            assert {(member.mtime, member.uname) for member in tar} == {(0, "sensorloom")}
    ids = {
        sample["json"]["window_id"] for samples in read_tars(tmp_path / "out").values() for sample in samples
    }
    assert len(ids) == 12


def test_a_store_elsewhere_exports_the_same_bytes(repo, tmp_path):
    exported(repo, tmp_path / "a", "hf-parquet")
    exported(write_view("memory://made-up-view"), tmp_path / "b", "hf-parquet")
    assert tree_digest(tmp_path / "a") == tree_digest(tmp_path / "b")


@pytest.mark.parametrize("kind", FORMATS)
def test_an_error_on_the_way_leaves_nothing(repo, tmp_path, kind, monkeypatch):
    def fail(item, done, total):
        raise KeyboardInterrupt

    plan = plan_export(repo, ExportRequest(kind, VIEW))
    with pytest.raises(KeyboardInterrupt):
        export_view(repo, plan, tmp_path / "out", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_export_leaves_nothing_that_looks_whole_and_the_next_clears_it(repo, tmp_path):
    script = (
        "import os; from pathlib import Path; from sensorloom.store.repository import Repository;"
        "from sensorloom.flows.exports.export import *; from sensorloom.flows.exports.write import export_view;"
        f"repo = Repository.open({repo.url!r});"
        f"plan = plan_export(repo, ExportRequest('hf-parquet', {VIEW!r}));"
        f"export_view(repo, plan, Path({str(tmp_path / 'out')!r}), lambda item, done, total: os.kill(os.getpid(), 9))"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False, cwd=ROOT)
    assert killed.returncode == -9
    assert not (tmp_path / "out").exists()
    (left,) = tmp_path.iterdir()
    assert not (left / "export.json").exists()
    (left / "data" / "train-00007.parquet").write_text("left")
    exported(repo, tmp_path / "out", "hf-parquet")
    exported(repo, tmp_path / "fresh", "hf-parquet")
    assert tree_digest(tmp_path / "out") == tree_digest(tmp_path / "fresh")
    assert {path.name for path in tmp_path.iterdir()} == {"out", "fresh"}


def test_two_exports_to_one_folder_do_not_mix(repo, tmp_path):
    partial = tmp_path / ".out.partial"
    partial.mkdir()
    with (partial / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(
            RunError, match=r"another process is writing .*out, in .*\.out\.partial; wait for it"
        ):
            exported(repo, tmp_path / "out", "hf-parquet")
    exported(repo, tmp_path / "out", "hf-parquet")


def test_a_folder_that_holds_something_is_left_alone(repo, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("mine")
    with pytest.raises(ConfigError, match="full is there and is not empty; name a new folder"):
        exported(repo, tmp_path / "full", "hf-parquet")
    with pytest.raises(ConfigError, match="mine is there and is not a folder"):
        exported(repo, tmp_path / "full/mine", "hf-parquet")
    with pytest.raises(ConfigError, match=r"to a local folder, not to s3:/bucket/x; copy it from there"):
        exported(repo, Path("s3://bucket/x"), "hf-parquet")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    exported(repo, Path(), "hf-parquet")
    assert (tmp_path / "empty/export.json").is_file()


def test_a_disk_that_fails_is_named(repo, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(
        RunError, match=r"cannot write .*file/out: .*Not a directory.*; nothing of it was left"
    ):
        exported(repo, tmp_path / "file/out", "hf-parquet")

    def full(item, done, total):
        raise OSError(28, "No space left on device")

    with pytest.raises(
        RunError, match=r"cannot write .*out: .*No space left on device; nothing of it was left"
    ):
        export_view(repo, plan_export(repo, ExportRequest("hf-parquet", VIEW)), tmp_path / "out", full)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"view": "nothing"},
            r"no windows of view 'nothing'; it has some of made-up\. `sensorloom build nothing`",
        ),
        ({"split": "dev"}, r"no split 'dev'; it has train \(5 windows\), val \(3 windows\), test"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(repo, tmp_path, asked, message):
    with pytest.raises(ConfigError, match=message):
        exported(repo, tmp_path / "out", "hf-parquet", **asked)
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_the_view_lacks_is_refused(tmp_path, monkeypatch):
    arrays = made_up_view._arrays
    monkeypatch.setattr(
        made_up_view,
        "_arrays",
        lambda rng, windows: {
            name: array for name, array in arrays(rng, windows).items() if name.startswith("imu")
        },
    )
    repo = write_view(str(tmp_path / "store"))
    with pytest.raises(
        ConfigError,
        match=r"has no column 'video'; it has imu \(with imu_valid, imu_present\); vectors come by `sensorloom embed`",
    ):
        exported(repo, tmp_path / "out", "hf-parquet", columns=("imu", "video"))
    facts = exported(repo, tmp_path / "out", "hf-parquet")
    assert facts["columns"] == ["imu"]
    assert facts["lacking_columns"] == ["video", "mocap", "text"]
    assert "The view has no video and no mocap and no text." in (tmp_path / "out/README.md").read_text()


def test_tensors_that_do_not_fit_their_windows_are_refused(tmp_path, monkeypatch):
    from sensorloom.store.changes import Put

    repo = write_view(str(tmp_path / "store"))
    tensors = repo.manifest(repo.resolve("main"), f"tensors:{VIEW}")
    odd = repo.write_arrays(
        "00", {"imu": np.zeros((1, 2, 6, 40), np.float32)}, rows=1, attributes={}, work="0" * 64
    )
    repo.commit(lambda base: [Put(f"tensors:{VIEW}", odd)], message="odd", provenance={})
    with pytest.raises(
        ConfigError, match="shard 00: 5 windows but tensors of 1; `sensorloom build made-up` writes"
    ):
        plan_export(repo, ExportRequest("hf-parquet", VIEW))
    assert tensors.get("00") != odd


def without(arrays, *starts) -> dict:
    return {name: array for name, array in arrays.items() if not name.startswith(starts)}


@pytest.mark.parametrize("odd", [0, 2])
@pytest.mark.parametrize(
    ("changed", "what", "usual", "other"),
    [
        (lambda arrays: without(arrays, "video", "text"), "a row of text_ids", r"uint8\[32\]", "missing"),
        (
            lambda arrays: arrays | {"mocap": arrays["mocap"][:, :1]},
            "a row of mocap",
            "float32.2",
            "float32.1",
        ),
        (
            lambda arrays: arrays | {"video": arrays["video"].astype("f4")},
            "a row of video",
            "float16",
            "float32",
        ),
    ],
)
def test_shards_with_other_arrays_are_refused(tmp_path, monkeypatch, odd, changed, what, usual, other):
    """Else columns of all windows would be left out because some windows lack them."""
    arrays, written = made_up_view._arrays, iter(range(3))
    monkeypatch.setattr(
        made_up_view,
        "_arrays",
        lambda rng, windows: (changed if next(written) == odd else dict)(arrays(rng, windows)),
    )
    repo = write_view(str(tmp_path / "store"))
    here, there = (usual, other) if odd else (other, usual)
    with pytest.raises(
        ConfigError,
        match=f"{what} is {here}.* in 00 and {there}.* in 02; build the view again: `sensorloom build",
    ):
        plan_export(repo, ExportRequest("hf-parquet", VIEW, columns=("imu",)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"encoder": "other.model"}, "attribute encoder is made-up.model in 00 and other.model in 02"),
        ({"fingerprint": {"weights": 1}}, "attribute fingerprint.weights is none in 00 and 1 in 02"),
        (
            {"video_slots": ["ego", "exo2"]},
            r"video_slots is \['ego', 'exo1'\] in 00 and \['ego', 'exo2'\] in 02",
        ),
        ({"text_sources": ["narration"]}, r"text_sources is .* in 00 and \['narration'\] in 02"),
        (
            {
                "view": {
                    "name": VIEW,
                    "positions": ["wrist"],
                    "classes": ["rest", "walk"],
                    "imu_type": "float32",
                }
            },
            r"view.positions is \['head', 'wrist'\] in 00 and \['wrist'\] in 02",
        ),
    ],
)
def test_shards_of_other_recipes_or_encoders_are_refused(tmp_path, monkeypatch, changed, message):
    attributes, written = made_up_view._attributes, iter(range(3))
    monkeypatch.setattr(
        made_up_view,
        "_attributes",
        lambda *given: attributes(*given) | (changed if next(written) == 2 else {}),
    )
    repo = write_view(str(tmp_path / "store"))
    with pytest.raises(ConfigError, match=f"{message}; build the view again"):
        plan_export(repo, ExportRequest("webdataset", VIEW))


def test_a_shard_without_windows_need_not_fit(tmp_path, monkeypatch):
    """It has nothing to export, whatever it was built with."""
    arrays = made_up_view._arrays
    monkeypatch.setattr(
        made_up_view,
        "_arrays",
        lambda rng, windows: arrays(rng, windows) if windows else without(arrays(rng, windows), "video"),
    )
    facts = exported(write_view(str(tmp_path / "store")), tmp_path / "out", "hf-parquet")
    assert "video" in facts["columns"]


def test_vectors_of_other_texts_than_the_rows_say_are_refused(tmp_path, monkeypatch):
    texts = made_up_view._texts
    monkeypatch.setattr(
        made_up_view,
        "_texts",
        lambda windows: {
            name: array[::-1].copy() if name == "text_rows" else array
            for name, array in texts(windows).items()
        },
    )
    repo = write_view(str(tmp_path / "store"))
    with pytest.raises(
        MalformedObjectError, match=r"shard 00 .* pairs window .* vectors of texts that are not the"
    ):
        exported(repo, tmp_path / "out", "hf-parquet")
    assert not (tmp_path / "out").exists()


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(args)
    return int(stop.value.code or 0)


def test_the_command_tells_what_it_wrote(repo, tmp_path, capsys):
    options = ("--view", VIEW, "--store", repo.url)
    assert run("export", "webdataset", *options, "--out", str(tmp_path / "a")) == 0
    told = capsys.readouterr()
    assert "12 windows of 2 takes, 1 of them generated" in told.out
    assert "6 windows without a label" in told.out
    assert f"How to read it: {tmp_path / 'a/README.md'}" in told.out
    assert "export made-up: 12 of 12" in told.err
    assert (
        run(
            "export", "hf-parquet", *options, "--out", str(tmp_path / "b"), "--columns", "imu, text", "--json"
        )
        == 0
    )
    facts = json.loads(capsys.readouterr().out)
    assert facts["columns"] == ["imu", "text"]
    assert facts == json.loads((tmp_path / "b/export.json").read_text())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ("--columns", "imu,imu_valid"),
            "unknown columns 'imu_valid'; known: imu (with imu_valid, imu_present), video (with",
        ),
        (("--view", "primu"), "has no windows of view 'primu'"),
        (("--snapshot", "elsewhere"), "elsewhere"),
    ],
)
def test_the_command_refuses_with_exit_code_2(repo, tmp_path, capsys, given, message):
    code = run(
        "export", "hf-parquet", "--view", VIEW, "--store", repo.url, "--out", str(tmp_path / "x"), *given
    )
    assert code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_the_command_names_the_extra_it_needs(repo, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sensorloom.flows.exports.webdataset", None)
    monkeypatch.delitem(sys.modules, "sensorloom.flows.exports.webdataset")
    monkeypatch.setitem(sys.modules, "webdataset", None)
    code = run("export", "webdataset", "--view", VIEW, "--store", repo.url, "--out", str(tmp_path / "x"))
    assert code == 2
    assert "pip install 'sensorloom[export]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_help_says_what_reads_each_format(capsys):
    assert run("export", "--help") == 0
    told = capsys.readouterr().out
    for words in ("webdataset", "hf-parquet", "encoder"):
        assert words in told
    assert run("export", "hf-parquet", "--help") == 0
    told = capsys.readouterr().out
    for words in ('datasets.load_dataset("parquet"', "--split", "--store", "--json"):
        assert words in told


@pytest.fixture(scope="module")
def miniature(tmp_path_factory) -> Repository:
    folder = embed_triplets(tmp_path_factory.mktemp("miniature"))
    build_triplets(folder, "all-modalities")
    return Repository.open(str(folder / "demo/store"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_a_view_of_the_generated_miniature_comes_out_as_it_is(miniature, tmp_path, kind):
    view = "all-modalities"
    facts = exported(miniature, tmp_path / "out", kind, view=view, columns=("imu", "video", "mocap"))
    assert facts["generated_takes"] == facts["takes"]
    stored = held(miniature, view)
    samples = [sample for samples in READ[kind](tmp_path / "out").values() for sample in samples]
    assert {sample["json"]["window_id"] for sample in samples} == stored.keys()
    for sample in samples:
        own = stored[sample["json"]["window_id"]]["arrays"]
        for name in ("imu", "imu_valid", "video", "video_present", "mocap", "mocap_valid"):
            assert np.array_equal(sample[f"{name}.npy"], own[name])
    facts = exported(miniature, tmp_path / "texts", kind, view=view, columns=("text",))
    assert facts["texts"] > 0
