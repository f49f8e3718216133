"""PRIMUS: self-supervision, alignment with frozen teachers, and the same with a nearest neighbour's features.

Axes: B examples · S slots · C channels · T samples · D embedding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from sensorloom.training.batch import Batch
from sensorloom.training.gathered import gathered_all
from sensorloom.training.terms.contrast import Temperature, symmetric_info_nce, unit
from sensorloom.training.terms.modalities import FROZEN, Source, frozen_rows, imu_rows, is_in, settled
from sensorloom.training.terms.queue import QUEUE_LENGTH, FeatureQueue

__all__ = ["Primus", "PrimusSettings", "PrimusWeights"]

_IMU = "imu"
_DOMAINS = ("video", "text")
_WARM_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class PrimusWeights:
    """Weights of L_SS, of L_MM, and of the parts of L_NN over sensors and over the teachers' features.

    All 1 is α = β = γ = 1 of the paper. A term of weight 0 is not computed.
    """

    ss: float = 1.0
    mm: float = 1.0
    nn_imu: float = 1.0
    nn_teacher: float = 1.0

    def __post_init__(self) -> None:
        values = (self.ss, self.mm, self.nn_imu, self.nn_teacher)
        if min(values) < 0 or not sum(values):
            raise ValueError(f"weights of the terms of PRIMUS are 0 or more, and not all 0, got {values}")

    @classmethod
    def of_coefficient(cls, coefficient: float) -> PrimusWeights:
        """Return the published code's c·L_SS + (1 - c)·L_MM + c·NN_m + (1 - c)·(NN_v + NN_t) [methods.md §1.3].

        c = 0.5 is half of the paper's; 1 is SimCLR-like, 0 IMU2CLIP-like.
        """
        return cls(coefficient, 1 - coefficient, coefficient, 1 - coefficient)


@dataclass(frozen=True, slots=True)
class PrimusSettings:
    """What PRIMUS is made of besides its encoder; `teachers` has "video", "text", both or none.

    `preset="paper"` is the mathematics as intended, with the defaults of methods.md §1.3 and §1.4; "repo" what the
    published code does. They differ in this:

    - τ: log τ is learnt and clamped · τ itself, unconstrained (§1.3);
    - examples without a teacher's vector: dropped from rows and columns · from the anchors alone, their zero vectors
      staying negatives (§1.3);
    - L_NN: only with a neighbour that is there, has the feature, and after a quarter of the queue is filled · of all,
      zero vectors too (§1.3, §1.4);
    - neighbours: of other takes · of any (§1.4);
    - ranks: one batch and one queue of all · each its own (§0 row 8);
    - weights, unless given: all 1 · all 0.5 (§1.3).
    """

    teachers: Mapping[str, Source]
    preset: Literal["paper", "repo"] = "paper"
    weights: PrimusWeights | None = None
    queue_length: int = QUEUE_LENGTH
    width: int = 512

    def __post_init__(self) -> None:
        if self.preset not in ("paper", "repo"):
            raise ValueError(f"preset must be 'paper' or 'repo', got {self.preset!r}")
        wrong = [
            name for name, source in self.teachers.items() if name not in FROZEN or source.column != name
        ]
        if wrong:
            raise ValueError(f"the teachers of PRIMUS are text and video of those columns, got {wrong}")

        if not self.teachers and (self.given_weights.mm or self.given_weights.nn_teacher):
            raise ValueError(
                "PRIMUS without teachers needs weights with mm and nn_teacher 0, as of_coefficient(1) has, got "
                f"{self.given_weights}"
            )

    @property
    def given_weights(self) -> PrimusWeights:
        """The weights, or those of the preset."""
        if self.weights is not None:
            return self.weights
        return PrimusWeights() if self.preset == "paper" else PrimusWeights.of_coefficient(0.5)


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a batch gives, of all ranks in `paper`: outputs of both heads, teachers' vectors, what is there, takes."""

    ssl_BD: Tensor
    augmented_BD: Tensor
    mmcl_BD: Tensor
    present_B: Tensor
    take_B: Tensor | None = None
    teachers: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


class Primus(nn.Module):
    """Train an encoder with two heads by L_SS + L_MM + L_NN [methods.md §1.3, §1.4].

    `encoder` takes (imu_BSCT, imu_present_BSK) and gives {"ssl", "mmcl"}, [B, width] each (`models.primus`); `augment`
    takes (imu_BSCT, seed_B) and makes the second view; the first is the raw window. `take_of` int64[examples of the
    split] gives the take of `batch.index_B`; the `paper` preset needs it to look for neighbours in other takes
    (negative: no take, of which nothing is excluded).

    L_NN contrasts with the features of the nearest earlier example, found before the batch enters the queue: by its
    video, else by its text, else by its sensors, whichever is the first that the example has (sensors alone where no
    term needs a teacher). Outside of training the queue stays as it is, other than in the published code.
    """

    take_of: Tensor | None

    def __init__(
        self,
        encoder: nn.Module,
        augment: Callable[[Tensor, Tensor], Tensor],
        settings: PrimusSettings,
        take_of: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.weights = settings, settings.given_weights
        self.intended = settings.preset == "paper"
        if self.intended and take_of is None:
            raise ValueError(
                "preset 'paper' looks for neighbours in other takes: give take_of, the number of the take of each "
                "example of the split, -1 where there is none"
            )
        self.encoder, self.augment = encoder, augment
        self.columns = (_IMU, *settings.teachers)
        kind: Literal["clamped", "raw"] = "clamped" if self.intended else "raw"
        self.temperature_ss, self.temperature_mm = Temperature(kind), Temperature(kind)
        self.queue = FeatureQueue(dict.fromkeys(self.columns, settings.width), settings.queue_length)
        self.register_buffer("take_of", take_of if self.intended else None, persistent=False)
        uses_teachers = self.weights.mm > 0 or self.weights.nn_teacher > 0
        self.domains = tuple(name for name in _DOMAINS if uses_teachers and name in settings.teachers)
        queue = () if self.intended else self.queue.named_buffers()
        self.own_buffers = tuple(f"queue.{name}" for name, _ in queue)  # of each rank its own (§0 row 8)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return {"loss"} and the terms before weighting: "ss", "mm", "nn_imu", "nn_text", "nn_video".

        In training the batch enters the queue. Raises ValueError if the batch lacks a column or seeds, or comes of a
        mixture, whose `index_B` names no example of one split.
        """
        rows = self._rows(batch)
        terms = self._own_terms(rows) | self._neighbour_terms(rows)
        if self.training:
            features = {_IMU: (rows.ssl_BD.detach(), rows.present_B), **rows.teachers}
            self.queue.enqueue(features, rows.take_B)
        total = rows.ssl_BD.new_zeros(())
        for name, term in terms.items():
            total = total + self._weight(name) * term
        return {"loss": total, **terms}

    def after_step(self, progress: float) -> dict[str, float]:  # noqa: ARG002
        """Clamp both τ and return them, and which share of the queue is filled."""
        return {
            "temperature_ss": self.temperature_ss.clamp_(),
            "temperature_mm": self.temperature_mm.clamp_(),
            "queue_filled": float(self.queue.filled()) / self.queue.length,
        }

    def never_began(self) -> str:
        """Say that the terms of neighbours never began, as after training whose queue did not become warm."""
        held, needed = int(self.queue.filled()), math.ceil(_WARM_SHARE * self.queue.length)
        if not self.intended or held >= needed or not (self.weights.nn_imu or self.weights.nn_teacher):
            return ""
        return (
            f"the terms of nearest neighbours never began: the queue held {held} of the {needed} rows it needs; "
            f"try --set queue_length={max(held, 1)}"
        )

    def embed(self, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Return unit vectors [B, D] and which are there: "imu" of the mmcl head, and the teachers the batch has.

        Where training draws one of several cameras or texts, this is their mean: nothing of it is left to chance.
        """
        imu_BSCT, imu_present_BSK, present_B = imu_rows(batch)
        rows = {_IMU: (self.encoder(imu_BSCT, imu_present_BSK)["mmcl"], present_B)}
        there = {
            name: settled(source) for name, source in self.settings.teachers.items() if is_in(batch, source)
        }
        rows |= {name: frozen_rows(batch, source) for name, source in there.items()}
        return {name: (unit(rows_BD), there_B) for name, (rows_BD, there_B) in rows.items()}

    def _rows(self, batch: Batch) -> _Rows:
        """Encode the batch and gather it from all ranks, in `paper`."""
        ssl_BD, augmented_BD, mmcl_BD, present_B = self._encoded(batch)
        teachers = [frozen_rows(batch, source) for source in self.settings.teachers.values()]
        parts = [ssl_BD, augmented_BD, mmcl_BD, present_B, *(part for pair in teachers for part in pair)]
        if self.take_of is not None:
            parts.append(self._takes(batch, self.take_of))
        if self.intended:
            parts = list(gathered_all(parts))
        take_B = parts.pop() if self.take_of is not None else None
        pairs = zip(parts[4::2], parts[5::2], strict=True)
        by_name = dict(zip(self.settings.teachers, pairs, strict=True))
        return _Rows(parts[0], parts[1], parts[2], parts[3], take_B, by_name)

    def _encoded(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return ssl of the raw and of the augmented window, mmcl of the raw one, and which windows are there."""
        imu_BSCT, imu_present_BSK, present_B = imu_rows(batch)
        raw = self.encoder(imu_BSCT, imu_present_BSK)
        if not self.weights.ss:
            return raw["ssl"], raw["ssl"], raw["mmcl"], present_B
        if batch.seed_B is None:
            raise ValueError(f"augmentations are drawn from the seeds of a batch, it has {batch!r}")
        augmented = self.encoder(self.augment(imu_BSCT, batch.seed_B), imu_present_BSK)
        return raw["ssl"], augmented["ssl"], raw["mmcl"], present_B

    def _takes(self, batch: Batch, take_of: Tensor) -> Tensor:
        if batch.source_B is not None:
            raise ValueError(
                f"take_of is of the examples of one split, not of a mixture, the batch has {batch!r}"
            )
        return take_of[batch.index_B]

    def _own_terms(self, rows: _Rows) -> dict[str, Tensor]:
        """Return L_SS and L_MM, those whose weight is not 0."""
        terms = {}
        if self.weights.ss:
            terms["ss"] = symmetric_info_nce(
                rows.ssl_BD, rows.augmented_BD, self.temperature_ss(), rows.present_B
            )
        if self.weights.mm:
            terms["mm"] = rows.ssl_BD.new_zeros(())
        for key_BD, there_B in rows.teachers.values() if self.weights.mm else ():
            negative_B = None if self.intended else rows.present_B
            terms["mm"] = terms["mm"] + symmetric_info_nce(
                rows.mmcl_BD, key_BD, self.temperature_mm(), rows.present_B & there_B, negative_B=negative_B
            )
        return terms

    def _neighbour_terms(self, rows: _Rows) -> dict[str, Tensor]:
        """Return the parts of L_NN whose weight is not 0."""
        spaces = [space for space in self.queue.spaces if self._weight(f"nn_{space}")]
        if not spaces:
            return {}
        place_B, found_B = self._neighbours(rows)
        is_warm = self.queue.filled() >= _WARM_SHARE * self.queue.length
        terms = {}
        for space in spaces:
            valid_B = rows.present_B
            if self.intended:
                valid_B = valid_B & found_B & is_warm & self.queue.held(space)[place_B]
            query_BD = rows.ssl_BD if space == _IMU else rows.mmcl_BD
            temperature = self.temperature_ss if space == _IMU else self.temperature_mm
            key_BD = self.queue.vectors(space, place_B)
            terms[f"nn_{space}"] = symmetric_info_nce(query_BD, key_BD, temperature(), valid_B)
        return terms

    def _neighbours(self, rows: _Rows) -> tuple[Tensor, Tensor]:
        """Return the place in the queue of each example's nearest neighbour int64[B], and where there is one."""
        with_empty = not self.intended
        place_B, found_B = self.queue.nearest(_IMU, rows.ssl_BD, take_B=rows.take_B, with_empty=with_empty)
        for domain in reversed(self.domains):
            key_BD, there_B = rows.teachers[domain]
            by_domain = self.queue.nearest(domain, key_BD, take_B=rows.take_B, with_empty=with_empty)
            place_B = torch.where(there_B, by_domain[0], place_B)
            found_B = torch.where(there_B, by_domain[1], found_B)
        return place_B, found_B

    def _weight(self, term: str) -> float:
        by_name = {"ss": self.weights.ss, "mm": self.weights.mm, f"nn_{_IMU}": self.weights.nn_imu}
        return by_name.get(term, self.weights.nn_teacher)
