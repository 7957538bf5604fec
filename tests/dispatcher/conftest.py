"""Whole pipelines in the test's own process: a real terminal, real programs, no ``lava-run`` around them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lava.dispatcher.configuration import DispatcherConfiguration, Environment
from lava.dispatcher.executor import Executor, Verdict
from lava.dispatcher.job import Job
from lava.dispatcher.joblog import JobLog
from lava.dispatcher.plan import plan_job
from lava.model.device import parse_device
from lava.model.job import parse_job_text
from lava.spool import LogFile


@dataclass
class Executed:
    """What a pipeline left."""

    verdict: Verdict
    log: list[dict[str, Any]]
    scratch: Path

    @property
    def results(self) -> list[dict[str, Any]]:
        return [line["msg"] for line in self.log if line["lvl"] == "results"]

    def text(self, *levels: str) -> str:
        return "\n".join(line["msg"] for line in self.log if line["lvl"] in levels)


Execute = Callable[..., Awaitable[Executed]]


@pytest.fixture
def execute(tmp_path: Path) -> Execute:
    """Plan the blocks for the device and run them."""

    async def execute(device: dict[str, Any], *blocks: dict[str, Any], **keys: Any) -> Executed:
        document = {
            "job_name": "pipeline",
            "device_type": "board",
            "visibility": "public",
            "timeouts": {"job": {"minutes": 1}, "action": {"seconds": 50}, "connection": {"seconds": 20}},
            "actions": list(blocks),
            **keys,
        }
        definition = parse_job_text(yaml.safe_dump(document))
        configured = parse_device(
            {"hostname": "board-01", "devicetype": "board", "parameters": {}, "timeouts": {}, "commands": {}, **device}
        )
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        log = JobLog(LogFile(tmp_path / "logs.yaml"))
        configuration = DispatcherConfiguration({"dispatcher_ip": "127.0.0.1"})
        job = Job("7", definition, configured, configuration, Environment(), log, tmp_path, scratch)
        pipeline = plan_job(definition, configured, job_id="7")
        verdict = await Executor(job, pipeline, canceled=lambda: None).run(validate_only=False)
        log.close()
        lines = (tmp_path / "logs.yaml").read_text().splitlines()
        return Executed(verdict, [json.loads(line.removeprefix("- ")) for line in lines], scratch)

    return execute
