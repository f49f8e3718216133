"""The slow second look at lines that would not parse: which line, what stands there, what should."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["MISSING_CELLS", "describe_malformed"]

MISSING_CELLS = ("NULL", "null", "None", "nan", "NaN")
"""What an optional cell may hold, besides nothing at all, to say that there is no value."""

_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d+")
_LARGEST = {"float32": 3.4028235e38, "float64": 1.7976931348623157e308, "int64": float(2**63 - 1)}
_LONGEST_QUOTE = 40
_CONTROL = bytes(byte for byte in (*range(32), 127) if byte not in b"\t\n\r")
_LOOK_AHEAD_BYTES = 4096
# Share of control bytes beyond which bytes are no text; random bytes hold 12 %, a table of numbers none.
_CONTROL_SHARE = 0.05


def describe_malformed(
    text: bytes,
    separator: str,
    num_columns: int,
    expected: Mapping[int, tuple[str, str, bool]],
    first_line: int,
) -> str:
    """Describe the first malformed line of `text`, which starts at line `first_line` of its file.

    `expected` maps the 0-based place of each parsed cell to its (name, dtype, whether it may be missing).
    """
    lines = text.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    for number, line in enumerate(lines):
        is_cut = number == len(lines) - 1 and not text.endswith(b"\n")
        problem = _line_problem(line.removesuffix(b"\r"), separator, num_columns, expected)
        if problem is not None:
            ahead = b"\n".join(lines[number : number + _LOOK_AHEAD_BYTES])[:_LOOK_AHEAD_BYTES]
            if b"\0" in line or _control_share(ahead) > _CONTROL_SHARE:
                return f"line {first_line + number}: is not text but binary data; download it again"
            ending = ", and the file ends without a newline: it is cut, download it again" if is_cut else ""
            return f"line {first_line + number}: {problem}{ending}"
    last_line = first_line + len(lines) - 1
    return f"lines {first_line} to {last_line} do not parse as {num_columns} columns of plain numbers"


def _control_share(data: bytes) -> float:
    return 1 - len(data.translate(None, _CONTROL)) / len(data) if data else 0.0


def _line_problem(
    line: bytes, separator: str, num_columns: int, expected: Mapping[int, tuple[str, str, bool]]
) -> str | None:
    try:
        cells = line.decode("utf-8").split(separator)
    except UnicodeDecodeError as error:
        return f"is not UTF-8 text: byte 0x{line[error.start]:02x} at place {error.start}"
    if not line.strip():
        return f"is blank, expected {num_columns} columns"
    if len(cells) != num_columns:
        return f"found {len(cells)} columns, expected {num_columns}"
    for place, (name, dtype, optional) in sorted(expected.items()):
        cell = cells[place].strip()
        if optional and cell in ("", *MISSING_CELLS):
            continue
        problem = _cell_problem(cell, dtype)
        if problem is not None:
            return f"column {place + 1} ({name}): {problem}"
    last_may_be_empty = num_columns - 1 in expected  # and then it was judged above
    return None if cells[-1].strip() or last_may_be_empty else f"column {num_columns} is empty"


def _cell_problem(cell: str, dtype: str) -> str | None:
    quoted = repr(cell if len(cell) <= _LONGEST_QUOTE else cell[:_LONGEST_QUOTE] + "…")
    if cell == "NaN" and dtype == "float32":
        return None
    kind = "an integer" if dtype == "int64" else "a number or NaN" if dtype == "float32" else "a number"
    if not (_INTEGER if dtype == "int64" else _FLOAT).fullmatch(cell):
        return f"found {quoted}, expected {kind}"
    if abs(float(cell)) > _LARGEST[dtype]:
        return f"found {quoted}, beyond the range of {dtype}"
    return None
