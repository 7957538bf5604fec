"""What the events of a connection mean, for those who have to act.  Pure.  Source: protocol specification G16, G23."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import zmq

#: details of a failed handshake (ZMTP_ERROR_… of ZeroMQ's zmq.h)
WRONG_KEY: Final = 0x11000001
OTHER_MECHANISM: Final = 0x11000002

SHORTEST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0


class Line(Enum):
    """How a connection is."""

    UP = auto()
    #: it was lost or could not be made; ZeroMQ tries again by itself
    DOWN = auto()
    #: the other side does not want it; ZeroMQ gives up, so it is for us to dial again
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class News:
    """What an event says."""

    line: Line
    #: what is wrong and what to do; empty when there is nothing to say
    trouble: str = ""


def news_of_dialing(event: int, value: int, *, encrypted: bool) -> News | None:
    """Return what an event means at the end that dials; None when it says nothing.

    Args:
        encrypted: whether this end uses CURVE.
    """
    match event:
        case zmq.EVENT_HANDSHAKE_SUCCEEDED:
            return News(Line.UP)
        case zmq.EVENT_DISCONNECTED:
            return News(Line.DOWN)
        case zmq.EVENT_CONNECT_RETRIED:
            return News(Line.DOWN, "no answer")
        case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return News(
                Line.REFUSED,
                "the master does not admit this slave's key: copy the public half of its certificate (.key) into the "
                "master's directory of slaves' certificates",
            )
        case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL if value == OTHER_MECHANISM and encrypted:
            return News(Line.REFUSED, "the master does not encrypt: use --encrypt on both sides or on none")
        case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL if value == OTHER_MECHANISM:
            return News(Line.REFUSED, "the master demands encryption: use --encrypt, and the two certificates")
        case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            return News(Line.REFUSED, "whatever listens there is no master")
        case zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL if encrypted:
            return News(
                Line.DOWN,
                "the other side hung up in the handshake: is the master down behind a proxy, or is the master's "
                "certificate here not the public half of the one that it uses?",
            )
        case zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            return News(Line.DOWN, "the other side hung up in the handshake: is it a master?")
        case _:
            return None


def trouble_of_caller(event: int, value: int, *, encrypted: bool) -> str:
    """Return why a connection to us came to nothing; empty when the event does not say that."""
    match event:
        case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return "its key is not among the slaves' certificates"
        case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL if value == WRONG_KEY:
            return "it uses another public key for this master than ours: give it our present .key file"
        case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL if value == OTHER_MECHANISM and encrypted:
            return "it does not encrypt, and this master demands it"
        case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL if value == OTHER_MECHANISM:
            return "it encrypts, and this master does not: use --encrypt on both sides or on none"
        case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            return "it does not speak this protocol"
        case zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            return "it hung up in the handshake"
        case _:
            return ""


def next_pause(pause: float) -> float:
    """Return how long to wait after waiting so long and being refused again, in seconds."""
    return min(max(pause * 2, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
