"""``python -m lava.sim.board``: a board that is a program, for ``connection_command`` of a device.

It prints what a kernel prints, asks for a user, and then is a real ``/bin/sh`` on a terminal of its own, in a
directory that stands for the board's disk.  Nothing but the hardware is simulated: a job runs on it unmodified.  The
shell finds a command ``numbered LINES [RESULTS [SECONDS]]``, which prints numbered lines and as many numbered results,
and pauses for so long after each ten lines.

A board has one console: a second one on the same directory is refused, and noted in ``collisions``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import os
import random
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROMPT = "root@sim:~# "
#: Prompts, but is not interactive: it does as it is told and ends with its terminal.
_SHELL = f'while printf "{PROMPT}" && IFS= read -r line; do eval "$line"; done'
_NUMBERED = r"""#!/bin/sh
# numbered LINES [RESULTS [SECONDS]]: print numbered lines, numbered results among them, a pause after each ten lines.
lines=$1 results=${2:-0} pause=${3:-0} line=0 result=0
while [ "$line" -lt "$lines" ]; do
    line=$((line + 1))
    printf 'line %06d\n' "$line"
    while [ $((result * lines)) -lt $((line * results)) ]; do
        result=$((result + 1))
        printf '<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=result-%06d RESULT=pass>\n' "$result"
    done
    [ "$pause" = 0 ] || [ $((line % 10)) -ne 0 ] || sleep "$pause"
done
"""
_BOOT = (
    "sim loader 1.0",
    "Starting kernel ...",
    "[    0.000000] Linux version 6.1.0-sim (lava@sim) #1 SMP",
    "[    0.000000] Machine model: {name}",
    "[    0.100000] Run /sbin/init as init process",
)
#: of output, so much is read at once
_CHUNK_BYTES = 1 << 16
#: a slow console is written to so often
_BEAT_SECONDS = 0.02

Write = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a board is like."""

    name: str
    #: its disk; emptied when it boots
    directory: Path
    boot_seconds: float = 0.0
    #: speed of its console; None: as fast as it is read
    bytes_per_second: int | None = None
    #: so many of a thousand lines are followed by a line of noise
    noise: int = 0
    #: after so many lines of the shell it says nothing any more, for ever
    hang_after: int | None = None


class Mood:
    """What becomes of the output on its way: noise between the lines, and silence after the last."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._random = random.Random(settings.name)  # noqa: S311 (the same noise each time)
        self._lines = 0

    @property
    def hangs(self) -> bool:
        limit = self._settings.hang_after
        return limit is not None and self._lines >= limit

    def pass_on(self, output: bytes) -> bytes:
        """Return what is seen of the output."""
        seen = bytearray()
        for line in output.splitlines(keepends=True):
            if self.hangs:
                break
            seen += line
            if line.endswith(b"\n"):
                self._lines += 1
                if self._random.randrange(1000) < self._settings.noise:
                    seen += self._noise()
        return bytes(seen)

    def _noise(self) -> bytes:
        """Return a line of bytes that are no text; none of them moves to another line."""
        length = self._random.randrange(1, 40)
        return bytes(self._random.choice(b"\x00\x07\x7f\x80\xc3\xe2\xff#") for _ in range(length)) + b"\r\n"


class Screen:
    """Where the board's output goes, at the speed of its console."""

    def __init__(self, writer: asyncio.StreamWriter, bytes_per_second: int | None) -> None:
        self._writer = writer
        self._rate = bytes_per_second

    async def write(self, output: bytes) -> None:
        step = len(output) if self._rate is None else max(1, int(self._rate * _BEAT_SECONDS))
        for start in range(0, len(output), step or 1):
            self._writer.write(output[start : start + step])
            await self._writer.drain()
            if self._rate is not None:
                await asyncio.sleep(_BEAT_SECONDS)


def prepare(settings: Settings) -> dict[str, str]:
    """Empty the board's disk, and return the environment of its shell."""
    for left in settings.directory.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
    programs, home = settings.directory / "bin", settings.directory / "root"
    programs.mkdir()
    home.mkdir()
    numbered = programs / "numbered"
    numbered.write_text(_NUMBERED)
    numbered.chmod(0o755)
    if shutil.which("wget") is None and (busybox := shutil.which("busybox")) is not None:
        (programs / "wget").symlink_to(busybox)
    path = f"{programs}:{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "PATH": path, "HOME": str(home), "TERM": "dumb"}


async def run(settings: Settings) -> int:
    """Boot, ask for a user, and be a shell until the console is closed."""
    loop = asyncio.get_running_loop()
    keyboard = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(keyboard), sys.stdin.buffer)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout.buffer)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    screen = Screen(writer, settings.bytes_per_second)
    environment = prepare(settings)
    for line in _BOOT:
        await screen.write(f"{line.format(name=settings.name)}\r\n".encode())
    await asyncio.sleep(settings.boot_seconds)
    await _log_in(settings.name, keyboard, screen.write)
    return await _shell(settings, environment, keyboard, screen.write)


async def _log_in(name: str, keyboard: asyncio.StreamReader, write: Write) -> None:
    while True:
        await write(f"\r\n{name} login: ".encode())
        user = bytearray()
        while (typed := await keyboard.readexactly(1)) not in b"\r\n":
            user += typed
            await write(typed)
        await write(b"\r\n")
        if user.strip():
            return


async def _shell(settings: Settings, environment: dict[str, str], keyboard: asyncio.StreamReader, write: Write) -> int:
    """Connect the console with a shell on a terminal of its own, which is hung up when we are gone."""
    terminal, other_end = os.openpty()
    shell = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        _SHELL,
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        cwd=settings.directory / "root",
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(other_end)
    output = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(output), os.fdopen(os.dup(terminal), "rb"))
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(terminal, "wb"))
    typing = asyncio.StreamWriter(transport, protocol, None, loop)
    tasks = [
        asyncio.create_task(_show(output, Mood(settings), write), name="show"),
        asyncio.create_task(_type(keyboard, typing), name="type"),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGHUP)
    return await shell.wait()


async def _show(output: asyncio.StreamReader, mood: Mood, write: Write) -> None:
    with contextlib.suppress(OSError):  # that is how a terminal ends
        while said := await output.read(_CHUNK_BYTES):
            await write(mood.pass_on(said))
            if mood.hangs:
                await asyncio.Event().wait()


async def _type(keyboard: asyncio.StreamReader, typing: asyncio.StreamWriter) -> None:
    while typed := await keyboard.read(_CHUNK_BYTES):
        typing.write(typed)
        await typing.drain()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(prog="python -m lava.sim.board", description="A board that is a program.")
    options.add_argument("--name", required=True)
    options.add_argument("--directory", type=Path, required=True, metavar="DIR", help="its disk; emptied at boot")
    options.add_argument("--boot-seconds", type=float, default=0.0, metavar="S", help="how long it boots")
    options.add_argument("--bytes-per-second", type=int, metavar="N", help="speed of the console")
    options.add_argument(
        "--noise", type=int, default=0, metavar="N", help="of 1000 lines, so many are followed by noise"
    )
    options.add_argument("--hang-after", type=int, metavar="N", help="fall silent after so many lines of the shell")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Be the board until the console is closed."""
    settings = Settings(**vars(parser().parse_args(argv)))
    settings.directory.mkdir(parents=True, exist_ok=True)
    with (settings.directory / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with (settings.directory / "collisions").open("a") as collisions:
                collisions.write(f"job {os.environ.get('LAVA_JOB_ID', '?')}\n")
            print(f"the console of {settings.name} is in use", flush=True)
            return 1
        if sys.stdin.isatty():
            tty.setraw(sys.stdin.fileno())
        try:
            return asyncio.run(run(settings))
        except asyncio.IncompleteReadError:
            return 0  # nobody wanted to log in


if __name__ == "__main__":
    sys.exit(main())
