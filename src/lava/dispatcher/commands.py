"""Run a program on the worker for a job.

No shell: a text is split into words as a shell would, and that is all.  Output goes to the log line by line, and a
cancelled command is killed with everything that it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lava.model.errors import ConfigurationError, InfrastructureError
from lava.model.logline import Level

from .joblog import JobLog


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended."""

    status: int
    output: str


async def run_command(
    command: str | Sequence[str],
    log: JobLog,
    *,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    quiet: bool = False,
) -> Completed:
    """Run the command to its end; standard error goes where standard output goes.

    Args:
        command: words, or text to be split.
        check: a status other than 0 is an error.
        quiet: keep the output out of the log.

    Raises:
        InfrastructureError: it cannot be started, or ``check`` and it failed; with its last line.
    """
    words = _words(command)
    shown = shlex.join(words)
    if not quiet:
        log.debug(f"calling: {shown}")
    process = await _start(words, environment, directory)
    output: list[str] = []
    try:
        assert process.stdout is not None  # noqa: S101 (asked for with PIPE)
        while raw := await _line(process.stdout):
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            output.append(text)
            if not quiet:
                log.lines(Level.DEBUG, [f">> {text}"])
        status = await process.wait()
    finally:
        await _kill(process)
    if check and status:
        last = next((line for line in reversed(output) if line.strip()), "no output")
        raise InfrastructureError(f"'{shown}' ended with status {status}: {last}")
    return Completed(status, "\n".join(output))


async def _start(
    words: list[str], environment: Mapping[str, str] | None, directory: Path | None
) -> asyncio.subprocess.Process:
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            cwd=directory,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # The program may run already, and may have started others: those the event loop would leave behind.
        with contextlib.suppress(OSError):
            await _kill(await starting)
        raise
    except OSError as error:
        reason = "it is not installed on the worker" if isinstance(error, FileNotFoundError) else error.strerror
        raise InfrastructureError(f"cannot run '{words[0]}': {reason}") from error


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End the program and everything that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        await process.wait()


async def _line(stream: asyncio.StreamReader) -> bytes:
    """Return the next line, in pieces when it is longer than the reader's limit; nothing at the end."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.readexactly(error.consumed)


def _words(command: str | Sequence[str]) -> list[str]:
    if not isinstance(command, str):
        return list(command)
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigurationError(f"the command {command!r} cannot be split into words: {error}") from error
    if not words:
        raise ConfigurationError("a command of the device configuration is empty")
    return words
