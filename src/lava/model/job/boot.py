"""Boot blocks: one class for each method, chosen by ``method``.  Source: job definition 9."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from .base import Model, Strings, Text, Texts, fault
from .block import Block
from .resource import AnyDocker, NamedDocker


class AutoLogin(Model):
    """How to log in.  Source: job definition 9.2."""

    login_prompt: Text
    username: str
    password_prompt: str | None = None
    password: str | None = None
    login_commands: Strings = ()

    @model_validator(mode="after")
    def _password_for_the_prompt(self) -> AutoLogin:
        if self.password_prompt is not None and self.password is None:
            raise fault("password_prompt needs a password", "write password: '' for an empty one")
        return self


class TransferOverlay(Model):
    """How the booted system fetches the test overlay.  Source: job definition 9.3."""

    transfer_method: Literal["http", "nfs", "zmodem"] = "http"
    download_command: str | None = None
    unpack_command: str

    @model_validator(mode="after")
    def _download_needed(self) -> TransferOverlay:
        if self.transfer_method != "zmodem" and self.download_command is None:
            raise fault("download_command is needed", "for example 'wget'")
        return self


class BootBlock(Block):
    """Start the device and wait for its shell."""

    kind = "boot"

    method_name: Annotated[str, Field(alias="method", min_length=1)]
    prompts: Texts = ()
    auto_login: AutoLogin | None = None
    parameters: dict[str, str | int | None] = {}
    soft_reboot: Strings = ()
    ignore_kernel_messages: bool = False
    failure_message: str | None = None
    transfer_overlay: TransferOverlay | None = None
    commands: str | tuple[Any, ...] | list[Any] | None = None
    connection: str | None = None
    os: str | None = None
    type: str | None = None

    @property
    def method(self) -> str:
        return self.method_name


class CommandsBoot(BootBlock):
    """u-boot, barebox, grub, …: a set of commands of the device, or a list of them."""

    commands: str | tuple[Any, ...] | list[Any]
    reset: bool = True
    use_bootscript: bool = False
    kernel: str | None = None
    kernel_type: str | None = None
    ramdisk: str | None = None
    dtb: str | None = None
    root_uuid: str | None = None
    boot_part: int | None = None
    expect_shell: bool = True
    boot_finished: Strings = ()
    extra_kernel_args: str | None = None
    shell_menu: str | None = None


class QemuBoot(BootBlock):
    """qemu, qemu-nfs, monitor, qemu-iso."""

    media: str | None = None
    docker: AnyDocker | None = None


class BootloaderBoot(BootBlock):
    bootloader: Text
    reset: bool = True
    reset_device: bool = True
    reset_connection: bool = True


class MinimalBoot(BootBlock):
    reset: bool = True
    pre_power_command: bool = False
    pre_os_command: bool = False


class NewConnectionBoot(BootBlock):
    connection: Text


class DockerBoot(BootBlock):
    command: str
    downloads_namespace: Annotated[str | None, Field(alias="downloads-namespace")] = None


class KexecBoot(BootBlock):
    boot_message: str
    command: str = "/sbin/kexec"
    kernel: str | None = None
    dtb: str | None = None
    initrd: str | None = None
    options: Strings = ()
    kernel_config: Annotated[Any, Field(alias="kernel-config")] = None
    deploy: Any = None
    on_panic: bool = False


class UefiMenuBoot(BootBlock):
    line_separator: Literal["dos", "unix"] = "dos"


class FvpBoot(BootBlock):
    image: str
    arguments: Strings
    console_string: str
    docker: NamedDocker
    use_telnet: bool = True
    feedbacks: Strings = ()
    version_string: str | None = None
    version_args: str | None = None
    license_variable: str | None = None
    ubl_license: str | None = None
    environment: Strings = ()
    erpc_app: str | None = None


class JlinkBoot(BootBlock):
    coretype: str | None = None


class GdbBoot(BootBlock):
    commands: str
    container: str | None = None


class SchrootBoot(BootBlock):
    schroot: str


class UuuBoot(BootBlock):
    commands: str | tuple[Any, ...] | list[Any]
    skip_uuu_if_bootloader_valid: bool = False
    docker: AnyDocker | None = None


class QdlBoot(BootBlock):
    firehose_program: str
    rawprogram: str
    patch: str | None = None
    path: str | None = None
    storage: str | None = None
    debug: bool = False


class NodebooterBoot(BootBlock):
    command: str
    docker: AnyDocker
    downloads_namespace: Annotated[str | None, Field(alias="downloads-namespace")] = None


class AvhBoot(BootBlock):
    prompts: Texts
    bootargs: dict[str, str] = {}
    docker: AnyDocker | None = None


class FastbootBoot(BootBlock):
    """Steps come from the device's sequence; commands are fastboot arguments run first."""

    docker: AnyDocker | None = None
    use_bootscript: bool = False


#: boot method: its block.  Methods that are accepted here and not built yet are refused by the dispatcher.
BOOT_BLOCKS: dict[str, type[BootBlock]] = {
    "avh": AvhBoot,
    "barebox": CommandsBoot,
    "bootloader": BootloaderBoot,
    "cmsis-dap": BootBlock,
    "depthcharge": CommandsBoot,
    "dfu": BootBlock,
    "docker": DockerBoot,
    "fastboot": FastbootBoot,
    "fvp": FvpBoot,
    "gdb": GdbBoot,
    "grub": CommandsBoot,
    "grub-efi": CommandsBoot,
    "ipxe": CommandsBoot,
    "jlink": JlinkBoot,
    "kexec": KexecBoot,
    "lxc": BootBlock,
    "minimal": MinimalBoot,
    "monitor": QemuBoot,
    "musca": BootBlock,
    "new_connection": NewConnectionBoot,
    "nodebooter": NodebooterBoot,
    "openocd": BootBlock,
    "pyocd": BootBlock,
    "qdl": QdlBoot,
    "qemu": QemuBoot,
    "qemu-iso": QemuBoot,
    "qemu-nfs": QemuBoot,
    "recovery": BootBlock,
    "schroot": SchrootBoot,
    "ssh": BootBlock,
    "u-boot": CommandsBoot,
    "uefi": CommandsBoot,
    "uefi-menu": UefiMenuBoot,
    "uuu": UuuBoot,
}
