"""Runs and labelled views without a store: features that are planted, and an encoder of texts that says so too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sensorloom.embed.encoder import EncoderSpec, Identity
from sensorloom.embed.preprocess import Preprocess
from sensorloom.training.configs import RunConfig
from sensorloom.training.evaluation.class_texts import encode_class_texts
from sensorloom.training.evaluation.embeddings import EmbeddedSplit
from sensorloom.training.evaluation.labelled import Bench, LabelledView
from sensorloom.training.loaded import LoadedRun
from sensorloom.training.record import RunRecord
from sensorloom.training.terms.contrast import unit

__all__ = ["FINGERPRINT", "PlantedTexts", "loaded_run", "planted_bench", "planted_split", "spread"]

FINGERPRINT = {"weights": "ab" * 32, "architecture": "{}", "tokenizer": "words", "precision": "fp32"}
ROLES = ("train", "val", "test")


class PlantedTexts:
    """An encoder that gives each text the vector that was planted for it, of any length."""

    def __init__(self, vectors: Mapping[str, Sequence[float] | NDArray[Any]], **changes: str) -> None:
        self.vectors = {text: np.asarray(vector, np.float32) for text, vector in vectors.items()}
        self.asked: list[list[str]] = []
        dim = len(next(iter(self.vectors.values())))
        preprocess = Preprocess(8, 8, "shortest", "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        self.identity = Identity(
            EncoderSpec("planted"), "planted", dim, preprocess, {**FINGERPRINT, "resize": "pil", **changes}
        )

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked.append(list(texts))
        return np.stack([self.vectors[text] for text in texts])


def spread(classes: int, width: int, seed: int = 0) -> Tensor:
    """Directions of classes at right angles, float32[C, D]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(width, width, generator=generator))[0][:classes]


def planted_split(
    split: str, label_N: Tensor, center_CD: Tensor, *, noise: float = 0.1, seed: int = 0, view: str = "har"
) -> EmbeddedSplit:
    """Features around the direction of each window's class; those without a label point anywhere."""
    generator = torch.Generator().manual_seed(seed)
    count, width = len(label_N), center_CD.shape[1]
    drawn_ND = torch.randn(count, width, generator=generator)
    rows_ND = torch.where(label_N[:, None] >= 0, center_CD[label_N.clamp(min=0)] + noise * drawn_ND, drawn_ND)
    return EmbeddedSplit(
        split=split,
        view=view,
        window_ids=tuple(f"pamap2/{split}/{row % 7}@{row * 5}+5" for row in range(count)),
        take_N=torch.arange(count) % 7,
        start_ns_N=torch.arange(count) * 5,
        label_N=label_N,
        classes=tuple(f"class {number}" for number in range(len(center_CD))),
        text_id_N=torch.zeros(count, dtype=torch.int64),
        vectors={"imu": (unit(rows_ND), torch.ones(count, dtype=torch.bool))},
    )


def loaded_run(config: RunConfig, objective: nn.Module, repo: Any = None, **record: Any) -> LoadedRun:
    """A run opened for use, as if it had been trained."""
    told = {
        "store": "memory://", "snapshot_id": "0" * 64, "classes": (), "window_shape": (1, 6, 150), "parameters": 0,
        "environment": {}, **record,
    }  # fmt: skip
    return LoadedRun(
        Path("run"), RunRecord(config=config, **told), objective.eval(), repo, None, {**FINGERPRINT}
    )


def planted_bench(
    config: RunConfig,
    *,
    classes: int = 4,
    width: int = 16,
    each: int = 12,
    noise: float = 0.1,
    said: bool = True,
    prompts: Mapping[str, Sequence[str]] | None = None,
    shuffle_labels: bool = False,
    view: str = "har",
) -> Bench:
    """A bench whose features lie around directions at right angles, which the texts of the classes name if `said`.

    With `shuffle_labels` the labels have nothing to do with the features.
    """
    center_CD = spread(classes, width)
    label_N = torch.cat([torch.arange(classes).repeat(each), torch.tensor([-1, -1])])
    features = {}
    for number, role in enumerate(ROLES):
        made = planted_split(role, label_N, center_CD, noise=noise, seed=number, view=view)
        if shuffle_labels:
            order = torch.randperm(len(label_N), generator=torch.Generator().manual_seed(number))
            made = EmbeddedSplit(
                **{name: getattr(made, name) for name in made.__slots__} | {"label_N": label_N[order]}
            )
        features[role] = made
    names = features["test"].classes
    texts = {name: 3.0 * center_CD[number].numpy() for number, name in enumerate(names)}
    for name, phrases in (prompts or {}).items():
        texts |= dict.fromkeys(phrases, texts[name])
    say = partial(encode_class_texts, names, PlantedTexts(texts)) if said else None
    run = loaded_run(config, nn.Identity())
    return Bench(run, LabelledView(view, names, features, {}), say)
