"""A path from JSON leads to a file below the raw root, or is refused with its JSON path, its value and the root."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sensorloom.ingest.errors import RawFileError
from sensorloom.ingest.inside import uri_inside
from sensorloom.ingest.jsonfile import Node

WHERE = "takes.json: $[0].relative_path"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "raw" / "takes" / "a").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "raw"


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
def test_a_path_below_the_root_is_given_from_the_root(
    root: Path, relative: str, folder: str, uri: str
) -> None:
    assert uri_inside(root, Node(relative, WHERE), folder) == uri


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
def test_what_would_leave_is_refused(root: Path, relative: str, problem: str) -> None:
    with pytest.raises(RawFileError) as caught:
        uri_inside(root, Node(relative, WHERE), "takes/a")
    assert str(caught.value) == f"{WHERE}: {relative!r} {problem}; only files below {root} are read"


def test_a_link_may_not_lead_out(root: Path) -> None:
    (root / "takes" / "a" / "out").symlink_to(root.parent / "elsewhere")
    with pytest.raises(
        RawFileError, match=r"'out/x\.mp4' leads out of it, through a link to .*elsewhere/x\.mp4;"
    ):
        uri_inside(root, Node("out/x.mp4", WHERE), "takes/a")


def test_a_link_inside_and_a_linked_root_are_fine(root: Path) -> None:
    (root / "takes" / "b").symlink_to(root / "takes" / "a")
    linked = root.parent / "linked"
    linked.symlink_to(root)
    assert uri_inside(linked, Node("takes/b/x.mp4", WHERE)) == "takes/b/x.mp4"


@pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="from 3.13 a ring resolves to itself: nothing is there"
)
def test_links_in_a_ring_are_refused(root: Path) -> None:
    (root / "ring").symlink_to(root / "gnir")
    (root / "gnir").symlink_to(root / "ring")
    with pytest.raises(RawFileError, match=r"\$\[0\]\.relative_path: 'ring/x' cannot be followed"):
        uri_inside(root, Node("ring/x", WHERE))


def test_what_is_no_text_is_no_path(root: Path) -> None:
    with pytest.raises(RawFileError, match=r"\$\[0\]\.relative_path: expected a text, got null"):
        uri_inside(root, Node(None, WHERE))
