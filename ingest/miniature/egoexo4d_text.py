"""What people wrote of generated Ego-Exo4D takes: atomic descriptions, expert commentary, key steps. Pure.

Descriptions stand inside the phase they tell of, commentary after it (formats.md §4.9). With them go the
real files' flaws: a rejected annotation, a comment that failed, booleans as strings, both names of the subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sensorloom.ingest.miniature.egoexo4d_takes import TakePlan, uid
from sensorloom.ingest.miniature.egoexo4d_tasks import Step
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.wearer import Phase

__all__ = ["Annotations", "annotate", "commentary_folder", "step_texts"]

_LOST_COMMENT = {"text": None, "error": True, "_error_desc": "speech could not be transcribed"}
_SPOKEN_MS = 1_690_000_000_000

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Annotations:
    """The JSON of one take by file, and the truth about it: texts that hold, and by rule how many do not."""

    atomic: list[Json]
    commentary: list[Json]
    keystep: Json | None
    texts: list[Json]
    dropped: dict[str, int]

    @classmethod
    def none(cls) -> Annotations:
        """Return what a take has whose annotations are withheld."""
        return cls([], [], None, [], {})


def annotate(seed: int, plan: TakePlan, phases: tuple[Phase, ...]) -> Annotations:
    """Write the texts of one take, whose wearer went through `phases`."""
    if not plan.has_annotations:
        return Annotations.none()
    atomic = [
        _describe(seed, plan, phases, annotator) for annotator in range(2 if plan.index % 2 == 0 else 1)
    ]
    rejected = _reject(seed, plan, phases)
    comments = _comment(seed, plan, phases)
    texts = [_atomic_truth(entry, item) for entry in atomic for item in entry["descriptions"]]
    spoken = [_comment_truth(comments, item) for item in comments["commentary_data"] if not item["error"]]
    failed = sum(item["error"] for item in comments["commentary_data"])
    return Annotations(
        atomic=[*atomic, rejected],
        commentary=[comments],
        keystep=_keysteps(plan, phases) if plan.split == "train" else None,
        texts=[*texts, *spoken],
        dropped={
            "text-rejected": len(rejected["descriptions"]),
            "text-erroneous": failed,
            **({"text-duplicate": len(spoken)} if len(plan.commentary_forms) > 1 else {}),
        },
    )


def commentary_folder(comments: Json) -> dict[str, Json]:
    """Return an expert's comments on one take in their other form: `data.json` and `transcriptions.json`."""
    data = comments["commentary_data"]
    annotations = [
        {
            "recording_path": item["recording"],
            "duration_approx": item["duration_approx"],
            "video_time": item["video_time"],
            "start_global_time": _SPOKEN_MS + 60_000 * number,
            "events": [],
        }
        for number, item in enumerate(data)
    ]
    return {
        "data.json": {
            "user_id": comments["commentary"].partition("/")[2],
            "video_name": comments["take_name"],
            "annotations": annotations,
            "proficiency": {"rating": 6, "why": "The steps come in a sensible order."},
        },
        "transcriptions.json": {
            item["recording"]: {
                "text": item["text"],
                "error": item["error"],
                "error_desc": item["_error_desc"],
            }
            for item in data
        },
    }


def step_texts(step: Step) -> tuple[str, ...]:
    """Return every text that is written of a step: descriptions, the comment, the key step's name and description."""
    name = step.movement.name
    said = (_description_text(name, of_wearer=True), _description_text(name, of_wearer=False))
    return (*said, step.comment, step.step_name, f"{step.step_name}.")


def _description_text(name: str, of_wearer: bool) -> str:
    return f"C {name}." if of_wearer else f"O watches while C {name}."


def _step(plan: TakePlan, phase: Phase) -> Step:
    return next(step for step in plan.task.steps if step.movement.name == phase.name)


def _describe(seed: int, plan: TakePlan, phases: tuple[Phase, ...], annotator: int) -> Json:
    """Return one annotator's descriptions: one of each phase, one in six of somebody else."""
    rng = generator("egoexo4d", seed, plan.name, "atomic", annotator)
    descriptions = [_description(rng, plan, phase, annotator) for phase in phases]
    return {
        "annotation_uid": uid("atomic", plan.name, annotator),
        "annotator_id": f"annotator-{40 + annotator}",
        "rejected": False,
        "reject_reason": None,
        "descriptions": descriptions,
    }


def _description(rng: np.random.Generator, plan: TakePlan, phase: Phase, annotator: int) -> Json:
    middle_s, reach_s = (phase.start_s + phase.stop_s) / 2, min(1.0, (phase.stop_s - phase.start_s) / 2)
    start_s, stop_s = middle_s - reach_s, middle_s + reach_s
    of_wearer, is_unsure = bool(rng.random() > 1 / 6), bool(rng.random() < 0.1)
    as_strings = plan.capture.has_string_booleans
    cameras = plan.capture.exo
    best = cameras[int(rng.integers(len(cameras)))] if rng.random() > 0.2 else None
    return {
        "text": _description_text(phase.name, of_wearer),
        "timestamp": round(float(rng.uniform(start_s, stop_s)), 4),
        ("narration_subject" if annotator else "subject"): "C" if of_wearer else "O",
        "ego_visible": "1" if as_strings else True,
        "unsure": str(int(is_unsure)) if as_strings else is_unsure,
        "best_exo": None if best is None else {"raw_cam_id": f"{best}_raw", "cam_id": best},
    }


def _reject(seed: int, plan: TakePlan, phases: tuple[Phase, ...]) -> Json:
    entry = _describe(seed, plan, phases[:2], 9)
    return entry | {"rejected": True, "reject_reason": "descriptions do not match the video"}


def _comment(seed: int, plan: TakePlan, phases: tuple[Phase, ...]) -> Json:
    """Return an expert's comments, each shortly after the phase it is about; the last is lost to an error."""
    rng = generator("egoexo4d", seed, plan.name, "commentary")
    data: list[Json] = []
    for number, phase in enumerate(phases):
        step = _step(plan, phase)
        data.append(
            {
                "recording": f"{number}.webm",
                "video_time": round(min(plan.seconds, phase.stop_s + float(rng.uniform(0.2, 0.9))), 6),
                "text": f" {step.comment}",
                "error": False,
                "_error_desc": None,
                "duration_approx": round(float(rng.uniform(4, 20)), 3),
            }
        )
    data[-1] |= _LOST_COMMENT
    return {
        "take_name": plan.name,
        "take_uid": plan.uid,
        "task_id": plan.task.task_id,
        "task_name": plan.task.name,
        "commentary": f"{plan.name}/{uid('expert', plan.task.parent_name)}",
        "commentary_data": data,
    }


def _keysteps(plan: TakePlan, phases: tuple[Phase, ...]) -> Json:
    """Return a take's key steps: its phases, those that the task does not need too."""
    segments = []
    for phase in phases:
        step = _step(plan, phase)
        number = plan.task.steps.index(step) + 1
        segments.append(
            {
                "start_time": round(phase.start_s, 4),
                "end_time": round(phase.stop_s, 4),
                "step_id": number,
                "step_name": step.step_name,
                "step_description": f"{step.step_name}.",
                "is_essential": step.is_essential,
                "step_unique_id": plan.task.task_id * 100 + number,
            }
        )
    return {
        "take_uid": plan.uid,
        "take_name": plan.name,
        "scenario": plan.task.parent_name,
        "segments": segments,
    }


def _atomic_truth(entry: Json, item: Json) -> Json:
    return {
        "source": "atomic",
        "annotator": entry["annotator_id"],
        "time_s": item["timestamp"],
        "text": item["text"],
    }


def _comment_truth(entry: Json, item: Json) -> Json:
    return {
        "source": "commentary",
        "annotator": entry["commentary"].partition("/")[2],
        "time_s": item["video_time"],
        "text": item["text"].strip(),
    }
