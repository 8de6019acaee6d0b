"""A publisher that is killed, or comes second, leaves nothing that the next one minds."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.contracts import Dataset, Schemas
from pipelines.contracts.loading import load_datasets
from pipelines.errors import RejectedError
from pipelines.publish import Share, current, list_releases, load_release, verify_release
from pipelines.store import LocalStore
from tests.shares import files_in, published, two_shares

PROJECT = Path(__file__).parents[2]
DATASETS = ("assay", "mineral_occurrence")


@pytest.fixture
def datasets(schemas: Schemas) -> dict[str, Dataset]:
    return {name: schemas.datasets[name] for name in DATASETS}


@pytest.fixture
def shares(datasets: dict[str, Dataset], tmp_path: Path) -> list[Share]:
    return two_shares(datasets, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "home")


@pytest.fixture(scope="module")
def undisturbed(schemas: Schemas, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give the files of a release that was made without any disturbance."""
    folder = tmp_path_factory.mktemp("calm")
    datasets = {name: schemas.datasets[name] for name in DATASETS}
    store = LocalStore(folder / "home")
    return files_in(store, published(two_shares(datasets, folder), datasets, store).folder)


@dataclass(frozen=True)
class DyingStore(LocalStore):
    """A store whose process is killed just before, or just after, one of its writes."""

    write: int = 0
    after: bool = False

    def put_new(self, key: str, source: Path | bytes) -> None:
        """Store a file, if the process lives."""
        self._write(lambda: super(DyingStore, self).put_new(key, source))

    def commit_new(self, log_prefix: str, payload: dict[str, Any], *, number: int | None = None) -> int:
        """Append an entry, if the process lives."""
        return self._write(lambda: super(DyingStore, self).commit_new(log_prefix, payload, number=number))

    def replace(self, key: str, content: bytes) -> None:
        """Replace a file, if the process lives."""
        self._write(lambda: super(DyingStore, self).replace(key, content))

    def _write(self, write: Callable[[], Any]) -> Any:
        count = self.root.parent / "writes"
        number = int(count.read_text()) if count.exists() else 0
        count.write_text(str(number + 1))
        if number == self.write and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = write()
        if number == self.write:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def publish_and_die(folder: Path, write: int, after: bool) -> None:
    """Publish the two shares, in a process of its own that does not live to the end."""
    loaded = load_datasets(PROJECT / "schemas")
    datasets = {name: loaded[name] for name in DATASETS}
    published(two_shares(datasets, folder), datasets, DyingStore(folder / "home", write, after))


@pytest.mark.parametrize(
    ("write", "after"),
    [
        pytest.param(0, False, marks=pytest.mark.slow),
        pytest.param(2, False, marks=pytest.mark.slow),
        pytest.param(7, True, marks=pytest.mark.slow),
        (9, False),
        (9, True),
        pytest.param(10, False, marks=pytest.mark.slow),
    ],
)
def test_a_publisher_that_is_killed_leaves_nothing_that_the_next_one_minds(
    datasets: dict[str, Dataset], undisturbed: dict[str, str], tmp_path: Path, write: int, after: bool
) -> None:
    killed = tmp_path / "killed"
    code = f"from tests.publish.test_interruptions import *; publish_and_die(Path({str(killed)!r}), {write}, {after})"
    killed.mkdir()
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT).returncode == -signal.SIGKILL
    store = LocalStore(killed / "home")
    committed = current(store) is not None
    assert committed == ((write, after) in {(9, True), (10, False)})
    if committed:
        verify_release(store)
    again = published(two_shares(datasets, tmp_path / "again"), datasets, store)
    assert (again.number, again.new) == (1, not committed)
    assert files_in(store, again.folder) == undisturbed
    assert json.loads(store.get("current.json"))["release"] == 1
    assert len(list_releases(store)) == 1
    verify_release(store)


def test_leftovers_of_other_content_are_left_alone(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore
) -> None:
    store.put_new("releases/1/assay/part-00000.parquet", b"what an earlier publisher left")
    done = published(shares, datasets, store)
    assert done.folder == f"releases/1-{done.manifest_sha256[:12]}"
    assert store.get("releases/1/assay/part-00000.parquet") == b"what an earlier publisher left"
    assert load_release(store)["folder"] == done.folder
    verify_release(store)
    assert hashlib.sha256(store.get(f"{done.folder}/release.json")).hexdigest() == done.manifest_sha256


@dataclass(frozen=True)
class ContestedStore(LocalStore):
    """A store to which another publisher commits while ours is still bringing files in."""

    def put_new(self, key: str, source: Path | bytes) -> None:
        """Store a file; the other publisher is quicker with its entry."""
        super().put_new(key, source)
        if key.endswith("release.json"):
            LocalStore(self.root).commit_new("log", {"kind": "withdrawal"})


def test_a_publisher_that_comes_second_commits_nothing(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore
) -> None:
    with pytest.raises(RejectedError, match="cannot be committed, the next one is 2"):
        published(shares, datasets, ContestedStore(store.root))
    assert current(store) is None
    done = published(shares, datasets, store)
    assert (done.number, done.folder) == (2, "releases/2")
