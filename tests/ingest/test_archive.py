from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from contextlib import closing
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorloom.ingest.archive import Archive, Limits, RawStream, unsafe_name
from sensorloom.ingest.errors import ArchiveError, LayoutError, RawFileError
from sensorloom.ingest.rawtree import RawTree, preferred
from sensorloom.ingest.source import FileRef
from tests.ingest.raw_text import write, zip_bytes


def read_all(packed: bytes, limits: Limits | None = None) -> dict[str, bytes]:
    archive = Archive(io.BytesIO(packed), "a.zip", limits or Limits())
    return {name: archive.open(name).read() for name in archive.sizes}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_in_place(method: int) -> None:
    members = {"one.csv": b"x" * 5000, "folder/two.csv": b""}
    assert read_all(zip_bytes(members, method)) == members


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../x.csv", r"climbs out of its folder"),
        ("a/../../x.csv", r"climbs out of its folder"),
        ("/etc/x.csv", r"the name is absolute"),
        ("C:/x.csv", r"starts with a drive letter"),
        ("a\\..\\x.csv", r"holds a backslash"),
    ],
)
def test_a_name_that_would_escape_is_refused(name: str, reason: str) -> None:
    with pytest.raises(
        ArchiveError, match=rf"a\.zip: member .* is unsafe: .*{reason}.*; nothing of it is read"
    ):
        read_all(zip_bytes({"sound.csv": "1", name: "2"}))


@given(st.text(min_size=1, max_size=30) | st.from_regex(r"\A(\.\.?/|/|[a-zA-Z]:|[ab]\\?)*\Z"))
def test_what_passes_as_a_name_stays_in_its_folder(name: str) -> None:
    if unsafe_name(name) is None:
        for kind in (PurePosixPath, PureWindowsPath):
            path = kind(name)
            assert not path.is_absolute()
            assert not path.drive
            assert ".." not in path.parts


def test_a_symbolic_link_is_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        link = zipfile.ZipInfo("link.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ArchiveError, match=r"member 'link\.csv' is unsafe: it is a symbolic link"):
        read_all(packed.getvalue())


def test_a_member_beyond_the_bound_is_refused() -> None:
    packed = zip_bytes({"x.csv": bytes(1001)})
    with pytest.raises(
        ArchiveError, match=r"a\.zip!x\.csv: claims to unpack to 1001 bytes, the limit is 1000 bytes"
    ):
        read_all(packed, Limits(member_bytes=1000))


def test_a_ratio_is_bounded_beyond_a_floor_only() -> None:
    packed = zip_bytes({"x.csv": bytes(100_000)})
    with pytest.raises(
        ArchiveError, match=r"a\.zip!x\.csv: \d+ bytes unpack to 100000, more than 200 times; beyond 99999"
    ):
        read_all(packed, Limits(ratio_floor_bytes=99_999))
    assert read_all(packed, Limits(ratio_floor_bytes=100_000)) == {"x.csv": bytes(100_000)}


def with_claimed_size(packed: bytes, size: int) -> bytes:
    """Return the archive with the unpacked size of its only member forged in both of its headers."""
    forged = bytearray(packed)
    directory = forged.index(b"PK\x01\x02")
    struct.pack_into("<I", forged, 22, size)
    struct.pack_into("<I", forged, directory + 24, size)
    return bytes(forged)


def test_a_size_that_lies_low_yields_no_more_than_it_says() -> None:
    packed = with_claimed_size(zip_bytes({"x.csv": bytes(100_000)}), 10)
    with pytest.raises(ArchiveError, match=r"a\.zip!x\.csv: broken after \d+ bytes \(Bad CRC"):
        read_all(packed)


def test_a_size_that_lies_high_is_told() -> None:
    packed = with_claimed_size(zip_bytes({"x.csv": bytes(100)}), 5000)
    with pytest.raises(
        ArchiveError, match=r"a\.zip!x\.csv: unpacks to 100 bytes where the archive says 5000"
    ):
        read_all(packed)


def test_overlapping_members_are_refused() -> None:
    packed = bytearray(zip_bytes({"a.csv": bytes(1000), "b.csv": bytes(1000)}, zipfile.ZIP_STORED))
    second = packed.rindex(b"PK\x01\x02")
    struct.pack_into("<I", packed, second + 42, 5)
    with pytest.raises(ArchiveError, match=r"members 'a\.csv' and 'b\.csv' share bytes of the archive"):
        read_all(bytes(packed))


def test_an_encrypted_member_is_refused() -> None:
    packed = bytearray(zip_bytes({"x.csv": "1"}))
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ArchiveError, match=r"a\.zip!x\.csv: is encrypted; unpack it with its password"):
        read_all(bytes(packed))


def test_an_unbounded_method_is_refused() -> None:
    with pytest.raises(ArchiveError, match=r"a\.zip!x\.csv: uses compression method 12; only stored"):
        read_all(zip_bytes({"x.csv": "1"}, zipfile.ZIP_BZIP2))


def test_a_stored_archive_with_a_broken_header_is_told() -> None:
    packed = bytearray(zip_bytes({"inner.zip": zip_bytes({"x.csv": "1"})}, zipfile.ZIP_STORED))
    packed[0] = 0
    with pytest.raises(ArchiveError, match=r"a\.zip!inner\.zip: its local header is broken"):
        Archive(io.BytesIO(bytes(packed)), "a.zip").open_seekable("inner.zip")


class FailingDisk(io.RawIOBase):
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        raise OSError(5, "Input/output error")


def test_a_disk_that_fails_while_reading_is_told() -> None:
    with pytest.raises(RawFileError, match=r"x\.csv: cannot be read: Input/output error"):
        RawStream(FailingDisk(), "x.csv").read()


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with RawTree(tmp_path) as tree, pytest.raises(LayoutError, match=r"cannot be listed: Permission denied"):
        tree.list(is_csv, any_zip)


def test_a_subfolder_that_cannot_be_listed_is_broken_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a" / "x.csv", "1")
    write(tmp_path / "private" / "y.csv", "1")
    write(tmp_path / "lost+found" / "z.csv", "1")
    write(tmp_path / "w" / "v.csv", "1")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if path.name in ("private", "lost+found"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with RawTree(tmp_path) as tree:
        found = tree.list(is_csv, any_zip)
        assert [file.uri for file in found.files] == ["a/x.csv", "w/v.csv"]
        assert [file.uri for file in found.broken] == ["private"]
        with pytest.raises(RawFileError, match=r"private: this folder could not be listed; give the right"):
            tree.check("private")


def test_a_file_whose_size_may_not_be_asked_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "x.csv", "1")

    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    with RawTree(tmp_path) as tree:
        monkeypatch.setattr(Path, "is_file", refuse)
        assert tree.list(is_csv, any_zip).files == (FileRef("x.csv", 0),)


def test_an_archive_without_a_file_that_was_asked_for_is_barren(tmp_path: Path) -> None:
    empty = zip_bytes({"readme.txt": ""})
    write(tmp_path / "outer.zip", zip_bytes({"empty.zip": empty, "full.zip": zip_bytes({"x.csv": "1"})}))
    write(tmp_path / "twice.zip", zip_bytes({"empty.zip": empty}))
    with RawTree(tmp_path) as tree:
        found = tree.list(is_csv, any_zip)
        assert [file.uri for file in found.barren] == [
            "outer.zip!empty.zip", "twice.zip", "twice.zip!empty.zip",
        ]  # fmt: skip
        assert [file.uri for file in tree.list_archive("outer.zip", is_csv, any_zip).files] == [
            "outer.zip!full.zip!x.csv"
        ]


def test_damaged_bytes_are_told_with_the_member() -> None:
    packed = bytearray(zip_bytes({"x.csv": bytes(range(256)) * 40}, zipfile.ZIP_STORED))
    packed[500] ^= 0xFF
    with pytest.raises(ArchiveError, match=r"a\.zip!x\.csv: broken after \d+ bytes \(Bad CRC-32"):
        read_all(bytes(packed))


@given(st.data())
def test_no_damage_raises_anything_else(data: st.DataObject) -> None:
    inner = zip_bytes({"x.csv": bytes(range(200)), "y.csv": b"1,2\n" * 50})
    method = data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    packed = bytearray(zip_bytes({"inner.zip": inner, "z.csv": b"3"}, method))
    for place in data.draw(st.lists(st.integers(0, len(packed) - 1), max_size=4)):
        packed[place] = data.draw(st.integers(0, 255))
    packed = packed[: data.draw(st.integers(0, len(packed)))]
    try:
        with closing(Archive(io.BytesIO(bytes(packed)), "a.zip")) as archive:
            for name in archive.sizes:
                with closing(Archive(archive.open_seekable(name), f"a.zip!{name}")) as nested:
                    for member in nested.sizes:
                        nested.open(member).read()
    except RawFileError as error:
        assert str(error).startswith("a.zip")  # noqa: PT017 - it need not raise


def is_csv(uri: str) -> bool:
    return uri.endswith(".csv")


def any_zip(_: str) -> bool:
    return True


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_tree_is_listed_and_opened_through_nested_archives(method: int, tmp_path: Path) -> None:
    inner = zip_bytes({"deep/c.csv": "ccc"})
    write(
        tmp_path / "f" / "a.zip",
        zip_bytes({"inner.zip": inner, "b.csv": "bb", "__MACOSX/._b.csv": "junk"}, method),
    )
    write(tmp_path / "d.csv", "d")
    write(tmp_path / "f" / "._d.csv", "junk")
    with RawTree(tmp_path) as tree:
        found = tree.list(is_csv, any_zip)
        assert found.broken == ()
        assert [(file.uri, file.num_bytes) for file in found.files] == [
            ("d.csv", 1), ("f/a.zip!b.csv", 2), ("f/a.zip!inner.zip!deep/c.csv", 3),
        ]  # fmt: skip
        assert [tree.open(file.uri).read() for file in found.files] == [b"d", b"bb", b"ccc"]
    with RawTree(tmp_path / "f" / "a.zip") as tree:
        uris = [file.uri for file in tree.list(is_csv, any_zip).files]
        assert uris == ["!b.csv", "!inner.zip!deep/c.csv"]
        assert [tree.open(uri).read() for uri in uris] == [b"bb", b"ccc"]


def test_archives_nest_no_deeper_than_three(tmp_path: Path) -> None:
    packed = zip_bytes({"x.csv": "1"})
    for name in ("c.zip", "b.zip"):
        packed = zip_bytes({name: packed})
    write(tmp_path / "three.zip", packed)
    write(tmp_path / "four.zip", zip_bytes({"a.zip": packed}))
    with RawTree(tmp_path) as tree:
        found = tree.list(is_csv, any_zip)
        assert [file.uri for file in found.files] == ["three.zip!b.zip!c.zip!x.csv"]
        assert [file.uri for file in found.broken] == ["four.zip!a.zip!b.zip!c.zip"]
        with pytest.raises(
            ArchiveError, match=r"four\.zip!a\.zip!b\.zip!c\.zip: archives are nested deeper than 3"
        ):
            tree.check(found.broken[0].uri)


def test_a_link_that_leads_to_itself_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    (tmp_path / "a.csv").write_text("x")
    with RawTree(tmp_path) as tree:
        found = tree.list(lambda uri: uri.endswith(".csv"), lambda uri: True)
    assert [file.uri for file in found.files] == ["a.csv"]


def test_a_folder_linked_into_itself_is_listed_once(tmp_path: Path) -> None:
    write(tmp_path / "f" / "x.csv", "1")
    (tmp_path / "f" / "loop").symlink_to(tmp_path)
    with RawTree(tmp_path) as tree:
        assert [file.uri for file in tree.list(is_csv, any_zip).files] == ["f/x.csv"]


def test_an_exclamation_mark_in_a_wanted_name_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "oh!" / "x.csv", "1")
    with (
        RawTree(tmp_path) as tree,
        pytest.raises(LayoutError, match=r"oh!/x\.csv: '!' stands between an archive"),
    ):
        tree.list(is_csv, any_zip)


def test_a_member_that_is_gone_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.zip", zip_bytes({"x.csv": "1"}))
    with RawTree(tmp_path) as tree, pytest.raises(ArchiveError, match=r"a\.zip!y\.csv: no such member"):
        tree.open("a.zip!y.csv")


def test_an_archive_that_is_gone_is_told(tmp_path: Path) -> None:
    with (
        RawTree(tmp_path) as tree,
        pytest.raises(RawFileError, match=r"a\.zip: cannot be read: No such file"),
    ):
        tree.open("a.zip!y.csv")


def test_the_copy_on_disk_is_preferred() -> None:
    files = [FileRef("a.zip!b.zip!x.csv", 1), FileRef("long/way/x.csv", 1), FileRef("a.zip!x.csv", 1)]
    assert preferred(files).uri == "long/way/x.csv"
    assert preferred([files[0], files[2]]).uri == "a.zip!x.csv"


def test_a_member_that_stands_there_twice_is_refused():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.csv", "1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.csv", "2")
    with pytest.raises(ArchiveError, match=r"x\.zip: holds member 'a\.csv' twice, .*pack it anew"):
        Archive(data, "x.zip")
