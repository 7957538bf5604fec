"""Fetch one file: stream, check, decompress, all in one pass.  Source: dispatcher specification 7.4."""

from __future__ import annotations

import asyncio
import hashlib
import lzma
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lava.model.errors import InfrastructureError, JobError
from lava.model.job import Download

from .background import Abort, in_background
from .members import TAMED, system_member
from .sources import open_source
from .unpack import Sink, open_sink

_BLOCK = 1 << 17
_PROGRESS_BYTES = 25_000_000


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that is here."""

    path: Path
    #: bytes that were transferred, before decompression
    size: int
    sha256: str


def file_name(url: str, *, decompressed: bool) -> str:
    """Return the name of the local file: the last part of the address, without its last suffix when decompressed."""
    name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
    if decompressed:
        name = name.rpartition(".")[0] or name
    return name if name.strip(".") and "\0" not in name else "file"


async def fetch(
    resource: Download,
    url: str,
    directory: Path,
    *,
    downloads: Path,
    say: Callable[[str], None],
    keep_packed: bool = False,
) -> Downloaded:
    """Fetch what the resource names into the directory.

    Args:
        url: its address with placeholders replaced.
        downloads: where ``downloads:`` addresses point to.
        say: told how far it is.
        keep_packed: leave the file compressed.

    Raises:
        JobError: it is not what the job says: checksum, compression.
        InfrastructureError: it broke off, or the disk is full.
    """
    compression = None if keep_packed else resource.compression
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / file_name(url, decompressed=compression is not None and compression != "zip")
    transfer = _Transfer(resource, url, target, compression, asyncio.get_running_loop(), say)
    done = await in_background(lambda abort: transfer.run(downloads, abort))
    if resource.archive == "tar":
        tree = directory / f"{target.name}.d"
        await in_background(lambda abort: _extract(target, tree, abort))
        return Downloaded(tree, done.size, done.sha256)
    return done


class _Transfer:
    """Runs in a thread of its own."""

    def __init__(
        self,
        resource: Download,
        url: str,
        target: Path,
        compression: str | None,
        loop: asyncio.AbstractEventLoop,
        say: Callable[[str], None],
    ) -> None:
        self._resource = resource
        self._url = url
        self._target = target
        self._compression = compression
        self._loop = loop
        self._say = say

    def run(self, downloads: Path, abort: Abort) -> Downloaded:
        wanted = self._resource.checksums
        digests = {name: hashlib.new(name) for name in {*wanted, "sha256"}}
        stream = open_source(self._url, self._resource.headers, downloads, abort)
        try:
            with self._target.open("wb") as file, closing(open_sink(file, self._compression)) as sink:
                decoding = _Decoding(sink)
                received = 0
                next_report = step = _PROGRESS_BYTES if stream.size is None else max(stream.size // 20, 1 << 20)
                while block := stream.read(_BLOCK):
                    abort.check()
                    received += len(block)
                    for digest in digests.values():
                        digest.update(block)
                    decoding.write(block)
                    if received >= next_report:
                        self._report(received, stream.size)
                        next_report += step
                abort.check()
                self._check_size(received, stream.size)
                self._check(wanted, {name: digest.hexdigest() for name, digest in digests.items()})
                decoding.finish()
        except OSError as error:
            raise InfrastructureError(f"cannot write {self._target}: {error.strerror or error}") from error
        except JobError as error:
            raise JobError(f"{self._url}: {error}") from error
        finally:
            stream.close()
        return Downloaded(self._target, received, digests["sha256"].hexdigest())

    def _report(self, received: int, size: int | None) -> None:
        text = (
            f"progress {received * 100 // size:3d} % ({received // 1_000_000} MB)"
            if size
            else (f"progress {received // 1_000_000} MB")
        )
        self._loop.call_soon_threadsafe(self._say, text)

    def _check_size(self, received: int, size: int | None) -> None:
        if size is not None and received != size:
            raise InfrastructureError(f"{self._url}: it ended after {received} of {size} bytes")

    def _check(self, wanted: dict[str, str], found: dict[str, str]) -> None:
        for name, digest in wanted.items():
            if found[name] != digest:
                raise JobError(f"{name}sum does not match: the job says {digest}, the file has {found[name]}")


class _Decoding:
    """Keeps a complaint of the decoder until the checksums are known: a wrong one says more about the same bytes."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._error: JobError | None = None

    def write(self, block: bytes) -> None:
        if self._error is None:
            try:
                self._sink.write(block)
            except JobError as error:
                self._error = error

    def finish(self) -> None:
        if self._error is not None:
            raise self._error
        self._sink.finish()


def _extract(archive: Path, directory: Path, abort: Abort) -> None:
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(directory, members=_members(tar, directory, abort), **TAMED)  # noqa: S202 (each is looked at)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise JobError(f"{archive.name}: cannot be unpacked as 'archive: tar': {error}") from error
    except OSError as error:
        shutil.rmtree(directory, ignore_errors=True)
        if error.errno is None:  # the decoders' own
            raise JobError(f"{archive.name}: cannot be unpacked as 'archive: tar': {error}") from error
        raise InfrastructureError(f"cannot unpack {archive.name}: {error.strerror}") from error


def _members(tar: tarfile.TarFile, directory: Path, abort: Abort) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        abort.check()
        yield system_member(member, directory)
