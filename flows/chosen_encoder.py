"""The frozen encoder that the configuration asks for. Needs neither a decoder nor a model to say so."""

from __future__ import annotations

from sensorloom.embed.encoder import EncoderSpec
from sensorloom.flows.config import Config
from sensorloom.flows.errors import ConfigError

__all__ = ["choose_spec", "named_spec"]

AUTO, GENERATED, USUAL = "auto", "generated", "ViT-B-32"


def choose_spec(config: Config, origins: frozenset[str]) -> EncoderSpec:
    """Return the encoder that `[embed]` asks for, for takes of these `origins` (`recorded`, `generated`).

    Raises `ConfigError` where recorded takes would be embedded with a model that nobody chose.
    """
    embed = config.embed
    model = embed.model
    if model == AUTO:
        model = USUAL if embed.pretrained else GENERATED
        if model == GENERATED and origins - {"generated"}:
            raise ConfigError(
                'no encoder is chosen. Recorded takes need one: set embed.pretrained (embed.pretrained = "openai" is'
                f' {USUAL} as published), or embed.model for another; embed.model = "{GENERATED}" is a toy that was'
                " trained on generated pictures"
            )
    mode = None if embed.mode == "model" else embed.mode
    return EncoderSpec(model=model, pretrained=embed.pretrained, precision=embed.precision, mode=mode)


def named_spec(config: Config) -> EncoderSpec | None:
    """Return the encoder that `[embed]` names, None where it names none."""
    try:
        return choose_spec(config, frozenset({"recorded"}))
    except ConfigError:
        return None
