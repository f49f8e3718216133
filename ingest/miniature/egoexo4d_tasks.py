"""What wearers of a generated Ego-Exo4D take do: tasks, their steps, and the words for them.

Task ids and the parents' names are the data set's (formats.md §4.2); the steps are invented. A step moves the wearer
as one of `movements.MOVEMENTS` and carries the words that the texts say of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from sensorloom.ingest.miniature.movements import MOVEMENTS, Beat, Movement

__all__ = ["TASKS", "Step", "Task"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that belongs to a task: how it moves, what a describer and what an expert says of it."""

    movement: Movement
    step_name: str
    comment: str
    is_essential: bool


@dataclass(frozen=True, slots=True)
class Task:
    """A task as `takes.json` names it."""

    task_id: int
    name: str
    parent_name: str
    steps: tuple[Step, ...]

    @property
    def parent_id(self) -> int:
        """Id of the task's family, its thousands."""
        return self.task_id // 1000 * 1000


def _step(movement: str, words: str, comment: str, *, is_essential: bool = True, **manner: Any) -> Step:
    """Return a step that moves as the movement of this name does, but for what its `manner` changes of that."""
    moved = replace(MOVEMENTS[movement], name=words, **manner)
    return Step(moved, words.capitalize(), comment, is_essential)


_TABLE = (
    Task(
        4002,
        "Remove a Wheel",
        "Bike Repair",
        (
            _step("walks", "walks around the bicycle", "The approach is calm and keeps the tools in sight.",
                  turn_deg=40, step_hz=1.6),
            _step("bends down", "bends down to the wheel", "The back stays straight while bending, which is good.",
                  lean_deg=6),
            _step("works with both hands", "loosens the axle nut with a wrench", "The wrench sits well on the nut.",
                  nod_deg=40, lean_deg=12, beat=Beat(0.9, nod_deg=1.5, tilt_deg=4.0, hand_m=0.08)),
            _step("turns around", "turns around to the tool box", "A turn like this costs time; lay the tools closer.",
                  is_essential=False,
                  nod_deg=12),
            _step("crouches", "crouches beside the chain", "The eyes come level with the chain, as they should."),
            _step("picks up a cup", "picks up the brush", "The brush is held too far from the bristles.",
                  nod_deg=34, lean_deg=18),
        ),
    ),
    Task(
        1007,
        "Cooking an Omelet",
        "Cooking",
        (
            _step("reaches up", "reaches up for a bowl", "Reaching up before the pan is hot keeps the rhythm.",
                  lean_deg=14),
            _step("works with both hands", "whisks the eggs", "The whisking comes from the wrist, as it should.",
                  nod_deg=26, beat=Beat(3.4, nod_deg=0.5, tilt_deg=1.0, bob_m_s2=0.8, hand_m=0.03)),
            _step("looks to the left", "looks at the recipe on the left", "A look at the recipe now is too late.",
                  is_essential=False,
                  nod_deg=14),
            _step("puts down the cup", "puts down the pan", "The pan is set down without a sound.",
                  nod_deg=28, lean_deg=-8),
            _step("walks", "walks to the fridge", "Walking off leaves the eggs alone for too long.",
                  step_hz=2.1),
        ),
    ),
    Task(
        9003,
        "Salsa Basics",
        "Dance",
        (
            _step("dances", "dances the basic step", "The weight is over the standing foot in the basic step."),
            _step("turns around", "turns around to the beat", "The turn is led by the head, which is right.",
                  lean_deg=-8, step_hz=2.2),
            _step("jumps", "jumps lightly in place", "The jump is higher than the music asks for.",
                  is_essential=False,
                  beat=Beat(2.0, bob_m_s2=3.0, hand_m=0.04)),
            _step("waves a hand", "waves a hand above the head", "The arm is lifted from the shoulder, not the elbow.",
                  nod_deg=-10),
        ),
    ),
    Task(
        5003,
        "Playing Guitar",
        "Music",
        (
            _step("works with both hands", "plays a scale on the guitar", "The scale is even up to its last notes.",
                  nod_deg=16, lean_deg=-18, beat=Beat(2.7, nod_deg=1.2, bob_m_s2=0.3, hand_m=0.04)),
            _step("looks up", "looks up at the sheet", "Looking up at the sheet breaks the phrase.",
                  nod_deg=-14, look_deg=20, lean_deg=-12),
            _step("stands still", "holds the chord", "The chord rings long enough.",
                  nod_deg=10, lean_deg=-18),
        ),
    ),
    Task(
        6001,
        "Mid-Range Jumpshot",
        "Basketball",
        (
            _step("runs", "runs to the basket", "The run ends too close to the board."),
            _step("jumps", "jumps and shoots the ball", "The ball leaves the hand at the top of the jump.",
                  nod_deg=-14, beat=Beat(1.2, bob_m_s2=4.5, hand_m=0.08)),
            _step("turns around", "turns around after the ball", "The turn is quick and low.",
                  nod_deg=-6),
            _step("bends down", "bends down for the ball", "The ball is taken with both hands.", is_essential=False,
                  nod_deg=56, dip_m=0.4),
        ),
    ),
    Task(
        2001,
        "COVID-19 Safety",
        "Health",
        (
            _step("picks up a cup", "picks up the test kit", "The kit is opened before the hands are clean.",
                  nod_deg=16, lean_deg=8),
            _step("works with both hands", "opens the swab", "The swab is touched at its handle only.",
                  nod_deg=38, lean_deg=-6, beat=Beat(1.6, nod_deg=1.6, hand_m=0.03)),
            _step("looks up", "looks up at the instructions", "A look at the instructions is always right.",
                  nod_deg=-36, look_deg=-20),
            _step("puts down the cup", "puts down the test strip", "The strip is laid flat, as it must be.",
                  nod_deg=40, lean_deg=-16),
        ),
    ),
)  # fmt: skip

TASKS: Mapping[str, Task] = MappingProxyType({task.parent_name: task for task in _TABLE})
