"""The helpers in ``bin/``: shell scripts that run on the device.  Source: dispatcher specification 12.6.

Those of ``bin/`` fit every system; a directory below it holds the versions for one family of distributions.  They
need a POSIX shell and what busybox offers, no more.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

#: distribution of a profile: directory of its versions
FAMILIES: Mapping[str, str] = {
    "android": "android",
    "apertis": "debian",
    "archlinux": "archlinux",
    "centos": "centos",
    "debian": "debian",
    "fedora": "fedora",
    "oe": "oe",
    "slackware": "slackware",
    "ubuntu": "debian",
}


def helpers(shell: str, distribution: str | None, device: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and content of each helper.

    Args:
        shell: what interprets them on the device.
        distribution: of the deployed system's profile.
        device: the rendered device configuration, some of which helpers print.
    """
    generic = files(__package__) / "bin"
    sources: dict[str, Traversable] = {entry.name: entry for entry in generic.iterdir() if entry.is_file()}
    if family := FAMILIES.get(distribution or ""):
        sources |= {entry.name: entry for entry in (generic / family).iterdir() if entry.is_file()}
    variables = device_variables(device)
    for name, source in sorted(sources.items()):
        _, _, body = source.read_text(encoding="utf-8").partition("\n")
        values = "".join(f"{key}={shlex.quote(value)}\n" for key, value in variables.get(name, {}).items())
        yield name, f"#!{shell}\n{values}{body}"


def device_variables(device: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return, by helper, the variables that it finds set."""
    interfaces = (device.get("parameters") or {}).get("interfaces") or {}
    target = interfaces.get("target") or {}
    probe: Mapping[str, Any] = next(
        (entry for entry in device.get("static_info") or () if {"probe_ip", "probe_channel"} <= entry.keys()), {}
    )
    storage = [f"{method} {name}" for entry in device.get("storage_info") or () for method, name in entry.items()]
    return {
        "lava-target-ip": {"TARGET_IP": str(target.get("ip") or "")},
        "lava-target-mac": {"TARGET_MAC": str(target.get("mac") or "")},
        "lava-probe-ip": {"PROBE_IP": str(probe.get("probe_ip") or "")},
        "lava-probe-channel": {"PROBE_CHANNEL": str(probe.get("probe_channel") or "")},
        "lava-target-storage": {"STORAGE": "\n".join(storage)},
    }
