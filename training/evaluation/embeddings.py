"""What an objective makes of every window of a split: the unit vectors of each modality, and whose they are.

Axes: B examples of a batch · N windows of the split · K text sources · D embedding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from sensorloom.training.batch import Batch
from sensorloom.training.errors import RunError
from sensorloom.training.facts import take_numbers
from sensorloom.training.objective import embed
from sensorloom.training.stream import TripletStream

__all__ = ["Collected", "Embed", "EmbeddedSplit", "embed_split", "places_in_split"]

Embed = Callable[[nn.Module, Batch], Mapping[str, tuple[Tensor, Tensor]]]
"""What an objective makes of a batch: of each modality vectors [B, D], and which are there bool[B]."""

_NO_LABEL = -1
_SAME_VECTOR = 1 - 1e-5
"""Cosine from which a vector is that of a text: float16 vectors, made longer or shorter, stay above it."""


@dataclass(frozen=True, slots=True)
class EmbeddedSplit:
    """Everything an objective makes of the N windows of a split, in storage order, on the CPU.

    `take_N` int64 are `facts.take_numbers`, `start_ns_N` int64 where each window begins on the clock of its take,
    `length_ns` how long all are, 0 where that is not known. `label_N` int64 are indices of `classes`, -1 for none.
    `text_id_N` int64 tells the texts behind `vectors["text"]` from each other, 0 where there is none. `vectors` are
    "imu", "text", "video", "mocap", whichever the objective embeds: float32 [N, D], of length 1, and which are there,
    bool[N]; or "imu" alone, an objective's `features`, of any length.
    """

    split: str
    view: str
    window_ids: tuple[str, ...]
    take_N: Tensor
    start_ns_N: Tensor
    label_N: Tensor
    classes: tuple[str, ...]
    text_id_N: Tensor
    vectors: Mapping[str, tuple[Tensor, Tensor]]
    length_ns: int = 0

    def __len__(self) -> int:
        return len(self.window_ids)


class Collected:
    """Collects what an objective makes of batches, in the order in which they come."""

    def __init__(self) -> None:
        self._parts: dict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)

    def add(self, embedded: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Take the vectors of a batch, [B, D], and which are there, bool[B], of each modality."""
        for name, (rows_BD, there_B) in embedded.items():
            self._parts[name].append((rows_BD.float(), there_B))

    def whole(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return the vectors float32[N, D] of each modality, and which are there bool[N]."""
        return {
            name: (torch.cat([rows_BD for rows_BD, _ in parts]), torch.cat([there_B for _, there_B in parts]))
            for name, parts in self._parts.items()
        }


def embed_split(
    objective: nn.Module,
    stream: TripletStream,
    device: torch.device,
    *,
    change: Callable[[Batch], Batch] | None = None,
    by: Embed = embed,
) -> EmbeddedSplit:
    """Embed one whole epoch of `stream` in evaluation mode, without gradients, on `device`.

    Whatever the order of the stream, the windows come in storage order, each once. `change` makes another batch of each
    before it is embedded, on the device; `by` says how, `objective.embed` or `objective.features`. Raises RunError if
    the objective embeds nothing, as a classifier does.
    """
    if not hasattr(objective, "embed"):
        raise RunError(
            f"{type(objective).__name__} embeds nothing: it was trained from labels; evaluate its classes instead"
        )
    was_training = objective.training
    objective.eval()
    found, index, text_ids = Collected(), [], []
    stream.set_epoch(0)
    with torch.no_grad():
        for waiting in stream:
            batch = waiting.to(device)
            embedded = by(objective, change(batch) if change else batch)
            found.add({name: (rows_BD.cpu(), there_B.cpu()) for name, (rows_BD, there_B) in embedded.items()})
            text_ids.append(_texts_behind(batch, embedded.get("text")).cpu())
            index.append(places_in_split(waiting))
    objective.train(was_training)
    return _in_storage_order(stream, torch.cat(index), torch.cat(text_ids), found.whole())


def _in_storage_order(
    stream: TripletStream,
    index_N: Tensor,
    text_id_N: Tensor,
    vectors: Mapping[str, tuple[Tensor, Tensor]],
) -> EmbeddedSplit:
    """Sort by the place in the split; examples of place -1, which pad a last batch, are left out."""
    order_N = index_N.argsort()[int((index_N < 0).sum()) :]
    index_N = index_N[order_N]
    window_ids = tuple(stream.window_ids(index_N))
    start_ns_N, length_ns = _spans(window_ids)
    labels = stream.labels
    label_N = torch.full_like(index_N, _NO_LABEL) if labels is None else torch.from_numpy(labels)[index_N]
    return EmbeddedSplit(
        split=stream.split,
        view=stream.view,
        window_ids=window_ids,
        take_N=take_numbers(stream)[index_N],
        start_ns_N=start_ns_N,
        label_N=label_N,
        classes=stream.classes,
        text_id_N=text_id_N[order_N],
        vectors={name: (rows_ND[order_N], there_N[order_N]) for name, (rows_ND, there_N) in vectors.items()},
        length_ns=length_ns,
    )


def _spans(window_ids: tuple[str, ...]) -> tuple[Tensor, int]:
    """Return where windows begin, int64[N] ns, and how long they are; an id is `<take_id>@<start_ns>+<length_ns>`."""
    spans = [window.rpartition("@")[2].partition("+") for window in window_ids]
    return torch.tensor([int(start) for start, _, _ in spans]), int(spans[0][2] or 0)


def places_in_split(batch: Batch) -> Tensor:
    """Return the places of examples in the split, int64[B], -1 for those that fill up a last batch."""
    return batch.index_B if batch.real_B is None else batch.index_B.masked_fill(~batch.real_B, -1)


def _texts_behind(batch: Batch, embedded: tuple[Tensor, Tensor] | None) -> Tensor:
    """Return which text each vector of texts is, int64[B], 0 where there is none.

    That is the id of the slot whose vector it is. Where an objective takes the mean of several, it is the (wrapped) sum
    of the ids of all: the same for the same texts.
    """
    if embedded is None or batch.text_BKD is None or batch.text_id_BK is None:
        return torch.zeros_like(batch.index_B)
    vector_BD, there_B = embedded
    cosine_BK = (normalize(batch.text_BKD.float(), dim=2) * vector_BD.float()[:, None]).sum(dim=2)
    nearest_B1 = cosine_BK.argmax(dim=1, keepdim=True)
    is_one_B = cosine_BK.gather(1, nearest_B1)[:, 0] >= _SAME_VECTOR
    id_B = torch.where(is_one_B, batch.text_id_BK.gather(1, nearest_B1)[:, 0], batch.text_id_BK.sum(dim=1))
    return id_B.masked_fill(~there_B, 0)
