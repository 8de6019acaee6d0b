"""What every part of the flow asks of an installation: its catalogue, its schemas, and the identity of its code."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache

from pipelines import geodesy, terms
from pipelines.catalogue import Catalogue, open_catalogue
from pipelines.catalogue.facts import DeliveryFile
from pipelines.contracts import Dataset, Feed, Schemas, load_datasets, load_feed
from pipelines.deliveries import Delivery
from pipelines.errors import ContractError, MineralsError
from pipelines.settings import PROJECT, Settings


def catalogue_of(settings: Settings) -> Catalogue:
    """Open an installation's catalogue, making it where there is none."""
    settings.home.mkdir(parents=True, exist_ok=True)
    return open_catalogue(settings.catalogue_url)


def schemas_of(feed_id: str, settings: Settings) -> Schemas:
    """Load the contracts and one feed; the mistakes of other feeds do not matter to it.

    Raises
    ------
    ContractError
        If there is no such feed, naming those that there are, or if it is wrong.
    """
    path = settings.schemas / "feeds" / f"{feed_id}.yml"
    if not path.is_file():
        known = sorted(file.stem for file in (settings.schemas / "feeds").glob("*.yml"))
        raise ContractError(f"no feed {feed_id!r}; known: {', '.join(known)}")
    datasets = load_datasets(settings.schemas)
    return Schemas(datasets, {feed_id: load_feed(path, datasets)}, settings.schemas / "vocabularies")


def find_feed(feed_id: str, settings: Settings) -> Feed:
    """Load one feed."""
    return schemas_of(feed_id, settings).feeds[feed_id]


@contextmanager
def naming(feed_id: str) -> Iterator[None]:
    """Put the feed's name before an error of knowledge, which does not know for whom it was asked."""
    try:
        yield
    except MineralsError as error:
        if feed_id in str(error):
            raise
        raise type(error)(f"{feed_id}: {error}") from error


def vocabularies_of(dataset: Dataset, schemas: Schemas) -> dict[str, terms.Vocabulary]:
    """Load the vocabularies that a dataset's columns use."""
    names = sorted({field.vocabulary for field in dataset.fields if field.vocabulary})
    return {name: terms.load_vocabulary(schemas.vocabularies / f"{name}.csv") for name in names}


def codes_of(dataset: Dataset, schemas: Schemas) -> dict[str, frozenset[str]]:
    """Give the codes of the vocabularies that a dataset's columns use."""
    return {name: frozenset(found.codes) for name, found in vocabularies_of(dataset, schemas).items()}


def keep_delivery(catalogue: Catalogue, feed: Feed, delivery: Delivery, corrects: str | None = None) -> None:
    """Tell the catalogue what was received."""
    catalogue.add_delivery(
        feed.id,
        delivery.id,
        partner=feed.partner,
        received_at=datetime.now(UTC),
        mode="correction" if corrects else feed.delivery_mode,
        folder=str(delivery.folder),
        files=[DeliveryFile(file.name, file.table, file.sha256, file.size) for file in delivery.files],
        corrects=corrects,
    )


def run_fingerprint(feed: Feed) -> str:
    """Digest of all but the delivery that decides what becomes of it: mapping, contracts, terms, code, grids."""
    grids = ";".join(f"{name}={version}" for name, version in sorted(geodesy.installed().items()))
    beside = f"{grids}:{geodesy.outlines_digest()}"
    return hashlib.sha256(f"{feed.fingerprint}:{_code_digest()}:{beside}".encode()).hexdigest()


@cache
def _code_digest() -> str:
    files = sorted((PROJECT / "pipelines").rglob("*.py"))
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()
