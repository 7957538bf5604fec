"""The slave's end of the control connection, without I/O.  Source: protocol specification 2, 4, 6."""

from __future__ import annotations

from dataclasses import dataclass, field

from lava.wire.messages import (
    PROTOCOL,
    Cancel,
    End,
    EndOk,
    Hello,
    HelloOk,
    Message,
    Ping,
    Pong,
    Refused,
    Standby,
    Start,
    Status,
    Who,
)

HELLO_SECONDS = 1.0
SLOWEST_HELLO_SECONDS = 10.0
#: not even when asked does a slave greet more often
SHORTEST_HELLO_SECONDS = 0.2
END_SECONDS = 5.0
FIRST_PING_SECONDS = 5.0
#: so many ping intervals without a word, and the master counts as offline
SILENT_PINGS = 4


@dataclass(frozen=True, slots=True)
class Connected:
    """The master answered."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The master has been silent for too long."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The master does not want this slave."""

    reason: str


@dataclass(frozen=True, slots=True)
class StandingBy:
    """Another master works."""


@dataclass(frozen=True, slots=True)
class StartJob:
    """Start the job, once."""

    order: Start


@dataclass(frozen=True, slots=True)
class CancelJob:
    """Stop the job."""

    job: str


@dataclass(frozen=True, slots=True)
class ReportJob:
    """Say how it is with the job."""

    job: str


@dataclass(frozen=True, slots=True)
class ForgetJob:
    """The master has everything."""

    job: str


Command = Connected | Lost | Rejected | StandingBy | StartJob | CancelJob | ReportJob | ForgetJob


@dataclass(slots=True)
class Report:
    """An end that the master has not acknowledged."""

    end: End
    sent: float
    #: it was said after the master had the whole log: before that, it is not taken
    with_log: bool = False


@dataclass(slots=True)
class SlavePeer:
    """Greets, pings, and repeats what is not acknowledged."""

    version: str
    #: see :class:`Hello`
    instance: str = ""
    #: ends that no master has acknowledged; peers of several masters share them
    ends: dict[str, Report] = field(default_factory=dict)
    connected: bool = False
    #: of the master, since it answered
    term: int = 0
    _heard: float = 0.0
    _greeted: float = float("-inf")
    _greet_pause: float = HELLO_SECONDS
    _pinged: float = float("-inf")
    _ping_seconds: float = FIRST_PING_SECONDS

    def tick(self, now: float) -> tuple[list[Message], list[Command]]:
        """Return what is due: greeting, ping, ends that were not acknowledged."""
        messages: list[Message] = []
        commands: list[Command] = []
        if self.connected and now - self._heard > SILENT_PINGS * self._ping_seconds:
            self.connected = False
            commands.append(Lost())
        if not self.connected:
            if now - self._greeted >= self._greet_pause:
                self._greet_pause = min(self._greet_pause * 1.5, SLOWEST_HELLO_SECONDS)
                messages.append(self._greet(now))
            return messages, commands
        # Also to a master that talks a lot: its answer shows that it hears us, and only a ping says that we live.
        if now - self._pinged >= self._ping_seconds:
            self._pinged = now
            messages.append(Ping())
        for report in self.ends.values():
            if now - report.sent >= END_SECONDS:
                report.sent = now
                messages.append(report.end)
        return messages, commands

    def receive(self, message: Message, now: float) -> tuple[list[Message], list[Command]]:
        """Return what to answer at once, and what a message of the master asks for."""
        messages: list[Message] = []
        commands: list[Command] = []
        if not isinstance(message, Refused | Who | Standby):
            self._heard = now
        match message:
            case HelloOk(ping_seconds=seconds, term=term):
                self.term = term
                self._ping_seconds = max(1.0, float(seconds))
                self._greet_pause = HELLO_SECONDS
                if not self.connected:
                    self.connected = True
                    self._pinged = now
                    for report in self.ends.values():
                        report.sent = float("-inf")
                    commands.append(Connected())
            case Who():
                self.connected = False
                if now - self._greeted >= SHORTEST_HELLO_SECONDS:
                    messages.append(self._greet(now))
            case Standby():
                self.connected = False
                commands.append(StandingBy())
            case Pong(ping_seconds=seconds):
                self._ping_seconds = max(1.0, float(seconds))
            case Refused(reason=reason):
                self.connected = False
                commands.append(Rejected(reason))
            case Start():
                commands.append(StartJob(message))
            case Cancel(job=job):
                commands.append(CancelJob(job))
            case Status(job=job):
                commands.append(ReportJob(job))
            case EndOk(job=job):
                self.ends.pop(job, None)
                commands.append(ForgetJob(job))
            case _:
                pass  # of a newer master
        return messages, commands

    def line_is_up(self, now: float) -> list[Message]:
        """Take in that the connection was made, again: whoever answers may be another one, so ask at once."""
        if self.connected:
            self._pinged = now
            return [Ping()]
        return [self._greet(now)] if now - self._greeted >= SHORTEST_HELLO_SECONDS else []

    def _greet(self, now: float) -> Hello:
        self._greeted = now
        return Hello(PROTOCOL, self.version, self.instance)

    def end(self, end: End, now: float) -> list[Message]:
        """Report the end of a job until it is acknowledged."""
        self.ends[end.job] = Report(end, now)
        return [end] if self.connected else []

    def stored(self, job: str, offset: int) -> list[Message]:
        """Take in that the master has a job's log up to the offset: once it is whole, the end is said again at once."""
        report = self.ends.get(job)
        if report is None or report.with_log or offset < report.end.log_length or not self.connected:
            return []
        report.with_log = True
        return [report.end]
