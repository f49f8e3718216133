"""Documents whose code is run: their blocks, and a store as `make demo` leaves one, but smaller."""

from __future__ import annotations

import re
from pathlib import Path

from sensorloom.flows.config import load_config
from sensorloom.flows.embedding import embed_store
from sensorloom.flows.runs import build_views, ingest_dataset
from sensorloom.ingest.miniature.sample import write_sample
from sensorloom.ingest.miniature.spec import SampleSpec
from tests.embed.tiny_clip import write_model

__all__ = ["build_triplets", "code_blocks", "embed_triplets"]

ROOT = Path(__file__).resolve().parents[1]


def code_blocks(document: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of a document of the repository, as (language, text) in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(r"```(\w*)\n(.*?)```", text, flags=re.DOTALL)


def embed_triplets(folder: Path, takes: int = 1) -> Path:
    """Write a store of generated takes with videos and texts to `folder/demo/store`; return `folder`.

    The encoder is a tiny one with random weights.
    """
    write_sample(folder / "raw", SampleSpec(datasets=("egoexo4d",), takes=takes, minutes=0.15))
    write_model(folder / "tiny")
    embedding = {"embed.model": f"local-dir:{folder / 'tiny'}", "embed.batch_size": "32"}
    config = load_config(None, {"store.url": str(folder / "demo/store"), **embedding})
    ingest_dataset("egoexo4d", str(folder / "raw/egoexo4d"), config=config)
    embed_store(config)
    return folder


def build_triplets(folder: Path, view: str = "primus", **changes: str) -> None:
    """Cut the windows of `view`, with changes of its recipe, in the store of `folder`."""
    settings = {f"views.{view}.{name}": value for name, value in changes.items()}
    build_views([view], config=load_config(None, {"store.url": str(folder / "demo/store"), **settings}))
