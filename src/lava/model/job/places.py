"""Which keys mean something in which place: what only the strict reading asks.  Source: job definition 6.1, 8, 14."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lava.model.faults import Fault, Path

from .resource import Download, Resource


def _keys(model: type[Download]) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in model.model_fields.items())


#: keys that a resource has only in some places
_SPECIAL = _keys(Resource) - _keys(Download)
#: keys of a resource that is an image with overlays
_WITH_OVERLAYS = frozenset({"format", "partition", "sparse", "overlay_backend", "overlays"})

_NFS_ROOT = frozenset({"prefix", "install_overlay", "install_modules"})
_FLASHED = frozenset({"apply-overlay", "root_partition", "sparse"})
_IMAGE = frozenset({"apply-overlay", "root_partition"})
_AVH_IMAGE = frozenset({"root_partition", "format", "type", "partition"})

#: (deploy method, key of the block): what its resources may have beyond what all may have
_PLACES: Mapping[tuple[str, str], frozenset[str]] = {
    ("avh", "fw_package"): frozenset({"root_partition", "storage_file"}),
    ("avh", "images"): _AVH_IMAGE,
    ("fastboot", "images"): _FLASHED | {"reboot"},
    ("flasher", "images"): frozenset({"download"}),
    ("iso-installer", "images"): frozenset({"image_arg"}),
    ("mps", "images"): frozenset({"rename"}),
    ("nbd", "kernel"): frozenset({"type"}),
    ("nfs", "images"): _NFS_ROOT | {"image_arg"},
    ("nfs", "nfsrootfs"): _NFS_ROOT,
    ("qdl", "qcomflash"): _IMAGE,
    ("sata", "image"): _IMAGE,
    ("sata", "images"): _IMAGE,
    ("sd", "image"): _IMAGE,
    ("sd", "images"): _IMAGE,
    ("tftp", "kernel"): frozenset({"type"}),
    ("tftp", "nfsrootfs"): _NFS_ROOT,
    ("tftp", "ramdisk"): frozenset({"install_modules", "install_overlay", "header"}),
    ("tmpfs", "images"): frozenset({"image_arg"}),
    ("u-boot-ums", "image"): _IMAGE,
    ("usb", "image"): _IMAGE,
    ("usb", "images"): _IMAGE,
    ("usbg-ms", "image"): _IMAGE,
    ("uuu", "images"): _FLASHED,
}

_EMULATORS = ("monitor", "qemu", "qemu-iso", "qemu-nfs")
_SUBMITTED = ("roles", "timeout")


def misplaced_in_deploy(method: str, block: Mapping[Any, Any], path: Path) -> Iterator[Fault]:
    """Yield the keys of a deploy block's resources that mean something elsewhere and nothing here."""
    for name, value in block.items():
        allowed = _PLACES.get((method, name), frozenset())
        for place, resource in _resources(value, (*path, str(name))):
            here = allowed | _WITH_OVERLAYS if "overlays" in resource else allowed
            for key in resource:
                if key in _SPECIAL and key not in here:
                    yield Fault((*place, key), "unknown key", _belongs(key))


def misplaced_in_boot(method: str, block: Mapping[Any, Any], path: Path) -> Iterator[Fault]:
    """Yield the keys of a boot block that mean something with other methods and nothing here."""
    if method in _EMULATORS and "connection" in block:
        yield Fault((*path, "connection"), "unknown key", "a virtual machine has one console: take it away")


def misplaced_in_multinode(multinode: Mapping[Any, Any], path: Path) -> Iterator[Fault]:
    """Yield the keys of the MultiNode protocol that no submitter writes."""
    for key in multinode:
        if key not in _SUBMITTED:
            hint = "the server adds it when it splits a MultiNode job: submit the job as it was before"
            yield Fault((*path, str(key)), "unknown key", hint)


def _resources(value: object, path: Path) -> Iterator[tuple[Path, Mapping[Any, Any]]]:
    """Yield the resources in a block's value: itself, or those that it holds."""
    if isinstance(value, Mapping) and "url" in value:
        yield path, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, Mapping) and "url" in item:
                yield (*path, str(name)), item
    elif isinstance(value, list):
        for number, item in enumerate(value):
            if isinstance(item, Mapping) and "url" in item:
                yield (*path, number), item


def _belongs(key: str) -> str:
    if key in _WITH_OVERLAYS:
        return "it belongs to an image with overlays: take it away"
    places = [f"{name} of '{method}'" for (method, name), keys in _PLACES.items() if key in keys]
    return f"it belongs to {', '.join(places[:3])}: take it away"
