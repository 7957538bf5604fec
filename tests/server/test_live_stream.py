"""The events of one stream: state, lines, heartbeats, the end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pytest

from lava.model.states import JobHealth, JobState
from lava.server import wake
from lava.server.live.events import END, HEARTBEAT, RETRY, lines_event
from lava.server.live.hub import Hub
from lava.server.live.snapshot import Snapshot, Status
from lava.server.live.stream import CHUNK_BYTES, read_chunk, start_of_line, stream
from lava.server.logs import Addition, JobFiles, write_each

SUBMITTED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LINES = [b'- {"msg": "%d %b"}\n' % (number, b"x" * number) for number in range(20)]
LOG = b"".join(LINES)


class Silence:
    """A listener that hears nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing was opened."""

    async def __aiter__(self) -> AsyncIterator[wake.WakeUp]:
        for nothing in ():
            yield nothing


class Job:
    """A job whose state and log the test moves."""

    def __init__(self) -> None:
        self.state, self.health = JobState.RUNNING, JobHealth.UNKNOWN
        self.length = 0
        self.hub = Hub(self._read, Silence, look_again_seconds=0.001)

    @property
    def snapshot(self) -> Snapshot:
        status = Status(self.state, self.health, "qemu-01", "", "", "", SUBMITTED, SUBMITTED, None)
        return Snapshot(status, self.length)

    def _read(self, jobs: Collection[int]) -> Mapping[int, Snapshot]:
        return dict.fromkeys(jobs, self.snapshot)

    def finish(self) -> None:
        self.state, self.health = JobState.FINISHED, JobHealth.COMPLETE


@pytest.fixture
def job() -> Job:
    return Job()


@pytest.fixture
def files(data_directory: Path) -> JobFiles:
    return JobFiles(data_directory / "job")


def state_of(event: bytes) -> str:
    name, data, *_ = event.split(b"\n")
    assert name == b"event: state"
    return str(json.loads(data.removeprefix(b"data: "))["state"])


async def test_a_stream_tells_state_lines_and_end_in_their_order(job: Job, files: JobFiles) -> None:
    write_each([Addition(files, 0, 0, LOG)])
    job.length = len(LOG)
    events = stream(job.hub, 1, files, job.snapshot, 0)
    assert await anext(events) == RETRY
    assert state_of(await anext(events)) == "Running"
    assert await anext(events) == lines_event(LOG, len(LOG))
    job.finish()
    assert state_of(await anext(events)) == "Finished"
    assert await anext(events) == END
    with pytest.raises(StopAsyncIteration):
        await anext(events)
    assert not job.hub.watched


async def test_only_what_counts_is_sent(job: Job, files: JobFiles) -> None:
    """What stands behind the length in the database was written by a transaction that failed."""
    write_each([Addition(files, 0, 0, LOG)])
    job.length = len(LINES[0])
    events = stream(job.hub, 1, files, job.snapshot, 0)
    assert [await anext(events) for _ in range(3)][2] == lines_event(LINES[0], len(LINES[0]))
    job.length += len(LINES[1])
    assert await anext(events) == lines_event(LINES[1], job.length)
    await events.aclose()
    assert not job.hub.watched


async def test_silence_is_filled_with_heartbeats(job: Job, files: JobFiles) -> None:
    events = stream(job.hub, 1, files, job.snapshot, 0, heartbeat_seconds=0.001)
    await anext(events)
    await anext(events)
    assert [await anext(events) for _ in range(3)] == [HEARTBEAT] * 3
    await events.aclose()


async def test_a_log_that_is_gone_ends_the_stream(job: Job, files: JobFiles, caplog: pytest.LogCaptureFixture) -> None:
    job.length = 100
    events = stream(job.hub, 1, files, job.snapshot, 0)
    first, *_ = [event async for event in events]
    assert first == RETRY
    assert "shorter than it was" in caplog.text
    assert not job.hub.watched


def test_a_chunk_ends_with_a_line_and_a_long_line_is_a_chunk(files: JobFiles) -> None:
    long = b"- " + b"y" * 10_000 + b"\n"
    write_each([Addition(files, 0, 0, LOG + long + LINES[0])])
    end = len(LOG) + len(long) + len(LINES[0])
    offset, chunks = 0, []
    while offset < end:
        chunks.append(read_chunk(files, offset, end, limit=100))
        offset += len(chunks[-1])
    assert b"".join(chunks) == LOG + long + LINES[0]
    assert all(chunk.endswith(b"\n") for chunk in chunks)
    assert max(map(len, chunks)) < len(long) + 500
    assert read_chunk(files, end, end + 5, limit=100) == b""


@pytest.mark.parametrize("line", range(len(LINES)))
def test_an_offset_within_a_line_moves_to_the_next(files: JobFiles, line: int) -> None:
    write_each([Addition(files, 0, 0, LOG)])
    start = sum(map(len, LINES[:line]))
    assert start_of_line(files, start, len(LOG)) == start
    for inside in range(start + 1, start + len(LINES[line])):
        assert start_of_line(files, inside, len(LOG)) == start + len(LINES[line])
    assert start_of_line(files, len(LOG) + 7, len(LOG)) == len(LOG)


def test_the_start_of_a_line_is_found_behind_a_very_long_one(files: JobFiles) -> None:
    long = b"z" * (3 * CHUNK_BYTES) + b"\n"
    write_each([Addition(files, 0, 0, long + LINES[0])])
    assert start_of_line(files, 5, len(long) + len(LINES[0])) == len(long)


def test_lines_stay_the_bytes_that_they_are() -> None:
    chunk = "- a\u2028b\x85c ü data: x\n- event: end\n".encode()
    assert lines_event(chunk, 7) == b"event: lines\nid: 7\ndata: " + chunk.replace(b"\n- ", b"\ndata: - ") + b"\n"


def test_no_byte_of_a_line_can_become_a_field_of_an_event() -> None:
    event = lines_event(b"- a\rid: 9\r\revent: end\n", 7)
    assert event == b"event: lines\nid: 7\ndata: - a id: 9  event: end\n\n"
