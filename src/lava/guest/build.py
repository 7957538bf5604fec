"""Build the guest into a cache directory; a second call finds it there."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

from . import cpio

#: drivers of the disks and networks that QEMU offers; everything they depend on comes along
DRIVERS = ("virtio_pci", "virtio_blk", "ata_piix", "sd_mod", "virtio_net")
#: files that make a guest; all are there or the guest is built anew
PRODUCTS = ("vmlinuz", "initrd.img", "rootfs.ext4.gz")
ROOT_SIZE = "24M"

Say = Callable[[str], None]


class GuestError(Exception):
    """The guest cannot be built here; the message says what is missing and what to do."""


def default_cache() -> Path:
    """Return the directory that holds the guest: below ``XDG_CACHE_HOME``, or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lava" / "guest"


def build(cache: Path, *, say: Say = print) -> Path:
    """Return the directory with :data:`PRODUCTS`, building them if they are missing or outdated.

    Several processes may call this at once: one builds, the others wait.

    Raises:
        GuestError: a program is missing or Debian's packages cannot be fetched.
    """
    cache.mkdir(parents=True, exist_ok=True)
    directory = cache / _recipe_digest()
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if all((directory / product).exists() for product in PRODUCTS):
            return directory
        say("building the guest (once): Debian's cloud kernel, busybox, a root file system")
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            products = _build(Path(scratch))
            shutil.rmtree(directory, ignore_errors=True)
            products.rename(directory)
    return directory


def _recipe_digest() -> str:
    """Name a guest after everything that it is built from, so that a new recipe is a new guest."""
    digest = hashlib.sha256()
    recipe = files(__package__)
    for name in ("build.py", "cpio.py"):
        digest.update(recipe.joinpath(name).read_bytes())
    for path, content in _tree("root"):
        digest.update(path.encode() + b"\0" + content)
    return digest.hexdigest()[:16]


def _build(scratch: Path) -> Path:
    packages, kernel, user_space = scratch / "packages", scratch / "kernel", scratch / "user"
    products = scratch / "products"
    for directory in (packages, products):
        directory.mkdir()
    image = _dependency_of("linux-image-cloud-amd64")
    _unpack(_download(image, packages), kernel)
    _unpack(_download("busybox-static", packages), user_space)
    busybox = (user_space / "bin" / "busybox").read_bytes()
    shutil.copyfile(next((kernel / "boot").glob("vmlinuz-*")), products / "vmlinuz")
    (products / "initrd.img").write_bytes(gzip.compress(_initramfs(kernel, busybox), 6))
    _root_file_system(scratch / "tree", busybox, products / "rootfs.ext4")
    return products


def _dependency_of(package: str) -> str:
    """Return the versioned kernel package that Debian's meta package stands for."""
    for line in _run(["apt-cache", "depends", package]).splitlines():
        if match := re.match(r"\s*Depends: (linux-image-\S+)", line):
            return match.group(1)
    raise GuestError(f"Debian's package list does not know {package}: run 'apt-get update' as root, then try again")


def _download(package: str, directory: Path) -> Path:
    try:
        # The sandbox user of apt cannot write below a home directory; the warning about it helps nobody.
        _run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package], cwd=directory)
    except GuestError as error:
        raise GuestError(f"cannot fetch Debian's package {package}: {error}; run 'apt-get update' as root") from error
    return next(directory.glob(f"{package}_*.deb"))


def _unpack(package: Path, directory: Path) -> None:
    _run(["dpkg-deb", "-x", str(package), str(directory)])


def _initramfs(kernel: Path, busybox: bytes) -> bytes:
    drivers = list(_with_dependencies(kernel, DRIVERS))
    entries = [cpio.directory(name) for name in ("bin", "dev", "proc", "root", "modules")]
    entries.append(cpio.character_device("dev/console", 5, 1))
    entries.append(cpio.file("bin/busybox", busybox, executable=True))
    entries.append(cpio.file("init", _recipe_file("init"), executable=True))
    entries.append(cpio.file("modules/order", "".join(f"{driver.name}\n" for driver in drivers).encode()))
    entries += [cpio.file(f"modules/{driver.name}", driver.read_bytes()) for driver in drivers]
    return cpio.archive(entries)


def _with_dependencies(kernel: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """Yield the module files in loading order: there is no ``modules.dep`` before installation."""
    available = {path.stem.replace("-", "_"): path for path in kernel.glob("lib/modules/*/kernel/**/*.ko")}
    seen: set[str] = set()

    def visit(name: str) -> Iterator[Path]:
        if name in seen or name not in available:  # not available: built in
            return
        seen.add(name)
        found = re.search(rb"\0?depends=([^\0]*)\0", available[name].read_bytes())
        for needed in found.group(1).decode().split(",") if found else ():
            yield from visit(needed.replace("-", "_"))
        yield available[name]

    for name in names:
        yield from visit(name)


def _root_file_system(tree: Path, busybox: bytes, image: Path) -> None:
    for name in (
        "bin",
        "dev",
        "etc",
        "lib",
        "mnt",
        "proc",
        "root",
        "run",
        "sys",
        "tmp",
        "usr/bin",
        "var/log",
    ):
        (tree / name).mkdir(parents=True)
    program = tree / "bin" / "busybox"
    program.write_bytes(busybox)
    program.chmod(0o755)
    for applet in _run([str(program), "--list"]).split():
        if applet != "busybox":
            (tree / "bin" / applet).symlink_to("busybox")
    (tree / "sbin").symlink_to("bin")
    for path, content in _tree("root"):
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755 if content.startswith(b"#!") else 0o644)
    _run(["/sbin/mke2fs", "-q", "-t", "ext4", "-L", "lava-guest", "-d", str(tree), str(image), ROOT_SIZE])
    with image.open("rb") as raw, gzip.open(f"{image}.gz", "wb", compresslevel=3) as packed:
        shutil.copyfileobj(raw, packed)
    image.unlink()


def _recipe_file(name: str) -> bytes:
    return files(__package__).joinpath(name).read_bytes()


def _tree(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield (path below ``name``, content) of every file of the recipe's tree, in a stable order."""
    root = Path(str(files(__package__).joinpath(name)))
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(root)), path.read_bytes()


def _run(command: list[str], *, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise GuestError(f"{command[0]} is missing: the guest is made from Debian's packages, on Debian") from None
    if done.returncode:
        raise GuestError(f"{' '.join(command[:3])}… ended with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout
