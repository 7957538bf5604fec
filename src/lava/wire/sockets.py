"""ZMQ sockets for the messages: a slave dials, a master listens, CURVE on both.

Source: protocol specification 1, 7.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator
from zmq.utils.monitor import parse_monitor_message

from .certificates import Certificate
from .line import Line, News, news_of_dialing, next_pause, trouble_of_caller
from .messages import LARGEST_BODY, Message, WireError, decode, encode

#: messages that wait for a peer that is away; what does not fit is dropped, and repeated later
HIGH_WATER_MARK = 1000
#: a full queue to the master is given so long before something is dropped
SEND_SECONDS = 0.5
#: a line that is down for so long is looked into, and then this often
DOWN_SECONDS = 2.0
LOOK_SECONDS = 60.0
_ZAP_DOMAIN = "lava"
_EVENTS = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


@dataclass(frozen=True, slots=True)
class Dialing:
    """How a slave reaches a master."""

    own: Certificate | None = None
    master: Certificate | None = None
    ipv6: bool = False
    #: ``HOST:PORT``
    socks_proxy: str = ""


def _set_up(connection: zmq.asyncio.Socket, *, ipv6: bool) -> None:
    for option, value in (
        (zmq.LINGER, 0),
        (zmq.SNDHWM, HIGH_WATER_MARK),
        (zmq.RCVHWM, HIGH_WATER_MARK),
        (zmq.MAXMSGSIZE, 2 * LARGEST_BODY),
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.HEARTBEAT_IVL, 5000),
        (zmq.HEARTBEAT_TIMEOUT, 15000),
        (zmq.IPV6, int(ipv6)),
    ):
        connection.setsockopt(option, value)


class DialingSocket:
    """A slave's connection: it is made again and again for ever, and says how it goes."""

    def __init__(self, context: zmq.asyncio.Context, address: str, route: bytes, dialing: Dialing) -> None:
        """Dial.

        Raises:
            WireError: the address is none.
        """
        self.address = address
        self._socks_proxy = dialing.socks_proxy
        self._encrypted = dialing.own is not None
        self._socket = context.socket(zmq.DEALER)
        _set_up(self._socket, ipv6=dialing.ipv6)
        self._socket.setsockopt(zmq.IDENTITY, route)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 100)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        if dialing.socks_proxy:
            self._socket.setsockopt(zmq.SOCKS_PROXY, dialing.socks_proxy.encode())
        if dialing.own is not None and dialing.master is not None:
            self._socket.curve_publickey = dialing.own.public
            self._socket.curve_secretkey = dialing.own.secret
            self._socket.curve_serverkey = dialing.master.public
        self._monitor = self._socket.get_monitor_socket(_EVENTS)
        try:
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise WireError(f"'{address}' is no address of a master: {error}; write tcp://HOST:PORT") from error

    async def send(self, message: Message) -> bool:
        """Send; False when the queue to the master is full."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send_multipart(encode(message))
        except TimeoutError:
            return False
        return True

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            WireError: what came is none.
        """
        return decode(await self._socket.recv_multipart())

    async def news(self) -> AsyncIterator[News]:
        """Yield how the connection is whenever that changes; dial again where ZeroMQ would not."""
        before: News | None = None
        pause = 0.0
        loop = asyncio.get_running_loop()
        look_at: float | None = None
        while True:
            event = parse_monitor_message(await self._monitor.recv_multipart())
            news = news_of_dialing(event["event"], event["value"], encrypted=self._encrypted)
            if news is None:
                continue
            if news.line is Line.UP:
                pause, look_at = 0.0, None
            elif event["event"] == zmq.EVENT_CONNECT_RETRIED:
                look_at = loop.time() + DOWN_SECONDS if look_at is None else look_at
                if loop.time() < look_at:
                    continue
                look_at = loop.time() + LOOK_SECONDS
                news = News(Line.DOWN, await asyncio.to_thread(why_unreachable, self.address, self._socks_proxy))
            elif not news.trouble and before is not None and before.line is not Line.UP:
                continue  # what was wrong is said already
            if news != before:
                before = news
                yield news
            if news.line is Line.REFUSED:
                pause = next_pause(pause)
                await asyncio.sleep(pause)
                with contextlib.suppress(zmq.ZMQError):  # it has gone by itself
                    self._socket.disconnect(self.address)
                self._socket.connect(self.address)

    def close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()


def why_unreachable(address: str, socks_proxy: str = "") -> str:
    """Return why nobody answers at an address, as far as can be found out: the name or the connection."""
    if socks_proxy:  # names are its business, too
        return f"no way to {address} through the SOCKS proxy {socks_proxy}: do both run?"
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    host = host.strip("[]")
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"the name '{host}' cannot be resolved: {error.strerror or error}"
    return f"nobody answers at {host} port {port}: is the master running, and may this machine reach it?"


@dataclass(frozen=True, slots=True)
class Received:
    """Something that arrived at a master."""

    #: what the other side's socket calls itself
    route: bytes
    #: public key that it proved to have; empty without encryption
    key: str
    frames: list[bytes]

    @property
    def message(self) -> Message:
        """The message.

        Raises:
            WireError: it is none.
        """
        return decode(self.frames)


class ListeningSocket:
    """A master's end: one socket for all slaves."""

    def __init__(
        self, context: zmq.asyncio.Context, address: str, *, own: Certificate | None, ipv6: bool = False
    ) -> None:
        """Bind.

        Raises:
            WireError: the address cannot be listened on.
        """
        self._encrypted = own is not None
        self._socket = context.socket(zmq.ROUTER)
        _set_up(self._socket, ipv6=ipv6)
        # A slave whose line broke comes again before we notice: the new connection counts.
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        if own is not None:
            self._socket.setsockopt(zmq.ZAP_DOMAIN, _ZAP_DOMAIN.encode())
            self._socket.curve_server = True
            self._socket.curve_publickey = own.public
            self._socket.curve_secretkey = own.secret
        self._monitor = self._socket.get_monitor_socket(_EVENTS)
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self.close()
            raise WireError(f"cannot listen on '{address}': {error}") from error

    async def receive(self) -> Received:
        """Return what arrives next."""
        frames = await self._socket.recv_multipart(copy=False)
        route, *rest = frames
        try:
            key = str(rest[-1].get("User-Id")) if rest else ""
        except zmq.ZMQError:
            key = ""
        return Received(route.bytes, key, [frame.bytes for frame in rest])

    async def send(self, route: bytes, message: Message) -> None:
        """Send to a slave; one that is not there, or takes nothing, gets nothing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send_multipart([route, *encode(message)])

    async def troubles(self) -> AsyncIterator[str]:
        """Yield, for each connection that comes to nothing, who it was and why."""
        callers: dict[int, str] = {}
        why = ""
        while True:
            event = parse_monitor_message(await self._monitor.recv_multipart())
            if event["event"] == zmq.EVENT_ACCEPTED:
                callers[event["value"]] = _address_of(event["value"])
            elif event["event"] == zmq.EVENT_DISCONNECTED:
                caller = callers.pop(event["value"], "somebody")
                if why:
                    yield f"{caller}: {why}"
                why = ""
            else:
                why = trouble_of_caller(event["event"], event["value"], encrypted=self._encrypted)

    def close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()


def _address_of(descriptor: int) -> str:
    """Return who is at the other end of a connection that ZeroMQ accepted."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            name: Any = copy.getpeername()
    except OSError:
        return "somebody"
    return f"{name[0]} port {name[1]}" if isinstance(name, tuple) else "somebody on this machine"


class _Keys:
    """Answers the authenticator."""

    def __init__(self, keys: Callable[[], Mapping[str, str]]) -> None:
        self._keys = keys

    def callback(self, domain: str, key: bytes) -> bool:
        """Return whether the key, in its printable form, is admitted."""
        return key.decode("ascii", "replace") in self._keys()


def start_authenticator(context: zmq.asyncio.Context, keys: Callable[[], Mapping[str, str]]) -> AsyncioAuthenticator:
    """Check the keys of everybody who connects.

    Args:
        keys: asked at each handshake which keys may connect.
    """
    authenticator = AsyncioAuthenticator(context)
    authenticator.start()
    authenticator.configure_curve_callback(domain=_ZAP_DOMAIN, credentials_provider=_Keys(keys))
    return authenticator
