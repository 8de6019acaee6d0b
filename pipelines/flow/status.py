"""Answers where things stand: shares and their ledgers, what is kept back, and the releases."""

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.flow.installation import catalogue_of
from pipelines.flow.recording import issue_files, ledger_rows, quarantine_files, read_record
from pipelines.flow.releasing import loadable_feeds
from pipelines.land import unclaimed
from pipelines.publish import list_releases, load_release, verify_release
from pipelines.settings import Settings
from pipelines.store import LocalStore


def shares(settings: Settings) -> dict[str, Any]:
    """Give every feed's ledger, the feeds that failed, unclaimed files of the drop, and the newest release."""
    catalogue = catalogue_of(settings)
    feeds, broken = loadable_feeds(settings)
    rows: list[dict[str, Any]] = []
    failed = dict.fromkeys(broken, "its file cannot be loaded; `minerals feeds lint` says why")
    for name in sorted([feed.id for feed in feeds] + broken):
        told = catalogue.latest_report(name)
        if told is not None and told.state == "failed":
            failed.setdefault(name, told.detail or "no reason was given")
        for run in catalogue.latest_accepted(name):
            rows += [{**row, "state": told.state if told else ""} for row in ledger_rows(read_record(run.folder))]
    newest = next(iter(releases(settings)), None)
    return {"ledger": rows, "failed": failed, "unclaimed": unclaimed(settings, feeds), "release": newest}


def kept_back(settings: Settings, feed: str, rule: str | None, limit: int) -> list[dict[str, Any]]:
    """Give rows that a feed's current share keeps back, as received, with rules and hints."""
    catalogue = catalogue_of(settings)
    waiting = {(row.dataset, row.file, row.row) for row in catalogue.quarantine(feed)}
    found: list[dict[str, Any]] = []
    for run in catalogue.latest_accepted(feed):
        if run.kind == "replay":
            continue  # its rows stand where they were first kept back
        hints = _hints(Path(run.folder))
        for path in quarantine_files(Path(run.folder)):
            for row in pq.read_table(path).to_pylist():
                if (row["dataset"], row["file"], row["row"]) not in waiting or (rule and rule not in row["rules"]):
                    continue
                found.append(
                    {
                        **row,
                        "rules": ", ".join(row["rules"]),
                        "hint": "; ".join(hints.get(one, "") for one in row["rules"]),
                    }
                )
                if len(found) == limit:
                    return found
    return found


def _hints(folder: Path) -> dict[str, str]:
    hints: dict[str, str] = {}
    for path in issue_files(folder):
        table = pq.read_table(path, columns=["rule", "hint", "severity"])
        errors = table.filter(pc.equal(pc.cast(table["severity"], "string"), "error"))
        pairs = errors.select(["rule", "hint"]).cast(_plain()).group_by(["rule", "hint"]).aggregate([]).to_pylist()
        hints.update({pair["rule"]: pair["hint"] or "" for pair in pairs})
    return hints


def _plain() -> Any:
    import pyarrow as pa  # a schema of plain texts for grouping

    return pa.schema([("rule", pa.string()), ("hint", pa.string())])


def releases(settings: Settings) -> list[dict[str, Any]]:
    """List the releases as the log tells them, newest first."""
    return [
        {
            "number": entry["release"],
            "committed_at": entry["committed_at"],
            "rows": entry["rows"],
            "semantic_version": entry["semantic_version"],
            "content_hash": entry["content_hash"],
            "folder": str(settings.releases / entry["folder"]),
        }
        for entry in reversed(list_releases(LocalStore(settings.releases)))
    ]


def release_folder(settings: Settings, number: int | None) -> str:
    """Give the folder of a release, the newest if no number is given.

    Raises
    ------
    RejectedError
        If there is none.
    """
    return str(settings.releases / load_release(LocalStore(settings.releases), number)["folder"])


def release_shown(settings: Settings, number: int | None) -> dict[str, Any]:
    """Give a release's manifest, and its datasets and feeds as rows for printing."""
    manifest = load_release(LocalStore(settings.releases), number)
    datasets = [
        {
            "dataset": name,
            "rows": told["rows"],
            "files": len(told["files"]),
            "bytes": sum(file["bytes"] for file in told["files"]),
        }
        for name, told in manifest["datasets"].items()
    ]
    feeds = [
        {
            "feed": name,
            "state": told["state"],
            "delivery": (told["delivery"] or "")[:12],
            "rows": sum((told["rows"] or {}).values()),
        }
        for name, told in manifest["feeds"].items()
    ]
    folder = str(settings.releases / manifest["folder"])
    rows = {
        "datasets": datasets,
        "feeds": feeds,
        "ledger": [one for one in manifest["ledger"]["release"] if one["accepted"]],
    }
    return {"number": manifest["release"], "folder": folder, "manifest": manifest, **rows}


def verified(settings: Settings, number: int | None) -> dict[str, int]:
    """Check a release's files against its checksums, and count them."""
    store = LocalStore(settings.releases)
    return {"number": load_release(store, number)["release"], "files": verify_release(store, number)}
