"""``kill -9`` during a running job: it ends Complete, and every line is in the stored log exactly once."""

from __future__ import annotations

import re
import signal
from typing import Any

import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("instance")]

LINES = 600
JOB = {
    "job_name": "numbered lines",
    "device_type": "qemu",
    "visibility": "public",
    "priority": "medium",
    "context": {"arch": "amd64"},
    "timeouts": {"job": {"minutes": 3}, "action": {"minutes": 2}, "connection": {"seconds": 60}},
    "actions": [
        {
            "deploy": {
                "to": "tmpfs",
                "os": "oe",
                "images": {
                    "kernel": {
                        "url": "{GUEST}/vmlinuz",
                        "image_arg": '-kernel {kernel} -append "console=ttyS0,115200"',
                    },
                    "ramdisk": {"url": "{GUEST}/initrd.img", "image_arg": "-initrd {ramdisk}"},
                    "rootfs": {
                        "url": "{GUEST}/rootfs.ext4.gz",
                        "compression": "gz",
                        "image_arg": "-drive format=raw,file={rootfs},if=virtio",
                    },
                },
            }
        },
        {
            "boot": {
                "method": "qemu",
                "media": "tmpfs",
                "auto_login": {"login_prompt": "login:", "username": "root"},
                "prompts": ["root@guest:~# "],
            }
        },
        {
            "test": {
                "definitions": [
                    {
                        "from": "inline",
                        "name": "lines",
                        "path": "inline/lines.yaml",
                        "repository": {
                            "metadata": {"format": "Lava-Test Test Definition 1.0", "name": "lines"},
                            "run": {
                                "steps": [
                                    "lava-test-case before --result pass",
                                    f'i=0; while [ $i -lt {LINES} ]; do echo "number $i ."; i=$((i+1));'
                                    " [ $((i % 10)) -ne 0 ] || usleep 100000; done",
                                    "lava-test-case after --result pass",
                                ]
                            },
                        },
                    }
                ]
            }
        },
    ],
}


def job() -> str:
    return yaml.safe_dump(JOB)


def numbers(log: str) -> list[int]:
    """Return the numbers that the device printed, in the order of the log."""
    lines = [record["msg"] for record in yaml.load(log, yaml.CSafeLoader) if record["lvl"] == "target"]
    return [
        int(found[1]) for line in lines if isinstance(line, str) and (found := re.fullmatch(r"number (\d+) \.", line))
    ]


@pytest.mark.parametrize("victims", [["web"], ["master"], ["slave"], ["slave", "master", "slave", "web"]])
def test_no_line_is_lost_and_none_comes_twice(instance: Any, victims: list[str]) -> None:
    submitted = instance.submit(job())
    for step, name in enumerate(victims, start=1):
        wanted = f"number {step * 60} ."
        instance.wait_for(lambda wanted=wanted: wanted in instance.log(submitted), f"{wanted!r} in the log")
        victim = instance.daemon(name)
        victim.send_signal(signal.SIGKILL)
        victim.wait(20)
        instance.daemon(name)
        instance.wait_for(instance.answers, "the web server")
    ended = instance.wait_for_end(submitted)
    assert ended["health"] == "Complete", instance.said()
    assert numbers(instance.log(submitted)) == list(range(LINES))
    cases = [case["name"] for case in instance.results(submitted) if case["suite"] == "0_lines"]
    assert cases == ["before", "after"]
    assert instance.client.call("scheduler.devices.show", "qemu-01")["state"] == "Idle"
