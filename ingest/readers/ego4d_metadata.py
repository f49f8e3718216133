"""What `ego4d.json` says of one video: its entry of `videos`, read with types, and the doubts that it raises.

Documented in docs/data/metadata.md of the data set. Nearly everything may be null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sensorloom.ingest.jsonfile import Node, canonical_json
from sensorloom.ingest.take import NS_PER_S, Finding, Interval, counted

__all__ = [
    "SPLITS",
    "ComponentEntry",
    "VideoEntry",
    "metadata_findings",
    "official_split",
    "read_video_entry",
]

SPLITS = ("split_em", "split_av", "split_fho")
"""The splits of three benchmarks; their test sets differ, so a video can be train for one and test for another."""

# Beyond a week a duration has no sense; the longest video lasts some hours.
_LONGEST_S = 7 * 24 * 3600.0
_TEXT_FACTS = ("video_source", "device", "physical_setting_name", "origin_video_id")


@dataclass(frozen=True, slots=True)
class ComponentEntry:
    """One of the files that a canonical video was joined from, in canonical seconds."""

    index: int
    start_s: float
    stop_s: float


@dataclass(frozen=True, slots=True)
class VideoEntry:
    """The members of a video's entry that this reader uses; None where null or absent."""

    uid: str
    duration_s: float
    scenarios: tuple[str, ...]
    num_frames: int | None
    splits: Mapping[str, str]
    participant: int | None
    has_imu: bool | None
    is_stereo: bool
    components: tuple[ComponentEntry, ...]
    is_redacted: bool
    redacted: tuple[Interval, ...]
    facts: Mapping[str, str]


def read_video_entry(node: Node) -> VideoEntry:
    """Read one element of `videos`. Raises `RawFileError` naming the JSON path of what is not as documented."""
    duration = node.get("duration_sec")
    if not 0 < duration.number() < _LONGEST_S:
        duration.fail(f"seconds in 0 … {_LONGEST_S:g}")
    metadata = node.optional("video_metadata")
    frames = metadata.optional("num_frames") if metadata else None
    return VideoEntry(
        uid=node.get("video_uid").text(),
        duration_s=duration.number(),
        scenarios=tuple(scenario.text() for scenario in _items(node, "scenarios")),
        num_frames=frames.integer() if frames else None,
        splits={name: split.text() for name in SPLITS if (split := node.optional(name))},
        participant=participant.integer() if (participant := node.optional("fb_participant_id")) else None,
        has_imu=has_imu.flag() if (has_imu := node.optional("has_imu")) else None,
        is_stereo=_flag(node, "is_stereo"),
        components=tuple(_component(part) for part in _items(node, "video_components")),
        is_redacted=_flag(node, "has_redacted_regions"),
        redacted=tuple(_redacted(part) for part in _items(node, "redacted_intervals")),
        facts=dict(_facts(node)),
    )


def _items(node: Node, key: str) -> Iterator[Node]:
    listed = node.optional(key)
    return listed.items() if listed else iter(())


def _flag(node: Node, key: str) -> bool:
    flag = node.optional(key)
    return flag.flag() if flag else False


def _component(node: Node) -> ComponentEntry:
    return ComponentEntry(
        node.get("component_idx").integer(),
        node.get("canonical_video_start_sec").number(),
        node.get("canonical_video_end_sec").number(),
    )


def _redacted(node: Node) -> Interval:
    start_ns, stop_ns = (round(node.get(key).number() * NS_PER_S) for key in ("start_sec", "end_sec"))
    if stop_ns < start_ns:
        node.fail("an interval that ends after its start")
    return Interval(start_ns, stop_ns)


def _facts(node: Node) -> Iterator[tuple[str, str]]:
    for key in _TEXT_FACTS:
        if text := node.optional(key):
            yield key, text.text()
    for key in SPLITS:
        if text := node.optional(key):
            yield key, text.text()
    if (sets := node.optional("concurrent_sets")) and sets.value:
        yield "concurrent_sets", canonical_json(sets.value)


def official_split(entry: VideoEntry) -> str | None:
    """Return test or val where any benchmark says so (test wins), else train where any does, else None.

    A video that one benchmark tests on is no training video of another; the data set's own CLEP code does the same.
    """
    said = set(entry.splits.values())
    return next((split for split in ("test", "val", "train") if split in said), None)


def metadata_findings(entry: VideoEntry, take_id: str) -> Iterator[Finding]:
    """Tell what the entry leaves open: whose it is, what it shows, which split it is in."""
    if entry.participant is None:
        sentence = "fb_participant_id is null; the video counts as a participant of its own"
        yield Finding(take_id, "participant-unknown", "note", sentence)
    if len(entry.scenarios) != 1:
        listed = ", ".join(repr(scenario) for scenario in entry.scenarios) or "none"
        count = counted(len(entry.scenarios), "scenario")
        sentence = f"{count} listed ({listed}), so no label holds for the whole video"
        yield Finding(take_id, "scenario-not-one", "note", sentence, {"scenarios": len(entry.scenarios)})
    said = set(entry.splits.values())
    if len(said) > 1 or said - {"train", "val", "test"}:
        listed = ", ".join(f"{name} {split}" for name, split in sorted(entry.splits.items()))
        split = official_split(entry) or "none of them"
        sentence = f"the benchmarks' splits differ: {listed}; the take counts as {split}"
        yield Finding(take_id, "splits-differ", "note", sentence)
    if entry.is_redacted or entry.redacted:
        seconds = sum(part.length_ns for part in entry.redacted) / NS_PER_S
        count = counted(len(entry.redacted), "interval")
        sentence = f"{count} of {seconds:g} s in all redacted; the video is blank there"
        numbers = {"count": len(entry.redacted), "total_s": seconds}
        yield Finding(take_id, "redacted", "note", sentence, numbers)
