"""Something to download.  Source: job definition 8.2, 8.8."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator

from .base import Model, Text, fault

Compression = Literal["bz2", "gz", "xz", "zip", "zstd"]


def _no_compression(value: Any) -> Any:
    """``null``, ``""`` and the word ``none`` all mean: not compressed.  Source: job definition 14."""
    return None if value in ("", "none") else value


CompressionValue = Annotated[Compression | None, BeforeValidator(_no_compression)]


def _upper_bound_ok(value: str) -> str:
    if value.endswith("/"):
        raise fault("the address of a file must not end in '/'", "name the file")
    return value


class Download(Model):
    """An address with what is known of the bytes behind it."""

    url: Text
    compression: CompressionValue = None
    archive: Literal["tar"] | None = None
    md5sum: Annotated[str, Field(pattern="^[0-9a-fA-F]{32}$")] | None = None
    sha256sum: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None = None
    sha512sum: Annotated[str, Field(pattern="^[0-9a-fA-F]{128}$")] | None = None
    headers: dict[str, str] = {}
    use_cache: bool = True

    _names_a_file = field_validator("url")(_upper_bound_ok)

    @property
    def checksums(self) -> dict[str, str]:
        """The digests to compare with, by algorithm, in lower case."""
        named = {"md5": self.md5sum, "sha256": self.sha256sum, "sha512": self.sha512sum}
        return {algorithm: digest.lower() for algorithm, digest in named.items() if digest}


class Overlay(Download):
    """A file or archive to put into an image."""

    format: Literal["file", "tar"]
    path: str

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        if not path.startswith("/") or ".." in path.split("/"):
            raise fault(f"'{path}' is no absolute path", "start with '/' and leave '..' out")
        return path


OverlayValue = Annotated[
    Annotated[Literal[True], Tag("#lava")] | Annotated[Overlay, Tag("#file")],
    Discriminator(lambda value: "#file" if isinstance(value, dict | Overlay) else "#lava"),
]


class Resource(Download):
    """A download of a deploy block, with everything that a method may want to know of it."""

    image_arg: str | None = None
    type: str | None = None
    header: str | None = None
    install_modules: bool = True
    install_overlay: bool = True
    prefix: str | None = None
    apply_overlay: bool = Field(False, alias="apply-overlay")
    sparse: bool | None = None
    reboot: (
        Literal["hard-reset", "fastboot-reboot", "fastboot-reboot-bootloader", "fastboot-reboot-fastboot"] | None
    ) = None
    root_partition: Annotated[int, Field(ge=0)] | None = None
    rename: str | None = None
    storage_file: str | None = None
    download: bool = True
    format: str | None = None
    partition: Annotated[int, Field(ge=0)] | None = None
    overlay_backend: Literal["auto", "e2fsprogs", "guestfs"] | None = None
    overlays: dict[str, OverlayValue] = {}

    @field_validator("prefix")
    @classmethod
    def _relative_directory(cls, prefix: str | None) -> str | None:
        if prefix is not None and (prefix.startswith("/") or not prefix.endswith("/")):
            raise fault(f"'{prefix}' is no relative directory", "write it without a leading and with a trailing '/'")
        return prefix


ImageName = Annotated[str, Field(pattern=r"^[a-z0-9]+[a-z0-9._/:-]*[a-z0-9]+(:[a-zA-Z0-9_]+[a-zA-Z0-9._-]*)?$")]


class Docker(Model):
    """A container image to run something in."""

    image: ImageName
    local: bool = False
    container_name: str | None = None
    network_from: str | None = None
    login: dict[str, str] | None = None
    binary: str | None = None


class NamedDocker(Docker):
    """The same where the image's key is ``name``.  Source: job definition 8.8."""

    image: Annotated[ImageName, Field(alias="name")]


AnyDocker = Annotated[
    Annotated[Docker, Tag("#image")] | Annotated[NamedDocker, Tag("#name")],
    Discriminator(lambda value: "#name" if isinstance(value, NamedDocker) or _has_name(value) else "#image"),
]


def _has_name(value: object) -> bool:
    return isinstance(value, dict) and "name" in value and "image" not in value
