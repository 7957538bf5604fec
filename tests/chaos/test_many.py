"""Many slaves at one master: protocol specification 10, G19 and G20, in small.

``benchmarks/link.py`` does the same with 200 slaves and 500 jobs, and prints delays and costs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.daemons import wait_for
from harness.lab import Lab

from lava.sim.fleet import slave_names
from lava.wire.certificates import ensure_certificate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("chaos-many")]

SLAVES, JOBS, LINES_PER_SECOND, SECONDS = 20, 60, 10, 8
_FILL = """
from django.contrib.auth.models import User
from lava.server.actions.submit import submit_job
from lava.sim.fleet import slave_names
user = User.objects.get(username="admin")
kind = DeviceType.objects.create(name="many")
names = slave_names(SLAVES)
Worker.objects.bulk_create([Worker(hostname=name) for name in names])
for number in range(JOBS):
    worker = names[number % SLAVES]
    Device.objects.create(hostname=f"many-{number}", device_type=kind, worker_host_id=worker, health=DeviceHealth.GOOD)
for _ in range(JOBS):
    submit_job(user, '''
job_name: many
device_type: many
visibility: public
timeouts: {job: {minutes: 5}, action: {minutes: 5}}
actions: [{boot: {method: minimal, prompts: ["#"]}}]
''')
"""
_LOOK = """
import json
print(json.dumps({
    "lines": sum(TestJob.objects.values_list("log_lines", flat=True)),
    "running": TestJob.objects.filter(state=JobState.RUNNING).count(),
    "finished": TestJob.objects.filter(state=JobState.FINISHED).count(),
    "complete": TestJob.objects.filter(health=JobHealth.COMPLETE).count(),
    "offline": Worker.objects.filter(hostname__startswith="sim-worker", state=WorkerState.OFFLINE).count(),
}))
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "lab", boards=())
    for name in slave_names(SLAVES):
        public, _ = ensure_certificate(tmp_path / "certificates", name)
        shutil.copy(public, lab.layout.certificates / "slaves")
    for number in range(JOBS):
        (lab.layout.devices / f"many-{number}.jinja2").write_text("commands: {connect: /bin/true}\n")
    lab.start()
    yield lab
    lab.close()


def test_g20_no_line_is_lost_and_no_slave_goes_offline(lab: Lab, tmp_path: Path) -> None:
    lab.in_database(f"SLAVES, JOBS = {SLAVES}, {JOBS}\n{_FILL}")
    addresses = [f"tcp://127.0.0.1:{port}" for port in lab.ports]
    command = [sys.executable, "-m", "lava.sim.fleet", "--master", addresses[0], "--logger", addresses[1]]
    command += ["--slaves", str(SLAVES), "--rate", str(LINES_PER_SECOND), "--seconds", str(SECONDS)]
    command += ["--state-dir", str(tmp_path / "fleet"), "--certificates", str(tmp_path / "certificates")]
    command += ["--master-cert", str(lab.layout.certificates / "master" / "master.key")]
    fleet = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    seen: list[dict[str, int]] = []

    def done() -> bool:
        seen.append(json.loads(lab.in_database(_LOOK)))
        return seen[-1]["finished"] == JOBS

    try:
        wait_for(done, "all jobs to end", 120)
    finally:
        fleet.terminate()
        figures = json.loads(fleet.communicate()[0])
    assert seen[-1] == {"lines": figures["lines"], "running": 0, "finished": JOBS, "complete": JOBS, "offline": 0}
    assert figures["lines"] >= JOBS * LINES_PER_SECOND * SECONDS
    working = [look for look in seen if look["running"]]
    assert all(look["offline"] == 0 for look in working), seen
