"""docs/reading-the-store.md: its blocks run one after the other, on every layout, and give what sensorloom gives."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from sensorloom.store.repository import Repository
from tests.documents import build_triplets, code_blocks, embed_triplets

LAYOUTS = {
    "plain": {},
    "float16": {"imu_type": '"float16"'},
    "int16 compressed": {"imu_type": '"int16"', "layout": '"compressed"'},
}
BLOCKS = [text for language, text in code_blocks("docs/reading-the-store.md") if language == "python"]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory) -> Path:
    return embed_triplets(tmp_path_factory.mktemp("embedded"), takes=2)


@pytest.fixture(scope="module", params=LAYOUTS)
def read(embedded, request, tmp_path_factory) -> dict:
    """The names that the page's blocks leave behind, run on a store of this layout."""
    folder = tmp_path_factory.mktemp("reading")
    shutil.copytree(embedded / "demo", folder / "demo")
    build_triplets(folder, **LAYOUTS[request.param])
    names: dict = {"__name__": "page"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in BLOCKS:
            exec(block, names)
    names["store"] = folder / "demo/store"
    return names


@pytest.fixture
def repo(read) -> Repository:
    return Repository.open(str(read["store"]))


def test_the_page_needs_no_sensorloom():
    assert not any("sensorloom" in block for block in BLOCKS)
    assert len(BLOCKS) >= 9


def test_the_page_finds_the_shards_of_the_snapshot(read, repo):
    snapshot = repo.resolve("main")
    assert read["ref"]["snapshot"] == snapshot.id
    for name in snapshot.tables:
        assert [shard["digest"] for shard in read["shards"][name]] == [
            shard.digest for shard in repo.manifest(snapshot, name).shards
        ]
    assert all((read["store"] / wanted).exists() for wanted in read["wanted"])
    assert read["damaged"] == []


def test_the_page_sees_damage(read):
    shard = read["pairs"][0][1]
    file = next(file for file in read["path"](shard).rglob("imu/c/**/0") if file.is_file())
    data = file.read_bytes()
    try:
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert read["digest"](shard) != shard["digest"]
    finally:
        file.write_bytes(data)


def test_the_page_reads_the_tables(read, repo):
    windows = read["windows"]
    assert windows.height == repo.manifest(repo.resolve("main"), "windows:primus").rows
    assert read["said"].drop_nulls("text").height == windows["texts"].list.len().sum()
    assert set(read["findings"]["take_id"]) <= set(windows["take_id"])
    assert read["findings"].height
    assert read["grave"].height <= read["findings"].height
    assert read["per_split"]["len"].sum() == windows.height


def test_the_page_reads_imu_in_its_units(read, repo):
    shard = repo.manifest(repo.resolve("main"), "tensors:primus").get(read["pairs"][0][1]["key"])
    arrays = repo.open_arrays(shard)
    assert read["imu"].dtype == np.float32
    stored = arrays["imu"].astype(np.float32)
    wanted = stored * arrays["imu_scale"][..., None] if "imu_scale" in arrays else stored
    assert np.array_equal(read["imu"], wanted)
    # Gravity is in it, so the numbers are m/s².
    norms = np.linalg.norm(read["imu"][:, 0, :3], axis=1)[arrays["imu_valid"][:, 0, 0]]
    assert 7 < np.median(norms) < 13


def test_the_page_maps_what_zarr_reads(read):
    import zarr

    for _, tensors in read["pairs"]:
        group, mapped = zarr.open(read["path"](tensors), mode="r"), read["arrays"](tensors)
        assert set(mapped) == set(group.array_keys())
        for name, values in mapped.items():
            assert np.array_equal(values, group[name][:])
        assert isinstance(mapped["imu"], np.memmap) == (group["imu"].shards is None)


def windows_of(read, split) -> pl.DataFrame:
    return read["windows"].filter(pl.col("split") == split)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_batches_of_the_page_pair_what_belongs_together(read, split):
    rows = windows_of(read, split).to_dicts()
    dataset = read["Windows"](split)
    assert len(dataset) == len(rows)
    if not rows:
        return
    by_id = text_vectors(read)
    loader = read["DataLoader"](dataset, batch_size=4, shuffle=True, collate_fn=lambda batch: batch)
    seen: list[int] = []
    for batch in loader:
        seen += batch["index"].tolist()
        for place, index in enumerate(batch["index"].tolist()):
            texts = [text["text_id"] for text in rows[index]["texts"] if text["slot"] == 0]
            assert batch["text_present"][place] == bool(texts)
            drawn = batch["text"][place].numpy()
            assert any(np.array_equal(drawn, by_id[text_id]) for text_id in texts) or not drawn.any()
            assert batch["label"][place] == rows[index]["label_index"]
            assert batch["video_present"][place, 0] == rows[index]["video_present"][0]
            assert batch["video"][place].any() == batch["video_present"][place].any()
        assert batch["imu"].dtype == torch.float32
        assert not batch["imu"][(~batch["imu_valid"]).repeat_interleave(3, dim=2)].any()
    assert sorted(seen) == list(range(len(rows)))


def text_vectors(read) -> dict[str, np.ndarray]:
    found = {}
    for _, tensors in read["pairs"]:
        arrays = read["arrays"](tensors)
        found |= {
            digest.tobytes().hex(): vector
            for digest, vector in zip(arrays["text_ids"], arrays["text_vectors"], strict=True)
        }
    return found


@pytest.mark.parametrize("together", [1, 64])
def test_shards_in_turn_give_every_window_once(read, together):
    split = max(("train", "val", "test"), key=lambda name: windows_of(read, name).height)
    dataset = read["Shards"](split, batch_size=3, together=together)
    whole = read["Windows"](split).__getitems__(list(range(windows_of(read, split).height)))
    got = torch.cat([batch["imu"] for batch in read["DataLoader"](dataset, batch_size=None)])
    assert sorted(map(bytes, got.numpy())) == sorted(map(bytes, whole["imu"].numpy()))
