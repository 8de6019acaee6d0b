"""Features of a collection behind an OGC API.

The service leads from page to page by links. A link may lead to the feed's own hosts only, never from https to http.
"""

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urljoin, urlsplit, urlunsplit

from pipelines.connectors import credentials
from pipelines.connectors.addresses import redact
from pipelines.connectors.exchange import host_of, hosts_of
from pipelines.connectors.fetched import Fetched
from pipelines.connectors.pages import json_page
from pipelines.connectors.paging import OPTIONS, Page, Service, fetch_pages
from pipelines.contracts import Table
from pipelines.errors import RejectedError
from pipelines.settings import Settings

__all__ = ["OPTIONS", "fetch"]

ACCEPT = "application/geo+json, application/json;q=0.9"


def fetch(
    table: Table, folder: Path, *, feed: str, settings: Settings, previous: tuple[Fetched, ...] = ()
) -> list[Fetched]:
    """Fetch every feature of one collection.

    Parameters
    ----------
    table : has `url`, the address of the collection's items; its option `query` gives more parameters.
    folder, feed, settings, previous : as `pipelines.connectors.paging.fetch_pages` says.
    """
    shown = credentials.load(table.credentials, credentials.TOKEN_OR_USER)
    with shown.kept(feed):
        service = _service(table, {"Accept": ACCEPT, **credentials.headers(shown)})
        return fetch_pages(service, table, folder, feed=feed, settings=settings, previous=previous)


def _service(table: Table, headers: dict[str, str]) -> Service:
    base = table.url or ""

    def url(_fetched: int, size: int, link: str | None) -> str:
        words = {str(name): str(value) for name, value in table.options.get("query", {}).items()}
        return _with(link, {"limit": str(size)}) if link else _with(base, {**words, "limit": str(size)})

    def judge(path: Path) -> Page:
        page, document = json_page(path, lambda feature: feature.get("id"))
        total, link = document.get("numberMatched"), _next(document.get("links"), table)
        return replace(page, total=total if isinstance(total, int) else None, link=link, partial=link is not None)

    steps = [unquote(step) for step in urlsplit(base).path.split("/") if step and step != "items"]
    name = re.sub(r"[^\w.-]", "_", steps[-1] if steps else "items")
    return Service(name, ".json", url, judge, linked=True, headers=headers)


def _with(url: str, words: dict[str, str]) -> str:
    """Give a URL with these parameters in the place of its own of the same names."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in words]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode([*query, *words.items()]), ""))


def _next(links: object, table: Table) -> str | None:
    """Give the address of the next page, if there is one, and if it may be asked."""
    base = table.url or ""
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == "next" and isinstance(link.get("href"), str):
            target = urljoin(base, link["href"])
            if urlsplit(base).scheme == "https" and not target.startswith("https:"):
                raise RejectedError(f"the next page is at {redact(target)}, which is not https as the first one is")
            if host_of(target) not in hosts_of(table):
                hosts = sorted(hosts_of(table))
                raise RejectedError(f"the next page is at {redact(target)}, which is not on the feed's hosts {hosts}")
            return target
    return None
