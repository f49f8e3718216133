"""A run that goes on with the IMU encoder of another: the second stage of AURA-MFM [methods §2.6]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from sensorloom.training.carry import part_of_model
from sensorloom.training.checkpoint import load_checkpoint, weights_digest
from sensorloom.training.configs import AlignmentConfig, AllPairsConfig, EncoderConfig, RunConfig
from sensorloom.training.errors import NoRunError, RunError
from sensorloom.training.evaluate import BEST
from sensorloom.training.record import RunRecord, read_record

__all__ = ["begun", "take_encoder"]

_ENCODER = "encoders.imu."
_SHAPES: Mapping[str, tuple[str, ...]] = {
    "cnn-gru": ("encoder", "gru_axis", "pooling"),
    "transformer": ("encoder", "transformer_size", "patch", "residual"),
    "tpn": ("encoder",),
}
"""The settings that say what an encoder is, by its name."""


def begun(config: RunConfig) -> RunConfig:
    """Return `config` with the digest of the weights that it starts from, itself where it starts from none.

    Raises RunError if there are none, or others than it says.
    """
    if not isinstance(config, AlignmentConfig) or not config.start_from:
        return config
    best = Path(config.start_from) / BEST
    if not best.is_dir():
        raise RunError(
            f"start_from={config.start_from} holds no run with a finished epoch: there is no {best}"
        )
    found = weights_digest(best)
    if config.start_from_sha256 not in ("", found):
        raise RunError(
            f"the weights in {best} have the digest {found[:12]}, and start_from_sha256 says "
            f"{config.start_from_sha256[:12]}: they are not those that were meant; name the run that has them"
        )
    return replace(config, start_from_sha256=found)


def take_encoder(config: RunConfig, window_shape: tuple[int, int, int], objective: nn.Module) -> None:
    """Put the best weights of the IMU encoder of `start_from`, if it is given, into `objective`.

    Raises RunError if they are of an encoder that is built otherwise, or for other windows; CheckpointError if they
    are damaged.
    """
    if not isinstance(config, AlignmentConfig) or not config.start_from:
        return
    begun(config)
    folder = Path(config.start_from)
    try:
        record = read_record(folder)
    except NoRunError as error:
        raise NoRunError(f"start_from={config.start_from}: {error}") from error
    _check_alike(config, window_shape, record)
    weights = part_of_model(load_checkpoint(folder / BEST).tensors, _ENCODER)
    encoder = objective.get_submodule(_ENCODER.rstrip("."))
    _check_width(config, weights, encoder)
    encoder.load_state_dict(weights)


def _check_alike(config: AlignmentConfig, window_shape: tuple[int, int, int], record: RunRecord) -> None:
    theirs = record.config
    if not isinstance(theirs, AlignmentConfig | AllPairsConfig):
        raise RunError(
            f"start_from={config.start_from} is a run of {theirs.objective}; the first stage is one that aligns IMU "
            "with texts or video, as of the recipes aura-aad, aura-commentary and aura-video"
        )
    settings = {name: value for name, value in _settings_of(theirs).items() if getattr(config, name) != value}
    odd = [
        f"{name} is {value!r} there and {getattr(config, name)!r} here" for name, value in settings.items()
    ]
    if record.window_shape[1:] != tuple(window_shape[1:]):
        odd.append(f"windows are {list(record.window_shape)} there and {list(window_shape)} here")
    if odd:
        raise RunError(
            f"the IMU encoder of start_from={config.start_from} is built otherwise: {'; '.join(odd)}; give this run "
            f"its settings ({' '.join(f'{name}={value}' for name, value in settings.items())}) and a view of the same "
            "windows"
        )


def _check_width(config: AlignmentConfig, weights: Mapping[str, Tensor], encoder: nn.Module) -> None:
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    wanted = {name: tuple(weight.shape) for name, weight in encoder.state_dict().items()}
    if shapes != wanted:
        there = shapes.get("projection.weight", (512,))[0]
        raise RunError(
            f"the IMU encoder of start_from={config.start_from} ends in {there} numbers, those of the vectors that it "
            f"was aligned with, and this run's in {wanted.get('projection.weight', (512,))[0]}; set "
            f"embedding_size={there}, or build the view with vectors of the same encoder"
        )


def _settings_of(config: EncoderConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in _SHAPES[config.encoder]}
