"""How fast does a console's output go through matcher and log file?

The limit, measured in the same run: the same terminal read to its end by the simplest loop there is (what ``cat``
of it costs).  Beside it: a console with the patterns of a running test shell, every line encoded and written to a log.

    .venv/bin/python benchmarks/console.py [--lines N]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from lava.console import Console
from lava.dispatcher.panic import PATTERN as PANIC
from lava.dispatcher.signals import MARKER, case_pattern
from lava.model.errors import ConnectionClosedError
from lava.model.logline import Level, encode_lines
from lava.spool import LogFile

GOAL = 0.5
#: what a running test shell looks for, with the pattern of a test definition
PATTERNS = [MARKER, PANIC, case_pattern(r"(?P<test_case_id>[a-z-]+): (?P<result>PASS|FAIL)$")]


def printer(lines: int) -> list[str]:
    text = "print(''.join(f'[{n:12.6f}] usb 1-1: new high-speed USB device number {n}\\n' for n in range(%d)), end='')"
    return [sys.executable, "-c", text % lines]


def plain(lines: int) -> tuple[float, int]:
    """Read the terminal to its end; return seconds and bytes."""
    main, child = pty.openpty()
    process = subprocess.Popen(printer(lines), stdout=child, stderr=child, stdin=child)
    os.close(child)
    size = len(os.read(main, 65536))
    started = time.perf_counter()
    while True:
        try:
            chunk = os.read(main, 65536)
        except OSError:
            break
        size += len(chunk)
    seconds = time.perf_counter() - started
    process.wait()
    os.close(main)
    return seconds, size


async def through_console(lines: int, path: Path) -> tuple[float, int]:
    """Expect patterns that never come while everything is logged; return seconds and bytes."""
    with LogFile(path) as log:

        def write(level: str, texts: Sequence[str]) -> None:
            log.append(encode_lines(datetime.now(UTC), Level(level), texts))

        console = await Console.spawn(printer(lines), log=write)
        answer = await console.expect([r"\n"], timeout=60)
        assert answer.index == 0
        started = time.perf_counter()
        try:
            await console.expect(PATTERNS, timeout=600)
        except ConnectionClosedError:
            seconds = time.perf_counter() - started
        await console.close()
    return seconds, console.received_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    limits, figures, ratios = [], [], []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "logs.yaml"
        for _ in range(args.runs):
            path.unlink(missing_ok=True)
            seconds, size = plain(args.lines)
            limits.append(size / seconds / 1e6)
            seconds, size = asyncio.run(through_console(args.lines, path))
            figures.append(size / seconds / 1e6)
            ratios.append(figures[-1] / limits[-1])
            with path.open("rb") as written:
                assert sum(1 for _ in written) >= args.lines
    print(f"{args.lines} lines, {args.runs} runs, medians")
    print(f"plain reader            {statistics.median(limits):7.1f} MB/s   (the limit)")
    print(f"matcher and log file    {statistics.median(figures):7.1f} MB/s")
    print(f"ratio, run by run       {statistics.median(ratios):7.2f}        goal: at least {GOAL}")


if __name__ == "__main__":
    main()
