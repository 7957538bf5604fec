"""Machines as trees of files, made by code: a fresh V2 worker, a mixed worker of 2016, a master.  Source: R190."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from lava.doctor.commands import ANSWERS, Command, CountJobs, ListClusters, ListDatabases, SimulateAutoremove

NOW = datetime(2016, 11, 25, 12, 0, tzinfo=UTC)
#: when the machine was started, in seconds since 1970
BOOT = int((NOW - timedelta(days=1)).timestamp())
MASTER = "lava.example.org"
SSHFS = f"lavaserver@{MASTER}:/var/lib/lava-server/default/media"
MEDIA = "/var/lib/lava-server/default/media"
CLUSTERS = (
    "Ver Cluster Port Status Owner    Data directory               Log file\n"
    "9.4 main    5432 online postgres /var/lib/postgresql/9.4/main /var/log/postgresql/postgresql-9.4-main.log\n"
)
NO_DATABASE = {"status": 2, "error": 'psql: FATAL:  database "lavaserver" does not exist\n'}
PULLED_IN = ("lava-coordinator", "lava-server-doc", "libapache2-mod-uwsgi", "postgresql", "uwsgi-core")
MUST_BE_SAME = '{\n  "port": 3079,\n  "coordinator_hostname": "lava.example.org"\n}\n'


class Tree:
    """A directory in place of ``/``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers: dict[str, dict[str, Any]] = {}
        root.mkdir(parents=True, exist_ok=True)
        self.write("/etc/debian_version", "8.6\n")
        self.write("/proc/stat", f"cpu 1 2 3\nbtime {BOOT}\n")
        self.mounts()
        self.process(1, "/sbin/init")
        self.packages(installed=["apache2", "lava-dispatcher"])

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def write(self, name: str, text: str, *, mode: int = 0o644, changed: datetime | None = None) -> Path:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        when = (changed or NOW - timedelta(days=30)).timestamp()
        os.utime(path, (when, when))
        return path

    def link(self, name: str, target: str) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def remove(self, name: str) -> None:
        path = self.path(name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def mounts(self, *lines: str) -> None:
        self.write("/proc/mounts", "".join(f"{line} rw 0 0\n" for line in ("/dev/sda1 / ext4", *lines)))

    def packages(self, *, installed: Iterable[str] = (), removed: Iterable[str] = ()) -> None:
        self.installed = [*installed]
        rows = [(name, "install ok installed") for name in installed]
        rows += [(name, "deinstall ok config-files") for name in removed]
        text = "\n".join(f"Package: {name}\nStatus: {state}\nVersion: 1\n" for name, state in rows)
        self.write("/var/lib/dpkg/status", text)

    def uninstall(self, *names: str) -> None:
        self.packages(installed=[name for name in self.installed if name not in names])

    def process(self, pid: int, *argv: str, started: datetime = NOW - timedelta(hours=20)) -> None:
        self.write(f"/proc/{pid}/cmdline", "".join(f"{word}\0" for word in argv))
        ticks = int((started.timestamp() - BOOT) * os.sysconf("SC_CLK_TCK"))
        fields = " ".join(["S", *["1"] * 18, str(ticks), *["0"] * 20])
        self.write(f"/proc/{pid}/stat", f"{pid} (a ) b) {fields}\n")

    def end(self, *pids: int) -> None:
        for pid in pids:
            self.remove(f"/proc/{pid}")

    def answer(self, command: Command, output: str = "", *, status: int = 0, error: str = "") -> None:
        line = shlex.join(command.argv)
        self.answers[line] = {"command": line, "status": status, "output": output, "error": error}
        self.write(f"/{ANSWERS}", yaml.safe_dump([*self.answers.values()]))

    def no_program(self, command: Command) -> None:
        self.answer(command, status=127, error="not found")

    def pings(self, when: datetime, *, answered: bool = True) -> None:
        lines = [f"{when:%Y-%m-%d %H:%M:%S},118   DEBUG => PING"]
        if answered:
            lines.append(f"{when:%Y-%m-%d %H:%M:%S},120   DEBUG The master replied: ['PONG']")
        self.write("/var/log/lava-dispatcher/lava-slave.log", "\n".join(lines) + "\n")


class FreshWorker(Tree):
    """A worker that was made for V2: nothing to be done."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.write("/etc/hostname", "worker1\n")
        self.write("/etc/lava-dispatcher/lava-slave", f'# set up\nMASTER_URL="tcp://{MASTER}:5556"\n')
        self.write("/etc/fuse.conf", "# comment\n#user_allow_other\n")
        self.write("/usr/share/lava-dispatcher/apache2/lava-dispatcher.conf", "<VirtualHost *:80>\n")
        self.process(400, "/usr/bin/python3", "/usr/bin/lava-slave", "--level", "DEBUG")
        self.pings(NOW - timedelta(seconds=12))
        self.enable_apache()
        self.no_program(ListClusters())
        self.answer(SimulateAutoremove(), "0 upgraded, 0 newly installed, 0 to remove\n")

    def enable_apache(self) -> None:
        self.write("/etc/apache2/sites-available/lava-dispatcher.conf", "<VirtualHost *:80>\n")
        self.remove("/etc/apache2/sites-enabled/lava-dispatcher.conf")
        self.link("/etc/apache2/sites-enabled/lava-dispatcher.conf", "../sites-available/lava-dispatcher.conf")


class MixedWorker(FreshWorker):
    """A worker of 2016 with V1 and V2 devices: every step is to be done."""

    def __init__(self, root: Path, *, prefix: str = "/var/lib/lava-server", database: str = "lavaserver") -> None:
        super().__init__(root)
        self.prefix, self.database = prefix, database
        self.media = f"{prefix}/default/media"
        self.lab: dict[str, Any] = {
            "devices": [
                {"name": "panda01", "device_type": "panda", "worker": "worker1", "exclusive": False},
                {"name": "board02", "device_type": "board", "worker": "worker1", "exclusive": True},
                {"name": "far01", "device_type": "far", "worker": "worker2", "exclusive": False},
            ],
            "health_checks": ["board"],
        }
        self.packages(
            installed=["apache2", "lava-dispatcher", "lava-server", "lavapdu-client", "lavapdu-daemon", *PULLED_IN]
        )
        self.write(
            "/etc/lava-server/instance.conf",
            f'LAVA_PREFIX="{prefix}"\nLAVA_DB_NAME="{database}"\nLAVA_DB_SERVER="{MASTER}"\n',
        )
        self.write("/etc/lava-server/worker.conf", f'MASTER="{MASTER}"\n')
        for name in ("lava-master", "lava-server", "lava-coordinator"):
            self.write(f"/etc/init.d/{name}", "#!/bin/sh\n", mode=0o755)
        self.write("/etc/lava-dispatcher/devices/panda01.conf", "device_type = panda\nhard_reset_command = true\n")
        self.write("/etc/lava-dispatcher/device-types/panda.conf", "# Managed by salt: do not edit\nname = panda\n")
        self.write("/etc/lava-coordinator/lava-coordinator.conf", MUST_BE_SAME.replace(MASTER, "localhost"))
        self.path(self.media).mkdir(parents=True)
        self.mounts(f"{SSHFS} {self.media} fuse.sshfs")
        self.pings(NOW - timedelta(hours=2))
        self.write("/etc/fuse.conf", "# comment\nuser_allow_other\n")
        self.process(501, "/usr/bin/python", "/usr/bin/lava-server", "manage", "dispatcher-master")
        self.process(502, "/usr/bin/python", "/usr/bin/lava-server", "manage", "scheduler")
        self.process(503, "/usr/bin/uwsgi", "--ini", "/etc/lava-server/uwsgi.ini")
        self.process(504, "/usr/bin/python", "/usr/bin/lava-coordinator")
        self.write("/var/lib/postgresql/9.4/main/base/1", "x" * 2_000_000)
        self.answer(ListClusters(), CLUSTERS)
        self.answer(CountJobs(5432, database), "17\n")
        self.answer(ListDatabases(5432), f"postgres\n{database}\n")
        self.answer(SimulateAutoremove(), "".join(f"Purg {name} [1]\n" for name in PULLED_IN))
        self.remove("/etc/apache2/sites-enabled/lava-dispatcher.conf")
        self.remove("/etc/apache2/sites-available/lava-dispatcher.conf")
        self.write("/etc/apache2/sites-available/lava-server.conf", "<VirtualHost *:80>\n")
        self.link("/etc/apache2/sites-enabled/lava-server.conf", "../sites-available/lava-server.conf")
        self.write("/etc/apache2/mods-available/uwsgi.load", "LoadModule uwsgi\n")
        self.link("/etc/apache2/mods-enabled/uwsgi.load", "../mods-available/uwsgi.load")

    def p1(self) -> None:
        self.end(501)
        self.path("/etc/init.d/lava-master").chmod(0o644)

    def w1(self) -> None:
        self.lab["health_checks"].append("panda")

    def w2(self) -> None:
        self.lab["devices"][0]["exclusive"] = True

    def w3(self) -> None:
        self.remove("/etc/lava-dispatcher/devices/panda01.conf")
        self.remove("/etc/lava-dispatcher/device-types/panda.conf")

    def w4(self) -> None:
        self.pings(NOW - timedelta(seconds=12))

    def w5(self) -> None:
        self.answer(CountJobs(5432, self.database), "0\n")

    def w6(self) -> None:
        self.end(502)

    def w7(self) -> None:
        self.mounts()

    def w8(self) -> None:
        self.uninstall("lavapdu-client", "lavapdu-daemon")

    def w9(self) -> None:
        self.answer(ListClusters(), CLUSTERS.splitlines()[0] + "\n")
        self.remove("/var/lib/postgresql/9.4")

    def w10(self) -> None:
        self.write("/etc/lava-coordinator/lava-coordinator.conf", MUST_BE_SAME)
        self.write("/var/backups/lava-coordinator.conf.2016-11-24", MUST_BE_SAME)
        self.end(504)

    def w11(self) -> None:
        self.uninstall("lava-server")
        for name in (
            "/etc/init.d/lava-master",
            "/etc/init.d/lava-server",
            "/etc/apache2/sites-available/lava-server.conf",
        ):
            self.remove(name)
        self.write("/var/log/dpkg.log", "2016-11-25 11:00:00 remove lava-server:all 1 <none>\n")

    def w12(self) -> None:
        self.uninstall(*PULLED_IN)
        for name in ("/etc/init.d/lava-coordinator", "/etc/lava-coordinator", "/etc/apache2/mods-available/uwsgi.load"):
            self.remove(name)
        self.no_program(ListClusters())
        self.answer(SimulateAutoremove(), "0 to remove\n")

    def w13(self) -> None:
        """Nothing: it is a look at what W4 looked at."""

    def w14(self) -> None:
        self.remove("/etc/lava-server")

    def w15(self) -> None:
        self.write("/etc/lava-coordinator/lava-coordinator.conf", MUST_BE_SAME, changed=NOW - timedelta(minutes=30))

    def w16(self) -> None:
        self.end(503)

    def w17(self) -> None:
        self.remove("/etc/apache2/sites-enabled/lava-server.conf")
        self.remove("/etc/apache2/mods-enabled/uwsgi.load")

    def w18(self) -> None:
        self.enable_apache()
        for name in ("sites-enabled", "mods-enabled"):
            when = (NOW - timedelta(minutes=20)).timestamp()
            os.utime(self.path(f"/etc/apache2/{name}"), (when, when))
            os.utime(self.path("/etc/apache2/sites-enabled/lava-dispatcher.conf"), (when, when), follow_symlinks=False)

    def w19(self) -> None:
        self.write("/etc/fuse.conf", "# comment\n#user_allow_other\n", changed=NOW - timedelta(minutes=10))
        for name in ("devices", "device-types"):  # the directories that W3 changed
            when = (NOW - timedelta(hours=3)).timestamp()
            os.utime(self.path(f"/etc/lava-dispatcher/{name}"), (when, when))

    def w20(self) -> None:
        for device in self.lab["devices"]:
            device.update(last_health_check=NOW - timedelta(minutes=5), last_health_result="Complete")

    @property
    def by_name(self) -> dict[str, Callable[[], None]]:
        """How each step is done, in order."""
        names = ["P1", *(f"W{number}" for number in range(1, 21))]
        return {name: getattr(self, name.lower()) for name in names}

    def do(self, *names: str) -> None:
        for name in names:
            self.by_name[name]()

    def do_until(self, last: str) -> None:
        """Do every step up to and with this one."""
        names = [*self.by_name]
        self.do(*names[: names.index(last) + 1])


DEFAULT_HBA = """\
# TYPE  DATABASE        USER            ADDRESS                 METHOD
local   all             postgres                                peer
local   all             all                                     peer
host    all             all             127.0.0.1/32            md5
host    all             all             ::1/128                 md5
"""
V1_KEY = "AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7"
V1_COMMENT = "ssh key used by LAVA for sshfs"


class CleanMaster(Tree):
    """A master that was made for V2."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.packages(installed=["lava-server", "lava-dispatcher", "postgresql"])
        self.write("/etc/hostname", "lava\n")
        self.write("/etc/lava-server/instance.conf", 'LAVA_DB_NAME="lavaserver"\n')
        self.write("/etc/apache2/sites-available/lava-server.conf", "<VirtualHost *:80>\n")
        self.link("/etc/apache2/sites-enabled/lava-server.conf", "../sites-available/lava-server.conf")
        self.write("/etc/passwd", "lavaserver:x:100:100::/var/lib/lava-server/home:/bin/bash\n")
        self.configure("9.4", "#listen_addresses = 'localhost'\t\t# what to listen on\n", DEFAULT_HBA)
        self.process(700, "/usr/lib/postgresql/9.4/bin/postgres", "-D", "/var/lib/postgresql/9.4/main")

    def configure(self, version: str, settings: str, rules: str = DEFAULT_HBA) -> None:
        self.write(f"/etc/postgresql/{version}/main/postgresql.conf", settings)
        self.write(f"/etc/postgresql/{version}/main/pg_hba.conf", rules)

    def keys(self, text: str, home: str = "/var/lib/lava-server/home") -> Path:
        return self.write(f"{home}/.ssh/authorized_keys", text, mode=0o600)


class V1Master(CleanMaster):
    """A master that V1 workers had access to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.configure("9.4", "listen_addresses = '*'\n", f"{DEFAULT_HBA}host lavaserver lavaserver 0.0.0.0/0 md5\n")
        self.keys(f"ssh-rsa {V1_KEY} {V1_COMMENT}\nssh-rsa AAAAB3NzaC1yc2EA admin@desk\n")
