"""Whole runs over generated raw trees: incremental, resumable, never half-published."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sensorloom.align import stage
from sensorloom.align.errors import SettingsError
from sensorloom.align.stage import GENERATED_MARKER
from sensorloom.flows import remember, runs
from sensorloom.flows.config import Config, load_config
from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.flows.facts import snapshot_facts
from sensorloom.flows.publish import FAILED_RULE
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.ingest.digest import DigestCache
from sensorloom.ingest.errors import LayoutError
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.store.errors import ConflictError
from sensorloom.store.repository import Repository

OLD_NS = 1_600_000_000_000_000_000


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """Five short PAMAP2 takes and five REALWORLD ones, generated."""
    out = tmp_path_factory.mktemp("raw") / "sample"
    write_sample(out, SampleSpec(datasets=("pamap2", "realworld"), takes=5, minutes=1.0))
    for path in out.rglob("*"):
        os.utime(path, ns=(OLD_NS, OLD_NS))  # a file modified just now would be hashed again
    return out


@pytest.fixture
def config(tmp_path) -> Config:
    return load_config(None, {"store.url": str(tmp_path / "store")})


def copy_some(raw: Path, out: Path, count: int) -> Path:
    """Copy the PAMAP2 tree with only its first `count` files."""
    shutil.copytree(raw / "pamap2", out)
    shutil.copy2(raw / GENERATED_MARKER, out)
    for path in sorted(out.rglob("*.dat"))[count:]:
        path.unlink()
    return out


def facts(config: Config) -> dict:
    repo = Repository.open(config.store.url)
    return snapshot_facts(repo, repo.resolve("main"))


def test_a_rerun_commits_nothing(raw, config):
    first = ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    again = ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    assert (first.committed, first.ingested, first.unchanged) == (True, 5, 0)
    assert (again.committed, again.ingested, again.unchanged) == (False, 0, 5)
    assert again.snapshot_id == first.snapshot_id
    assert len(Repository.open(config.store.url).log()) == 1


def test_some_takes_and_then_more_give_the_snapshot_of_all_at_once(raw, config, tmp_path):
    ingest_dataset("pamap2", str(copy_some(raw, tmp_path / "some", 3)), config=config)
    grown = ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    other = load_config(None, {"store.url": str(tmp_path / "other")})
    assert ingest_dataset("pamap2", str(raw / "pamap2"), config=other).snapshot_id == grown.snapshot_id


def test_a_forgotten_cache_costs_a_reading_but_no_commit(raw, config, monkeypatch, tmp_path):
    first = ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "fresh"))
    again = ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    assert (again.committed, again.resumed, again.snapshot_id) == (False, 5, first.snapshot_id)


@pytest.mark.parametrize(
    ("folder", "root"), [("pamap2", "."), ("realworld", "../pamap2"), ("pamap2/PAMAP2_Dataset", "..")]
)
def test_the_spelling_of_the_raw_root_does_not_change_the_snapshot(
    raw, config, tmp_path, monkeypatch, folder, root
):
    first = ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    monkeypatch.chdir(raw / folder)
    again = ingest_dataset("pamap2", root, config=config)
    assert (again.committed, again.snapshot_id) == (False, first.snapshot_id)


def test_generated_takes_say_so_from_any_root(raw, config):
    ingest_dataset("pamap2", str(raw / "pamap2" / "PAMAP2_Dataset" / "Protocol"), config=config)
    repo = Repository.open(config.store.url)
    assert repo.scan(repo.resolve("main"), "takes").collect()["origin"].unique().to_list() == ["generated"]


def test_a_file_replaced_after_planning_is_filed_under_its_own_digest(raw, config, tmp_path, monkeypatch):
    """The digest known at planning must not name the bytes that are read later."""
    root = copy_some(raw, tmp_path / "one", 1)
    path = next(root.rglob("*.dat"))
    other = sorted((raw / "pamap2").rglob("*.dat"))[1].read_bytes()
    first = ingest_dataset("pamap2", str(root), config=config)  # fills the cache of digests
    fresh = load_config(None, {"store.url": str(tmp_path / "fresh")})
    plan = runs.plan_ingest

    def replaced_after(*args):
        planned = plan(*args)
        path.write_bytes(other)
        return planned

    monkeypatch.setattr(runs, "plan_ingest", replaced_after)
    second = ingest_dataset("pamap2", str(root), config=fresh)
    monkeypatch.setattr(runs, "plan_ingest", plan)
    assert second.snapshot_id != first.snapshot_id
    assert ingest_dataset("pamap2", str(root), config=fresh).snapshot_id == second.snapshot_id
    assert ingest_dataset("pamap2", str(root), config=config).snapshot_id == second.snapshot_id


def test_a_file_replaced_while_it_is_read_fails_its_take(raw, config, tmp_path, monkeypatch):
    from sensorloom.align import stage

    root = copy_some(raw, tmp_path / "one", 1)
    path = next(root.rglob("*.dat"))
    align = stage.align

    def replaced_meanwhile(take, settings):
        path.write_bytes(path.read_bytes())
        return align(take, settings)

    monkeypatch.setattr(stage, "align", replaced_meanwhile)
    report = ingest_dataset("pamap2", str(root), config=config)
    assert "changed while it was being read" in report.failed[0].message


def test_a_changed_setting_recomputes_and_says_why(raw, config, tmp_path):
    from sensorloom.flows.plan import plan_ingest
    from sensorloom.ingest.digest import DigestCache

    root = copy_some(raw, tmp_path / "one", 1)
    ingest_dataset("pamap2", str(root), config=config)
    changed = load_config(None, {"store.url": config.store.url, "align.upsampling": "linear"})
    plan = plan_ingest("pamap2", root, Repository.open(config.store.url), changed, DigestCache.default())
    assert [take.reason for take in plan.pending] == ["settings or code changed"]
    assert ingest_dataset("pamap2", str(root), config=changed).committed


def test_a_killed_run_resumes_from_its_work_records(raw, config, monkeypatch):
    done = []

    def stop_after_two(task):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(task)
        return ingest_take(task)

    ingest_take = runs.ingest_take
    monkeypatch.setattr(runs, "ingest_take", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    assert Repository.open(config.store.url).head() is None
    monkeypatch.setattr(runs, "ingest_take", ingest_take)
    report = ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    assert (report.resumed, report.ingested, report.committed) == (2, 3, True)


def test_what_a_killed_run_hashed_is_not_hashed_again(raw, config, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "fresh"))
    monkeypatch.setattr(remember, "BATCH_S", 0.0)
    remembered, hashed = [], []
    keep, digest = DigestCache.remember, stage.file_digest

    def keep_and_tell(cache, digests):
        remembered.extend(digests)
        keep(cache, digests)

    def hash_and_tell(path):
        if len(hashed) == 2:
            assert len(remembered) == 2  # before the third file is read, not when the run ends
            raise KeyboardInterrupt
        hashed.append(path)
        return digest(path)

    with monkeypatch.context() as patch:
        patch.setattr(DigestCache, "remember", keep_and_tell)
        patch.setattr(stage, "file_digest", hash_and_tell)
        with pytest.raises(KeyboardInterrupt):
            ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    again = []
    monkeypatch.setattr(stage, "file_digest", lambda path: again.append(path) or digest(path))
    ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    assert len(again) == 3
    assert not set(again) & set(hashed)


def test_digests_are_written_in_batches_and_all_of_them_at_the_end(raw, config, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "fresh"))
    monkeypatch.setattr(remember, "BATCH_S", 3600.0)
    batches = []
    keep = DigestCache.remember

    def keep_and_tell(cache, digests):
        batches.append(len(digests))
        keep(cache, digests)

    monkeypatch.setattr(DigestCache, "remember", keep_and_tell)
    ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    assert batches == [1, 4]


@pytest.mark.parametrize("engine", ["processes:2", "dask"])
def test_a_store_in_memory_is_refused_where_other_processes_must_reach_it(raw, engine):
    config = load_config(None, {"store.url": "memory://alone", "engine.spec": engine})
    message = (
        f"engine.spec = '{engine}' needs a store that other processes reach, and memory://alone lives in this"
    )
    with pytest.raises(ConfigError, match=message):
        ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    with pytest.raises(ConfigError, match=message):
        build_views([], config=config)


def test_a_worker_in_another_working_directory_finds_store_and_raw_data(raw, tmp_path, monkeypatch):
    config = load_config(None, {"store.url": "store"})
    ingest_take, build_bucket = runs.ingest_take, runs.build_bucket
    (tmp_path / "elsewhere").mkdir()

    def elsewhere(work):
        def run(task):
            with monkeypatch.context() as patch:
                patch.chdir(tmp_path / "elsewhere")
                return work(task)

        return run

    monkeypatch.setattr(runs, "ingest_take", elsewhere(ingest_take))
    monkeypatch.setattr(runs, "build_bucket", elsewhere(build_bucket))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "raw").symlink_to(raw)
    assert ingest_dataset("pamap2", "raw/pamap2", config=config).ingested == 5
    build_views(["har-pamap2"], config=config)
    ref = Repository.open("store").log()[1]
    assert ref.provenance["raw"] == str(tmp_path / "here" / "raw" / "pamap2")


def test_an_unreadable_take_is_a_finding_and_the_others_go_through(raw, config, tmp_path):
    root = copy_some(raw, tmp_path / "some", 3)
    broken = sorted(root.rglob("*.dat"))[1]
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2 - 7])
    report = ingest_dataset("pamap2", str(root), config=config)
    assert report.ingested == 2
    assert [failure.take_id for failure in report.failed] == [f"pamap2/protocol/{broken.stem}"]
    assert f"{broken.name}" in report.failed[0].message
    assert facts(config)["findings"][FAILED_RULE] == 1
    again = ingest_dataset("pamap2", str(root), config=config)
    assert (again.committed, len(again.failed)) == (False, 1)

    broken.write_bytes(whole)
    healed = ingest_dataset("pamap2", str(root), config=config)
    assert (healed.ingested, healed.failed) == (1, ())
    assert FAILED_RULE not in facts(config)["findings"]


def test_a_take_that_breaks_later_keeps_its_sound_version(raw, config, tmp_path):
    root = copy_some(raw, tmp_path / "one", 1)
    ingest_dataset("pamap2", str(root), config=config)
    next(root.rglob("*.dat")).write_bytes(b"")
    report = ingest_dataset("pamap2", str(root), config=config)
    assert len(report.failed) == 1
    assert facts(config)["takes"] == {"pamap2": 1}
    assert facts(config)["findings"][FAILED_RULE] == 1


def test_a_broken_download_that_was_replaced_leaves_no_trace(raw, config, tmp_path):
    """The failure went by the archive's name, which no take has once the archive is whole."""
    root = copy_some(raw, tmp_path / "one", 1)
    ingest_dataset("pamap2", str(root), config=config)
    whole = Repository.open(config.store.url).resolve("main").id
    (root / "PAMAP2_Dataset.zip").write_bytes(b"PK, and then the line dropped")
    broken = ingest_dataset("pamap2", str(root), config=config)
    assert [failure.take_id for failure in broken.failed] == ["pamap2/PAMAP2_Dataset.zip"]
    (root / "PAMAP2_Dataset.zip").unlink()
    healed = ingest_dataset("pamap2", str(root), config=config)
    assert (healed.committed, healed.snapshot_id) == (True, whole)


def test_a_failure_under_other_settings_is_forgotten_under_the_old_ones(raw, config, tmp_path, monkeypatch):
    root = copy_some(raw, tmp_path / "one", 1)
    first = ingest_dataset("pamap2", str(root), config=config)
    linear = load_config(None, {"store.url": config.store.url, "align.upsampling": "linear"})
    with monkeypatch.context() as patch:
        patch.setattr(runs, "ingest_take", lambda task: runs.Failed(task.source.take_id, "no rights to read"))
        assert ingest_dataset("pamap2", str(root), config=linear).snapshot_id != first.snapshot_id
    assert ingest_dataset("pamap2", str(root), config=config).snapshot_id == first.snapshot_id


def test_takes_that_left_the_raw_tree_stay_in_the_store(raw, config, tmp_path):
    ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    ingest_dataset("pamap2", str(copy_some(raw, tmp_path / "some", 2)), config=config)
    assert facts(config)["takes"] == {"pamap2": 5}


def test_another_version_of_a_take_published_meanwhile_is_a_conflict(raw, config, tmp_path, monkeypatch):
    root = copy_some(raw, tmp_path / "one", 1)
    linear = load_config(None, {"store.url": config.store.url, "align.upsampling": "linear"})
    publish = runs._publish_takes

    def overtaken(*args):
        monkeypatch.setattr(runs, "_publish_takes", publish)
        ingest_dataset("pamap2", str(root), config=linear)
        return publish(*args)

    monkeypatch.setattr(runs, "_publish_takes", overtaken)
    with pytest.raises(ConflictError, match=r"take pamap2/protocol/\w+ was published by another run since"):
        ingest_dataset("pamap2", str(root), config=config)


def test_two_data_sets_share_a_snapshot_in_any_order(raw, config, tmp_path):
    for dataset in ("pamap2", "realworld"):
        one = ingest_dataset(dataset, str(raw / dataset), config=config)
    other = load_config(None, {"store.url": str(tmp_path / "other")})
    for dataset in ("realworld", "pamap2"):
        two = ingest_dataset(dataset, str(raw / dataset), config=other)
    assert one.snapshot_id == two.snapshot_id


def test_build_makes_every_view_whose_data_is_there_and_nothing_twice(raw, config):
    ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    first = build_views([], config=config)
    assert set(first.windows) == {"har-pamap2", "crossl-pamap2"}
    assert first.committed
    again = build_views([], config=config)
    assert (again.built, again.committed, again.windows) == (0, False, first.windows)
    shown = facts(config)["views"]
    assert {view: sum(splits.values()) for view, splits in shown.items()} == first.windows


def test_another_split_rewrites_no_tensor(raw, config):
    ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    build_views(["har-pamap2"], config=config)
    repo = Repository.open(config.store.url)
    before = repo.resolve("main")
    other = load_config(None, {"store.url": config.store.url, "split.policy": "random-windows"})
    report = build_views(["har-pamap2"], config=other)
    after = repo.resolve("main")
    assert (report.built, report.committed) == (0, True)
    assert after.tables["tensors:har-pamap2"] == before.tables["tensors:har-pamap2"]
    assert after.tables["windows:har-pamap2"] != before.tables["windows:har-pamap2"]


@pytest.mark.parametrize("engine", ["processes:2", pytest.param("dask", marks=pytest.mark.slow)])
def test_the_engine_does_not_change_the_snapshot(raw, config, tmp_path, engine):
    one = ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    one_build = build_views([], config=config)
    other = load_config(None, {"store.url": str(tmp_path / "other"), "engine.spec": engine})
    two = ingest_dataset("pamap2", str(raw / "pamap2"), config=other)
    assert two.snapshot_id == one.snapshot_id
    assert build_views([], config=other).snapshot_id == one_build.snapshot_id


def test_a_store_that_cannot_be_written_ends_the_run_and_publishes_nothing(raw, config, monkeypatch):
    from sensorloom.store.errors import StoreWriteError

    def full(self, record):
        raise StoreWriteError("work/ab/abc.json: no space left on device")

    monkeypatch.setattr(Repository, "record_work", full)
    with pytest.raises(
        RunError, match=r"pamap2/.*: work/ab/abc\.json: no space left.* Nothing was published"
    ):
        ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
    assert Repository.open(config.store.url).head() is None


def test_a_tree_of_something_else_is_refused(tmp_path, config):
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(LayoutError, match=r"pamap2|PAMAP2"):
        ingest_dataset("pamap2", str(tmp_path), config=config)
    assert not Path(config.store.url).exists()


def test_building_an_empty_store_says_what_to_do_first(config):
    Repository.open(config.store.url, create=True)
    with pytest.raises(ConfigError, match=r"holds no takes yet; run `sensorloom ingest"):
        build_views([], config=config)


def test_an_unknown_view_names_the_nearest(raw, config, tmp_path):
    ingest_dataset("pamap2", str(copy_some(raw, tmp_path / "one", 1)), config=config)
    with pytest.raises(ConfigError, match=r"unknown view 'har-pamap'; did you mean 'har-pamap2'\?"):
        build_views(["har-pamap"], config=config)


def test_a_view_can_be_changed_or_defined_in_the_configuration(raw, tmp_path):
    settings = {
        "store.url": str(tmp_path / "store"),
        "views.wrist.datasets": '["pamap2"]',
        "views.wrist.positions": '["hand"]',
    }
    config = load_config(None, {**settings, "views.wrist.length_s": "2.0", "views.wrist.stride_s": "2.0"})
    ingest_dataset("pamap2", str(copy_some(raw, tmp_path / "one", 1)), config=config)
    assert build_views(["wrist"], config=config).windows["wrist"] > 0


def test_a_length_between_two_samples_is_refused(tmp_path):
    from sensorloom.flows.views import resolve_view

    with pytest.raises(
        ConfigError, match=r"\[views\.har-pamap2\] .*length_s must be whole samples at 200 Hz, got 1\.0025 s"
    ):
        resolve_view("har-pamap2", load_config(None, {"views.har-pamap2.length_s": "1.0025"}))


@pytest.mark.parametrize("name", ["ingest", "a.b", "über", "-x"])
def test_a_view_cannot_be_called_what_no_table_or_a_stage_is(name):
    from sensorloom.flows.views import resolve_view

    config = Config.model_validate({"views": {name: {"datasets": ["pamap2"], "positions": ["hand"]}}})
    with pytest.raises(ConfigError, match=f"a view cannot be called '{name}': its name is letters"):
        resolve_view(name, config)


def test_a_view_without_its_data_says_what_there_is(raw, config, tmp_path):
    ingest_dataset("pamap2", str(copy_some(raw, tmp_path / "one", 1)), config=config)
    with pytest.raises(
        ConfigError, match="view har-realworld is cut from realworld, the store holds pamap2 only"
    ):
        build_views(["har-realworld"], config=config)


def test_a_split_that_contradicts_itself_is_refused_before_anything_is_built(
    raw, config, tmp_path, monkeypatch
):
    ingest_dataset("pamap2", str(copy_some(raw, tmp_path / "one", 1)), config=config)
    odd = load_config(None, {"store.url": config.store.url, "split.policy": "leave-one-subject-out"})
    monkeypatch.setattr(runs, "build_bucket", None)
    with pytest.raises(SettingsError, match="needs exactly one test user, got 0"):
        build_views(["har-pamap2"], config=odd)


def test_a_build_overtaken_by_an_ingest_and_a_newer_build_undoes_neither(raw, config, tmp_path, monkeypatch):
    ingest_dataset("pamap2", str(copy_some(raw, tmp_path / "some", 2)), config=config)
    publish = runs._publish_view

    def overtaken(*args):
        monkeypatch.setattr(runs, "_publish_view", publish)
        ingest_dataset("pamap2", str(raw / "pamap2"), config=config)
        build_views(["har-pamap2"], config=config)
        return publish(*args)

    monkeypatch.setattr(runs, "_publish_view", overtaken)
    with pytest.raises(
        ConflictError,
        match="takes of view har-pamap2, or vectors of them, were published while it was being built; build it again",
    ):
        build_views(["har-pamap2"], config=config)
    assert not build_views(["har-pamap2"], config=config).committed


def test_pruning_drops_what_left_the_raw_tree_as_if_it_had_never_been_there(raw, config, tmp_path):
    some = copy_some(raw, tmp_path / "some", 2)
    ingest_dataset("pamap2", str(copy_some(raw, tmp_path / "all", 5)), config=config)
    kept = ingest_dataset("pamap2", str(some), config=config)
    assert (len(kept.absent), kept.committed) == (3, False)
    pruned = ingest_dataset("pamap2", str(some), config=config, prune=True)
    assert pruned.committed
    other = load_config(None, {"store.url": str(tmp_path / "other")})
    assert ingest_dataset("pamap2", str(some), config=other).snapshot_id == pruned.snapshot_id


def test_windows_of_pruned_takes_leave_with_the_next_build(raw, config, tmp_path):
    ingest_dataset("pamap2", str(copy_some(raw, tmp_path / "all", 5)), config=config)
    build_views([], config=config)
    some = copy_some(raw, tmp_path / "some", 2)
    ingest_dataset("pamap2", str(some), config=config, prune=True)
    rebuilt = build_views([], config=config)
    other = load_config(None, {"store.url": str(tmp_path / "other")})
    ingest_dataset("pamap2", str(some), config=other)
    assert build_views([], config=other).snapshot_id == rebuilt.snapshot_id


def test_a_position_that_a_data_set_lacks_is_refused():
    from sensorloom.flows.views import resolve_view

    config = load_config(None, {"views.har-realworld.positions": '["wrist"]'})
    with pytest.raises(ConfigError, match=r"realworld has no position 'wrist'; known: chest, forearm, head"):
        resolve_view("har-realworld", config)
