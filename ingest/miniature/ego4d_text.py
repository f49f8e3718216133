"""What two generated annotators wrote of a generated Ego4D video, in the words of its guideline. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np

from sensorloom.ingest.miniature.ego4d_imu import LEAD_S
from sensorloom.ingest.miniature.ego4d_schedule import FRAMES_PER_S, Video
from sensorloom.ingest.miniature.seeding import generator
from sensorloom.ingest.miniature.spec import Truth
from sensorloom.ingest.miniature.wearer import Phase, Wearer

__all__ = ["movement_texts", "narration_entry", "text_truth"]

# Annotators are told to stamp within a second or two of what they tell of.
_LATENESS_S = 0.6

Entry = dict[str, Any]


def movement_texts(name: str, place: str) -> tuple[str, str]:
    """Return what the two annotators say of a movement; the second one says where."""
    return f"#C C {name}", f"#C C {name} in the {place}"


def narration_entry(seed: int, video: Video, wearer: Wearer) -> Entry:
    """Return the video's entry of `narration.json`: two passes, or the second alone."""
    passes = (2,) if "one-pass" in video.quirks else (1, 2)
    entry: Entry = {f"narration_pass_{number}": _pass(seed, video, wearer, number) for number in passes}
    return entry | {"status": "complete"}


def _pass(seed: int, video: Video, wearer: Wearer, number: int) -> Entry:
    rng = generator("ego4d", seed, video.number, "text", number)
    job = f"{video.uid[:8]}-{number:04d}"
    said = [
        _narration(job, _moment_s(rng, phase, video), _text(phase.name, video, number))
        for phase in wearer.phases
        if LEAD_S <= phase.start_s < LEAD_S + video.seconds - 1
    ]
    if number == 1:
        said += _odd_narrations(video, job)
        said.sort(key=lambda narration: narration["timestamp_sec"])
        if "disordered-narrations" in video.quirks:
            said[1], said[2] = said[2], said[1]
    end_s = round(video.seconds, 3)
    summaries = [
        _summary(job, 0.0, end_s, f"#C C was in the {video.plan.place}, {video.plan.scenarios[0].lower()}")
    ]
    if "reversed-summary" in video.quirks and number == 1:
        summaries.append(_summary(job, end_s, round(0.4 * end_s, 3), "#C C finished"))
    return {"narrations": said, "summaries": summaries}


def _moment_s(rng: np.random.Generator, phase: Phase, video: Video) -> float:
    middle_s = (phase.start_s + min(phase.stop_s, LEAD_S + video.seconds)) / 2 - LEAD_S
    return float(np.clip(middle_s + rng.uniform(-_LATENESS_S, _LATENESS_S), 0.0, video.seconds))


def _text(name: str, video: Video, number: int) -> str:
    """Return the phase's name as either annotator puts it."""
    text = movement_texts(name, video.plan.place)[number - 1]
    return text.replace("cup", "#unsure") if number == 1 and "unsure" in video.quirks else text


def _odd_narrations(video: Video, job: str) -> list[Entry]:
    middle_s, quirks = round(0.52 * video.seconds, 4), video.quirks
    odd = {
        "other-person": _narration(job, middle_s, "#O man X walks past"),
        "summary-tag": _narration(job, middle_s, f"#summary #C C was in the {video.plan.place}"),
        "late-narration": _narration(job, video.seconds + 3.0, "#C C walks away"),
    }
    return [narration for quirk, narration in odd.items() if quirk in quirks]


def _narration(job: str, time_s: float, text: str) -> Entry:
    return {
        "timestamp_sec": time_s,
        "timestamp_frame": round(time_s * FRAMES_PER_S),
        "_unmapped_timestamp_sec": time_s + 0.021,
        "narration_text": text,
        "annotation_uid": job,
    }


def _summary(job: str, start_s: float, end_s: float, text: str) -> Entry:
    return {
        "start_sec": start_s,
        "end_sec": end_s,
        "summary_text": text,
        "_unmapped_start_sec": start_s,
        "_unmapped_end_sec": end_s,
        "annotation_uid": job,
    }


def text_truth(entry: Entry, seconds: float) -> Truth:
    """Return how many texts there are to keep, and how many to drop for which reason."""
    passes = {name: told for name, told in entry.items() if name.startswith("narration_pass")}
    narrations = [(name, item) for name, told in passes.items() for item in told["narrations"]]
    summaries = [item for told in passes.values() for item in told["summaries"]]
    outside = sum(item["timestamp_sec"] > seconds for _, item in narrations)
    tagged = sum("#summary" in item["narration_text"] for _, item in narrations)
    reversed_ = sum(item["end_sec"] < item["start_sec"] for item in summaries)
    kept = [item for _, item in narrations if item["timestamp_sec"] <= seconds]
    return {
        "narrations": len(kept) - tagged,
        "narrations_by_pass": {name: len(told["narrations"]) for name, told in passes.items()},
        "unsure": sum("#unsure" in item["narration_text"] for item in kept),
        "of_others": sum("#O" in item["narration_text"] for item in kept),
        "summaries": len(summaries) - reversed_ + tagged,
        "dropped": {"text-outside": outside, "summary-reversed": reversed_},
    }
