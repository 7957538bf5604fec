"""What of a log is sent when: ahead up to a window, again after silence, and slower to a master that is late."""

from __future__ import annotations

from lava.wire.log_sender import (
    GATHER_SECONDS,
    LONGEST_RESEND_SECONDS,
    RESEND_SECONDS,
    SMALL_BYTES,
    WINDOW_BYTES,
    LogSender,
)

BIG = 10 * SMALL_BYTES
NOW = 100.0


def test_what_is_new_is_sent_once() -> None:
    sender = LogSender()
    assert sender.next_offset(0, NOW) is None
    assert sender.next_offset(BIG, NOW) == 0
    sender.sent_chunk(0, BIG, NOW)
    assert sender.next_offset(BIG, NOW) is None
    assert sender.next_offset(3 * BIG, NOW) == BIG


def test_little_news_is_gathered_for_a_moment() -> None:
    sender = LogSender()
    sender.sent_chunk(0, 100, NOW)
    assert sender.next_offset(200, NOW + GATHER_SECONDS / 2) is None
    assert sender.next_offset(200, NOW + 2 * GATHER_SECONDS) == 100


def test_so_much_is_on_its_way_and_no_more() -> None:
    sender = LogSender()
    sender.sent_chunk(0, WINDOW_BYTES, NOW)
    assert sender.next_offset(WINDOW_BYTES + BIG, NOW) is None
    assert sender.receive(BIG, NOW)
    assert sender.next_offset(WINDOW_BYTES + BIG, NOW) == WINDOW_BYTES


def test_after_silence_everything_is_sent_again_from_the_last_acknowledged() -> None:
    sender = LogSender()
    sender.sent_chunk(0, BIG, NOW)
    sender.sent_chunk(BIG, BIG, NOW)
    sender.receive(BIG, NOW + 1)
    assert sender.next_offset(2 * BIG, NOW + 1 + RESEND_SECONDS) is None
    assert sender.next_offset(2 * BIG, NOW + 1 + LONGEST_RESEND_SECONDS) == BIG


def test_the_silence_that_is_borne_grows_with_each_time() -> None:
    sender = LogSender()
    now, pauses = NOW, []
    for _ in range(7):
        sender.sent_chunk(0, BIG, now)
        start = now
        while sender.next_offset(BIG, now) is None:
            now += 0.5
        pauses.append(round(now - start))
    assert pauses[0] <= RESEND_SECONDS + 1
    assert pauses == sorted(pauses)
    assert pauses[-1] in (LONGEST_RESEND_SECONDS, LONGEST_RESEND_SECONDS + 1)


def test_a_master_that_is_late_is_waited_for() -> None:
    sender = LogSender()
    sender.sent_chunk(0, BIG, NOW)
    sender.receive(BIG, NOW + 1.9)  # as long as that takes it now
    sender.sent_chunk(BIG, BIG, NOW + 2)
    assert sender.next_offset(2 * BIG, NOW + 2 + 3 * 1.9) is None
    assert sender.next_offset(2 * BIG, NOW + 2 + 5 * 1.9) == BIG


def test_a_new_connection_starts_over_at_once() -> None:
    sender = LogSender()
    sender.sent_chunk(0, BIG, NOW)
    sender.start_over()
    assert sender.next_offset(BIG, NOW) == 0


def test_a_master_that_lost_something_gets_it_again() -> None:
    sender = LogSender()
    sender.sent_chunk(0, 2 * BIG, NOW)
    sender.receive(2 * BIG, NOW)
    assert sender.receive(BIG, NOW)
    assert sender.next_offset(2 * BIG, NOW) == BIG
    assert not sender.receive(BIG, NOW)
