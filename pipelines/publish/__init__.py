"""Makes a release of what the feeds state: written, read again, and only then committed."""

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.contracts import Dataset, in_order_of_making
from pipelines.errors import ContractError, RejectedError
from pipelines.publish.geopackage import write_twin
from pipelines.publish.geoparquet import Written, write
from pipelines.publish.manifest import DICTIONARY, MANIFEST, DatasetEntry, Draft, FileEntry, dictionary, file_entry
from pipelines.publish.ordering import ordered
from pipelines.publish.readme import README, readme
from pipelines.publish.releases import (
    KIND,
    LOG,
    current,
    files_of,
    free_folder,
    list_releases,
    load_release,
    next_number,
    rebuild_current,
    verify_release,
)
from pipelines.publish.shares import LedgerRow, Options, Published, Rights, Share
from pipelines.publish.statements import Standing, made, standing
from pipelines.publish.verification import verify_landed
from pipelines.store import LocalStore, canonical

__all__ = [
    "Derive",
    "LedgerRow",
    "Options",
    "Published",
    "Rights",
    "Share",
    "current",
    "list_releases",
    "load_release",
    "publish",
    "rebuild_current",
    "verify_release",
]

DEFAULTS = Options()
Derive = Callable[[Dataset, Mapping[str, list[Path]], Path], None]

log = logging.getLogger(__name__)


def publish(
    shares: Sequence[Share],
    datasets: Mapping[str, Dataset],
    store: LocalStore,
    staging: Path,
    options: Options = DEFAULTS,
    derive: Derive | None = None,
) -> Published:
    """Publish what the feeds state as the next release, unless that is what already stands.

    The same shares give the same bytes. Where several statements tell of the same record, the last one stands, in the
    order of the shares and then of each share's files. A call that was cut short may simply be made again.

    Parameters
    ----------
    shares : one per feed, in the declared order of the feeds.
    datasets : every dataset that the release is to have, with rows or without; written in the order of their names.
    staging : folder for what is being made, which needs the room of the uncompressed rows; its ``release`` and ``work``
        folders belong to one publisher at a time and are removed.
    derive : computes a dataset from the files of those that it is computed from, into an Arrow IPC stream; without it
        a release has no computed datasets.

    Raises
    ------
    ContractError
        If a share is of a dataset without a contract, or two shares are of one feed.
    RejectedError
        If accepted rows are damaged or not those that were counted, a record stands twice, what landed in the store
        differs from what was written, or another publisher came first. Nothing is committed then.
    """
    _check(shares, datasets)
    with _workspace(staging) as (release, work):
        made_too = {name: one for name, one in datasets.items() if derive is not None or not one.derived}
        draft, written = _draft(shares, made_too, release, work, options, derive)
        standing_release = current(store)
        if standing_release is not None and standing_release["content_hash"] == draft.content_hash():
            rebuild_current(store)
            log.info("release %d stands: nothing new", standing_release["release"])
            return _published(standing_release, draft, new=False)
        number = next_number(store)
        parent = load_release(store) if standing_release else None
        draft = draft.with_twins(_twins(draft, written, release))
        manifest = _describe(draft, number, parent, release)
        entry = _commit(draft, manifest, release, store)
    rebuild_current(store)
    log.info("release %d: %s", number, {one.dataset.name: one.rows for one in draft.datasets})
    return _published(entry, draft, new=True)


def _check(shares: Sequence[Share], datasets: Mapping[str, Dataset]) -> None:
    feeds = [share.feed for share in shares]
    twice = sorted({feed for feed in feeds if feeds.count(feed) > 1})
    unknown = sorted({name for share in shares for name in share.accepted} - datasets.keys())
    if twice or unknown:
        raise ContractError(f"a release needs one share per feed and known datasets: twice {twice}, unknown {unknown}")


@contextmanager
def _workspace(staging: Path) -> Iterator[tuple[Path, Path]]:
    """Give empty folders for the release being built and for what does not fit into memory."""
    folders = staging / "release", staging / "work"
    try:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        yield folders
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _draft(
    shares: Sequence[Share],
    datasets: Mapping[str, Dataset],
    release: Path,
    work: Path,
    options: Options,
    derive: Derive | None,
) -> tuple[Draft, dict[str, Written]]:
    """Write every dataset, and count what became of the accepted rows."""
    entries: list[DatasetEntry] = []
    ledger: list[LedgerRow] = []
    written: dict[str, Written] = {}
    for dataset in in_order_of_making(datasets):
        name = dataset.name
        stands = _derived(dataset, written, release, work, derive) if derive and dataset.derived else None
        stands = stands or standing(dataset, shares, work)
        written[name] = done = write(dataset, _rows(stands, work, options), release, options)
        files = tuple(file_entry(release, part.path, part.rows) for part in done.parts)
        entries.append(DatasetEntry(dataset, files, done.extent.as_list(), done.rows_by_origin))
        ledger.extend(_ledger(stands, shares, done))
    entries.sort(key=lambda entry: entry.dataset.name)
    ledger.sort(key=lambda row: row.dataset)
    return Draft(options, tuple(shares), tuple(entries), tuple(ledger)), written


def _derived(dataset: Dataset, written: Mapping[str, Written], release: Path, work: Path, derive: Derive) -> Standing:
    """Compute a dataset from the files of those that it is computed from."""
    files = {name: [release / part.path for part in written[name].parts] for name in dataset.derived_from}
    path = work / f"{dataset.name}.made.arrow"
    derive(dataset, files, path)
    return made(dataset, path)


def _rows(stands: Standing, work: Path, options: Options) -> Iterator[pa.Table]:
    """Stream the standing rows: along the Hilbert curve, or, without positions, as they came."""
    if stands.dataset.geometry:
        return ordered(stands, work, options.bucket_rows)
    return (pa.Table.from_batches([batch]) for batch in stands.batches())


def _ledger(stands: Standing, shares: Sequence[Share], written: Written) -> Iterator[LedgerRow]:
    """Count each feed's rows of one dataset; those that its run accepted must all be there."""
    name = stands.dataset.name
    published = written.feed_rows()
    for share in shares:
        if name not in share.accepted and name not in share.datasets:
            continue
        superseded = stands.superseded_rows(share.feed)
        rows = published.get(share.feed, 0)
        accepted = share.datasets.get(name, {}).get("accepted", rows + superseded)
        if accepted != rows + superseded:
            raise RejectedError(
                f"{share.feed} {name}: its ledger has {accepted} accepted rows, its files have {rows + superseded}"
            )
        deleted = {"deleted": stands.deleted[share.feed]} if stands.deleted.get(share.feed) else {}
        yield LedgerRow(
            share.feed, name, accepted=accepted, published=rows, superseded=superseded, superseded_by_rule=deleted
        )


def _twins(draft: Draft, written: Mapping[str, Written], release: Path) -> dict[str, FileEntry | str]:
    """Write each dataset's GeoPackage, or say why it has none."""
    twins: dict[str, FileEntry | str] = {}
    for entry in draft.datasets:
        name = entry.dataset.name
        if not entry.rows:
            twins[name] = "no rows"
        elif entry.rows > draft.options.twin_rows:
            twins[name] = f"{entry.rows} rows; a GeoPackage is made of at most {draft.options.twin_rows}"
        else:
            files = [release / file.path for file in entry.files]
            write_twin(entry.dataset, files, written[name], release / f"{name}.gpkg")
            twins[name] = file_entry(release, f"{name}.gpkg")
    return twins


def _describe(draft: Draft, number: int, parent: Mapping[str, Any] | None, release: Path) -> dict[str, Any]:
    """Write what the release says of itself, and give its release.json."""
    (release / DICTIONARY).write_bytes(dictionary([entry.dataset for entry in draft.datasets]))
    (release / README).write_bytes(readme(draft, number))
    manifest = draft.manifest(number, parent, [file_entry(release, DICTIONARY), file_entry(release, README)])
    (release / MANIFEST).write_bytes(canonical(manifest))
    return manifest


def _commit(draft: Draft, manifest: dict[str, Any], release: Path, store: LocalStore) -> dict[str, Any]:
    """Bring the release into the store, read it again there, and commit it; give its log entry."""
    number = manifest["release"]
    sha256 = hashlib.sha256(canonical(manifest)).hexdigest()
    files = {file.path: file.sha256 for file in files_of(manifest)} | {MANIFEST: sha256}
    folder = free_folder(store, number, files)
    for path in files:
        store.put_new(f"{folder}/{path}", release / path)
    verify_landed(store, folder, manifest, draft)
    entry = {
        "kind": KIND,
        "release": number,
        "folder": folder,
        "content_hash": manifest["content_hash"],
        "manifest_sha256": sha256,
        "semantic_version": manifest["semantic_version"],
        "parent": manifest["parent"] and manifest["parent"]["release"],
        "rows": sum(one.rows for one in draft.datasets),
        "committed_at": datetime.now(UTC).isoformat(),
    }
    store.commit_new(LOG, entry, number=number)
    return entry


def _published(entry: Mapping[str, Any], draft: Draft, *, new: bool) -> Published:
    return Published(
        number=entry["release"],
        new=new,
        folder=entry["folder"],
        content_hash=entry["content_hash"],
        manifest_sha256=entry["manifest_sha256"],
        semantic_version=entry["semantic_version"],
        log_key=f"{LOG}/{entry['release']:020d}.json",
        committed_at=entry["committed_at"],
        rows={one.dataset.name: one.rows for one in draft.datasets},
        ledger=draft.ledger,
    )
