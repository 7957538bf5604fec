"""The stream of a job's log over HTTP, as terminals and browsers read it."""

from __future__ import annotations

import http.client
import socket
import threading
from typing import TYPE_CHECKING

import psutil
import pytest

from lava.cli.client import Client, ClientError, decode_state

if TYPE_CHECKING:
    from conftest import Site

pytestmark = pytest.mark.slow

JOB = """\
job_name: stream
device_type: qemu
visibility: {visibility}
timeouts: {{job: {{minutes: 5}}, action: {{minutes: 2}}, connection: {{minutes: 1}}}}
actions:
  - boot: {{method: qemu, prompts: ["#"]}}
"""
PUBLIC, PERSONAL = JOB.format(visibility="public"), JOB.format(visibility="personal")


def rows(body: bytes) -> list[bytes]:
    """Return the log lines of a stream that has ended."""
    assert body.endswith(b"event: end\ndata: {}\n\n")
    return [
        line.removeprefix(b"data: ") + b"\n"
        for event in body.split(b"\n\n")
        if event.startswith(b"event: lines\n")
        for line in event.split(b"\n")[2:]
    ]


def test_a_stream_resumed_anywhere_gives_every_line_exactly_once(site: Site) -> None:
    job = site.running_job(PUBLIC)
    site.do("log", job=job, lines=[["target", f'line {n} ü \x1b[31m \u2028 \\ " {"x" * n}'] for n in range(40)])
    site.do("end", job=job)
    status, stored = site.request(f"/scheduler/job/{job}/log_file/plain")
    assert status == 200
    lines = stored.splitlines(keepends=True)
    assert len(lines) == 40
    address = f"/scheduler/job/{job}/log_stream"
    offset = 0
    for number in range(len(lines) + 1):
        assert rows(site.request(address, Last_Event_ID=str(offset))[1]) == lines[number:]
        assert rows(site.request(f"{address}?offset={offset}")[1]) == lines[number:]
        if number < len(lines):
            # Within a line: what is left of it is no line.
            assert rows(site.request(f"{address}?offset={offset + 5}")[1]) == lines[number + 1 :]
            offset += len(lines[number])
    assert rows(site.request(f"{address}?offset={10**12}")[1]) == []
    assert rows(site.request(f"{address}?offset=0", Last_Event_ID=str(offset))[1]) == []


def test_a_big_log_arrives_whole(site: Site) -> None:
    job = site.running_job(PUBLIC)
    site.do("flood", job=job, count=20_000)
    site.do("log", job=job, lines=[["target", "x" * 90_000], ["target", "é" * 90_000], ["target", "end"]])
    site.do("end", job=job)
    stored = site.request(f"/scheduler/job/{job}/log_file/plain")[1]
    assert b"".join(rows(site.request(f"/scheduler/job/{job}/log_stream")[1])) == stored


def test_the_terminal_follows_a_job_to_its_end(site: Site) -> None:
    job = site.running_job(PERSONAL, user="owner")
    followed: list[bytes] = []
    states: list[str] = []
    first = threading.Event()

    def follow() -> None:
        for event in Client(site.url, site.users["owner"]["token"], "owner").follow(str(job)):
            followed.extend(event.rows if event.name == "lines" else [])
            if event.name == "state":
                states.append(f"{decode_state(event)['state']} {decode_state(event)['health']}")
            first.set()

    reader = threading.Thread(target=follow)
    reader.start()
    assert first.wait(20)
    for number in range(50):
        site.do("log", job=job, lines=[["target", f"line {number}"]])
    site.do("end", job=job)
    reader.join(20)
    assert not reader.is_alive()
    assert [row.split(b'"msg": ')[1] for row in followed] == [b'"line %d"}' % number for number in range(50)]
    assert states == ["Running Unknown", "Finished Incomplete"]


def test_only_those_who_may_see_a_job_see_anything_of_it(site: Site) -> None:
    job = site.running_job(PERSONAL, user="owner")
    site.do("raw", job=job, text='- {"dt": "2026-03-02T09:15:01+00:00", "lvl": "results", "msg": '
            '{"definition": "0_s", "case": "c", "result": "pass"}}\n')  # fmt: skip
    site.do("end", job=job)
    pages = [f"/scheduler/job/{job}{part}" for part in ("", "/definition", "/definition/plain", "/log_file/plain")]
    pages += [f"/results/{job}{part}" for part in ("", "/csv", "/yaml", "/yaml_summary", "/metadata", "/0_s")]
    pages += [f"/results/{job}/0_s/{part}" for part in ("csv", "yaml", "+testcase-count", "c")]
    for path in [*pages, f"/scheduler/job/{job}/log_stream"]:
        assert site.request(path)[0] == 403, path
        assert site.request(path, user="stranger")[0] == 403, path
        assert site.request(path, user="stranger", session=True)[0] == 403, path
        assert site.request(path, user="owner")[0] == 200, path
        assert site.request(path, user="owner", session=True)[0] == 200, path
        assert site.request(path, user="admin")[0] == 200, path
    with pytest.raises(ClientError, match="403"):
        list(Client(site.url).follow(str(job)))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/scheduler/job/999999/log_stream", 404),
        ("/scheduler/job/1.5/log_stream", 404),
        (f"/scheduler/job/{'9' * 40}/log_stream", 404),
        ("/scheduler/job/x/log_stream", 404),
        ("/results/999999", 404),
        ("/results/testcase/999999", 404),
    ],
)
def test_what_is_not_there_is_not_found(site: Site, path: str, status: int) -> None:
    assert site.request(path)[0] == status


def test_a_wrong_offset_is_refused_in_words(site: Site) -> None:
    job = site.running_job(PUBLIC)
    for offset in ("-1", "1e3", "x", "9" * 30):
        status, body = site.request(f"/scheduler/job/{job}/log_stream?offset={offset}")
        assert status == 400
        assert b"is no offset" in body
    assert site.request(f"/scheduler/job/{job}/log_stream", "POST", user="admin")[0] == 405
    assert site.request(f"/scheduler/job/{job}/log_stream", "HEAD") == (200, b"")


def test_a_page_of_another_site_can_change_nothing(site: Site) -> None:
    job = site.running_job(PUBLIC)
    for part in ("cancel", "resubmit"):
        assert site.request(f"/scheduler/job/{job}/{part}", "POST", user="admin", session=True)[0] == 403
    assert site.request(f"/scheduler/job/{job}/cancel", user="admin")[0] == 405
    assert site.request(f"/scheduler/job/{job}/cancel", "POST", user="stranger")[0] == 403
    assert site.do("show", job=job)["state"] == "Running"
    assert site.request(f"/scheduler/job/{job}/cancel", "POST", user="admin")[0] == 302
    assert site.do("show", job=job)["state"] == "Canceling"


def test_many_streams_share_one_ear_and_leave_nothing_behind(site: Site) -> None:
    job = site.running_job(PUBLIC)
    before = site.ears()
    readers = []
    for _ in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
        connection.request("GET", f"/scheduler/job/{job}/log_stream")
        response = connection.getresponse()
        assert response.readline() == b"retry: 1000\n"
        readers.append((connection, response))
    site.wait_for(lambda: site.ears() == before + 1, "one ear for twenty streams")
    for connection, response in readers:
        response.close()
        connection.close()
    site.wait_for(lambda: site.ears() == before, "the ear to close")


def test_a_part_of_the_log_can_be_asked_for(site: Site) -> None:
    job = site.running_job(PUBLIC)
    site.do("flood", job=job, count=100)
    site.do("end", job=job)
    address = f"/scheduler/job/{job}/log_file/plain"
    stored = site.request(address)[1]
    assert site.request(address, Range="bytes=10-19") == (206, stored[10:20])
    assert site.request(address, Range="bytes=100-") == (206, stored[100:])
    assert site.request(address, Range="bytes=-50") == (206, stored[-50:])
    assert site.request(address, Range=f"bytes=50-{10**15}") == (206, stored[50:])
    for odd in ("bytes=-", "bytes=5-2", "bytes=0-1,5-6", "lines=1-2", f"bytes={10**15}-"):
        assert site.request(address, Range=odd) == (200, stored)


def test_a_client_that_does_not_read_costs_little_memory(site: Site) -> None:
    job = site.running_job(PUBLIC)
    for _ in range(4):
        site.do("flood", job=job, count=150_000)
    assert site.web is not None
    web = psutil.Process(site.web.pid)
    before = web.memory_info().rss
    with socket.create_connection(("127.0.0.1", site.port)) as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.sendall(f"GET /scheduler/job/{job}/log_stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert idle.recv(12) == b"HTTP/1.1 200"
        # Others are served meanwhile: whatever could be read ahead for the idle one has been by then.
        site.do("end", job=job)
        for _ in range(3):
            stored = site.request(f"/scheduler/job/{job}/log_file/plain")[1]
        assert len(stored) > 40_000_000
        assert web.memory_info().rss - before < 20_000_000
