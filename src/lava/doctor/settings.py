"""Settings of the V1 instance and of the slave, each with the place where it stands."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .machine import Machine
from .processes import is_slave

INSTANCE = "/etc/lava-server/instance.conf"
SLAVE = "/etc/lava-dispatcher/lava-slave"
_DEFAULTS = {
    "LAVA_DB_NAME": "lavaserver",
    "LAVA_DB_USER": "lavaserver",
    "LAVA_SYS_USER": "lavaserver",
    "LAVA_PREFIX": "/var/lib/lava-server",
}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and where it stands; one that stands nowhere is a guess."""

    value: str
    file: str
    line: int = 0

    @property
    def is_guess(self) -> bool:
        return self.line == 0

    @property
    def said(self) -> str:
        """The value, for a sentence."""
        return f"{self.value} (a guess: {self.file} does not say)" if self.is_guess else self.value


def shell_settings(machine: Machine, path: str) -> dict[str, Setting]:
    """Return the assignments of a file of ``NAME="value"`` lines; the last of each name."""
    found: dict[str, Setting] = {}
    for number, line in enumerate((machine.read(path) or "").splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        for word in words[1:] if words[:1] == ["export"] else words[:1]:
            name, equals, value = word.partition("=")
            if equals and name.isidentifier():
                found[name] = Setting(_expand(value, found), path, number)
    return found


def _expand(value: str, known: Mapping[str, Setting]) -> str:
    def insert(match: re.Match[str]) -> str:
        setting = known.get(match[1] or match[2])
        return setting.value if setting else ""

    return _VARIABLE.sub(insert, value)


def instance(machine: Machine, name: str) -> Setting:
    """Return a setting of the V1 instance; what the file does not say is guessed, and marked so."""
    setting = shell_settings(machine, INSTANCE).get(name)
    return setting if setting and setting.value else Setting(_DEFAULTS[name], INSTANCE)


def is_local(host: str, machine: Machine) -> bool:
    """The name means this machine."""
    name = host.strip().strip("[]").rstrip(".").lower()
    own = (machine.read("/etc/hostname") or "").strip().lower()
    if name in ("", "localhost", "localhost.localdomain", "localhost6", "ip6-localhost", "ip6-loopback", own):
        return True
    if _is_own_address(name):
        return True
    for line in (machine.read("/etc/hosts") or "").lower().splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if name in names and _is_own_address(address):
            return True
    return False


def _is_own_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def host_of(url: str) -> str:
    """Return the host of ``tcp://HOST:PORT``."""
    match = re.fullmatch(r"(?:\w+://)?(\[[^]]*\]|[^:/]*)(?::[^/]*)?/?", url.strip())
    return match[1] if match else url


def slave_setting(machine: Machine, name: str) -> Setting | None:
    """Return a setting of the slave; the option that it stands for may be in the value."""
    setting = shell_settings(machine, SLAVE).get(name)
    words = setting.value.split() if setting else []
    return replace(setting, value=words[-1]) if setting and words else None


def master_url(machine: Machine) -> Setting:
    """Return the address that the slave is told to talk to."""
    if setting := slave_setting(machine, "MASTER_URL"):
        return setting
    running = running_master_url(machine)
    return running if running else Setting("tcp://localhost:5556", SLAVE)


def running_master_url(machine: Machine) -> Setting | None:
    """Return the address that the running slave was started with, if it runs and says so."""
    for process in machine.processes():
        if is_slave(process):
            argv = process.argv
            for place, word in enumerate(argv):
                name, equals, value = word.partition("=")
                if name == "--master" and (equals or place + 1 < len(argv)):
                    return Setting(value if equals else argv[place + 1], f"/proc/{process.pid}/cmdline", 1)
    return None
