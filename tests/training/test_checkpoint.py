"""Checkpoints: exact, atomic, and honest about damage."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sensorloom.training import checkpoint as module
from sensorloom.training.checkpoint import (
    Checkpoint,
    checkpoint_name,
    latest_checkpoint,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from sensorloom.training.errors import CheckpointError

STATE: dict[str, Any] = {"step": 7, "loss": 0.1 + 0.2, "names": ["a", "é"], "nothing": None}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoints" / checkpoint_name(7)
    tensors = {"w": torch.randn(3, 4), "step": torch.tensor(7.0), "random": torch.get_rng_state()}
    save_checkpoint(path, Checkpoint(tensors, STATE))
    return path


def test_what_is_saved_comes_back_bit_for_bit(tmp_path: Path) -> None:
    tensors = {"w": torch.randn(3, 4).T, "h": torch.randn(2, dtype=torch.bfloat16), "n": torch.tensor([1, 2])}
    save_checkpoint(tmp_path / "one", Checkpoint(tensors, STATE))
    loaded = load_checkpoint(tmp_path / "one")
    assert loaded.state == STATE
    assert loaded.tensors.keys() == tensors.keys()
    assert all(torch.equal(loaded.tensors[name], tensors[name]) for name in tensors)
    assert sorted(file.name for file in (tmp_path / "one").iterdir()) == ["state.json", "tensors.safetensors"]


def test_whoever_may_read_new_files_may_read_a_checkpoint(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        save_checkpoint(tmp_path / "one", Checkpoint({"w": torch.zeros(2)}, STATE))
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "one").iterdir()} == {0o644}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def change_number(path: Path) -> None:
    path.write_text(path.read_text().replace('"step": 7', '"step": 8'))


def raise_version(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))


@pytest.mark.parametrize(("file", "damage", "message"), [
    ("tensors.safetensors", truncate, r"tensors\.safetensors is damaged: its digest is .* use an older checkpoint"),
    ("tensors.safetensors", flip, r"tensors\.safetensors is damaged"),
    ("tensors.safetensors", Path.unlink, r"cannot read .*tensors\.safetensors: .*No such file"),
    ("state.json", truncate, r"state\.json is cut or damaged"),
    ("state.json", change_number, r"state\.json is damaged: its content does not match its digest"),
    ("state.json", raise_version, r"state\.json is of checkpoint version 2, this sensorloom reads 1"),
    ("state.json", Path.unlink, r"cannot read .*state\.json"),
    ("state.json", lambda path: path.write_text("[]"), r"state\.json is no checkpoint: it must have exactly the keys"),
    ("state.json", lambda path: path.write_bytes(b"\xff{}"), r"cannot read .*state\.json"),
])  # fmt: skip
def test_damage_is_named(saved: Path, file: str, damage: Callable[[Path], Any], message: str) -> None:
    damage(saved / file)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(saved)


@pytest.mark.parametrize("step", ["mkdir", "save_file", "write_text", "rename"])
def test_a_write_that_fails_leaves_no_half_checkpoint(
    saved: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    owner = module if step == "save_file" else Path
    monkeypatch.setattr(owner, step, full)
    target = saved.with_name(checkpoint_name(9))
    with pytest.raises(CheckpointError, match=r"cannot write the checkpoint .*0009: .*No space left"):
        save_checkpoint(target, Checkpoint({"w": torch.zeros(2)}, {}))
    monkeypatch.undo()
    assert latest_checkpoint(saved.parent) == saved
    assert load_checkpoint(saved).state == STATE
    save_checkpoint(target, Checkpoint({"w": torch.zeros(2)}, {}))
    assert latest_checkpoint(saved.parent) == target


def test_a_checkpoint_of_the_same_name_is_replaced(saved: Path) -> None:
    save_checkpoint(saved, Checkpoint({"w": torch.ones(1)}, {"step": 8}))
    assert load_checkpoint(saved).state == {"step": 8}
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_an_earlier_checkpoint_stands_where_its_replacement_fails(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(CheckpointError, match=r"cannot write the checkpoint .*Input/output error"):
        save_checkpoint(saved, Checkpoint({"w": torch.zeros(2)}, {"step": 8}))
    assert load_checkpoint(saved).state == STATE


def test_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 200, 1000):
        save_checkpoint(tmp_path / checkpoint_name(step), Checkpoint({"w": torch.zeros(1)}, {"step": step}))
    save_checkpoint(tmp_path / "best", Checkpoint({"w": torch.zeros(1)}, {}))
    prune_checkpoints(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best",
        checkpoint_name(200),
        checkpoint_name(1000),
    ]
    assert latest_checkpoint(tmp_path) == tmp_path / checkpoint_name(1000)
    assert latest_checkpoint(tmp_path / "best") is None
