"""Real sockets on loopback: who gets through, who is told why not, and what does no harm.

Source: protocol specification 7; seed requirement R60; scenarios G12, G16, G22, G23.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import zmq
import zmq.asyncio

from lava.wire import sockets
from lava.wire.certificates import Certificate
from lava.wire.line import Line, News, next_pause
from lava.wire.messages import LARGEST_BODY, Log, Ping, Pong, Start, join_route
from lava.wire.sockets import Dialing, DialingSocket, ListeningSocket, start_authenticator, why_unreachable

PATIENCE_SECONDS = 20
ROUTE = join_route("worker", "1-a")


def key_pair() -> Certificate:
    return Certificate(*zmq.curve_keypair())


MASTER, SLAVE, STRANGER = key_pair(), key_pair(), key_pair()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look into a line that is down at once."""
    monkeypatch.setattr(sockets, "DOWN_SECONDS", 0.2)


@pytest.fixture
async def context() -> AsyncIterator[zmq.asyncio.Context]:
    context = zmq.asyncio.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def keys() -> dict[str, str]:
    """The keys that the master admits."""
    return {SLAVE.public.decode(): "slave-1"}


Listen = Callable[..., tuple[ListeningSocket, str]]


@pytest.fixture
async def listen(context: zmq.asyncio.Context, keys: dict[str, str]) -> AsyncIterator[Listen]:
    opened: list[Any] = []

    def start(own: Certificate | None = None, host: str = "127.0.0.1", ipv6: bool = False) -> tuple[Any, str]:
        if own is not None:
            authenticator = start_authenticator(context, lambda: keys)
            opened.append(authenticator.stop)
        listening = ListeningSocket(context, f"tcp://{host}:*", own=own, ipv6=ipv6)
        opened.append(listening.close)
        address = listening._socket.getsockopt(zmq.LAST_ENDPOINT)
        assert isinstance(address, bytes)
        return listening, address.decode().rstrip("\0")

    yield start
    for close in reversed(opened):
        close()


Dial = Callable[..., DialingSocket]


@pytest.fixture
async def dial(context: zmq.asyncio.Context) -> AsyncIterator[Dial]:
    opened: list[DialingSocket] = []

    def start(address: str, own: Certificate | None = None, master: Certificate | None = None, **more: Any) -> Any:
        opened.append(DialingSocket(context, address, ROUTE, Dialing(own, master, **more)))
        return opened[-1]

    yield start
    for connection in opened:
        connection.close()


Tap = Callable[[str], Awaitable[tuple[str, bytearray]]]


@pytest.fixture
async def tap() -> AsyncIterator[Tap]:
    """Put something between that hears everything; return its address and what it hears."""
    tasks: list[asyncio.Task[None]] = []
    servers: list[asyncio.Server] = []

    async def start(address: str) -> tuple[str, bytearray]:
        heard = bytearray()

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while some := await source.read(65536):
                    heard.extend(some)
                    target.write(some)
            finally:
                target.close()

        async def meet(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            host, port = address.removeprefix("tcp://").split(":")
            far_source, far_target = await asyncio.open_connection(host, int(port))
            tasks.extend([asyncio.create_task(copy(source, far_target)), asyncio.create_task(copy(far_source, target))])

        servers.append(await asyncio.start_server(meet, "127.0.0.1", 0))
        return f"tcp://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}", heard

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for server in servers:
        server.close()
        await server.wait_closed()


async def first_news(connection: DialingSocket, wanted: Callable[[News], bool] = lambda news: True) -> News:
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for news in connection.news():
            if wanted(news):
                return news
    raise AssertionError("no news")


async def first_trouble(listening: ListeningSocket) -> str:
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for trouble in listening.troubles():
            return trouble
    raise AssertionError("no trouble")


async def exchange(listening: ListeningSocket, connection: DialingSocket) -> str:
    """Send a message each way and return the key that came with it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await connection.send(Ping())
        received = await listening.receive()
        assert (received.route, received.message) == (ROUTE, Ping())
        await listening.send(received.route, Pong(5))
        assert await connection.receive() == Pong(5)
    return received.key


async def test_messages_go_both_ways(listen: Listen, dial: Dial) -> None:
    listening, address = listen()
    assert await exchange(listening, dial(address)) == ""


async def test_an_admitted_key_comes_with_every_message(listen: Listen, dial: Dial) -> None:
    listening, address = listen(MASTER)
    connection = dial(address, SLAVE, MASTER)
    assert await exchange(listening, connection) == SLAVE.public.decode()
    assert await first_news(connection) == News(Line.UP)


@pytest.mark.parametrize("encrypted", [True, False])
async def test_r41_r69_whoever_taps_the_line_reads_only_what_is_not_encrypted(
    listen: Listen, dial: Dial, tap: Tap, encrypted: bool
) -> None:
    """R41, R69: control and logs, with what was said of devices; both ports are of this kind."""
    listening, address = listen(MASTER if encrypted else None)
    tapped, heard = await tap(address)
    connection = dial(tapped, *((SLAVE, MASTER) if encrypted else ()))
    order = Start("1", b"definition", b"power_on_command: pduclient --port 7")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await connection.send(Log("1", 0, b"a line of the board"))
        received = await listening.receive()
        await listening.send(received.route, order)
        assert await connection.receive() == order
    for secret in (b"a line of the board", b"pduclient --port 7", b"START", b"worker/"):
        assert (secret in heard) is not encrypted


async def test_g16_an_unknown_key_is_refused_in_words_on_both_sides_and_tried_again(
    listen: Listen, dial: Dial, keys: dict[str, str]
) -> None:
    listening, address = listen(MASTER)
    connection = dial(address, STRANGER, MASTER)
    news = asyncio.create_task(first_news(connection, lambda news: news.line is Line.UP))
    trouble = await first_trouble(listening)
    assert trouble.startswith("127.0.0.1 port ")
    assert trouble.endswith("its key is not among the slaves' certificates")
    # The admin adds the key: nobody has to be restarted.
    keys[STRANGER.public.decode()] = "slave-2"
    assert await news == News(Line.UP)


async def test_g16_a_refused_slave_hears_why(listen: Listen, dial: Dial) -> None:
    _, address = listen(MASTER)
    news = await first_news(dial(address, STRANGER, MASTER))
    assert news.line is Line.REFUSED
    assert "the master does not admit this slave's key: copy the public half" in news.trouble


async def test_g16_another_masters_key(listen: Listen, dial: Dial) -> None:
    listening, address = listen(MASTER)
    connection = dial(address, SLAVE, STRANGER)
    news = asyncio.create_task(first_news(connection))
    assert "it uses another public key for this master than ours" in await first_trouble(listening)
    assert "certificate here not the public half of the one that it uses" in (await news).trouble


async def test_r64_a_slave_without_encryption_gets_no_answer_but_a_reason(listen: Listen, dial: Dial) -> None:
    listening, address = listen(MASTER)
    connection = dial(address)
    news = asyncio.create_task(first_news(connection))
    assert "it does not encrypt, and this master demands it" in await first_trouble(listening)
    assert "the master demands encryption" in (await news).trouble


async def test_r82_a_slave_with_encryption_at_a_master_without(listen: Listen, dial: Dial) -> None:
    listening, address = listen()
    connection = dial(address, SLAVE, MASTER)
    news = asyncio.create_task(first_news(connection))
    assert "it encrypts, and this master does not" in await first_trouble(listening)
    assert "the master does not encrypt" in (await news).trouble


async def test_g23_a_name_that_cannot_be_resolved(dial: Dial) -> None:
    news = await first_news(dial("tcp://no-such-master.invalid:5556"))
    assert news.line is Line.DOWN
    assert "the name 'no-such-master.invalid' cannot be resolved" in news.trouble


async def test_g23_a_master_that_comes_late_is_found(context: zmq.asyncio.Context, dial: Dial) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    connection = dial(f"tcp://127.0.0.1:{port}")
    news = await first_news(connection)
    assert f"nobody answers at 127.0.0.1 port {port}" in news.trouble
    listening = ListeningSocket(context, f"tcp://127.0.0.1:{port}", own=None)
    try:
        assert await exchange(listening, connection) == ""
    finally:
        listening.close()


def test_g23_pauses_between_refusals_grow_to_a_minute() -> None:
    pauses, pause = [], 0.0
    for _ in range(9):
        pause = next_pause(pause)
        pauses.append(pause)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_g22_ipv6(listen: Listen, dial: Dial) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("the loopback interface has no IPv6 address here")
    listening, address = listen(MASTER, host="[::1]", ipv6=True)
    assert await exchange(listening, dial(address, SLAVE, MASTER, ipv6=True)) == SLAVE.public.decode()


async def test_g22_dual_stack(listen: Listen, dial: Dial) -> None:
    try:
        listening, address = listen(host="[::]", ipv6=True)
    except Exception as error:
        pytest.skip(f"no IPv6 here: {error}")
    port = address.rpartition(":")[2]
    assert await exchange(listening, dial(f"tcp://127.0.0.1:{port}")) == ""


def test_an_address_says_what_is_wrong_with_it() -> None:
    assert "cannot be resolved" in why_unreachable("tcp://no-such-master.invalid:5556")
    assert "nobody answers at ::1 port 1" in why_unreachable("tcp://[::1]:1")


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"\xff" * 10_000,
        b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0CURVE" + bytes(64),
        b"",
    ],
    ids=["http", "tls", "noise", "half a handshake", "nothing"],
)
async def test_g12_junk_on_the_port_leaves_others_alone(listen: Listen, dial: Dial, junk: bytes) -> None:
    listening, address = listen(MASTER)
    host, port = address.removeprefix("tcp://").split(":")
    connection = dial(address, SLAVE, MASTER)
    callers = [socket.create_connection((host, int(port))) for _ in range(20)]
    for caller in callers:
        caller.sendall(junk)
    assert await exchange(listening, connection) == SLAVE.public.decode()
    for caller in callers:
        caller.close()
    assert await exchange(listening, connection) == SLAVE.public.decode()


async def test_g12_what_is_too_large_ends_that_connection_only(
    context: zmq.asyncio.Context, listen: Listen, dial: Dial
) -> None:
    listening, address = listen()
    other = context.socket(zmq.DEALER)
    other.setsockopt(zmq.LINGER, 0)
    other.setsockopt(zmq.IDENTITY, b"other/1")
    other.connect(address)
    await other.send_multipart([b"LOG", b"{}", bytes(3 * LARGEST_BODY)])
    assert await exchange(listening, dial(address)) == ""
    other.close()


async def test_a_log_of_the_largest_size_passes(listen: Listen, dial: Dial) -> None:
    listening, address = listen(MASTER)
    connection = dial(address, SLAVE, MASTER)
    message = Log("1", 0, bytes(LARGEST_BODY))
    async with asyncio.timeout(PATIENCE_SECONDS):
        sending = asyncio.create_task(connection.send(message))
        received = await listening.receive()
        assert await sending
    assert received.message == message


async def test_a_slave_that_comes_again_before_its_old_line_is_noticed_takes_its_place(
    listen: Listen, dial: Dial
) -> None:
    listening, address = listen()
    await exchange(listening, dial(address))
    await exchange(listening, dial(address))
