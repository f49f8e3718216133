"""A table in the layout of a paper: its rows, who each is of, and what a reader must know of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from sensorloom.training.evaluation.judged import Evaluation

__all__ = ["Number", "PaperRow", "PaperTable", "Whose", "number_words", "render_text", "table_notes"]

Whose = Literal["run", "chance", "paper"]
Number = float | int | None
_OTHER_DATA = (
    "Windows, texts and splits of the papers are not those of this store, also where the data set is."
)
_GENERATED = "The runs were measured on generated data; their scores say nothing about real recordings."


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One line: the task it belongs to, who, the numbers by column, and what they were measured on."""

    task: str
    name: str
    whose: Whose
    numbers: tuple[Number, ...]
    measured_on: str
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table in the layout of a paper, which `source` names, with what a reader must know in `notes`."""

    source: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]
    notes: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """Return the table as plain JSON values."""
        return asdict(self)


def render_text(table: PaperTable) -> str:
    """Return the table as plain text: a line a row, a line a note."""
    names = [f"{row.task}  {row.name}" if row.task else row.name for row in table.rows]
    width = max((len(name) for name in names), default=0)
    widths = [max(len(column), 6) for column in table.columns]
    heads = "  ".join(f"{column:>{size}}" for column, size in zip(table.columns, widths, strict=True))
    lines = [f"{table.source}: {table.title}", f"{'':{width}}  {heads}  measured on"]
    for name, row in zip(names, table.rows, strict=True):
        cells = "  ".join(
            f"{number_words(number):>{size}}" for number, size in zip(row.numbers, widths, strict=True)
        )
        doubt = f" ({row.doubt})" if row.doubt else ""
        lines.append(f"{name:{width}}  {cells}  {row.measured_on}{doubt}")
    return "\n".join([*lines, *(f"Note: {note}" for note in table.notes)])


def number_words(number: Number) -> str:
    """Return a number as the tables print it: counts whole, shares with four digits, `-` where there is none."""
    if number is None:
        return "-"
    return f"{number:,}" if isinstance(number, int) else f"{number:.4f}"


def table_notes(evaluations: Sequence[Evaluation], papers: Sequence[PaperRow]) -> tuple[str, ...]:
    """Return what a reader must know before comparing `papers` with runs."""
    notes = [_OTHER_DATA] if papers else []
    if any("generated" in evaluation.data for evaluation in evaluations):
        notes.append(_GENERATED)
    if any(row.doubt for row in papers):
        notes.append("Published values with a remark in their line are not to be relied on.")
    return tuple(notes)
