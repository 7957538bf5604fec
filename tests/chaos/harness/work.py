"""Jobs whose every line can be counted."""

from __future__ import annotations

from typing import Any

import yaml


def job(*steps: str, name: str = "numbered lines", **keys: Any) -> str:
    """Return a job that boots a simulated board and runs the steps as one test definition."""
    definition = {
        "from": "inline",
        "name": "numbers",
        "path": "inline/numbers.yaml",
        "repository": {
            "metadata": {"format": "Lava-Test Test Definition 1.0", "name": "numbers"},
            "run": {"steps": list(steps)},
        },
    }
    document = {
        "job_name": name,
        "device_type": "sim",
        "visibility": "public",
        "priority": "medium",
        "timeouts": {"job": {"minutes": 10}, "action": {"minutes": 9}, "connection": {"minutes": 9}},
        "actions": [
            {"deploy": {"to": "overlay"}},
            {
                "boot": {
                    "method": "minimal",
                    "prompts": ["root@sim:~# "],
                    "auto_login": {"login_prompt": "login:", "username": "root"},
                    "transfer_overlay": {"download_command": "wget -q", "unpack_command": "tar -C / -xzf"},
                }
            },
            {"test": {"timeout": {"minutes": 9}, "definitions": [definition]}},
        ],
        **keys,
    }
    return yaml.safe_dump(document)


def numbered_job(lines: int, results: int, seconds: float, *, name: str = "numbered lines") -> str:
    """Return a job that prints so many lines and results, in about so many seconds."""
    pause = seconds / max(1, lines // 10)
    return job(f"numbered {lines} {results} {pause:.3f}", name=name)
