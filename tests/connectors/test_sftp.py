"""Files of a real SSH server: known by its key, and taken only when they are finished."""

import logging
import os
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from pipelines.contracts import Feed
from pipelines.deliveries import Delivery
from pipelines.errors import ContractError, RejectedError, SourceError
from pipelines.land import land
from tests.partners import feed_of, settings_in
from tests.servers import Shell

pytestmark = pytest.mark.slow


@pytest.fixture
def shell(sshd: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    """Give the server with a folder of its own for this test, and its key where a feed finds it."""
    monkeypatch.setenv("MINERALS_SECRET_NORLAND_SFTP_USER", sshd.user)
    monkeypatch.setenv("MINERALS_SECRET_NORLAND_SFTP_KEY", sshd.key)
    folder = sshd.folder / tmp_path.name
    folder.mkdir()
    return Shell(sshd.port, sshd.host_key, sshd.user, sshd.key, folder)


def feed_at(shell: Shell, path: str, **words: Any) -> Feed:  # noqa: ANN401
    options = {"host_key": shell.host_key, "settle_s": 0, "allow_private": True, **words.pop("options", {})}
    table = {"connector": "sftp", "reader": "delimited", "credentials": "NORLAND_SFTP", "path": path, **words}
    return feed_of(holes={**table, "url": f"sftp://127.0.0.1:{shell.port}{shell.folder}", "options": options})


def landed(shell: Shell, folder: Path, path: str, **words: Any) -> Delivery:  # noqa: ANN401
    return land(feed_at(shell, path, **words), settings_in(folder))


def put(shell: Shell, path: str, content: bytes = b"id\n1\n") -> Path:
    target = shell.folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def test_a_file_and_its_parts_are_taken_by_their_names(shell: Shell, tmp_path: Path) -> None:
    put(shell, "2026/holes ä.shp", b"shapes" * 100_000)
    put(shell, "2026/holes.dbf", b"table")
    delivery = landed(shell, tmp_path, "2026/holes ä.shp", parts=["holes.dbf"])
    main, part = delivery.files
    assert (main.name, main.size, part.name, part.part_of) == ("holes ä.shp", 600_000, "holes.dbf", "holes ä.shp")
    assert main.source == f"sftp://127.0.0.1:{shell.port}{shell.folder}/2026/holes ä.shp"


def test_a_pattern_means_one_finished_file(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("holes-1.csv.part", ".holes-2.csv", "holes-3.csv.filepart", "pits.csv"):
        put(shell, name)
    with pytest.raises(SourceError, match="0 finished files fit, exactly one must; there is .*pits.csv"):
        landed(shell, tmp_path, "holes-*")
    put(shell, "holes-4.csv")
    assert [file.name for file in landed(shell, tmp_path, "holes-*").files] == ["holes-4.csv"]
    put(shell, "holes-5.csv")
    monkeypatch.setenv("MINERALS_SECRET_NORLAND_SFTP_KEY", shell.key.replace("\n", "\\n"))
    with pytest.raises(SourceError, match="2 finished files fit"):
        landed(shell, tmp_path, "holes-*")
    with pytest.raises(SourceError, match="0 finished files fit"):
        landed(shell, tmp_path, "holes-1.csv.part")


def test_a_growing_file_is_not_taken(shell: Shell, tmp_path: Path) -> None:
    path, done = put(shell, "holes.csv"), threading.Event()

    def write() -> None:
        while not done.is_set():
            with path.open("ab") as file:
                file.write(b"2\n")
            time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(SourceError, match="still growing"):
            landed(shell, tmp_path, "holes.csv", options={"settle_s": 0.5})
    finally:
        done.set()
        writer.join()


def test_a_server_with_another_key_is_not_spoken_to(shell: Shell, tmp_path: Path) -> None:
    put(shell, "holes.csv")
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with pytest.raises(RejectedError, match="another host key than the feed pins"):
        landed(shell, tmp_path, "holes.csv", options={"host_key": other})
    with pytest.raises(ContractError, match="the connector sftp needs host_key"):
        landed(shell, tmp_path, "holes.csv", options={"host_key": ""})
    with pytest.raises(ContractError, match="no key in OpenSSH's form"):
        landed(shell, tmp_path, "holes.csv", options={"host_key": "ssh-ed25519 nothing"})


def test_no_path_leads_out_of_the_root(shell: Shell, tmp_path: Path) -> None:
    outside = shell.folder.parent / f"{shell.folder.name}-outside.csv"
    outside.write_bytes(b"id\n1\n")
    (shell.folder / "holes.csv").symlink_to(outside)
    with pytest.raises(RejectedError, match="leads out of the root"):
        landed(shell, tmp_path, "holes.csv")
    with pytest.raises(ContractError, match="stay below it"):
        landed(shell, tmp_path, "../holes.csv")
    os.mkfifo(shell.folder / "pipe.csv")
    with pytest.raises(RejectedError, match="not a regular file"):
        landed(shell, tmp_path, "pipe.csv")


def test_bounds_hold(shell: Shell, tmp_path: Path) -> None:
    put(shell, "holes.csv", b"id\n" * 1000)
    with pytest.raises(RejectedError, match="3000 bytes, and 2000 is the cap"):
        landed(shell, tmp_path, "holes.csv", options={"max_bytes": 2000})
    with pytest.raises(SourceError, match="not done within 0.5 s"):
        landed(shell, tmp_path, "holes.csv", options={"settle_s": 30, "deadline_s": 0.5})
    with pytest.raises(RejectedError, match="not a public address"):
        landed(shell, tmp_path, "holes.csv", options={"allow_private": False})


def test_who_is_not_let_in_is_told_without_the_key(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    monkeypatch.setenv("MINERALS_SECRET_NORLAND_SFTP_KEY", stranger)
    with pytest.raises(RejectedError, match="does not let us in") as caught:
        landed(shell, tmp_path, "holes.csv")
    said = "".join(traceback.format_exception(caught.value))
    assert stranger.splitlines()[1] not in said + caplog.text
    monkeypatch.delenv("MINERALS_SECRET_NORLAND_SFTP_KEY")
    with pytest.raises(ContractError, match="NORLAND_SFTP_USER with MINERALS_SECRET_NORLAND_SFTP_KEY or"):
        landed(shell, tmp_path, "holes.csv")
