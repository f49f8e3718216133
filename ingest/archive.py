"""One zip archive, opened in place and distrusted: bounded, never extracted, never followed out of itself.

Archives come from the internet and from other people's disks. What is refused, and why:

- names that would leave a folder when unpacked (absolute, `..`, drive letter, backslash, NUL) and symbolic
  links;
- entries whose bytes overlap, the trick behind bombs that no single ratio betrays;
- encrypted members and methods other than stored and deflate, whose output cannot be bounded while inflating;
- members that claim, or turn out, to unpack beyond `Limits`.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, cast

from sensorloom.ingest.errors import ArchiveError, IngestError, RawFileError

__all__ = ["LIMITS", "Archive", "Limits", "RawStream", "unsafe_name"]

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ENCRYPTED = 0x1 | 0x40
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SPOOL_BYTES = 64 << 20
# All that zipfile raises on broken bytes; RuntimeError is its word for "a password is needed".
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what an archive may unpack to. A member may exceed `ratio` only below `ratio_floor_bytes`."""

    member_bytes: int = 8 << 30
    ratio: float = 200.0
    ratio_floor_bytes: int = 100 << 20
    depth: int = 3


LIMITS = Limits()


def unsafe_name(name: str) -> str | None:
    """Return why unpacking a member of this name could write outside its folder; None if it could not."""
    if not name or "\0" in name:
        return "the name is empty or holds a NUL byte"
    if "\\" in name:
        return "the name holds a backslash, a path separator elsewhere"
    if name.startswith("/"):
        return "the name is absolute"
    if _DRIVE.match(name):
        return "the name starts with a drive letter"
    if ".." in name.split("/"):
        return "the name climbs out of its folder with '..'"
    return None


class RawStream(io.RawIOBase):
    """A readable stream that counts what it yields and speaks of its file when reading fails.

    `size_bytes` is what the archive's directory claims the member unpacks to; it is held to it.
    """

    def __init__(
        self, source: io.RawIOBase | io.BufferedIOBase, where: str, size_bytes: int | None = None
    ) -> None:
        super().__init__()
        self._source = source
        self._where = where
        self._size = size_bytes
        self._count = 0

    def readable(self) -> bool:
        """Tell that the stream can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read into `buffer`, return the bytes read. Raises `ArchiveError` or `RawFileError`."""
        try:
            count = self._source.readinto(buffer) or 0
        except OSError as error:
            raise RawFileError(f"{self._where}: cannot be read: {error.strerror or error}") from error
        except _BROKEN as error:
            reason = str(error) or type(error).__name__
            raise ArchiveError(
                f"{self._where}: broken after {self._count} bytes ({reason}); download the archive again"
            ) from error
        self._count += count
        if self._size is not None and len(buffer):
            self._check_count(ended=count == 0, size_bytes=self._size)
        return count

    def _check_count(self, *, ended: bool, size_bytes: int) -> None:
        if self._count > size_bytes or (ended and self._count < size_bytes):
            raise ArchiveError(
                f"{self._where}: unpacks to {self._count} bytes where the archive says {size_bytes};"
                " download it again"
            )

    def close(self) -> None:
        """Close the source too."""
        if not self.closed:
            self._source.close()
        super().close()


class _Slice(io.RawIOBase):
    """A stored member seen in place: bytes `[start, start + size)` of the archive's own file."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size, self._position = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(22, "seek before the start of the member")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._file.seek(self._start + self._position)
        data = self._file.read(max(0, min(len(buffer), self._size - self._position)))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


class Archive:
    """A zip file open for reading.

    `where` is its address in messages; `file` must be seekable and is now the archive's to close. Raises
    `ArchiveError` at once when the archive is broken or any name in it is unsafe.
    """

    def __init__(self, file: IO[bytes], where: str, limits: Limits = LIMITS) -> None:
        self._file, self._where, self._limits = file, where, limits
        with ExitStack() as undo:
            undo.callback(file.close)
            with _named(where):
                self._zip = zipfile.ZipFile(file)
            self._members = {info.filename: info for info in self._zip.infolist() if not info.is_dir()}
            self._check_directory()
            undo.pop_all()

    @property
    def sizes(self) -> dict[str, int]:
        """Names of the members that are files, and the bytes each claims to unpack to."""
        return {name: info.file_size for name, info in self._members.items()}

    def open(self, name: str) -> RawStream:
        """Open a member to be read once from its start, or raise `ArchiveError` if it breaks the limits."""
        info = self._check_member(name)
        with _named(f"{self._where}!{name}"):
            member = cast("zipfile.ZipExtFile", self._zip.open(info))
            return RawStream(member, f"{self._where}!{name}", info.file_size)

    def open_seekable(self, name: str) -> IO[bytes]:
        """Open a member that is itself an archive: in place if stored, else through a spooled temporary."""
        info = self._check_member(name)
        if info.compress_type == zipfile.ZIP_STORED:
            return io.BufferedReader(_Slice(self._file, self._data_start(info), info.file_size))
        with ExitStack() as undo:
            spool = undo.enter_context(tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES))
            with self.open(name) as stream:
                while data := stream.read(1 << 20):
                    spool.write(data)
            undo.pop_all()
        return spool

    def close(self) -> None:
        """Close the archive and its file."""
        self._zip.close()
        self._file.close()

    def _check_directory(self) -> None:
        for info in self._zip.infolist():
            reason = unsafe_name(info.orig_filename)
            if reason is None and stat.S_ISLNK(info.external_attr >> 16):
                reason = "it is a symbolic link"
            if reason is not None:
                raise ArchiveError(
                    f"{self._where}: member {info.orig_filename!r} is unsafe: {reason}; nothing of it is read"
                )
        self._check_names_differ()
        self._check_overlap()

    def _check_names_differ(self) -> None:
        names = [info.filename for info in self._zip.infolist()]
        if len(set(names)) < len(names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise ArchiveError(
                f"{self._where}: holds member {twice!r} twice, and nothing tells which is meant; pack it anew"
            )

    def _check_overlap(self) -> None:
        infos = sorted(self._zip.infolist(), key=lambda info: info.header_offset)
        for info, after in pairwise(infos):
            if info.header_offset + _LOCAL_HEADER.size + info.compress_size > after.header_offset:
                raise ArchiveError(
                    f"{self._where}: members {info.filename!r} and {after.filename!r} share bytes of the"
                    " archive, as in a zip bomb; nothing of it is read"
                )

    def _check_member(self, name: str) -> zipfile.ZipInfo:
        where = f"{self._where}!{name}"
        if name not in self._members:
            raise ArchiveError(f"{where}: no such member; the archive changed since it was listed")
        info = self._members[name]
        if info.flag_bits & _ENCRYPTED:
            raise ArchiveError(f"{where}: is encrypted; unpack it with its password and point to the files")
        if info.compress_type not in _METHODS:
            raise ArchiveError(
                f"{where}: uses compression method {info.compress_type}; only stored (0) and deflate (8) are"
                " read, pack it anew"
            )
        self._check_size(info, where)
        return info

    def _check_size(self, info: zipfile.ZipInfo, where: str) -> None:
        limits = self._limits
        if info.file_size > limits.member_bytes:
            raise ArchiveError(
                f"{where}: claims to unpack to {info.file_size} bytes,"
                f" the limit is {limits.member_bytes} bytes a member"
            )
        if info.file_size > limits.ratio_floor_bytes and info.file_size > limits.ratio * info.compress_size:
            raise ArchiveError(
                f"{where}: {info.compress_size} bytes unpack to {info.file_size}, more than {limits.ratio:g}"
                f" times; beyond {limits.ratio_floor_bytes} bytes that is a zip bomb, not sensor text"
            )

    def _data_start(self, info: zipfile.ZipInfo) -> int:
        with _named(f"{self._where}!{info.filename}"):
            self._file.seek(info.header_offset)
            header = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
        if header[0] != b"PK\x03\x04":
            raise ArchiveError(
                f"{self._where}!{info.filename}: its local header is broken; download the archive again"
            )
        return info.header_offset + _LOCAL_HEADER.size + int(header[9]) + int(header[10])


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Turn what zipfile raises on broken bytes into an `ArchiveError` about `where`."""
    try:
        yield
    except IngestError:
        raise
    except OSError as error:
        raise RawFileError(f"{where}: cannot be read: {error.strerror or error}") from error
    except _BROKEN as error:
        raise ArchiveError(f"{where}: is not a sound zip archive: {error}; download it again") from error
