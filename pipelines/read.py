"""Open a delivery's files, each in a process of its own, and keep what they hold as raw Arrow tables.

The parent never parses a partner's bytes. The child may die, hang, or hand over too much: any of these is one finding
about one file, and the line goes on.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from uuid import uuid4

from pipelines.connectors import OPTIONS as CONNECTOR_OPTIONS
from pipelines.connectors import PAGED
from pipelines.contracts import Table
from pipelines.deliveries import INDEX, Delivery, LandedFile
from pipelines.errors import ContractError, RejectedError
from pipelines.readers import SUFFIXES, Limits, check_options
from pipelines.readers.pages import join
from pipelines.readers.sandbox import Opened, Outcome, isolation, open_file, open_files

DEFAULT_LIMITS = Limits()

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TableReport:
    """What came of one table of a feed.

    Parameters
    ----------
    table : its name in the feed.
    file : the partner's name of its file.
    path : Arrow IPC file with its rows, or None where the file was quarantined as a whole.
    rows : rows in it.
    columns : the partner's columns, in order.
    rejected : source rows that are in no column, each with its text in an issue.
    issues : dicts with file, row, rule, severity, column, found and hint.
    crs : authority code or WKT, where the format states one.
    units : unit by column, where the format states them.
    """

    table: str
    file: str
    path: Path | None
    rows: int
    columns: tuple[str, ...]
    rejected: int
    issues: tuple[dict[str, Any], ...]
    crs: str | None
    units: dict[str, str]

    @property
    def refused(self) -> str | None:
        """Say why the file was quarantined as a whole, or give None."""
        if self.path is not None:
            return None
        last = self.issues[-1]
        return f"{self.file}: {last['rule']}: {last['found']}; {last['hint']}"


@dataclass(frozen=True)
class ReadReport:
    """What came of all tables of a delivery, and how the children were kept apart from the network."""

    tables: dict[str, TableReport]
    isolation: str

    @property
    def issues(self) -> tuple[dict[str, Any], ...]:
        """Give the findings of all tables."""
        return tuple(issue for table in self.tables.values() for issue in table.issues)

    @property
    def refused(self) -> tuple[str, ...]:
        """Say which files were quarantined as a whole, and why."""
        return tuple(table.refused for table in self.tables.values() if table.refused)


def read(
    delivery: Delivery, tables: Mapping[str, Table], run_folder: Path, limits: Limits = DEFAULT_LIMITS
) -> ReadReport:
    """Read each table of a delivery into `run_folder/raw/<table>.arrow`.

    Parameters
    ----------
    delivery : what was landed.
    tables : the feed's tables by name.
    run_folder : where raw tables and, for the time being, private copies of the files go.
    limits : what one file may take.

    Returns
    -------
    The report. A file that cannot be read is an issue with its reason, and its table has then no path.

    Raises
    ------
    ContractError
        If a table's reader or options are wrong; nothing is opened then.
    RejectedError
        If the landed bytes are not there.
    """
    for name, table in tables.items():
        try:
            check_options(table.reader, reader_options(table))
        except ContractError as error:
            raise ContractError(f"{delivery.feed}: table {name}: {error}") from error
    raw = run_folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    reports = {name: _table(delivery, name, table, raw=raw, limits=limits) for name, table in tables.items()}
    return ReadReport(reports, isolation())


def reader_options(table: Table) -> dict[str, Any]:
    """Give a table's options without those of its connector."""
    others = CONNECTOR_OPTIONS.get(table.connector, {})
    return {name: value for name, value in table.options.items() if name not in others}


def _table(delivery: Delivery, name: str, table: Table, *, raw: Path, limits: Limits) -> TableReport:
    file = delivery.of(name)
    if file is None:
        raise RejectedError(f"{delivery.feed}: delivery {delivery.id[:12]} has no file for table {name}")
    target = raw / f"{name}.arrow"
    take = _pages if table.connector in PAGED and file.name.endswith(INDEX) else _file
    outcome = take(delivery, file, table, target=target, limits=limits)
    log.info("%s: table %s has %d rows, %d rejected", delivery.feed, name, outcome.rows, outcome.rejected)
    return TableReport(table=name, **{each.name: getattr(outcome, each.name) for each in fields(outcome)})


def _pages(delivery: Delivery, index: LandedFile, table: Table, *, target: Path, limits: Limits) -> Outcome:
    """Have the pages of a service read by a child, in the order of their index, as one table."""
    target.unlink(missing_ok=True)
    told = json.loads(delivery.path(index).read_text(encoding="utf-8"))
    landed = {part.sha256: part for part in delivery.parts(index)}
    private = target.parent / f".{uuid4().hex}"
    private.mkdir(mode=0o700)
    try:
        files = []
        for number, page in enumerate(told["pages"]):
            staged = private / f"input-{number}{SUFFIXES[table.reader]}"
            _copy(delivery, landed[page["sha256"]], staged)
            files.append(Opened(staged, private / f"{number}.arrow", page["name"]))
        outcomes = open_files(files, reader=table.reader, options=reader_options(table), limits=limits)
        counts = [page["rows"] for page in told["pages"]]
        return join(index.name, outcomes, counts, target)
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _file(delivery: Delivery, file: LandedFile, table: Table, *, target: Path, limits: Limits) -> Outcome:
    """Have one file read by a child, from a private copy under our own name."""
    target.unlink(missing_ok=True)
    private = target.parent / f".{uuid4().hex}"
    private.mkdir(mode=0o700)
    try:
        staged = private / f"input{SUFFIXES[table.reader]}"
        _copy(delivery, file, staged)
        for part in delivery.parts(file):
            suffix = Path(part.name).suffix.lower()
            if suffix.isascii() and suffix[1:].isalnum():
                _copy(delivery, part, staged.with_suffix(suffix))
        options = reader_options(table)
        return open_file(staged, target, name=file.name, reader=table.reader, options=options, limits=limits)
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _copy(delivery: Delivery, file: LandedFile, target: Path) -> None:
    """Copy rather than link: whatever happens in the child, the landed bytes stay."""
    try:
        shutil.copyfile(delivery.path(file), target)
    except OSError as error:
        raise RejectedError(f"{delivery.feed}: landed file {file.name!r} cannot be had: {error.strerror}") from error
    target.chmod(0o400)
