"""The bench command: contenders in processes of their own, and no number unless they did the same work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sensorloom.flows.cli import main
from sensorloom.flows.commands import bench

HARNESS = "from harness import Contender, Turns, drive, emit, medians, need, same, scratch\n"
CONTENDER = """import sys
from pathlib import Path
count = Path(__file__).with_suffix(".count")
turn = int(count.read_text()) if count.exists() else 0
count.write_text(str(turn + 1))
assert not any(Path(sys.argv[-1]).iterdir()), "the folder is not fresh"
(Path(sys.argv[-1]) / "left").touch()
emit({"seconds": [5.0, 1.0, 3.0][turn], "windows": 7})
"""
DRIVER = """import sys
from pathlib import Path

def run():
    with scratch(Path(sys.argv[sys.argv.index("--work") + 1])) as folder:
        rounds = Turns(3, 1, folder).play([Contender("one", "one.py"), Contender("two", "two.py")])
    one, two = medians(rounds["one"]), medians(rounds["two"])
    same("windows", one["windows"], two["windows"])
    return {"seconds": one["seconds"], "peak_mb": one["peak_mb"]}, {"seconds": "s", "peak_mb": "MB"}

drive(run)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder of benchmarks with two tiny contenders, in the place of the real one."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    shutil.copy(bench.source_folder() / "harness.py", folder)
    for name, code in (("ingest", DRIVER), ("one", CONTENDER), ("two", CONTENDER)):
        (folder / f"{name}.py").write_text(HARNESS + code)
    monkeypatch.setattr(bench, "source_folder", lambda: folder)
    return folder


@pytest.fixture
def run(tmp_path, capfd):
    """Run the command line; return exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main(
                ["bench", *arguments, *([] if "--help" in arguments else ["--work", str(tmp_path / "work")])]
            )
        out, err = capfd.readouterr()
        return int(exit_.value.code or 0), out, " ".join(err.split())

    return run


def test_numbers_are_medians_over_the_rounds_in_one_flat_object(folder, run):
    code, out, _ = run("ingest", "--part", "pamap2", "--json")
    numbers = json.loads(out)
    assert code == 0
    assert numbers["seconds"] == 3.0
    assert 1 < numbers["peak_mb"] < 1000


def test_a_reader_gets_a_table_with_the_meaning_of_every_number(folder, run):
    code, out, _ = run("ingest", "--part", "pamap2")
    assert code == 0
    assert ["seconds", "3", "s"] in [line.split() for line in out.splitlines()]


TABLE = {"title": "Planted and caught", "columns": ["fault", "caught"], "rows": [["all-zero", "yes"]]}


def test_a_reader_gets_the_tables_of_a_driver_and_a_script_its_numbers_alone(folder, run):
    (folder / "audit.py").write_text(
        HARNESS + f"drive(lambda: ({{'caught': 1}}, {{'caught': 'a'}}, [{TABLE}]))"
    )
    code, out, _ = run("audit", "--part", "faults")
    assert code == 0
    assert ["all-zero", "yes"] in [line.split() for line in out.splitlines()]
    code, out, _ = run("audit", "--part", "faults", "--json")
    assert json.loads(out) == {"caught": 1.0}


def test_the_parts_of_a_bench_come_as_one_flat_object(folder, run):
    (folder / "ingest_vrs.py").write_text(
        HARNESS + "drive(lambda: ({'vrs_records_per_s': 5}, {'vrs_records_per_s': 'a'}))"
    )
    code, out, _ = run("ingest", "--part", "pamap2", "--part", "vrs", "--json")
    assert code == 0
    assert json.loads(out).keys() >= {"seconds", "vrs_records_per_s"}


def test_nothing_is_left_in_the_work_folder_but_what_is_kept(folder, run, tmp_path):
    run("ingest", "--part", "pamap2", "--json")
    assert list((tmp_path / "work").iterdir()) == []


def test_contenders_that_disagree_fail_the_bench(folder, run):
    (folder / "two.py").write_text(HARNESS + CONTENDER.replace('"windows": 7', '"windows": 8'))
    code, out, err = run("ingest", "--part", "pamap2", "--json")
    assert code == 1
    assert out == ""
    assert "did not do the same work: windows is 7 here and 8 there (tolerance 0)" in err


def test_a_contender_that_crashes_fails_the_bench_with_its_last_words(folder, run):
    (folder / "two.py").write_text("raise ValueError('no such column')")
    code, _, err = run("ingest", "--part", "pamap2", "--json")
    assert code == 1
    assert "two.py ended with exit code 1: ValueError: no such column" in err


def test_a_driver_that_crashes_is_no_result(folder, run):
    (folder / "ingest.py").write_text("raise SystemExit(3)")
    code, _, err = run("ingest", "--part", "pamap2", "--json")
    assert code == 1
    assert "bench ingest ended with exit code 3 and no result" in err


def test_a_peer_that_is_not_installed_is_named(folder, run):
    (folder / "ingest.py").write_text(HARNESS + "drive(lambda: need('json', 'no_such_peer'))")
    code, _, err = run("ingest", "--part", "pamap2", "--json")
    assert code == 2
    assert "compares with no_such_peer, not installed here: pip install 'sensorloom[test]'" in err


def test_a_peer_of_the_stream_that_nobody_knows_is_refused(run):
    code, _, err = run("stream", "--peers", "lance,petastorm", "--json")
    assert code == 2
    assert "some of lance,hf_arrow,litdata,mds,webdataset with commas, got 'lance,petastorm'" in err


def test_peers_of_the_stream_that_are_not_installed_are_named_with_the_remedy(tmp_path):
    """In the place of the environment beside the interpreter there is none."""
    script = bench.source_folder() / "stream.py"
    code = "import runpy, sys; _, sys.prefix, *sys.argv = sys.argv; runpy.run_path(sys.argv[0], run_name='__main__')"
    given = ["--work", str(tmp_path), "--quiet", "--peers", "lance,mds"]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(script), *given],
        env={**os.environ, "PYTHONPATH": str(script.parent)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    message = json.loads(done.stdout.splitlines()[-1])["error"]
    assert (
        f"compares with lance, mds, whose environment is not at {tmp_path / 'peers'}: `make peers`" in message
    )
    assert "--peers none leaves them out" in message


def test_without_a_checkout_the_message_says_where_the_benchmarks_are(run, monkeypatch, tmp_path):
    monkeypatch.setattr(
        bench.sensorloom, "__file__", str(tmp_path / "site-packages" / "sensorloom" / "__init__.py")
    )
    code, _, err = run("ingest", "--part", "pamap2", "--json")
    assert code == 2
    assert "they come with the source, not with an installed wheel" in err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((), ("ingest", "stream", "must have done the same work")),
        (("ingest",), ("--minutes", "--rounds", "pandas", "on one core")),
        (("embed",), ("--minutes", "tightest PyAV loop", "ViT-B-32, whose weights are random")),
        (("stream",), ("--windows", "--threads", "--peers", "memcpy", "DataLoader", "Lance", "LitData")),
        (("shuffle",), ("--windows", "--batch", "blocks of 1, 4, 8 and 16", "1 as by chance")),
    ],
)
def test_help_says_what_is_compared(run, command, words):
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert all(word in " ".join(out.split()) for word in words)


INGEST = {"mb_per_s_core", "over_pandas", "peak_mb"}
VRS = {"vrs_records_per_s", "vrs_over_projectaria", "vrs_over_pyvrs"}
EGO4D = {"ego4d_mb_per_s", "ego4d_over_pandas"}
EMBED = {"pipeline_over_encode", "decode_over_bare", "decode_over_naive", "least_cosine", "peak_mb_long"}
STREAM = {
    "windows_per_s",
    "over_memcpy",
    "over_memcpy_first",
    "over_naive",
    "first_batch_ms",
    "cold_windows_per_s",
}
AUDIT = {"audit_s_10h", "audit_again_s_10h", "audit_hours_per_minute", "pair_ms_10min", "audit_pairs_told"}
SHUFFLE = {f"{way}_take_mixing" for way in ("global", "block1", "block4", "block8", "block16", "none")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("ingest", "--part", "pamap2", "--minutes", "2", "--rounds", "1"), INGEST),
        (("ingest", "--part", "vrs", "--part", "ego4d", "--rounds", "1"), VRS | EGO4D),
        (("stream", "--windows", "600", "--rounds", "1", "--peers", "none"), STREAM),
        (("shuffle", "--windows", "5000", "--batch", "100", "--rounds", "1"), SHUFFLE),
        (("audit", "--part", "speed", "--hours", "0.2", "--rounds", "1"), AUDIT),
    ],
)
def test_the_real_benches_run_end_to_end(run, arguments, names):
    code, out, _ = run(*arguments, "--json")
    numbers = json.loads(out)
    assert code == 0
    assert numbers.keys() >= names
    assert all(type(value) is float for value in numbers.values())
    assert all(numbers[name] > 0 for name in names)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("driver", "small", "names"),
    [
        ("ingest_takes", ("--minutes", "0.2", "--many", "20"), set()),
        ("embed", ("--minutes", "0.1", "--frames", "4", "--batch", "4", "--long", "0.2"), EMBED),
    ],
)
def test_benches_that_take_minutes_run_small(tmp_path, driver, small, names):
    """Their full size takes minutes; the drivers take a smaller one."""
    script = str(bench.source_folder() / f"{driver}.py")
    command = [sys.executable, script, "--work", str(tmp_path), "--quiet", "--rounds", "1", *small]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["numbers"].keys() >= names
    assert answer["numbers"].keys() <= answer["meaning"].keys()
    assert all(value > 0 for name, value in answer["numbers"].items() if name != "facts_share")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "script", "right", "wrong", "message"),
    [
        (
            ("ingest", "--part", "pamap2", "--minutes", "2", "--rounds", "1"),
            "ingest_pandas.py",
            "resample_poly(bridged, 2, 1,",
            "1.05 * resample_poly(bridged, 2, 1,",
            "signal difference is",
        ),
        (
            ("stream", "--windows", "600", "--rounds", "1", "--peers", "none"),
            "stream_naive.py",
            "return self.imu[index], ",
            "return self.imu[index // 2], ",
            "windows missing or repeated, or their arrays apart (naive) is",
        ),
        (
            ("shuffle", "--windows", "5000", "--rounds", "1"),
            "shuffle_order.py",
            "order = np.arange(len(shard))",
            "order = np.arange(len(shard)) // 2",
            "different windows of an epoch (none) is 2500",
        ),
    ],
)
def test_a_real_contender_that_does_something_else_is_found_out(
    run, tmp_path, monkeypatch, arguments, script, right, wrong, message
):
    folder = tmp_path / "benchmarks"
    shutil.copytree(bench.source_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / script).read_text()
    assert right in text
    (folder / script).write_text(text.replace(right, wrong))
    monkeypatch.setattr(bench, "source_folder", lambda: folder)
    code, _, err = run(*arguments, "--json")
    assert code == 1
    assert message in err
