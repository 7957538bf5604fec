"""Read a job's files, plan it, run it, and write down how it ended.  Source: dispatcher specification 1, 2, 6."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import yaml

from lava.model.device import DeviceConfiguration, parse_device
from lava.model.errors import ConfigurationError, InfrastructureError, JobCanceled, JobError, LavaBug, LavaError
from lava.model.faults import SubmissionError
from lava.model.job import JobDefinition, parse_job_text
from lava.model.yaml_source import Source

from .cancellation import CANCEL_REASONS
from .configuration import DispatcherConfiguration, load_dispatcher_configuration, load_environment
from .executor import Executor, Verdict, closing_lines
from .job import Job
from .joblog import JobLog
from .plan import Pipeline, plan_job


def run(args: argparse.Namespace, log: JobLog) -> int:
    """Run the job that the command line names; return the exit status."""
    scratch: Path | None = None
    try:
        definition = read_definition(args.definition)
        log.set_secrets([str(value) for value in definition.secrets.values() if isinstance(value, str | int)])
        device = read_device(args.device)
        configuration = load_dispatcher_configuration(args.dispatcher)
        environment = load_environment(args.env_dut)
        pipeline = plan_job(definition, device, job_id=args.job_id)
        _write_description(args.output_dir / "description.yaml", log.masked(pipeline.description()))
        if log.failure is not None:
            raise InfrastructureError(_unwritable(log.failure))
        scratch = _make_scratch(configuration, args.job_id, args.output_dir)
    except LavaError as error:
        if args.debug:
            log.traceback(error)
        log.results({"case": "validate", "definition": "lava", "result": "fail"})
        return _finish(args.output_dir, log, Verdict(error))
    except Exception as error:
        log.traceback(error)
        return _finish(args.output_dir, log, Verdict(LavaBug(f"{type(error).__name__}: {error}")))
    job = Job(
        args.job_id, definition, device, configuration, environment, log, args.output_dir.resolve(), scratch.resolve()
    )
    try:
        verdict = asyncio.run(_execute(job, pipeline, validate_only=args.validate))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return _finish(args.output_dir, log, verdict)


async def _execute(job: Job, pipeline: Pipeline, *, validate_only: bool) -> Verdict:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (inside asyncio.run)
    loop = asyncio.get_running_loop()
    reasons: list[str] = []

    def cancel(reason: str) -> None:
        reasons.append(reason)
        task.cancel()

    tell = job.log.on_failure

    def log_failed(error: OSError) -> None:
        if tell is not None:
            tell(error)
        loop.call_soon(cancel, _unwritable(error))

    job.log.on_failure = log_failed
    for number, reason in CANCEL_REASONS.items():
        loop.add_signal_handler(number, cancel, reason)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, CANCEL_REASONS)
    try:
        verdict = await Executor(job, pipeline, canceled=lambda: reasons[0] if reasons else None).run(
            validate_only=validate_only
        )
    finally:
        # From here on the verdict stands: no signal may keep it from being written.
        signal.pthread_sigmask(signal.SIG_BLOCK, CANCEL_REASONS)
    if isinstance(verdict.error, JobCanceled) and job.log.failure is not None:
        return Verdict(InfrastructureError(_unwritable(job.log.failure)))
    return verdict


def _unwritable(error: OSError) -> str:
    return f"the worker cannot write the job's log: {error.strerror}; is its disk full?"


def read_definition(path: Path) -> JobDefinition:
    """Return the job definition in a file.

    Raises:
        JobError: it cannot be read, or is refused; every fault is in the message.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise JobError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise JobError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    try:
        return parse_job_text(text, file=str(path))
    except SubmissionError as error:
        raise JobError(f"{path} is refused:\n{error}") from error


def read_device(path: Path) -> DeviceConfiguration:
    """Return the rendered device configuration in a file.

    Raises:
        ConfigurationError: it cannot be read, or is none; every fault is in the message.
    """
    try:
        return parse_device(Source(path.read_text(encoding="utf-8"), str(path)).value)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except (SubmissionError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _make_scratch(configuration: DispatcherConfiguration, job_id: str, output: Path) -> Path:
    """Return the empty directory for the job's temporary files, with a link to its log in it.

    Raises:
        InfrastructureError: it cannot be made.
    """
    scratch = configuration.scratch_root / f"{configuration.prefix}{job_id}"
    try:
        _remove_stale(configuration.scratch_root)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        scratch.chmod(0o755)
        (scratch / "logs.yaml").symlink_to((output / "logs.yaml").resolve())
    except OSError as error:
        raise InfrastructureError(
            f"cannot make the directory {scratch} for temporary files: {error.strerror}; "
            "set dispatcher_download_dir in the worker's dispatcher.yaml"
        ) from error
    return scratch


def _remove_stale(root: Path) -> None:
    """Remove the temporary files of jobs that were killed.

    Their link to a log leads nowhere: the slave has reported their end and forgotten them.  Source: protocol
    specification 10, G30.
    """
    for directory in root.iterdir() if root.is_dir() else ():
        link = directory / "logs.yaml"
        with contextlib.suppress(OSError):  # it is somebody else's
            if link.is_symlink() and not link.exists():
                shutil.rmtree(directory, ignore_errors=True)


def _write_description(path: Path, description: Any) -> None:
    try:
        _write_yaml(path, description)
    except OSError as error:
        raise InfrastructureError(f"cannot write {path}: {error.strerror}; is the worker's disk full?") from error


def _finish(output: Path, log: JobLog, verdict: Verdict) -> int:
    """Close the log with the verdict, and write ``result.yaml`` as the very last thing."""
    *lines, last = closing_lines(verdict.error)
    for line in lines:
        log.error(line)
    (log.error if verdict.error else log.info)(last)
    log.results(verdict.record)
    try:
        _write_yaml(output / "result.yaml", log.masked(verdict.record))
    except OSError as error:
        print(f"lava-run: cannot write {output / 'result.yaml'}: {error.strerror}", file=sys.stderr)
    return 1 if verdict.error else 0


def _write_yaml(path: Path, value: Any) -> None:
    """Write the file whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), encoding="utf-8")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
