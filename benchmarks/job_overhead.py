"""How much does a job cost over the bare guest?

The limit, measured in the same run: the same guest with the same command line, typed at by a script of a
few lines that waits for the prompt and runs the same test steps.  Beside it: a whole ``lava-run`` of the
smoke job, its processor time until the job was validated, and its resident memory while the job ran.

    .venv/bin/python benchmarks/job_overhead.py [--runs N]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import pty
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import yaml

from lava.guest import build, default_cache, kvm_works

HERE = Path(__file__).resolve().parent
SMOKE = HERE.parent / "examples" / "qemu-smoke.yaml"
OVERHEAD_LIMIT_SECONDS = 1.0
MEMORY_LIMIT_MB = 45
START_LIMIT_SECONDS = 0.35

#: what the smoke job's definitions do, without any of LAVA around it
STEPS = [
    "uname -a",
    "test -r /proc/version",
    "test -e /no/such/file",
    "cut -d' ' -f1 /proc/uptime",
    "ip link show lo | grep -q UP",
    "ping -c 1 127.0.0.1",
    "awk '/MemTotal/ {print $2}' /proc/meminfo",
    "awk '/MemFree/ {print $2}' /proc/meminfo",
]


def render_device(directory: Path, guest: Path) -> Path:
    """Render the device as the embedded instance does."""
    dictionary = directory / "bench.jinja2"
    lines = ["{% extends 'qemu.jinja2' %}", f"{{% set static_info = [{{'GUEST': '{guest.as_uri()}'}}] %}}"]
    if not kvm_works(guest):
        lines.append("{% set no_kvm = True %}")
    dictionary.write_text("\n".join(lines))
    context = directory / "context.yaml"
    context.write_text(yaml.safe_dump(yaml.safe_load(SMOKE.read_text())["context"]))
    command = [sys.executable, "-m", "lava.cli", "device", "render", "--dictionary", str(dictionary)]
    rendered = subprocess.run([*command, "--context", str(context)], check=True, capture_output=True, text=True).stdout
    device = directory / "device.yaml"
    device.write_text(rendered)
    return device


def qemu_command(device: Path, guest: Path, rootfs: Path) -> list[str]:
    """Return the command line that the job would run, without the disk that brings the tests."""
    parameters = yaml.safe_load(device.read_text())["actions"]["boot"]["methods"]["qemu"]["parameters"]
    words = [parameters["command"], *(word for option in parameters["options"] for word in shlex.split(str(option)))]
    images = yaml.safe_load(SMOKE.read_text())["actions"][0]["deploy"]["images"]
    files = {"kernel": guest / "vmlinuz", "ramdisk": guest / "initrd.img", "rootfs": rootfs}
    for name, image in images.items():
        words += shlex.split(image["image_arg"].replace(f"{{{name}}}", str(files[name])))
    return words


def bare(device: Path, guest: Path, directory: Path) -> float:
    """Boot the guest, log in, run the steps, power off by killing it; return the seconds."""
    started = time.perf_counter()
    rootfs = directory / "rootfs.ext4"
    with gzip.open(guest / "rootfs.ext4.gz") as packed, rootfs.open("wb") as raw:
        shutil.copyfileobj(packed, raw)
    pid, terminal = pty.fork()
    if pid == 0:
        command = qemu_command(device, guest, rootfs)
        os.execvp(command[0], command)
    seen = b""

    def wait(text: bytes) -> None:
        nonlocal seen
        while text not in seen:
            seen += os.read(terminal, 65536)
        seen = seen.partition(text)[2]

    wait(b"login:")
    os.write(terminal, b"root\n")
    wait(b"root@guest:~# ")
    for step in STEPS:
        os.write(terminal, step.encode() + b"\n")
        wait(b"root@guest:~# ")
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(terminal)
    return time.perf_counter() - started


def job(device: Path, directory: Path, examples: Path) -> tuple[float, float, float]:
    """Run the smoke job; return its seconds, its processor seconds until validated, and its largest resident MB."""
    output = directory / "output"
    shutil.rmtree(output, ignore_errors=True)
    configuration = directory / "dispatcher.yaml"
    configuration.write_text(f"dispatcher_download_dir: {directory / 'scratch'}\ndispatcher_ip: 127.0.0.1\n")
    command = [sys.executable, "-m", "lava.dispatcher.main", "--job-id", "1", "--output-dir", str(output)]
    command += ["--device", str(device), "--dispatcher", str(configuration), "--skip-sudo-warning", str(SMOKE)]
    # As installed: compiled once, at the first start.
    environment = {**os.environ, "EXAMPLES": str(examples), "PYTHONPYCACHEPREFIX": str(directory / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    with (directory / "stderr").open("wb") as stderr:
        process = subprocess.Popen(command, stdout=stderr, stderr=stderr, env=environment)
    watched = psutil.Process(process.pid)
    validated, resident = 0.0, 0
    log = output / "logs.yaml"
    while process.poll() is None:
        try:
            resident = max(resident, watched.memory_info().rss)
            if not validated and log.exists() and b'"case": "validate"' in log.read_bytes():
                times = watched.cpu_times()
                validated = times.user + times.system
        except psutil.NoSuchProcess:
            break
        time.sleep(0.005)
    seconds = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"the job failed: {(output / 'result.yaml').read_text()}{(directory / 'stderr').read_text()[-2000:]}")
    return seconds, validated, resident / 1e6


def where_the_time_goes(log: Path) -> list[str]:
    """Return the slowest leaf actions of the last job, from the end lines of its log."""
    spent = []
    for raw in log.read_text().splitlines():
        record = json.loads(raw[2:])
        if record["lvl"] == "results" and record["msg"]["definition"] == "lava" and "duration" in record["msg"]:
            spent.append((float(record["msg"]["duration"]), record["msg"]["case"]))
        elif match := re.match(r"end: \S+ (\S+) \(duration (\d+):(\d+):(\d+)\)", str(record["msg"])):
            spent.append((int(match[3]) * 60 + float(match[4]), match[1]))
    return [f"{seconds:6.2f} s  {name}" for seconds, name in sorted(spent, reverse=True)[:8]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    guest = build(default_cache())
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        device = render_device(directory, guest)
        examples = directory / "examples"
        shutil.copytree(HERE.parent / "src" / "lava" / "embedded" / "examples", examples)
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
            identity = ["-c", "user.name=x", "-c", "user.email=x@localhost"]
            subprocess.run(["git", *identity, *arguments], cwd=examples, check=True)
        limits, jobs, starts, sizes = [], [], [], []
        job(device, directory, examples)  # warms up
        for _ in range(runs):
            limits.append(bare(device, guest, directory))
            seconds, validated, resident = job(device, directory, examples)
            jobs.append(seconds)
            starts.append(validated)
            sizes.append(resident)
        overhead = statistics.median(jobs) - statistics.median(limits)
        print(f"KVM: {'yes' if kvm_works(guest) else 'no (emulated)'}, {runs} runs, medians")
        print(f"bare guest       {statistics.median(limits):7.2f} s   (the limit)")
        print(f"whole lava-run   {statistics.median(jobs):7.2f} s")
        print(f"overhead         {overhead:7.2f} s   goal: at most {OVERHEAD_LIMIT_SECONDS} s")
        print(f"CPU to validated {statistics.median(starts):7.2f} s   goal: at most {START_LIMIT_SECONDS} s")
        print(f"resident         {max(sizes):7.1f} MB  goal: at most {MEMORY_LIMIT_MB} MB")
        print("slowest actions of the last run:")
        print("\n".join(where_the_time_goes(directory / "output" / "logs.yaml")))


if __name__ == "__main__":
    main()
