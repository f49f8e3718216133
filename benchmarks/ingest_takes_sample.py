"""Generate one long Ego-Exo4D take, or many short Ego4D ones: copies of a few, each under an id of its own."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from harness import emit

from sensorloom.ingest.miniature.sample import SampleSpec, write_sample

MODELS = 5
SHORT_MINUTES = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("kind", choices=("long", "many"))
    parser.add_argument("amount", type=float, help="minutes of the long take, or how many")
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    shutil.rmtree(arguments.out, ignore_errors=True)
    if arguments.kind == "long":
        write_sample(arguments.out, SampleSpec(("egoexo4d",), takes=1, minutes=arguments.amount))
    else:
        model = arguments.work / "model"
        write_sample(model, SampleSpec(("ego4d",), takes=MODELS, minutes=SHORT_MINUTES))
        _multiply(model / "ego4d" / "v2", arguments.out / "ego4d" / "v2", int(arguments.amount))
    emit({})


def _multiply(model: Path, out: Path, count: int) -> None:
    """Write a tree of `count` takes of IMU and texts; the CSVs of one model are hard links to one file."""
    metadata = json.loads((model / "ego4d.json").read_text())
    narrations = json.loads((model / "annotations" / "narration.json").read_text())
    with_imu = [video for video in metadata["videos"] if _csv(model, video).exists()]
    (out / "imu").mkdir(parents=True)
    (out / "annotations").mkdir()
    videos, texts = [], {}
    for number in range(count):
        video = with_imu[number % len(with_imu)]
        uid = str(uuid.UUID(int=number))
        os.link(_csv(model, video), out / "imu" / f"{uid}.csv")
        videos.append(json.loads(json.dumps(video).replace(video["video_uid"], uid)))
        if video["video_uid"] in narrations:
            texts[uid] = narrations[video["video_uid"]]
    (out / "ego4d.json").write_text(json.dumps({**metadata, "videos": videos}))
    (out / "annotations" / "narration.json").write_text(json.dumps(texts))


def _csv(model: Path, video: dict[str, Any]) -> Path:
    return model / "imu" / f"{video['video_uid']}.csv"


if __name__ == "__main__":
    main()
