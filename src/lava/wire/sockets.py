"""ZMQ sockets for the messages: a slave dials, a master listens, CURVE on both.

Source: protocol specification 1, 7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator

from .certificates import Certificate, CertificateError, load_public_keys
from .messages import LARGEST_BODY, Message, WireError, decode, encode

#: messages that wait for a peer that is away; what does not fit is dropped, and repeated later
HIGH_WATER_MARK = 1000
_ZAP_DOMAIN = "lava"


class DialingSocket:
    """A slave's connection: it reconnects by itself for ever."""

    def __init__(
        self,
        context: zmq.asyncio.Context,
        address: str,
        name: str,
        *,
        own: Certificate | None,
        master: Certificate | None,
    ) -> None:
        """Dial.

        Raises:
            WireError: the address is none.
        """
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.IDENTITY, name.encode())
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        self._socket.setsockopt(zmq.MAXMSGSIZE, 2 * LARGEST_BODY)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 100)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        self._socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, 5000)
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15000)
        if own is not None and master is not None:
            self._socket.curve_publickey = own.public
            self._socket.curve_secretkey = own.secret
            self._socket.curve_serverkey = master.public
        try:
            self._socket.connect(address)
        except zmq.ZMQError as error:
            raise WireError(f"'{address}' is no address of a master: {error}; write tcp://HOST:PORT") from error

    async def send(self, message: Message) -> bool:
        """Send; False when the queue to the master is full."""
        try:
            async with asyncio.timeout(0.5):
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

    def close(self) -> None:
        self._socket.close()


@dataclass(frozen=True, slots=True)
class Received:
    """Something that arrived at a master."""

    #: what the other side calls itself
    name: bytes
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

    def __init__(self, context: zmq.asyncio.Context, address: str, *, own: Certificate | None) -> None:
        """Bind.

        Raises:
            WireError: the address cannot be listened on.
        """
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, 2 * LARGEST_BODY)
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER_MARK)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, 5000)
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15000)
        if own is not None:
            self._socket.setsockopt(zmq.ZAP_DOMAIN, _ZAP_DOMAIN.encode())
            self._socket.curve_server = True
            self._socket.curve_publickey = own.public
            self._socket.curve_secretkey = own.secret
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self._socket.close()
            raise WireError(f"cannot listen on '{address}': {error}") from error

    async def receive(self) -> Received:
        """Return what arrives next."""
        frames = await self._socket.recv_multipart(copy=False)
        name, *rest = frames
        try:
            key = str(rest[-1].get("User-Id")) if rest else ""
        except zmq.ZMQError:
            key = ""
        return Received(name.bytes, key, [frame.bytes for frame in rest])

    async def send(self, name: bytes, message: Message) -> None:
        """Send to a slave; one that is not there gets nothing."""
        await self._socket.send_multipart([name, *encode(message)])

    def close(self) -> None:
        self._socket.close()


class KnownKeys:
    """Admits the keys whose public files are in a directory; changes of the directory count from the next handshake."""

    def __init__(self, directory: Path, *, on_refusal: Callable[[str], None]) -> None:
        """Begin.

        Args:
            on_refusal: told why somebody was not let in.

        Raises:
            CertificateError: it is no directory.
        """
        load_public_keys(directory)
        self._directory = directory
        self._on_refusal = on_refusal

    def callback(self, domain: str, key: bytes) -> bool:
        """Return whether the key, in its printable form, is admitted; called by the authenticator."""
        try:
            known = key in load_public_keys(self._directory)
        except CertificateError as error:
            self._on_refusal(str(error))
            return False
        if not known:
            self._on_refusal(f"the key {key.decode()} is not among the slaves' certificates in {self._directory}")
        return known


def start_authenticator(context: zmq.asyncio.Context, keys: KnownKeys) -> AsyncioAuthenticator:
    """Check the keys of everybody who connects."""
    authenticator = AsyncioAuthenticator(context)
    authenticator.start()
    authenticator.configure_curve_callback(domain=_ZAP_DOMAIN, credentials_provider=keys)
    return authenticator
