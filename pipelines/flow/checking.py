"""Tries a partner's file against its feed without recording or publishing anything."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipelines import land as landing
from pipelines.catalogue.facts import Issue
from pipelines.contracts import Feed
from pipelines.errors import RejectedError
from pipelines.flow.conform import conform_delivery
from pipelines.flow.installation import catalogue_of, run_fingerprint, schemas_of
from pipelines.flow.modes import standing_before
from pipelines.flow.recording import issues_of
from pipelines.settings import Settings


@dataclass(frozen=True)
class Checked:
    """What would become of a file: the run record, its issues added up, and whether every row would be accepted."""

    record: dict[str, Any]
    issues: list[Issue]

    @property
    def clean(self) -> bool:
        """Whether nothing would be kept back."""
        kept = sum(source["quarantined"] for source in self.record["sources"])
        return kept + sum(figures["quarantined"] for figures in self.record["datasets"].values()) == 0


def check(feed_id: str, path: Path, settings: Settings, page: Path | None = None) -> Checked:
    """Take a file, or a folder laid out like the drop root, through the line in a temporary place.

    Parameters
    ----------
    path : one of the feed's files, under the name that the feed gives it; its other files come from the drop root.
    page : where to write the quality page, if anywhere.

    Raises
    ------
    RejectedError
        If the file is none of the feed's.
    """
    schemas = schemas_of(feed_id, settings)
    feed = schemas.feeds[feed_id]
    with TemporaryDirectory() as scratch, _drop_with(feed, path, settings, Path(scratch)) as drop:
        apart = replace(settings, home=Path(scratch) / "home", drop=drop)
        apart.home.mkdir()
        delivery = landing.land(feed, apart)
        folder = apart.work / feed_id
        snapshot = feed.delivery_mode == "snapshot"
        standing = None if snapshot else standing_before(catalogue_of(settings), feed, delivery.id)
        record = conform_delivery(feed, schemas, delivery, folder, run_fingerprint(feed), standing=standing)
        checked = Checked(record, list(issues_of(folder)))
        if page is not None:
            from pipelines.quality import write_quality  # heavy: renders a page

            shutil.copyfile(write_quality(folder, feed, schemas), page)
    return checked


@contextmanager
def _drop_with(feed: Feed, path: Path, settings: Settings, scratch: Path) -> Iterator[Path]:
    """Lay out a drop in which one of the feed's files is the given one."""
    if path.is_dir():
        yield path.resolve()
        return
    wanted = [table.path for table in feed.tables.values() if table.path and Path(table.path).name == path.name]
    if not wanted or not path.is_file():
        names = sorted({table.file for table in feed.tables.values()})
        raise RejectedError(f"{feed.id}: {path.name} is none of the feed's files ({', '.join(names)}), or is not there")
    drop = scratch / "drop"
    for table in feed.tables.values():
        for relative in (table.path or "", *table.parts):
            beside = path.parent / Path(relative).name
            source = (
                beside
                if relative == wanted[0] or (relative in table.parts and beside.is_file())
                else settings.drop / relative
            )
            target = drop / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_file() and not target.exists():
                shutil.copyfile(source, target)
    yield drop
