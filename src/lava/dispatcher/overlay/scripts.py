"""The scripts of one test definition: ``run.sh``, ``install.sh``, and what describes it.  Pure.

Source: dispatcher specification 12.4.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lava.model.errors import JobError
from lava.model.test_definition import TestDefinition

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_POSITIONAL = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Script:
    """What the scripts of one run are made from."""

    #: ``<n>_<name>``
    suite: str
    #: absolute, on the device
    directory: str
    definition: TestDefinition
    #: variables that the job sets; they win over the definition's
    variables: Mapping[str, Any]
    #: signals go through the kernel's log
    kmsg: bool = False
    character_delay: timedelta = timedelta(0)
    #: parts of the installation that are left out
    skip_install: tuple[str, ...] = ()

    def run_sh(self) -> str:
        """Return the script of the test.

        A failing step ends it, so that no end marker comes.  Markers are printed with tracing off: a traced
        ``echo`` would look like the marker itself.
        """
        delay = self.character_delay.total_seconds()
        lines = ["# USE_KMSG"] if self.kmsg else []
        lines += self._variable_lines()
        lines += [
            "set -e",
            "set -x",
            f"export TESTRUN_ID={shlex.quote(self.suite)}",
            f"cd {shlex.quote(self.directory)}",
        ]
        lines += ['UUID="$(cat uuid)"', "set +x"]
        if delay:
            lines += [f"export CHARACTER_DELAY={delay:g}", f"sleep {delay:g}"]
        if self.kmsg:
            lines.append("export KMSG=true")
        lines += [self._marker("STARTRUN"), "set -x"]
        lines += [_keep_positional(step) for step in self.definition.steps]
        lines.append("set +x")
        if delay:
            lines.append(f"sleep {delay:g}")
        lines.append(self._marker("ENDRUN"))
        if self.kmsg:
            lines.append("unset KMSG")
        return "\n".join(lines) + "\n"

    def install_sh(self, distribution: str | None = None) -> str | None:
        """Return the script that prepares the device for the test, None when there is nothing to prepare.

        Args:
            distribution: of the deployed system; adds ``deps-<distribution>``.
        """
        install = self.definition.install
        if install is None:
            return None

        def wanted(part: str, entries: tuple[str, ...]) -> tuple[str, ...]:
            return () if self.skips(part) else entries

        dependencies = (*install.deps, *install.deps_by_distro.get(distribution or "", ()))
        lines = [*self._variable_lines(), "set -e", "set -x"]
        lines += [f"lava-add-keys {key}" for key in wanted("keys", install.keys)]
        lines += [f"lava-add-sources {source}" for source in wanted("sources", install.sources)]
        if packages := wanted("deps", dependencies):
            lines.append(f"lava-install-packages {' '.join(packages)}")
        lines += [f"cd {shlex.quote(self.directory)}", "pwd"]
        lines += wanted("steps", install.steps)
        return "\n".join(lines) + "\n"

    def skips(self, part: str) -> bool:
        """Return whether the job leaves that part of the installation out."""
        return part in self.skip_install or "all" in self.skip_install

    def _marker(self, name: str) -> str:
        marker = f"<LAVA_SIGNAL_{name} $TESTRUN_ID $UUID>"
        return f'echo "<0>{marker}" > /dev/kmsg' if self.kmsg else f'echo "{marker}"'

    def _variable_lines(self) -> list[str]:
        lines = ["# variables of the test definition"]
        lines += [_assignment(name, value) for name, value in self.definition.parameters.items()]
        lines.append("# variables of the job")
        lines += [_assignment(name, value) for name, value in self.variables.items()]
        return lines


def _assignment(name: object, value: Any) -> str:
    if not _VARIABLE.fullmatch(str(name)):
        raise JobError(f"the parameter '{name}' cannot be the name of a shell variable: letters, digits and '_' only")
    # Truth is written as Python does, "True": what scripts of existing test definitions compare with.
    text = "" if value is None else str(value)
    return f"{name}='" + text.replace("'", "'\\''") + "'"


def _keep_positional(step: str) -> str:
    """Return the step with ``$1`` kept for the command that a helper runs; ``run.sh`` itself has no arguments."""
    return _POSITIONAL.sub(r"\\$\1", step) if "--cmd" in step or "--shell" in step else step


def describe(definition: TestDefinition, *, source: str, repository: str | None, commit: str | None) -> dict[str, Any]:
    """Return what ``testdef_metadata`` holds.

    Args:
        source: ``from`` of the job's definition.
    """
    metadata = definition.metadata
    return {
        "os": metadata.get("os"),
        "devices": metadata.get("devices"),
        "environment": metadata.get("environment"),
        "branch_vcs": source,
        "project_name": repository or definition.name,
        "commit_id": commit,
    }
