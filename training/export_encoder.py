"""The encoder of a finished run as one file that runs without this project: TorchScript, or ONNX.

It takes a batch of windows and which sensors are there (of a JEPA which samples too), and gives what `embed` gives as
"imu". What it is, what it expects and in which units stands inside, as JSON (`describe`).

Axes: B examples · S sensor slots · C six channels · T samples · K two sensors of a slot · D embedding.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sensorloom import __version__
from sensorloom.ingest.take import counted
from sensorloom.training.batch import Batch
from sensorloom.training.checkpoint import weights_digest
from sensorloom.training.encoder_endings import check_ending
from sensorloom.training.errors import RunError
from sensorloom.training.evaluate import BEST
from sensorloom.training.loaded import LoadedRun, open_split
from sensorloom.training.objective import embed
from sensorloom.training.objectives.jepa import Jepa
from sensorloom.training.objectives.supervised import Supervised
from sensorloom.training.replacing import replacing

__all__ = ["METADATA", "ImuEmbedding", "describe", "export_encoder"]

METADATA = "sensorloom.json"
"""The name of the metadata inside of the file: an extra file of TorchScript, a property of ONNX."""
_VERSION = 2
"""Since 2 the file takes what `arguments` names, in that order; before, `imu` and `imu_present` of any encoder."""
_CHANNELS = tuple(
    {"sensor": sensor, "axis": axis, "unit": unit}
    for sensor, unit in (("accelerometer", "m/s^2"), ("gyroscope", "rad/s"))
    for axis in "xyz"
)
_INPUTS = ["imu", "imu_present", "imu_valid"]
_TRACED, _CHECKED = 2, (1, 3)
_TOLERANCE = 1e-5


class ImuEmbedding(nn.Module):
    """What an objective embeds windows to, alone: (imu_BSCT, imu_present_BSK) → [B, D].

    Unit vectors, as `embed` gives them; of a classifier the embedding before its head, as it is. A JEPA, which leaves
    out patches with a sample that is not there, takes imu_valid_BSKT as well (`takes_valid`).
    """

    def __init__(self, objective: nn.Module) -> None:
        super().__init__()
        self.objective = objective
        self.takes_valid = isinstance(objective, Jepa)

    def forward(
        self, imu_BSCT: Tensor, imu_present_BSK: Tensor, imu_valid_BSKT: Tensor | None = None
    ) -> Tensor:
        """Return [B, D] of windows float32[B, S, 6, T] with presence bool[B, S, 2] and validity bool[B, S, 2, T]."""
        if isinstance(self.objective, Supervised):
            classified_BD: Tensor = self.objective.encoder(imu_BSCT, imu_present_BSK)
            return classified_BD
        return embed(self.objective, _sensors_alone(imu_BSCT, imu_present_BSK, imu_valid_BSKT))["imu"][0]


def export_encoder(loaded: LoadedRun, path: Path) -> dict[str, Any]:
    """Write the encoder of a run to `path`, whole or not at all, and return its metadata with "bytes" and "sha256".

    A path that ends in `.pt` gets TorchScript, one in `.onnx` ONNX, which needs the extra `onnx`. What is written was
    compared with the run's own model on batches of other sizes than the one it was traced with. Raises RunError if it
    differs, or if the file cannot be written; RecipeError for a path that ends otherwise.
    """
    write = {".pt": _torchscript, ".onnx": _onnx}[check_ending(path)]
    metadata = describe(loaded)
    model = ImuEmbedding(loaded.objective).eval()
    _, slots, _, samples = metadata["inputs"]["imu"]["shape"]
    with warnings.catch_warnings(), torch.no_grad():
        # Tracing warns of every comparison of shapes; and TorchScript of its age.
        warnings.simplefilter("ignore")
        content = write(model, metadata, _windows(_TRACED, slots, samples, valid=model.takes_valid))
    _write(path, content)
    return {**metadata, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def describe(loaded: LoadedRun) -> dict[str, Any]:
    """Return what a user of the encoder must know, as plain JSON values: inputs with units, output, origin."""
    config = loaded.record.config
    stream = open_split(loaded, config.view, config.train_split)
    slots, channels, samples = stream.window_shape
    rate_hz = stream.rate_hz
    model = ImuEmbedding(loaded.objective).eval()
    with torch.no_grad():
        example = _windows(1, slots, samples, valid=model.takes_valid)
        size = model(*example).shape[1]
    return {
        "format": "sensorloom encoder",
        "version": _VERSION,
        "arguments": _INPUTS[: len(example)],
        "inputs": {
            "imu": {
                "dtype": "float32",
                "shape": ["B", slots, channels, samples],
                "slots": list(stream.slots),
                "channels": [dict(channel) for channel in _CHANNELS],
                "rate_hz": rate_hz,
                "length_s": samples / rate_hz if rate_hz else None,
                "missing": "0 at samples that are not there; acceleration is with gravity",
            },
            "imu_present": {
                "dtype": "bool",
                "shape": ["B", slots, 2],
                "sensors": ["accelerometer", "gyroscope"],
                "missing": "false for a sensor that is not there: what imu holds for it then plays no part",
            },
            **(_valid(slots, samples) if model.takes_valid else {}),
        },
        "output": {
            "dtype": "float32",
            "shape": ["B", size],
            "unit_length": not isinstance(loaded.objective, Supervised),
            "device": "cpu",
        },
        "recipe": config.recipe,
        "objective": config.objective,
        "preset": config.preset,
        "unfinished": loaded.unfinished,
        "view": config.view,
        "snapshot_id": loaded.record.snapshot_id,
        "vectors_of": None if loaded.vectors_of is None else dict(loaded.vectors_of),
        "weights_sha256": weights_digest(loaded.run_dir / BEST),
        "sensorloom": __version__,
        "torch": torch.__version__,
    }


def _valid(slots: int, samples: int) -> dict[str, Any]:
    return {
        "imu_valid": {
            "dtype": "bool",
            "shape": ["B", slots, 2, samples],
            "sensors": ["accelerometer", "gyroscope"],
            "missing": "false at samples that are not there: patches with one then play no part",
        }
    }


def _sensors_alone(imu_BSCT: Tensor, imu_present_BSK: Tensor, imu_valid_BSKT: Tensor | None) -> Batch:
    """Return a batch of sensors and nothing else, unchecked: while tracing, sizes are tensors that do not compare."""
    batch = object.__new__(Batch)
    given = {
        "index_B": imu_present_BSK[:, 0, 0].to(torch.int64),
        "imu_BSCT": imu_BSCT,
        "imu_present_BSK": imu_present_BSK,
        "imu_valid_BSKT": imu_valid_BSKT,
    }
    for item in fields(Batch):
        object.__setattr__(batch, item.name, given.get(item.name))
    return batch


def _windows(count: int, slots: int, samples: int, *, valid: bool) -> tuple[Tensor, ...]:
    """Return made-up windows of some seconds of motion, of which the later ones lack a sensor or all.

    With `valid` there is a gap of some samples in one sensor of each, told by a third tensor.
    """
    noise = torch.Generator().manual_seed(count)
    imu_BSCT = torch.randn(count, slots, len(_CHANNELS), samples, generator=noise)
    imu_present_BSK = torch.ones(count, slots, 2, dtype=torch.bool)
    imu_present_BSK[1:, 0, 1] = False
    imu_present_BSK[2:] = False
    if not valid:
        return imu_BSCT, imu_present_BSK
    imu_valid_BSKT = imu_present_BSK[..., None].repeat(1, 1, 1, samples)
    imu_valid_BSKT[:, -1, 0, samples // 3 : samples // 2] = False
    return imu_BSCT, imu_present_BSK, imu_valid_BSKT


def _torchscript(model: ImuEmbedding, metadata: Mapping[str, Any], example: tuple[Tensor, ...]) -> bytes:
    traced = torch.jit.freeze(torch.jit.trace(model, example, check_trace=False))  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer, _extra_files={METADATA: _text(metadata)})
    buffer.seek(0)
    _check_alike(model, torch.jit.load(buffer), example)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def _onnx(model: ImuEmbedding, metadata: Mapping[str, Any], example: tuple[Tensor, ...]) -> bytes:
    from onnxruntime import InferenceSession

    batch = torch.export.Dim("B", min=1)
    program = torch.onnx.export(
        model,
        example,
        dynamo=True,
        dynamic_shapes=tuple({0: batch} for _ in example),
        input_names=_INPUTS[: len(example)],
        output_names=["embedding"],
        verbose=False,
    )
    assert program is not None  # noqa: S101 - for the type checker: None is of an export straight to a file
    program.model.metadata_props[METADATA] = _text(metadata)
    content: bytes = program.model_proto.SerializeToString()
    session = InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(*windows: Tensor) -> Tensor:
        given = {name: each.numpy() for name, each in zip(_INPUTS, windows, strict=False)}
        return torch.from_numpy(session.run(None, given)[0])

    _check_alike(model, run, example)
    return content


def _check_alike(model: nn.Module, other: Callable[..., Tensor], example: tuple[Tensor, ...]) -> None:
    _, slots, _, samples = example[0].shape
    for count in _CHECKED:
        windows = _windows(count, slots, samples, valid=len(example) > 2)
        gap = (other(*windows) - model(*windows)).abs().max().item()
        if not gap <= _TOLERANCE:
            raise RunError(
                f"the exported encoder gives other numbers than the run for {counted(count, 'window')}: they differ "
                f"by {gap:g} and may by {_TOLERANCE:g}; nothing was written"
            )


def _text(metadata: Mapping[str, Any]) -> str:
    return json.dumps(metadata, ensure_ascii=False, allow_nan=False, default=str)


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error}; make room or choose another place") from error
