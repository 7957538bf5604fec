"""The configuration files that the server keeps for devices and workers.  Source: server 11.4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

from lava.devices import TemplateFault, Templates
from lava.model.faults import SubmissionError
from lava.model.yaml_source import Source


class ConfigurationFault(Exception):
    """A file is wrong; the message names it."""


@lru_cache(maxsize=1)
def _templates(devices: Path, types: tuple[Path, ...]) -> Templates:
    return Templates(devices, types)


def templates() -> Templates:
    """Return the renderer of this instance's device dictionaries."""
    return _templates(Path(settings.DEVICES_PATH), tuple(settings.DEVICE_TYPES_PATHS))


def render_device(hostname: str, device_type: str, context: Mapping[str, Any] | None = None) -> str:
    """Return the device configuration that a job with that context would be given.

    Raises:
        ConfigurationFault: there is no dictionary, or it cannot be rendered to YAML.
    """
    try:
        text = templates().render(f"{hostname}.jinja2", hostname=hostname, device_type=device_type, context=context)
    except TemplateFault as error:
        raise ConfigurationFault(f"the device dictionary of {hostname} cannot be rendered: {error}") from error
    try:
        Source(text)
    except SubmissionError as error:
        raise ConfigurationFault(f"the rendered dictionary of {hostname} is {error}") from error
    return text


def dictionary(hostname: str) -> str | None:
    """Return the text of a device dictionary; None when there is none that can be read."""
    try:
        return _first([Path(settings.DEVICES_PATH) / f"{hostname}.jinja2"])
    except ConfigurationFault:
        return None


def has_template(device_type: str) -> bool:
    """Return whether a device-type template of that name exists."""
    return any((Path(path) / f"{device_type}.jinja2").is_file() for path in settings.DEVICE_TYPES_PATHS)


def worker_file(hostname: str, kind: str) -> str:
    """Return ``dispatcher``, ``env`` or ``env-dut`` of a worker; a missing file is empty.

    Raises:
        ConfigurationFault: it cannot be read, or is no YAML.
    """
    root = Path(settings.CONFIGURATION_PATH)
    own = root / "dispatcher.d" / hostname / f"{kind}.yaml"
    shared: Sequence[Path] = {
        "dispatcher": [root / "dispatcher.d" / f"{hostname}.yaml"],
        "env": [root / "env.yaml"],
        "env-dut": [root / "env-dut.yaml", root / "env.dut.yaml"],
    }[kind]
    text = _first([own, *shared]) or ""
    try:
        yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationFault(f"{kind}.yaml of worker {hostname} is no YAML: {error}") from error
    return text


def _first(paths: Sequence[Path]) -> str | None:
    for path in paths:
        try:
            return path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:  # not as if it were not there: it has proxies, or secrets
            raise ConfigurationFault(f"{path} cannot be read: {error}") from error
    return None
