"""The command line as people and scripts meet it: words, JSON, exit codes, never a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sensorloom.flows.cli import main
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.store.repository import Repository
from sensorloom.store.transaction import Drop

OLD_NS = 1_600_000_000_000_000_000


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("raw") / "sample"
    write_sample(out, SampleSpec(datasets=("pamap2", "realworld"), takes=2, minutes=1.0))
    for path in out.rglob("*"):
        os.utime(path, ns=(OLD_NS, OLD_NS))
    return out


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Run the command line in a folder of its own; return exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(args)
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


def test_help_lists_every_command_by_what_it_is_for(cli):
    code, out, _ = cli("--help")
    assert code == 0
    for word in (
        "Prepare data",
        "Look at it",
        "Keep the store",
        "Train",
        "ingest",
        "build",
        "audit",
        "show",
        "gc",
    ):
        assert word in out


@pytest.mark.parametrize(
    "command",
    [
        "sample",
        "plan",
        "run",
        "ingest",
        "build",
        "audit",
        "show",
        "log",
        "diff",
        "trace",
        "verify",
        "gc",
        "train",
        "evaluate",
    ],
)
def test_every_command_explains_itself_and_takes_the_global_options(cli, command):
    code, out, _ = cli(command, "--help")
    assert code == 0
    assert "--store" in out
    assert "--json" in out


def test_the_whole_way_from_sample_to_report(cli, raw, tmp_path):
    code, out, err = cli("run", "--raw", str(raw))
    assert code == 0
    assert "ingest pamap2: 2 of 2" in err
    assert (tmp_path / "report" / "index.html").is_file()
    assert "committed snapshot" in out
    assert re.search(r"can I train on it\? pamap2: (yes|no|with care) \(all takes generated\)", out)
    code, out, _ = cli("run", "--raw", str(raw))
    assert code == 0
    assert out.count("nothing changed") == 3
    assert "committed" not in out


def test_show_json_has_the_documented_keys(cli, raw):
    cli("ingest", "pamap2", "--raw", str(raw / "pamap2"))
    cli("build")
    code, out, _ = cli("show", "--json")
    facts = json.loads(out)
    assert code == 0
    assert list(facts) == [
        "snapshot_id",
        "tables",
        "takes",
        "origins",
        "hours",
        "views",
        "texts",
        "findings",
        "encoders",
        "encodings",
    ]
    assert facts["takes"] == {"pamap2": 2}
    assert facts["origins"] == {"generated": 2}
    assert "2 of 2 takes generated, not recorded." in cli("show")[1]
    assert facts["tables"]["takes"] == 2
    assert set(facts["hours"]) == {"accelerometer", "gyroscope", "heart_rate"}
    assert set(facts["views"]) == {"har-pamap2", "crossl-pamap2"}


def test_a_sample_too_short_for_labelled_windows_says_so(cli):
    code, out, err = cli("sample", "one", "--datasets", "pamap2", "--takes", "1", "--minutes", "0.5")
    assert code == 0
    assert "Generated 1 take under one;" in out
    assert (
        "short pamap2: 1 of 1 take without a label that lasts for the 5 s of a window of the labelled views"
        in err
    )
    code, out, err = cli("sample", "two", "--datasets", "ego4d", "--takes", "2", "--minutes", "0.1")
    assert "Generated 3 takes under two;" in out
    assert err == ""


def test_a_build_names_the_splits_that_it_left_empty(cli):
    cli("sample", "one", "--datasets", "realworld", "--takes", "1", "--minutes", "0.2")
    cli("ingest", "realworld", "--raw", "one/realworld")
    code, _, err = cli("build", "har-realworld", "crossl-realworld")
    assert code == 0
    assert "splits without windows har-realworld (val, test), crossl-realworld (val, test): `[split]`" in err
    assert "shares out participants by chance: more of them fill these" in " ".join(err.split())
    told = json.loads(cli("build", "har-realworld", "--json")[1])
    assert told["unfilled"] == {"har-realworld": ["val", "test"]}
    _, _, err = cli("build", "har-realworld", "--set", "split.policy=by-take")
    assert "shares out takes by chance: more of them fill these" in " ".join(err.split())
    none_for_val = ("--set", "split.fractions=[0.9, 0.0, 0.1]")
    told = json.loads(cli("build", "har-realworld", "--json", *none_for_val)[1])
    assert told["unfilled"] == {"har-realworld": ["test"]}


def test_the_splits_left_empty_are_those_of_what_this_build_published(cli, monkeypatch):
    cli("sample", "one", "--datasets", "realworld", "--takes", "1", "--minutes", "0.2")
    cli("ingest", "realworld", "--raw", "one/realworld")
    commit = Repository.commit

    def overtaken(repo, plan, **facts):
        """Another commit follows at once, which takes the view away."""
        ours = commit(repo, plan, **facts)
        table = "windows:har-realworld"
        commit(repo, lambda base: [Drop(table, shard.key) for shard in base.manifest(table).shards], **facts)
        return ours

    monkeypatch.setattr(Repository, "commit", overtaken)
    told = json.loads(cli("build", "har-realworld", "--json")[1])
    assert told["unfilled"] == {"har-realworld": ["val", "test"]}


def test_show_and_the_report_tell_how_a_view_holds_its_imu(cli, raw, tmp_path):
    for dataset in ("pamap2", "realworld"):
        cli("ingest", dataset, "--raw", str(raw / dataset))
    compact = {"imu_type": '"int16"', "layout": '"compressed"'}
    cli("build", *(f"--set=views.har-realworld.{key}={value}" for key, value in compact.items()))
    repo = Repository.open(str(tmp_path / "sensorloom-store"))
    shards = repo.manifest(repo.resolve("main"), "tensors:har-realworld").shards
    errors = [repo.open_arrays(shard).attributes["imu_worst_error"] for shard in shards]
    worst = {sensor: max(error[sensor] for error in errors) for sensor in errors[0]}
    assert errors[0] != worst or errors[-1] != worst  # or the first or last alone would do
    _, out, _ = cli("show", "--json")
    encodings = json.loads(out)["encodings"]
    assert encodings["har-realworld"] == {
        "imu_type": "int16",
        "layout": "compressed",
        "worst_error": worst,
    }
    assert encodings["crossl-pamap2"]["imu_type"] == "float32"
    words = f"at most {worst['accelerometer_m_s2']:.4g} m/s², {worst['gyroscope_rad_s']:.4g} rad/s off"
    _, out, _ = cli("show")
    assert f"har-realworld int16 compressed {words}" in " ".join(out.split())
    assert "crossl-pamap2 float32 plain exact" in " ".join(out.split())
    _, out, _ = cli("audit", "--json")
    recipes = {view["view"]: view["recipe"] for view in json.loads(out)["views"]}
    assert recipes["har-realworld"]["imu_worst_error"] == worst
    assert (recipes["har-realworld"]["imu_type"], recipes["har-realworld"]["layout"]) == (
        "int16",
        "compressed",
    )
    page = (tmp_path / "report" / "index.html").read_text()
    assert f"IMU stored as int16, compressed, {words}" in page
    assert "IMU stored as float32, exact" in page


@pytest.mark.parametrize("place", ["before", "after"])
def test_global_options_stand_before_or_after_the_command(cli, raw, tmp_path, place):
    options = ["--store", str(tmp_path / "elsewhere"), "--json"]
    command = ["ingest", "pamap2", "--raw", str(raw / "pamap2")]
    code, out, _ = cli(*options, *command) if place == "before" else cli(*command, *options)
    assert code == 0
    assert json.loads(out)["ingested"] == 2
    assert (tmp_path / "elsewhere" / "format.json").is_file()


def test_log_diff_verify_and_gc_agree_on_a_sound_store(cli, raw):
    cli("ingest", "pamap2", "--raw", str(raw / "pamap2"))
    cli("build", "har-pamap2")
    _, log, _ = cli("log", "--json")
    assert [entry["message"] for entry in json.loads(log)["log"]] == [
        "build har-pamap2",
        "ingest pamap2: 2 takes",
    ]
    _, changes, _ = cli("diff", "main~1", "main", "--json")
    assert {"windows:har-pamap2", "tensors:har-pamap2"} <= json.loads(changes)["tables"].keys()
    code, out, _ = cli("verify")
    assert (code, "every digest and count holds" in out) == (0, True)
    code, out, _ = cli("gc", "--dry-run", "--json")
    assert (code, json.loads(out)["removed"]) == (0, [])


def test_verify_of_a_store_without_a_commit_does_not_claim_that_all_holds(cli, tmp_path):
    Repository.open(str(tmp_path / "sensorloom-store"), create=True)
    assert cli("verify")[:2] == (0, "no commit yet: nothing to verify\n")
    _, out, _ = cli("verify", "--json")
    assert json.loads(out)["counts"]["refs"] == 0


def test_verify_names_a_broken_object_and_exits_with_1(cli, raw, tmp_path):
    cli("ingest", "pamap2", "--raw", str(raw / "pamap2"))
    victim = max(
        (tmp_path / "sensorloom-store" / "shards").rglob("c/*/*"), key=lambda path: path.stat().st_size
    )
    victim.chmod(0o644)
    damaged = bytearray(victim.read_bytes())
    damaged[100] ^= 1
    victim.write_bytes(damaged)
    code, _, err = cli("verify")
    assert code == 1
    assert "broken" in err
    assert next(part for part in victim.parts if part.endswith(".zarr")) in err.replace("\n", "")


def test_a_failed_take_exits_with_3_and_the_rest_is_committed(cli, raw, tmp_path):
    import shutil

    shutil.copytree(raw / "pamap2", tmp_path / "copy")
    next((tmp_path / "copy").rglob("*.dat")).write_bytes(b"")
    code, out, err = cli("ingest", "pamap2", "--raw", str(tmp_path / "copy"))
    assert code == 3
    assert "committed snapshot" in out
    (take,) = [line.split()[1] for line in err.splitlines() if line.startswith("failed ")]
    assert take.startswith("pamap2/")
    assert ".dat" in err


def test_a_damaged_store_points_to_verify(cli, raw, tmp_path):
    cli("ingest", "pamap2", "--raw", str(raw / "pamap2"))
    for manifest in (tmp_path / "sensorloom-store" / "manifests").iterdir():
        manifest.unlink()
    code, _, err = cli("show")
    assert code == 1
    assert "; run `sensorloom verify` to list all that is damaged" in " ".join(err.split())


def test_a_failed_take_is_named_once(cli, tmp_path):
    for sensor in ("acc", "Gyroscope"):
        path = tmp_path / "raw" / "proband1" / f"{sensor}_walking_chest.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("id,attr_time\n")
    code, _, err = cli("ingest", "realworld", "--raw", "raw")
    assert code == 3
    failed = next(line for line in err.splitlines() if line.startswith("failed"))
    assert failed.count("realworld/proband1/walking") == 1


def test_a_gate_that_fails_exits_with_1(cli, raw, tmp_path):
    import shutil

    shutil.copytree(raw / "pamap2", tmp_path / "copy")
    next((tmp_path / "copy").rglob("*.dat")).write_bytes(b"")
    cli("ingest", "pamap2", "--raw", str(tmp_path / "copy"))
    code, _, err = cli("audit", "--fail-on", "error")
    assert code == 1
    assert "gate" in err


def test_a_plan_tells_reasons_and_cost_and_changes_nothing(cli, raw):
    code, out, _ = cli("plan", "--raw", str(raw), "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["pamap2"]["reasons"] == {"new": 2}
    assert facts["pamap2"]["raw_bytes_to_read"] > 0
    assert facts["pamap2"]["stored_bytes_expected"] is None
    cli("run", "--raw", str(raw))
    _, out, _ = cli("plan", "--raw", str(raw), "--json")
    assert json.loads(out)["pamap2"]["reasons"] == {"unchanged": 2}


def test_a_recipe_that_a_run_would_undo_is_told_before_and_after(cli, raw):
    """A view built by one configuration, and a run without it."""
    cli("ingest", "pamap2", "--raw", str(raw / "pamap2"))
    compact = ("--set", 'views.har-pamap2.imu_type="int16"')
    _, out, _ = cli("build", *compact)
    assert [line.rpartition(", ")[2] for line in out.splitlines()[:2]] == ["new", "new"]
    _, out, _ = cli("plan", "--raw", str(raw), *compact, "--json")
    assert json.loads(out)["views"] == {}
    _, out, _ = cli("plan", "--raw", str(raw), *compact)
    assert "recipe" not in out
    _, out, _ = cli("plan", "--raw", str(raw), "--json")
    assert json.loads(out)["views"] == {"har-pamap2": {"imu_type": ["int16", "float32"]}}
    _, out, _ = cli("plan", "--raw", str(raw))
    assert "har-pamap2: would be built anew by another recipe: imu_type int16 → float32" in out
    _, out, _ = cli("run", "--raw", str(raw))
    views = [line.partition(": ")[::2] for line in out.splitlines() if " window" in line]
    changes = {view: told.partition(", ")[2] for view, told in views if "-pamap2" in view}
    assert changes == {
        "har-pamap2": "built anew: imu_type int16 → float32",
        "crossl-pamap2": "unchanged",
    }
    _, out, _ = cli("build", "har-pamap2", "--json", *compact)
    assert json.loads(out)["changes"]["har-pamap2"]["recipe"] == {"imu_type": ["float32", "int16"]}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("ingset",), "No such command"),
        (("ingest", "pamap3", "--raw", "x"), "pamap3"),
        (("ingest", "pamap2"), "--raw"),
        (("ingest", "pamap2", "--raw", "nowhere"), "nowhere"),
        (("run", "--raw", "nowhere"), "holds no folder named pamap2 or realworld"),
        (("show",), "no sensorloom store at"),
        (("show", "--store", "ftp://host/x"), "ftp"),
        (("build", "--set", "novalue"), "is not of the form section.key=value"),
        (("build", "--set", "align.max_gap=3"), "did you mean 'align.max_gap_ms'"),
        (("build", "--config", "absent.toml"), "cannot read the configuration absent.toml"),
        (("ingest", "pamap2", "--raw", ".", "--engine", "threads"), "threads"),
        (("sample", "out", "--datasets", "pamap"), "pamap2"),
        (("train", "standrad-pamap2"), "standard-pamap2"),
        (("train",), "which recipe?"),
    ],
)
def test_bad_usage_exits_with_2_and_says_what_is_wrong(cli, args, message):
    code, _, err = cli(*args)
    assert code == 2
    assert message in " ".join(err.split())
    assert "Traceback" not in err


def test_an_unknown_key_in_the_toml_is_refused_with_the_nearest(cli, tmp_path):
    (tmp_path / "sensorloom.toml").write_text("[store]\nurll = 'x'\n")
    code, _, err = cli("show")
    assert code == 2
    assert "unknown key 'store.urll' in sensorloom.toml; did you mean 'store.url'?" in " ".join(err.split())


def test_markup_in_a_file_name_stays_text(cli, tmp_path):
    code, _, err = cli("ingest", "pamap2", "--raw", "[bold]none[/bold]")
    assert code == 2
    assert "[bold]none[/bold]" in err


def test_sample_lists_its_faults(cli):
    code, out, _ = cli("sample", "out", "--faults", "list")
    assert code == 0
    assert "truncated-line" in out


def test_the_faults_are_listed_as_json_without_a_folder(cli):
    code, out, _ = cli("sample", "--faults", "list", "--json")
    assert code == 0
    assert "truncated-line" in json.loads(out)


def test_sample_without_a_folder_says_what_is_missing(cli):
    code, _, err = cli("sample")
    assert code == 2
    assert "`sensorloom sample OUT`" in err


def test_progress_is_told_line_by_line_without_a_terminal_and_not_with_json(cli, raw):
    _, _, err = cli("ingest", "realworld", "--raw", str(raw / "realworld"), "--json")
    assert err == ""
    _, _, err = cli("ingest", "realworld", "--raw", str(raw / "realworld"), "--store", "other")
    first, *_, last = err.splitlines()
    assert first == "ingest realworld"
    assert last.startswith("ingest realworld: 4 of 4")


def test_of_the_processes_of_torchrun_one_tells_how_far_they_are(cli, raw, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    _, _, err = cli("ingest", "realworld", "--raw", str(raw / "realworld"), "--store", "third")
    assert err == ""


def test_torch_is_loaded_by_no_command_before_its_threads_are_told_to_sleep(tmp_path):
    (tmp_path / "egoexo4d").mkdir()
    script = """if True:
        import sys
        from sensorloom.flows import cli
        from sensorloom.flows.commands import export_encoder, query, reproduce, shared, sweep, training
        def stop(session):
            raise SystemExit(f"torch is {'there' if 'torch' in sys.modules else 'not there'}")
        for module in (export_encoder, query, reproduce, sweep, training):
            module.prepare_for_torch = stop
        for command in ("train imu2clip", "evaluate run", "sweep jepa --over epochs=1", "query words",
                        "export encoder run --out encoder.pt", "reproduce aura-table2 --raw ."):
            try:
                cli.main(command.split())
            except SystemExit as stopped:
                print(command.split()[0], stopped.code)
    """
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines() == [
        f"{name} torch is not there"
        for name in ("train", "evaluate", "sweep", "query", "export", "reproduce")
    ], done.stderr


def test_a_long_run_says_every_ten_seconds_how_far_it_is(cli, raw, monkeypatch):
    from sensorloom.flows.commands import shared

    seconds = iter(range(0, 1000, 6))
    monkeypatch.setattr(shared, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    _, _, err = cli("ingest", "realworld", "--raw", str(raw / "realworld"))
    said = [line.partition(" of ")[0] for line in err.splitlines() if line.startswith("ingest")]
    assert said[-1] == "ingest realworld: 4"
    assert 2 <= len(said) < 4


def test_takes_that_left_the_raw_tree_are_told_and_dropped_on_request(cli, raw, tmp_path):
    import shutil

    shutil.copytree(raw / "pamap2", tmp_path / "copy")
    cli("ingest", "pamap2", "--raw", str(tmp_path / "copy"))
    next((tmp_path / "copy").rglob("*.dat")).unlink()
    _, out, _ = cli("ingest", "pamap2", "--raw", str(tmp_path / "copy"))
    assert "no longer under the raw root, kept" in out
    _, out, _ = cli("ingest", "pamap2", "--raw", str(tmp_path / "copy"), "--prune")
    assert "no longer under the raw root, dropped: 1 take: pamap2/" in out
    _, out, _ = cli("show", "--json")
    assert json.loads(out)["takes"] == {"pamap2": 1}


def test_there_is_nothing_to_resume_in_an_empty_folder(cli):
    code, _, err = cli("train", "standard-pamap2", "--resume", "--out", "nothing")
    assert code == 2
    assert "no run to resume in nothing" in err


def test_a_run_is_resumed_under_its_own_recipe_with_its_own_settings(cli, tmp_path):
    write_sample(tmp_path / "raw", SampleSpec(datasets=("realworld",), takes=4, minutes=0.5))
    cli("ingest", "realworld", "--raw", "raw/realworld")
    cli("build")
    code, out, _ = cli("train", "standard-realworld", "--set", "epochs=1", "--out", "run", "--json")
    assert (code, json.loads(out)["recipe"]) == (0, "standard-realworld")
    code, _, err = cli("train", "standard-pamap2", "--resume", "--out", "run")
    assert code == 2
    assert "is of recipe standard-realworld, not standard-pamap2" in " ".join(err.split())
    code, again, _ = cli("train", "standard-realworld", "--resume", "--out", "run", "--json")
    assert (code, json.loads(again)["accuracy"]) == (0, json.loads(out)["accuracy"])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ["build", "--store", "there"],
            2,
            "this command needs av, which the base install leaves out: pip install",
        ),
        (["train", "no-such"], 2, "no-such"),
        (["show", "--store", "nowhere"], 2, "it has no format.json"),
    ],
)
def test_a_base_install_says_what_a_command_needs(tmp_path, arguments, code, words):
    """Without PyAV the commands of a trainer work, errors included, and the others name the extra."""
    script = "import sys; sys.modules['av'] = None; from sensorloom.flows.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert words in " ".join(done.stderr.split())
