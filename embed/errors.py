"""What can go wrong between an aligned take and its vectors.

SensorloomError
└── EmbedError
    ├── EncoderError     an encoder is unknown, its weights are missing, broken or not those asked for
    ├── VectorError      an encoder gave vectors that may not be kept: not finite, zero, of another width
    └── DeviceError      the device asked for is not there, or too small for a single picture
"""

from __future__ import annotations

from sensorloom import SensorloomError

__all__ = ["DeviceError", "EmbedError", "EncoderError", "VectorError"]


class EmbedError(SensorloomError):
    """Pictures or texts cannot be embedded as asked."""


class EncoderError(EmbedError):
    """An encoder cannot be identified or loaded; the message lists what there is."""


class VectorError(EmbedError):
    """Vectors that an encoder gave are not fit to be kept; nothing of them is written."""


class DeviceError(EmbedError):
    """The device cannot do the work."""
