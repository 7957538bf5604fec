"""Deploy blocks: one class for each method, chosen by ``to``.  Source: job definition 8."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from .base import AsTuple, Model, Strings, Text, fault
from .block import Block
from .resource import Docker, ImageName, NamedDocker, Resource


def _single_components(images: Any) -> Any:
    if isinstance(images, dict):
        if not images:
            raise fault("at least one image is needed", "write 'name: {url: …}' below it")
        for name in images:
            if not isinstance(name, str) or "/" in name or name in ("", ".", ".."):
                raise fault(f"'{name}' is no name for an image", "a name is one word without '/'")
    return images


Images = Annotated[dict[str, Resource], BeforeValidator(_single_components)]


class DeployBlock(Block):
    """Bring files to the device."""

    kind = "deploy"

    to: Text
    os: str | None = None
    authorize: Literal["ssh"] | None = None
    overlay_backend: Literal["auto", "e2fsprogs", "guestfs"] = "auto"
    connection: str | None = None

    @property
    def method(self) -> str:
        return self.to


class TmpfsDeploy(DeployBlock):
    images: Images
    uefi: Resource | None = None
    type: str | None = None


class KernelResource(Resource):
    type: Literal["image", "uimage", "zimage"] | None = None


class PersistentNfs(Model):
    address: Text
    install_overlay: bool = True


class TftpDeploy(DeployBlock):
    kernel: KernelResource | None = None
    dtb: Resource | None = None
    dtbo: Annotated[tuple[Resource, ...], AsTuple] = ()
    ramdisk: Resource | None = None
    nfsrootfs: Resource | None = None
    persistent_nfs: PersistentNfs | None = None
    modules: Resource | None = None
    preseed: Resource | None = None
    tee: Resource | None = None
    extra_files: dict[str, Resource] = {}

    @model_validator(mode="after")
    def _one_nfs_root(self) -> TftpDeploy:
        if self.nfsrootfs is not None and self.persistent_nfs is not None:
            raise fault("nfsrootfs and persistent_nfs exclude each other", "keep one of them")
        return self


class NfsDeploy(DeployBlock):
    images: Images | None = None
    nfsrootfs: Resource | None = None
    modules: Resource | None = None


class NbdDeploy(DeployBlock):
    kernel: KernelResource
    nbdroot: Resource
    initrd: Resource
    dtb: Resource | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_other_root(cls, block: Any) -> Any:
        if isinstance(block, dict) and (wrong := {"ramdisk", "nfsrootfs"} & block.keys()):
            raise fault(f"'{min(wrong)}' cannot be used with nbd", "use initrd and nbdroot")
        return block


class FastbootDeploy(DeployBlock):
    images: Images
    docker: Docker | None = None


class DockerDeploy(DeployBlock):
    image: Annotated[
        Annotated[NamedDocker, Tag("#mapping")] | Annotated[ImageName, Tag("#name")],
        Discriminator(lambda value: "#mapping" if isinstance(value, dict | NamedDocker) else "#name"),
    ]


class PostProcess(Model):
    class InDocker(Docker):
        steps: Strings
        devices: Strings = ()

    docker: InDocker


class DownloadsDeploy(DeployBlock):
    images: Images
    uniquify: bool = False
    postprocess: PostProcess | None = None


class ImagesDeploy(DeployBlock):
    """download, recovery, uuu, mps: nothing but images."""

    images: Images
    uniquify: bool = True
    docker: Docker | None = None


class OverlayDeploy(DeployBlock):
    """The image is already on the device: only the test overlay is built."""


class SshDeploy(DeployBlock):
    firmware: Resource | None = None
    kernel: Resource | None = None
    dtb: Resource | None = None
    rootfs: Resource | None = None
    modules: Resource | None = None


class FlasherDeploy(DeployBlock):
    images: Images
    uniquify: bool = True


class Tool(Model):
    tool: Text
    options: str
    prompt: str


class StorageDeploy(DeployBlock):
    """usb, sata, sd: written from a running system."""

    device: Text
    image: Resource | None = None
    images: Images | None = None
    root_partition: int | None = None
    download: Tool | None = None
    writer: Tool | None = None
    tool: dict[str, Any] | None = None
    uniquify: bool = True

    @model_validator(mode="after")
    def _one_image(self) -> StorageDeploy:
        if (self.image is None) == (self.images is None):
            raise fault("exactly one of image and images is needed", "use images when there is more than one file")
        if self.images is not None and "image" not in self.images:
            raise fault("images needs an entry 'image'", "it is the one that is written")
        return self


class IsoInstallerDeploy(DeployBlock):
    class Iso(Model):
        installation_size: Annotated[str, Field(pattern="^[0-9]+[MG]$")]
        kernel: Annotated[str, Field(pattern="^/")]
        initrd: Annotated[str, Field(pattern="^/")]

    images: Images
    iso: Iso


class RecoveryImageDeploy(DeployBlock):
    """vemsd: one archive of firmware."""

    recovery_image: Resource


class FvpDeploy(DeployBlock):
    images: Images
    ramdisk: dict[str, Any] | None = None
    uniquify: bool = True


class ImageDeploy(DeployBlock):
    """u-boot-ums, usbg-ms: one disk image."""

    image: Resource
    root_partition: int | None = None


class QdlDeploy(DeployBlock):
    qcomflash: Resource | None = None
    images: Images | None = None
    rootfs_image: str = "rootfs.img"
    uniquify: bool = False


class AvhDeploy(DeployBlock):
    images: Images | None = None
    fw_package: Resource | None = None
    storage_file: str | None = None
    root_partition: int | None = None
    options: dict[str, Any] = {}
    uniquify: bool = True


class LxcDeploy(DeployBlock):
    packages: Strings = ()


#: deploy method: its block.  Methods that are accepted here and not built yet are refused by the dispatcher.
DEPLOY_BLOCKS: dict[str, type[DeployBlock]] = {
    "avh": AvhDeploy,
    "docker": DockerDeploy,
    "download": ImagesDeploy,
    "downloads": DownloadsDeploy,
    "fastboot": FastbootDeploy,
    "flasher": FlasherDeploy,
    "fvp": FvpDeploy,
    "iso-installer": IsoInstallerDeploy,
    "lxc": LxcDeploy,
    "mps": ImagesDeploy,
    "musca": ImagesDeploy,
    "nbd": NbdDeploy,
    "nfs": NfsDeploy,
    "overlay": OverlayDeploy,
    "qdl": QdlDeploy,
    "recovery": ImagesDeploy,
    "sata": StorageDeploy,
    "sd": StorageDeploy,
    "ssh": SshDeploy,
    "tftp": TftpDeploy,
    "tmpfs": TmpfsDeploy,
    "u-boot-ums": ImageDeploy,
    "usb": StorageDeploy,
    "usbg-ms": ImageDeploy,
    "uuu": ImagesDeploy,
    "vemsd": RecoveryImageDeploy,
}
