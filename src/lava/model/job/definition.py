"""The job definition as a whole.  Source: job definition 2-6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from .base import Model, Strings, Text, TimeoutValue, describe, fault
from .block import Block

PRIORITIES = {"low": 0, "medium": 50, "high": 100}

#: device-configuration variables that a job may set.  Source: job definition 4
CONTEXT_VARIABLES = frozenset(
    """
    arch boot_console boot_root cpu extra_options guestfs_driveid guestfs_interface guestfs_size machine memory
    model monitor netdevice no_kvm no_network serial vga
    booti_dtb_addr booti_kernel_addr booti_ramdisk_addr bootm_dtb_addr bootm_kernel_addr bootm_ramdisk_addr
    bootz_dtb_addr bootz_kernel_addr bootz_ramdisk_addr
    deploy_character_delay boot_character_delay test_character_delay boot_retry failure_retry bootloader_prompt
    console_device custom_kernel_args extra_kernel_args extra_nfsroot_args kernel_loglevel kernel_start_message
    lava_test_results_dir menu_interrupt_prompt mustang_menu_list tftp_mac_address uboot_extra_error_message
    uboot_needs_interrupt uboot_altbank
    """.split()
)


def _priority(value: Any) -> int:
    if isinstance(value, str) and value.lower() in PRIORITIES:
        return PRIORITIES[value.lower()]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100:
        return value
    raise fault(f"priority must be high, medium, low or a number from 0 to 100, not {describe(value)}")


class Visibility(Model):
    """Who may see the job: everybody, the submitter, or members of all of the groups."""

    scope: Literal["public", "personal", "group"]
    groups: tuple[str, ...] = ()


def _visibility(value: Any) -> Any:
    match value:
        case "public" | "personal":
            return Visibility(scope=value)
        case {"group": [*groups]} if groups and all(isinstance(group, str) for group in groups):
            return Visibility(scope="group", groups=tuple(groups))
        case _:
            raise fault(
                f"visibility must be public, personal or a group list, not {describe(value)}",
                "write 'visibility: public' or 'visibility: {group: [name]}'",
            )


def _context(value: Any) -> Any:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(item, int | str) and not (
                isinstance(item, list) and all(isinstance(part, int | str) for part in item)
            ):
                raise fault(f"'{key}' must be text, a number or a list of them, not {describe(item)}")
    return value


class Timeouts(Model):
    """Time limits of the job.  Source: job definition 3."""

    job: TimeoutValue
    action: TimeoutValue | None = None
    actions: dict[str, TimeoutValue] = {}
    connection: TimeoutValue | None = None
    connections: dict[str, TimeoutValue] = {}
    queue: TimeoutValue | None = None


class Recipient(Model):
    class To(Model):
        method: Literal["email", "irc"]
        user: str | None = None
        email: str | None = None
        handle: str | None = None
        server: str | None = None

    to: To


class Callback(Model):
    url: Text
    method: Literal["GET", "POST"] = "GET"
    token: str | None = None
    header: str = "Authorization"
    dataset: Literal["minimal", "logs", "results", "all"] = "minimal"
    content_type: Annotated[Literal["json", "urlencoded"], Field(alias="content-type")] = "urlencoded"


class Criteria(Model):
    status: Literal["running", "complete", "incomplete", "canceled", "finished", "all"]
    type: Literal["regression", "progression"] | None = None
    dependency_query: str | None = None


class Notify(Model):
    """Whom to tell what.  Source: job definition 5."""

    criteria: Criteria
    verbosity: Literal["verbose", "quiet", "status-only"] = "quiet"
    recipients: list[Recipient] = []
    callback: Callback | None = None
    callbacks: list[Callback] = []
    compare: dict[str, Any] = {}

    @model_validator(mode="after")
    def _one_form(self) -> Notify:
        if self.callback is not None and self.callbacks:
            raise fault("callback and callbacks exclude each other", "put all of them into callbacks")
        return self


class Role(Model):
    """What a node of a MultiNode job is: a device, or a connection to another node's.  Source: job definition 6.1."""

    device_type: Text | None = None
    connection: Text | None = None
    count: Annotated[int, Field(ge=0)]
    device: Text | None = None
    worker: Text | None = None
    context: Annotated[dict[str, Any], BeforeValidator(_context)] = {}
    tags: Strings = ()
    environment: dict[str, Any] = {}
    essential: bool = False
    request: str | None = None
    host_role: str | None = None
    expect_role: str | None = None
    timeout: TimeoutValue | None = None


class JobDefinition(Model):
    """A job definition, read and checked.  ``document`` is what was read, for what has to be given on verbatim."""

    job_name: Annotated[str, Field(min_length=1, max_length=200)]
    device_type: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    device: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    worker: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    timeouts: Timeouts
    visibility: Annotated[Visibility, BeforeValidator(_visibility)]
    priority: Annotated[int, BeforeValidator(_priority)] = PRIORITIES["medium"]
    context: Annotated[dict[str, Any], BeforeValidator(_context)] = {}
    tags: Strings = ()
    metadata: dict[str | int, Any] = {}
    environment: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    protocols: dict[str, Any] = {}
    notify: Notify | None = None
    reboot_to_fastboot: bool = True
    connection: str | None = None
    host_role: str | None = None
    actions: Annotated[tuple[Any, ...], Field(exclude=True)] = ()
    document: Annotated[Mapping[str, Any], Field(exclude=True)] = {}

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The action blocks in order."""
        return self.actions

    @property
    def is_multinode(self) -> bool:
        """Whether this is the definition of a group, not yet split into its nodes."""
        return (
            "roles" in (self.protocols.get("lava-multinode") or {}) and "role" not in self.protocols["lava-multinode"]
        )
