"""The master's end of the link, without I/O: who is admitted, who is told why not, what is repeated.

Source: protocol specification 2, 4 to 7; scenarios G4, G12, G13, G15 to G17, G19, G31.
"""

from __future__ import annotations

import pytest

from lava.wire.master_peer import (
    COMPLAINT_SECONDS,
    COMPLAINTS,
    COMPLAINTS_OF_ONE,
    REPEAT_SECONDS,
    SEEN_SECONDS,
    SILENCE_SECONDS,
    Admit,
    Blame,
    Complain,
    Do,
    Effect,
    Ended,
    Gone,
    MasterPeer,
    Seen,
    Send,
    Started,
)
from lava.wire.messages import (
    PROTOCOL,
    Ack,
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
    join_route,
)

ROUTE = join_route("worker", "1-a")
HELLO = Hello(PROTOCOL, "1.0", "state-1")
START, CANCEL = (Do.START, "7"), (Do.CANCEL, "5")
NOW = 1000.0


@pytest.fixture
def peer() -> MasterPeer:
    return MasterPeer("1.0")


def greet(
    peer: MasterPeer,
    route: bytes = ROUTE,
    key: str = "",
    hello: Hello = HELLO,
    now: float = NOW,
    refusal: str = "",
    jobs: tuple[str, ...] = (),
) -> list[Effect]:
    """Let a slave greet, and the database answer."""
    effects = peer.receive(route, key, hello, now)
    return [
        effect
        for asked in effects
        for effect in (peer.answer(asked, refusal, jobs, now) if isinstance(asked, Admit) else [asked])
    ]


def sent(effects: list[Effect]) -> list[Message]:
    return [effect.message for effect in effects if isinstance(effect, Send)]


def refusal_of(effects: list[Effect]) -> str:
    (message,) = sent(effects)
    assert isinstance(message, Refused)
    return message.reason


class TestAdmission:
    def test_the_database_is_asked_once_and_the_slave_told_of_its_jobs(self, peer: MasterPeer) -> None:
        assert peer.receive(ROUTE, "", HELLO, NOW) == [Admit("worker", ROUTE, "", HELLO)]
        assert peer.receive(ROUTE, "", HELLO, NOW) == []  # it greets again before the database has answered
        effects = peer.answer(Admit("worker", ROUTE, "", HELLO), "", ["3", "4"], NOW)
        assert sent(effects) == [HelloOk(PROTOCOL, "1.0", 5, 1), Status("3"), Status("4")]

    def test_a_lost_answer_is_given_again_without_the_database(self, peer: MasterPeer) -> None:
        greet(peer)
        assert sent(peer.receive(ROUTE, "", HELLO, NOW)) == [HelloOk(PROTOCOL, "1.0", 5, 1)]

    def test_whoever_is_not_known_is_asked_who_he_is(self, peer: MasterPeer) -> None:
        """A master that has just started: nothing that a slave says counts before it is admitted."""
        for message in (Ping(), StartOk("1"), End("1", 0)):
            assert peer.receive(ROUTE, "", message, NOW) == [Send(ROUTE, Who())]
        assert peer.speaks_for(ROUTE, "", NOW) is None

    def test_what_the_database_refuses_is_said(self, peer: MasterPeer) -> None:
        assert refusal_of(greet(peer, refusal="no such worker")) == "no such worker"
        assert peer.speaks_for(ROUTE, "", NOW) is None

    def test_g13_a_second_slave_with_the_name_is_refused_while_the_first_lives(self, peer: MasterPeer) -> None:
        greet(peer)
        second = join_route("worker", "2-b")
        effects = greet(peer, second, hello=Hello(PROTOCOL, "1.0", "state-2"), now=NOW + 3)
        assert "in use by another slave, which was heard of 3 s ago" in refusal_of(effects)
        assert [effect.name for effect in effects if isinstance(effect, Blame)] == ["worker"]
        assert sent(peer.receive(ROUTE, "", Ping(), NOW + 4)) == [Pong(5)]
        assert sent(peer.receive(second, "", Ping(), NOW + 4)) == [Who()]

    def test_g13_it_is_admitted_once_the_first_is_silent(self, peer: MasterPeer) -> None:
        greet(peer)
        effects = greet(peer, join_route("worker", "2-b"), hello=Hello(PROTOCOL, "1", "state-2"), now=NOW + 31)
        assert isinstance(sent(effects)[0], HelloOk)

    def test_the_same_slave_started_again_takes_the_place_of_itself(self, peer: MasterPeer) -> None:
        greet(peer)
        again = join_route("worker", "2-b")
        assert isinstance(sent(greet(peer, again, now=NOW + 1))[0], HelloOk)
        assert sent(peer.receive(ROUTE, "", Ping(), NOW + 2)) == [Who()]  # late words of the process that is gone
        assert peer.speaks_for(again, "", NOW) == "worker"

    def test_two_that_greet_at_once_are_not_both_admitted(self, peer: MasterPeer) -> None:
        second, other = join_route("worker", "2-b"), Hello(PROTOCOL, "1.0", "state-2")
        peer.receive(ROUTE, "", HELLO, NOW)
        peer.receive(second, "", other, NOW)
        assert isinstance(sent(peer.answer(Admit("worker", ROUTE, "", HELLO), "", [], NOW))[0], HelloOk)
        effects = peer.answer(Admit("worker", second, "", other), "", [], NOW)
        assert "in use" in refusal_of(effects)
        assert Gone("worker") not in effects

    @pytest.mark.parametrize("protocol", [PROTOCOL + 2, PROTOCOL + 100, -1, 0 if PROTOCOL > 1 else -2])
    def test_g17_another_protocol_is_refused_in_words_and_on_the_worker(self, peer: MasterPeer, protocol: int) -> None:
        effects = greet(peer, hello=Hello(protocol, "9.9", "state-1"))
        assert f"it speaks protocol {protocol} (version 9.9), this master speaks {PROTOCOL}" in refusal_of(effects)
        assert any(isinstance(effect, Blame) for effect in effects)
        assert any(isinstance(effect, Complain) for effect in effects)

    def test_g17_the_next_protocol_is_understood(self, peer: MasterPeer) -> None:
        assert isinstance(sent(greet(peer, hello=Hello(PROTOCOL + 1, "2", "state-1")))[0], HelloOk)

    @pytest.mark.parametrize("route", [b"", b"lava-logs/1-a", b"a b/1-a", b"worker", b"\xff\xfe/1"])
    def test_g15_names_that_are_none_get_no_answer(self, peer: MasterPeer, route: bytes) -> None:
        (effect,) = peer.receive(route, "", HELLO, NOW)
        assert isinstance(effect, Complain)


class TestKeys:
    def test_g16_another_key_does_not_speak_for_a_session(self, peer: MasterPeer) -> None:
        peer.keys_changed({"key-a": "a", "key-b": "b"})
        greet(peer, key="key-a")
        assert sent(peer.receive(ROUTE, "key-b", StartOk("1"), NOW)) == [Who()]
        assert peer.speaks_for(ROUTE, "key-b", NOW) is None
        assert peer.speaks_for(ROUTE, "key-a", NOW) == "worker"

    def test_g16_a_removed_key_cuts_a_live_slave_and_only_that(self, peer: MasterPeer) -> None:
        peer.keys_changed({"key-a": "a", "key-b": "b"})
        other = join_route("other", "1-a")
        greet(peer, key="key-a")
        greet(peer, other, key="key-b", hello=Hello(PROTOCOL, "1", "state-2"))
        effects = peer.keys_changed({"key-b": "b"})
        assert "was removed" in refusal_of(effects)
        assert Gone("worker") in effects
        assert sent(peer.receive(ROUTE, "key-a", End("1", 0), NOW)) == [Who()]
        assert peer.speaks_for(ROUTE, "key-a", NOW) is None
        assert "was removed" in refusal_of(greet(peer, key="key-a"))
        assert sent(peer.receive(other, "key-b", Ping(), NOW)) == [Pong(5)]

    def test_r76_names_must_match_where_that_is_demanded(self) -> None:
        strict = MasterPeer("1.0", keys={"key-a": "worker", "key-b": "other"}, match_names=True)
        effects = greet(strict, key="key-b")
        reason = refusal_of(effects)
        assert (
            reason
            == "its certificate is other.key, and this master (--match-names) admits 'worker' with worker.key only"
        )
        assert Blame("worker", reason) in effects
        assert Complain(f"worker: {reason}") in effects
        assert strict.speaks_for(ROUTE, "key-b", NOW) is None
        assert isinstance(sent(greet(strict, key="key-a"))[0], HelloOk)

    def test_r76_elsewhere_any_known_key_may_be_the_first(self, peer: MasterPeer) -> None:
        peer.keys_changed({"key-b": "other"})
        assert isinstance(sent(greet(peer, key="key-b"))[0], HelloOk)

    def test_a_key_that_goes_while_the_database_thinks_is_not_admitted(self, peer: MasterPeer) -> None:
        peer.keys_changed({"key-a": "a"})
        peer.receive(ROUTE, "key-a", HELLO, NOW)
        peer.keys_changed({})
        effects = peer.answer(Admit("worker", ROUTE, "key-a", HELLO), "", [], NOW)
        reason = refusal_of(effects)
        assert "was removed" in reason
        assert effects[1:3] == [Gone("worker"), Blame("worker", reason)]  # the database thinks that it is online


class TestSession:
    def test_g19_a_ping_is_answered_from_memory_and_written_down_now_and_then(self, peer: MasterPeer) -> None:
        greet(peer)
        assert peer.receive(ROUTE, "", Ping(), NOW + 1) == [Send(ROUTE, Pong(5))]
        late = NOW + SEEN_SECONDS
        assert peer.receive(ROUTE, "", Ping(), late) == [Send(ROUTE, Pong(5)), Seen("worker", "1.0", "")]
        assert peer.receive(ROUTE, "", Ping(), late + 1) == [Send(ROUTE, Pong(5))]

    def test_what_jobs_do_is_handed_on_with_the_name(self, peer: MasterPeer) -> None:
        greet(peer)
        end = End("7", 100, 0)
        assert peer.receive(ROUTE, "", StartOk("7"), NOW) == [Started("worker", "7")]
        assert peer.receive(ROUTE, "", end, NOW) == [Ended("worker", ROUTE, end)]

    def test_silence_makes_offline_and_logs_are_words_too(self, peer: MasterPeer) -> None:
        greet(peer)
        assert peer.tick(NOW + SILENCE_SECONDS - 1) == []
        assert peer.speaks_for(ROUTE, "", NOW + SILENCE_SECONDS - 1) == "worker"
        assert peer.tick(NOW + SILENCE_SECONDS + 1) == []
        assert peer.tick(NOW + 2 * SILENCE_SECONDS) == [Gone("worker")]
        assert peer.tick(NOW + 3 * SILENCE_SECONDS) == []
        assert sent(peer.receive(ROUTE, "", Ping(), NOW + 99)) == [Who()]

    def test_g04_orders_are_repeated_until_they_are_answered(self, peer: MasterPeer) -> None:
        greet(peer)
        both = {"worker": [START, CANCEL], "elsewhere": [(Do.START, "9")]}
        assert peer.due(both, NOW) == [("worker", ROUTE, START), ("worker", ROUTE, CANCEL)]
        assert peer.due(both, NOW + 1) == []
        assert peer.orders_open
        assert peer.due({"worker": [START]}, NOW + REPEAT_SECONDS) == [("worker", ROUTE, START)]
        # The answer is on its way to the database, so the order is still wanted.
        peer.receive(ROUTE, "", StartOk("7"), NOW + REPEAT_SECONDS + 1)
        assert peer.due({"worker": [START]}, NOW + REPEAT_SECONDS + 1) == []
        assert peer.due({}, NOW + 99) == []
        assert not peer.orders_open

    def test_g31_nothing_is_sent_to_a_slave_that_is_not_there(self, peer: MasterPeer) -> None:
        assert peer.due({"worker": [START]}, NOW) == []

    def test_a_slave_that_greets_again_is_told_its_orders_at_once(self, peer: MasterPeer) -> None:
        greet(peer)
        peer.due({"worker": [START]}, NOW)
        greet(peer, now=NOW + 1)
        assert peer.due({"worker": [START]}, NOW + 1) == [("worker", ROUTE, START)]


class TestSeveralMasters:
    def test_g34_one_that_stands_by_admits_nobody_and_says_so(self) -> None:
        peer = MasterPeer("1.0", term=0)
        for message in (HELLO, Ping(), StartOk("1")):
            assert peer.receive(ROUTE, "", message, NOW) == [Send(ROUTE, Standby())]
        assert peer.due({"worker": [START]}, NOW) == []

    def test_it_calls_those_who_greeted_when_its_turn_comes(self) -> None:
        peer = MasterPeer("1.0", term=0)
        peer.receive(ROUTE, "", HELLO, NOW)
        assert peer.work_in(7) == [Send(ROUTE, Who())]
        assert sent(greet(peer)) == [HelloOk(PROTOCOL, "1.0", 5, 7)]

    def test_one_that_lost_its_turn_lets_go_of_all(self, peer: MasterPeer) -> None:
        greet(peer)
        assert peer.work_in(0) == [Send(ROUTE, Standby())]
        assert sent(peer.receive(ROUTE, "", End("1", 0), NOW)) == [Standby()]

    def test_a_new_term_of_the_same_master_changes_nothing_for_slaves(self, peer: MasterPeer) -> None:
        greet(peer)
        assert peer.work_in(9) == []
        assert sent(peer.receive(ROUTE, "", Ping(), NOW)) == [Pong(5)]


class TestNonsense:
    def test_g12_what_only_masters_send_changes_nothing(self, peer: MasterPeer) -> None:
        greet(peer)
        (complaint,) = peer.receive(ROUTE, "", Ack("1", 5), NOW)
        assert isinstance(complaint, Complain)
        assert peer.speaks_for(ROUTE, "", NOW) == "worker"

    def test_g12_the_same_complaint_is_logged_once_in_a_while(self, peer: MasterPeer) -> None:
        error = WireError("no JSON")
        assert peer.malformed(ROUTE, error, NOW) == [Complain("worker: no JSON")]
        assert peer.malformed(ROUTE, error, NOW + 1) == []
        assert peer.malformed(b"\xff", error, NOW + 1) == [Complain("somebody: no JSON")]
        assert peer.malformed(ROUTE, error, NOW + COMPLAINT_SECONDS) == [Complain("worker: no JSON")]

    def test_g12_a_fuzzer_does_not_fill_the_log(self, peer: MasterPeer) -> None:
        nonsense = [WireError(f"nonsense {number}") for number in range(500)]
        said = [effect for error in nonsense for effect in peer.malformed(ROUTE, error, NOW)]
        assert len(said) == COMPLAINTS_OF_ONE + 1
        assert said[-1] == Complain("worker: more of that for now, which is not logged")
        other = join_route("other", "1-a")
        assert peer.malformed(other, nonsense[0], NOW) == [Complain("other: nonsense 0")]
        later = NOW + COMPLAINT_SECONDS
        assert peer.malformed(ROUTE, nonsense[0], later) == [Complain("worker: nonsense 0")]

    def test_g12_a_fuzzer_does_not_fill_the_memory(self, peer: MasterPeer) -> None:
        for number in range(5 * COMPLAINTS):
            peer.malformed(ROUTE, WireError(f"nonsense {number}"), NOW)
            peer.receive(join_route(f"w{number}", "1"), "", Ping(), NOW)
        assert len(peer._complaints) <= COMPLAINTS
        assert len(peer._blamed) <= COMPLAINTS
        assert not peer.sessions
