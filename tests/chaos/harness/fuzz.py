"""Nonsense for a master: from strangers on its ports, and from a slave that was let in.  The seed decides it all."""

from __future__ import annotations

import contextlib
import json
import random
import socket
from collections.abc import Sequence
from types import TracebackType

import zmq

from lava.wire.certificates import Certificate
from lava.wire.messages import PROTOCOL, Hello, encode, join_route

#: how ZMQ begins: greeting with the mechanism, and what follows
_GREETING = b"\xff\0\0\0\0\0\0\0\1\x7f\3\1" + b"CURVE".ljust(20, b"\0") + b"\0" * 32
_TAGS = [
    "HELLO",
    "HELLO_OK",
    "WHO",
    "PING",
    "PONG",
    "START",
    "START_OK",
    "CANCEL",
    "STATUS",
    "END",
    "LOG",
    "ACK",
    "GONE",
]
_VALUES = [None, True, 0, -1, 1, 2**31, 2**63, 10**30, 1.5, "", "x" * 300, "../../etc", "\0", "\ud800", [], {}, [[]]]
_TEXTS = [b"", b"\0", b"\xff\xfe", b"- {}\n", b"- !!python/object/apply:os.system ['true']\n", b"a\n" * 500, b"{" * 900]


class Fuzzer:
    """Many peers of one master."""

    def __init__(
        self, seed: int, ports: Sequence[int], name: str, own: Certificate, master: Certificate, jobs: Sequence[str]
    ) -> None:
        """Connect.

        Args:
            name: of the slave that is let in.
            jobs: numbers of jobs that are others'.
        """
        self._random = random.Random(seed)
        self._ports, self._name, self._jobs = ports, name, [*jobs, "0", "999999999", "1.5", "x", "../1", "-1", ""]
        self._context = zmq.Context()
        stranger = Certificate(*zmq.curve_keypair())
        route = join_route(name, "1-f")
        self.admitted = [self._dial(port, route, own, master) for port in ports]
        self.strangers = [self._dial(port, route, key, master) for port in ports for key in (stranger, None)]
        self.sent = 0

    def _dial(self, port: int, route: bytes, own: Certificate | None, master: Certificate) -> zmq.Socket[bytes]:
        peer: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        peer.setsockopt(zmq.LINGER, 0)
        peer.setsockopt(zmq.IDENTITY, route)
        if own is not None:
            peer.curve_publickey, peer.curve_secretkey, peer.curve_serverkey = own.public, own.secret, master.public
        peer.connect(f"tcp://127.0.0.1:{port}")
        return peer

    def __enter__(self) -> Fuzzer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.destroy(linger=0)

    def step(self) -> None:
        """Send a handful from everybody."""
        for peer in (*self.admitted, *self.strangers):
            for frames in (self._greeting(), *(self._frames() for _ in range(20))):
                with contextlib.suppress(zmq.Again):
                    peer.send_multipart(frames, zmq.NOBLOCK)
                    self.sent += 1
            with contextlib.suppress(zmq.Again):
                while True:
                    peer.recv_multipart(zmq.NOBLOCK)
        for port in self._ports:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as raw:
                raw.sendall(
                    self._random.choice([b"", _GREETING]) + self._random.randbytes(self._random.randrange(2000))
                )

    def _greeting(self) -> list[bytes]:
        """Return what a slave says first: nothing else counts before."""
        return encode(Hello(PROTOCOL, "1.0", self._name))

    def _frames(self) -> list[bytes]:
        """Return a message: some are as they should be, with wrong content, and some are nothing at all."""
        choice = self._random.choice
        if self._random.random() < 0.2:
            return [self._random.randbytes(self._random.randrange(200)) for _ in range(self._random.randrange(1, 8))]
        header = {
            "job": choice(self._jobs),
            "offset": choice([0, 0, 1, 100, 10**6]),
            "log_length": choice([0, 0, 5, 10**9]),
            "exit_status": choice([None, 0, 1]),
            "error": "nothing",
            "protocol": PROTOCOL,
            "version": "1.0",
            "instance": self._name,
            "ping_seconds": 5,
        }
        if self._random.random() < 0.4:
            header[choice(list(header))] = choice(_VALUES)
        if self._random.random() < 0.1:
            del header["job"]
        text = json.dumps(header).encode()
        if self._random.random() < 0.1:
            text = text[: self._random.randrange(len(text))]
        return [choice(_TAGS).encode(), text, *(choice(_TEXTS) for _ in range(self._random.randrange(4)))]
