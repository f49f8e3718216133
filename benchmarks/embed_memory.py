"""Contender: this project's pipeline over a film, with a stand-in for the model, for its peak memory alone.

The stand-in takes batches of 32 pictures of 224 px as ViT-B-32 does, and gives means of colour: memory of decoding,
waiting batches and results is what is measured.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from harness import emit

from sensorloom.embed.encoder import EncoderSpec, Identity
from sensorloom.embed.frames import CameraFrames
from sensorloom.embed.pipeline import embed_cameras
from sensorloom.embed.preprocess import Preprocess
from sensorloom.embed.works import CameraWork
from sensorloom.ingest.video import read_video_table

SIDE_PX, DIM, EVERY = 224, 512, 3


class MeanColours:
    """An `Encoder` whose vectors are sums of the picture's colours over stripes."""

    batch_size = 32
    identity = Identity(
        EncoderSpec("stand-in"),
        "stand-in",
        DIM,
        Preprocess(SIDE_PX, SIDE_PX, "shortest", "bicubic", (0.5,) * 3, (0.5,) * 3),
        {},
    )

    def encode_images(self, pixels: np.ndarray) -> np.ndarray:
        flat = pixels.reshape(len(pixels), -1)[:, : DIM * (SIDE_PX * SIDE_PX * 3 // DIM)]
        return flat.reshape(len(pixels), DIM, -1).mean(axis=2, dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--film", type=Path, required=True)
    parser.add_argument("--work", required=True)
    arguments = parser.parse_args()
    film = arguments.film
    table = read_video_table(film, film.name)
    frames = CameraFrames("ego", "ego", film.name, "448", table.time_base, table.pts[::EVERY].copy())
    (made,) = embed_cameras([CameraWork(frames, film)], MeanColours(), "swscale", wants_facts=True)
    emit({"vectors": int(made.valid.sum()), "frames": len(frames.pts)})


if __name__ == "__main__":
    main()
