"""Real servers that connectors are tested against: each started once, when a test first asks for it."""

import json
import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import psycopg
import pytest

from tests.conftest import PROJECT, missing
from tests.servers import READY_S, Bucket, Shell, answers, free_port, running

SERVERS = PROJECT / ".venv-servers" / "bin"


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """Give a folder for servers' own files, whose path is short enough for sockets and open to other users."""
    with tempfile.TemporaryDirectory(prefix="minerals-servers-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def s3(scratch: Path) -> Iterator[Bucket]:
    """Start SeaweedFS with one bucket and one pair of keys."""
    weed = SERVERS / "weed"
    if not weed.exists():
        missing("seaweedfs (weed)")
    folder = scratch / "s3"
    folder.mkdir()
    identity = '{"identities": [{"name": "norland", "credentials": [{"accessKey": "norland-id", "secretKey": "%s"}], '
    rights = '"actions": ["Admin", "Read", "List", "Write"]}]}'
    (folder / "s3.json").write_text(identity % "n0rland-canary" + rights)
    master, volume, filer, port = (free_port() for _ in range(4))
    command: list[str | Path] = [weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
    command += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={port}"]
    grpc = [("master", master), ("volume", volume), ("filer", filer), ("s3", port)]
    command += [f"-{name}.port.grpc={free_port()}" for name, _port in grpc]
    command += [f"-s3.config={folder / 's3.json'}", "-volume.max=20", "-master.volumeSizeLimitMB=64"]
    bucket = Bucket(f"http://127.0.0.1:{port}", "norland", "norland-id", "n0rland-canary")
    with running(command, lambda: answers(port), folder):
        _make_bucket(bucket)
        yield bucket


def _make_bucket(bucket: Bucket) -> None:
    """Make the bucket by its first object; the server takes some seconds until it has room."""
    until = time.monotonic() + READY_S
    while True:
        try:
            bucket.put("readme.txt", b"made\n")
            return
        except Exception:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


@pytest.fixture(scope="session")
def sshd(scratch: Path) -> Iterator[Shell]:
    """Start Debian's sshd as a process of ours, with keys and settings of its own."""
    program = Path("/usr/sbin/sshd")
    if not program.exists():
        missing("openssh-server (sshd)")
    folder = scratch / "ssh"
    (folder / "files").mkdir(parents=True)
    host, mine = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    (folder / "host").write_bytes(host.export_private_key())
    (folder / "host").chmod(0o600)
    (folder / "known").write_bytes(mine.export_public_key())
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd, started by root, locks itself in
    port = free_port()
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "known",
        "PidFile": folder / "pid",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "PasswordAuthentication": "no",
        "Subsystem": "sftp internal-sftp",
    }
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    command: list[str | Path] = [program, "-D", "-e", "-f", folder / "config"]
    with running(command, lambda: answers(port), folder):
        user = pwd.getpwuid(os.geteuid()).pw_name
        key = mine.export_private_key().decode()
        yield Shell(port, host.export_public_key().decode().strip(), user, key, folder / "files")


@pytest.fixture(scope="session")
def postgis(scratch: Path) -> Iterator[str]:
    """Start Debian's PostgreSQL with PostGIS, under another user where we are root, and give its address."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    extensions = sorted(Path("/usr/share/postgresql").glob("*/extension/postgis.control"))
    if not programs or not extensions:
        missing("postgresql with PostGIS (postgresql-15-postgis-3)")
    folder, port = scratch / "postgis", free_port()
    folder.mkdir()
    who = {}
    if os.geteuid() == 0:  # PostgreSQL refuses root
        nobody = pwd.getpwnam("postgres")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    data = folder / "data"
    password = folder / "password"
    password.write_text("c4nary-word\n")
    password.chmod(0o644)
    make = [programs[-1], "-D", data, "-U", "owner", "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "-N"]
    subprocess.run(make, check=True, capture_output=True, cwd=folder, **who)
    settings = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    serve = [programs[-1].with_name("postgres"), "-D", data, "-p", str(port), *settings]
    address = f"host=127.0.0.1 port={port} user=owner password=c4nary-word dbname=postgres"
    with running(serve, lambda: _opens(address), folder, **who):
        yield address


def _opens(address: str) -> bool:
    try:
        with psycopg.connect(address, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


@pytest.fixture(scope="session")
def pygeoapi(scratch: Path) -> Iterator[str]:
    """Start pygeoapi with a collection of 130 sites, of which it gives 50 to a page, and give the items' address."""
    program = SERVERS / "pygeoapi"
    if not program.exists():
        missing("pygeoapi")
    folder, port = scratch / "ogc", free_port()
    folder.mkdir()
    features = [
        {
            "type": "Feature",
            "id": number,
            "geometry": {"type": "Point", "coordinates": [10 + number / 100, 60.5]},
            "properties": {"number": number, "name": f"Site {number}"},
        }
        for number in range(1, 131)
    ]
    (folder / "sites.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    (folder / "config.yml").write_text(json.dumps(_pygeoapi_settings(folder, port)))
    environment = {
        **os.environ,
        "PYGEOAPI_CONFIG": str(folder / "config.yml"),
        "PYGEOAPI_OPENAPI": str(folder / "openapi.yml"),
    }
    make = [program, "openapi", "generate", folder / "config.yml", "--output-file", folder / "openapi.yml"]
    subprocess.run(make, check=True, capture_output=True, cwd=folder, env=environment)
    with running([program, "serve"], lambda: answers(port), folder, env=environment):
        yield f"http://127.0.0.1:{port}/collections/sites/items"


def _pygeoapi_settings(folder: Path, port: int) -> dict[str, Any]:
    about = {"title": "Sites", "description": "Sites of Norland", "keywords": ["sites"]}
    provider = {"type": "feature", "name": "GeoJSON", "data": str(folder / "sites.geojson"), "id_field": "id"}
    extents = {"spatial": {"bbox": [4, 57, 31, 72]}}
    return {
        "server": {
            "bind": {"host": "127.0.0.1", "port": port},
            "url": f"http://127.0.0.1:{port}",
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "languages": ["en"],
            "limits": {"default_items": 10, "max_items": 50, "on_exceed": "throttle"},
            "map": {"url": "none", "attribution": "none"},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {**about, "keywords_type": "theme", "terms_of_service": "none", "url": "none"},
            "license": {"name": "none", "url": "none"},
            "provider": {"name": "none", "url": "none"},
            "contact": {"name": "none", "email": "none"},
        },
        "resources": {
            "sites": {"type": "collection", **about, "links": [], "extents": extents, "providers": [provider]}
        },
    }
