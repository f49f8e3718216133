"""The cameras and kinds of text of a split one by one, where an objective takes several as one modality.

Axes: B examples of a batch · N windows of the split · K slots · D embedding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sensorloom.training.batch import Batch
from sensorloom.training.evaluation.embeddings import Collected, EmbeddedSplit, places_in_split
from sensorloom.training.evaluation.retrieval import RetrievalScores, retrieval_scores
from sensorloom.training.stream import TripletStream
from sensorloom.training.terms.modalities import FROZEN, Source, frozen_rows

__all__ = ["slot_scores", "slot_splits"]


def slot_scores(
    stream: TripletStream, split: EmbeddedSplit, *, device: torch.device | None = None
) -> Iterator[RetrievalScores]:
    """Yield the retrieval of every learnt modality of `split` by each of several slots, as "text: atomic", and back.

    Which camera and which text is asked for decides how hard it is [methods §2.5]. Scored as `retrieval_scores`.
    """
    for one in slot_splits(stream, split):
        yield from retrieval_scores(one, device=device)


def slot_splits(stream: TripletStream, split: EmbeddedSplit) -> Iterator[EmbeddedSplit]:
    """Yield `split`, which was made of `stream`, with one slot and one learnt modality at a time.

    Of texts and videos those that it embeds and that have several slots; nothing is embedded anew.
    """
    slots = _slots(stream, split)
    if not slots:
        return
    found, index, text_ids = Collected(), [], []
    stream.set_epoch(0)
    for batch in stream:
        rows = {name: frozen_rows(batch, source) for name, source in slots.items()}
        found.add({name: (normalize(rows_BD, dim=1), there_B) for name, (rows_BD, there_B) in rows.items()})
        index.append(places_in_split(batch))
        text_ids.append(_text_ids(batch))
    index_N = torch.cat(index)
    order_N = index_N.argsort()[int((index_N < 0).sum()) :]
    text_id_NK, learnt = torch.cat(text_ids)[order_N], [name for name in split.vectors if name not in FROZEN]
    for name, (rows_ND, there_N) in found.whole().items():
        slot = slots[name]
        told = split.text_id_N
        if slot.column == "text" and isinstance(slot.slot, int):
            told = text_id_NK[:, slot.slot].masked_fill(~there_N[order_N], 0)
        for other in learnt:
            vectors = {other: split.vectors[other], name: (rows_ND[order_N], there_N[order_N])}
            yield replace(split, vectors=vectors, text_id_N=told)


def _slots(stream: TripletStream, split: EmbeddedSplit) -> Mapping[str, Source]:
    """Return where the slots of each modality of which there are several come from, by "modality: slot"."""
    names = {"text": stream.text_sources, "video": stream.video_slots}
    return {
        f"{column}: {name}": Source(column, number)  # type: ignore[arg-type]
        for column in FROZEN
        if column in split.vectors and len(names[column]) > 1
        for number, name in enumerate(names[column])
    }


def _text_ids(batch: Batch) -> Tensor:
    """Return the ids of the texts of all slots, int64[B, K], K = 0 where the batch has none."""
    if batch.text_id_BK is None:
        return torch.zeros(len(batch.index_B), 0, dtype=torch.int64)
    return batch.text_id_BK.cpu()
