"""The drop folder: nothing outside of it is ever read."""

import os
from pathlib import Path

import pytest

from pipelines.connectors.drop import fetch
from pipelines.contracts import Table
from pipelines.errors import ContractError, SourceError
from pipelines.settings import Settings
from tests.partners import dropped, settings_in


def take(settings: Settings, folder: Path, path: str, parts: tuple[str, ...] = ()) -> list[str]:
    """Fetch a path and give the names."""
    table = Table(path=path, reader="delimited", parts=parts)
    return [file.name for file in fetch(table, folder, feed="norland_deposits", settings=settings)]


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.csv", "norland/../../secret.csv"])
def test_a_path_out_of_the_drop_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.csv").write_text("id\n1\n")
    with pytest.raises(ContractError, match="stay below it"):
        take(settings_in(tmp_path), tmp_path, path)


@pytest.mark.parametrize("part", ["../a.dbf", "", "..", "/etc/passwd"])
def test_a_part_is_a_plain_name(tmp_path: Path, part: str) -> None:
    settings = settings_in(tmp_path)
    dropped(settings, "a.shp", "x")
    with pytest.raises(ContractError, match="plain names"):
        take(settings, tmp_path, "a.shp", (part,))


def test_a_symbolic_link_out_of_the_drop_is_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    (tmp_path / "secret.csv").write_text("id\n1\n")
    (settings.drop / "link.csv").symlink_to(tmp_path / "secret.csv")
    (settings.drop / "folder").symlink_to(tmp_path)
    for path in ("link.csv", "folder/secret.csv"):
        with pytest.raises(ContractError, match="leads out"):
            take(settings, tmp_path, path)


def test_a_pipe_in_the_drop_does_not_hang(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    os.mkfifo(settings.drop / "pipe.csv")
    with pytest.raises(SourceError, match="not a regular file"):
        take(settings, tmp_path, "pipe.csv")


def test_a_pattern_takes_the_one_file_that_matches(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    dropped(settings, "norland/deposits_2025.csv", "id\n1\n")
    assert take(settings, tmp_path, "norland/deposits_*.csv") == ["deposits_2025.csv"]
    dropped(settings, "norland/deposits_2026.csv", "id\n1\n")
    with pytest.raises(SourceError, match="must match one file.*2025.*2026"):
        take(settings, tmp_path, "norland/deposits_*.csv")
    with pytest.raises(SourceError, match="deposits_2025.csv"):
        take(settings, tmp_path, "norland/grades_*.csv")


def test_a_file_that_grows_while_it_is_read_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path)
    path = dropped(settings, "a.csv", b"x" * 100)
    monkeypatch.setattr("pipelines.connectors.drop.take", lambda blocks, folder: _take_and_append(blocks, path))
    with pytest.raises(SourceError, match="changed while it was read"):
        take(settings, tmp_path, "a.csv")


def _take_and_append(blocks: object, path: Path) -> tuple[Path, str, int]:
    read = b"".join(blocks)  # type: ignore[call-overload]
    with path.open("ab") as file:
        file.write(b"more")
    return path, "0" * 64, len(read)
