"""A loaded CLIP model that encodes pictures and texts in batches of one size, the last one padded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorloom.embed.devices import DTYPES, default_batch_size, is_out_of_memory, needs_trial
from sensorloom.embed.encoder import Identity
from sensorloom.embed.errors import DeviceError
from sensorloom.ingest.take import check_array

__all__ = ["ClipEncoder", "Tower"]


class _Model(Protocol):
    def encode_image(self, image: Tensor) -> Tensor: ...

    def encode_text(self, text: Tensor) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Tower:
    """The two towers of a CLIP model in eval mode on their device, and the tokenizer that goes with them."""

    model: _Model
    tokenize: Callable[[list[str]], Tensor]
    device: torch.device


class ClipEncoder:
    """An `Encoder` over open_clip's towers. One thread at a time may use it.

    All passes have the same shape, so a row depends on its picture or text and the batch size alone; another batch size
    changes its lowest bits. Where memory runs out the batch size is halved for good and the batch tried again. On a GPU
    pictures go through two pinned buffers, one being filled while the other is copied and encoded: give several
    batches in one call. How much copying and computing overlap there was not measured.
    """

    def __init__(self, identity: Identity, tower: Tower, *, batch_size: int | None) -> None:
        """Take `batch_size`; without one the device's default, on a GPU found by trial from there downwards.

        A trial on a GPU that others use too finds less: give a batch size where the same bytes must come out. The CPU
        goes without, which would cost two full batches at every start.
        Raises `DeviceError` where not even a single picture fits.
        """
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self._identity = identity
        self._tower = tower
        self._host = _HostBatches(tower.device)
        self._mean, self._std = (
            torch.tensor(values, dtype=torch.float32, device=tower.device).view(1, 3, 1, 1)
            for values in (identity.preprocess.mean, identity.preprocess.std)
        )
        self._batch_size = batch_size or default_batch_size(tower.device)
        if batch_size is None and needs_trial(tower.device):
            self._try_batch_size()

    @property
    def identity(self) -> Identity:
        """What the encoder is."""
        return self._identity

    @property
    def batch_size(self) -> int:
        """Pictures or texts of one forward pass.

        Halving says nothing: whoever runs the encoder compares this with what it asked for, and tells.
        """
        return self._batch_size

    def encode_images(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode pictures uint8[n, H, W, 3] to float32[n, D], not normalised."""
        preprocess = self._identity.preprocess
        check_array("pixels", pixels, np.uint8, (None, preprocess.height_px, preprocess.width_px, 3))
        return self._encode(pixels, self._forward_pixels)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to float32[n, D], not normalised, each cut to the tower's tokens with the end token kept.

        A lone surrogate, which no UTF-8 has, counts as U+FFFD; control characters and line ends as spaces or nothing.
        """
        if not texts:
            return np.zeros((0, self._identity.dim), np.float32)
        return self._encode(self._tower.tokenize(list(texts)).numpy(), self._tower.model.encode_text)

    def _forward_pixels(self, pixels: Tensor) -> Tensor:
        """Do what torchvision's ToTensor and Normalize do, to the bit, then encode."""
        scaled = pixels.permute(0, 3, 1, 2).contiguous().to(torch.float32).div_(255)
        normalised = scaled.sub_(self._mean).div_(self._std)
        return self._tower.model.encode_image(normalised.to(DTYPES[self._identity.spec.precision]))

    def _encode(self, rows: NDArray[Any], forward: Callable[[Tensor], Tensor]) -> NDArray[np.float32]:
        parts: list[Tensor] = []
        first = 0
        while first < len(rows):
            part = self._encode_batch(rows[first : first + self._batch_size], forward)
            if part is None:
                self._halve()
                continue
            parts.append(part)
            first += len(part)
        if not parts:
            return np.zeros((0, self._identity.dim), np.float32)
        return torch.cat(parts).cpu().numpy()

    def _encode_batch(self, rows: NDArray[Any], forward: Callable[[Tensor], Tensor]) -> Tensor | None:
        """Encode one batch, padded with zeros to its size; None where memory does not suffice."""
        try:
            with torch.inference_mode():
                return forward(self._host.put(rows, self._batch_size))[: len(rows)].float()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None

    def _halve(self) -> None:
        """Halve the batch size, outside of the handler: what failed must be let go of first."""
        if self._batch_size == 1:
            preprocess = self._identity.preprocess
            raise DeviceError(
                f"{self._tower.device}: not enough memory for a single picture of {preprocess.width_px} by"
                f" {preprocess.height_px} px, or a single text, with {self._identity.name}; free memory, ask for bf16"
                " or fp16, or for a smaller model"
            )
        self._batch_size //= 2
        self._host.clear()
        if self._tower.device.type == "cuda":
            torch.cuda.empty_cache()

    def _try_batch_size(self) -> None:
        """Run both towers once at full size, so that memory runs out now rather than in the middle of a take."""
        preprocess = self._identity.preprocess
        self.encode_images(
            np.zeros((self._batch_size, preprocess.height_px, preprocess.width_px, 3), np.uint8)
        )
        self.encode_texts([""] * self._batch_size)


@dataclass(slots=True)
class _Slot:
    host: Tensor
    copied: torch.cuda.Event | None = None


class _HostBatches:
    """Batches of one size on their way to a device, in buffers that are used again."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._slots: dict[tuple[Any, ...], list[_Slot]] = {}

    def put(self, rows: NDArray[Any], size: int) -> Tensor:
        """Return `rows` [n, …] padded with zeros to [size, …] on the device; on the CPU valid until the next call."""
        slot = self._next_slot(rows, size)
        if slot.copied is not None:
            slot.copied.synchronize()
        host = slot.host.numpy()
        host[: len(rows)], host[len(rows) :] = rows, 0
        if self._device.type == "cpu":
            return slot.host
        batch = slot.host.to(self._device, non_blocking=True)
        slot.copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        slot.copied.record(torch.cuda.current_stream(self._device))
        return batch

    def clear(self) -> None:
        """Let go of all buffers."""
        self._slots.clear()

    def _next_slot(self, rows: NDArray[Any], size: int) -> _Slot:
        key = (size, *rows.shape[1:], rows.dtype)
        slots = self._slots.get(key)
        if slots is None:
            is_gpu = self._device.type == "cuda"
            template = torch.from_numpy(np.empty(0, rows.dtype))
            slots = self._slots[key] = [
                _Slot(torch.empty(key[:-1], dtype=template.dtype, pin_memory=is_gpu))
                for _ in range(1 + is_gpu)
            ]
        slots.append(slots.pop(0))
        return slots[-1]
