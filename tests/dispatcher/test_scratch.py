"""Temporary files of jobs that were killed go with the next job; others stay: protocol specification 10, G30."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

JOB = {
    "job_name": "nothing",
    "device_type": "sim",
    "visibility": "public",
    "timeouts": {"job": {"minutes": 1}, "action": {"seconds": 50}, "connection": {"seconds": 20}},
    "actions": [{"deploy": {"to": "overlay"}}],
}
DEVICE = {
    "hostname": "b",
    "devicetype": "sim",
    "constants": {"posix": {"lava_test_results_dir": "/lava-%s", "lava_test_sh_cmd": "/bin/sh"}},
    "parameters": {},
    "timeouts": {},
    "actions": {
        "deploy": {"methods": {"overlay": None}, "connections": {}},
        "boot": {"methods": {"minimal": None}, "connections": {}},
    },
}


def test_only_what_nobody_knows_any_more_is_removed(tmp_path: Path) -> None:
    scratch, running = tmp_path / "scratch", tmp_path / "running"
    running.mkdir()
    (running / "logs.yaml").write_text("")
    for name, target in (("killed", tmp_path / "forgotten" / "logs.yaml"), ("runs", running / "logs.yaml")):
        (scratch / name).mkdir(parents=True)
        (scratch / name / "image").write_text("large")
        (scratch / name / "logs.yaml").symlink_to(target)
    (scratch / "none of ours").mkdir()
    (scratch / "none of ours" / "logs.yaml").write_text("")
    settings = {"dispatcher_ip": "127.0.0.1", "dispatcher_download_dir": str(scratch)}
    for file, content in (("job", JOB), ("device", DEVICE), ("dispatcher", settings)):
        (tmp_path / f"{file}.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "lava.dispatcher.main", "--job-id", "1", "--output-dir", str(tmp_path / "out")]
    command += ["--device", str(tmp_path / "device.yaml"), "--dispatcher", str(tmp_path / "dispatcher.yaml")]
    command += ["--skip-sudo-warning", "--validate", str(tmp_path / "job.yaml")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert sorted(path.name for path in scratch.iterdir()) == ["none of ours", "runs"]
