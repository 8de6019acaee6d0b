"""How files are fetched: one small function per protocol.

A connector takes a table of a feed and a folder, writes the files into the folder under the names of their hashes, and
gives one `Fetched` per file. It raises SourceError for what trying again can mend, ContractError for what the feed's
YAML must mend, and RejectedError for the rest. It never tries the same again by itself: the scheduler does.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.connectors import arcgis, ckan, drop, http, ogcapi, s3, sftp, sql, wfs
from pipelines.connectors.addresses import redact
from pipelines.connectors.fetched import Fetched
from pipelines.contracts import Table, nearest
from pipelines.errors import ContractError
from pipelines.settings import Settings


@dataclass(frozen=True)
class Connector:
    """One protocol: its function, and what a feed's table says for it.

    Parameters
    ----------
    options : kinds of value, by option.
    needs : words of the table and options without which nothing can be fetched.
    may : further words of the table that mean something to it.
    """

    fetch: Callable[..., list[Fetched]]
    options: dict[str, tuple[type, ...]] = field(default_factory=dict)
    needs: tuple[str, ...] = ("url",)
    may: tuple[str, ...] = ()


CONNECTORS: dict[str, Connector] = {
    "arcgis": Connector(arcgis.fetch, arcgis.OPTIONS, may=("credentials",)),
    "ckan": Connector(ckan.fetch, ckan.OPTIONS, needs=("url", "package"), may=("credentials",)),
    "drop": Connector(drop.fetch, needs=("path",), may=("parts",)),
    "http": Connector(http.fetch, http.OPTIONS, may=("credentials",)),
    "ogcapi": Connector(ogcapi.fetch, ogcapi.OPTIONS, may=("credentials",)),
    "s3": Connector(s3.fetch, s3.OPTIONS, needs=("url", "path"), may=("parts", "credentials")),
    "sftp": Connector(
        sftp.fetch, sftp.OPTIONS, needs=("url", "path", "credentials", "host_key"), may=("parts", "credentials")
    ),
    "sql": Connector(sql.fetch, sql.OPTIONS, needs=("url", "key"), may=("credentials",)),
    "wfs": Connector(wfs.fetch, wfs.OPTIONS, needs=("url", "type"), may=("credentials",)),
}
OPTIONS = {name: connector.options for name, connector in CONNECTORS.items()}
"""A table's options that belong to its connector rather than to its reader."""
PAGED = frozenset({"arcgis", "ckan", "ogcapi", "wfs"})
"""Connectors whose deliveries may be an index and its pages."""
PLACES = ("path", "url", "parts", "credentials")


def fetch(
    table: Table, folder: Path, *, feed: str, settings: Settings, previous: tuple[Fetched, ...] = ()
) -> list[Fetched]:
    """Fetch a table's files with its connector.

    Raises
    ------
    ContractError
        If the table names no connector, or says what its connector cannot use.
    SourceError, RejectedError
        As the connector says.
    """
    for _place, problem in problems(table):
        raise ContractError(f"{feed}: {problem}")
    return CONNECTORS[table.connector].fetch(table, folder, feed=feed, settings=settings, previous=previous)


def problems(table: Table) -> Iterator[tuple[tuple[str, ...], str]]:
    """Give what is wrong with a table's connector and its options: the place in the table, and the words."""
    connector = CONNECTORS.get(table.connector)
    if connector is None:
        yield ("connector",), f"no connector {table.connector!r}{nearest(table.connector, CONNECTORS)}"
        return
    name = table.connector
    for word in connector.needs:
        if not (getattr(table, word) if word in PLACES else table.options.get(word)):
            yield ("options",) if word not in PLACES else (), f"the connector {name} needs {word}"
    for word in PLACES:
        if getattr(table, word) and word not in (*connector.needs, *connector.may):
            yield (word,), f"the connector {name} has no use for {word}"
    for option, value in table.options.items():
        if option in connector.options and not _fits(value, connector.options[option]):
            about = redact(table.url) if table.url else table.path
            yield ("options", option), f"option {option} of {about} cannot be {value!r}"


def request_of(table: Table) -> tuple[Any, ...]:
    """Give what distinguishes one fetch from another: tables that share it share their files."""
    mine = {name: value for name, value in table.options.items() if name in OPTIONS.get(table.connector, {})}
    reader = None if table.connector == "drop" else table.reader
    return (table.connector, table.path, table.url, table.credentials, table.parts, reader, repr(sorted(mine.items())))


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:  # noqa: ANN401 - an option's value
    return isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds)


__all__ = ["CONNECTORS", "OPTIONS", "PAGED", "Connector", "Fetched", "fetch", "problems", "request_of"]
