"""The command line's client against a small server that answers as told."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import psutil
import pytest

from lava.cli.client import Client, ClientError, connect


class Answers(BaseHTTPRequestHandler):
    """Refuses every call, and streams a log in two connections, the first of which breaks."""

    connections: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(401)

    def do_GET(self) -> None:
        self.connections.append(self.headers["Last-Event-ID"])
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if len(self.connections) == 1:
            self.wfile.write(b"event: lines\nid: 10\ndata: one\ndata: two\n\n: heartbeat\n\nevent: lines\nid: 15\nda")
        else:
            self.wfile.write(b"event: lines\nid: 15\ndata: three\n\nevent: end\n\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    Answers.connections = []
    with HTTPServer(("127.0.0.1", 0), Answers) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_following_resumes_behind_the_last_whole_event(server: str) -> None:
    events = list(Client(server).follow("1"))

    assert [event.rows for event in events] == [[b"one", b"two"], [b"three"], []]
    assert Answers.connections == ["0", "10"]


def test_a_wrong_token_is_named(server: str) -> None:
    with pytest.raises(ClientError, match="refuses the token"):
        Client(server, "wrong").call("system.whoami")


def test_no_server_is_one_clear_message() -> None:
    with pytest.raises(ClientError, match=r"no answer from http://127\.0\.0\.1:9"):
        Client("http://127.0.0.1:9").call("system.version")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<half"])
def test_a_server_that_hangs_up_costs_no_socket(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def hang_up() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(10000)
                connection.sendall(answer)

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(ClientError, match="no answer from") as caught:
            Client(f"http://127.0.0.1:{port}").call("system.version")
        thread.join()
    assert caught.tb is not None  # which keeps alive whatever was not closed
    assert [c for c in psutil.Process().net_connections("tcp") if c.raddr and c.raddr[1] == port] == []


@pytest.mark.parametrize("url", ["ftp://host", "http://", "://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ClientError, match="is no address"):
        Client(url)


def test_the_token_in_an_address_is_not_shown_again() -> None:
    assert Client("http://admin:secret@127.0.0.1:8000/").url == "http://127.0.0.1:8000"


def test_an_unreadable_token_file_is_named(tmp_path: pytest.TempPathFactory) -> None:
    with pytest.raises(ClientError, match="cannot read the token file"):
        connect("http://127.0.0.1", tmp_path / "none")  # type: ignore[operator]
