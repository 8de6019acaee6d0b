"""How facts and the rows of the database become each other, and what is refused on the way."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, OperationalError, StatementError
from sqlalchemy.orm import Session

from pipelines.catalogue import tables
from pipelines.catalogue.facts import (
    DatasetLedger,
    Delivery,
    DeliveryFile,
    Example,
    Issue,
    QuarantineRow,
    ReleaseLedger,
    SourceLedger,
)
from pipelines.errors import RejectedError, SourceError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Fact = TypeVar("Fact", bound=DataclassInstance)

LONGEST_LINE = 2_000
MOST_EXAMPLES = 5


@contextmanager
def database_errors() -> Iterator[None]:
    """Say what the database refused, and whether to try again."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise SourceError(f"catalogue: the database does not answer, try again: {one_line(str(error.orig))}") from error
    except (IntegrityError, DataError, StatementError) as error:
        raise RejectedError(f"catalogue: refused by the database: {one_line(str(error.orig))}") from error


def alone(session: Session, feed: str) -> None:
    """Keep other writers of a feed's deliveries and runs waiting until the transaction ends; SQLite always does."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(zlib.crc32(feed.encode()))))


def unfinished(session: Session, run: int) -> tables.Run:
    """Give a run that may still be told about, and keep it so until the transaction ends.

    Raises
    ------
    RejectedError
        If the run is accepted or failed: the worker that speaks is late.
    """
    found = session.get(tables.Run, run, with_for_update=True)
    if found is None:
        raise RejectedError(f"run {run}: not in the catalogue")
    if found.state in {"accepted", "failed"}:
        raise RejectedError(f"{found.feed}: run {run} is {found.state} and takes no more figures: {found.error}")
    return found


def balanced(subject: str, ledgers: Sequence[SourceLedger | DatasetLedger | ReleaseLedger]) -> None:
    """Refuse ledgers that do not balance, naming each; the database would refuse them with fewer words."""
    wrong = [said for ledger in ledgers if (said := ledger.imbalance())]
    if wrong:
        raise RejectedError(f"{subject}: the ledger does not balance: {'; '.join(wrong)}")


def merged(rows: Iterable[Issue]) -> list[Issue]:
    """Add up issues that say the same, keeping the first few examples."""
    found: dict[tuple[str | None, ...], Issue] = {}
    for row in rows:
        key = (row.dataset, row.file, row.rule, row.severity, row.column_name)
        known = found.get(key, replace(row, count=0, examples=()))
        examples = (*known.examples, *row.examples)[:MOST_EXAMPLES]
        found[key] = replace(known, count=known.count + row.count, examples=examples)
    return list(found.values())


def one_line(words: str) -> str:
    r"""Put an error on one line of bounded length.

    >>> one_line("no such table\n  DETAIL: none")
    'no such table DETAIL: none'
    """
    line = " ".join(words.split())
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


def fact(kind: "type[Fact]", row: tables.Base) -> "Fact":
    """Make a fact of a row that has columns of the same names."""
    return kind(**{field.name: getattr(row, field.name) for field in fields(kind)})


def delivered(row: tables.Delivery) -> Delivery:
    """Make a fact of a delivery and its files."""
    return replace(fact(Delivery, row), files=tuple(fact(DeliveryFile, file) for file in row.files))


def issue(row: tables.Issue) -> Issue:
    """Make a fact of an issue and its examples."""
    return replace(fact(Issue, row), examples=tuple(Example(**example) for example in row.examples))


def quarantined(row: tables.QuarantineRow) -> QuarantineRow:
    """Make a fact of a quarantined row."""
    return replace(fact(QuarantineRow, row), rules=tuple(row.rules))
