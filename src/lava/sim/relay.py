"""``python -m lava.sim.relay``: cables between two sides, which can be cut, slowed, and damaged.

Each ``--cable HOST:PORT`` is listened for on a port of its own, which is printed (``ready PORT PORT …``).  Commands
come as lines on standard input, and each is answered with one line: ``ok``, the figures, or what is wrong with it.

=================  ==================================================================================================
``restore``        pass everything on, at once; what was held back goes first
``cut``            end all connections, refuse new ones: the other machine is down
``stall``          hold everything back, take new connections and say nothing: the cable is out, nobody notices
``half-open``      as ``stall``, and what is said meanwhile is swallowed: the connections cannot be mended
``delay S``        pass on everything S seconds late
``drop WAY N``     lose the next N chunks that go ``up`` or ``down``
``corrupt WAY N``  turn a bit in each of the next N chunks
``count``          answer with the bytes passed on up and down, the connections that were taken, and those that are open
=================  ==================================================================================================

*Up* is from those who dial to whom the cable leads to.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

_CHUNK_BYTES = 1 << 16


class Way(StrEnum):
    """A direction."""

    UP = "up"
    DOWN = "down"


class Cable(StrEnum):
    """What a cable does with everything."""

    WHOLE = "whole"
    CUT = "cut"
    STALLED = "stalled"
    HALF_OPEN = "half-open"


class CommandError(Exception):
    """A command that is none; the message says why."""


@dataclass(slots=True)
class Damage:
    """What is to happen to the chunks that go one way."""

    drop: int = 0
    corrupt: int = 0
    passed_bytes: int = 0

    def pass_on(self, chunk: bytes) -> bytes:
        """Return what becomes of the next chunk."""
        if self.drop > 0:
            self.drop -= 1
            return b""
        if self.corrupt > 0:
            self.corrupt -= 1
            place = random.randrange(len(chunk))  # noqa: S311 (no secret)
            chunk = chunk[:place] + bytes([chunk[place] ^ 0x10]) + chunk[place + 1 :]
        self.passed_bytes += len(chunk)
        return chunk


@dataclass(slots=True)
class Relay:
    """All cables of one machine: they fare alike."""

    cable: Cable = Cable.WHOLE
    delay_seconds: float = 0.0
    damages: dict[Way, Damage] = field(default_factory=lambda: {way: Damage() for way in Way})
    taken: int = 0
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _connections: set[asyncio.Task[None]] = field(default_factory=set)
    _servers: list[asyncio.Server] = field(default_factory=list)

    async def open(self, host: str, port: int) -> int:
        """Lay a cable to an address and return the port of its near end."""
        self._flowing.set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 (inside a task)
            self.taken += 1
            self._connections.add(task)
            try:
                await self._connect(reader, writer, host, port)
            except (OSError, asyncio.CancelledError):
                pass  # that is what a connection ends with here
            finally:
                self._connections.discard(task)
                _abort(writer)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, family=socket.AF_INET)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take away all cables."""
        for server in self._servers:
            server.close()
        await self._end_connections()

    async def set(self, cable: Cable) -> None:
        """Cut the cables, or mend them; a mended cable cannot mend connections that swallowed something."""
        swallowed = self.cable is Cable.HALF_OPEN and cable is not Cable.HALF_OPEN
        self.cable = cable
        if cable is Cable.CUT or swallowed:
            await self._end_connections()
        if cable is Cable.STALLED:
            self._flowing.clear()
        else:
            self._flowing.set()

    async def _end_connections(self) -> None:
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
        if self.cable is Cable.CUT:
            return
        if self.cable is Cable.HALF_OPEN:
            while await reader.read(_CHUNK_BYTES):
                pass
            return
        await self._flowing.wait()
        far_reader, far_writer = await asyncio.open_connection(host, port)
        ways = [
            asyncio.create_task(self._carry(reader, far_writer, Way.UP)),
            asyncio.create_task(self._carry(far_reader, writer, Way.DOWN)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in ways:
                task.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            _abort(far_writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            await self._flowing.wait()
            if self.cable is Cable.HALF_OPEN:
                continue
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            writer.write(self.damages[way].pass_on(chunk))
            await writer.drain()

    async def obey(self, command: str) -> str:
        """Do what a line says and return the answer.

        Raises:
            CommandError: it says nothing that can be done.
        """
        match command.split():
            case ["restore"]:
                self.delay_seconds = 0.0
                for damage in self.damages.values():
                    damage.drop = damage.corrupt = 0
                await self.set(Cable.WHOLE)
            case ["cut"]:
                await self.set(Cable.CUT)
            case ["stall"]:
                await self.set(Cable.STALLED)
            case ["half-open"]:
                await self.set(Cable.HALF_OPEN)
            case ["delay", seconds]:
                self.delay_seconds = float(_number(seconds))
            case ["drop", way, count]:
                self._damage(way).drop += int(_number(count))
            case ["corrupt", way, count]:
                self._damage(way).corrupt += int(_number(count))
            case ["count"]:
                figures = [self.damages[Way.UP].passed_bytes, self.damages[Way.DOWN].passed_bytes, self.taken]
                return " ".join(map(str, [*figures, len(self._connections)]))
            case _:
                raise CommandError(f"no command: {command!r}")
        return "ok"

    def _damage(self, way: str) -> Damage:
        if way not in tuple(Way):
            raise CommandError(f"{way!r} is neither 'up' nor 'down'")
        return self.damages[Way(way)]


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise CommandError(f"{text!r} is no number") from None
    if not 0 <= number < 1e6:
        raise CommandError(f"{text!r} is out of range")
    return number


def _abort(writer: asyncio.StreamWriter) -> None:
    """End a connection at once: what was not sent is lost, as with a machine that goes down."""
    writer.transport.abort()


async def run(cables: Sequence[tuple[str, int]]) -> int:
    """Relay until standard input ends."""
    relay = Relay()
    ports = [await relay.open(host, port) for host, port in cables]
    print("ready", *ports, flush=True)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin.buffer)
    while line := await commands.readline():
        try:
            answer = await relay.obey(line.decode("utf-8", "replace").strip())
        except CommandError as error:
            answer = f"error: {error}"
        print(answer, flush=True)
    await relay.close()
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' is not HOST:PORT")
    return host, int(port)


def main(argv: Sequence[str] | None = None) -> int:
    """Relay until standard input ends."""
    options = argparse.ArgumentParser(prog="python -m lava.sim.relay", description="Cables that can be cut.")
    options.add_argument(
        "--cable", type=_address, action="append", required=True, metavar="HOST:PORT", help="where it leads; repeatable"
    )
    cables = options.parse_args(argv).cable
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(run(cables))
    return 0


if __name__ == "__main__":
    sys.exit(main())
