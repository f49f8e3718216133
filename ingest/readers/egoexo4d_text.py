"""All texts of an Ego-Exo4D take: from the lists of its split, and from the folders of its expert commentary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.jsonfile import Node, read_json
from sensorloom.ingest.readers.egoexo4d_text_events import (
    CommentaryFolder,
    Texts,
    read_atomic,
    read_commentary,
    read_commentary_folder,
)

__all__ = ["Texts", "read_folders", "read_lists"]


def read_lists(atomic: Iterable[Node], commentary: Iterable[Node], texts: Texts) -> None:
    """Take what `atomic_descriptions_<split>.json` and `expert_commentary_<split>.json` say of a take."""
    for node in atomic:
        read_atomic(node, texts)
    for node in commentary:
        read_commentary(node, texts)


def read_folders(root: Path, uris: tuple[str, ...], task: str | None, texts: Texts) -> None:
    """Take the comments of `<take_name>/<expert_uid>/{data,transcriptions}.json`, given by `uris`."""
    tags = {"task_name": task} if task else {}
    for folder in _folders(root, uris, texts):
        read_commentary_folder(folder, tags, texts)


def _folders(root: Path, uris: tuple[str, ...], texts: Texts) -> Iterator[CommentaryFolder]:
    for uri in uris:
        if not uri.endswith("/data.json"):
            continue
        folder = uri.rpartition("/")[0]
        spoken = f"{folder}/transcriptions.json"
        try:
            transcriptions = read_json(root / spoken, spoken) if spoken in uris else None
            yield CommentaryFolder(folder.rpartition("/")[2], read_json(root / uri, uri), transcriptions)
        except RawFileError as error:
            texts.leave_out("text-malformed", "commentary", str(error))
