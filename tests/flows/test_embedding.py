"""Embed runs over generated trees: incremental, resumable, two encoders side by side, whatever the order and engine.

The encoder is a small open_clip model with random weights.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from sensorloom.embed.errors import EncoderError
from sensorloom.flows import embed_job
from sensorloom.flows.cli import cli
from sensorloom.flows.config import Config, load_config
from sensorloom.flows.embedding import drop_vectors, embed_store, plan_of_store, why_not_embed
from sensorloom.flows.errors import ConfigError, RunError
from sensorloom.flows.freshness import outdated_views
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from sensorloom.store.repository import Repository
from tests.embed.tiny_clip import DIM, write_config, write_model

ROOT = Path(__file__).resolve().parents[2]
ALL = "egoexo4d", "ego4d"


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """A few short takes of both data sets with video, generated."""
    out = tmp_path_factory.mktemp("raw") / "sample"
    write_sample(out, SampleSpec(ALL, takes=2, minutes=0.1))
    return out


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_model(folder)
    return folder


def configured(store: Path, model: Path, **settings: str) -> Config:
    options = {"store.url": str(store), "embed.model": f"local-dir:{model}", "embed.batch_size": "16"}
    return load_config(None, options | {key.replace("__", "."): value for key, value in settings.items()})


@pytest.fixture(scope="module")
def ingested(raw, tmp_path_factory) -> Path:
    """A store with every take, nothing embedded."""
    store = tmp_path_factory.mktemp("ingested") / "store"
    for dataset in ALL:
        ingest_dataset(dataset, str(raw / dataset), config=load_config(None, {"store.url": str(store)}))
    return store


@pytest.fixture(scope="module")
def embedded(ingested, model, tmp_path_factory) -> Path:
    """The same with vectors."""
    store = tmp_path_factory.mktemp("embedded") / "store"
    shutil.copytree(ingested, store)
    embed_store(configured(store, model))
    return store


@pytest.fixture
def store(ingested, tmp_path) -> Path:
    return shutil.copytree(ingested, tmp_path / "store")


@pytest.fixture
def done(embedded, tmp_path) -> Path:
    return shutil.copytree(embedded, tmp_path / "done")


def tables(store: Path) -> dict[str, list[str]]:
    repo = Repository.open(str(store))
    snapshot = repo.resolve("main")
    return {name: [shard.key for shard in repo.manifest(snapshot, name).shards] for name in snapshot.tables}


def test_every_frame_of_the_lattice_and_every_text_has_a_vector(embedded, model):
    repo = Repository.open(str(embedded))
    snapshot = repo.resolve("main")
    name = "tiny.local"
    takes = [shard.key for shard in repo.manifest(snapshot, "streams").shards]
    assert [shard.key for shard in repo.manifest(snapshot, f"vectors:{name}").shards] == takes
    assert [shard.key for shard in repo.manifest(snapshot, "frames").shards] == takes
    texts = {
        row["text_id"]: row["text"] for row in repo.scan(snapshot, "texts").collect().iter_rows(named=True)
    }
    said = set(repo.scan(snapshot, "events").collect()["text"])
    assert {" ".join(text.split()) for text in said if "#" not in text} <= set(texts.values())
    ids = set()
    for shard in repo.manifest(snapshot, f"texts:{name}").shards:
        arrays = repo.open_arrays(shard)
        ids |= {digest.tobytes().hex() for digest in arrays["ids"]}
        assert np.allclose(np.linalg.norm(arrays["vectors"].astype(np.float32), axis=1), 1, atol=2e-3)
    assert ids == texts.keys()
    for shard in repo.manifest(snapshot, f"vectors:{name}").shards:
        vectors = repo.open_arrays(shard)
        streams = repo.open_arrays(repo.manifest(snapshot, "streams").get(shard.key))
        for camera in streams.attributes["videos"]:
            times_ns = streams[f"video.{camera['name']}/times_ns"]
            held = vectors[f"video.{camera['name']}/vectors"]
            assert held.shape == (len(vectors[f"video.{camera['name']}/pts"]), DIM)
            if len(times_ns):
                lattice = (times_ns[-1] - times_ns[0]) / 1e8
                assert abs(len(held) - lattice) <= 2


def test_a_second_run_does_nothing(done, model):
    head = Repository.open(str(done)).head()
    report = embed_store(configured(done, model))
    assert (report.embedded, report.resumed, report.frames, report.new_texts) == (0, 0, 0, 0)
    assert not report.committed
    assert report.snapshot_id == head.snapshot
    assert Repository.open(str(done)).head() == head
    assert report.texts > 10


def test_a_data_set_more_costs_what_it_brings(raw, embedded, model, tmp_path):
    """And the store is as if it had all come at once."""
    store = tmp_path / "grown"
    settings = load_config(None, {"store.url": str(store)})
    ingest_dataset("ego4d", str(raw / "ego4d"), config=settings)
    first = embed_store(configured(store, model))
    ingest_dataset("egoexo4d", str(raw / "egoexo4d"), config=settings)
    second = embed_store(configured(store, model))
    assert second.unchanged == first.takes
    assert second.embedded == second.takes - first.takes > 0
    assert second.snapshot_id == Repository.open(str(embedded)).head().snapshot


def test_a_killed_run_goes_on_where_it_was(store, embedded, model, monkeypatch):
    config = configured(store, model)
    monkeypatch.setattr(embed_job, "TAKES_A_TASK", 1)
    work, seen = embed_job.embed_takes, []

    def stop_after_one(task, **listeners):
        if seen:
            raise KeyboardInterrupt
        seen.append(task)
        return work(task, **listeners)

    monkeypatch.setattr(embed_job, "embed_takes", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        embed_store(config)
    assert "frames" not in tables(store)
    monkeypatch.setattr(embed_job, "embed_takes", work)
    report = embed_store(config)
    assert report.resumed == 1
    assert report.snapshot_id == Repository.open(str(embedded)).head().snapshot


@pytest.mark.slow
def test_processes_give_the_same_snapshot(store, embedded, model):
    report = embed_store(configured(store, model, engine__spec="processes:2"))
    assert report.snapshot_id == Repository.open(str(embedded)).head().snapshot


def test_vectors_that_only_wait_to_be_published_are_told_without_a_frame(done, embedded, model):
    """A share of no frames would divide by zero in whoever draws a bar."""
    drop_vectors(configured(done, model), "tiny.local")
    told = []
    report = embed_store(
        configured(done, model, engine__spec="processes:2"),
        on_progress=lambda name, count, of: told.append((count, of)),
    )
    assert (report.frames, report.resumed, report.committed) == (0, report.takes, True)
    assert [told_of for told_of in told if not 0 <= told_of[0] <= told_of[1] != 0] == []
    assert tables(done) == tables(embedded)


def test_two_encoders_live_side_by_side(done, model, tmp_path):
    other = tmp_path / "other"
    write_model(other, seed=1)
    plan = plan_of_store(Repository.open(str(done)), configured(done, other))
    assert {take.reason for take in plan.takes} == {"new"}
    assert {take.differs["tiny.local"] for take in plan.takes} == {("weights",)}
    report = embed_store(configured(done, other))
    assert report.encoder == "other.local"
    held = tables(done)
    assert held["vectors:tiny.local"] == held["vectors:other.local"]
    assert held["texts:tiny.local"] == held["texts:other.local"]
    assert held["encoders"] == ["other.local", "tiny.local"]
    with pytest.raises(
        ConfigError,
        match=r"has vectors of other.local, tiny.local; say whose views shall carry: sensorloom build --encoder",
    ):
        build_views(["primus"], config=configured(done, other))
    with pytest.raises(
        ConfigError,
        match=r"build.encoder = 'third': the store has vectors of other.local, tiny.local; run `sensorl",
    ):
        build_views(["primus"], config=configured(done, other, build__encoder="third"))
    built = {}
    for name in ("other.local", "tiny.local"):
        build_views(["primus"], config=configured(done, other, build__encoder=name))
        repo = Repository.open(str(done))
        shard = repo.manifest(repo.resolve("main"), "tensors:primus").shards[0]
        built[name] = np.array(repo.open_arrays(shard)["video"], np.float32)
        assert repo.open_arrays(shard).attributes["encoder"] == name
    assert not np.allclose(built["other.local"], built["tiny.local"], atol=0.01)


def test_explain_names_the_fields_that_differ(done, model, tmp_path):
    plan = plan_of_store(Repository.open(str(done)), configured(done, model, embed__resize="pil"))
    assert plan.reasons == {"encoder changed": len(plan.takes)}
    assert {take.differs["tiny.local"] for take in plan.takes} == {("resize",)}
    plan = plan_of_store(Repository.open(str(done)), configured(done, model, embed__precision="bf16"))
    assert {take.differs["tiny.local"] for take in plan.takes} == {("precision",)}
    embed_store(configured(done, model, embed__resize="pil"))
    assert not plan_of_store(Repository.open(str(done)), configured(done, model, embed__resize="pil")).takes
    assert len(plan_of_store(Repository.open(str(done)), configured(done, model)).takes) == len(plan.takes)


def test_other_weights_under_a_name_are_refused_until_those_there_are_dropped(
    done, embedded, model, tmp_path
):
    copy = shutil.copytree(model, tmp_path / "tiny")
    weights = load_file(copy / "open_clip_model.safetensors")
    save_file({name: value * 1.01 for name, value in weights.items()}, copy / "open_clip_model.safetensors")
    message = (
        r"another encoder under the name tiny.local \(weights .* there, .* here\); .* embed --drop tiny.local"
    )
    with pytest.raises(ConfigError, match=message):
        embed_store(configured(done, copy))
    beside = embed_store(configured(done, copy, embed__name="mine"))
    assert beside.encoder == "mine"
    assert tables(done)["encoders"] == ["mine", "tiny.local"]
    code, _ = run("embed", "--drop", "mine", "--store", str(done))
    assert code == 0
    assert Repository.open(str(done)).head().snapshot == Repository.open(str(embedded)).head().snapshot
    with pytest.raises(ConfigError, match=r"the store has no vectors of 'mine', only of tiny\.local"):
        drop_vectors(configured(done, model), "mine")
    drop_vectors(configured(done, model), "tiny.local")
    assert not {"texts", "encoders", "vectors:tiny.local", "texts:tiny.local"} & tables(done).keys()
    assert embed_store(configured(done, model)).resumed == beside.takes
    assert Repository.open(str(done)).head().snapshot == Repository.open(str(embedded)).head().snapshot


def test_vectors_that_stand_are_not_replaced_by_some(raw, done, model, tmp_path):
    """As when the disk with the videos is away while a setting has changed."""
    before = Repository.open(str(done)).head()
    for dataset in ALL:
        (tmp_path / "away" / dataset).mkdir(parents=True)
    report = embed_store(configured(done, model, embed__resize="pil"), raw=tmp_path / "away")
    assert report.withheld
    assert len(report.failed) == report.takes
    assert Repository.open(str(done)).head() == before
    shutil.copytree(raw / "ego4d", tmp_path / "away" / "ego4d", dirs_exist_ok=True)
    report = embed_store(configured(done, model, embed__resize="pil"), raw=tmp_path / "away")
    assert (report.withheld, report.committed) == (True, False)
    assert report.embedded > 0
    report = embed_store(configured(done, model, embed__resize="pil"), raw=raw)
    assert (report.withheld, report.committed) == (False, True)
    assert report.resumed > 0


def test_an_encoder_that_decoded_nothing_has_its_row_too(raw, model, tmp_path):
    """The same weights under another name, and no text that would have to be encoded."""
    tree = shutil.copytree(raw / "ego4d", tmp_path / "raw" / "ego4d")
    shutil.copy2(raw / "GENERATED.txt", tmp_path / "raw")
    (tree / "v2/annotations/narration.json").unlink()
    store = tmp_path / "store"
    ingest_dataset("ego4d", str(tree), config=load_config(None, {"store.url": str(store)}))
    embed_store(configured(store, model))
    report = embed_store(configured(store, model, embed__name="copy"))
    assert (report.resumed, report.frames) == (report.takes, 0)
    assert tables(store)["encoders"] == ["copy", "tiny.local"]
    assert plan_of_store(Repository.open(str(store)), configured(store, model, embed__name="copy")).is_idle


def test_texts_of_a_take_that_cannot_be_embedded_anew_do_not_stay(raw, done, model, tmp_path):
    tree = shutil.copytree(raw, tmp_path / "raw")
    path = tree / "ego4d/v2/annotations/narration.json"
    content = json.loads(path.read_text())
    uid = next(uid for uid, entry in content.items() if "narration_pass_1" in entry)
    content[uid]["narration_pass_1"]["narrations"][0]["narration_text"] = "#C C juggles five torches"
    path.write_text(json.dumps(content))
    film = next(path for path in (tree / "ego4d").rglob("*.mp4") if path.stem == uid)
    film.write_bytes(film.read_bytes() + b"more")
    ingest_dataset("ego4d", str(tree / "ego4d"), config=load_config(None, {"store.url": str(done)}))
    film.write_bytes(film.read_bytes() + b"and more")
    report = embed_store(configured(done, model), raw=tree)
    assert [failure.take_id for failure in report.failed] == [f"ego4d/{uid}"]
    repo = Repository.open(str(done))
    assert f"ego4d/{uid}" not in set(repo.scan(repo.resolve("main"), "texts").collect()["take_id"])


def test_a_run_with_two_encoders_builds_with_the_one_that_it_embedded_with(raw, done, model, tmp_path):
    other = tmp_path / "other"
    write_model(other, seed=1)
    embed_store(configured(done, other))
    options = (
        "--store",
        str(done),
        "--set",
        f"embed.model=local-dir:{model}",
        "--set",
        "embed.batch_size=16",
    )
    code, output = run(
        "run", "--raw", str(raw), "--json", *options, "--set", f"audit.out={tmp_path / 'report'}"
    )
    facts = json.loads(output)
    assert code == 0
    assert facts["embed"]["encoder"] == "tiny.local"
    assert facts["build"]["windows"]["primus"] > 0
    repo = Repository.open(str(done))
    shard = repo.manifest(repo.resolve("main"), "tensors:primus").shards[0]
    assert repo.open_arrays(shard).attributes["encoder"] == "tiny.local"


def test_a_take_that_is_ingested_again_meanwhile_is_told(raw, store, model, tmp_path, monkeypatch):
    work, uid = embed_job.embed_takes, []

    def overtaken(task, **listeners):
        results = work(task, **listeners)
        if not uid:
            tree = shutil.copytree(raw / "ego4d", tmp_path / "ego4d")
            shutil.copy2(raw / "GENERATED.txt", tree)
            film = next(iter(sorted(tree.rglob("*.mp4"))))
            film.write_bytes(film.read_bytes() + b"more")
            uid.append(f"ego4d/{film.stem}")
            ingest_dataset("ego4d", str(tree), config=load_config(None, {"store.url": str(store)}))
        return results

    monkeypatch.setattr(embed_job, "embed_takes", overtaken)
    report = embed_store(configured(store, model))
    assert uid[0] in report.superseded
    assert uid[0] not in tables(store)["vectors:tiny.local"]


def test_a_width_that_is_not_the_stores_is_refused(done, model, tmp_path):
    from tests.embed.tiny_clip import CONFIG, random_model, state_of

    wide = {**CONFIG, "model_cfg": {**CONFIG["model_cfg"], "embed_dim": 2 * DIM}}
    folder = write_config(tmp_path / "tiny", wide)
    save_file(state_of(random_model(folder)), folder / "open_clip_model.safetensors")
    message = f"under the name tiny.local .* width {DIM} there, {2 * DIM} here.*embed.name"
    with pytest.raises(ConfigError, match=message):
        embed_store(configured(done, folder))


def test_nan_weights_publish_nothing(store, model, tmp_path):
    broken = shutil.copytree(model, tmp_path / "broken")
    weights = load_file(broken / "open_clip_model.safetensors")
    weights["visual.proj"].fill_(float("nan"))
    save_file(weights, broken / "open_clip_model.safetensors")
    head = Repository.open(str(store)).head()
    with pytest.raises(RunError, match=r"broken.local: golden pictures: .* not finite"):
        embed_store(configured(store, broken))
    assert Repository.open(str(store)).head() == head


def test_nothing_is_decoded_for_an_encoder_that_cannot_be_had(store, monkeypatch):
    monkeypatch.setattr(embed_job, "embed_takes", None)
    for settings, message in (
        ({"embed.model": "ViT-B-33"}, "ViT-B-32"),
        ({"embed.model": "ViT-B-32"}, "openai"),
        ({"embed.model": "ViT-B-32", "embed.pretrained": "nobody"}, "openai"),
        ({"embed.model": "ViT-B-32", "embed.pretrained": "/nowhere/w.pt"}, "/nowhere/w.pt"),
        ({"embed.model": "local-dir:/nowhere"}, "/nowhere"),
    ):
        with pytest.raises(EncoderError, match=message):
            embed_store(load_config(None, {"store.url": str(store), **settings}))


def test_recorded_takes_need_an_encoder_that_somebody_chose(raw, tmp_path):
    shutil.copytree(raw / "ego4d", tmp_path / "ego4d")  # without the note that it was generated
    config = load_config(None, {"store.url": str(tmp_path / "store")})
    ingest_dataset("ego4d", str(tmp_path / "ego4d"), config=config)
    assert "no encoder is chosen" in (why_not_embed(config) or "")
    with pytest.raises(ConfigError, match=r"no encoder is chosen.*embed.pretrained = \"openai\".*toy"):
        embed_store(config)


def test_a_take_whose_file_changed_fails_alone(raw, store, model, tmp_path):
    tree = shutil.copytree(raw, tmp_path / "raw")
    film = next(path for path in sorted((tree / "ego4d").rglob("*.mp4")))
    film.write_bytes(film.read_bytes() + b"more")
    report = embed_store(configured(store, model), raw=tree)
    (failure,) = report.failed
    assert film.stem in failure.take_id
    assert "ingest it again" in failure.message
    assert report.embedded == report.takes - 1
    again = embed_store(configured(store, model), raw=raw)
    assert (again.embedded, again.failed) == (1, ())


def test_takes_whose_folder_is_away_are_told(raw, store, model, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(ConfigError, match="holds no folder named pamap2 or realworld or ego4d or egoexo4d"):
        embed_store(configured(store, model), raw=tmp_path / "elsewhere")
    tree = shutil.copytree(raw / "ego4d", tmp_path / "away" / "ego4d")
    shutil.copy2(raw / "GENERATED.txt", tree.parent)
    fresh = tmp_path / "fresh"
    ingest_dataset("ego4d", str(tree), config=load_config(None, {"store.url": str(fresh)}))
    tree.rename(tmp_path / "moved")
    plan = plan_of_store(Repository.open(str(fresh)), configured(fresh, model))
    assert plan.unreachable == {"ego4d": len(plan.takes)}
    report = embed_store(configured(fresh, model, engine__spec="processes:2"))
    assert len(report.failed) == report.takes
    assert f"raw files of ego4d are not at {tree} any more; give the parent of a folder named ego4d" in (
        report.failed[0].message
    )
    # A folder that is given counts for its own data set, what the log tells for the others.
    (tmp_path / "given/pamap2").mkdir(parents=True)
    assert not plan_of_store(
        Repository.open(str(store)), configured(store, model), raw=tmp_path / "given"
    ).unreachable


def test_damage_is_masked_and_told(raw, model, tmp_path):
    """Frames before the damage stay, the rest is masked; views drop or mask the windows."""
    tree = shutil.copytree(raw, tmp_path / "raw")
    film = max((tree / "egoexo4d").rglob("*.mp4"), key=lambda path: path.stat().st_size)
    content = bytearray(film.read_bytes())
    half = len(content) * 2 // 3
    content[half : half + 3000] = bytes(3000)
    film.write_bytes(content)
    store = tmp_path / "store"
    ingest_dataset("egoexo4d", str(tree / "egoexo4d"), config=load_config(None, {"store.url": str(store)}))
    report = embed_store(configured(store, model))
    assert report.lost_frames > 0
    repo = Repository.open(str(store))
    found = repo.scan(repo.resolve("main"), "findings").collect().filter(rule="video-undecodable")
    assert len(found) == 1
    take_id, camera = found["take_id"][0], found["target"][0].rpartition("#")[2]
    arrays = repo.open_arrays(repo.manifest(repo.resolve("main"), "vectors:tiny.local").get(take_id))
    valid = np.array(arrays[f"video.{camera}/valid"])
    assert int((~valid).sum()) == report.lost_frames
    assert valid[: int(np.argmin(valid))].sum() > len(valid) // 3
    assert not np.array(arrays[f"video.{camera}/vectors"])[~valid].any()


def test_what_leaves_the_store_leaves_its_vectors(raw, done, model, tmp_path):
    tree = shutil.copytree(raw, tmp_path / "raw")
    film = next(path for path in sorted((tree / "ego4d").rglob("*.mp4")))
    for path in (tree / "ego4d").rglob(f"{film.stem}*"):
        path.unlink()
    gone = f"ego4d/{film.stem}"
    ingest_dataset(
        "ego4d", str(tree / "ego4d"), config=load_config(None, {"store.url": str(done)}), prune=True
    )
    assert plan_of_store(Repository.open(str(done)), configured(done, model)).gone == (gone,)
    report = embed_store(configured(done, model))
    assert report.committed
    repo = Repository.open(str(done))
    assert gone not in tables(done)["vectors:tiny.local"] + tables(done)["frames"]
    assert gone not in set(repo.scan(repo.resolve("main"), "texts").collect()["take_id"])
    fresh = tmp_path / "fresh"
    for dataset in ALL:
        ingest_dataset(dataset, str(tree / dataset), config=load_config(None, {"store.url": str(fresh)}))
    embed_store(configured(fresh, model))
    assert Repository.open(str(fresh)).head().snapshot == report.snapshot_id


def test_views_are_outdated_once_there_are_vectors(store, model):
    config = configured(store, model)
    build_views(["primus", "aura-mocap"], config=config)
    repo = Repository.open(str(store))
    assert outdated_views(repo, repo.resolve("main")) == ()
    embed_store(config)
    assert outdated_views(repo, repo.resolve("main")) == ("primus",)
    report = build_views([], config=config)
    assert report.windows["primus"] > 0
    assert outdated_views(repo, repo.resolve("main")) == ()
    shard = repo.manifest(repo.resolve("main"), "tensors:primus").shards[0]
    arrays = repo.open_arrays(shard)
    windows = repo.read_table(repo.manifest(repo.resolve("main"), "windows:primus").get(shard.key))
    assert arrays["video"].shape == (len(windows), 1, DIM)
    norms = np.linalg.norm(np.array(arrays["video"], np.float32), axis=-1)
    assert np.allclose(norms[np.array(arrays["video_present"])], 1, atol=2e-3)
    ids = [digest.tobytes().hex() for digest in np.array(arrays["text_ids"])]
    offsets, rows = np.array(arrays["text_offsets"]), np.array(arrays["text_rows"])
    for index, window in enumerate(windows.to_pylist()):
        first = [text["text_id"] for text in window["texts"] if text["slot"] == 0]
        assert [ids[row] for row in rows[offsets[index, 0] : offsets[index, 1]]] == first


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [*arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value or 0), result.output


def test_the_command_line_tells_before_and_after(store, model):
    options = ("--store", str(store), "--set", f"embed.model=local-dir:{model}")
    code, output = run("embed", "--dry-run", "--json", *options)
    planned = json.loads(output)
    assert code == 0
    assert planned["encoder"] == "tiny.local"
    assert planned["frames"] > 100
    assert planned["raw_bytes_to_read"] > 10_000
    assert planned["seconds_expected"] is None
    assert planned["fingerprint"]["weights"]
    _, output = run("embed", "--explain", *options)
    assert output.count("new") > planned["takes"]
    assert f"{planned['frames']:,} frames of" in output.replace("\n", "")
    code, output = run("embed", "--json", *options)
    report = json.loads(output)
    assert code == 0
    assert abs(report["frames"] - planned["frames"]) < 0.1 * planned["frames"]
    _, output = run("embed", *options)
    assert "nothing changed" in output
    _, output = run("embed", "--dry-run", "--json", *options, "--set", "embed.resize=pil")
    assert json.loads(output)["seconds_expected"] > 0


@pytest.mark.slow
def test_runs_killed_twenty_times_give_the_snapshot_of_one_that_was_not(ingested, model, tmp_path):
    store = shutil.copytree(ingested, tmp_path / "store")
    command = [sys.executable, "-m", "tests.flows.killed_embedding", str(store), str(model), "4", "20"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    outcome = json.loads(told.stdout.splitlines()[-1])
    assert outcome["killed"] >= 20
    assert set(outcome["ids"]) == {outcome["undisturbed"]}
