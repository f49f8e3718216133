"""Ego-Exo4D's texts: atomic descriptions, and expert commentary in both forms that it is downloaded in.

Seconds from frame 0. A description's one stamp is good to 1 to 2 s (docs: annotations/atomic_descriptions). A comment
is retrospective: `video_time` is where the expert paused, and what is said was seen before it; `duration_approx` is how
long the expert spoke, no stretch of the video (annotations/expert_commentary). What was rejected, failed or is empty
is no text but a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.jsonfile import Node
from sensorloom.ingest.take import NS_PER_S, Finding, Severity, TextEvent, counted

__all__ = ["CommentaryFolder", "Texts", "read_atomic", "read_commentary", "read_commentary_folder"]

ATOMIC_UNCERTAINTY_NS = 2 * NS_PER_S
_CLOCK = "annotation-seconds"
# How far beyond the take's ends a stamp still tells of the take: as far as descriptions may be off.
_MARGIN_NS = ATOMIC_UNCERTAINTY_NS
_FARTHEST_S = 1e9
_LONGEST_TAG = 200

# Rule: its severity, the noun that is counted, and what is said of it.
_RULES: dict[str, tuple[Severity, str, str]] = {
    "text-rejected": (
        "note",
        "description",
        "of passes that the data set's reviewers rejected; not taken as text",
    ),
    "text-erroneous": ("note", "comment", "whose transcription failed (error is true); not taken as text"),
    "text-untranscribed": ("note", "comment", "that was spoken and not transcribed; not taken as text"),
    "text-tag-malformed": (
        "note",
        "tag",
        "of a text not as the data set documents it; the text is taken without it",
    ),
    "text-empty": ("note", "text", "without a word in it; left out"),
    "text-outside": (
        "warning",
        "text",
        "stamped more than 2 s before the take or after its end; left out",
    ),
    "text-duplicate": ("note", "text", "told twice over; each is taken once"),
    "text-malformed": ("warning", "text", "not as the data set documents it; left out"),
}


@dataclass(slots=True)
class Texts:
    """Gathers a take's texts and counts what is none. `take_ns` is the take's length, None where unknown."""

    take_ns: int | None
    events: list[TextEvent] = field(default_factory=list)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    first: dict[tuple[str, str], str] = field(default_factory=dict)
    seen: set[tuple[str, ...]] = field(default_factory=set)

    def leave_out(self, rule: str, source: str, where: str, count: int = 1) -> None:
        """Count texts that are not taken."""
        self.counts[rule, source] = self.counts.get((rule, source), 0) + count
        self.first.setdefault((rule, source), where)

    def add(self, event: TextEvent, key: tuple[str, ...], where: str) -> None:
        """Take a text, unless it says nothing, lies beyond the take, or `key` was there before."""
        is_beyond = self.take_ns is not None and not (
            -_MARGIN_NS <= event.start_ns <= self.take_ns + _MARGIN_NS
        )
        if not event.text:
            self.leave_out("text-empty", event.source, where)
        elif is_beyond:
            self.leave_out("text-outside", event.source, f"{where} at {event.start_ns / NS_PER_S:g} s")
        elif (event.source, *key) in self.seen:
            self.leave_out("text-duplicate", event.source, where)
        else:
            self.seen.add((event.source, *key))
            self.events.append(event)

    def findings(self, target: str) -> Iterator[Finding]:
        """Yield what was left out, by rule and source, with the first place of each."""
        for (rule, source), count in sorted(self.counts.items()):
            severity, noun, what = _RULES[rule]
            sentence = f"{source}: {counted(count, noun)} {what}; first: {self.first[rule, source]}"
            yield Finding(target, rule, severity, sentence, {"count": count})


@dataclass(frozen=True, slots=True)
class CommentaryFolder:
    """One expert's folder of a take: `data.json`, and `transcriptions.json` where it is there."""

    expert: str
    data: Node
    transcriptions: Node | None


def read_atomic(passes: Node, texts: Texts) -> None:
    """Take the descriptions of every annotator's pass over a take, each pass on its own and numbered from 1."""
    number = 0
    for entry in _each(passes, "atomic", texts):
        try:
            annotator, uid = _identifiers(entry)
            descriptions = list(entry.get("descriptions").items())
            rejected = _flag(entry, "rejected")
        except RawFileError as error:
            texts.leave_out("text-malformed", "atomic", str(error))
            continue
        if rejected:
            texts.leave_out("text-rejected", "atomic", f"{entry.where}.rejected", len(descriptions))
            continue
        number += 1
        for node in descriptions:
            try:
                event = _description(node, annotator, uid, texts)
            except RawFileError as error:
                texts.leave_out("text-malformed", "atomic", str(error))
            else:
                event = replace(event, tags={**event.tags, "pass": str(number)})
                texts.add(event, (annotator, str(event.start_ns), event.text), node.where)


def read_commentary(entries: Node, texts: Texts) -> None:
    """Take the comments of every expert on a take, from `expert_commentary_<split>.json`."""
    for entry in _each(entries, "commentary", texts):
        try:
            expert = entry.get("commentary").text().rpartition("/")[2]
            task = entry.optional("task_name")
            tags = {} if task is None else {"task_name": task.text()}
            comments = list(entry.get("commentary_data").items())
        except RawFileError as error:
            texts.leave_out("text-malformed", "commentary", str(error))
            continue
        for node in comments:
            _add_comment(node, node, (expert, "recording"), tags, texts)


def read_commentary_folder(folder: CommentaryFolder, tags: Mapping[str, str], texts: Texts) -> None:
    """Take one expert's comments from a folder; those that are in the JSON form too are counted as told twice."""
    try:
        annotations = list(folder.data.get("annotations").items())
        transcribed = {} if folder.transcriptions is None else dict(folder.transcriptions.members())
    except RawFileError as error:
        texts.leave_out("text-malformed", "commentary", str(error))
        return
    by_name = {_file_name(path): spoken for path, spoken in transcribed.items()}
    for node in annotations:
        path = node.value.get("recording_path") if isinstance(node.value, dict) else None
        spoken = transcribed.get(str(path)) or by_name.get(_file_name(str(path)))
        if spoken is None and isinstance(path, str):
            texts.leave_out("text-untranscribed", "commentary", node.where)
        else:
            _add_comment(node, spoken or node, (folder.expert, "recording_path"), tags, texts)


def _add_comment(
    node: Node, spoken: Node, of: tuple[str, str], tags: Mapping[str, str], texts: Texts
) -> None:
    """Take one comment: its time stands in `node`, its words in `spoken`; `of` is expert and name of the recording."""
    expert, member = of
    try:
        recording = _file_name(node.get(member).text())
        key = (expert, recording)
        if _flag(spoken, "error"):
            if ("failed", *key) not in texts.seen:
                texts.seen.add(("failed", *key))
                texts.leave_out("text-erroneous", "commentary", spoken.where)
            return
        said, spoken_s = spoken.optional("text"), node.optional("duration_approx")
        more = {} if spoken_s is None else {"duration_approx_s": f"{spoken_s.number():g}"}
        own = {**tags, "recording": recording, **more, "expert": expert}
        event = _event("commentary", node.get("video_time"), said, expert, own)
    except RawFileError as error:
        texts.leave_out("text-malformed", "commentary", str(error))
    else:
        texts.add(event, key, node.where)


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]


def _each(nodes: Node, source: str, texts: Texts) -> Iterable[Node]:
    try:
        return list(nodes.items())
    except RawFileError as error:
        texts.leave_out("text-malformed", source, str(error))
        return ()


def _identifiers(entry: Node) -> tuple[str, str]:
    """Return annotator and annotation, numbers or texts; a pass without an annotator's id is one of its own."""
    uid, annotator = entry.optional("annotation_uid"), entry.optional("annotator_id")
    uid_text = "" if uid is None else _word(uid)
    return (uid_text if annotator is None else _word(annotator)) or entry.where, uid_text


def _word(node: Node) -> str:
    return str(node.integer()) if isinstance(node.value, int | float) else node.text()


def _description(node: Node, annotator: str, uid: str, texts: Texts) -> TextEvent:
    """Read one description; a tag that cannot be read is lost alone."""
    event = _event("atomic", node.get("timestamp"), node.optional("text"), annotator, {})
    tags = {"annotation_uid": uid} if uid else {}
    for key, (name, read) in _TAGS.items():
        member = node.optional(key)
        try:
            value = None if member is None else read(member)
        except RawFileError as error:
            texts.leave_out("text-tag-malformed", "atomic", str(error))
        else:
            tags |= {} if value is None else {name: value[:_LONGEST_TAG]}
    return replace(event, tags=tags)


def _flag_word(node: Node) -> str:
    return str(node.spelled_flag()).lower()


def _camera(node: Node) -> str | None:
    """Return a camera's name, which `takes.json` gives alone and descriptions in an object."""
    camera = node if isinstance(node.value, str) else node.optional("cam_id")
    return None if camera is None else camera.text()


# Member: the tag, and how it is read. A subject goes by two names in the data set's own documents.
_TAGS: dict[str, tuple[str, Callable[[Node], str | None]]] = {
    "subject": ("subject", Node.text),
    "narration_subject": ("subject", Node.text),
    "ego_visible": ("ego_visible", _flag_word),
    "unsure": ("unsure", _flag_word),
    "best_exo": ("best_exo", _camera),
}


def _event(
    source: Literal["atomic", "commentary"],
    seconds: Node,
    text: Node | None,
    annotator: str,
    tags: Mapping[str, str],
) -> TextEvent:
    time_ns = round(seconds.seconds(-_FARTHEST_S, _FARTHEST_S) * NS_PER_S)
    return TextEvent(
        source=source,
        clock=_CLOCK,
        start_ns=time_ns,
        stop_ns=time_ns,
        text="" if text is None else text.text().strip(),
        annotator=annotator,
        uncertainty_ns=ATOMIC_UNCERTAINTY_NS if source == "atomic" else 0,
        tags={key: value[:_LONGEST_TAG] for key, value in tags.items()},
    )


def _flag(node: Node, key: str) -> bool:
    member = node.optional(key)
    return member is not None and member.spelled_flag()
