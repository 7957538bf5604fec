"""Facts that several checks need: packages, what is left of V1, which kind of machine this is."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

from .context import Context, LabDevice
from .databases import clusters, count_jobs
from .machine import CannotTell, Machine, Mount, files_below
from .processes import is_master, is_scheduler, is_slave
from .result import Finding
from .settings import Setting, host_of, instance, is_local, master_url, slave_setting

WORKER_MARK = "/etc/lava-server/worker.conf"
DPKG_STATUS = "/var/lib/dpkg/status"
APACHE = "/etc/apache2"
BACKUPS = "/var/backups"
_MASTER_UNITS = ("/etc/systemd/system/lava-master.service", "/lib/systemd/system/lava-master.service")
V1_DIRECTORIES = ("/etc/lava-dispatcher/devices", "/etc/lava-dispatcher/device-types")


def packages(machine: Machine) -> dict[str, str]:
    """Return the state of each package that dpkg knows: ``installed``, ``config-files``, …"""
    text = machine.read(DPKG_STATUS)
    if text is None:
        if machine.entry("/etc/debian_version") or machine.entry("/var/lib/dpkg"):
            raise CannotTell(f"{DPKG_STATUS} is not there: the packages are not known")
        return {}  # another distribution: V1 was for Debian only
    found = {}
    for paragraph in text.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status): *(.*)$", paragraph, re.MULTILINE))
        state = fields.get("Status", "").split()
        if "Package" in fields and state and state[-1] != "not-installed":
            found[fields["Package"]] = state[-1]
    return found


def media_mounts(machine: Machine) -> tuple[Mount, ...]:
    """Return what is mounted at, above or below the directory of job files, as V1 did with SSHFS."""
    media = media_directory(machine).value
    return tuple(mount for mount in machine.mounts() if _concerns(mount, media))


def media_directory(machine: Machine) -> Setting:
    """Return where a V1 worker has the master's job files."""
    prefix = instance(machine, "LAVA_PREFIX")
    return Setting(posixpath.normpath(f"/{prefix.value}/default/media").replace("//", "/"), prefix.file, prefix.line)


def _concerns(mount: Mount, media: str) -> bool:
    if mount.point == media:
        return True
    if not mount.is_remote or mount.point == "/":
        return False
    inside = mount.point.startswith(f"{media}/") or media.startswith(f"{mount.point}/")
    return inside or mount.point.endswith("/default/media") or "/default/media" in mount.source


def v1_files(machine: Machine) -> tuple[str, ...]:
    """Return V1's configuration files of devices and device types."""
    return tuple(path for directory in V1_DIRECTORIES for path in files_below(machine, directory))


def v1_evidence(machine: Machine) -> tuple[Finding, ...]:
    """Return what shows that this machine still runs, or could run, V1 jobs."""
    return tuple(_evidence(machine))


def _evidence(machine: Machine) -> Iterator[Finding]:
    if state := packages(machine).get("lava-server"):
        yield Finding(f"package lava-server: {state}", DPKG_STATUS, value=state)
    if machine.entry(WORKER_MARK):
        yield Finding("this machine was set up as a V1 remote worker", WORKER_MARK)
    for path in v1_files(machine):
        yield Finding("a V1 configuration file", path)
    for mount in media_mounts(machine):
        yield Finding(f"{mount.source} is mounted on {mount.point}", "/proc/mounts", value=mount.kind)
    for process in machine.processes():
        if is_scheduler(process):
            yield Finding(f"the V1 scheduler runs, process {process.pid}", f"/proc/{process.pid}")


def server_site(machine: Machine) -> str:
    """Return the link that enables the server's site in Apache, if it points to something, or empty."""
    for name in machine.names(f"{APACHE}/sites-enabled"):
        path = f"{APACHE}/sites-enabled/{name}"
        entry = machine.entry(path)
        if name.removesuffix(".conf") == "lava-server" and entry and not entry.is_dangling:
            return path
    return ""


def master_evidence(machine: Machine) -> tuple[Finding, ...]:
    """Return what shows that this machine is the master of an instance; nothing on a worker.

    Raises:
        CannotTell: it may be one, and the database does not say.
    """
    if machine.entry(WORKER_MARK):
        return ()
    unmarked = Finding("this machine is not marked as a remote worker", WORKER_MARK)
    installed = packages(machine).get("lava-server") == "installed"
    if installed and (site := server_site(machine)):
        return (unmarked, Finding("Apache serves the site of the server", site))
    daemon = [Finding(f"lava-master runs, process {one.pid}") for one in machine.processes() if is_master(one)]
    daemon += [Finding("lava-master is a service here", path) for path in _MASTER_UNITS if machine.entry(path)]
    url = master_url(machine)
    if daemon and is_local(host_of(url.value), machine):
        return (unmarked, *daemon, Finding(f"the slave's master is this machine: {url.value}", url.file, url.line))
    if installed:
        name = instance(machine, "LAVA_DB_NAME")
        for cluster in clusters(machine):
            if count := count_jobs(machine, cluster, name.value):
                text = f"the database {name.said} has {count} jobs"
                return (unmarked, Finding(text, name.file, name.line, name.value))
    return ()


def own_devices(machine: Machine, context: Context) -> tuple[LabDevice, ...] | None:
    """Return the devices of this worker, as the master knows them; None when nobody said."""
    if context.lab is None:
        return None
    names = {(machine.read("/etc/hostname") or "").strip().lower()}
    if setting := slave_setting(machine, "HOSTNAME"):
        names.add(setting.value.lower())
    for process in machine.processes():
        if is_slave(process) and "--hostname" in process.argv[:-1]:
            names.add(process.argv[process.argv.index("--hostname") + 1].lower())
    short = {name.partition(".")[0] for name in names}
    return tuple(
        device
        for device in context.lab.devices
        if not device.worker or device.worker.lower() in names or device.worker.lower().partition(".")[0] in short
    )


def dated(path: str, machine: Machine) -> str:
    """Return the path with today's date."""
    return f"{path}.{machine.now().astimezone(UTC):%Y-%m-%d}"


def minutes(moment: datetime, machine: Machine) -> float:
    """Return how many minutes ago that was."""
    return (machine.now() - moment).total_seconds() / 60


def quoted(*words: str) -> str:
    """Return words as a shell reads them."""
    return shlex.join(words)
