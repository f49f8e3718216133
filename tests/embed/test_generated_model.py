"""The model that ships as `generated` tells what generated pictures show, on trees of a seed it was not trained on.

Frames come from decoded MP4 files of real layout, through open_clip's own preprocessing. Bounds are well below what
was measured, and far above chance.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from sensorloom.embed.generated_model import FOLDER, Schedule, retrieval, save_weights, train_model
from sensorloom.embed.generated_pairs import SCENARIOS, Captions, Pictures, captions, render_pictures
from sensorloom.ingest.miniature import SampleSpec, write_sample
from sensorloom.ingest.miniature.egoexo4d_tasks import TASKS
from sensorloom.ingest.miniature.movements import MOVEMENTS
from sensorloom.ingest.video import decode_frames, read_video_table

SEED = 4711
WEIGHTS = FOLDER / "open_clip_model.safetensors"
Seen = tuple[dict[str, Any], str, np.ndarray, np.ndarray]


class Tower:
    """The model as anybody would load it."""

    def __init__(self) -> None:
        self.model, _, self.preprocess = open_clip.create_model_and_transforms(f"local-dir:{FOLDER}")
        self.model.eval()
        self.tokenizer = open_clip.SimpleTokenizer()

    @torch.inference_mode()
    def see(self, pictures: list[np.ndarray]) -> np.ndarray:
        pixels = torch.stack([self.preprocess(Image.fromarray(picture)) for picture in pictures])
        return self.model.encode_image(pixels, normalize=True).numpy()

    @torch.inference_mode()
    def read(self, texts: list[str]) -> np.ndarray:
        return self.model.encode_text(self.tokenizer(texts), normalize=True).numpy()


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tower() -> Tower:
    return Tower()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("generated") / "s"
    spec = SampleSpec(("ego4d", "egoexo4d"), seed=SEED, takes=2, minutes=0.15)
    return out, write_sample(out, spec)["takes"]


def look(sample: tuple[Path, dict[str, Any]], tower: Tower, every: int = 6) -> list[Seen]:
    """Return of each camera the take's truth, its view, when some frames were really taken, and their vectors."""
    root, truth = sample
    found = []
    for take_id, take in truth.items():
        if take.get("absent"):
            continue
        videos = take.get("videos") or {"ego": {"view": "ego", "uri": take["files"][-1], "offset_ms": 0.0}}
        folder = root / take_id.partition("/")[0]
        for video in videos.values():
            table = read_video_table(folder / video["uri"], video["uri"])
            frames = decode_frames(folder / video["uri"], video["uri"], table.pts[::every])
            vectors = tower.see([frame.rgb for _, frame in frames if frame.rgb is not None])
            time_s = table.times_ns[::every] / 1e9 + video["offset_ms"] / 1e3
            found.append((take, video["view"], time_s, vectors))
    return found


@pytest.fixture(scope="module")
def seen(sample: tuple[Path, dict[str, Any]], tower: Tower) -> list[Seen]:
    return look(sample, tower)


def inside(phase: dict[str, Any], time_s: np.ndarray, fade_s: float = 0.1) -> np.ndarray:
    return (time_s >= phase["start_s"] + fade_s) & (time_s < phase["stop_s"] - fade_s)


def task_of(take: dict[str, Any]) -> Any:
    return next((TASKS[label["text"]] for label in take["labels"] if label.get("source") == "task"), None)


def test_the_file_is_small_says_what_it_is_and_loads_to_the_same_numbers(tower: Tower) -> None:
    assert WEIGHTS.stat().st_size < 5_000_000
    with safe_open(WEIGHTS, "pt") as file:
        assert file.metadata()["name"] == "generated"
        assert "trained on generated pictures; knows nothing of the world" in file.metadata()["note"]
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    loaded = tower.model.state_dict()
    assert stored.keys() == loaded.keys()
    for name, value in stored.items():
        assert value.dtype == torch.float16
        assert loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], value.float())


def test_the_file_is_as_training_writes_it(tower: Tower, tmp_path: Path) -> None:
    save_weights(tower.model, tmp_path)
    assert (tmp_path / WEIGHTS.name).read_bytes() == WEIGHTS.read_bytes()


def test_the_configuration_is_clips_way_to_prepare_a_picture(tower: Tower) -> None:
    config = json.loads((FOLDER / "open_clip_config.json").read_text())
    assert config["preprocess_cfg"]["mean"] == list(open_clip.OPENAI_DATASET_MEAN)
    assert config["preprocess_cfg"]["std"] == list(open_clip.OPENAI_DATASET_STD)
    assert tower.preprocess(Image.new("RGB", (160, 90))).shape == (3, 64, 64)


def phase_texts(take: dict[str, Any], tower: Tower) -> tuple[list[str], np.ndarray]:
    names = sorted({phase["name"] for phase in take["shown"]})
    return names, tower.read([f"C {name}." for name in names])


@pytest.mark.parametrize(("view", "least"), [("ego", 0.6), ("exo", 0.85)])
def test_a_text_finds_the_moment_it_tells_of(seen: list[Seen], tower: Tower, view: str, least: float) -> None:
    """Measured: 0.80 of 15 from inside, all 20 from outside; by chance 0.27 and 0.30."""
    hits, chance = [], []
    for take, this_view, time_s, vectors in seen:
        if this_view != view:
            continue
        names, texts = phase_texts(take, tower)
        for name, at in zip(names, (vectors @ texts.T).argmax(axis=0), strict=True):
            fits = np.any([inside(it, time_s, 0.0) for it in take["shown"] if it["name"] == name], axis=0)
            hits.append(fits[at])
            chance.append(fits.mean())
    assert np.mean(chance) < 0.35
    assert np.mean(hits) > least


@pytest.mark.parametrize("view", ["ego", "exo"])
def test_a_frame_finds_the_text_of_its_phase(seen: list[Seen], tower: Tower, view: str) -> None:
    """Measured: 0.85 of 163 frames from inside, all 250 from outside; by chance 0.28 and 0.31."""
    right, chance = [], []
    for take, this_view, time_s, vectors in seen:
        if this_view != view:
            continue
        names, texts = phase_texts(take, tower)
        best = (vectors @ texts.T).argmax(axis=1)
        for phase in take["shown"]:
            found = best[inside(phase, time_s)] == names.index(phase["name"])
            right += found.tolist()
            chance += [1 / len(names)] * len(found)
    assert np.mean(chance) < 0.35
    assert np.mean(right) > 0.7


@pytest.mark.parametrize("view", ["ego", "exo"])
def test_zero_shot_over_the_step_names_of_all_tasks(seen: list[Seen], tower: Tower, view: str) -> None:
    """Measured: 0.98 from inside, all from outside; chance is 1 in 26."""
    steps = [step for task in TASKS.values() for step in task.steps]
    prompts = tower.read([step.step_name for step in steps])
    right = []
    for take, this_view, time_s, vectors in seen:
        if this_view != view or task_of(take) is None:
            continue
        named = (vectors @ prompts.T).argmax(axis=1)
        for phase in take["shown"]:
            right += [steps[i].movement.name == phase["name"] for i in named[inside(phase, time_s)]]
    assert len(steps) == 26
    assert np.mean(right) > 0.75


def likeness(seen: list[Seen], tower: Tower) -> float:
    """Return how often a text is more like a frame of what it tells of than another text is like any frame."""
    matched, mismatched = [], []
    for take, _, time_s, vectors in seen:
        names = sorted({phase["name"] for phase in take["shown"]})
        similarity = vectors @ tower.read([f"C {name}" for name in names]).T
        for phase in take["shown"]:
            rows = similarity[inside(phase, time_s)]
            matched += rows[:, names.index(phase["name"])].tolist()
            mismatched += np.delete(rows, names.index(phase["name"]), axis=1).ravel().tolist()
    ordered = np.sort(mismatched)
    return float((np.searchsorted(ordered, matched) / len(ordered)).mean())


def test_a_text_is_more_like_what_it_tells_of_than_like_the_rest(seen: list[Seen], tower: Tower) -> None:
    """As an audit compares texts with pictures; measured 0.98 over all takes and views."""
    assert likeness(seen, tower) > 0.93


def test_the_same_weights_in_another_order_tell_nothing(sample: tuple[Path, dict[str, Any]]) -> None:
    """Measured: 0.46. So it is what was learnt that the bounds are held by, and not the way to ask."""
    shuffled, chance = Tower(), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in shuffled.model.parameters():
            values = parameter.view(-1)
            values.copy_(values[torch.randperm(values.numel(), generator=chance)])
    assert 0.3 < likeness(look(sample, shuffled, every=12), shuffled) < 0.7


def test_a_place_is_told_by_the_tint(seen: list[Seen], tower: Tower) -> None:
    """Measured: 0.625; chance is 1 in 16."""
    prompts = tower.read([f"in the {name}" if name.islower() else name for name in SCENARIOS])
    right = []
    for take, _, _, vectors in seen:
        task = task_of(take)
        if task is not None:
            named = (vectors @ prompts.T).argmax(axis=1)
            right += [SCENARIOS[i] == task.parent_name for i in named]
    assert np.mean(right) > 0.4


def test_every_text_of_a_generated_take_was_among_those_taught(sample: tuple[Path, dict[str, Any]]) -> None:
    known = set(captions().texts)
    told = [
        text["text"]
        for take in sample[1].values()
        for text in take.get("texts", [])
        if isinstance(text, dict)
    ]
    assert len(told) > 10
    assert set(told) <= known
    narrations = json.loads((sample[0] / "ego4d/v2/annotations/narration.json").read_text())
    said = {
        item["narration_text"]
        for entry in narrations.values()
        for item in entry["narration_pass_2"]["narrations"]
    }
    assert said <= known


def noise(count: int) -> Pictures:
    """Pictures of nothing, said to show something."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (count, 64, 64, 3), np.uint8)
    return Pictures(rgb, rng.integers(0, 16, count), rng.integers(0, len(SCENARIOS), count))


FEW = Captions(
    tuple(f"C {name}" for name in MOVEMENTS), np.arange(len(MOVEMENTS)), np.full(len(MOVEMENTS), -1)
)


def test_training_twice_gives_the_same_weights_and_leaves_the_callers_chance_alone() -> None:
    before = torch.random.get_rng_state()
    one, two, other = (
        train_model(noise(8), FEW, Schedule(steps=3, batch_size=4, seed=seed), lambda _: None).state_dict()
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["visual.proj"], other["visual.proj"])


def test_words_of_no_text_are_zero_and_add_no_noise() -> None:
    model: Any = train_model(noise(8), FEW, Schedule(steps=1, batch_size=4), lambda _: None)
    rows = model.token_embedding.weight.abs().sum(dim=1) > 0
    assert set(np.flatnonzero(rows.numpy())) == set(
        open_clip.SimpleTokenizer()(list(FEW.texts)).unique().tolist()
    )


def test_saved_weights_are_those_of_the_model(tmp_path: Path) -> None:
    model = train_model(noise(8), FEW, Schedule(steps=1, batch_size=4), lambda _: None)
    size_bytes = save_weights(model, tmp_path)
    assert (tmp_path / "open_clip_model.safetensors").stat().st_size == size_bytes
    first = (tmp_path / "open_clip_model.safetensors").read_bytes()
    for _ in range(3):  # safetensors writes the metadata in another order each time
        save_weights(model, tmp_path)
        assert (tmp_path / "open_clip_model.safetensors").read_bytes() == first
    with safe_open(tmp_path / "open_clip_model.safetensors", "pt") as file:
        for name, value in model.state_dict().items():
            assert torch.equal(file.get_tensor(name).float(), value)


def test_truth_of_a_text_is_of_all_that_it_names() -> None:
    said = Captions(("a", "b", "c", "d"), np.array([3, -1, 3, 2]), np.array([-1, 1, 1, 1]))
    true = said.are_true_of(np.array([3, 3, 2]), np.array([1, 0, 1]))
    assert true.tolist() == [
        [True, True, True, False],
        [True, False, False, False],
        [False, True, False, True],
    ]


def test_no_text_names_two_things() -> None:
    said = captions()
    assert len(set(said.texts)) == len(said.texts)
    of = dict(zip(said.texts, zip(said.movement.tolist(), said.scenario.tolist(), strict=True), strict=True))
    assert of["#C C walks"] == (1, -1)
    assert of["#C C walks in the street"] == (1, SCENARIOS.index("street"))
    assert of["Whisks the eggs"] == (10, SCENARIOS.index("Cooking"))


@pytest.mark.slow
def test_a_short_training_learns() -> None:
    said, pictures, lines = captions(), render_pictures("short training", 1), []
    schedule = Schedule(steps=100, batch_size=64)
    model = train_model(pictures, said, schedule, report=lines.append)
    first, last = (float(line.rpartition(" ")[2]) for line in lines)
    found = retrieval(model, pictures, said)
    assert last < first - 0.3
    assert found.auc > 0.8
    assert found.top1 > 4 * found.chance
