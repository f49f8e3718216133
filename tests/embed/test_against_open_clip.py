"""The whole way from a film to vectors equals a plain open_clip loop over PIL pictures, whatever the film is like.

The model is small and its weights are random; vectors of different pictures still differ by far more than allowed here.
"""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from sensorloom.embed.clip import identify, load_encoder
from sensorloom.embed.encoder import Encoder, EncoderSpec
from sensorloom.embed.frames import CameraFrames
from sensorloom.embed.pipeline import embed_cameras
from sensorloom.embed.vectors import agree
from sensorloom.embed.works import CameraVectors, CameraWork
from sensorloom.ingest.video import read_video_table
from tests.embed.filmed_takes import sha256
from tests.embed.tiny_clip import write_model

EVERY = 3
LEAST_COSINE = 0.9999


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_model(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(folder) -> Encoder:
    torch.set_num_threads(1)
    return load_encoder(
        identify(EncoderSpec(f"local-dir:{folder}"), sha256_of=sha256), device="cpu", batch_size=16
    )


@pytest.fixture(scope="module")
def plain(folder):
    """Encode one PIL picture after the other, as open_clip's own examples do."""
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()

    def encode(pictures: list[Image.Image]) -> np.ndarray:
        with torch.no_grad():
            vectors = [
                model.encode_image(preprocess(picture)[None], normalize=True)[0] for picture in pictures
            ]
        return torch.stack(vectors).numpy()

    return encode


def plain_pictures(path: Path, turns: int = 0) -> dict[int, Image.Image]:
    """Decode every frame in order, upright."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        frames = {frame.pts: frame.to_ndarray(format="rgb24") for frame in container.decode(stream)}
    return {pts: Image.fromarray(np.ascontiguousarray(np.rot90(rgb, turns))) for pts, rgb in frames.items()}


def embedded(path: Path, encoder: Encoder, backend: str = "pil") -> CameraVectors:
    table = read_video_table(path, path.name)
    frames = CameraFrames("cam", "ego", path.name, "448", table.time_base, table.pts[::EVERY].copy())
    (camera,) = embed_cameras([CameraWork(frames, path)], encoder, backend, wants_facts=False)
    return camera


def check(path: Path, encoder: Encoder, plain, turns: int = 0) -> None:
    camera = embedded(path, encoder)
    assert camera.valid.all()
    pictures = plain_pictures(path, turns)
    expected = plain([pictures[pts] for pts in camera.frames.pts.tolist()])
    assert agree(expected, camera.vectors) >= LEAST_COSINE
    # A bare cosine proves nothing: neighbours must be told apart, or at least the first frame from the last.
    assert float(expected[0] @ expected[-1]) < 1 - 2 * (1 - LEAST_COSINE)


@pytest.mark.parametrize("name", ["nasa_13013.mp4", "h265_video.mp4", "h264_10bits.mp4"])
def test_real_films(real_data, encoder, plain, name):
    """29.97 frames/s with B-frames and two video streams; HEVC; 10 bits a colour."""
    check(real_data / "video" / name, encoder, plain)


def write_film(path: Path, width: int, height: int, rate: Fraction, b_frames: int) -> None:
    """Write 60 frames of drifting blots."""
    rng = np.random.default_rng(width * height)
    blots = rng.integers(0, 256, (height // 6 + 12, width // 6 + 12, 3), np.uint8).repeat(6, 0).repeat(6, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p" if width % 2 else "yuv420p"
        stream.options = {"bf": str(b_frames), "crf": "20"}
        for index in range(60):
            picture = np.ascontiguousarray(blots[index % 60 : index % 60 + height, index : index + width])
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


@pytest.mark.parametrize(
    ("width", "height", "rate", "b_frames"),
    [
        (101, 77, Fraction(30), 0),
        (64, 150, Fraction(30000, 1001), 2),
        (222, 50, Fraction(60), 3),
        (40, 30, Fraction(24), 2),  # smaller than the tower's picture
    ],
)
def test_generated_films_of_odd_sizes_and_rates(tmp_path, encoder, plain, width, height, rate, b_frames):
    path = tmp_path / "film.mp4"
    write_film(path, width, height, rate, b_frames)
    check(path, encoder, plain)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_film_that_a_display_matrix_turns(tmp_path, encoder, plain, degrees):
    path, turned = tmp_path / "film.mp4", tmp_path / "turned.mp4"
    write_film(path, 160, 96, Fraction(30), 2)
    turn_matrix(path, turned, degrees)
    with av.open(str(turned)) as container:
        rotation = next(container.decode(video=0)).rotation
    assert rotation % 360 == (360 - degrees) % 360 or rotation % 360 == degrees
    check(turned, encoder, plain, turns=round(rotation / 90) % 4)


def turn_matrix(path: Path, turned: Path, degrees: int) -> None:
    """Write the rotation into the track header, as a phone does."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    one = 1 << 16
    matrix = np.array(
        [cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30], ">i4"
    ).tobytes()
    plain_matrix = np.array([one, 0, 0, 0, one, 0, 0, 0, 1 << 30], ">i4").tobytes()
    content = path.read_bytes()
    header = content.index(b"tkhd")
    at = content.index(plain_matrix, header)
    shutil.copy(path, turned)
    with turned.open("r+b") as file:
        file.seek(at)
        file.write(matrix)


def test_the_fast_path_is_near_the_reference(real_data, encoder):
    """Far nearer than the next picture taken is; how near in general is measured on the golden pictures."""
    path = real_data / "video/nasa_13013.mp4"
    fast, slow = (
        embedded(path, encoder, backend).vectors.astype(np.float32) for backend in ("swscale", "pil")
    )
    apart = 1 - np.sum(fast * slow, axis=1)
    mixed = 1 - np.sum(slow * np.roll(slow, len(slow) // 2, axis=0), axis=1)
    assert apart.mean() < 0.01 * mixed.mean()
