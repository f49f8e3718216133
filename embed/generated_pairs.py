"""Generated pictures with what they show, and generated texts with what they say: the lessons of the `generated` model.

Pictures are of the miniature trees' own making: a world of a seed, tinted by the scenario, an emblem for the movement,
through H.264 and back. A text is true of a picture when all that it names, the movement, the scenario or both, is
shown. Nothing here was recorded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sensorloom.ingest.miniature.ego4d_schedule import PLANS
from sensorloom.ingest.miniature.ego4d_text import movement_texts
from sensorloom.ingest.miniature.egoexo4d_tasks import TASKS
from sensorloom.ingest.miniature.egoexo4d_text import step_texts
from sensorloom.ingest.miniature.movements import MOVEMENTS
from sensorloom.ingest.miniature.scene import Camera, render_person, render_view
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.shown import show_phases
from sensorloom.ingest.miniature.tints import TINTS
from sensorloom.ingest.miniature.video import Encoding, write_video
from sensorloom.ingest.miniature.wearer import Phase, head, plan_wearer
from sensorloom.ingest.video import decode_frames

__all__ = ["SCENARIOS", "SIDE_PX", "Captions", "Pictures", "captions", "render_pictures"]

SIDE_PX = 64
SCENARIOS = tuple(TINTS)
"""Places of Ego4D and tasks of Ego-Exo4D, numbered as in `Pictures.scenario`."""

ANY = -1
"""Number of the movement or the scenario that a text does not name."""

_MOVEMENTS = tuple(MOVEMENTS)
_RATE_HZ, _KEEP_EVERY = 30, 3
# Shorter than a wearer's phases, to show many; a picture whose emblem fades is not kept.
_PHASE_S, _NUM_PHASES, _SURE_S = 0.6, 10, 0.15
# As the miniature trees have them; the third is one half of a stereo picture.
_EGO = (Camera(160, 160, 150.0), Camera(256, 192, 200.0), Camera(128, 192, 200.0), Camera(224, 224, 210.0))
_EXO_PX = ((128, 96), (160, 120), (96, 128))
_SUBJECTS = ("", "C ", "#C C ", "someone ", "a person ", "the camera wearer ", "a picture of a person who ")


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pictures:
    """n pictures uint8[n, 64, 64, 3], upright, and the number of the movement and the scenario that each shows."""

    rgb: NDArray[np.uint8]
    movement: NDArray[np.int64]
    scenario: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Captions:
    """m different texts, and what each names: a movement, a scenario, or both; -1 where it does not."""

    texts: tuple[str, ...]
    movement: NDArray[np.int64]
    scenario: NDArray[np.int64]

    def are_true_of(self, movement: NDArray[np.int64], scenario: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which texts are true of pictures that show `movement` int64[n] and `scenario`, bool[n, m]."""
        fits: NDArray[np.bool_] = (self.movement == ANY) | (self.movement == movement[:, None])
        fits &= (self.scenario == ANY) | (self.scenario == scenario[:, None])
        return fits


def render_pictures(purpose: str, worlds: int) -> Pictures:
    """Render `worlds` worlds of every scenario, seen by the wearer and from outside: about 60 pictures each.

    They depend on the words of `purpose`, which are the seed, and on nothing else.
    """
    views = [_view(purpose, scenario, world) for world in range(worlds) for scenario in range(len(SCENARIOS))]
    rgb, movement, scenario = (np.concatenate(parts) for parts in zip(*views, strict=True))
    return Pictures(rgb, movement, scenario)


def captions() -> Captions:
    """Return every text that the miniature trees may write of a movement, as written and in other wordings."""
    said: dict[str, tuple[int, int]] = {}
    for text, movement, scenario in _written():
        said.setdefault(text, (movement, scenario))
    facts = np.array(list(said.values()), np.int64)
    return Captions(tuple(said), facts[:, 0], facts[:, 1])


def _written() -> Iterator[tuple[str, int, int]]:
    for plan in PLANS:
        place = SCENARIOS.index(plan.place)
        for movement, name in enumerate(_MOVEMENTS):
            plain, placed = movement_texts(name, plan.place)
            yield from ((text, movement, ANY) for text in (plain, *_reworded(name)))
            yield from (
                (text, movement, place) for text in (placed, *_reworded(f"{name} in the {plan.place}"))
            )
            yield from ((text.replace("cup", "something"), movement, ANY) for text in _reworded(name))
        for text in (f"#C C was in the {plan.place}", plan.place, f"in the {plan.place}", *plan.scenarios):
            yield " ".join(text.split()), ANY, place
    for task in TASKS.values():
        scenario = SCENARIOS.index(task.parent_name)
        yield from ((text, ANY, scenario) for text in (task.name, task.parent_name))
        for step in task.steps:
            movement = _number(step.movement.emblem)
            for text in (*step_texts(step), *_reworded(step.movement.name)):
                yield text, movement, scenario


def _reworded(words: str) -> list[str]:
    return [f"{subject}{words}" for subject in _SUBJECTS]


def _number(emblem: object) -> int:
    return next(i for i, movement in enumerate(MOVEMENTS.values()) if movement.emblem == emblem)


def _view(
    purpose: str, scenario: int, world: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Render one world from inside and from outside; return the pictures, their movements and the scenario."""
    rng = generator(purpose, scenario, world)
    phases = _phases(rng, scenario)
    wearer = plan_wearer(rng, phases[-1].stop_s, _shuffled(rng, list(MOVEMENTS.values())))
    time_s = np.arange(round(phases[-1].stop_s * _RATE_HZ)) / _RATE_HZ
    # A world is dear to make: four scenarios share one, in tints of their own.
    state, seed, tint = head(wearer, time_s), f"{purpose}/{world}/{scenario // 4}", TINTS[SCENARIOS[scenario]]
    camera, size_px = _EGO[world % len(_EGO)], _EXO_PX[world % len(_EXO_PX)]
    yaw, pitch, roll = state.yaw_pitch_roll_rad.T
    steps_px = np.minimum(2.5 * np.linalg.norm(state.rotation_rad_s, axis=1), 7.0)
    ego = render_view(camera, -yaw, -pitch, roll, seed, tint=tint)
    exo = render_person(*size_px, steps_px, seed, tint=tint)
    crf = int(rng.integers(28, 34))
    kept, movement = _kept(phases, time_s)
    rgb = [
        _through_video(show_phases(ego, phases, time_s, "hands"), kept, crf),
        _through_video(show_phases(exo, phases, time_s, "beside"), kept, crf),
    ]
    both = np.concatenate([movement, movement])
    return np.concatenate(rgb), both, np.full(len(both), scenario)


def _shuffled(rng: np.random.Generator, items: list[T]) -> list[T]:
    return [items[number] for number in rng.permutation(len(items))]


def _phases(rng: np.random.Generator, scenario: int) -> list[Phase]:
    """Draw what is shown one after the other: the steps of the scenario's task, if it is one, and other movements."""
    task = TASKS.get(SCENARIOS[scenario])
    steps = [step.movement.emblem for step in task.steps] if task else []
    others = [movement.emblem for movement in MOVEMENTS.values() if movement.emblem not in steps]
    order = [*_shuffled(rng, steps), *_shuffled(rng, others)]
    return [
        Phase(str(emblem), emblem, number * _PHASE_S, (number + 1) * _PHASE_S)
        for number, emblem in enumerate(order[:_NUM_PHASES])
    ]


def _kept(
    phases: Iterable[Phase], time_s: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which frames to keep, well inside a phase, and the movement of each."""
    movement = np.full(len(time_s), ANY)
    for phase in phases:
        inside = (time_s > phase.start_s + _SURE_S) & (time_s < phase.stop_s - _SURE_S)
        movement[inside] = _number(phase.emblem)
    kept = np.flatnonzero((movement != ANY) & (np.arange(len(time_s)) % _KEEP_EVERY == 0))
    return kept, movement[kept]


def _through_video(
    pictures: Iterable[NDArray[np.uint8]], kept: NDArray[np.int64], crf: int
) -> NDArray[np.uint8]:
    """Return the `kept` of `pictures` as a pipeline sees them: encoded, decoded, scaled and cropped."""
    shown = list(pictures)
    encoding = Encoding(crf=crf)
    times_ns = np.arange(len(shown)) * 1_000_000_000 // _RATE_HZ
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "generated.mp4")
        with path.open("wb") as file:
            write_video(file, shown, times_ns, encoding)
        pts = kept * (encoding.ticks_per_s // _RATE_HZ)
        frames = decode_frames(path, "generated", pts, short_side_px=SIDE_PX)
        return np.stack([_cropped(frame.rgb) for _, frame in frames if frame.rgb is not None])


def _cropped(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    top, left = (rgb.shape[0] - SIDE_PX) // 2, (rgb.shape[1] - SIDE_PX) // 2
    return rgb[top : top + SIDE_PX, left : left + SIDE_PX]
