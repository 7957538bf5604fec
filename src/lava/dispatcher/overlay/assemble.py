"""Put the overlay together: what goes beside each test definition, and the archive of all.

Source: dispatcher specification 12.2, 12.4.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from lava.dispatcher.action import Action
from lava.dispatcher.git import GitSource, clone
from lava.dispatcher.job import StepContext
from lava.model.errors import ConfigurationError, InfrastructureError, JobError

from .archive import write_archive
from .environment import DeviceEnvironment, secrets_text
from .facts import Overlay, PlannedRun, TestRun, TestRuns
from .helpers import helpers
from .repositories import OverlayTree, check_git, overlay_tree
from .scripts import Script, describe
from .stages import Stage


def script_of(job: StepContext, run: TestRun) -> Script:
    """Return what the run's scripts are made from."""
    definition = run.plan.definition
    return Script(
        suite=run.plan.suite,
        directory=overlay_tree(job).device_directory_of(run.plan),
        definition=run.definition,
        variables=definition.variables,
        kmsg=definition.lava_signal == "kmsg",
        # The tests' own delay, not the one of the deploy section that the overlay is made in.
        character_delay=timedelta(milliseconds=job.device.character_delay("test")),
        skip_install=definition.skip_install,
    )


class OverlayAction(Action):
    """Something done for one run that has been fetched."""

    needs = (TestRuns,)
    on_timeout = InfrastructureError

    def __init__(self, plan: PlannedRun) -> None:
        self._plan = plan

    def _run_of(self, job: StepContext) -> TestRun:
        return job.get(TestRuns).by_number[self._plan.number]


class TestOverlay(OverlayAction):
    """Write what identifies the run: the definition, its id, where it came from."""

    __test__ = False
    name = "test-overlay"
    summary = "say what the test is"

    async def run(self, job: StepContext) -> None:
        import yaml

        run = self._run_of(job)
        definition = self._plan.definition
        repository = None if definition.source == "inline" else run.repository  # without a password
        metadata = describe(run.definition, source=definition.source, repository=repository, commit=run.commit)
        _write(run.directory / "uuid", f"{run.uuid}\n")
        _write(run.directory / "testdef_metadata", yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True))
        if definition.path != "testdef.yaml":
            _write(run.directory / "testdef.yaml", (run.directory / definition.path).read_text(encoding="utf-8"))


class TestInstallOverlay(OverlayAction):
    """Write the script that prepares the device, and clone what the test wants cloned."""

    __test__ = False
    name = "test-install-overlay"
    summary = "write the installation script of the test"

    async def run(self, job: StepContext) -> None:
        run = self._run_of(job)
        script = script_of(job, run)
        text = script.install_sh(job.profile.distro)
        if text is None:
            return
        _write(run.directory / "install.sh", text, mode=0o755)
        if script.skips("git-repos") or run.definition.install is None:
            return
        variables = {**run.definition.parameters, **script.variables}
        for repository in run.definition.install.git_repos:
            # Each of the three may be the name of a parameter.
            url, branch, destination = (
                None if value is None else str(variables.get(value, value))
                for value in (repository.url, repository.branch, repository.destination)
            )
            if not url:
                raise JobError(f"{run.plan.definition.name}: the address of an entry of install.git-repos is empty")
            check_git()
            directory = run.directory / _child(destination or url.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git"))
            try:
                await clone(GitSource(url, branch or None), directory, job.log)
            except InfrastructureError as error:
                raise JobError(f"{run.plan.definition.name}: install.git-repos: {error}") from error


def _child(name: str) -> str:
    if "/" in name or name in ("", ".", ".."):
        raise JobError(f"install.git-repos: '{name}' must be a directory right below the test's")
    return name


class TestRunscriptOverlay(OverlayAction):
    """Write the script of the test."""

    __test__ = False
    name = "test-runscript-overlay"
    summary = "write the script of the test"

    async def run(self, job: StepContext) -> None:
        run = self._run_of(job)
        _write(run.directory / "run.sh", script_of(job, run).run_sh(), mode=0o755)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.unlink(missing_ok=True)  # a repository may have a link of that name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode & 0o700)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    path.chmod(mode)


@dataclass(frozen=True, slots=True)
class AuthorizedKeys:
    """Who may log in by ssh."""

    text: str


class SshAuthorize(Action):
    """Let the lab log in by ssh, when the job asks for it.  Source: job definition 8.1, ``authorize``."""

    name = "ssh-authorize"
    summary = "authorise the lab's ssh key"

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted

    async def check(self, job: StepContext) -> list[str]:
        if self._wanted and not self._public_key(job).is_file():
            raise ConfigurationError(f"the lab's public key {self._public_key(job)} is not on this worker")
        return []

    async def run(self, job: StepContext) -> None:
        if not self._wanted:
            job.log.debug("the job does not ask for ssh authorisation")
            return
        job.put(AuthorizedKeys(self._public_key(job).read_text(encoding="utf-8")))

    def _public_key(self, job: StepContext) -> Path:
        parameters = job.device.deploy_methods.get("ssh") or {}
        identity = Path(str(parameters.get("identity_file") or ""))
        return identity.with_name(f"{identity.name}.pub") if identity.name else identity


class CompressOverlay(Action):
    """Pack helpers, environment, secrets and tests into the archive that goes to the device."""

    name = "compress-overlay"
    summary = "pack the overlay"
    provides = (Overlay,)
    on_timeout = InfrastructureError

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self._stages = stages

    async def check(self, job: StepContext) -> list[str]:
        if "%s" not in str(job.constant("lava_test_results_dir")):
            raise ConfigurationError("lava_test_results_dir must contain '%s', which stands for the job's id")
        return []

    async def run(self, job: StepContext) -> None:
        tree = overlay_tree(job)
        shell = str(job.constant("lava_test_sh_cmd"))
        parts = self._complete(job, tree, shell)
        archive = job.directory() / f"overlay-{job.step.level}.tar.gz"
        await asyncio.to_thread(write_archive, archive, tree.root, parts)
        job.log.debug(f"overlay: {archive} ({archive.stat().st_size} bytes)")
        job.put(Overlay(tree.root, archive, tree.directory, shell))

    async def cleanup(self, job: StepContext) -> None:
        if (overlay := job.find(Overlay)) is not None:
            shutil.rmtree(overlay.archive.parent, ignore_errors=True)
            shutil.rmtree(overlay.tree, ignore_errors=True)

    def _complete(self, job: StepContext, tree: OverlayTree, shell: str) -> list[Path]:
        """Put into the tree whatever stands beside the tests; return the directories that are the overlay's own."""
        for name in ("bin", "tests", "results"):
            (tree.top / name).mkdir(exist_ok=True)
        for name, content in helpers(shell, job.profile.distro, job.device.document):
            _write(tree.top / "bin" / name, content, mode=0o755)
        _write(tree.top / "environment", _environment(job).text())
        overrides = job.job.device_environment.overrides
        _write(tree.top / "secrets", secrets_text(job.job.definition.secrets, overrides), mode=0o600)
        for stage in self._stages:
            lines = [f"{tree.device_directory_of(plan)}\n" for plan in stage.runs]
            _write(tree.top / str(stage.number) / "lava-test-runner.conf", "".join(lines))
        if (keys := job.find(AuthorizedKeys)) is None:
            return [tree.top]
        directory = tree.root / "root" / ".ssh"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(directory / "authorized_keys", keys.text, mode=0o600)
        return [tree.top, directory]


def _environment(job: StepContext) -> DeviceEnvironment:
    configuration = job.job.configuration
    environment = DeviceEnvironment(
        job_id=job.job.id,
        device=job.device.document,
        job=job.job.definition.environment,
        tags=job.job.definition.tags,
        dispatcher_prefix=configuration.prefix,
        http_cache=str(configuration.values.get("http_url_format_string") or ""),
    )
    try:
        return replace(environment, dispatcher_ip=configuration.address())
    except InfrastructureError as error:
        # A lab without a network can still test what needs none.
        job.log.warning(f"LAVA_DISPATCHER_IP is left out: {error}")
        return environment
