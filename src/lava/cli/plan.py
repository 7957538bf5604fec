"""``lava plan``: the pipeline that a job would run on a device, with every deadline; nothing is touched."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from lava.dispatcher.plan import Pipeline, Step, plan_job
from lava.dispatcher.run import read_definition, read_device
from lava.model.errors import LavaError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=Path, metavar="JOB", help="job definition (YAML)")
    parser.add_argument(
        "--device", type=Path, required=True, metavar="DEVICE.yaml", help="rendered device configuration"
    )
    parser.add_argument("--json", action="store_true", help="print an object instead")


def run(args: argparse.Namespace) -> int:
    """Return 0 when the job can run on the device, 1 when not; why stands on standard error."""
    try:
        definition = read_definition(args.job)
        pipeline = plan_job(definition, read_device(args.device))
    except LavaError as error:
        print(f"lava plan: {error.error_type} error: {error}", file=sys.stderr)
        return 1
    limit = definition.timeouts.job.duration
    print(json.dumps(_as_object(pipeline, limit), indent=2) if args.json else _as_text(pipeline, limit))
    return 0


def _as_text(pipeline: Pipeline, limit: timedelta) -> str:
    rows = [("", "job", _clock(limit), "", "timeouts.job")]
    for step in pipeline.walk():
        indent = "  " * step.level.count(".")
        times = f" (up to {step.max_retries} times)" if step.max_retries > 1 else ""
        rows.append(
            (
                f"{indent}{step.level}",
                f"{indent}{step.name}{times}",
                _clock(step.timeout),
                _clock(step.connection_timeout) if step.action else "",
                step.timeout_source,
            )
        )
    titles = ("level", "action", "timeout", "connection", "timeout from")
    widths = [max(len(row[column]) for row in [titles, *rows]) for column in range(len(titles))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [titles, *rows]]
    return "\n".join(line.rstrip() for line in lines)


def _clock(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _as_object(pipeline: Pipeline, limit: timedelta) -> dict[str, Any]:
    return {"timeout": limit.total_seconds(), "pipeline": [_step(step) for step in pipeline.steps]}


def _step(step: Step) -> dict[str, Any]:
    return {
        "level": step.level,
        "name": step.name,
        "summary": step.summary,
        "namespace": step.namespace,
        "timeout": step.timeout.total_seconds(),
        "timeout_source": step.timeout_source,
        "connection_timeout": step.connection_timeout.total_seconds(),
        "max_retries": step.max_retries,
        "pipeline": [_step(child) for child in step.children],
    }
