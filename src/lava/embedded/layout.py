"""Where an embedded instance keeps its things."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: the name of the worker on the master's own machine
WORKER = "localhost"
DEVICE_TYPE = "qemu"
DEVICE = "qemu-01"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below one data directory."""

    root: Path

    @property
    def lock(self) -> Path:
        """Held by the instance that uses the directory."""
        return self.root / "lock"

    @property
    def url(self) -> Path:
        """Address of the running instance; there only while it serves."""
        return self.root / "url"

    @property
    def token(self) -> Path:
        """API token of user ``admin``."""
        return self.root / "admin.token"

    @property
    def password(self) -> Path:
        """Password of user ``admin`` for the pages."""
        return self.root / "admin.password"

    @property
    def certificates(self) -> Path:
        return self.root / "certificates.d"

    @property
    def slave_state(self) -> Path:
        """Journal and job directories of the slave."""
        return self.root / "slave"

    @property
    def scratch(self) -> Path:
        """Temporary files of running jobs."""
        return self.root / "tmp"

    @property
    def logs(self) -> Path:
        """What the daemons say."""
        return self.root / "log"

    @property
    def devices(self) -> Path:
        """Device dictionaries."""
        return self.root / "devices"

    @property
    def dispatcher_configuration(self) -> Path:
        return self.root / "dispatcher.d" / WORKER

    @property
    def examples(self) -> Path:
        """Git repository with the test definitions of the examples."""
        return self.root / "examples.git"
