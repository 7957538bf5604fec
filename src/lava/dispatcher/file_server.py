"""Offer the files of one directory of a job to its device over HTTP: read-only, one directory, no listing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

_BLOCK = 1 << 16
_REQUEST_SECONDS = 30.0


class FileServer:
    """A small HTTP server on a free port of every interface: the device decides how it reaches the worker."""

    def __init__(self, server: asyncio.Server, port: int) -> None:
        """Use :meth:`start`."""
        self._server = server
        self.port = port

    @classmethod
    async def start(cls, directory: Path, *, log: Callable[[str], None]) -> FileServer:
        """Serve the files that lie directly in the directory."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(_REQUEST_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                await _answer(head, directory, writer, log)
            with contextlib.suppress(OSError):
                writer.close()
                await writer.wait_closed()

        server = await asyncio.start_server(answer, "0.0.0.0", 0)  # noqa: S104 (boards are on other machines)
        return cls(server, server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop serving."""
        self._server.close()
        await self._server.wait_closed()


async def _answer(head: bytes, directory: Path, writer: asyncio.StreamWriter, log: Callable[[str], None]) -> None:
    request = head.split(b"\r\n", 1)[0].decode("latin-1").split()
    method, target = (request[0], request[1]) if len(request) == 3 else ("", "")
    name = unquote(target.partition("?")[0]).lstrip("/")
    path = directory / name
    if method not in ("GET", "HEAD"):
        status, size = "405 Method Not Allowed", 0
    elif not name or "/" in name or name in (".", "..") or not path.is_file():
        status, size = "404 Not Found", 0
    else:
        status, size = "200 OK", path.stat().st_size
    log(f"{method} {target}: {status}")
    kind = "application/octet-stream"
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode()
    )
    if method == "GET" and size:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                writer.write(block)
                await writer.drain()
    await writer.drain()
