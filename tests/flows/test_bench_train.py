"""What the bench of training makes of its contender's numbers, and that its bare loop steps over ready windows."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sensorloom.align.named_views import VIEWS
from sensorloom.flows.cli import main
from sensorloom.flows.commands import bench
from sensorloom.training.recipes import RECIPES, make_recipe
from sensorloom.training.settings import apply_settings
from sensorloom.training.stream import TripletStream

MODULES = ("train", "train_steps", "train_data", "harness")
STEPS = "from harness import emit\n\ndef steps_of(rounds, block):\n    return rounds * block\n"
CONTENDER = """
if __name__ == "__main__":
    import sys
    given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    ratio = {"primus": 0.97, "jepa": 0.99}[given["--recipe"]]
    emit({"over_bare": ratio, "over_bare_processor": ratio, "steps_per_s": float(given["--batch"]),
          "data_wait_share": 0.01})
"""


@pytest.fixture
def load(monkeypatch):
    """Import a module of the benchmarks as they import one another; it is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(bench.source_folder()))
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    before = {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.modules.update(before)


@pytest.fixture
def store(load, tmp_path, monkeypatch, capsys):
    """Return a function that writes the store of a view as the bench does, with a few windows."""
    data = load("train_data")

    def write(view: str, windows: int = 12) -> str:
        monkeypatch.setattr(
            sys, "argv", ["x", "--view", view, "--windows", str(windows), "--work", str(tmp_path)]
        )
        data.main()
        return str(tmp_path / "store")

    return write


def faked(folder: Path) -> None:
    real = bench.source_folder()
    folder.mkdir()
    for name in ("harness.py", "train.py"):
        shutil.copy(real / name, folder)
    (folder / "train_steps.py").write_text(STEPS + CONTENDER)
    (folder / "train_data.py").write_text('from harness import emit\nemit({"windows": 1})\n')


def test_the_least_ratio_stands_beside_those_of_each_recipe(tmp_path, monkeypatch, capfd):
    faked(tmp_path / "benchmarks")
    monkeypatch.setattr(bench, "source_folder", lambda: tmp_path / "benchmarks")
    asked = [
        "--recipes",
        "jepa,primus",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--work",
        str(tmp_path / "work"),
    ]
    with pytest.raises(SystemExit) as stop:
        main(["bench", "train", *asked, "--json"])
    assert not stop.value.code
    numbers = json.loads(capfd.readouterr().out)
    assert numbers["train_over_bare"] == 0.97
    assert (numbers["jepa_over_bare"], numbers["primus_over_bare"]) == (0.99, 0.97)
    assert numbers["primus_steps_per_s"] == 64  # the batch on a CPU
    assert (numbers["is_gpu"], numbers["threads"]) == (0.0, 1.0)
    assert all(type(value) is float for value in numbers.values())
    assert list((tmp_path / "work").iterdir()) == []


def test_an_unknown_recipe_is_refused(tmp_path, monkeypatch, capfd):
    faked(tmp_path / "benchmarks")
    monkeypatch.setattr(bench, "source_folder", lambda: tmp_path / "benchmarks")
    with pytest.raises(SystemExit) as stop:
        main(["bench", "train", "--recipes", "primos", "--work", str(tmp_path / "work")])
    assert stop.value.code == 2
    assert "unknown recipes primos; known: standard-pamap2" in " ".join(capfd.readouterr().err.split())


def test_every_number_has_a_meaning(load):
    train = load("train")
    numbers = {
        "train_over_bare": 1.0,
        "threads": 2.0,
        "is_gpu": 0.0,
        **{f"crossl_pamap2_{measure}": 1.0 for measure in train._PER_RECIPE},
    }
    meaning = train._meaning(numbers)
    assert meaning.keys() == numbers.keys()
    assert len({*meaning.values()}) == len(numbers)
    assert meaning["crossl_pamap2_over_bare"].startswith("crossl-pamap2: steps/s through `train` over")


@pytest.mark.parametrize("view", sorted({make_recipe(name).view for name in RECIPES}))
def test_the_generated_view_has_what_the_recipes_read(store, view):
    url = store(view)
    columns = {"imu", "imu_valid"}
    columns |= ({"video"} if VIEWS[view].video_slots else set()) | ({"text"} if VIEWS[view].texts else set())
    columns |= {"mocap"} if VIEWS[view].mocap else set()
    stream = TripletStream(url, view=view, split="train", batch_size=4, columns=sorted(columns))
    batch = next(iter(stream))
    assert stream.num_examples == 12
    assert batch.imu_BSCT.shape[1:] == (len(VIEWS[view].positions), 6, VIEWS[view].samples)
    if "text" in columns:
        assert batch.text_present_BK.sum(dim=1).tolist() == [1] * 4
    if "mocap" in columns:
        assert batch.mocap_valid_BFJ.all()
    if VIEWS[view].classes:
        assert (batch.label_B >= 0).all()


def small(url: str, recipe: str) -> Any:
    settings = {"batch_size": "4", "epochs": "1", "device": "cpu", "encoder": "tpn", "queue_length": "8"}
    config = make_recipe(recipe)
    return apply_settings(config, {key: value for key, value in settings.items() if hasattr(config, key)})


@pytest.mark.parametrize("recipe", ["primus", "simclr", "multitask"])
def test_a_bare_step_augments_nothing_and_learns(load, store, recipe, monkeypatch):
    steps = load("train_steps")
    bare = steps.Bare(small("", recipe), store("primus"))
    monkeypatch.setattr(steps.torch.Tensor, "flip", None)  # which every chain of these would call
    before = [parameter.detach().clone() for parameter in bare.objective.parameters()]
    bare.step()
    assert any(
        not torch.equal(old, new) for old, new in zip(before, bare.objective.parameters(), strict=True)
    )


def test_blocks_take_turns_and_what_follows_a_bare_block_is_not_timed(load):
    steps = load("train_steps")
    clock = iter(range(1000))
    told: list[str] = []

    class Bare:
        def now(self):
            told.append("now")
            tick = next(clock)
            return steps.Spent(float(tick), 2.0 * tick)

        def timed(self, count):
            told.append(f"bare {count}")
            return steps.Spent(3.0, 1.0)

    turns = steps.Turns(Bare(), 2)
    lead, warm = steps.LEAD_STEPS, steps.WARM_STEPS
    for step in range(1, steps.steps_of(2, 2) + 1):
        told.append(f"step {step - warm}")
        turns.after(step)
    said = [word for word in told if not word.startswith("step") or int(word.split()[1]) > 0]
    one_turn = [f"step {lead}", "now", f"step {lead + 1}", f"step {lead + 2}", "now", "bare 2"]
    assert said[said.index(f"step {lead}") :][: len(one_turn)] == one_turn
    assert len(turns.loop) == 2
    assert turns.numbers() == {
        "over_bare": 3.0,
        "over_bare_processor": 0.5,
        "steps_per_s": 2.0,
        "bare_steps_per_s": pytest.approx(2 / 3),
    }
