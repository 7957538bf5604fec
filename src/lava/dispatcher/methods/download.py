"""Download the resources of a deploy block.  Source: dispatcher specification 7."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from urllib.parse import urlsplit

from lava.dispatcher.action import Action, Retry
from lava.dispatcher.downloads import Downloaded, check_source, fetch, resolve_url
from lava.dispatcher.job import StepContext
from lava.dispatcher.plan_context import PlanContext
from lava.model.errors import InfrastructureError
from lava.model.job import DeployBlock, Download, Resource


@dataclass(frozen=True, slots=True)
class Image:
    """A downloaded resource with what the job says of it."""

    file: Downloaded
    resource: Download


@dataclass(frozen=True, slots=True)
class Downloads:
    """Everything that was downloaded in a namespace, by its key in the job."""

    images: Mapping[str, Image]


class Target(Enum):
    """Where a downloaded file goes."""

    #: a directory of its own; the kernel unpacks a ramdisk itself, it is only unpacked where something is put into it
    SCRATCH = auto()
    #: what ``downloads:`` addresses and containers of the namespace see
    SHARED = auto()
    #: the same, in a directory of the file's own
    SHARED_BY_KEY = auto()

    def directory(self, job: StepContext, key: str) -> Path:
        """Return the directory, made if it has to be."""
        match self:
            case Target.SCRATCH:
                return job.directory() / key
            case Target.SHARED:
                return downloads_directory(job)
            case Target.SHARED_BY_KEY:
                return downloads_directory(job) / key


class DownloadAction(Action):
    """Fetch one resource; its result says what was fetched."""

    summary = "download a file"
    provides = (Downloads,)
    on_timeout = InfrastructureError

    def __init__(self, key: str, resource: Download, target: Target) -> None:
        self.url = resource.url
        self._key = key
        self._resource = resource
        self._target = target
        self._file: Path | None = None

    async def check(self, job: StepContext) -> list[str]:
        await check_source(self._address(job), self._resource.headers)
        return []

    async def run(self, job: StepContext) -> None:
        address = self._address(job)
        job.log.info(f"downloading {address} as {self._key}")
        downloaded = await fetch(
            self._resource,
            address,
            self._target.directory(job, self._key),
            downloads=downloads_directory(job),
            say=job.log.debug,
            keep_packed=self._target is Target.SCRATCH and self._key == "ramdisk",
        )
        self._file = downloaded.path
        job.extra.update({"label": self._key, "size": downloaded.size, "sha256sum": downloaded.sha256})
        if self._resource.checksums:
            job.extra["success"] = self._resource.checksums
        known = job.find(Downloads)
        image = Image(downloaded, self._resource)
        job.put(Downloads({**(known.images if known else {}), self._key: image}))

    async def cleanup(self, job: StepContext) -> None:
        if self._file is None:
            return
        if self._file.is_dir():
            shutil.rmtree(self._file, ignore_errors=True)
        else:
            self._file.unlink(missing_ok=True)

    def _address(self, job: StepContext) -> str:
        return resolve_url(self._resource.url, job.device.get("static_info"))


class FileDownload(DownloadAction):
    name = "file-download"


class HttpDownload(DownloadAction):
    name = "http-download"


class PreDownloaded(DownloadAction):
    name = "pre-downloaded"


_BY_SCHEME: Mapping[str, type[DownloadAction]] = {
    "http": HttpDownload,
    "https": HttpDownload,
    "downloads": PreDownloaded,
}


def downloads_directory(job: StepContext) -> Path:
    """Return the directory that ``downloads:`` addresses of the step's namespace point to."""
    return job.job.scratch / "downloads" / job.namespace


def plan_download(
    block: DeployBlock, context: PlanContext, key: str, resource: Resource, target: Target = Target.SCRATCH
) -> Retry:
    """Return the actions that fetch one resource."""
    address = resolve_url(resource.url, context.device.get("static_info"))
    kind = _BY_SCHEME.get(urlsplit(address).scheme, FileDownload)
    fetching = kind(key, resource, target)
    return context.retry(
        block, "download-retry", f"download {key}, several times if needed", fetching, on_timeout=InfrastructureError
    )
