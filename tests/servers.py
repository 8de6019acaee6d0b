"""Servers that tests start: programs of their own processes, on free ports, waited for and ended."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import S3Store

READY_S = 60


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Tell whether somebody listens on a port of the loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(command: list[str | Path], ready: Callable[[], bool], folder: Path, **how: object) -> Iterator[None]:
    """Run a server until the block ends; what it says goes into a file, whose end a failure shows."""
    log = folder / "server.log"
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, cwd=folder, **how)  # type: ignore[call-overload]
    try:
        until = time.monotonic() + READY_S
        while not ready():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} is not ready: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Bucket:
    """A bucket on an S3 server, and what opens it."""

    endpoint: str
    name: str
    key_id: str
    key: str

    def put(self, key: str, content: bytes) -> None:
        """Put an object."""
        store = S3Store(
            self.name,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=self.key_id,
            secret_access_key=self.key,
            client_options={"allow_http": True},
        )
        obstore.put(store, key, content, use_multipart=False)


@dataclass(frozen=True)
class Shell:
    """An SSH server, the folder that it shows, and what opens it."""

    port: int
    host_key: str
    user: str
    key: str
    folder: Path
