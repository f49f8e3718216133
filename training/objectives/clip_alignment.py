"""Alignment of an IMU encoder with one or more other modalities: IMU2CLIP, and the stages of AURA-MFM.

Axes: B examples · D embedding.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from sensorloom.training.batch import Batch
from sensorloom.training.gathered import gathered_all
from sensorloom.training.terms.contrast import Temperature, TemperatureKind, symmetric_info_nce, unit
from sensorloom.training.terms.modalities import Source, columns_of, is_in, rows_of, settled

__all__ = ["ClipAlignment"]

_IMU = Source("imu")


class ClipAlignment(nn.Module):
    """Bring the embedding of a window close to those of its partners: the sum of ℓ(imu, partner) with one τ.

    `partners` name the pairs that are on. {"text", "video"} is IMU2CLIP [methods.md §5.1]; one of them is the first
    stage of AURA, {"mocap"} with `mocap_encoder` its second, with the encoder of the first, or its start from nothing
    [§2.6]. `encoder` takes (imu_BSCT, imu_present_BSK), `mocap_encoder` (mocap_BFJX, mocap_valid_BFJ); texts and videos
    are vectors of a frozen encoder of the same width.

    `temperature` is "clamped" in the `paper` presets. The published code learns τ "raw" in IMU2CLIP and in AURA's video
    and narrations, and has it "fixed" in AURA's mocap and commentary [§2, table; §5.1].
    """

    def __init__(
        self,
        encoder: nn.Module,
        partners: Mapping[str, Source],
        *,
        mocap_encoder: nn.Module | None = None,
        temperature: TemperatureKind = "clamped",
    ) -> None:
        super().__init__()
        if not partners or "imu" in partners:
            raise ValueError(f"IMU is aligned with other modalities than 'imu', got {list(partners)}")
        if any(source.column == "imu" for source in partners.values()):
            raise ValueError(
                "the partners of IMU are of other columns; pairs of slots are all_pairs' to align"
            )
        moves = any(source.column == "mocap" for source in partners.values())
        if moves != (mocap_encoder is not None):
            raise ValueError(
                "a mocap encoder and a mocap partner belong together, got "
                f"{'an' if mocap_encoder is not None else 'no'} encoder and the partners {list(partners)}"
            )
        self.encoders = nn.ModuleDict({"imu": encoder})
        if mocap_encoder is not None:
            self.encoders["mocap"] = mocap_encoder
        self.partners = dict(partners)
        self.columns = columns_of((_IMU, *partners.values()))
        self.temperature = Temperature(temperature)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return {"loss", "imu-<partner>", …}; raises ValueError if the batch lacks a column."""
        rows = self._rows(batch, self._sources)
        found = gathered_all([part for pair in rows.values() for part in pair])
        both = dict(zip(rows, zip(found[::2], found[1::2], strict=True), strict=True))
        imu_BD, present_B = both.pop("imu")
        terms = {
            f"imu-{name}": symmetric_info_nce(imu_BD, key_BD, self.temperature(), present_B & there_B)
            for name, (key_BD, there_B) in both.items()
        }
        total = imu_BD.new_zeros(())
        for term in terms.values():
            total = total + term
        return {"loss": total, **terms}

    def after_step(self, progress: float) -> dict[str, float]:  # noqa: ARG002
        """Clamp τ and return it."""
        return {"temperature": self.temperature.clamp_()}

    def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Return unit vectors [B, D], and which are there bool[B], of IMU and the partners that the batch has.

        Where training draws one of several cameras or texts, this is their mean: nothing of it is left to chance.
        """
        there = {name: settled(source) for name, source in self._sources.items() if is_in(batch, source)}
        rows = self._rows(batch, there)
        return {name: (unit(rows_BD), there_B) for name, (rows_BD, there_B) in rows.items()}

    @property
    def _sources(self) -> dict[str, Source]:
        return {"imu": _IMU, **self.partners}

    def _rows(self, batch: Batch, sources: Mapping[str, Source]) -> dict[str, tuple[Tensor, Tensor]]:
        encoders = dict(self.encoders.items())
        return {name: rows_of(batch, source, encoders) for name, source in sources.items()}
