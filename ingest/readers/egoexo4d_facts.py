"""What Ego-Exo4D's smaller files tell of a take: its split, its participant, its capture. As facts and findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.jsonfile import Node, parse_json
from sensorloom.ingest.take import Finding

__all__ = ["official_split", "record_facts", "record_findings"]

_SPLITS = ("train", "val", "test")
_ANNOTATION_FILES = ("atomic_descriptions", "expert_commentary", "keystep")
_LONGEST_FACT = 200


def official_split(nodes: Mapping[str, Node]) -> str | None:
    """Return `train`, `val` or `test`, None where `splits.json` does not list the take or uses another word."""
    node = nodes.get("splits.json")
    return node.value if node is not None and node.value in _SPLITS else None


def record_facts(nodes: Mapping[str, Node]) -> dict[str, str]:
    """Return what is told of the participant, whose `metadata` is JSON in a string; none where it cannot be read."""
    try:
        return dict(_participant_facts(nodes.get("participants.json")))
    except RawFileError:  # record_findings tells
        return {}


def record_findings(nodes: Mapping[str, Node], errors: Mapping[str, str], take_id: str) -> Iterator[Finding]:
    """Tell of shared files that cannot be read, and of members of the others that are not as documented."""
    for name, error in sorted(errors.items()):
        is_text = name.startswith(_ANNOTATION_FILES)
        yield Finding(f"{take_id}#text" if is_text else take_id, "unreadable-file", "error", error)
    split = nodes.get("splits.json")
    if split is not None and split.value not in _SPLITS:
        sentence = (
            f"{split.where}: {split.value!r} is none of {', '.join(_SPLITS)}; the take has no official split"
        )
        yield Finding(take_id, "unknown-name", "warning", sentence)
    try:
        list(_participant_facts(nodes.get("participants.json")))
        is_unvalidated = _is_unvalidated(nodes)
    except RawFileError as error:
        yield Finding(take_id, "metadata-malformed", "warning", str(error))
        return
    if is_unvalidated:
        sentence = "captures.json: timesync_validated is false: nobody has checked the capture's timesync.csv by hand"
        yield Finding(take_id, "timesync-unvalidated", "warning", sentence)


def _is_unvalidated(nodes: Mapping[str, Node]) -> bool:
    """Ask `captures.json` where the take's own copy of the capture's entry does not tell (that one is told already)."""
    own = nodes["takes.json"].get("capture").optional("timesync_validated")
    capture = nodes.get("captures.json")
    flag = None if own is not None or capture is None else capture.optional("timesync_validated")
    return flag is not None and not flag.spelled_flag()


def _participant_facts(participant: Node | None) -> Iterator[tuple[str, str]]:
    if participant is None:
        return
    text = participant.optional("metadata")
    if text is None:
        return
    metadata = parse_json(text.text(), f"{text.where} (JSON in a string)") if text.text().strip() else None
    for key, node in [] if metadata is None else metadata.members():
        is_plain = isinstance(node.value, str | int | float | bool)
        word = node.text().strip() if isinstance(node.value, str) else str(node.value)
        if is_plain and word:
            yield f"participant_{key}", word[:_LONGEST_FACT]
