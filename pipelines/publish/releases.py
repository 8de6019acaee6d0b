"""Releases in the store: what the log says was committed, and whether it is still what was committed.

The log is the truth. ``releases/<n>/`` holds files that no log entry names yet while release n is being made, and for
ever when its making was cut short; nobody reads them, for readers come by the log. When such leftovers differ from
what is to be published, the release goes to ``releases/<n>-<start of its manifest's SHA-256>/`` instead, so that no
publisher ever touches another's files. Its log entry tells its folder.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.errors import RejectedError
from pipelines.publish.manifest import MANIFEST, FileEntry
from pipelines.store import LocalStore, canonical, sha256_file

LOG = "log"
CURRENT = "current.json"
KIND = "release"
SHOWN = 20
"""Differences that an error lists."""


def list_releases(store: LocalStore) -> list[dict[str, Any]]:
    """List the log entries of all releases, oldest first."""
    entries = (json.loads(store.get(key)) for key in store.list(f"{LOG}/"))
    return [entry for entry in entries if entry.get("kind") == KIND]


def current(store: LocalStore) -> dict[str, Any] | None:
    """Give the log entry of the release that stands; None before the first."""
    for key in reversed(store.list(f"{LOG}/")):
        entry = json.loads(store.get(key))
        if entry.get("kind") == KIND:
            return dict(entry)
    return None


def rebuild_current(store: LocalStore) -> None:
    """Write current.json as the log has it; it only spares readers the log."""
    entry = current(store)
    if entry is not None:
        store.replace(CURRENT, canonical(entry))


def load_release(store: LocalStore, number: int | None = None) -> dict[str, Any]:
    """Load what a release says of itself.

    Parameters
    ----------
    number : the release; None loads the one that stands.

    Returns
    -------
    release.json, with ``folder`` (prefix of the release's keys) and ``committed_at`` from the log.

    Raises
    ------
    RejectedError
        If there is no such release, or its release.json is not the one that was committed.
    """
    entry = _entry(store, number)
    content = store.get(f"{entry['folder']}/{MANIFEST}")
    if hashlib.sha256(content).hexdigest() != entry["manifest_sha256"]:
        raise RejectedError(f"release {entry['release']}: {MANIFEST} is not the one that was committed")
    return {**json.loads(content), "folder": entry["folder"], "committed_at": entry["committed_at"]}


def verify_release(store: LocalStore, number: int | None = None) -> int:
    """Compare every file of a release with what was committed, and give how many there are.

    Raises
    ------
    RejectedError
        If a file is missing or differs; the message names them.
    """
    release = load_release(store, number)
    files = list(files_of(release))
    wrong = [problem for file in files for problem in landed_problems(store, release["folder"], file)]
    refuse(f"release {release['release']}", wrong)
    return len(files) + 1


def files_of(manifest: Mapping[str, Any]) -> Iterator[FileEntry]:
    """Give every file that a release.json names."""
    for dataset in manifest["datasets"].values():
        yield from (FileEntry(**file) for file in dataset["files"])
        if "path" in dataset["geopackage"]:
            yield FileEntry(**dataset["geopackage"])
    yield from (FileEntry(**file) for file in manifest["files"])


def landed_problems(store: LocalStore, folder: str, file: FileEntry) -> list[str]:
    """Say how a file in the store differs from what the release says it is."""
    path = store.path(f"{folder}/{file.path}")
    if not path.is_file():
        return [f"{file.path}: missing"]
    if path.stat().st_size != file.bytes:
        return [f"{file.path}: {path.stat().st_size} bytes, {file.bytes} were published"]
    if sha256_file(path) != file.sha256:
        return [f"{file.path}: SHA-256 differs"]
    return []


def refuse(subject: str, problems: list[str]) -> None:
    """Raise RejectedError if there are problems, naming the first of them."""
    if problems:
        more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
        raise RejectedError(f"{subject}: {'; '.join(problems[:SHOWN])}{more}")


def next_number(store: LocalStore) -> int:
    """Give the number of the next log entry, which will be the next release's."""
    keys = store.list(f"{LOG}/")
    return json.loads(store.get(keys[-1]))["sequence"] + 1 if keys else 1


def free_folder(store: LocalStore, number: int, files: Mapping[str, str]) -> str:
    """Choose the folder of a release that is not committed yet.

    Parameters
    ----------
    files : SHA-256 of every file of the release, by path; leftovers that are among them are of the same making.
    """
    plain = f"releases/{number}"
    left = {key.removeprefix(f"{plain}/"): key for key in store.list(f"{plain}/")}
    ours = all(files.get(path) == sha256_file(store.path(key)) for path, key in left.items())
    return plain if ours else f"{plain}-{files[MANIFEST][:12]}"


def _entry(store: LocalStore, number: int | None) -> dict[str, Any]:
    if number is None:
        entry = current(store)
        if entry is None:
            raise RejectedError(f"no release has been published in {store.root}")
        return entry
    found = [entry for entry in list_releases(store) if entry["release"] == number]
    if not found:
        raise RejectedError(f"release {number}: not in the log of {store.root}")
    return found[0]
