"""Features of a Web Feature Service, versions 1.0, 1.1 and 2.0.

Only 2.0 knows pages; most servers of 1.x page all the same by `startIndex`, and one that does not is found out, since
its first page comes twice. The number of features is asked beforehand; 1.0 has no word for that and is asked in 1.1.
"""

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pipelines.connectors import credentials
from pipelines.connectors.exchange import ask_of, get
from pipelines.connectors.fetched import Fetched
from pipelines.connectors.pages import json_page, xml_hits, xml_page
from pipelines.connectors.paging import OPTIONS as PAGING_OPTIONS
from pipelines.connectors.paging import Page, Service, fetch_pages
from pipelines.contracts import Table
from pipelines.errors import ContractError, RejectedError, SourceError
from pipelines.settings import Settings

OPTIONS: dict[str, tuple[type, ...]] = {**PAGING_OPTIONS, "type": (str,), "version": (str,), "output": (str,)}
VERSIONS = ("2.0.0", "2.0.2", "1.1.0", "1.0.0")


def fetch(
    table: Table, folder: Path, *, feed: str, settings: Settings, previous: tuple[Fetched, ...] = ()
) -> list[Fetched]:
    """Fetch every feature of one type.

    Parameters
    ----------
    table : has `url`, the service's address; options `type` (of the features, with its prefix), `version` (2.0.0),
        `output` (the service's name of a format; its own default otherwise) and `query` (more parameters).
    folder, feed, settings, previous : as `pipelines.connectors.paging.fetch_pages` says.
    """
    shown = credentials.load(table.credentials, credentials.TOKEN_OR_USER)
    with shown.kept(feed):
        version = str(table.options.get("version", VERSIONS[0]))
        if version not in VERSIONS:
            raise ContractError(f"the version of a WFS is one of {', '.join(VERSIONS)}, not {version!r}")
        service = _service(table, version, credentials.headers(shown))
        service = replace(service, total=_declared(service, table, version, settings.fetching / feed))
        return fetch_pages(service, table, folder, feed=feed, settings=settings, previous=previous)


def _service(table: Table, version: str, headers: dict[str, str]) -> Service:
    def url(fetched: int, size: int, _link: str | None) -> str:
        count = "count" if version.startswith("2.") else "maxFeatures"
        start = {"startIndex": str(fetched)} if fetched or version.startswith("2.") else {}
        return _request(table, version, {count: str(size), **start})

    name = re.sub(r"[^\w.-]", "_", str(table.options["type"]))
    suffix = ".json" if table.reader in ("geojson", "json") else ".gml"
    return Service(name, suffix, url, _judge, headers=headers)


def _request(table: Table, version: str, more: dict[str, str]) -> str:
    """Give the address of a GetFeature request; parameters of the base address stay."""
    parts = urlsplit(table.url or "")
    types = "typeNames" if version.startswith("2.") else "typeName"
    words = {"service": "WFS", "version": version, "request": "GetFeature", types: str(table.options["type"])}
    if "output" in table.options:
        words["outputFormat"] = str(table.options["output"])
    words |= {str(name): str(value) for name, value in table.options.get("query", {}).items()} | more
    query = [*parse_qsl(parts.query, keep_blank_values=True), *words.items()]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(query), ""))


def _declared(service: Service, table: Table, version: str, folder: Path) -> int | None:
    """Ask how many features there are; None where the service does not say."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = "1.1.0" if version == "1.0.0" else version
    table = table.model_copy(update={"options": {n: v for n, v in table.options.items() if n != "output"}})
    url = _request(table, asked, {"resultType": "hits"})
    answer = get(ask_of(table, url, headers=service.headers), folder)
    try:
        return xml_hits(answer.path)
    except (RejectedError, SourceError):
        return None  # the pages will tell, or meet the same exception
    finally:
        answer.path.unlink(missing_ok=True)


def _judge(path: Path) -> Page:
    with path.open("rb") as file:
        start = file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"{":
        page, document = json_page(path, lambda feature: feature.get("id"))
        matched = document.get("numberMatched", document.get("totalFeatures"))
    else:
        page, said = xml_page(path)
        matched = said.get("numberMatched")
    return replace(page, total=int(str(matched)) if str(matched).isdigit() else None)
