"""Files that a partner's server answers with."""

from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pipelines.connectors import credentials
from pipelines.connectors.addresses import redact
from pipelines.connectors.endings import ending
from pipelines.connectors.exchange import OPTIONS, ask_of, get
from pipelines.connectors.fetched import Fetched
from pipelines.contracts import Table
from pipelines.settings import Settings

__all__ = ["OPTIONS", "fetch", "file_at"]


def fetch(
    table: Table, folder: Path, *, feed: str, settings: Settings, previous: tuple[Fetched, ...] = ()
) -> list[Fetched]:
    """Fetch a table's URL into a folder, or notice that it did not change.

    Parameters
    ----------
    table : has `url`; its options may give `hosts` (redirects may go there), `max_bytes`, `deadline_s` (whole exchange,
        seconds), and `allow_private` for servers inside one's own network. Its `credentials` have TOKEN, or USER and
        PASSWORD.
    folder : where the file goes, named by its SHA-256.
    feed : name of the feed, for messages.
    settings : not used.
    previous : what the last delivery had; its validators make the request conditional.

    Raises
    ------
    SourceError, RejectedError, ContractError
        As `pipelines.connectors.exchange.get` says.
    """
    shown = credentials.load(table.credentials, credentials.TOKEN_OR_USER)
    with shown.kept(feed):
        return [file_at(table.url or "", table, folder, headers=credentials.headers(shown), previous=previous)]


def file_at(url: str, table: Table, folder: Path, *, headers: dict[str, str], previous: tuple[Fetched, ...]) -> Fetched:
    """Fetch one URL with a table's options."""
    known = next((file for file in previous if file.place == redact(url)), None)
    judge = ending(table.reader)
    answer = get(ask_of(table, url, known=known, headers=headers, ending=judge), folder)
    if known and answer.unchanged:
        return replace(known, notes=("not modified",))
    with answer.path.open("rb") as file:
        file.seek(-1, 2)
        ends = file.read() in (b"\n", b"\r")
    return Fetched(
        name=PurePosixPath(unquote(urlsplit(url).path)).name or "answer",
        place=redact(url),
        path=answer.path,
        sha256=answer.sha256,
        size=answer.size,
        etag=answer.etag,
        last_modified=answer.last_modified,
        notes=() if judge or ends else ("the last line has no end",),
    )
