"""Wait for the booted system and log in, watching what the kernel says meanwhile.

Source: dispatcher specification 15.4, 15.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lava.console import Console, Hit
from lava.console.kernel import TROUBLES, KernelMessage, Trouble, kernel_message
from lava.dispatcher.action import Action, Node
from lava.dispatcher.drivers.connection import Connection
from lava.dispatcher.job import StepContext
from lava.dispatcher.plan_context import PlanContext
from lava.model.errors import ConnectionClosedError, JobError
from lava.model.job import BootBlock

_REFUSED = ("Login incorrect", "Login timed out")
#: of a kernel's messages, so many characters are kept in the result; all are in the log
_KEPT_CHARACTERS = 20_000
_KERNEL_STARTED = "the kernel started"
_LOGIN_PROMPT = "a login prompt was printed"
#: how far a boot came, the furthest first; for the message of a boot that failed
_STAGES = {
    _LOGIN_PROMPT: re.compile(r"login:\s*$", re.IGNORECASE),
    "the kernel started its first program": re.compile(
        r"Run \S+ as init process|init version|systemd\[1\]|Welcome to "
    ),
    _KERNEL_STARTED: re.compile(r"Linux version [0-9]"),
    "firmware or boot loader ran": re.compile(r"Starting kernel|Booting from|Loading |SeaBIOS|GRUB|U-Boot|UEFI|iPXE"),
}


@dataclass(slots=True)
class _Watch:
    """What was seen of a boot."""

    messages: list[KernelMessage] = field(default_factory=list)
    stage: str = "nothing but noise was received"
    #: stages that are still to come, the furthest first
    ahead: list[str] = field(default_factory=lambda: [*_STAGES])

    def add(self, message: KernelMessage) -> None:
        """Keep a message for the result, unless that is full already; what is fatal is always kept."""
        if message.fatal or sum(len(kept.text) for kept in self.messages) < _KEPT_CHARACTERS:
            self.messages.append(message)

    def note(self, text: str) -> None:
        """Learn from what was printed; a boot does not go back."""
        for stage in self.ahead:
            if _STAGES[stage].search(text):
                self.reach(stage)
                return

    def reach(self, stage: str) -> None:
        """Take down a stage; one that is not in the table is behind all that are."""
        self.stage = stage
        self.ahead = self.ahead[: self.ahead.index(stage)] if stage in self.ahead else []


class LoginAction(Action):
    """Wait for the kernel, then for the prompt; log in if the job says how."""

    name = "login-action"
    summary = "wait for the system and log in"
    needs = (Connection,)

    def __init__(self, block: BootBlock, *, kernel: bool) -> None:
        """Prepare.

        Args:
            kernel: the boot shows a kernel's messages: wait for the first of them, and watch for trouble.
        """
        self._block = block
        self._kernel = kernel

    async def check(self, job: StepContext) -> list[str]:
        faults = []
        patterns = [*self._block.prompts, self._block.failure_message or ""]
        if self._block.auto_login is not None:
            patterns += [self._block.auto_login.login_prompt, self._block.auto_login.password_prompt or ""]
        for pattern in patterns:
            try:
                re.compile(pattern.encode())
            except re.error as error:
                faults.append(f"'{pattern}' is no regular expression: {error}")
        return faults

    async def run(self, job: StepContext) -> None:
        console = job.get(Connection).console
        for prompt in self._block.prompts:
            if ":" not in prompt and "\\" not in prompt:
                job.log.warning(f"the prompt '{prompt}' is not distinctive: a colon or an escaped character helps")
        watch = _Watch()
        received = console.received_bytes
        job.progress = lambda: self._so_far(console, watch, received)
        try:
            await self._wait_for_kernel(job, console, watch)
            await self._log_in(job, console, watch)
        except ConnectionClosedError as error:
            raise ConnectionClosedError(f"{error}\nthe boot came so far: {watch.stage}") from error
        finally:
            if self._kernel:
                self._record(job, watch)
        console.prompts = self._block.prompts
        job.extra["success"] = "logged in" if self._block.auto_login else "prompt seen"

    async def _wait_for_kernel(self, job: StepContext, console: Console, watch: _Watch) -> None:
        if not self._kernel:
            return
        message = self._block.parameters.get("kernel-start-message")
        if message is None:
            message = job.device.constant("kernel-start-message", default="")
        if not message:
            return
        job.log.debug(f"waiting for the kernel: '{message}'")
        await console.expect([str(message)], timeout=job.remaining())
        watch.reach(_KERNEL_STARTED)

    async def _log_in(self, job: StepContext, console: Console, watch: _Watch) -> None:
        login = self._block.auto_login
        prompts = list(self._block.prompts)
        if login is None:
            await self._await_boot(job, console, watch, prompts)
            return
        await self._await_boot(job, console, watch, [login.login_prompt, *prompts])
        # The user name is typed even if a shell prompt came: it may be somebody else's.
        watch.reach(f"the user name '{login.username}' was typed")
        await self._type(job, console, login.username)
        if login.password_prompt is None:
            job.log.debug("no password prompt is expected")
            await self._await_login(job, console, prompts)
        else:
            answer = await self._await(job, console, [login.password_prompt, *prompts, *_REFUSED])
            if answer.index > len(prompts):
                raise JobError(f"the device answered '{answer.text}' to the user name '{login.username}'")
            if answer.index == 0:
                watch.reach("the password was typed")
                await console.send(login.password or "", character_delay=job.step.character_delay, secret=True)
                await self._await_login(job, console, prompts)
        for command in login.login_commands:
            watch.reach(f"logged in; '{command}' was typed")
            await self._type(job, console, command)
            await self._await(job, console, prompts)

    async def _await_login(self, job: StepContext, console: Console, prompts: list[str]) -> None:
        answer = await self._await(job, console, [*prompts, *_REFUSED])
        if answer.index >= len(prompts):
            hint = "password_prompt may be wrong" if answer.text == "Login timed out" else "check user and password"
            raise JobError(f"the device refused the log in with '{answer.text}': {hint}")

    async def _type(self, job: StepContext, console: Console, text: str) -> None:
        await console.send(text, character_delay=job.step.character_delay)

    async def _await(self, job: StepContext, console: Console, patterns: list[str]) -> Hit:
        return await console.prompt(patterns, timeout=job.remaining(), log=job.log.debug)

    async def _await_boot(self, job: StepContext, console: Console, watch: _Watch, prompts: list[str]) -> None:
        """Wait for one of the prompts; collect what the kernel complains about meanwhile.

        Raises:
            JobError: the kernel gave up, or printed the job's failure message.
        """
        troubles = TROUBLES if self._kernel and not self._block.ignore_kernel_messages else ()
        failures = [self._block.failure_message] if self._block.failure_message else []
        patterns: list[str | re.Pattern[bytes]] = [*prompts, *failures, *(trouble.start for trouble in troubles)]
        while True:
            answer = await console.prompt(patterns, timeout=job.remaining(), log=job.log.debug)
            watch.note(answer.before.decode("utf-8", "replace") + answer.text)
            if answer.index < len(prompts):
                return
            if answer.index < len(prompts) + len(failures):
                watch.add(KernelMessage("custom-error", answer.text, fatal=True))
                raise JobError(f"the device printed the job's failure message: '{answer.text}'")
            trouble = troubles[answer.index - len(prompts) - len(failures)]
            came = watch.stage
            if trouble.fatal:
                watch.reach(f"{came}, then '{answer.text}'")
            message = await self._read_message(job, console, trouble, answer)
            watch.add(message)
            first = message.text.splitlines()[0]
            if message.fatal:
                raise JobError(f"{first[first.index(answer.text) :]}\nthe boot came so far: {came}")
            job.log.warning(f"kernel {message.kind}: {first}")

    async def _read_message(self, job: StepContext, console: Console, trouble: Trouble, start: Hit) -> KernelMessage:
        try:
            end = await console.expect([trouble.end], timeout=min(job.remaining(), 10.0 if trouble.fatal else 1e9))
            text = start.raw + end.before + end.raw
        except (TimeoutError, ConnectionClosedError):
            if not trouble.fatal:
                raise
            text = start.raw + console.unread
        return kernel_message(trouble, start.before, text)

    def _so_far(self, console: Console, watch: _Watch, received: int) -> str:
        console.flush_log()  # what it said last may be a prompt, which ends no line
        watch.note(console.last_lines)
        seen = watch.stage if console.received_bytes > received else "nothing was received from the device"
        wanted = ", ".join(f"'{prompt}'" for prompt in self._block.prompts)
        said = f"; it said last:\n{console.last_lines}" if console.last_lines else ""
        return f"no prompt ({wanted}) came; the boot came so far: {seen}{said}"

    def _record(self, job: StepContext, watch: _Watch) -> None:
        fatal = any(message.fatal for message in watch.messages)
        if not watch.messages:
            return
        job.result(
            {
                "definition": "lava",
                "namespace": job.namespace,
                "case": "kernel-messages",
                "level": job.step.level,
                "result": "fail" if fatal else "pass",
                "extra": {"extra": [{"kind": message.kind, "message": message.text} for message in watch.messages]},
            }
        )


def plan_login(block: BootBlock, context: PlanContext, *, kernel: bool) -> list[Node]:
    """Return the actions that wait for the system; none when the block names no prompts."""
    if not block.prompts:
        return []
    login = LoginAction(block, kernel=kernel)
    return [context.retry(block, "auto-login-action", "log in after the boot", login)]
