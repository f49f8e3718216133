"""Train the tiny open_clip model named `generated`: on generated pictures; it knows nothing of the world.

    python -m sensorloom.embed.generated_model [FOLDER]

writes `open_clip_model.safetensors` beside the configuration in `embed/generated` (or FOLDER), which any open_clip
loads as `local-dir:FOLDER`. It gives zero-shot labels, queries and text–video checks a signal on the miniature trees,
in demo and tests; what it says of real recordings means nothing. The seed is fixed: on one machine and one set of
libraries the same bytes come out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from sensorloom.embed.generated_pairs import Captions, Pictures, captions, render_pictures

__all__ = ["FOLDER", "Retrieval", "Schedule", "retrieval", "save_weights", "train_model"]

FOLDER = Path(__file__).parent / "generated"
"""The configuration, and the weights that ship."""

_CONFIG, _WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
_NOTE = "trained on generated pictures; knows nothing of the world"
_METADATA = {"note": _NOTE, "name": "generated", "format": "pt"}
_WORLDS, _HELD_OUT_WORLDS = 8, 2
_MOST_SCALE = 4.6052  # CLIP's limit, log 100


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long to train, on how many pictures at a time, and how fast at most."""

    steps: int = 600
    batch_size: int = 128
    learning_rate: float = 2e-3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How often the best of `candidates` texts is true of a picture; `chance` is that of a blind choice.

    `auc` is how often a text that is true of a picture is more similar to it than one that is not.
    """

    top1: float
    chance: float
    auc: float
    candidates: int


def train_model(
    pictures: Pictures, said: Captions, schedule: Schedule = Schedule(), report: Callable[[str], None] = print
) -> torch.nn.Module:
    """Train from nothing, and return the model with weights as float16 holds them, in float32.

    The loss is CLIP's, with all pairs of a batch that are true as its targets: texts name few things, so a batch has
    many a second true one. `report` is told the mean loss of every fifty steps.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(schedule.seed)
        model: Any = open_clip.create_model(f"local-dir:{FOLDER}", load_weights=False)
    tokens = _tokens(said.texts)
    _forget_unused_words(model, tokens)
    rng = np.random.default_rng(schedule.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.learning_rate, weight_decay=0.02)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, schedule.learning_rate, total_steps=max(2, schedule.steps), pct_start=0.1
    )
    model.train()
    losses: list[float] = []
    for step in range(schedule.steps):
        rows, texts = _draw(rng, pictures, said, schedule.batch_size)
        loss = _loss(
            model, _augmented(rng, pictures.rgb[rows]), tokens[texts], _truth(pictures, said, rows, texts)
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        rates.step()
        model.logit_scale.data.clamp_(0, _MOST_SCALE)
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            report(f"step {step + 1} of {schedule.steps}: loss {np.mean(losses[-50:]):.3f}")
    return _rounded(model)


def retrieval(model: Any, pictures: Pictures, said: Captions) -> Retrieval:
    """Measure `model` over the texts that name both a movement and a scenario, on `pictures` it has not seen."""
    both = np.flatnonzero((said.movement >= 0) & (said.scenario >= 0))
    said = Captions(tuple(said.texts[i] for i in both), said.movement[both], said.scenario[both])
    true = said.are_true_of(pictures.movement, pictures.scenario)
    seen = true.any(axis=1)
    true = true[seen]
    with torch.inference_mode():
        images = torch.cat([_images(model, part) for part in np.array_split(pictures.rgb[seen], 16)])
        texts = model.encode_text(_tokens(said.texts), normalize=True)
    similarity = (images @ texts.T).numpy()
    first = true[np.arange(len(true)), similarity.argmax(axis=1)]
    return Retrieval(
        float(first.mean()), float(true.mean()), _auc(similarity[true], similarity[~true]), len(said.texts)
    )


def save_weights(model: torch.nn.Module, folder: Path) -> int:
    """Write the weights as float16 to `folder`, with what they are in the file's metadata; return the bytes."""
    weights = {name: value.half().contiguous() for name, value in sorted(model.state_dict().items())}
    path = folder / _WEIGHTS
    save_file(weights, path, metadata=_METADATA)
    path.chmod(0o644)  # safetensors leaves it to its owner alone
    _order_metadata(path)
    return path.stat().st_size


def _order_metadata(path: Path) -> None:
    """Write the metadata in one order: safetensors draws one each time, and the same weights shall be the same bytes.

    A file begins with the length of its header, 8 bytes little-endian, and the header in JSON, padded with spaces.
    """
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size]) | {"__metadata__": _METADATA}
    content[8 : 8 + size] = json.dumps(header, separators=(",", ":")).encode().ljust(size)
    path.write_bytes(content)


def _tokens(texts: tuple[str, ...]) -> Tensor:
    tokens: Tensor = open_clip.SimpleTokenizer()(list(texts))
    return tokens


def _forget_unused_words(model: Any, tokens: Tensor) -> None:
    """Let words that no text has be zero: they would else add noise to whatever stands beside them."""
    unused = torch.ones(model.vocab_size, dtype=torch.bool)
    unused[tokens.ravel()] = False
    with torch.no_grad():
        model.token_embedding.weight[unused] = 0.0


def _draw(
    rng: np.random.Generator, pictures: Pictures, said: Captions, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw pictures, and for each a text that is true of it, of every kind in its share."""
    rows = rng.choice(len(pictures.rgb), min(count, len(pictures.rgb)), replace=False)
    true = said.are_true_of(pictures.movement[rows], pictures.scenario[rows]).astype(np.float64)
    kinds = 2 * (said.movement >= 0) + (said.scenario >= 0)
    for kind, weight in ((1, 0.1), (2, 0.35), (3, 0.55)):
        of_kind = kinds == kind
        true[:, of_kind] *= weight / np.maximum(1.0, true[:, of_kind].sum(axis=1, keepdims=True))
    below = np.cumsum(true, axis=1)
    places = rng.random(len(rows)) * below[:, -1]
    texts = np.array(
        [np.searchsorted(row, place, side="right") for row, place in zip(below, places, strict=True)]
    )
    return rows, texts


def _truth(pictures: Pictures, said: Captions, rows: NDArray[np.int64], texts: NDArray[np.int64]) -> Tensor:
    drawn = Captions((), said.movement[texts], said.scenario[texts])
    true = drawn.are_true_of(pictures.movement[rows], pictures.scenario[rows])
    return torch.from_numpy(true.astype(np.float32))


def _augmented(rng: np.random.Generator, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shift every picture by up to 2 px, and change its brightness, contrast and colours a little."""
    down, right = rng.integers(-2, 3, (2, len(rgb)))
    padded = np.pad(rgb, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    moved = np.stack(
        [
            picture[2 + y : 2 + y + rgb.shape[1], 2 + x : 2 + x + rgb.shape[2]]
            for picture, y, x in zip(padded, down, right, strict=True)
        ]
    ).astype(np.float32)
    gain = rng.uniform(0.9, 1.1, (len(rgb), 1, 1, 1)) * rng.uniform(0.96, 1.04, (len(rgb), 1, 1, 3))
    moved *= gain.astype(np.float32)
    moved += rng.uniform(-8, 8, (len(rgb), 1, 1, 1)).astype(np.float32)
    moved += 2 * rng.standard_normal(moved.shape, np.float32)
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def _loss(model: Any, rgb: NDArray[np.uint8], tokens: Tensor, truth: Tensor) -> Tensor:
    logits = model.logit_scale.exp() * _images(model, rgb) @ model.encode_text(tokens, normalize=True).T
    of_pictures = functional.cross_entropy(logits, truth / truth.sum(dim=1, keepdim=True))
    of_texts = functional.cross_entropy(logits.T, truth.T / truth.T.sum(dim=1, keepdim=True))
    return (of_pictures + of_texts) / 2


def _images(model: Any, rgb: NDArray[np.uint8]) -> Tensor:
    preprocess = json.loads((FOLDER / _CONFIG).read_text())["preprocess_cfg"]
    mean, std = (torch.tensor(preprocess[name]).view(3, 1, 1) for name in ("mean", "std"))
    pixels = torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 255
    images: Tensor = model.encode_image((pixels - mean) / std, normalize=True)
    return images


def _auc(true: NDArray[np.float32], false: NDArray[np.float32]) -> float:
    ordered = np.sort(false)
    return float((np.searchsorted(ordered, true) / len(ordered)).mean())


def _rounded(model: Any) -> torch.nn.Module:
    with torch.no_grad():
        for value in model.state_dict().values():
            value.copy_(value.half())
    evaluated: torch.nn.Module = model.eval()
    return evaluated


def main(folder: Path = FOLDER) -> None:
    """Render, train, save to `folder` and say how well it does on worlds that it has not seen."""

    def report(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    torch.set_num_threads(1)  # sums in one order, whatever the machine's cores
    said = captions()
    pictures = render_pictures("train", _WORLDS)
    report(f"{len(pictures.rgb)} generated pictures, {len(said.texts)} generated texts")
    model = train_model(pictures, said, report=report)
    size_bytes = save_weights(model, folder)
    report(f"{folder / _WEIGHTS}: {size_bytes} bytes, {_NOTE}")
    report(f"held out: {retrieval(model, render_pictures('held out', _HELD_OUT_WORLDS), said)}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
