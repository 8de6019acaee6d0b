"""The catalogue's tables; ``migrations`` bring a database to them, step by step.

What must hold is a constraint of the database itself: a ledger that does not balance cannot be written by anyone.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

HEAD = "0001"
"""The newest migration; a test holds it against ``migrations/versions``."""

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Moment(TypeDecorator[datetime]):
    """An instant, always in UTC, also where the database keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the database an instant in UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read an instant in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text that may be a partner's: what no database keeps (NUL, half a surrogate pair) is replaced in sight."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace the characters that cannot be kept."""
        if value is None:
            return None
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


Key = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """The registry that SQLAlchemy keeps the tables in."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {str: Words, datetime: Moment, int: BigInteger, dict[str, Any]: JSON, list[Any]: JSON}


def one_of(column: str, *words: str) -> CheckConstraint:
    """Constrain a column to a few words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def balance(whole: str, *parts: str) -> tuple[CheckConstraint, CheckConstraint]:
    """Constrain a figure to be the sum of its parts, and none to be negative."""
    counted = " AND ".join(f'"{figure}" >= 0' for figure in (whole, *parts))
    total = " + ".join(f'"{part}"' for part in parts)
    return CheckConstraint(f'"{whole}" = {total}', name="balance"), CheckConstraint(counted, name="counts")


def of_delivery(column: str = "delivery") -> ForeignKeyConstraint:
    """Point a table at a delivery, which is a delivery of one feed: two feeds may receive the same files."""
    return ForeignKeyConstraint(["feed", column], ["delivery.feed", "delivery.id"])


class DeliveryFile(Base):
    """A file of a delivery."""

    __tablename__ = "delivery_file"
    __table_args__ = (of_delivery(),)

    feed: Mapped[str] = mapped_column(primary_key=True)
    delivery: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    table_name: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str]
    size: Mapped[int]


class Delivery(Base):
    """The files once received from a feed."""

    __tablename__ = "delivery"
    __table_args__ = (
        of_delivery("corrects"),
        UniqueConstraint("feed", "arrived"),
        one_of("mode", "snapshot", "delta", "append", "correction"),
    )

    feed: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    partner: Mapped[str]
    received_at: Mapped[datetime]
    mode: Mapped[str]
    folder: Mapped[str]
    file_count: Mapped[int]
    bytes: Mapped[int]
    corrects: Mapped[str | None]
    arrived: Mapped[int]
    files: Mapped[list[DeliveryFile]] = relationship(lazy="selectin", order_by=[DeliveryFile.name])


class Run(Base):
    """An attempt to take a delivery through the line."""

    __tablename__ = "run"
    __table_args__ = (
        of_delivery(),
        one_of("kind", "ingest", "replay", "reprocess"),
        one_of("state", "running", "conformed", "accepted", "failed"),
        Index(None, "feed", "state"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    feed: Mapped[str]
    delivery: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str]
    fingerprint: Mapped[str]
    folder: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None]
    isolation: Mapped[str | None]
    audit: Mapped[dict[str, Any] | None]
    parent: Mapped[int | None] = mapped_column(ForeignKey("run.id"))


class SourceLedger(Base):
    """Where the rows of a source file went."""

    __tablename__ = "ledger_source"
    __table_args__ = balance("rows", "used", "filtered", "quarantined")

    run: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    file: Mapped[str] = mapped_column(primary_key=True)
    table_name: Mapped[str] = mapped_column(primary_key=True)
    rows: Mapped[int]
    used: Mapped[int]
    filtered: Mapped[int]
    quarantined: Mapped[int]


class DatasetLedger(Base):
    """Where the shaped rows of a dataset went."""

    __tablename__ = "ledger_dataset"
    __table_args__ = balance("shaped", "accepted", "quarantined", "duplicates")

    run: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True)
    shaped: Mapped[int]
    accepted: Mapped[int]
    quarantined: Mapped[int]
    duplicates: Mapped[int]


class Issue(Base):
    """How often a rule found something in a file."""

    __tablename__ = "issue"
    __table_args__ = (one_of("severity", "error", "warning", "info"), CheckConstraint('"count" > 0', name="count"))

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    run: Mapped[int] = mapped_column(ForeignKey("run.id"), index=True)
    dataset: Mapped[str | None]
    file: Mapped[str]
    rule: Mapped[str]
    severity: Mapped[str]
    column_name: Mapped[str | None]
    count: Mapped[int]
    examples: Mapped[list[Any]]
    hint: Mapped[str | None]


class QuarantineRow(Base):
    """A row that may not be published yet."""

    __tablename__ = "quarantine_row"
    __table_args__ = (
        of_delivery(),
        one_of("state", "open", "released", "replaced"),
        CheckConstraint("(state = 'open') = (resolved_by IS NULL AND resolved_at IS NULL)", name="resolved"),
        Index(None, "feed", "state"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    run: Mapped[int] = mapped_column(ForeignKey("run.id"), index=True)
    feed: Mapped[str]
    delivery: Mapped[str]
    dataset: Mapped[str | None]
    file: Mapped[str]
    row: Mapped[int | None]
    record_id: Mapped[str | None]
    rules: Mapped[list[Any]]
    state: Mapped[str]
    resolved_by: Mapped[int | None] = mapped_column(ForeignKey("run.id"))
    resolved_at: Mapped[datetime | None]


class Release(Base):
    """A release that was committed to the log."""

    __tablename__ = "release"

    number: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    content_hash: Mapped[str]
    log_key: Mapped[str]
    created_at: Mapped[datetime]
    rows: Mapped[int]
    semantic_version: Mapped[str]
    summary: Mapped[dict[str, Any]]


class ReleaseLedger(Base):
    """Where a feed's accepted rows went in a release."""

    __tablename__ = "ledger_release"
    __table_args__ = balance("accepted", "published", "superseded", "withheld")

    release: Mapped[int] = mapped_column(ForeignKey("release.number"), primary_key=True)
    feed: Mapped[str] = mapped_column(primary_key=True)
    dataset: Mapped[str] = mapped_column(primary_key=True)
    accepted: Mapped[int]
    published: Mapped[int]
    superseded: Mapped[int]
    withheld: Mapped[int]


class Report(Base):
    """What a feed told the next release."""

    __tablename__ = "report"
    __table_args__ = (
        of_delivery(),
        one_of("state", "fresh", "unchanged", "failed"),
        Index(None, "feed", "id"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    feed: Mapped[str]
    state: Mapped[str]
    delivery: Mapped[str | None]
    run: Mapped[int | None] = mapped_column(ForeignKey("run.id"))
    at: Mapped[datetime]
    release: Mapped[int | None] = mapped_column(ForeignKey("release.number"), index=True)
    detail: Mapped[str | None]
