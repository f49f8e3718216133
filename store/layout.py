"""Where each object of a store lies: pure functions between names and object keys.

Every name that comes from outside, JSON included, passes a check here before it becomes part of a key,
so no manifest can make a reader leave the root of the store.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal, get_args

from sensorloom.store.errors import InvalidNameError

__all__ = [
    "FORMAT_KEY",
    "PARTIAL_PREFIX",
    "ShardFormat",
    "bucket_of",
    "check_array_name",
    "check_digest",
    "check_ref_name",
    "check_run_id",
    "check_shard_key",
    "check_table_name",
    "is_lease",
    "lease_key",
    "manifest_key",
    "record_digest",
    "ref_key",
    "ref_name",
    "ref_prefix",
    "ref_sequence",
    "shard_key",
    "shard_marker",
    "shard_of_object",
    "snapshot_key",
    "work_record_key",
]

ShardFormat = Literal["zarr", "parquet"]

FORMAT_KEY = "format.json"
PARTIAL_PREFIX = "partial"
"""Local stores only: files on their way to their final name; empty whenever nobody writes."""
ZARR_MARKER = "zarr.json"
MAX_KEY_LENGTH = 512

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_TABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ARRAY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SEQUENCE_DIGITS = 10
_SEQUENCE = re.compile(rf"([0-9]{{{_SEQUENCE_DIGITS}}})\.json")
_REF_OBJECT = re.compile(rf"refs/(?P<name>{_NAME.pattern})/[0-9]{{{_SEQUENCE_DIGITS}}}\.json")
_LEASE_OBJECT = re.compile(rf"leases/{_RUN.pattern}\.json")
_SHARD_OBJECT = re.compile(r"shards/(?P<folder>..)/(?P<digest>[0-9a-f]{64})(?P<rest>\.zarr/|\.parquet$)")
_RECORD_OBJECT = re.compile(r"(?:manifests|snapshots|work/[0-9a-f]{2})/(?P<digest>[0-9a-f]{64})\.json")


def bucket_of(unit_id: str, num_buckets: int = 64) -> str:
    """Return the bucket of `unit_id`: sha256 of its UTF-8 modulo `num_buckets`, as two or more digits."""
    if num_buckets < 1:
        raise InvalidNameError(f"num_buckets must be at least 1, got {num_buckets}")
    number = int.from_bytes(hashlib.sha256(unit_id.encode()).digest()) % num_buckets
    width = max(2, len(str(num_buckets - 1)))
    return f"{number:0{width}d}"


def check_digest(text: str, what: str) -> str:
    """Return `text` if it is a sha256 in lower-case hex, else raise `InvalidNameError` naming `what`."""
    return _check(_DIGEST, text, what, "64 lower-case hex digits")


def check_ref_name(text: str) -> str:
    """Return `text` if it may name a ref."""
    return _check(_NAME, text, "ref name", "a lower-case letter or digit, then those or . _ -")


def check_table_name(text: str) -> str:
    """Return `text` if it may name a table."""
    return _check(_TABLE, text, "table name", "a letter or digit, then those or . _ : -")


def check_run_id(text: str) -> str:
    """Return `text` if it may name a run's lease."""
    return _check(_RUN, text, "run id", "a letter or digit, then those or . _ -")


def check_shard_key(text: str) -> str:
    """Return `text` if it may name a partition: printable segments joined by `/`, none empty, `.` or `..`."""
    safe = text.isprintable() and "\\" not in text and len(text) <= MAX_KEY_LENGTH
    if not safe or any(segment in ("", ".", "..") for segment in text.split("/")):
        raise InvalidNameError(
            f"shard key {text!r} must be printable segments joined by '/', none empty, '.' or '..', "
            f"without backslash, at most {MAX_KEY_LENGTH} characters"
        )
    return text


def check_array_name(text: str) -> str:
    """Return `text` if it may name an array of a Zarr shard, nested by `/`."""
    for segment in text.split("/"):
        if segment == ZARR_MARKER or not _ARRAY.fullmatch(segment):
            raise InvalidNameError(
                f"array name {text!r} must be segments of letters, digits, . _ - joined by '/', "
                f"each beginning with a letter or digit and none {ZARR_MARKER!r}"
            )
    return text


def shard_key(digest: str, file_format: ShardFormat) -> str:
    """Return the key of a Parquet shard, or the prefix that holds the files of a Zarr shard."""
    if file_format not in get_args(ShardFormat):
        raise InvalidNameError(
            f"shard format {file_format!r} must be one of {', '.join(get_args(ShardFormat))}"
        )
    check_digest(digest, "shard digest")
    return f"shards/{digest[:2]}/{digest}.{file_format}"


def shard_marker(digest: str, file_format: ShardFormat) -> str:
    """Return the object that is written last: with it the shard is whole."""
    key = shard_key(digest, file_format)
    return f"{key}/{ZARR_MARKER}" if file_format == "zarr" else key


def work_record_key(key: str) -> str:
    """Return where the record of the work with this key lies."""
    check_digest(key, "work key")
    return f"work/{key[:2]}/{key}.json"


def manifest_key(digest: str) -> str:
    """Return where a manifest lies."""
    return f"manifests/{check_digest(digest, 'manifest digest')}.json"


def snapshot_key(digest: str) -> str:
    """Return where a snapshot lies."""
    return f"snapshots/{check_digest(digest, 'snapshot id')}.json"


def lease_key(run_id: str) -> str:
    """Return where the lease of a run lies."""
    return f"leases/{check_run_id(run_id)}.json"


def is_lease(key: str) -> bool:
    """Tell whether an object is a lease; a file browser may leave others beside it."""
    return _LEASE_OBJECT.fullmatch(key) is not None


def ref_name(key: str) -> str | None:
    """Return the name of the ref that an object is a commit of, or None for a foreign object."""
    match = _REF_OBJECT.fullmatch(key)
    return match["name"] if match else None


def shard_of_object(key: str) -> tuple[str, ShardFormat] | None:
    """Return digest and format of the shard an object belongs to, or None for a foreign object."""
    match = _SHARD_OBJECT.match(key)
    if not match or not match["digest"].startswith(match["folder"]):
        return None
    return match["digest"], "zarr" if match["rest"].startswith(".zarr/") else "parquet"


def record_digest(key: str) -> str | None:
    """Return the digest that names a work record, manifest or snapshot, or None for a foreign object."""
    match = _RECORD_OBJECT.fullmatch(key)
    return match["digest"] if match else None


def ref_prefix(name: str) -> str:
    """Return the prefix that holds every commit of a ref."""
    return f"refs/{check_ref_name(name)}"


def ref_key(name: str, sequence: int) -> str:
    """Return where commit number `sequence` (from 1) of a ref lies; keys sort as the numbers do."""
    if not 1 <= sequence < 10**_SEQUENCE_DIGITS:
        raise InvalidNameError(f"sequence {sequence} of ref {name} must lie in [1, 10^{_SEQUENCE_DIGITS})")
    return f"{ref_prefix(name)}/{sequence:0{_SEQUENCE_DIGITS}d}.json"


def ref_sequence(key: str) -> int | None:
    """Return the commit number in the key of a ref object, or None for a foreign object."""
    match = _SEQUENCE.fullmatch(key.rpartition("/")[2])
    return int(match.group(1)) if match else None


def _check(pattern: re.Pattern[str], text: str, what: str, rule: str) -> str:
    if not pattern.fullmatch(text):
        raise InvalidNameError(f"{what} {text!r} must be {rule}")
    return text
