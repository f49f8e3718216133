"""Contender: the vectors of a film's frames, by this project's pipeline, or by a bare loop over ready tensors.

The model is open_clip's ViT-B-32 with random weights of one seed: none can be downloaded here, and speed does not
depend on them. `ours` reads the file, makes the frame facts, encodes and normalises; `bare` has its batches ready,
normalised, in the memory of its device, and only encodes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from embed_decode import EVERY, SIDE_PX
from harness import emit, stopwatch

from sensorloom.embed.clip import identify, load_encoder
from sensorloom.embed.devices import resolve_device
from sensorloom.embed.encoder import Encoder, EncoderSpec
from sensorloom.embed.frames import CameraFrames
from sensorloom.embed.pipeline import embed_cameras
from sensorloom.embed.preprocess import decode_px, to_tower
from sensorloom.embed.works import CameraWork
from sensorloom.ingest.video import decode_frames, read_video_table

MODEL = "ViT-B-32"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def no_file(path: Path) -> str:
    raise AssertionError(f"random weights have no file, and {path} was asked for")


def camera(film: Path, frames: int) -> CameraWork:
    table = read_video_table(film, film.name)
    pts = table.pts[::EVERY][:frames].copy()
    return CameraWork(CameraFrames("ego", "ego", film.name, "448", table.time_base, pts), film)


def encode_ours(encoder: Encoder, work: CameraWork, numbers: dict[str, float]) -> np.ndarray:
    with stopwatch(numbers, "seconds"):
        (made,) = embed_cameras([work], encoder, "swscale", wants_facts=True)
    assert made.valid.all()
    return made.vectors.astype(np.float32)


def encode_bare(
    encoder: Encoder, work: CameraWork, numbers: dict[str, float], device_name: str
) -> np.ndarray:
    """Build the model anew with plain open_clip; `encoder` only says which, and how many at once."""
    import open_clip

    precision, size, device = encoder.identity.spec.precision, encoder.batch_size, resolve_device(device_name)
    torch.manual_seed(0)
    model = open_clip.create_model(MODEL, precision=precision).to(device).eval()
    ready = tensors(encoder, work).to(DTYPES[precision])
    batches = [ready[first : first + size].to(device) for first in range(0, len(ready), size)]
    with torch.inference_mode():
        model.encode_image(batches[0])
        if device.type == "cuda":
            torch.cuda.synchronize()
        with stopwatch(numbers, "seconds"):
            vectors = torch.cat([model.encode_image(batch) for batch in batches]).float().cpu()
    return torch.nn.functional.normalize(vectors, dim=1).numpy()


def tensors(encoder: Encoder, work: CameraWork) -> torch.Tensor:
    """Return the pictures of all frames, float32[n, 3, 224, 224], less the mean and over the spread."""
    preprocess = encoder.identity.preprocess
    pixels = np.zeros((len(work.frames.pts), SIDE_PX, SIDE_PX, 3), np.uint8)
    short_px = decode_px(preprocess, "swscale")
    for row, frame in decode_frames(work.path, work.path.name, work.frames.pts, short_side_px=short_px):
        pixels[row] = to_tower(frame.rgb, preprocess, "swscale")
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (preprocess.mean, preprocess.std))
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255) - mean) / std


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", choices=("ours", "bare"), required=True)
    parser.add_argument("--film", type=Path, required=True)
    parser.add_argument("--frames", type=int, required=True, help="how many, a multiple of the batch size")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--precision", choices=DTYPES, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    identity = identify(EncoderSpec(MODEL, "random:0", arguments.precision), sha256_of=no_file)
    encoder = load_encoder(identity, device=arguments.device, batch_size=arguments.batch)
    encoder.encode_images(np.zeros((arguments.batch, SIDE_PX, SIDE_PX, 3), np.uint8))
    numbers: dict[str, float] = {}
    work = camera(arguments.film, arguments.frames)
    if arguments.side == "ours":
        vectors = encode_ours(encoder, work, numbers)
    else:
        vectors = encode_bare(encoder, work, numbers, arguments.device)
    np.save(arguments.work / "vectors.npy", vectors)
    emit({**numbers, "vectors": len(vectors)})


if __name__ == "__main__":
    main()
