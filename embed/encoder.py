"""What every frozen encoder of pictures and texts is to the rest: a width, a fingerprint, two functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sensorloom.embed.preprocess import Preprocess, ResizeMode

__all__ = ["Encoder", "EncoderSpec", "Identity", "Precision"]

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """Which encoder is asked for.

    `model` is a name that open_clip knows, `local-dir:FOLDER`, or `generated` (the tiny model that this project
    trained on generated pictures); `pretrained` a tag of the model, the path of a weights file, or `random[:SEED]`.
    `mode` None is the model's own way to resize.
    """

    model: str
    pretrained: str = ""
    precision: Precision = "fp32"
    mode: ResizeMode | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What can be told of an encoder without loading it: its default `name`, its width and what its vectors depend on.

    `fingerprint` is flat JSON by field: `weights` (sha256 of the weights' bytes), `architecture`, `preprocessing`,
    `precision`, `normalisation`, `tokenizer`. Equal fingerprints give equal vectors, to a stated tolerance.
    """

    spec: EncoderSpec
    name: str
    dim: int
    preprocess: Preprocess
    fingerprint: Mapping[str, Any]


class Encoder(Protocol):
    """A frozen encoder, loaded on a device.

    What it returns is not normalised: pooling needs the norms [methods §1.2].
    """

    @property
    def identity(self) -> Identity:
        """What the encoder is."""

    @property
    def batch_size(self) -> int:
        """Pictures of one forward pass; the last batch is padded to it.

        On a GPU it is found by trial where none is asked for (`embed.batch_size`), and where memory runs out it is
        halved. Another batch size changes the lowest bits of vectors.
        """

    def encode_images(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode pictures uint8[n, H, W, 3], resized and cropped, to float32[n, D]; n may be 0 or any number.

        A row depends on its picture and the batch size alone, not on what else is in the batch.
        """

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to float32[n, D], each cut to the tower's tokens (77 of CLIP), begin and end among them."""
