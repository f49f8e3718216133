"""From a configuration and the facts of a stream to a model: which encoder, which objective, which columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sensorloom.training.configs import (
    AlignmentConfig,
    AllPairsConfig,
    CrosslConfig,
    EncoderConfig,
    JepaConfig,
    MultitaskConfig,
    PrimusConfig,
    RunConfig,
    SimClrConfig,
    SupervisedConfig,
)
from sensorloom.training.errors import RecipeError, RunError
from sensorloom.training.facts import StreamFacts, facts_of, take_numbers
from sensorloom.training.models.cnn_gru import EMBEDDING_SIZE, CnnGru
from sensorloom.training.models.crossl_aggregator import AttentionAggregator, FlattenAggregator
from sensorloom.training.models.crossl_tcn import ModalityEncoders
from sensorloom.training.models.jepa import JepaEncoder, JepaPredictor
from sensorloom.training.models.jepa_tokens import TokenGrid
from sensorloom.training.models.mocap import Coordinates, mocap_rnn, mocap_transformer
from sensorloom.training.models.primus import PrimusEncoder
from sensorloom.training.models.projected import of_width
from sensorloom.training.models.slots import SlotMean
from sensorloom.training.models.tpn import TPN_SIZE, Tpn
from sensorloom.training.models.transformer import SignalTransformer
from sensorloom.training.objectives.all_pairs import AllPairs
from sensorloom.training.objectives.clip_alignment import ClipAlignment
from sensorloom.training.objectives.crossl import CroSSL
from sensorloom.training.objectives.jepa import Jepa, SemanticTerm
from sensorloom.training.objectives.multitask import Multitask
from sensorloom.training.objectives.primus import Primus, PrimusSettings, PrimusWeights
from sensorloom.training.objectives.simclr import SimClr
from sensorloom.training.objectives.supervised import Supervised
from sensorloom.training.stream import TripletStream
from sensorloom.training.terms.augment import CHAINS, Augmentation
from sensorloom.training.terms.modalities import Source

__all__ = [
    "balanced_weights",
    "build_encoder",
    "build_for",
    "build_objective",
    "build_supervised",
    "build_unbound",
    "columns_for",
]

_REPO_SHARE = 0.5
"""Of the weights of PRIMUS's terms in its published code [methods §1.3]."""


def columns_for(config: RunConfig) -> tuple[str, ...]:
    """Return the columns of the stream that the objective of `config` learns from."""
    match config:
        case PrimusConfig():
            return ("imu", *_names(config.teachers))
        case AlignmentConfig():
            return ("imu", *_names(config.partners))
        case AllPairsConfig():
            return tuple(dict.fromkeys(("imu", *_names(config.modalities))))
        case JepaConfig():
            return ("imu", "imu_valid") if config.semantic == "none" else ("imu", "imu_valid", "text")
        case _:
            return ("imu",)


def build_for(config: RunConfig, stream: TripletStream) -> nn.Module:
    """Return the objective of `config` to train on `stream`, opened with `columns_for(config)`.

    Raises RunError if labels are needed and there are none, if there is but one window to hold against others, and
    what `build_objective` raises.
    """
    facts = facts_of(stream)
    if not isinstance(config, SupervisedConfig):
        if stream.num_examples < 2:
            raise RunError(
                f"split {stream.split!r} of view {stream.view!r} has 1 window; training without labels holds windows "
                "against each other, so it needs 2 at least, and thousands to learn from"
            )
        return build_objective(
            config, facts, take_numbers(stream) if isinstance(config, PrimusConfig) else None
        )
    if stream.labels is None or not facts.classes:
        raise RunError(f"split {stream.split!r} of view {stream.view!r} has no labels to learn")
    classes = len(facts.classes)
    weights = balanced_weights(stream.labels, classes) if config.class_weights == "balanced" else None
    return build_supervised(config, facts.window_shape[2], classes, weights)


def build_objective(config: RunConfig, facts: StreamFacts, take_of: Tensor | None = None) -> nn.Module:
    """Return the objective of `config` for a stream of these facts, opened with `columns_for(config)`.

    `take_of` are the `take_numbers` of the split, which PRIMUS keeps neighbours apart by. Raises WindowShapeError if
    the windows do not fit the encoder.
    """
    match config:
        case SupervisedConfig():
            return build_supervised(config, facts.window_shape[2], len(facts.classes))
        case PrimusConfig():
            return _primus(config, facts, take_of)
        case AlignmentConfig():
            return _alignment(config, facts)
        case AllPairsConfig():
            sources = _sources(_names(config.modalities), facts)
            encoders = _encoders(config, facts, sources)
            return AllPairs(encoders, sources)
        case SimClrConfig():
            return _simclr(config, facts)
        case MultitaskConfig():
            encoder, size = _over_slots(config, facts)
            return Multitask(encoder, size, config.head_rows)
        case CrosslConfig():
            return _crossl(config, facts)
        case JepaConfig():
            return _jepa(config, facts)
    raise RecipeError(f"no objective is known for {config!r}")


def build_unbound(config: RunConfig, facts: StreamFacts) -> nn.Module:
    """Return the objective of `config` to embed windows by, bound to no split: PRIMUS's knows no takes.

    It can hold the weights of a run, or begin without any. Raises as `build_objective`.
    """
    no_takes = torch.empty(0, dtype=torch.int64) if isinstance(config, PrimusConfig) else None
    return build_objective(config, facts, no_takes)


def build_encoder(config: EncoderConfig, samples: int) -> nn.Module:
    """Return the configured encoder for windows float32[B, 6, samples].

    Raises WindowShapeError if they do not fit it.
    """
    if config.encoder == "transformer":
        return SignalTransformer(
            config.transformer_size, samples=samples, patch=config.patch, residual=config.residual
        )
    return CnnGru(config.gru_axis, config.pooling) if config.encoder == "cnn-gru" else Tpn()


def build_supervised(
    config: EncoderConfig, samples: int, num_classes: int, class_weights: Tensor | None = None
) -> Supervised:
    """Return a classifier of `num_classes` over windows float32[B, S, 6, samples]."""
    encoder = SlotMean(build_encoder(config, samples))
    return Supervised(encoder, _size_of(config), num_classes, class_weights)


def balanced_weights(labels: NDArray[np.int64], num_classes: int) -> Tensor:
    """Return weights float32[num_classes] = n / (classes present · count), 0 for a class that never occurs.

    Over the n labelled rows they average to 1, as scikit-learn's `class_weight="balanced"`.
    """
    counts = np.bincount(labels[labels >= 0], minlength=num_classes).astype(np.float64)
    present = np.count_nonzero(counts)
    weights = np.divide(counts.sum(), present * counts, out=np.zeros_like(counts), where=counts > 0)
    return torch.from_numpy(weights.astype(np.float32))


def _primus(config: PrimusConfig, facts: StreamFacts, take_of: Tensor | None) -> Primus:
    width = _width(facts)
    encoder, size = _over_slots(config, facts)
    share = _REPO_SHARE if config.preset == "repo" else 1.0
    weights = (config.ss, config.mm, config.nn_imu, config.nn_teacher)
    settings = PrimusSettings(
        _sources(_names(config.teachers), facts),
        config.preset,
        PrimusWeights(*(share * weight for weight in weights)),
        config.queue_length,
        width,
    )
    two_heads = PrimusEncoder(of_width(encoder, size, width), width, config.head)
    return Primus(two_heads, Augmentation(CHAINS[config.preset], config.preset), settings, take_of)


def _alignment(config: AlignmentConfig, facts: StreamFacts) -> ClipAlignment:
    partners = _sources(_names(config.partners), facts)
    if facts.vector_size is None:
        facts = replace(facts, vector_size=config.embedding_size)
    encoders = _encoders(config, facts, {"imu": Source("imu"), **partners})
    return ClipAlignment(
        encoders["imu"], partners, mocap_encoder=encoders.get("mocap"), temperature=config.temperature
    )


def _simclr(config: SimClrConfig, facts: StreamFacts) -> SimClr:
    encoder, size = _over_slots(config, facts)
    if config.form == "primus":
        augment = Augmentation(CHAINS[config.preset], config.preset)
        return SimClr(encoder, nn.Linear(size, size), augment, config.form, config.preset)
    layers = (nn.Linear(size, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 50))
    return SimClr(encoder, nn.Sequential(*layers), Augmentation(("rotate",)), config.form, config.preset)


def _crossl(config: CrosslConfig, facts: StreamFacts) -> CroSSL:
    encoders = ModalityEncoders(facts.window_shape[0], divisor=config.divisor)
    aggregator: nn.Module
    if config.aggregator == "attention":
        aggregator = AttentionAggregator(encoders.modalities)
    else:
        aggregator = FlattenAggregator(encoders.modalities, mask_token=config.mask_token)
    return CroSSL(encoders, aggregator, preset=config.preset, masking=config.masking, keep=config.keep)


def _jepa(config: JepaConfig, facts: StreamFacts) -> Jepa:
    slots, _, samples = facts.window_shape
    encoder = JepaEncoder(TokenGrid(slots, samples, config.patch, config.unit))
    semantic = None
    if config.semantic != "none":
        semantic = SemanticTerm(config.semantic, config.semantic_weight, config.semantic_ramp, _width(facts))
    return Jepa(encoder, JepaPredictor(encoder), semantic=semantic, local_weight=config.local_weight)


def _encoders(
    config: EncoderConfig, facts: StreamFacts, sources: Mapping[str, Source]
) -> dict[str, nn.Module]:
    """Return the encoders of IMU and mocap among the sources, all of the width of the frozen vectors there are."""
    columns = {source.column for source in sources.values()}
    width = _width(facts)
    encoders: dict[str, nn.Module] = {}
    if "imu" in columns:
        encoders["imu"] = of_width(*_over_slots(config, facts), width)
    if "mocap" in columns:
        encoders["mocap"] = of_width(_mocap(config, facts), EMBEDDING_SIZE, width)
    return encoders


def _mocap(config: EncoderConfig, facts: StreamFacts) -> nn.Module:
    """Return the encoder of poses; the published reader of AURA has a 1 in the place of z [methods §0 row 11]."""
    coordinates: Coordinates = "xy1" if config.preset == "repo" else "xyz"
    if config.encoder == "transformer":
        rows = facts.mocap_rows or 0
        return mocap_transformer(
            config.transformer_size, rows=rows, residual=config.residual, coordinates=coordinates
        )
    return mocap_rnn(config.gru_axis, coordinates=coordinates)


def _over_slots(config: EncoderConfig, facts: StreamFacts) -> tuple[nn.Module, int]:
    """Return the encoder of windows [B, S, 6, T] and the size of its embedding."""
    return SlotMean(build_encoder(config, facts.window_shape[2])), _size_of(config)


def _size_of(config: EncoderConfig) -> int:
    return TPN_SIZE if config.encoder == "tpn" else EMBEDDING_SIZE


def _width(facts: StreamFacts) -> int:
    return facts.vector_size or EMBEDDING_SIZE


def _sources(names: tuple[str, ...], facts: StreamFacts) -> dict[str, Source]:
    """Return where each modality comes from: of several slots one at random, anew each time [methods §2.5]."""
    slots = {"text": facts.text_slots, "video": facts.video_slots}
    return {
        name: Source(name, ("random" if slots[name] > 1 else 0) if name in slots else None)  # type: ignore[arg-type]
        for name in names
    }


def _names(setting: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in setting.split(","))
