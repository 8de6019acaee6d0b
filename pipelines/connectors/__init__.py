"""How files are fetched: one small function per protocol.

A connector takes a table of a feed and a folder, writes the files into the folder under the names of their hashes, and
gives one `Fetched` per file. It raises SourceError for what trying again can mend, ContractError for what the feed's
YAML must mend, and RejectedError for the rest. It never tries again by itself: the scheduler does.
"""

from collections.abc import Callable

from pipelines.connectors import drop, http
from pipelines.connectors.fetched import Fetched

CONNECTORS: dict[str, Callable[..., list[Fetched]]] = {"drop": drop.fetch, "http": http.fetch}

OPTIONS: dict[str, frozenset[str]] = {"drop": frozenset(), "http": frozenset(http.OPTIONS)}
"""Names of a table's options that belong to its connector rather than to its reader."""

__all__ = ["CONNECTORS", "OPTIONS", "Fetched"]
