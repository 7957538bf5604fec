"""A small client of the server: XML-RPC for calls, server-sent events for the live log."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import time
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CONNECT_SECONDS = 20.0
#: The server sends a comment each 15 s; silence for longer than this is a lost connection.
SILENCE_SECONDS = 60.0


class ClientError(Exception):
    """The server cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    name: str
    #: byte offset after the lines, when the event carries lines
    position: str
    rows: list[bytes] = field(default_factory=list)


class Client:
    """Talks to one server as one user, or anonymously."""

    def __init__(self, url: str, token: str = "", user: str = "admin") -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ClientError(f"{url!r} is no address of a server: give http://HOST[:PORT]")
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._parts = parts
        if parts.username:
            user, token = parts.username, parts.password or token
        self._headers = {}
        if token:
            credentials = base64.b64encode(f"{user}:{token}".encode()).decode()
            self._headers["Authorization"] = f"Basic {credentials}"

    def call(self, method: str, *arguments: Any) -> Any:
        """Call an XML-RPC method and return its result.

        Raises:
            ClientError: no connection, a refused token, or a fault in the server's own words.
        """
        body = xmlrpc.client.dumps(arguments, method, allow_none=True).encode()
        try:
            response, connection = self._request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
            with contextlib.closing(connection):
                text = response.read()
            if response.status == 401:
                raise ClientError(f"{self.url} refuses the token: check the file or value that you gave")
            if response.status != 200:
                raise ClientError(f"{self.url}/RPC2 answered {response.status} {response.reason}")
            (result,), _ = xmlrpc.client.loads(text, use_builtin_types=True)
        except xmlrpc.client.Fault as fault:
            raise ClientError(fault.faultString) from None
        except (OSError, http.client.HTTPException) as error:
            raise ClientError(f"no answer from {self.url}: {error}") from error
        return result

    def follow(self, job: str) -> Iterator[Event]:
        """Yield the live events of a job from its first line to its end; resumes after a lost connection."""
        position = "0"
        failures = 0
        while True:
            try:
                for event in self._events(job, position):
                    failures = 0
                    position = event.position or position
                    yield event
                    if event.name == "end":
                        return
            except (OSError, http.client.HTTPException) as error:
                failures += 1
                if failures > 20:
                    raise ClientError(f"lost {self.url} while following job {job}: {error}") from error
            _pause(failures)

    def _events(self, job: str, position: str) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": position}
        response, connection = self._request("GET", f"/scheduler/job/{job}/log_stream", None, headers, SILENCE_SECONDS)
        try:
            if response.status in (401, 403, 404):
                raise ClientError(f"job {job} cannot be followed: {response.status} {response.reason}")
            if response.status != 200:
                raise OSError(f"{response.status} {response.reason}")
            name, identity, rows = "message", "", list[bytes]()
            for raw in response:
                line = raw.rstrip(b"\r\n")
                if not line:
                    if rows or name != "message":
                        yield Event(name, identity, rows)
                    name, identity, rows = "message", "", []
                elif line.startswith(b"data:"):
                    rows.append(line[5:].removeprefix(b" "))
                elif line.startswith(b"event:"):
                    name = line[6:].strip().decode()
                elif line.startswith(b"id:"):
                    identity = line[3:].strip().decode()
        finally:
            connection.close()

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        timeout: float = CONNECT_SECONDS,
    ) -> tuple[http.client.HTTPResponse, http.client.HTTPConnection]:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=timeout)
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, body, {**self._headers, **headers})
            return connection.getresponse(), connection
        except BaseException:
            connection.close()
            raise


def _pause(failures: int) -> None:
    time.sleep(min(0.2 * 2**failures, 5.0))


def connect(url: str | None, token_file: Path | None) -> Client:
    """Return a client for the given server, or the one that the environment or the data directory here names.

    ``LAVA_URL`` and ``LAVA_TOKEN`` come before the embedded instances in ``.lava`` and ``.demo`` below the
    current directory.
    """
    token = ""
    if token_file is not None:
        try:
            token = token_file.read_text().strip()
        except OSError as error:
            raise ClientError(f"cannot read the token file {token_file}: {error.strerror}") from error
    url = url or os.environ.get("LAVA_URL")
    if url is None:
        for directory in (Path(".lava"), Path(".demo")):
            if (directory / "url").exists():
                url = (directory / "url").read_text().strip()
                token = token or (directory / "admin.token").read_text().strip()
                break
        else:
            raise ClientError("which server? give --url, or set LAVA_URL, or start one here with 'lava up'")
    return Client(url, token or os.environ.get("LAVA_TOKEN", ""))


def decode_state(event: Event) -> dict[str, Any]:
    """Return the JSON object of a ``state`` event."""
    loaded = json.loads(b"\n".join(event.rows) or b"{}")
    return loaded if isinstance(loaded, dict) else {}
