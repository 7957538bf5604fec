"""What the slave does about each message, without sockets.  Source: protocol specification 2, 4."""

from __future__ import annotations

import logging
from collections.abc import Callable

from lava.wire.messages import End, Message, StartOk
from lava.wire.slave_peer import (
    CancelJob,
    Command,
    Connected,
    ForgetJob,
    Lost,
    Rejected,
    ReportJob,
    SlavePeer,
    StandingBy,
    StartJob,
)

from .jobs import Jobs

_log = logging.getLogger("lava-slave")


class Control:
    """Lets the peer decide what is meant, and the jobs do it."""

    def __init__(
        self,
        peer: SlavePeer,
        jobs: Jobs,
        *,
        send: Callable[[Message], None],
        obeys: Callable[[], bool] = lambda: True,
    ) -> None:
        """Begin.

        Args:
            obeys: whether this master is the one whose orders count.
        """
        self._obeys = obeys
        self._peer = peer
        self._jobs = jobs
        self._send = send
        self._rejected = ""

    def tick(self, now: float) -> None:
        """Send what is due."""
        messages, commands = self._peer.tick(now)
        for message in messages:
            self._send(message)
        for command in commands:
            self._perform(command, now)

    def receive(self, message: Message, now: float) -> None:
        """Do what a message asks for; one that cannot be obeyed leaves the others alone."""
        answers, commands = self._peer.receive(message, now)
        for answer in answers:
            self._send(answer)
        for command in commands:
            try:
                self._perform(command, now)
            except Exception:
                _log.exception("cannot obey %s", message.tag)

    def line_is_up(self, now: float) -> None:
        """Take in that the connection was made, again."""
        for message in self._peer.line_is_up(now):
            self._send(message)

    def ended(self, end: End, now: float) -> None:
        """Report an end until it is acknowledged."""
        for message in self._peer.end(end, now):
            self._send(message)

    def stored(self, job: str, offset: int) -> None:
        """Take in that the master has the log of a job up to the offset."""
        for message in self._peer.stored(job, offset):
            self._send(message)

    def drop(self, job: str) -> None:
        """Stop a job that the master does not know any more; its end is still reported, and then it is forgotten."""
        if self._jobs.cancel(job):
            _log.error("[%s] the master does not know the job any more: stopping it", job)

    def _perform(self, command: Command, now: float) -> None:
        if isinstance(command, StartJob | CancelJob | ReportJob | ForgetJob) and not self._obeys():
            _log.error("ignored %s of a master that does not work any more", type(command).__name__)
            return
        match command:
            case Connected():
                self._rejected = ""
                self._obeys()  # from now on, if it has the highest term
                _log.info("Connection with the master established")
            case Lost():
                _log.error("Master goes OFFLINE: no word for long; jobs go on")
            case Rejected(reason):
                level = logging.DEBUG if reason == self._rejected else logging.ERROR
                self._rejected = reason
                _log.log(level, "the master refuses this slave: %s", reason)
            case StandingBy():
                _log.debug("the master stands by: another one works")
            case StartJob(order):
                _log.info("[%s] <= START", order.job)
                self._report(order.job, self._jobs.start(order), now)
            case CancelJob(job):
                _log.info("[%s] <= CANCEL", job)
                self._jobs.cancel(job)
                if not self._jobs.is_running(job):
                    self._report(job, self._jobs.end_of(job), now)
            case ReportJob(job):
                self._report(job, self._jobs.end_of(job), now)
            case ForgetJob(job):
                self._jobs.forget(job)

    def _report(self, job: str, end: End | None, now: float) -> None:
        """Answer that the job runs, or that it has ended."""
        if end is None:
            self._send(StartOk(job))
        else:
            self.ended(end, now)
