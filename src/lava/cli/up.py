"""``lava up``: a whole instance on this machine, in one command and one terminal."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import importlib.util
import os
import random
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from lava.embedded.layout import WORKER, Layout
from lava.embedded.lock import InUseError, hold
from lava.embedded.prepare import PrepareError, prepare
from lava.embedded.supervisor import Daemon, Supervisor

#: used when it is free and no other is asked for
USUAL_PORT = 8000
#: so many connections wait while the web server is restarted
BACKLOG = 1024
READY_SECONDS = 60.0
#: The slave first: it stops the jobs while there is still a master to tell.
STOP_ORDER = ("slave", "master", "web")


class UpError(Exception):
    """The instance cannot start; the message says why and what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, default=Path(".lava"), metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--port", type=int, metavar="N", help=f"of the web server; default: {USUAL_PORT} if free, else any"
    )


def run(args: argparse.Namespace) -> int:
    """Run the instance until SIGTERM or Ctrl-C."""
    if importlib.util.find_spec("django") is None:
        print(
            "lava up: the server is not installed; install it with: pip install 'lava[server]'",
            file=sys.stderr,
        )
        return 1
    try:
        return asyncio.run(serve(Layout(args.data_dir.resolve()), args.port))
    except (UpError, InUseError, PrepareError) as error:
        print(f"lava up: {error}", file=sys.stderr)
        return 1


async def serve(layout: Layout, port: int | None) -> int:
    """Prepare the data directory, start the daemons, say when they serve, stop them when told."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with closing(hold(layout)):
        web = _listen(port)
        url = f"http://127.0.0.1:{web.getsockname()[1]}"
        environment = _environment(layout)
        await asyncio.to_thread(prepare, layout, environment, say=_say)
        supervisor = Supervisor(_say)
        try:
            for daemon in _daemons(layout, environment, web):
                supervisor.start(daemon)
            if await _serves(url, stop):
                layout.url.write_text(f"{url}\n")
                _say(f"log in as admin: password in {layout.password}, token in {layout.token}; Ctrl-C stops")
                print(f"ready: {url}", flush=True)
            await stop.wait()
        finally:
            layout.url.unlink(missing_ok=True)
            await supervisor.stop(STOP_ORDER)
            web.close()
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _listen(wanted: int | None) -> socket.socket:
    """Return the web server's socket.  The supervisor keeps it: who asks while the web server is restarted waits."""
    if wanted is not None and not 0 < wanted < 65536:
        raise UpError(f"--port {wanted}: a port is a number from 1 to 65535")
    for port in (USUAL_PORT, 0) if wanted is None else (wanted,):
        try:
            listening = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise UpError(f"port {port} cannot be used: {error.strerror}; choose another --port") from error
            continue
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it
        return listening
    raise UpError(f"port {wanted} is in use; choose another --port, or leave it out for a free one")


def _free_port() -> int:
    """Return a port that is free, and stays so: from outside the range that the system gives to outgoing connections.

    Source: ip_local_port_range, 32768 to 60999 unless somebody changed it.
    """
    while True:
        port = random.randrange(20000, 32768)  # noqa: S311 (no secret)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _environment(layout: Layout) -> dict[str, str]:
    return {**os.environ, "LAVA_DATA_DIR": str(layout.root), "DJANGO_SETTINGS_MODULE": "lava.server.settings"}


def _daemons(layout: Layout, environment: dict[str, str], web: socket.socket) -> list[Daemon]:
    from lava.wire.certificates import ensure_certificate

    master_public, master_secret = ensure_certificate(layout.certificates / "master", "master")
    slaves = layout.certificates / "slaves"
    slave_public, slave_secret = ensure_certificate(layout.certificates / "slave", WORKER)
    slaves.mkdir(exist_ok=True)
    (slaves / slave_public.name).write_bytes(slave_public.read_bytes())

    def daemon(name: str, *command: str, inherited: Sequence[int] = ()) -> Daemon:
        log = layout.logs / f"{name}.log"
        return Daemon(name, (sys.executable, "-m", *command), environment, log, inherited)

    control_address, log_address = (f"tcp://127.0.0.1:{_free_port()}" for _ in range(2))
    return [
        daemon(
            "web",
            "uvicorn",
            "lava.server.asgi:application",
            *("--fd", str(web.fileno()), "--log-level", "warning"),
            *("--timeout-graceful-shutdown", "2"),
            inherited=(web.fileno(),),
        ),
        daemon(
            "master",
            "lava.master.main",
            *("--config", os.devnull),  # what is set for a lab's daemon on this machine is not for this one
            *("--master-socket", control_address, "--log-socket", log_address, "--encrypt"),
            *("--master-cert", str(master_secret), "--slaves-certs", str(slaves)),
            *("--level", "INFO", "--log-file", "-"),
        ),
        daemon(
            "slave",
            "lava.slave.main",
            *("--config", os.devnull),
            *("--master", control_address, "--socket-addr", log_address, "--hostname", WORKER, "--encrypt"),
            *("--master-cert", str(master_public), "--slave-cert", str(slave_secret)),
            *(
                "--state-dir",
                str(layout.slave_state),
                "--level",
                "INFO",
                "--log-file",
                "-",
                "--stop-jobs-on-exit",
            ),
        ),
    ]


async def _serves(url: str, stop: asyncio.Event) -> bool:
    """Wait until the pages answer; False when told to stop meanwhile."""
    deadline = asyncio.get_running_loop().time() + READY_SECONDS
    while not stop.is_set():
        if await asyncio.to_thread(_answers, f"{url}/v1/healthz/"):
            return True
        if asyncio.get_running_loop().time() > deadline:
            raise UpError(f"the web server does not answer at {url}; see its log in the data directory's log/web.log")
        await asyncio.sleep(0.1)
    return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 (our own http address)
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
