"""What each fault of the relay does to those who talk through it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from lava.sim.relay import CommandError, Relay

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Line:
    """A relay before a server that repeats what it hears."""

    relay: Relay
    port: int
    dialled: list[Ends] = field(default_factory=list)

    async def dial(self) -> Ends:
        self.dialled.append(await asyncio.open_connection("127.0.0.1", self.port))
        return self.dialled[-1]

    async def hang_up(self) -> None:
        for _, writer in self.dialled:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def say(ends: Ends, text: bytes) -> bytes:
    """Say something and return the answer."""
    reader, writer = ends
    writer.write(text)
    return await reader.readexactly(len(text))


async def ended(ends: Ends) -> bool:
    """Return once the connection has ended."""
    try:
        return await ends[0].read() == b""
    except ConnectionResetError:
        return True


async def settled() -> None:
    """Let everything that is under way arrive."""
    for _ in range(50):
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while heard := await reader.read(1000):
            writer.write(heard)
        writer.transport.abort()

    server = await asyncio.start_server(repeat, "127.0.0.1", 0)
    relay = Relay()
    port = await relay.open("127.0.0.1", server.sockets[0].getsockname()[1])
    line = Line(relay, port)
    yield line
    await line.hang_up()
    await relay.close()
    server.close()


async def test_it_passes_everything_on_and_counts_it(line: Line) -> None:
    ends = await line.dial()
    assert await say(ends, b"hello") == b"hello"
    assert await line.relay.obey("count") == "5 5 1 1"


async def test_cut_ends_connections_and_refuses_new_ones_until_restored(line: Line) -> None:
    ends = await line.dial()
    await say(ends, b"x")
    await line.relay.obey("cut")
    assert await ended(ends)
    assert await ended(await line.dial())
    await line.relay.obey("restore")
    assert await say(await line.dial(), b"again") == b"again"


async def test_stall_holds_everything_back_and_restore_delivers_it(line: Line) -> None:
    ends = await line.dial()
    await say(ends, b"x")
    await line.relay.obey("stall")
    new = await line.dial()
    answers = asyncio.gather(say(ends, b"old"), say(new, b"new"))
    await settled()
    assert not answers.done()
    await line.relay.obey("restore")
    assert await answers == [b"old", b"new"]


async def test_half_open_swallows_and_restore_ends_what_was_swallowed(line: Line) -> None:
    ends = await line.dial()
    await say(ends, b"x")
    await line.relay.obey("half-open")
    new = await line.dial()
    ends[1].write(b"old")
    new[1].write(b"new")
    await settled()
    assert await line.relay.obey("count") == "1 1 2 2"
    await line.relay.obey("restore")
    assert await ended(ends)
    assert await ended(new)


@pytest.mark.parametrize("way", ["up", "down"])
async def test_drop_loses_so_many_chunks(line: Line, way: str) -> None:
    ends = await line.dial()
    await line.relay.obey(f"drop {way} 1")
    ends[1].write(b"lost")
    await settled()
    assert await say(ends, b"kept") == b"kept"


@pytest.mark.parametrize("way", ["up", "down"])
async def test_corrupt_turns_one_bit(line: Line, way: str) -> None:
    ends = await line.dial()
    await line.relay.obey(f"corrupt {way} 1")
    heard = await say(ends, b"\0" * 20)
    assert sorted(heard) == [0] * 19 + [16]
    assert await say(ends, b"sound") == b"sound"


async def test_delay_comes_late_but_comes(line: Line) -> None:
    ends = await line.dial()
    await line.relay.obey("delay 0.05")
    before = asyncio.get_running_loop().time()
    assert await say(ends, b"late") == b"late"
    assert asyncio.get_running_loop().time() - before >= 0.1


@pytest.mark.parametrize("command", ["", "cut it", "drop sideways 1", "drop up x", "delay -1", "corrupt up 1e9"])
async def test_a_command_that_is_none_is_told(line: Line, command: str) -> None:
    with pytest.raises(CommandError):
        await line.relay.obey(command)


def test_the_program_answers_each_line_and_ends_with_its_input() -> None:
    command = [sys.executable, "-m", "lava.sim.relay", "--cable", "127.0.0.1:1", "--cable", "127.0.0.1:2"]
    done = subprocess.run(
        command, input="cut\nnonsense\ncount\n", capture_output=True, text=True, timeout=30, check=False
    )
    ready, *answers = done.stdout.splitlines()
    assert ready.split()[0] == "ready"
    assert len(set(ready.split()[1:])) == 2
    assert answers == ["ok", "error: no command: 'nonsense'", "0 0 0 0"]
    assert (done.returncode, done.stderr) == (0, "")
