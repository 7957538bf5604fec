"""Run a pipeline: deadlines, attempts, results, clean-up, and the verdict.

Theory of operation.  Every step has a deadline: its own timeout from now, or its parent's deadline if that is
earlier; the job's own deadline is above all.  A deadline is one ``asyncio.timeout_at`` around the step, so whatever the
step awaits is cancelled when it comes, and the innermost step that ran out of time is the one that is blamed (its
deadline lies a little before its parent's).  A step that fails is cleaned up before another attempt; everything is
cleaned up at the end, under a limit of its own, and ``finalize``, which switches the device off, always runs to its end
once the job had begun.  Cancelling the task is how a job is cancelled; a second time it abandons the clean-up, and only
a third time the ``finalize`` after it: a device that stays switched on is the last thing to accept.

Source: dispatcher specification 2.5, 4.4-4.7, 5, 6, 9.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lava.model.errors import (
    InfrastructureError,
    JobCanceled,
    JobError,
    LavaBug,
    LavaError,
    TestError,
    TestTimeoutError,
)

from .job import Job, StepContext
from .plan import Pipeline, Step

CLEANUP_LIMIT = timedelta(minutes=5)
#: by so much an inner deadline lies before the outer one, so that the inner step is the one that is blamed
_INNER_FIRST_SECONDS = 0.02
#: so many actions look at files, servers and programs at the same time
_CHECKS_AT_ONCE = 8
#: the limit around ``finalize`` lies so much above its own, which is the one that is to be blamed
_FINALIZE_GRACE = timedelta(seconds=1)
#: of an error, so many characters stand in a result: one that is too long for a line of the log would be lost
_LONGEST_ERROR = 10_000
#: what the system says when the worker is in trouble, whatever an action tried to do
_WORKER_TROUBLE = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
)
#: errors after which another attempt makes sense
_RETRIED = (InfrastructureError, JobError, TestError)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the job ended."""

    error: LavaError | None = None

    @property
    def record(self) -> dict[str, str]:
        """The final result mapping.  Source: dispatcher specification 6.2."""
        record = {"definition": "lava", "case": "job", "result": "fail" if self.error else "pass"}
        if self.error is not None:
            record["error_msg"] = _shortened(str(self.error)) or "Unknown error"
            record["error_type"] = self.error.error_type
        return record


class Executor:
    """Runs one job to its verdict."""

    def __init__(self, job: Job, pipeline: Pipeline, *, canceled: Callable[[], str | None]) -> None:
        """Prepare.

        Args:
            canceled: why the task was cancelled from outside; None when it was not.
        """
        self._job = job
        self._pipeline = pipeline
        self._canceled = canceled
        self._finalized = False
        self._checks = asyncio.Semaphore(_CHECKS_AT_ONCE)
        self._loop = asyncio.get_running_loop()

    async def run(self, *, validate_only: bool) -> Verdict:
        """Validate, run, clean up; never raises."""
        log = self._job.log
        limit = self._job.definition.timeouts.job.duration
        deadline = self._loop.time() + limit.total_seconds()
        error = await self._guarded(self._validate, "validate", deadline, limit)
        if error is None and not validate_only:
            self._job.begun = True
            error = await self._guarded(self._run_blocks, "job", deadline, limit)
            if error is None:
                error = await self._finalize()
        log.info("Cleaning after the job")
        cleanup_error = await self._limited(self._clean_up, "job-cleanup", CLEANUP_LIMIT)
        if self._job.begun and not self._finalized:
            await self._finalize()
        return Verdict(error or cleanup_error)

    async def _finalize(self) -> LavaError | None:
        """Switch the device off.  What fails there is logged and is no error of the job; a cancellation is.

        It gets its own time, however late the job is.  Source: dispatcher specification 4.7, 9.4.
        """

        async def work(deadline: float) -> None:
            try:
                await self._run(self._pipeline.finalize, deadline)
            except LavaError as error:
                self._job.log.error(f"finalize failed: {error}")
            self._finalized = True

        return await self._limited(work, "finalize", self._pipeline.finalize.timeout + _FINALIZE_GRACE)

    async def _limited(self, work: Callable[[float], Awaitable[None]], name: str, limit: timedelta) -> LavaError | None:
        """Do the work under a limit that starts now; say in the log what ended it."""
        deadline = self._loop.time() + limit.total_seconds()
        error = await self._guarded(work, name, deadline, limit, on_timeout=InfrastructureError)
        if error is not None:
            self._job.log.error(f"{name}: {error}")
        return error

    async def _guarded(
        self,
        work: Callable[[float], Awaitable[None]],
        name: str,
        deadline: float,
        limit: timedelta,
        *,
        on_timeout: type[LavaError] = JobError,
    ) -> LavaError | None:
        """Do the work under its deadline and return the error that ended it, of one of our classes."""
        try:
            async with asyncio.timeout_at(deadline):
                await work(deadline)
        except LavaError as error:
            return error
        except TimeoutError:
            return on_timeout(f"{name} timed out after {limit.total_seconds():.0f} seconds")
        except asyncio.CancelledError:
            return JobCanceled(self._canceled() or "the job was canceled")
        except Exception as error:
            return self._unexpected(error)
        return None

    async def _validate(self, deadline: float) -> None:
        log = self._job.log
        log.info("start: 0 validate")
        log.info(f"Start time: {datetime.now(UTC):%Y-%m-%d %H:%M:%S} (UTC)")
        started = self._loop.time()
        passed = False
        try:
            steps = [step for step in self._pipeline.walk() if step.action is not None]
            if faults := await self._faults(steps, deadline):
                raise JobError(f"Invalid job data: {faults}")
            passed = True
        finally:
            log.info(f"validate duration: {self._loop.time() - started:.02f}")
            log.results({"case": "validate", "definition": "lava", "result": "pass" if passed else "fail"})

    async def _faults(self, steps: list[Step], deadline: float) -> list[str]:
        """Return everything that the actions find wrong; an error that is not the submitter's stops all of them."""
        checks = [asyncio.ensure_future(self._check(step, deadline)) for step in steps]
        try:
            return [fault for faults in await asyncio.gather(*checks) for fault in faults]
        finally:
            for check in checks:
                check.cancel()
            await asyncio.gather(*checks, return_exceptions=True)

    async def _check(self, step: Step, deadline: float) -> list[str]:
        assert step.action is not None  # noqa: S101 (chosen so by the caller)
        context = StepContext(self._job, step, deadline)
        try:
            async with self._checks:
                faults = await step.action.check(context)
        except JobError as error:
            faults = [str(error)]
        return [f"{step.level} {step.name}: {fault}" for fault in faults]

    async def _run_blocks(self, deadline: float) -> None:
        for step in self._pipeline.blocks:
            try:
                await self._run(step, deadline)
            except TestTimeoutError as error:
                if not step.skip:
                    raise TestError(str(error)) from error
                self._job.log.warning(f"{error}: going on with the next block")

    async def _run(self, step: Step, parent_deadline: float) -> None:
        """Run one step: its deadline, its lines in the log, its result."""
        log = self._job.log
        now = self._loop.time()
        deadline = min(now + step.timeout.total_seconds(), parent_deadline - _INNER_FIRST_SECONDS)
        context = StepContext(self._job, step, deadline)
        say = log.debug if "." in step.level else log.info
        say(f"start: {step.level} {step.name} (timeout {_clock(max(0.0, deadline - now))}) [{step.namespace}]")
        failure: LavaError | None = None
        try:
            await self._timed(step, context, deadline, max(0.0, deadline - now))
        except LavaError as error:
            failure = error
            raise
        finally:
            spent = self._loop.time() - now
            say(f"end: {step.level} {step.name} (duration {_clock(spent)}) [{step.namespace}]")
            if failure is not None or context.extra:
                self._record(step, context, spent, failure)

    async def _timed(self, step: Step, context: StepContext, deadline: float, seconds: float) -> None:
        try:
            async with asyncio.timeout_at(deadline) as limit:
                if step.action is not None:
                    await step.action.run(context)
                elif step.max_retries > 1:
                    await self._attempts(step, context, deadline)
                else:
                    await self._children(step, deadline)
        except TimeoutError as error:
            so_far = f": {context.progress()}" if context.progress is not None else ""
            if not limit.expired():
                raise JobError(f"{step.name}: nothing of what was waited for came in time{so_far}") from error
            raise step.on_timeout(f"{step.name} timed out after {seconds:.0f} seconds{so_far}") from error
        except LavaError:
            raise
        except Exception as error:
            raise self._unexpected(error, f"{step.name}: ") from error

    def _unexpected(self, error: Exception, where: str = "") -> LavaError:
        """Return the error that stands for one that nobody foresaw: the worker is in trouble, or it is our bug."""
        if isinstance(error, OSError) and error.errno in _WORKER_TROUBLE:
            place = f" ({error.filename})" if error.filename else ""
            return InfrastructureError(f"{where}the worker is in trouble: {error.strerror}{place}")
        self._job.log.traceback(error)
        return LavaBug(f"{where}{type(error).__name__}: {error}")

    async def _children(self, step: Step, deadline: float) -> None:
        for child in step.children:
            await self._run(child, deadline)

    async def _attempts(self, step: Step, context: StepContext, deadline: float) -> None:
        """Run the children until they pass, or all the times with ``repeat``.  Source: dispatcher specification 5."""
        log = self._job.log
        last: LavaError | None = None
        for attempt in range(1, step.max_retries + 1):
            context.extra["attempts"] = attempt
            failure: LavaError | None = None
            try:
                await self._children(step, deadline)
                if not step.repeat:
                    return
            except TestTimeoutError as error:
                if step.skip:
                    raise
                failure = TestError(str(error))
            except _RETRIED as error:
                failure = error
            if failure is not None:
                last = failure
                log.error(f"{step.level} {step.name} failed: {attempt} of {step.max_retries} attempts: {failure}")
            if attempt == step.max_retries:
                break
            await self._clean_steps(step.children)
            pause = step.retry_interval.total_seconds()
            left = deadline - self._loop.time() - pause
            if left <= 0:
                log.error(f"no time left for the remaining {step.max_retries - attempt} attempts")
                break
            await asyncio.sleep(pause)
            log.warning(f"Retrying: {step.level} {step.name} (timeout {_clock(left)}) [{step.namespace}]")
        if last is not None:
            raise last

    def _record(self, step: Step, context: StepContext, spent: float, failure: LavaError | None) -> None:
        extra = dict(context.extra)
        if failure is not None:
            extra["fail"] = _shortened(str(failure))
        self._job.log.results(
            {
                "case": step.name,
                "definition": "lava",
                "duration": f"{spent:.02f}",
                "extra": extra,
                "level": step.level,
                "namespace": step.namespace,
                "result": "fail" if failure is not None else "pass",
            }
        )

    async def _clean_up(self, deadline: float) -> None:
        """Undo everything, in pipeline order; the first failure is told at the end, the walk goes on."""
        failures = await self._clean_steps(self._pipeline.steps)
        if failures:
            raise InfrastructureError(f"the clean-up of the job failed: {failures[0]}")

    async def _clean_steps(self, steps: tuple[Step, ...]) -> list[Exception]:
        failures: list[Exception] = []
        for step in (inner for outer in steps for inner in outer.walk()):
            if step.action is None:
                continue
            try:
                await step.action.cleanup(
                    StepContext(self._job, step, self._loop.time() + CLEANUP_LIMIT.total_seconds())
                )
            except Exception as error:
                failures.append(error)
                self._job.log.error(f"cleaning up after {step.level} {step.name} failed: {error}")
        return failures


def closing_lines(error: LavaError | None) -> list[str]:
    """Return what closes the log, before the final result."""
    if error is None:
        return ["Job finished correctly"]
    return [line for line in str(error).splitlines() if line] + [error.help_text]


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_ERROR:
        return text
    return f"{text[:_LONGEST_ERROR]}… (and {len(text) - _LONGEST_ERROR} more characters)"


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
