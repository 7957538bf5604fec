"""Fetching files from a real server and from disk: dispatcher specification 7."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import hashlib
import io
import lzma
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lava.dispatcher.downloads import Downloaded, check_source, fetch, resolve_url, sources
from lava.dispatcher.downloads.fetch import file_name
from lava.model.errors import InfrastructureError, JobError
from lava.model.job import Download

CONTENT = bytes(range(256)) * 5000


@dataclass
class Answer:
    """What the server says to one path."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    #: number of bytes that the server promises; the body's by default
    length: int | None = None
    head_status: int = 200
    #: answers before this one
    before: list[int] = field(default_factory=list)


@dataclass
class Web:
    """A server on the loopback interface."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def offer(self, path: str, *arguments: object, **keys: object) -> str:
        self.answers[path] = Answer(*arguments, **keys)  # type: ignore[arg-type]
        return f"{self.url}{path}"


@pytest.fixture
def web() -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.requests.append((self.command, self.path, dict(self.headers)))
            answer = web.answers.get(self.path, Answer(status=404, head_status=404))
            status = answer.head_status if self.command == "HEAD" else answer.status
            if answer.before:
                status = answer.before.pop(0)
            self.send_response(status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.length != -1:
                self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(answer.body)

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield web
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between two questions are short."""
    monkeypatch.setattr(sources, "_LONGEST_PAUSE_SECONDS", 0.01)


Get = Callable[..., "asyncio.Future[Downloaded]"]


@pytest.fixture
def get(tmp_path: Path) -> Get:
    async def get(url: str, **keys: object) -> Downloaded:
        say = keys.pop("say", lambda text: None)
        packed = keys.pop("keep_packed", False)
        return await fetch(
            Download.model_validate({"url": url, **keys}),
            url,
            tmp_path / "target",
            downloads=tmp_path / "downloads",
            say=say,  # type: ignore[arg-type]
            keep_packed=bool(packed),
        )

    return get  # type: ignore[return-value]


def digest(name: str, content: bytes = CONTENT) -> str:
    return hashlib.new(name, content).hexdigest()


async def test_a_file_from_a_server(web: Web, get: Get) -> None:
    sums = {f"{name}sum": digest(name) for name in ("md5", "sha256", "sha512")}
    done = await get(web.offer("/dir/image%20one.bin?x=1", CONTENT), headers={"X-Token": "t"}, **sums)
    assert done.path.name == "image one.bin"
    assert done.path.read_bytes() == CONTENT
    assert (done.size, done.sha256) == (len(CONTENT), digest("sha256"))
    assert web.requests[0][2]["X-Token"] == "t"


async def test_progress_is_told(web: Web, get: Get) -> None:
    said: list[str] = []
    await get(web.offer("/f", b"x" * 4_000_000), say=said.append)
    assert [line.split(" (")[0] for line in said] == ["progress  26 %", "progress  52 %", "progress  78 %"]


PACKED = {
    "gz": gzip.compress(CONTENT, 1),
    "bz2": bz2.compress(CONTENT, 1),
    "xz": lzma.compress(CONTENT, preset=0),
}


def zstd(content: bytes) -> bytes:
    if shutil.which("zstd") is None:
        pytest.skip("zstd is not installed")
    return subprocess.run(["zstd", "-q", "-c"], input=content, capture_output=True, check=True).stdout


def packed(kind: str) -> bytes:
    return zstd(CONTENT) if kind == "zstd" else PACKED[kind]


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zstd"])
async def test_decompression_on_the_way(web: Web, get: Get, kind: str) -> None:
    body = packed(kind)
    done = await get(web.offer(f"/image.bin.{kind}", body), compression=kind, sha256sum=digest("sha256", body))
    assert done.path.name == "image.bin"
    assert done.path.read_bytes() == CONTENT
    assert done.size == len(body)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zstd"])
async def test_streams_that_follow_each_other(web: Web, get: Get, kind: str) -> None:
    done = await get(web.offer(f"/f.{kind}", packed(kind) * 2), compression=kind)
    assert done.path.read_bytes() == CONTENT * 2


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zstd"])
@pytest.mark.parametrize("damage", ["other", "cut", "inside", "empty"])
async def test_what_cannot_be_decompressed(web: Web, get: Get, kind: str, damage: str) -> None:
    body = packed(kind)
    match damage:
        case "other":
            body = b"this was never compressed" * 100
        case "cut":
            body = body[: len(body) // 2]
        case "inside":
            body = body[:40] + b"damaged damaged damaged" + body[63:]
        case "empty":
            body = b""
    with pytest.raises(JobError) as raised:
        await get(web.offer("/f", body), compression=kind)
    assert f"{web.url}/f: cannot decompress it as '{kind}': " in str(raised.value)
    assert "is 'compression' right, and the file whole?" in str(raised.value)


async def test_a_wrong_checksum_says_more_than_the_decoder(web: Web, get: Get) -> None:
    url = web.offer("/f", b"<html>please log in</html>" * 1000)
    with pytest.raises(JobError, match="sha256sum does not match: the job says 0000"):
        await get(url, compression="xz", sha256sum="0" * 64)


@pytest.mark.parametrize("name", ["md5", "sha256", "sha512"])
async def test_a_wrong_checksum_names_both(web: Web, get: Get, name: str) -> None:
    with pytest.raises(JobError) as raised:
        await get(web.offer("/f", CONTENT), **{f"{name}sum": digest(name, b"other")})
    assert str(raised.value) == (
        f"{web.url}/f: {name}sum does not match: the job says {digest(name, b'other')}, the file has {digest(name)}"
    )


async def test_a_zip_stays_as_it_is(web: Web, get: Get) -> None:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("a", "b")
    done = await get(web.offer("/f.zip", memory.getvalue()), compression="zip")
    assert (done.path.name, done.path.read_bytes()) == ("f.zip", memory.getvalue())


async def test_a_ramdisk_can_stay_packed(web: Web, get: Get) -> None:
    done = await get(web.offer("/initrd.gz", PACKED["gz"]), compression="gz", keep_packed=True)
    assert (done.path.name, done.path.read_bytes()) == ("initrd.gz", PACKED["gz"])


async def test_an_archive_is_unpacked_but_not_out_of_its_directory(web: Web, get: Get, tmp_path: Path) -> None:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as tar:
        for name in ("top/file", "../../outside"):
            entry = tarfile.TarInfo(name)
            entry.size = 2
            tar.addfile(entry, io.BytesIO(b"hi"))
    with pytest.raises(JobError, match="cannot be unpacked as 'archive: tar'"):
        await get(web.offer("/f.tar.gz", memory.getvalue()), compression="gz", archive="tar")
    assert not (tmp_path / "outside").exists()
    with pytest.raises(JobError, match="cannot be unpacked as 'archive: tar'"):
        await get(web.offer("/g.tar", CONTENT), archive="tar")


async def test_a_good_archive(web: Web, get: Get) -> None:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as tar:
        for name, mode in (("locked", 0o555), ("locked/file", 0o444)):
            entry = tarfile.TarInfo(name)
            entry.mode = mode
            entry.type = tarfile.REGTYPE if "/" in name else tarfile.DIRTYPE
            entry.size = 2 if "/" in name else 0
            tar.addfile(entry, io.BytesIO(b"hi"))
    done = await get(web.offer("/f.tar", memory.getvalue()), archive="tar")
    assert (done.path / "locked/file").read_text() == "hi"


async def test_a_body_that_ends_too_early_is_the_networks_fault(web: Web, get: Get) -> None:
    url = web.offer("/f", CONTENT[:1000], length=len(CONTENT))
    with pytest.raises(InfrastructureError) as raised:
        await get(url, sha256sum=digest("sha256"))
    assert str(raised.value) == f"{url}: it ended after 1000 of {len(CONTENT)} bytes"


async def test_a_body_of_unknown_length(web: Web, get: Get) -> None:
    assert (await get(web.offer("/f", CONTENT, length=-1))).path.read_bytes() == CONTENT


async def test_what_is_not_there(web: Web, get: Get) -> None:
    with pytest.raises(JobError, match="/none: the server answered 404 Not Found"):
        await check_source(f"{web.url}/none", {})
    with pytest.raises(InfrastructureError, match="/none: the server answered 404 Not Found"):
        await get(f"{web.url}/none")


async def test_the_size_is_known_before_the_download(web: Web) -> None:
    assert await check_source(web.offer("/f", CONTENT), {"X-Token": "t"}) == len(CONTENT)
    assert [(request[0], request[2]["Accept-Encoding"]) for request in web.requests] == [("HEAD", "")]
    assert await check_source(web.offer("/g", CONTENT, head_status=405), {}) == len(CONTENT)


async def test_a_busy_server_is_asked_again(web: Web, get: Get) -> None:
    url = web.offer("/f", CONTENT, before=[503, 429, 500])
    assert (await get(url)).size == len(CONTENT)
    assert len(web.requests) == 4


async def test_a_server_that_stays_busy(web: Web) -> None:
    with pytest.raises(JobError, match="the server answered 503"):
        await check_source(web.offer("/f", status=503, head_status=503), {})
    assert [method for method, _, _ in web.requests] == ["HEAD"] * 10 + ["GET"] * 10


async def test_nobody_listens(get: Get) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(JobError, match=f"http://127.0.0.1:{port}/f: Connection refused"):
        await check_source(f"http://127.0.0.1:{port}/f", {})
    with pytest.raises(InfrastructureError, match="Connection refused"):
        await get(f"http://127.0.0.1:{port}/f")


async def test_a_redirect_is_followed(web: Web, get: Get) -> None:
    web.offer("/real", CONTENT)
    url = web.offer("/link", status=302, head_status=302, headers={"Location": "real"})
    done = await get(url, headers={"X-Token": "t"})
    assert (done.path.name, done.size) == ("link", len(CONTENT))
    assert web.requests[-1][2]["X-Token"] == "t"


async def test_a_redirect_to_another_host_gets_no_secrets(web: Web, get: Get) -> None:
    web.offer("/real", CONTENT)
    elsewhere = web.url.replace("127.0.0.1", "localhost")
    url = web.offer("/link", status=307, headers={"Location": f"{elsewhere}/real"})
    assert (await get(url, headers={"PRIVATE-TOKEN": "t"})).size == len(CONTENT)
    assert [request[2].get("PRIVATE-TOKEN") for request in web.requests] == ["t", None]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://localhost/x"])
async def test_a_redirect_out_of_the_web_is_refused(web: Web, get: Get, target: str) -> None:
    with pytest.raises(JobError, match="which is no address of a web server"):
        await get(web.offer("/link", status=302, headers={"Location": target}))


async def test_redirects_in_a_circle(web: Web, get: Get) -> None:
    with pytest.raises(InfrastructureError, match="too many redirects"):
        await get(web.offer("/a", status=302, headers={"Location": "/a"}))


async def test_nobody_waits_for_a_server_that_stopped_to_answer(get: Get) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/f"
        fetching = asyncio.create_task(get(url))  # type: ignore[arg-type]
        connection, _ = await asyncio.to_thread(server.accept)
        with connection:
            await asyncio.to_thread(connection.recv, 100_000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nsome")
            fetching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await fetching
            # The thread is woken, too: it hangs up.
            connection.settimeout(20)
            assert await asyncio.to_thread(connection.recv, 1) == b""


async def test_a_file_of_the_worker(get: Get, tmp_path: Path) -> None:
    source = tmp_path / "with blank.bin"
    source.write_bytes(CONTENT)
    url = source.as_uri()
    assert await check_source(url, {}) == len(CONTENT)
    assert (await get(url)).path.read_bytes() == CONTENT


async def test_a_file_that_is_missing_or_none(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="there is no such file on the worker"):
        await check_source(f"file://{tmp_path}/none", {})
    with pytest.raises(JobError, match="this is no file on the worker"):
        await check_source(f"file://{tmp_path}", {})
    with pytest.raises(JobError, match="no path can hold a zero byte"):
        await check_source("file:///a%00b", {})


async def test_what_was_downloaded_before(get: Get, tmp_path: Path) -> None:
    directory = tmp_path / "downloads"
    (directory / "sub").mkdir(parents=True)
    (directory / "sub/image").write_bytes(CONTENT)
    assert await check_source("downloads://sub/image", {}) is None
    assert (await get("downloads://sub/image")).size == len(CONTENT)
    with pytest.raises(JobError, match="was not downloaded before; available: sub/image"):
        await get("downloads://other")
    with pytest.raises(JobError, match="leads out of the downloads"):
        await check_source("downloads://sub/../../../etc/passwd", {})


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("gopher://host/x", "the scheme 'gopher' cannot be fetched; use one of: http, https, file, downloads"),
        ("no-scheme", "an address without a scheme cannot be fetched"),
        ("{KERNEL}", "the device's static_info does not say what {KERNEL} is"),
        ("http:///x", "no host is named"),
        ("http://host:port/x", "Port could not be cast"),
    ],
)
async def test_addresses_that_nobody_can_fetch(get: Get, url: str, complaint: str) -> None:
    with pytest.raises(JobError) as checked:
        await check_source(url, {})
    with pytest.raises(JobError) as fetched:
        await get(url)
    assert complaint in str(checked.value)
    assert complaint in str(fetched.value)


def test_placeholders_come_from_the_device() -> None:
    info = [{"GUEST": "file:///guest"}, "noise", {"N": 5}]
    assert resolve_url("{GUEST}/{N}/{OTHER}", info) == "file:///guest/5/{OTHER}"
    assert resolve_url("{GUEST}", None) == "{GUEST}"


@pytest.mark.parametrize(
    ("url", "decompressed", "name"),
    [
        ("http://h/a/b.img.xz", True, "b.img"),
        ("http://h/a/b.img.xz", False, "b.img.xz"),
        ("http://h/plain?name=x", True, "plain"),
        ("http://h/.gz", True, ".gz"),
        ("http://h/..", False, "file"),
        ("http://h/%2e%2e%2fetc%2fpasswd", False, "passwd"),
        ("http://h/", False, "file"),
        ("http://h", False, "file"),
    ],
)
def test_names_of_local_files(url: str, decompressed: bool, name: str) -> None:
    assert file_name(url, decompressed=decompressed) == name


@pytest.mark.parametrize("kind", ["none", "gz", "zstd"])
async def test_a_full_disk_is_the_labs_trouble(web: Web, get: Get, tmp_path: Path, kind: str) -> None:
    body = CONTENT if kind == "none" else packed(kind)
    (tmp_path / "target").mkdir()
    (tmp_path / "target/f").symlink_to("/dev/full")
    with pytest.raises(InfrastructureError, match=f"cannot write .*/f: {os.strerror(28)}"):
        await get(web.offer("/f.x" if kind != "none" else "/f", body), compression=kind)
