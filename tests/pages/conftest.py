"""A web server of its own, a lab behind it that does what the test says, and a browser in front of it.

The data is in SQLite, or on the PostgreSQL server that ``LAVA_TEST_DATABASE`` names.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import psycopg.sql
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

PATIENCE_SECONDS = 30.0
POSTGRESQL = os.environ.get("LAVA_TEST_DATABASE", "")
CHROMIUM = "/usr/bin/chromium"


@dataclass
class Site:
    """A running web server and its lab."""

    root: Path
    port: int
    lab: subprocess.Popen[str]
    users: dict[str, dict[str, str]] = field(default_factory=dict)
    web: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def do(self, command: str, **keywords: Any) -> Any:
        """Let the lab do something and return what it answers."""
        assert self.lab.stdin is not None
        assert self.lab.stdout is not None
        self.lab.stdin.write(json.dumps([command, keywords]) + "\n")
        self.lab.stdin.flush()
        answer = self.lab.stdout.readline()
        assert answer, f"the lab died of {command}"
        return json.loads(answer)

    def running_job(self, text: str, user: str = "admin") -> int:
        """Submit a job, give it a device and start it."""
        job = self.do("submit", user=user, text=text)
        self.do("device", name=f"qemu-{job}")
        assert self.do("schedule") >= 1
        assert self.do("start", job=job)
        return int(job)

    def request(
        self, path: str, method: str = "GET", *, user: str | None = None, session: bool = False, **headers: str
    ) -> tuple[int, bytes]:
        """Ask for a page and return status and body; ``user`` speaks by token, or by cookie with ``session``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if user and session:
            sent["Cookie"] = f"sessionid={self.users[user]['session']}"
        elif user:
            sent["Authorization"] = f"Token {self.users[user]['token']}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, headers=sent)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def ears(self) -> int:
        """Return how many listeners for wake-ups the database or the directory knows."""
        if not POSTGRESQL:
            sockets = self.root / "wake"
            return len(list(sockets.iterdir())) if sockets.exists() else 0
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'LISTEN%%'"
        with psycopg.connect(POSTGRESQL) as connection:
            row = connection.execute(query, [database_name(self.root)]).fetchone()
            return int(row[0]) if row else 0

    @staticmethod
    def wait_for(condition: Callable[[], object], what: str) -> None:
        """Return when the condition holds; fail with ``what`` when it never does."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS:.0f} s for {what}"
            time.sleep(0.02)

    def start_web(self) -> None:
        """Start the web server and wait until it answers."""
        command = [sys.executable, "-m", "uvicorn", "lava.server.asgi:application", "--log-level", "warning"]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--timeout-graceful-shutdown", "1"]
        with (self.root / "web.log").open("ab") as log:
            self.web = subprocess.Popen(command, env=environment(self.root), stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                if self.request("/v1/healthz/")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the web server does not start: {(self.root / 'web.log').read_text()}")

    def kill_web(self) -> None:
        """Let the web server die at once."""
        assert self.web is not None
        self.web.send_signal(signal.SIGKILL)
        self.web.wait()


def environment(root: Path) -> dict[str, str]:
    """Return the environment of a program of the site whose directory this is."""
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    if POSTGRESQL:
        kept["DATABASE_URL"] = urlsplit(POSTGRESQL)._replace(path=f"/{database_name(root)}").geturl()
    return {**kept, "LAVA_DATA_DIR": str(root), "DJANGO_SETTINGS_MODULE": "lava.server.settings"}


def database_name(root: Path) -> str:
    return f"lava_{os.getpid()}_{root.name}"


@contextlib.contextmanager
def database(root: Path) -> Iterator[None]:
    """Have an empty database on the PostgreSQL server, if there is one."""
    if not POSTGRESQL:
        yield
        return
    with psycopg.connect(POSTGRESQL, autocommit=True) as connection:
        name = psycopg.sql.Identifier(database_name(root))
        connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield
        finally:
            connection.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield a site with the users ``admin`` (superuser), ``owner`` and ``stranger``."""
    root = tmp_path_factory.mktemp("site")
    with database(root):
        yield from run_site(root)


def run_site(root: Path) -> Iterator[Site]:
    migrate = [sys.executable, "-m", "lava.server.main", "manage", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, env=environment(root), check=True)
    program = [sys.executable, str(Path(__file__).with_name("lab.py"))]
    with subprocess.Popen(
        program, env=environment(root), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as lab:
        running = Site(root, free_port(), lab)
        running.users["admin"] = running.do("user", name="admin", superuser=True)
        for name in ("owner", "stranger"):
            running.users[name] = running.do("user", name=name)
        # Jobs can be submitted, and wait until a test adds a device that works.
        running.do("device", name="broken", health="MAINTENANCE")
        try:
            running.start_web()
            yield running
        finally:
            if running.web is not None:
                running.kill_web()
            assert lab.stdin is not None
            lab.stdin.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield the real Chromium."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser: {CHROMIUM} is missing")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """Yield a page on which ``admin`` is signed in; an error in a script of ours fails the test."""
    context = browser.new_context()
    context.add_cookies([{"name": "sessionid", "value": site.users["admin"]["session"], "url": site.url}])
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("dialog", lambda dialog: faults.append(f"a dialog: {dialog.message}"))
    yield opened
    context.close()
    assert faults == []
