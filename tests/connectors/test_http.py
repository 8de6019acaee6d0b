"""Web servers that answer as servers do: short, late, packed, elsewhere, or with a page instead of data."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.connectors import addresses, fetch
from pipelines.contracts import Table
from pipelines.errors import ContractError, RejectedError, SourceError
from pipelines.land import land
from tests.partners import feed_of, settings_in

CSV = b"id,name\n1,Hill\n"


class Server:
    """A server of raw bytes: each connection gets the next script, whose numbers are pauses in seconds."""

    def __init__(self, scripts: list[list[bytes | float]]) -> None:
        self.scripts, self.requests = scripts, []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        for script in self.scripts:
            try:
                connection, _address = self.socket.accept()
            except OSError:
                return
            with connection:
                self.requests.append(connection.recv(65536).decode())
                try:
                    for step in script:
                        time.sleep(step) if isinstance(step, float) else connection.sendall(step)
                except OSError:
                    continue


@contextmanager
def serving(*scripts: list[bytes | float]) -> Iterator[Server]:
    """Serve scripts, one per connection."""
    server = Server(list(scripts))
    try:
        yield server
    finally:
        server.socket.close()


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> list[bytes | float]:
    """Give a whole answer, whose length may lie."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", *headers, "", ""]
    return ["\r\n".join(lines).encode() + body]


def get(url: str, folder: Path, reader: str = "delimited", **options: object) -> tuple[str, bytes]:
    """Fetch a URL, with servers on this machine allowed."""
    table = Table(connector="http", url=url, reader=reader, options={"allow_private": True, **options})
    (file,) = fetch(table, folder, feed="norland_deposits", settings=settings_in(folder))
    return file.name, file.path.read_bytes()


def test_a_whole_answer_is_taken(tmp_path: Path) -> None:
    with serving(answer(CSV)) as server:
        assert get(f"{server.url}/data/hills.csv", tmp_path) == ("hills.csv", CSV)
    assert "accept-encoding: identity" in server.requests[0].lower()


FAULTS = {
    "shorter than announced": (answer(CSV, length=500), SourceError, "Protocol"),
    "no length and no chunks": ([b"HTTP/1.1 200 OK\r\n\r\n" + CSV], SourceError, "neither length nor chunks"),
    "chunks cut": ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nid,na"], SourceError, "Protocol"),
    "empty": (answer(b""), SourceError, "empty"),
    "a page for people": (answer(b"<!DOCTYPE html><html>down</html>"), SourceError, "HTML page"),
    "packed though not asked": (answer(CSV, "Content-Encoding: gzip"), RejectedError, "packed"),
    "part of it": (answer(CSV, status="206 Partial Content"), RejectedError, "206"),
    "gone": (answer(b"", status="404 Not Found"), RejectedError, "404"),
    "too busy": (answer(b"", status="429 Too Many Requests"), SourceError, "429"),
    "broken": (answer(b"", status="503 Service Unavailable"), SourceError, "503"),
    "larger than the cap": (answer(b"x" * 2000), RejectedError, "2000 bytes"),
    "no HTTP": ([b"SSH-2.0\r\n\r\n"], SourceError, "Protocol"),
    "not modified, unasked": (answer(b"", status="304 Not Modified"), RejectedError, "304"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_that_is_not_the_data_is_refused(tmp_path: Path, fault: str) -> None:
    script, error, words = FAULTS[fault]
    with serving(script) as server, pytest.raises(error, match=f"norland_deposits.*{words}"):
        get(f"{server.url}/hills.csv", tmp_path, max_bytes=1000)
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_an_endless_answer_stops_at_the_cap(tmp_path: Path) -> None:
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    script = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *([chunk] * 50)]
    with serving(script) as server, pytest.raises(RejectedError, match="larger than 4096"):
        get(f"{server.url}/a.csv", tmp_path, max_bytes=4096)


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b""])
def test_a_dripping_server_meets_the_deadline(tmp_path: Path, start: bytes) -> None:
    began = time.monotonic()
    drip: list[bytes | float] = [start, *([b"X", 0.1] * 60)]
    with serving(drip) as server, pytest.raises(SourceError, match=r"within 0\.5 s"):
        get(f"{server.url}/a.csv", tmp_path, deadline_s=0.5)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(("reader", "cut", "whole"), [("json", b'[{"a":1},{"a', b'[{"a":1}]\n')])
def test_a_format_with_an_end_must_have_it(tmp_path: Path, reader: str, cut: bytes, whole: bytes) -> None:
    with serving([b"HTTP/1.1 200 OK\r\n\r\n" + cut]) as server, pytest.raises(SourceError, match="cut short"):
        get(f"{server.url}/a", tmp_path, reader)
    with serving([b"HTTP/1.1 200 OK\r\n\r\n" + whole]) as server:
        assert get(f"{server.url}/a", tmp_path, reader) == ("a", whole)


def test_a_redirect_is_followed_to_allowed_hosts_only(tmp_path: Path) -> None:
    moved = answer(b"", "Location: /b.csv", status="302 Found")
    with serving(moved, answer(CSV)) as server:
        assert get(f"{server.url}/a.csv", tmp_path)[1] == CSV
    away = answer(b"", "Location: http://localhost:1/b.csv", status="302 Found")
    with serving(away) as server, pytest.raises(RejectedError, match="'localhost' is not among the feed's hosts"):
        get(f"{server.url}/a.csv", tmp_path)
    with serving(away) as server, pytest.raises(SourceError, match="ConnectError"):
        get(f"{server.url}/a.csv", tmp_path, hosts=["localhost"])
    local = answer(b"", "Location: file:///etc/passwd", status="301 X")
    with serving(local) as server, pytest.raises(RejectedError, match="only http and https"):
        get(f"{server.url}/a.csv", tmp_path)


def test_credentials_do_not_follow_a_redirect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINERALS_SECRET_NORLAND_USER", "me")
    monkeypatch.setenv("MINERALS_SECRET_NORLAND_PASSWORD", "c4nary")
    with serving(answer(CSV)) as away:
        moved = answer(b"", f"Location: http://localhost:{away.port}/b.csv", status="302 Found")
        with serving(moved) as server:
            options = {"allow_private": True, "hosts": ["localhost"]}
            words = {"url": f"{server.url}/a.csv", "credentials": "NORLAND", "options": options}
            table = Table(connector="http", reader="delimited", **words)
            fetch(table, tmp_path, feed="norland_deposits", settings=settings_in(tmp_path))
    assert "authorization: basic bwu6yzruyxj5" in server.requests[0].lower()
    assert "authorization" not in away.requests[0].lower()
    public = Table(connector="http", reader="delimited", url="http://example.org/a.csv", credentials="NORLAND")
    with pytest.raises(ContractError, match="credentials go over https only"):
        fetch(public, tmp_path, feed="norland_deposits", settings=settings_in(tmp_path))


def test_redirects_come_to_an_end(tmp_path: Path) -> None:
    moved = answer(b"", "Location: /a.csv", status="307 X")
    with serving(*[moved] * 9) as server, pytest.raises(RejectedError, match="more than 5 redirects"):
        get(f"{server.url}/a.csv", tmp_path)
    assert len(server.requests) == 6


def test_what_did_not_change_is_not_sent_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = settings_in(tmp_path)
    caplog.set_level(logging.DEBUG)
    unchanged = answer(b"", status="304 Not Modified")
    with serving(answer(CSV, 'ETag: "v1"'), unchanged) as server:
        url = f"{server.url}/hills.csv?token=s3cret&v=1"
        feed = feed_of(deposits={"connector": "http", "url": url, "reader": "delimited"})
        feed.tables["deposits"].options["allow_private"] = True
        first = land(feed, settings)
        second = land(feed, settings, previous=first)
    assert 'if-none-match: "v1"' in server.requests[1].lower()
    assert (second.id, second.unchanged) == (first.id, True)
    receipt = json.loads((first.folder / "receipt.json").read_text())
    assert "s3cret" not in json.dumps(receipt)
    assert "s3cret" not in caplog.text
    assert receipt["files"][0]["etag"] == '"v1"'


def test_every_way_into_our_own_network_is_refused(tmp_path: Path, shared: Path) -> None:
    for url in json.loads((shared / "badinputs/generated/urls.json").read_text()):
        table = Table(connector="http", url=url, reader="delimited")
        with pytest.raises((ContractError, RejectedError)):
            fetch(table, tmp_path, feed="norland_deposits", settings=settings_in(tmp_path))


def test_a_name_is_looked_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = socket.getaddrinfo

    def counting(*args: object, **kwargs: object) -> object:
        asked.append(args[0])
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", counting)
    with serving(answer(CSV)) as server:
        get(f"http://localhost:{server.port}/a.csv", tmp_path)
    assert asked.count("localhost") == 1
    assert f"host: localhost:{server.port}" in server.requests[0].lower()


@pytest.mark.parametrize("option", [{"deadline_s": "soon"}, {"max_bytes": True}, {"hosts": "example.org"}])
def test_an_option_of_the_wrong_kind_is_told(tmp_path: Path, option: dict[str, object]) -> None:
    with pytest.raises(ContractError, match=next(iter(option))):
        get("http://127.0.0.1:1/a.csv", tmp_path, **option)


def test_secrets_never_reach_a_message() -> None:
    shown = addresses.redact("https://me:word@example.org/a?sig=abc&X-Amz-Date=1&layer=mines#part")
    assert shown == "https://example.org/a?sig=...&X-Amz-Date=...&layer=mines"
