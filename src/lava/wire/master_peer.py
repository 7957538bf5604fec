"""The master's end of the control connections, without I/O.  Source: protocol specification 2, 4, 5, 6, 7.

It knows who is connected and what each slave was told.  What needs the database is asked for as an effect, and the
answer is given back; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from .messages import (
    OLDEST_PROTOCOL,
    PROTOCOL,
    End,
    Hello,
    HelloOk,
    Message,
    Ping,
    Pong,
    Refused,
    Standby,
    StartOk,
    Status,
    Who,
    WireError,
    split_route,
)

#: slaves are asked to ping this often
PING_SECONDS = 5
#: a slave that was not heard of for so long is offline
SILENCE_SECONDS = 30.0
#: a sign of life is written down this often
SEEN_SECONDS = 10.0
#: START and CANCEL are repeated this often until they are answered
REPEAT_SECONDS = 5.0
#: the database is asked again about a slave when it has not answered for so long
ASK_SECONDS = 10.0
#: slaves that the database is asked about at a time
ASKED = 10_000
#: the same complaint about the same slave is repeated this often
COMPLAINT_SECONDS = 60.0
#: different complaints about one slave in that time
COMPLAINTS_OF_ONE = 20
#: complaints that are remembered; a fuzzer must not fill the memory
COMPLAINTS = 1000


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to whoever is connected by the route."""

    route: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class Admit:
    """Ask the database whether the slave may work here; the answer goes to :meth:`MasterPeer.answer`."""

    name: str
    route: bytes
    key: str
    hello: Hello


@dataclass(frozen=True, slots=True)
class Seen:
    """Write down that the slave lives."""

    name: str
    version: str
    key: str


@dataclass(frozen=True, slots=True)
class Gone:
    """Write down that the slave is offline."""

    name: str


@dataclass(frozen=True, slots=True)
class Blame:
    """Write down on the worker why a slave is refused that claims to be it."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Started:
    """The slave says that the job process runs."""

    name: str
    job: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The slave says that the job process is gone."""

    name: str
    route: bytes
    end: End


@dataclass(frozen=True, slots=True)
class Complain:
    """Log that somebody does what makes no sense."""

    text: str


Effect = Send | Admit | Seen | Gone | Blame | Started | Ended | Complain


class Do(Enum):
    """What a slave is told to do with a job."""

    START = auto()
    CANCEL = auto()


#: what, and the id of the job
Order = tuple[Do, str]


@dataclass(slots=True)
class Session:
    """A slave that was admitted."""

    name: str
    route: bytes
    key: str
    hello: Hello
    heard: float
    seen: float
    #: when each job was last told to start, or to stop
    told: dict[Order, float] = field(default_factory=dict)


@dataclass(slots=True)
class MasterPeer:
    """Admits slaves, answers their pings, repeats orders."""

    version: str
    #: of several masters, the one with the highest term counts; 0: this one stands by
    term: int = 1
    #: keys that may connect, with the names of their files; None: nothing is encrypted
    keys: Mapping[str, str] | None = None
    #: a key speaks only for the worker that its file is named after
    match_names: bool = False
    sessions: dict[str, Session] = field(default_factory=dict)
    #: who greeted while another master worked
    _callers: dict[bytes, None] = field(default_factory=dict)
    _asked: dict[bytes, tuple[Hello, float]] = field(default_factory=dict)
    _complaints: dict[tuple[str, str], float] = field(default_factory=dict)
    #: since when there are how many complaints about a slave
    _blamed: dict[str, tuple[float, int]] = field(default_factory=dict)

    def receive(self, route: bytes, key: str, message: Message, now: float) -> Sequence[Effect]:
        """Return what is to be done about a message."""
        try:
            name = split_route(route)[0]
        except WireError as error:
            return self._complain("", str(error), now)
        if not self.term:
            if len(self._callers) < ASKED:
                self._callers[route] = None
            return [Send(route, Standby())]
        if isinstance(message, Hello):
            return self._greeted(name, route, key, message, now)
        session = self._session(name, route, key)
        if session is None:
            return [Send(route, Who())]
        session.heard = now
        match message:
            case Ping():
                effects: list[Effect] = [Send(route, Pong(PING_SECONDS))]
                if now - session.seen >= SEEN_SECONDS:
                    session.seen = now
                    effects.append(Seen(name, session.hello.version, key))
                return effects
            case StartOk(job=job):
                return [Started(name, job)]
            case End():
                return [Ended(name, route, message)]
            case _:
                return self._complain(name, f"sent {message.tag}, which only masters send", now)

    def work_in(self, term: int) -> list[Effect]:
        """Begin to work in a term, or, with 0, leave the work to another master."""
        before, self.term = self.term, term
        if not term:
            effects: list[Effect] = [Send(session.route, Standby()) for session in self.sessions.values()]
            self.sessions.clear()
            self._asked.clear()
            return effects
        if before:
            return []
        callers = list(self._callers)
        self._callers.clear()
        return [Send(route, Who()) for route in callers]

    def malformed(self, route: bytes, error: WireError, now: float) -> list[Complain]:
        """Return what is to be done about something that is no message."""
        try:
            name = split_route(route)[0]
        except WireError:
            name = ""
        return self._complain(name, str(error), now)

    def _greeted(self, name: str, route: bytes, key: str, hello: Hello, now: float) -> list[Effect]:
        if reason := self._objection(name, route, key, hello, now):
            return [Send(route, Refused(reason)), Blame(name, reason), *self._complain(name, reason, now)]
        session = self._session(name, route, key)
        if session is not None:  # our answer was lost, or it lost us for a while
            session.heard = now
            session.told.clear()
            return [Send(route, self._welcome())]
        asked = self._asked.get(route)
        if asked is not None and asked[0] == hello and now - asked[1] < ASK_SECONDS:
            return []  # the database has not answered yet
        if len(self._asked) >= ASKED:
            self._asked.clear()
        self._asked[route] = (hello, now)
        return [Admit(name, route, key, hello)]

    def _objection(self, name: str, route: bytes, key: str, hello: Hello, now: float) -> str:
        """Return why the slave is not admitted, as far as that can be said without the database."""
        if not OLDEST_PROTOCOL <= hello.protocol <= PROTOCOL + 1:
            return (
                f"it speaks protocol {hello.protocol} (version {hello.version}), this master speaks {PROTOCOL} "
                f"(version {self.version}): upgrade the older one"
            )
        if self.keys is not None and key not in self.keys:
            return _removed(key)
        if self.match_names and self.keys is not None and self.keys[key] != name:
            return (
                f"its certificate is {self.keys[key]}.key, and this master (--match-names) admits '{name}' "
                f"with {name}.key only"
            )
        other = self.sessions.get(name)
        if (
            other is not None
            and other.route != route
            and other.hello.instance != hello.instance
            and now - other.heard < SILENCE_SECONDS
        ):
            return (
                f"the name '{name}' is in use by another slave, which was heard of {now - other.heard:.0f} s ago: "
                "give one of the two another --hostname"
            )
        return ""

    def answer(self, asked: Admit, refusal: str, jobs: Iterable[str], now: float) -> list[Effect]:
        """Take in what the database says about a slave that greeted.

        Args:
            refusal: why it may not work here; empty when it may.
            jobs: jobs that it is believed to run.
        """
        self._asked.pop(asked.route, None)
        late: list[Effect] = []
        if not refusal:  # something may have changed while the database thought about it
            refusal = self._objection(asked.name, asked.route, asked.key, asked.hello, now)
            if refusal:  # the database has it as online by now
                late = [] if asked.name in self.sessions else [Gone(asked.name)]
                late.append(Blame(asked.name, refusal))
        if refusal:
            return [Send(asked.route, Refused(refusal)), *late, *self._complain(asked.name, refusal, now)]
        self.sessions[asked.name] = Session(asked.name, asked.route, asked.key, asked.hello, now, now)
        return [Send(asked.route, self._welcome()), *(Send(asked.route, Status(job)) for job in jobs)]

    def _welcome(self) -> HelloOk:
        return HelloOk(PROTOCOL, self.version, PING_SECONDS, self.term)

    def due(self, wanted: Mapping[str, Collection[Order]], now: float) -> list[tuple[str, bytes, Order]]:
        """Return name, route and order where it is time: the slave has not answered, nor was it told lately.

        Args:
            wanted: every order that is not answered yet, by worker.
        """
        due: list[tuple[str, bytes, Order]] = []
        for name, session in self.sessions.items():
            orders = wanted.get(name, ())
            session.told = {order: session.told[order] for order in orders if order in session.told}
            for order in orders:
                if now - session.told.get(order, float("-inf")) >= REPEAT_SECONDS:
                    session.told[order] = now
                    due.append((name, session.route, order))
        return due

    @property
    def orders_open(self) -> bool:
        """Whether some slave has not answered an order yet."""
        return any(session.told for session in self.sessions.values())

    def speaks_for(self, route: bytes, key: str, now: float) -> str | None:
        """Return the worker that an admitted slave speaks for on another socket; None before it is admitted."""
        try:
            session = self._session(split_route(route)[0], route, key)
        except WireError:
            return None
        if session is None:
            return None
        session.heard = now
        return session.name

    def tick(self, now: float) -> list[Effect]:
        """Return who is offline by now."""
        silent = [name for name, session in self.sessions.items() if now - session.heard >= SILENCE_SECONDS]
        for name in silent:
            del self.sessions[name]
        return [Gone(name) for name in silent]

    def keys_changed(self, keys: Mapping[str, str]) -> list[Effect]:
        """Take in which keys may connect; who has none of them any more is cut off."""
        self.keys = dict(keys)
        effects: list[Effect] = []
        for name, session in list(self.sessions.items()):
            if session.key not in keys:
                del self.sessions[name]
                reason = _removed(session.key)
                effects += [
                    Send(session.route, Refused(reason)),
                    Gone(name),
                    Blame(name, reason),
                    Complain(f"{name}: {reason}"),
                ]
        return effects

    def _session(self, name: str, route: bytes, key: str) -> Session | None:
        session = self.sessions.get(name)
        return session if session is not None and (session.route, session.key) == (route, key) else None

    def _complain(self, name: str, text: str, now: float) -> list[Complain]:
        """Say it once in a while, not for each message."""
        about = (name, text[:200])
        if now - self._complaints.get(about, float("-inf")) < COMPLAINT_SECONDS:
            return []
        since, count = self._blamed.get(name, (now, 0))
        if now - since >= COMPLAINT_SECONDS:
            since, count = now, 0
        if count > COMPLAINTS_OF_ONE:
            return []
        if len(self._complaints) >= COMPLAINTS:
            self._complaints.clear()
            self._blamed.clear()
        self._complaints[about] = now
        self._blamed[name] = (since, count + 1)
        if count == COMPLAINTS_OF_ONE:
            text = "more of that for now, which is not logged"
        return [Complain(f"{name or 'somebody'}: {text}")]


def _removed(key: str) -> str:
    return f"its certificate (key {key[:8]}…) was removed from the master"
