"""Conversations with real programs on real terminals.  Dispatcher 11.1, 11.2."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial

import pytest
import pytest_asyncio

from lava.console import Console
from lava.console.child import resolve
from lava.model.errors import ConnectionClosedError, InfrastructureError, LavaBug

#: nothing here takes so long; a test that would is stopped
LONG = 60.0

Entries = list[tuple[str, str]]
Start = Callable[..., Awaitable[Console]]


class Record:
    """What the console logs."""

    def __init__(self) -> None:
        self.entries: Entries = []

    def __call__(self, level: str, lines: Sequence[str]) -> None:
        self.entries += [(level, line) for line in lines]

    def of(self, level: str) -> list[str]:
        return [line for kind, line in self.entries if kind == level]


@pytest.fixture
def record() -> Record:
    return Record()


@pytest_asyncio.fixture
async def start(record: Record) -> AsyncIterator[Start]:
    """Start a shell script, or a command, on a console that is closed afterwards."""
    consoles: list[Console] = []

    async def run(script: str | Sequence[str], **arguments: dict[str, str]) -> Console:
        argv = ["/bin/sh", "-c", script] if isinstance(script, str) else script
        consoles.append(await Console.spawn(argv, log=record, **arguments))
        return consoles[-1]

    yield run
    for console in consoles:
        await console.close()
        with pytest.raises(ProcessLookupError):
            os.kill(console.pid, 0)  # collected, not only dead


class TestReading:
    async def test_a_dialogue(self, start: Start, record: Record) -> None:
        console = await start(
            'stty -echo; printf "login: "; read name; echo "hello $name"; printf "$ "; read x; exit 0'
        )
        assert (await console.expect(["login: "], timeout=LONG)).text == "login: "
        await console.send("root")
        hit = await console.expect([r"never", r"hello (\w+)", r"\$ "], timeout=LONG)
        assert (hit.index, hit.groups) == (1, (b"root",))
        await console.expect([r"\$ "], timeout=LONG)
        console.flush_log()
        assert record.entries == [("input", "root"), ("target", "login: hello root"), ("target", "$ ")]

    async def test_a_prompt_that_comes_letter_by_letter(self, start: Start) -> None:
        console = await start("stty raw -echo; printf '>'; exec cat")
        await console.expect([">"], timeout=LONG)
        waiting = asyncio.ensure_future(console.expect(["lava:~#"], timeout=LONG))
        for letter in "lava:~":
            received = console.received_bytes
            await console.send(letter, line_end="")
            await until(partial(more_than, console, received))
            assert not waiting.done()
        await console.send("#", line_end="")
        assert (await waiting).raw == b"lava:~#"

    async def test_what_came_while_nobody_waited_is_logged_and_found(self, start: Start, record: Record) -> None:
        console = await start("echo one; echo two; exec sleep 600")
        await until(lambda: record.of("target") == ["one", "two"])
        assert (await console.expect(["one"], timeout=LONG)).text == "one"
        assert (await console.expect(["two"], timeout=LONG)).before.strip() == b""

    async def test_a_timeout_leaves_what_came_for_others(self, start: Start) -> None:
        console = await start("printf 'abc'; exec sleep 600")
        await console.expect(["a"], timeout=LONG)
        with pytest.raises(TimeoutError):
            await console.expect(["nothing like it"], timeout=0.05)
        assert (await console.expect(["b."], timeout=LONG)).text == "bc"

    async def test_no_time_at_all_is_enough_for_what_is_there(self, start: Start) -> None:
        console = await start("printf 'abc'; exec sleep 600")
        await console.expect(["a(?=bc)"], timeout=LONG)
        assert (await console.expect(["bc"], timeout=0)).text == "bc"
        with pytest.raises(TimeoutError):
            await console.expect(["more"], timeout=0)

    async def test_only_one_may_wait(self, start: Start) -> None:
        console = await start("exec sleep 600")
        first = asyncio.ensure_future(console.expect(["x"], timeout=LONG))
        await asyncio.sleep(0)
        with pytest.raises(LavaBug, match="two at once"):
            await console.expect(["y"], timeout=LONG)
        await console.close()
        with pytest.raises(ConnectionClosedError):
            await first

    async def test_whoever_gives_up_leaves_the_console_usable(self, start: Start) -> None:
        console = await start("read line; echo answer; exec sleep 600")
        waiting = asyncio.ensure_future(console.expect(["never"], timeout=LONG))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await console.send("go")
        await console.expect(["answer"], timeout=LONG)

    async def test_a_flood_is_logged_whole_and_the_prompt_behind_it_found(self, start: Start, record: Record) -> None:
        count, line = 60_000, "x" * 60
        console = await start(f"i=0; yes {line} | head -n {count}; printf 'done# '; exec sleep 600")
        hit = await console.expect(["done# "], timeout=LONG)
        console.flush_log()
        assert record.of("target") == [line] * count + ["done# "]
        assert console.received_bytes == count * (len(line) + 2) + len("done# ")
        assert len(hit.before) <= 8184

    async def test_a_flood_without_line_ends_does_not_stay_in_memory(self, start: Start, record: Record) -> None:
        size = 2_000_000
        console = await start(f"stty raw; head -c {size} /dev/zero | tr '\\0' y; printf 'done# '; exec sleep 600")
        await console.expect(["done# "], timeout=LONG)
        console.flush_log()
        assert "".join(record.of("target")) == "y" * size + "done# "
        assert len(record.of("target")) > 10

    async def test_bytes_that_are_no_text(self, start: Start, record: Record) -> None:
        console = await start(r"stty raw; printf '\000\377\200a\033[1mb\303\251\r\r\nend# '; exec sleep 600")
        hit = await console.expect(["end# "], timeout=LONG)
        assert hit.before == b"\x00\xff\x80a\x1b[1mb\xc3\xa9\r\r\n"
        assert record.of("target") == ["\x00\ufffd\ufffda[1mbé"]

    async def test_what_is_dropped_is_logged_all_the_same(self, start: Start, record: Record) -> None:
        console = await start("echo old; echo end; read x; echo new; exec sleep 600")
        await console.expect(["old"], timeout=LONG)
        await console.drain(0.2)
        assert console.unread == b""
        await console.send("x")
        assert (await console.expect(["(old|end|new)"], timeout=LONG)).text == "new"
        assert record.of("target")[:2] == ["old", "end"]


class TestWriting:
    async def test_line_ends_and_delays(self, start: Start) -> None:
        console = await start("stty raw -echo; printf ready; exec od -An -tx1 -w1")
        await console.expect(["ready"], timeout=LONG)
        console.line_end = "\r"
        await console.send("é", character_delay=timedelta(milliseconds=1))
        await console.send("b", line_end="")
        await console.send("c", line_end="\r\n")
        await console.send_control("c")
        hit = await console.expect([r"(\w\w)\s+" * 8], timeout=LONG)
        assert bytes.fromhex(b"".join(group or b"" for group in hit.groups).decode()) == b"\xc3\xa9\rbc\r\n\x03"

    async def test_control_c_reaches_the_program(self, start: Start, record: Record) -> None:
        console = await start("trap 'echo stopped; exit 7' INT; echo ready; while :; do sleep 1; done")
        await console.expect(["ready"], timeout=LONG)
        await console.send_control("c")
        await console.expect(["stopped"], timeout=LONG)
        assert ("input", "^C") in record.entries

    async def test_a_secret_is_typed_and_not_logged(self, start: Start, record: Record) -> None:
        console = await start('stty -echo; echo ready; read word; echo "${#word} letters"; exec sleep 600')
        await console.expect(["ready"], timeout=LONG)
        await console.send("password", secret=True)
        await console.expect(["8 letters"], timeout=LONG)
        assert record.of("input") == ["********"]
        assert "password" not in str(record.entries)

    async def test_more_than_the_terminal_holds_is_typed_whole(self, start: Start) -> None:
        size = 300_000
        console = await start(f"stty raw -echo; echo ready; head -c {size} | cksum; exec sleep 600")
        await console.expect(["ready"], timeout=LONG)
        await console.send("x" * size, line_end="")
        assert (await console.expect([r"\d+ (\d+)\s"], timeout=LONG)).groups == (str(size).encode(),)

    async def test_typing_to_one_who_never_reads_ends_with_the_console(self, start: Start) -> None:
        console = await start("stty raw -echo; echo ready; exec sleep 600")
        await console.expect(["ready"], timeout=LONG)
        typing = asyncio.ensure_future(console.send("x" * 1_000_000))
        await until(lambda: console._writable is not None)
        await console.close()
        with pytest.raises(ConnectionClosedError):
            await typing


class TestForcedPrompt:
    async def test_a_spoilt_prompt_is_provoked(self, start: Start, record: Record) -> None:
        console = await start("stty -echo; printf 'root@bo[ 1.0] usb\nard# '; read x; printf 'root@board# '; sleep 600")
        await console.expect(["usb"], timeout=LONG)
        said: list[str] = []
        hit = await console.prompt(["root@board# "], timeout=2, log=said.append)
        assert hit.text == "root@board# "
        assert set(record.of("input")) == {"#"}
        assert said[0] == "no prompt for 1 s: typing '#' to get another one (1/6)"

    async def test_a_prompt_that_is_there_needs_nothing_typed(self, start: Start, record: Record) -> None:
        console = await start("printf '# '; exec sleep 600")
        await console.prompt(["# "], timeout=LONG)
        assert record.of("input") == []

    async def test_six_attempts_are_made(self, start: Start, record: Record) -> None:
        console = await start("stty -echo; exec sleep 600")
        with pytest.raises(TimeoutError):
            await console.prompt(["# "], timeout=0.5, check_character="!")
        assert record.of("input") == ["!"] * 6


class TestEnds:
    @pytest.mark.parametrize(
        ("script", "message"),
        [
            ("exit 3", "'sh' was closed (exit status 3) without a word"),
            ("echo; echo no such port; exit 1", "(exit status 1); it said last:\nno such port"),
            ("printf 'half a line'; exit 0", "(exit status 0); it said last:\nhalf a line"),
            ("kill -KILL $$", "'sh' was closed (signal 9) without a word"),
            ("for i in 1 2 3 4 5 6 7; do echo $i; done; exit 2", "it said last:\n3\n4\n5\n6\n7"),
        ],
    )
    async def test_how_a_program_ended_is_told(self, start: Start, script: str, message: str) -> None:
        console = await start(script)
        with pytest.raises(ConnectionClosedError) as told:
            await console.expect(["# "], timeout=LONG)
        assert message in str(told.value)
        assert not console.alive
        with pytest.raises(ConnectionClosedError):
            await console.send("hello?")
        with pytest.raises(ConnectionClosedError):
            await console.prompt(["# "], timeout=LONG)

    async def test_what_it_said_before_it_ended_is_found(self, start: Start, record: Record) -> None:
        console = await start("printf 'a b'; exit 1")
        await console.expect(["a"], timeout=LONG)
        await console.expect(["b"], timeout=LONG)
        with pytest.raises(ConnectionClosedError):
            await console.expect(["c"], timeout=LONG)
        assert record.of("target") == ["a b"]

    async def test_draining_ends_with_the_program(self, start: Start, record: Record) -> None:
        console = await start("read x; echo last words; exit 0")
        await console.send("go")
        await console.drain(LONG)
        assert "last words" in record.of("target")
        await console.drain(LONG)

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["no-such-program-here"], "cannot start 'no-such-program-here' on the worker: it is not installed"),
            (["/etc"], "cannot start '/etc' on the worker: Permission denied"),
            (["echo", "a\0b"], "cannot start 'echo' on the worker: embedded null byte"),
        ],
    )
    async def test_a_program_that_cannot_start_is_the_labs_fault(
        self, start: Start, argv: list[str], message: str
    ) -> None:
        before = os.listdir("/proc/self/fd")
        with pytest.raises(InfrastructureError) as told:
            await start(argv)
        assert str(told.value) == message
        assert len(os.listdir("/proc/self/fd")) == len(before)

    async def test_closing_ends_the_whole_group(self, start: Start) -> None:
        console = await start(
            "sh -c 'trap \"\" HUP TERM INT; echo deaf $$; while :; do sleep 600; done' & echo on; wait"
        )
        pid = int((await console.expect([r"deaf (\d+)\s"], timeout=LONG)).groups[0] or b"")
        child = os.pidfd_open(pid)
        await console.close()
        await ended(child)

    async def test_closing_lets_a_program_say_goodbye(self, start: Start, record: Record) -> None:
        console = await start("trap 'echo goodbye; exit 0' TERM; trap '' HUP; echo on; while :; do :; done")
        await console.expect(["on"], timeout=LONG)
        await console.close()
        assert record.of("target") == ["on", "goodbye"]
        with pytest.raises(ConnectionClosedError):
            await console.send("x")

    async def test_closing_again_is_nothing(self, start: Start) -> None:
        console = await start("exec sleep 600")
        await console.close()
        await console.close()
        assert not console.alive

    async def test_closing_leaves_no_descriptor(self, start: Start) -> None:
        before = sorted(os.listdir("/proc/self/fd"))
        console = await start("exec sleep 600")
        await console.close()
        assert sorted(os.listdir("/proc/self/fd")) == before

    async def test_closing_one_that_floods(self, start: Start, record: Record) -> None:
        console = await start("exec yes")
        await console.expect(["y"], timeout=LONG)
        await console.close()
        assert set(record.of("target")) <= {"y", ""}


class TestTheProgram:
    async def test_it_leads_a_session_on_the_terminal(self, start: Start) -> None:
        console = await start("echo $(cut -d ' ' -f 6,8 /proc/$$/stat) $$ >/dev/tty; exec sleep 600")
        session, group, pid = (await console.expect([r"(\d+) (\d+) (\d+)\s"], timeout=LONG)).groups
        assert session == group == pid == str(console.pid).encode()

    async def test_its_terminal_has_a_size(self, start: Start) -> None:
        console = await start("stty size; exec sleep 600")
        assert (await console.expect([r"\d+ \d+"], timeout=LONG)).text == "50 200"

    async def test_its_environment(self, start: Start) -> None:
        console = await start('echo "<$LAVA_TEST_WORD>"; exec sleep 600', environment={"LAVA_TEST_WORD": "here"})
        assert (await console.expect(["<.*>"], timeout=LONG)).text == "<here>"

    async def test_it_holds_no_end_of_another_console(self, start: Start) -> None:
        await start("exec sleep 600")
        console = await start("tty; exec sleep 600")
        terminal = (await console.expect([r"/dev/pts/\d+(?=\s)"], timeout=LONG)).text
        directory = f"/proc/{console.pid}/fd"
        held = {os.readlink(f"{directory}/{number}") for number in os.listdir(directory)}
        assert terminal in held
        assert not [name for name in held - {terminal} if name.startswith(("/dev/pt", "anon_inode:[pidfd"))]

    async def test_no_signal_is_blocked_or_ignored(self, start: Start) -> None:
        console = await start("exec grep -E 'Sig(Ign|Blk)' /proc/self/status")
        hit = await console.expect([r"SigBlk:\s+(\w+)\s+SigIgn:\s+(\w+)\s"], timeout=LONG)
        blocked, ignored = (int(group or b"", 16) for group in hit.groups)
        assert blocked == 0
        assert ignored & 0x7FFFFFFF == 0  # the others are the C library's own


def more_than(console: Console, count: int) -> bool:
    return console.received_bytes > count


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until something has come that nobody is told of."""
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def ended(descriptor: int) -> None:
    """Wait until the process behind a descriptor has ended."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, resolve, ready)
    try:
        async with asyncio.timeout(LONG):
            await ready
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
