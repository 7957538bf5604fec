"""Decompress a stream on its way to disk.  Source: dispatcher specification 7.4."""

from __future__ import annotations

import bz2
import contextlib
import errno
import lzma
import os
import shutil
import subprocess
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from lava.model.errors import InfrastructureError, JobError

#: bytes that are decoded at a time
_LARGEST_BLOCK = 256 * 1024
#: what a program says when the trouble is not with what it reads
_DISK_TROUBLE = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO))


class Sink(Protocol):
    """Takes bytes as they come."""

    def write(self, data: bytes) -> None: ...

    def finish(self) -> None:
        """Say that nothing more comes.

        Raises:
            JobError: what came was no whole stream.
        """

    def close(self) -> None:
        """Let go of what is held, finished or not."""


class Plain:
    """Writes what comes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def finish(self) -> None:
        """Nothing to check."""

    def close(self) -> None:
        """Nothing is held."""


class _Decoder(Protocol):
    """What the decoders of ``bz2`` and ``lzma`` are."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """The decoder of ``zlib``, with the same interface."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        decoded = self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)
        self.needs_input = len(decoded) < max_length
        return decoded


class Decompressing:
    """Decodes one or more streams that follow each other, as the formats' own tools do."""

    def __init__(self, file: BinaryIO, compression: str, decoder: Callable[[], _Decoder]) -> None:
        self._file = file
        self._compression = compression
        self._new = decoder
        self._decoder = decoder()
        self._any = False

    def write(self, data: bytes) -> None:
        try:
            while data:
                if self._decoder.eof:
                    if not data.strip(b"\0"):  # padding behind the last stream
                        return
                    self._decoder = self._new()
                self._any = True
                self._decode(data)
                data = self._decoder.unused_data if self._decoder.eof else b""
        except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise self._wrong(str(error)) from error

    def _decode(self, data: bytes) -> None:
        """Write what the data stands for, by and by: a few bytes can stand for very many."""
        self._file.write(self._decoder.decompress(data, _LARGEST_BLOCK))
        while not self._decoder.eof and not self._decoder.needs_input:
            self._file.write(self._decoder.decompress(b"", _LARGEST_BLOCK))

    def finish(self) -> None:
        if not self._any or not self._decoder.eof:
            raise self._wrong("it ends too early")

    def close(self) -> None:
        """Nothing is held."""

    def _wrong(self, reason: str) -> JobError:
        return _wrong(self._compression, reason)


class Zstandard:
    """Pipes through the program ``zstd``: the standard library has no decoder."""

    def __init__(self, file: BinaryIO) -> None:
        program = shutil.which("zstd")
        if program is None:
            raise InfrastructureError("'zstd' is not installed on the worker: it decompresses 'compression: zstd'")
        self._process = subprocess.Popen(
            [program, "-d", "-c", "-q"], stdin=subprocess.PIPE, stdout=file, stderr=subprocess.PIPE
        )

    def write(self, data: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 (asked for with PIPE)
        try:
            self._process.stdin.write(data)
        except BrokenPipeError as error:
            raise self._failed() from error

    def finish(self) -> None:
        assert self._process.stdin is not None  # noqa: S101 (asked for with PIPE)
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._process.wait() != 0:
            raise self._failed()

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stderr):
            assert pipe is not None  # noqa: S101 (asked for with PIPE)
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()

    def _failed(self) -> Exception:
        assert self._process.stderr is not None  # noqa: S101 (asked for with PIPE)
        said = self._process.stderr.read().decode("utf-8", "replace").strip()
        if reason := next((reason for reason in _DISK_TROUBLE if reason in said), None):
            return OSError(reason)
        return _wrong("zstd", said.rpartition(" : ")[2] or said)


def _wrong(compression: str, reason: str) -> JobError:
    return JobError(
        f"cannot decompress it as '{compression}': {reason.rstrip('. ')}; is 'compression' right, and the file whole?"
    )


def open_sink(file: BinaryIO, compression: str | None) -> Sink:
    """Return what writes a stream of that compression to the file; ``zip`` is kept as it is."""
    match compression:
        case "gz":
            return Decompressing(file, "gz", _Gzip)
        case "bz2":
            return Decompressing(file, "bz2", bz2.BZ2Decompressor)
        case "xz":
            return Decompressing(file, "xz", lzma.LZMADecompressor)
        case "zstd":
            return Zstandard(file)
        case _:
            return Plain(file)
