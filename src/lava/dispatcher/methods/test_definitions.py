"""``test: definitions``: run the overlay's tests in a shell on the device.

Source: dispatcher specification 10.1, 13.5.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from lava.console import Console, Hit
from lava.dispatcher.action import Action, Node
from lava.dispatcher.drivers.connection import Connection, connection_of
from lava.dispatcher.job import StepContext
from lava.dispatcher.overlay.facts import Overlay, PreCommands, TestRuns
from lava.dispatcher.overlay.stages import Stage, stage_of
from lava.dispatcher.panic import PATTERN as PANIC
from lava.dispatcher.panic import SILENCE_SECONDS, PanicWatch
from lava.dispatcher.plan_context import PlanContext
from lava.dispatcher.registry import Method
from lava.dispatcher.signals import (
    MARKER,
    Command,
    Complain,
    GiveUp,
    Interpreter,
    Note,
    ReadConsole,
    Record,
    Signal,
    Warn,
    case_pattern,
    is_traced,
    missing,
    read_marker,
)
from lava.dispatcher.step import COMMON
from lava.dispatcher.typing_commands import checked
from lava.model.device import DeviceConfiguration
from lava.model.errors import ConnectionClosedError, JobError, TestError, TestTimeoutError
from lava.model.job import BootBlock, DefinitionsTest, DeployBlock
from lava.model.logline import Level

_FEEDBACK_SECONDS = 1.0


class RunTests(Action):
    """Start the runner and read what it says until it is done."""

    name = "lava-test-shell"
    summary = "run the tests in a shell on the device"
    on_timeout = TestTimeoutError

    def __init__(self, stage: Stage, *, overlay_namespace: str, watch_kernel: bool) -> None:
        self._stage = stage
        self._overlay_namespace = overlay_namespace
        self._watch_kernel = watch_kernel
        self._reported = False

    async def check(self, job: StepContext) -> list[str]:
        faults = []
        for run in self._stage.runs:
            document = run.definition.repository
            pattern = (document.get("parse") or {}).get("pattern") if isinstance(document, dict) else None
            if isinstance(pattern, str):
                try:
                    case_pattern(pattern)
                except JobError as error:
                    faults.append(f"{run.definition.name}: parse.pattern: {error}")
        return faults

    async def run(self, job: StepContext) -> None:
        console = self._console(job)
        facts = job.job.facts
        overlay = facts.find(self._overlay_namespace, Overlay)
        if overlay is None:
            raise JobError("there is nothing to run: no deploy block before this test has built its overlay")
        runs = facts.find(self._overlay_namespace, TestRuns) or TestRuns()
        interpreter = Interpreter(
            runs.of_stage(self._stage.number),
            stage=self._stage.number,
            level=job.step.level,
            namespace=job.namespace,
            connection=job.step.connection_namespace,
            now=asyncio.get_running_loop().time(),
        )
        reading = _Reading(job, console, interpreter, PanicWatch() if self._watch_kernel else None)
        self._reported = True
        job.log.watch_signals()
        try:
            with _feedback_of_others(job):
                await self._prepare(job, console, overlay)
                runner = f"{overlay.directory}/bin/lava-test-runner {overlay.directory}/{self._stage.number}"
                await console.send(runner, character_delay=job.step.character_delay)
                await reading.until_finished()
        finally:
            place = reading.place
            job.progress = lambda: place
            job.log.watch_signals(on=False)
            for command in interpreter.leave(asyncio.get_running_loop().time()):
                _write(job, command)

    async def cleanup(self, job: StepContext) -> None:
        """Tell what the job expected of tests that the job never came to.  Source: dispatcher specification 10.6."""
        if self._reported or not job.job.begun:
            return
        self._reported = True
        for plan in self._stage.runs:
            for command in missing(plan, job.step.level):
                _write(job, command)

    def _console(self, job: StepContext) -> Console:
        connection = connection_of(job)
        if connection is None or not connection.console.alive:
            raise JobError("No connection to the DUT: is a boot block with prompts missing before the test?")
        console = connection.console
        if not console.prompts:
            console.prompts = (str(job.device.constant("default-shell-prompt")),)
        return console

    async def _prepare(self, job: StepContext, console: Console, overlay: Overlay) -> None:
        """Bring the shell to the state in which the runner can start."""
        await _type(job, console, "#")
        facts = job.job.facts
        if (pre_commands := facts.find(self._overlay_namespace, PreCommands)) is not None:
            for command in pre_commands.lines:
                await _type(job, console, command)
        await _type(job, console, f"export SHELL={overlay.shell}")
        await checked(job, console, f". {overlay.directory}/environment")


async def _type(job: StepContext, console: Console, command: str) -> None:
    await console.send(command, character_delay=job.step.character_delay)
    timeout = min(job.connection_timeout.total_seconds(), job.remaining())
    try:
        await console.prompt(console.prompts, timeout=timeout, log=job.log.debug)
    except TimeoutError as error:
        raise JobError(
            f"the shell gave no prompt within {timeout:.0f} seconds after '{command}'; it said last:\n"
            f"{console.last_lines}"
        ) from error


class _Reading:
    """Reads signals until the runner exits."""

    def __init__(self, job: StepContext, console: Console, interpreter: Interpreter, panic: PanicWatch | None) -> None:
        self._job = job
        self._console = console
        self._interpreter = interpreter
        self._panic = panic
        self._began = asyncio.get_running_loop().time()

    async def until_finished(self) -> None:
        """Read to the end.  The connection timeout is no limit here, only how long one wait lasts."""
        poll = self._job.connection_timeout.total_seconds()
        while not self._interpreter.finished:
            suspected = self._panic is not None and self._panic.suspected
            try:
                hit = await self._console.expect(self._patterns(), timeout=SILENCE_SECONDS if suspected else poll)
            except TimeoutError:
                if self._panic is not None and self._panic.silent(self._console.received_bytes, self._console.unread):
                    raise self._panicked(self._panic) from None
            except ConnectionClosedError as error:
                if self._panic is not None and self._panic.suspected:
                    raise self._panicked(self._panic) from error
                raise
            else:
                await self._take(hit)

    @property
    def place(self) -> str:
        """Where the tests are, for messages."""
        run = self._interpreter.run
        where = f"in '{run.plan.suite}'" if run is not None else "between tests"
        said = self._console.last_lines
        return where + (f"; it said last:\n{said}" if said else "")

    def _patterns(self) -> tuple[re.Pattern[bytes], ...]:
        run = self._interpreter.run
        if run is None or run.definition.parse_pattern is None:
            return (MARKER, PANIC)
        return (MARKER, PANIC, case_pattern(run.definition.parse_pattern))

    async def _take(self, hit: Hit) -> None:
        log = self._job.log
        match hit.index:
            case 0:
                await self._marker(hit)
            case 1:
                if self._panic is not None and self._panic.seen(hit.before, hit.raw):
                    raise self._panicked(self._panic)
            case _:
                for command in self._interpreter.found(hit.named, line=log.line_number):
                    await self._perform(command)

    async def _marker(self, hit: Hit) -> None:
        log = self._job.log
        if is_traced(hit.before[-200:]):
            return
        if self._panic is not None:
            self._panic.alive()
        marker = read_marker(hit.groups)
        line = log.line_number
        if isinstance(marker, Signal):
            first = hit.text.split("\n", 1)[0].rstrip("\r")
            if first.startswith("<LAVA_SIGNAL_"):
                self._console.flush_log(first)  # it is to stand in the log before anything that is said of it
                line = log.line_of_signal(first)
            # Tools that follow logs look for this line.
            log.debug(f"Received signal: <{marker.name}> {marker.parameters}")
        for command in self._interpreter.marker(marker, line=line, now=asyncio.get_running_loop().time()):
            await self._perform(command)

    async def _perform(self, command: Command) -> None:
        match command:
            case GiveUp(text):
                raise TestError(text)
            case ReadConsole(namespace):
                await self._read_console(namespace)
            case _:
                _write(self._job, command)

    async def _read_console(self, namespace: str) -> None:
        other = self._job.job.facts.find(namespace, Connection)
        if other is None:
            self._job.log.error(f"no console is open in namespace '{namespace}'")
        elif other.console is not self._console:
            await other.console.drain(_FEEDBACK_SECONDS)

    def _panicked(self, panic: PanicWatch) -> JobError:
        message = panic.message()
        self._job.result(
            {
                "definition": "lava",
                "namespace": self._job.namespace,
                "case": "kernel-messages",
                "level": self._job.step.level,
                "duration": f"{asyncio.get_running_loop().time() - self._began:.02f}",
                "result": "fail",
                "extra": {"extra": [{"kind": message.kind, "message": message.text}]},
            }
        )
        first = message.text.split("\n", 1)[0]
        return JobError(first[first.index("Kernel panic") :])


def _write(job: StepContext, command: Command) -> None:
    """Carry out a command that only writes to the log."""
    match command:
        case Record(result):
            job.result(result)
        case Complain(text):
            job.log.error(text)
        case Warn(text):
            job.log.warning(text)
        case Note(text):
            job.log.event(text)
        case GiveUp() | ReadConsole():
            pass  # nobody reads on


@contextlib.contextmanager
def _feedback_of_others(job: StepContext) -> Iterator[None]:
    """Log what the consoles of other namespaces say as feedback while the tests run."""
    own = {job.namespace, job.step.connection_namespace}
    others = {
        namespace: connection.console
        for namespace, connection in job.job.facts.of_kind(Connection).items()
        if namespace not in own
    }
    before = {namespace: console.log for namespace, console in others.items()}
    for namespace, console in others.items():
        console.log = functools.partial(_log_feedback, job, namespace)
    try:
        yield
    finally:
        for namespace, console in others.items():
            console.flush_log()
            console.log = before[namespace]


def _log_feedback(job: StepContext, namespace: str, level: str, lines: Iterable[str]) -> None:
    job.log.lines(Level.FEEDBACK, list(lines), namespace)


def refusal(block: DefinitionsTest, device: DeviceConfiguration) -> str | None:
    """Refuse tests that several devices run together."""
    return "MultiNode tests are not supported by this version" if block.role else None


def plan(block: DefinitionsTest, context: PlanContext) -> Node:
    """Return the actions that run the block's tests.

    Raises:
        JobError: nothing is deployed before it that could bring the tests.
    """
    before = context.definition.blocks[: context.index]
    namespaces = [context.namespace]
    if block.connection_namespace is not None:
        namespaces.append(block.connection_namespace)
    deployed = [other.namespace or COMMON for other in before if isinstance(other, DeployBlock)]
    namespace = next((name for name in namespaces if name in deployed), None)
    if namespace is None:
        raise JobError(f"no deploy block in namespace '{context.namespace}' before this test could bring its tests")
    boots = [other for other in before if isinstance(other, BootBlock) and (other.namespace or COMMON) in namespaces]
    running = RunTests(
        stage_of(block, replace(context, namespace=namespace).tests),
        overlay_namespace=namespace,
        watch_kernel=not (boots and boots[-1].ignore_kernel_messages),
    )
    return context.retry(block, "lava-test-retry", "run the tests", running, on_timeout=TestTimeoutError)


METHOD = Method("definitions", refusal, plan)
