"""What the catalogue is told and what it answers: frozen facts that outlive the database session they came from."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class DeliveryFile:
    """One file of a delivery, by the name the partner gave it; ``size`` in bytes."""

    name: str
    table_name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Delivery:
    """The files once received from a feed; ``id`` is the SHA-256 of their sorted names and hashes.

    ``arrived`` orders the deliveries of a feed, whatever the clocks said. When content comes back after other content
    came between, the delivery moves to the end of the order and ``received_at`` is the time of its return.
    """

    id: str
    feed: str
    partner: str
    received_at: datetime
    mode: str
    folder: str
    file_count: int
    bytes: int
    corrects: str | None
    arrived: int
    files: tuple[DeliveryFile, ...] = ()


@dataclass(frozen=True)
class Run:
    """One attempt to take a delivery through the line, under one fingerprint of contract and code."""

    id: int
    delivery: str
    feed: str
    kind: str
    state: str
    fingerprint: str
    folder: str
    started_at: datetime
    finished_at: datetime | None
    error: str | None
    isolation: str | None
    audit: dict[str, Any] | None
    parent: int | None


@dataclass(frozen=True)
class SourceLedger:
    """Where the rows of one source file went; a file of several tables has one ledger for each."""

    file: str
    rows: int
    used: int
    filtered: int
    quarantined: int
    table_name: str = ""

    def imbalance(self) -> str | None:
        """Say what is wrong with the figures, or None when they balance.

        >>> SourceLedger("sites.csv", rows=10, used=7, filtered=1, quarantined=1).imbalance()
        'sites.csv: 10 rows are not 7 used + 1 filtered + 1 quarantined'
        """
        whole, parts = self.rows, {"used": self.used, "filtered": self.filtered, "quarantined": self.quarantined}
        return _imbalance(self.file, "rows", whole=whole, parts=parts)


@dataclass(frozen=True)
class DatasetLedger:
    """Where the shaped rows of one dataset went."""

    dataset: str
    shaped: int
    accepted: int
    quarantined: int
    duplicates: int

    def imbalance(self) -> str | None:
        """Say what is wrong with the figures, or None when they balance."""
        parts = {"accepted": self.accepted, "quarantined": self.quarantined, "duplicates": self.duplicates}
        return _imbalance(self.dataset, "shaped", whole=self.shaped, parts=parts)


@dataclass(frozen=True)
class ReleaseLedger:
    """Where one feed's accepted rows of one dataset went in a release."""

    feed: str
    dataset: str
    accepted: int
    published: int
    superseded: int
    withheld: int

    def imbalance(self) -> str | None:
        """Say what is wrong with the figures, or None when they balance."""
        parts = {"published": self.published, "superseded": self.superseded, "withheld": self.withheld}
        return _imbalance(f"{self.feed} {self.dataset}", "accepted", whole=self.accepted, parts=parts)


@dataclass(frozen=True)
class RunLedger:
    """Every figure of one run."""

    run: int
    sources: tuple[SourceLedger, ...]
    datasets: tuple[DatasetLedger, ...]


@dataclass(frozen=True)
class Example:
    """One finding out of many: the row as the partner counts rows, the record, and the text that was found."""

    row: int | None
    record_id: str | None
    found: str | None


@dataclass(frozen=True)
class Issue:
    """How often one rule found something in one file, with a few examples."""

    file: str
    rule: str
    severity: str
    count: int
    dataset: str | None = None
    column_name: str | None = None
    examples: tuple[Example, ...] = ()
    hint: str | None = None


@dataclass(frozen=True)
class HeldRow:
    """A row to be quarantined: a source row (no dataset) or a shaped row, with the rules that it broke."""

    file: str
    row: int | None
    rules: tuple[str, ...]
    dataset: str | None = None
    record_id: str | None = None


@dataclass(frozen=True)
class QuarantineRow:
    """A quarantined row as the catalogue keeps it; what was received stands in its run's folder."""

    id: int
    run: int
    delivery: str
    feed: str
    dataset: str | None
    file: str
    row: int | None
    record_id: str | None
    rules: tuple[str, ...]
    state: str
    resolved_by: int | None
    resolved_at: datetime | None


@dataclass(frozen=True)
class QuarantineCount:
    """How many rows of one feed's dataset are in one state."""

    feed: str
    dataset: str | None
    state: str
    rows: int


@dataclass(frozen=True)
class Report:
    """What a feed told the next release: fresh, unchanged or failed; ``release`` is the one that heard it."""

    id: int
    feed: str
    state: str
    delivery: str | None
    run: int | None
    at: datetime
    release: int | None
    detail: str | None


@dataclass(frozen=True)
class Release:
    """One release as its log entry tells it; ``rows`` over all datasets."""

    number: int
    content_hash: str
    log_key: str
    created_at: datetime
    rows: int
    semantic_version: str
    summary: dict[str, Any] = field(default_factory=dict)


def _imbalance(subject: str, name: str, *, whole: int, parts: dict[str, int]) -> str | None:
    """Say how a figure differs from the sum of its parts."""
    if whole == sum(parts.values()) and min(whole, *parts.values()) >= 0:
        return None
    told = " + ".join(f"{figure} {part}" for part, figure in parts.items())
    return f"{subject}: {whole} {name} are not {told}"
