"""Alignment of any number of modalities at once, every pair of them over the examples that have both.

Axes: B examples · D embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Literal, get_args

from torch import Tensor, nn

from sensorloom.training.batch import Batch
from sensorloom.training.gathered import gathered_all
from sensorloom.training.terms.contrast import Temperature, TemperatureKind, symmetric_info_nce, unit
from sensorloom.training.terms.modalities import FROZEN, Source, columns_of, is_in, rows_of, settled

__all__ = ["AllPairs", "Negatives"]

Negatives = Literal["all", "same_source"]


class AllPairs(nn.Module):
    """Bring all modalities of an example together: the sum over pairs (a, b) of ℓ(a, b), each pair with a τ of its own.

    `modalities` may be any number of sources, among them several slots of one column (positions on the body, cameras,
    kinds of text); `encoders` has one module for each of the columns "imu" and "mocap" among them, shared by its
    slots: (imu_BSCT, imu_present_BSK) and (mocap_BFJX, mocap_valid_BFJ) to [B, D]. Pairs of two frozen modalities have
    nothing to learn and are left out. An example counts in the pairs of which it has both and is dropped from rows
    and columns of the others, so any mixture of data sets trains together [methods.md §8.1, §8.2]. With
    `negatives="same_source"` only examples of one source of a mixture are negatives of each other: those of
    another are told apart by their device alone, or are of the same activity.

    With IMU, text and video it is the loss of `clip_alignment` (IMU2CLIP).
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        modalities: Mapping[str, Source],
        *,
        temperature: TemperatureKind = "clamped",
        negatives: Negatives = "all",
    ) -> None:
        super().__init__()
        trained = set(columns_of(modalities.values())) - set(FROZEN)
        if set(encoders) != trained:
            raise ValueError(
                f"the modalities {list(modalities)} need encoders of {sorted(trained)}, got {sorted(encoders)}"
            )
        if negatives not in get_args(Negatives):
            raise ValueError(f"negatives are of {', '.join(get_args(Negatives))}, got {negatives!r}")
        self.encoders = nn.ModuleDict(dict(encoders))
        self.modalities, self.negatives = dict(modalities), negatives
        self.columns = columns_of(modalities.values())
        self.pairs = tuple(
            (first, second)
            for first, second in combinations(modalities, 2)
            if not {modalities[first].column, modalities[second].column} <= set(FROZEN)
        )
        if not self.pairs:
            raise ValueError(f"no two of the modalities {list(modalities)} have anything to learn together")
        self.temperatures = nn.ModuleDict({_name(pair): Temperature(temperature) for pair in self.pairs})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return {"loss", "<a>-<b>" of every pair}; raises ValueError if the batch lacks a column."""
        rows = self._rows(batch, self.modalities)
        group_B = self._group(batch)
        parts = [part for pair in rows.values() for part in pair]
        found = gathered_all([*parts, group_B] if group_B is not None else parts)
        group_B = found[-1] if group_B is not None else None
        whole = dict(
            zip(rows, zip(found[: len(parts) : 2], found[1 : len(parts) : 2], strict=True), strict=True)
        )
        terms = {}
        for first, second in self.pairs:
            (first_BD, first_B), (second_BD, second_B) = whole[first], whole[second]
            tau = self.temperatures[_name((first, second))]()
            terms[_name((first, second))] = symmetric_info_nce(
                first_BD, second_BD, tau, first_B & second_B, group_B=group_B
            )
        total = sum(terms.values(), start=found[0].new_zeros(()))
        return {"loss": total, **terms}

    def after_step(self, progress: float) -> dict[str, float]:  # noqa: ARG002
        """Clamp every τ and return them by the name of their pair."""
        return {
            f"temperature/{name}": temperature.clamp_()
            for name, temperature in self.temperatures.items()
            if isinstance(temperature, Temperature)
        }

    def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Return unit vectors [B, D], and which are there bool[B], of the modalities that the batch has.

        Where training draws one of several cameras or texts, this is their mean: nothing of it is left to chance.
        """
        there = {name: settled(source) for name, source in self.modalities.items() if is_in(batch, source)}
        rows = self._rows(batch, there)
        return {name: (unit(rows_BD), there_B) for name, (rows_BD, there_B) in rows.items()}

    def _rows(self, batch: Batch, sources: Mapping[str, Source]) -> dict[str, tuple[Tensor, Tensor]]:
        encoders = dict(self.encoders.items())
        return {name: rows_of(batch, source, encoders) for name, source in sources.items()}

    def _group(self, batch: Batch) -> Tensor | None:
        if self.negatives == "all":
            return None
        if batch.source_B is None:
            raise ValueError(f"negatives of the same source need a mixture, the batch has {batch!r}")
        return batch.source_B


def _name(pair: tuple[str, str]) -> str:
    return "-".join(pair)
