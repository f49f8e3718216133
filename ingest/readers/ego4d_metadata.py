"""What `ego4d.json` says of one video: its entry of `videos`, read with types, and the doubts that it raises.

Documented in docs/data/metadata.md of the data set. Nearly everything may be null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.jsonfile import Node, canonical_json
from sensorloom.ingest.take import NS_PER_S, Finding, Interval, counted

__all__ = [
    "SPLITS",
    "ComponentEntry",
    "VideoEntry",
    "metadata_findings",
    "official_split",
    "read_video_entry",
    "redacted_findings",
]

SPLITS = ("split_em", "split_av", "split_fho")
"""The splits of three benchmarks; their test sets differ, so a video can be train for one and test for another."""

# Beyond a week a duration has no sense; the longest video lasts some hours.
_SHORTEST_S, _LONGEST_S = 1e-3, 7 * 24 * 3600.0
_EVER_S = (-_LONGEST_S, _LONGEST_S)
_ENDS = ("start", "end")
_TEXT_FACTS = ("video_source", "device", "physical_setting_name", "origin_video_id")


@dataclass(frozen=True, slots=True)
class ComponentEntry:
    """One of the files that a canonical video was joined from, and how long it is there, None where unknown."""

    index: int
    length_s: float | None


@dataclass(frozen=True, slots=True)
class VideoEntry:
    """The members of a video's entry that this reader uses; None where null or absent.

    `redacted` are in the order of the entry and inside the video; `problems` tell of components and redacted intervals
    that are not as documented.
    """

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
    problems: tuple[str, ...] = ()


def read_video_entry(node: Node) -> VideoEntry:
    """Read one element of `videos`. Raises `RawFileError` naming the JSON path of what is not as documented."""
    duration_s = node.get("duration_sec").seconds(_SHORTEST_S, _LONGEST_S)
    problems: list[str] = []
    metadata = node.optional("video_metadata")
    frames = metadata.optional("num_frames") if metadata else None
    return VideoEntry(
        uid=node.get("video_uid").text(),
        duration_s=duration_s,
        scenarios=tuple(scenario.text() for scenario in _items(node, "scenarios")),
        num_frames=frames.integer() if frames else None,
        splits={name: split.text() for name in SPLITS if (split := node.optional(name))},
        participant=participant.integer() if (participant := node.optional("fb_participant_id")) else None,
        has_imu=has_imu.flag() if (has_imu := node.optional("has_imu")) else None,
        is_stereo=_flag(node, "is_stereo"),
        components=tuple(_components(node, problems)),
        is_redacted=_flag(node, "has_redacted_regions"),
        redacted=tuple(_redacted(node, round(duration_s * NS_PER_S), problems)),
        facts=dict(_facts(node)),
        problems=tuple(problems),
    )


def _items(node: Node, key: str) -> Iterator[Node]:
    listed = node.optional(key)
    return listed.items() if listed else iter(())


def _flag(node: Node, key: str) -> bool:
    flag = node.optional(key)
    return flag.flag() if flag else False


def _components(node: Node, problems: list[str]) -> Iterator[ComponentEntry]:
    for part in _items(node, "video_components"):
        try:
            index = part.get("component_idx").integer()
        except RawFileError as error:
            problems.append(str(error))
            continue
        try:
            start_s, stop_s = (part.get(f"canonical_video_{end}_sec").seconds(*_EVER_S) for end in _ENDS)
        except RawFileError as error:
            problems.append(str(error))
            yield ComponentEntry(index, None)
        else:
            yield ComponentEntry(index, stop_s - start_s)


def _redacted(node: Node, duration_ns: int, problems: list[str]) -> Iterator[Interval]:
    """Yield what of each interval lies inside the video; nothing of one that lies outside."""
    for part in _items(node, "redacted_intervals"):
        try:
            start_ns, stop_ns = (round(part.get(f"{end}_sec").seconds(*_EVER_S) * NS_PER_S) for end in _ENDS)
            if stop_ns < start_ns:
                part.fail("an interval that ends after its start")
        except RawFileError as error:
            problems.append(str(error))
            continue
        start_ns, stop_ns = max(start_ns, 0), min(stop_ns, duration_ns)
        if start_ns < stop_ns:
            yield Interval(start_ns, stop_ns)


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
    """Return test or val where any benchmark says so (test wins), train where all that say anything do, else None.

    A video that one benchmark tests on is no training video of another; the data set's own CLEP code does the same.
    Of `multi` some clips are validated or tested on, so it is none either.
    """
    said = set(entry.splits.values())
    if said == {"train"}:
        return "train"
    return next((split for split in ("test", "val") if split in said), None)


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
    if entry.problems:
        problems = counted(len(entry.problems), "problem")
        sentence = (
            f"{problems} in video_components and redacted_intervals; what is wrong is left out, the first:"
            f" {entry.problems[0]}"
        )
        yield Finding(take_id, "metadata-malformed", "warning", sentence, {"count": len(entry.problems)})


def redacted_findings(entry: VideoEntry, num_blank: int | None, take_id: str) -> Iterator[Finding]:
    """Tell of redacted intervals, and of the `num_blank` frames left out for them; None: no video was read."""
    if not (entry.is_redacted or entry.redacted):
        return
    seconds = sum(part.length_ns for part in entry.redacted) / NS_PER_S
    numbers: dict[str, float] = {"count": len(entry.redacted), "total_s": seconds}
    sentence = (
        f"{counted(len(entry.redacted), 'interval')} of {seconds:g} s in all redacted; the video is blank there"
        if entry.redacted
        else "the video has redacted regions, and the metadata does not say when; blank frames are used as pictures"
    )
    if entry.redacted and num_blank is not None:
        sentence += f", {counted(num_blank, 'frame')} left out"
        numbers["frames"] = num_blank
    yield Finding(take_id, "redacted", "note" if entry.redacted else "warning", sentence, numbers)
