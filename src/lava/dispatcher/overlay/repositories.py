"""Fetch test definitions: from git, from an archive behind an address, or out of the job itself.

Source: dispatcher specification 12.4, job definition 10.1.
"""

from __future__ import annotations

import asyncio
import copy
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lava.dispatcher.action import Action
from lava.dispatcher.downloads import TAMED, check_source, data_member, fetch, resolve_url
from lava.dispatcher.git import GitSource, Remote, clone
from lava.dispatcher.job import StepContext
from lava.model.errors import InfrastructureError, JobError
from lava.model.faults import SubmissionError
from lava.model.job import Download
from lava.model.test_definition import TestDefinition, definition_faults, parse_test_definition
from lava.model.yaml_source import Source

from .facts import PlannedRun, TestRun, TestRuns


@dataclass(frozen=True, slots=True)
class OverlayTree:
    """The directory of the worker that stands for the root of the device's file system."""

    root: Path
    #: where the overlay lies on the device
    directory: str

    @property
    def top(self) -> Path:
        """The overlay itself."""
        return self.root / self.directory.lstrip("/")

    def directory_of(self, plan: PlannedRun) -> Path:
        """Return the directory of one run on the worker."""
        return self.top / str(plan.stage) / "tests" / plan.suite

    def device_directory_of(self, plan: PlannedRun) -> str:
        """Return the directory of one run on the device."""
        return f"{self.directory}/{plan.stage}/tests/{plan.suite}"


def overlay_tree(job: StepContext) -> OverlayTree:
    """Return the namespace's tree; whoever comes first makes it."""
    tree = job.find(OverlayTree)
    if tree is None or not tree.root.is_dir():
        tree = OverlayTree(job.directory(), job.results_directory())
        tree.top.mkdir(parents=True)
        job.put(tree)
    return tree


class FetchDefinition(Action):
    """Fetch one test definition and read it."""

    provides = (TestRuns,)
    on_timeout = InfrastructureError
    #: how the run's metadata names the kind of repository
    source: ClassVar[str]

    def __init__(self, plan: PlannedRun) -> None:
        self.plan = plan
        self.definition = plan.definition

    async def run(self, job: StepContext) -> None:
        directory = overlay_tree(job).directory_of(self.plan)
        await asyncio.to_thread(shutil.rmtree, directory, True)  # of an earlier attempt
        directory.parent.mkdir(parents=True, exist_ok=True)
        commit = await self._fetch(job, directory)
        run = TestRun(
            plan=self.plan,
            uuid=f"{job.job.id}_{job.step.level}",
            directory=directory,
            definition=read_definition(directory, self.definition.path, self.definition.name),
            repository=getattr(self, "url", self.source),
            commit=commit,
        )
        job.put((job.find(TestRuns) or TestRuns()).with_run(run))
        job.extra.update(
            {"name": self.definition.name, "path": self.definition.path, "from": self.source, "uuid": run.uuid}
        )
        if commit is not None:
            job.extra["commit"] = commit

    async def _fetch(self, job: StepContext, directory: Path) -> str | None:
        """Put the repository's content into ``directory``, which does not exist; return the commit."""
        raise NotImplementedError


class FetchInline(FetchDefinition):
    """Write the definition that stands in the job."""

    name = "inline-repo-action"
    summary = "write the test definition of the job"
    source = "inline"

    async def check(self, job: StepContext) -> list[str]:
        try:
            parse_test_definition(self.definition.repository, where=self.definition.name)
            inside(Path("/"), self.definition.path)
        except JobError as error:
            return [str(error)]
        return []

    async def _fetch(self, job: StepContext, directory: Path) -> str | None:
        import yaml

        text = yaml.safe_dump(self.definition.repository, sort_keys=False, allow_unicode=True)
        _write_alone(directory, self.definition.path, text)
        return None


class FetchGit(FetchDefinition):
    """Clone the repository that the definition lies in."""

    name = "git-repo-action"
    summary = "clone the repository of the test definition"
    source = "git"

    @property
    def url(self) -> str:
        """Address, for the pipeline's description: without a password."""
        return Remote.parse(str(self.definition.repository), {}).url

    async def check(self, job: StepContext) -> list[str]:
        check_git()
        inside(Path("/"), self.definition.path)
        return []

    async def _fetch(self, job: StepContext, directory: Path) -> str | None:
        definition = self.definition
        source = GitSource(
            url=str(definition.repository),
            branch=definition.branch,
            revision=definition.revision,
            shallow=definition.shallow,
            history=definition.history,
            recursive=definition.recursive,
        )
        commit = await clone(source, directory, job.log)
        job.log.info(f"{definition.name}: commit {commit}")
        return commit


class FetchUrl(FetchDefinition):
    """Download an archive and unpack it."""

    name = "url-repo-action"
    summary = "download the test definition"
    source = "url"

    @property
    def url(self) -> str:
        """Address, for the pipeline's description."""
        return str(self.definition.repository)

    async def check(self, job: StepContext) -> list[str]:
        inside(Path("/"), self.definition.path)
        address = resolve_url(self.url, job.device.get("static_info"))
        await check_source(address, self.definition.headers)
        return []

    async def _fetch(self, job: StepContext, directory: Path) -> str | None:
        definition = self.definition
        resource = Download(url=self.url, compression=definition.compression, headers=definition.headers)
        downloaded = await fetch(
            resource,
            resolve_url(self.url, job.device.get("static_info")),
            job.directory(),
            downloads=job.job.scratch / "downloads" / job.namespace,
            say=job.log.debug,
        )
        job.extra.update({"size": downloaded.size, "sha256sum": downloaded.sha256})
        try:
            await asyncio.to_thread(_unpack, downloaded.path, directory, definition.strip_components)
        except (tarfile.TarError, EOFError) as error:
            raise JobError(f"{self.url} is no tar archive that can be unpacked: {error}") from error
        finally:
            downloaded.path.unlink(missing_ok=True)
        return None


#: ``from`` of a definition: the action that fetches it
FETCHERS: Mapping[str, type[FetchDefinition]] = {"git": FetchGit, "inline": FetchInline, "url": FetchUrl}


def _write_alone(directory: Path, path: str, text: str) -> None:
    file = inside(directory, path)
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")


def check_git() -> None:
    """Raise unless git is on this worker.

    Raises:
        InfrastructureError: it is not.
    """
    if shutil.which("git") is None:
        raise InfrastructureError("'git', which fetches test definitions, is not installed on the worker")


def inside(directory: Path, path: str) -> Path:
    """Return ``path`` below ``directory``.

    Raises:
        JobError: it leads out of it.
    """
    if path.startswith("/") or ".." in Path(path).parts:
        raise JobError(f"'{path}' leads out of the repository: give a path below its top directory")
    return directory / path


def read_definition(directory: Path, path: str, name: str) -> TestDefinition:
    """Read the test definition at ``path`` of a repository.

    Raises:
        JobError: it is missing, unreadable, or no test definition.
    """
    file = inside(directory, path)
    where = f"{name} ({path})"
    if not file.resolve().is_relative_to(directory.resolve()):
        raise JobError(f"{where}: the link leads out of the repository")
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise JobError(f"{where}: the repository has no such file{_similar(directory, file)}") from None
    except UnicodeDecodeError as error:
        raise JobError(f"{where}: not UTF-8 at byte {error.start}") from None
    try:
        source = Source(text, path)
    except SubmissionError as error:
        raise JobError(f"{where}: {error}") from error
    if faults := list(definition_faults(source.value, strict=False)):
        raise JobError(f"{where}: " + "; ".join(map(str, source.placed(faults))))
    return parse_test_definition(source.value, where=path)


def _similar(directory: Path, file: Path) -> str:
    names = sorted(entry.name for entry in directory.iterdir() if entry.name != ".git") if directory.is_dir() else []
    return f"; its top directory has: {', '.join(names[:12])}" if names else ""


def _unpack(archive: Path, directory: Path, strip_components: int) -> None:
    """Unpack a tar archive, compressed or not, without the first components of its paths."""
    directory.mkdir()
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = Path(member.name).parts[strip_components:]
            if not parts:
                continue
            stripped = copy.copy(member)
            stripped.name = str(Path(*parts))
            if member.islnk():  # the target of a hard link is a path of the archive, too
                stripped.linkname = str(Path(*Path(member.linkname).parts[strip_components:]))
            tar.extract(data_member(stripped, directory), directory, **TAMED)
