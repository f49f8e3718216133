"""From the address of a store to its objects."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from sensorloom.store.errors import UrlError
from sensorloom.store.local import LocalObjects
from sensorloom.store.objects import Objects, reason_of

if TYPE_CHECKING:
    from obstore.store import RetryConfig

__all__ = ["open_objects"]

_CLOUD = {"s3", "s3a", "gs", "az", "azure", "abfs", "abfss"}
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_KNOWN = "a directory, file:///directory, memory://name, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix"
# A scheme with a slash or the colon lost, which would otherwise become a directory of that name.
_MISTYPED = re.compile(rf"({'|'.join(sorted(_CLOUD | {'file', 'memory'}))})(:|//)", re.IGNORECASE)
_MEMORY: dict[str, Objects] = {}
# obstore's own defaults retry for three minutes, which looks like a hang when an endpoint is wrong.
_RETRY_S = 30
_RETRIES = 5


def open_objects(url: str) -> Objects:
    """Return the objects at `url`; nothing is read or written yet.

    A plain path or `file://` is a directory. `memory://name` lives as long as this process. Cloud addresses
    go to obstore, which takes endpoint and keys from the environment (`AWS_ENDPOINT_URL`,
    `AWS_ACCESS_KEY_ID`, ...); an endpoint that begins with `http://` allows plain http. Raises `UrlError`
    for anything else, listing what is known.
    """
    if "://" not in url:
        if not url:
            raise UrlError(f"the address of the store is empty; known are {_KNOWN}")
        if typo := _MISTYPED.match(url):
            raise UrlError(
                f"store address {url!r} lacks a part of '{typo[1]}://'; known are {_KNOWN}. "
                f"A directory of that name is ./{url}"
            )
        return LocalObjects(Path(url))
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _open_file(url, parts.netloc, parts.path)
    if parts.scheme == "memory":
        return _open_memory(url, parts.netloc + parts.path)
    if parts.scheme in _CLOUD:
        return _open_cloud(url)
    raise UrlError(f"store address {url!r} has unknown scheme {parts.scheme!r}; known are {_KNOWN}")


def _open_file(url: str, host: str, path: str) -> Objects:
    if host not in ("", "localhost") or not path:
        raise UrlError(f"store address {url!r} must be file:///directory with three slashes")
    return LocalObjects(Path(unquote(path)))


def _open_memory(url: str, name: str) -> Objects:
    from obstore.store import MemoryStore

    from sensorloom.store.remote import RemoteObjects

    if not name.strip("/"):
        raise UrlError(f"store address {url!r} must name the store, as in memory://name")
    return _MEMORY.setdefault(name, RemoteObjects(url, MemoryStore()))


def _open_cloud(url: str) -> Objects:
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    from sensorloom.store.remote import RemoteObjects

    _allow_plain_http()
    retry: RetryConfig = {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_S)}
    try:
        return RemoteObjects(url.rstrip("/"), from_url(url, retry_config=retry))
    except (BaseError, ValueError) as error:
        raise UrlError(f"store address {url!r} is not usable: {reason_of(error)}") from error


def _allow_plain_http() -> None:
    """Let obstore speak http where the endpoint asks for it, unless `AWS_ALLOW_HTTP` says otherwise.

    The environment is the one place for it: client options in the call would replace all others that obstore
    takes from the environment, a proxy for example.
    """
    if any(os.environ.get(name, "").lower().startswith("http://") for name in _ENDPOINTS):
        os.environ.setdefault("AWS_ALLOW_HTTP", "true")
