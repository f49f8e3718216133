"""A path from JSON leads to a file below the raw root, or is refused with its JSON path and its value."""

from __future__ import annotations

import pytest

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.inside import uri_inside
from sensorloom.ingest.jsonfile import Node

WHERE = "takes.json: $[0].relative_path"


@pytest.mark.parametrize(
    ("relative", "folder", "uri"),
    [
        ("takes/a", "", "takes/a"),
        ("videos/cam01.mp4", "takes/a", "takes/a/videos/cam01.mp4"),
        ("./videos//cam01.mp4", "takes/a", "takes/a/videos/cam01.mp4"),
        ("not..here.mp4", "takes/a", "takes/a/not..here.mp4"),
        ("ä" * 127, "", "ä" * 127),
    ],
)
def test_a_path_below_the_root_is_given_from_the_root(relative: str, folder: str, uri: str) -> None:
    assert uri_inside(Node(relative, WHERE), folder) == uri


@pytest.mark.parametrize(
    ("relative", "problem"),
    [
        ("../../etc", "climbs out of its folder"),
        ("a/../../../etc", "climbs out of its folder"),
        ("..", "climbs out of its folder"),
        ("/etc/passwd", "must be relative, with forward slashes"),
        ("..\\..\\etc", "must be relative, with forward slashes"),
        ("C:/windows", "must be relative, with forward slashes"),
        ("a\0b", "holds a control character"),
        ("a\nb", "holds a control character"),
        ("a.zip!b.mp4", "holds a '!' or a name of more than 255 bytes"),
        ("ä" * 128, "holds a '!' or a name of more than 255 bytes"),
        ("", "is no path"),
        (".", "is no path"),
    ],
)
def test_what_would_leave_is_refused(relative: str, problem: str) -> None:
    with pytest.raises(RawFileError) as caught:
        uri_inside(Node(relative, WHERE), "takes/a")
    assert str(caught.value) == f"{WHERE}: {relative!r} {problem}; only files below the raw root are read"


def test_what_is_no_text_is_no_path() -> None:
    with pytest.raises(RawFileError, match=r"\$\[0\]\.relative_path: expected a text, got null"):
        uri_inside(Node(None, WHERE))
