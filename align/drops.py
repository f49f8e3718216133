"""What a view leaves out of a take, counted by reason: one finding each."""

from __future__ import annotations

from sensorloom.align.timeline import AlignedTake
from sensorloom.align.view import View
from sensorloom.ingest.take import Finding, counted

__all__ = ["texts_dropped", "windows_dropped"]


def windows_dropped(aligned: AlignedTake, view: View, rule: str, count: int, words: str) -> list[Finding]:
    """Return the finding that `count` windows were dropped, `words` say which; none where none was."""
    if not count:
        return []
    sentence = f"{view.name}: {counted(count, 'window')} dropped, {words}"
    numbers = {"windows": count, "total_s": count * view.length_s}
    return [Finding(aligned.take_id, rule, "note", sentence, numbers)]


def texts_dropped(aligned: AlignedTake, view: View, rule: str, count: int, words: str) -> list[Finding]:
    """Return the finding that `count` texts give no window or are not paired; none where none was."""
    if not count:
        return []
    sentence = f"{view.name}: {counted(count, 'text')} left out, {words}"
    return [Finding(aligned.take_id, rule, "note", sentence, {"texts": count})]
