"""Where bytes come from: one function a scheme.  Source: dispatcher specification 7.2, 7.5."""

from __future__ import annotations

import http.client
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote, unquote, urljoin, urlsplit

from lava.model.errors import InfrastructureError, JobError

from .background import Abort, in_background

REQUEST_SECONDS = 60.0
_REDIRECTS = 10
_RETRIES = 9
#: answers after which the server is asked again
RETRIED_STATUSES = frozenset({408, 413, 420, 425, 429, 430, 500, 502, 503, 504, 507, 509, 529, 598})
SCHEMES = ("http", "https", "file", "downloads")
#: pauses between two questions grow up to this
_LONGEST_PAUSE_SECONDS = 3.0
#: what stays as it is in the path of a request: all but blanks, controls and what is not ASCII
_IN_PATH = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_]+)\}")


class Stream(Protocol):
    """Bytes on their way."""

    #: number of bytes that will come, if it is known
    size: int | None

    def read(self, size: int) -> bytes: ...

    def close(self) -> None: ...


class FileStream:
    """A file of the worker."""

    def __init__(self, path: Path) -> None:
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise JobError(f"cannot read {path}: {error.strerror}") from error
        self.size: int | None = os.fstat(self._file.fileno()).st_size

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise InfrastructureError(f"cannot read {self._file.name}: {error.strerror}") from error

    def close(self) -> None:
        self._file.close()


class HttpStream:
    """The body of an answer."""

    def __init__(self, url: str, headers: Mapping[str, str], abort: Abort) -> None:
        self._connection, self._response = _open(url, "GET", headers, abort)
        if self._response.status != 200:
            self.close()
            raise InfrastructureError(f"{url}: the server answered {self._response.status} {self._response.reason}")
        length = self._response.getheader("Content-Length")
        self.size: int | None = int(length) if length and length.isdigit() else None

    def read(self, size: int) -> bytes:
        try:
            return self._response.read(size)
        except http.client.IncompleteRead as error:
            return error.partial
        except (OSError, http.client.HTTPException) as error:
            raise InfrastructureError(f"the download broke off: {error}") from error

    def close(self) -> None:
        self._response.close()
        self._connection.close()


def resolve_url(url: str, static_info: object) -> str:
    """Return the address with ``{KEY}`` replaced from the device's ``static_info``.  Source: job definition 1.6."""
    known: dict[str, str] = {}
    for entry in static_info if isinstance(static_info, list) else ():
        if isinstance(entry, Mapping):
            known.update({str(key): str(value) for key, value in entry.items()})
    return _PLACEHOLDER.sub(lambda match: known.get(match.group(1), match.group()), url)


def scheme_of(url: str) -> str:
    """Return the scheme.

    Raises:
        JobError: nothing can fetch from there.
    """
    scheme = urlsplit(url).scheme
    if left := _PLACEHOLDER.match(url):
        raise JobError(f"'{url}': the device's static_info does not say what {left.group()} is")
    if scheme not in SCHEMES:
        what = f"the scheme '{scheme}'" if scheme else "an address without a scheme"
        raise JobError(f"'{url}': {what} cannot be fetched; use one of: {', '.join(SCHEMES)}")
    return scheme


def local_path(url: str, downloads: Path) -> Path:
    """Return the file behind a ``file:`` or ``downloads:`` address.

    Raises:
        JobError: it would lie outside of the directory of downloads, or can be no path at all.
    """
    parts = urlsplit(url)
    if "\0" in unquote(url):
        raise JobError(f"'{url}': no path can hold a zero byte")
    if parts.scheme == "file":
        return Path(unquote(f"{parts.netloc if parts.netloc != 'localhost' else ''}{parts.path}"))
    path = downloads / unquote(f"{parts.netloc}{parts.path}")
    if ".." in path.parts:
        raise JobError(f"'{url}': '..' leads out of the downloads")
    return path


def open_source(url: str, headers: Mapping[str, str], downloads: Path, abort: Abort) -> Stream:
    """Start to read what is behind the address.

    Raises:
        JobError: the file is not there.
        InfrastructureError: the server does not give it.
    """
    match scheme_of(url):
        case "http" | "https":
            return HttpStream(url, headers, abort)
        case "downloads":
            path = local_path(url, downloads)
            if not path.is_file():
                there = sorted(str(p.relative_to(downloads)) for p in downloads.rglob("*") if p.is_file())
                raise JobError(f"{url} was not downloaded before; available: {', '.join(there) or 'nothing'}")
            return FileStream(path)
        case _:
            return FileStream(local_path(url, downloads))


async def check_source(url: str, headers: Mapping[str, str]) -> int | None:
    """Return the size of what is behind the address, or None if the server does not tell.

    Raises:
        JobError: it is not there.
    """
    match scheme_of(url):
        case "downloads":  # made by an earlier action
            local_path(url, Path())
            return None
        case "file":
            return _file_size(url)
        case _:
            return await in_background(lambda abort: _http_size(url, headers, abort))


def _file_size(url: str) -> int:
    path = local_path(url, Path())
    try:
        if not path.is_file():
            raise JobError(f"{url}: {'this is no file' if path.exists() else 'there is no such file'} on the worker")
        if not os.access(path, os.R_OK):
            raise JobError(f"{url}: the worker's user may not read it")
        return path.stat().st_size
    except OSError as error:
        raise JobError(f"{url}: cannot be read on the worker: {error.strerror}") from error


def _http_size(url: str, headers: Mapping[str, str], abort: Abort) -> int | None:
    status, reason = 0, ""
    for method in ("HEAD", "GET"):
        try:
            connection, response = _open(url, method, {**headers, "Accept-Encoding": ""}, abort)
        except InfrastructureError as error:
            raise JobError(str(error)) from error
        status, reason, length = response.status, response.reason, response.getheader("Content-Length")
        response.close()
        connection.close()
        if status == 200:
            return int(length) if length and length.isdigit() else None
    raise JobError(f"{url}: the server answered {status} {reason}")


def _open(
    url: str, method: str, headers: Mapping[str, str], abort: Abort
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Send a request, follow redirects, ask again when the server is only busy."""
    tries = 0
    redirects = 0
    while True:
        abort.check()
        try:
            connection, response = _request(url, method, headers, abort)
        except (OSError, http.client.HTTPException) as error:
            tries += 1
            if tries > _RETRIES or isinstance(error, ssl.SSLCertVerificationError):
                raise InfrastructureError(f"{url}: {_reason(error)}") from error
            abort.pause(_growing(tries))
            continue
        location = response.getheader("Location")
        if response.status in (301, 302, 303, 307, 308) and location:
            response.close()
            connection.close()
            redirects += 1
            if redirects > _REDIRECTS:
                raise InfrastructureError(f"{url}: too many redirects")
            target = urljoin(url, location)
            if urlsplit(target).scheme not in ("http", "https"):
                raise JobError(f"'{url}': the server redirects to '{target}', which is no address of a web server")
            if urlsplit(target).netloc != urlsplit(url).netloc:
                headers = {name: value for name, value in headers.items() if name.lower() == "accept-encoding"}
            url = target
            continue
        if response.status in RETRIED_STATUSES and tries < _RETRIES:
            tries += 1
            response.close()
            connection.close()
            abort.pause(_growing(tries))
            continue
        return connection, response


def _growing(tries: int) -> float:
    return min(0.1 * 2.0 ** (tries - 1), _LONGEST_PAUSE_SECONDS)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _request(
    url: str, method: str, headers: Mapping[str, str], abort: Abort
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise JobError(f"'{url}': {error}") from error
    if not host:
        raise JobError(f"'{url}': no host is named")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(host, port, timeout=REQUEST_SECONDS)
        path = quote(parts.path or "/", safe=_IN_PATH) + (
            f"?{quote(parts.query, safe=_IN_PATH)}" if parts.query else ""
        )
    except http.client.InvalidURL as error:
        raise JobError(f"'{url}': {error}") from error
    try:
        connection.connect()
        abort.watch(connection.sock)
        connection.request(method, path, headers=dict(headers))
        return connection, connection.getresponse()
    except BaseException:
        connection.close()
        raise
