"""Features of one layer of an ArcGIS REST service.

Servers that page count with `resultOffset`, in the order of the object ids. Older ones do not: their ids are asked
first, and pages are ranges of ids. An error comes as JSON with the status 200.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from pipelines.connectors import credentials
from pipelines.connectors.exchange import Late, ask_of, get
from pipelines.connectors.fetched import Fetched
from pipelines.connectors.pages import json_document, json_page
from pipelines.connectors.paging import OPTIONS as PAGING_OPTIONS
from pipelines.connectors.paging import PAGE_SIZE, Page, Service, fetch_pages
from pipelines.contracts import Table
from pipelines.errors import MineralsError, RejectedError, SourceError
from pipelines.settings import Settings

OPTIONS: dict[str, tuple[type, ...]] = {**PAGING_OPTIONS, "where": (str,), "fields": (list, tuple)}
TOKEN = "X-Esri-Authorization"  # noqa: S105 - a header's name
TRY_SMALLER = frozenset({500, 502, 503, 504})

Small = Callable[[str, dict[str, str]], dict[str, Any]]


def fetch(
    table: Table, folder: Path, *, feed: str, settings: Settings, previous: tuple[Fetched, ...] = ()
) -> list[Fetched]:
    """Fetch every feature of one layer.

    Parameters
    ----------
    table : has `url`, the layer's address (`.../FeatureServer/0`); options `where` (`1=1`), `fields` (all) and `query`
        (more parameters, such as `outSR`). The reader `geojson` is given GeoJSON, any other Esri's own JSON.
    folder, feed, settings, previous : as `pipelines.connectors.paging.fetch_pages` says.
    """
    shown = credentials.load(table.credentials, credentials.TOKEN_OR_USER)
    with shown.kept(feed):
        headers = credentials.headers(shown, token=TOKEN)
        service = _service(table, settings.fetching / feed, headers)
        return fetch_pages(service, table, folder, feed=feed, settings=settings, previous=previous)


def _service(table: Table, folder: Path, headers: dict[str, str]) -> Service:
    """Ask the layer what it can do and how many features it has."""
    folder.mkdir(parents=True, exist_ok=True)

    def small(below: str, words: dict[str, str]) -> dict[str, Any]:
        return _small(table, _address(table, below, words), folder, headers)

    layer = small("", {"f": "json"})
    key = _object_id(layer)
    declared = small("/query", {"where": _where(table), "returnCountOnly": "true", "f": "json"}).get("count")
    if not isinstance(declared, int):
        raise SourceError("the layer does not tell how many features it has")
    pages = (layer.get("advancedQueryCapabilities") or {}).get("supportsPagination") or layer.get("supportsPagination")
    url = _by_offset(table, key) if pages else _by_ids(table, key, small)
    steps = [step for step in urlsplit(table.url or "").path.split("/") if step]
    most = layer.get("maxRecordCount")
    return Service(
        name=re.sub(r"[^\w.-]", "_", "_".join(steps[-3:])),
        suffix=".json",
        url=url,
        judge=_judge_of(key),
        total=declared,
        size=most if isinstance(most, int) and most > 0 else PAGE_SIZE,
        headers=headers,
    )


def _object_id(layer: dict[str, Any]) -> str:
    fields = [field for field in layer.get("fields") or () if isinstance(field, dict)]
    found = [field.get("name") for field in fields if field.get("type") == "esriFieldTypeOID"]
    key = layer.get("objectIdField") or (found[0] if found else None)
    if not isinstance(key, str):
        raise RejectedError("the layer has no object id, without which its features cannot be told apart")
    return key


def _query(table: Table, words: dict[str, str]) -> str:
    fields = ",".join(str(field) for field in table.options.get("fields", ("*",)))
    kind = "geojson" if table.reader == "geojson" else "json"
    more = {str(name): str(value) for name, value in table.options.get("query", {}).items()}
    return _address(table, "/query", {"outFields": fields, "returnGeometry": "true", "f": kind, **more, **words})


def _by_offset(table: Table, key: str) -> Callable[[int, int, str | None], str]:
    def url(fetched: int, size: int, _link: str | None) -> str:
        place = {"resultOffset": str(fetched), "resultRecordCount": str(size)}
        return _query(table, {"where": _where(table), "orderByFields": key, **place})

    return url


def _by_ids(table: Table, key: str, small: Small) -> Callable[[int, int, str | None], str]:
    """Page by ranges of object ids, for servers that cannot count."""
    answer = small("/query", {"where": _where(table), "returnIdsOnly": "true", "f": "json"})
    ids = sorted(each for each in answer.get("objectIds") or () if isinstance(each, int))

    def url(fetched: int, size: int, _link: str | None) -> str:
        chosen = ids[fetched : fetched + size] or [-1]
        return _query(table, {"where": f"({_where(table)}) AND {key} >= {chosen[0]} AND {key} <= {chosen[-1]}"})

    return url


def _judge_of(key: str) -> Callable[[Path], Page]:
    def name(feature: dict[str, Any]) -> Any:  # noqa: ANN401 - as the service gives it
        own = feature.get("id")
        attributes = feature.get("attributes") or feature.get("properties") or {}
        return attributes.get(key, own) if isinstance(attributes, dict) else own

    def judge(path: Path) -> Page:
        _refuse_error(json_document(path))
        page, document = json_page(path, name)
        properties = document.get("properties")
        said = document.get("exceededTransferLimit")
        said = said or (isinstance(properties, dict) and properties.get("exceededTransferLimit"))
        return replace(page, partial=bool(said))

    return judge


def _refuse_error(document: dict[str, Any]) -> None:
    """Find the error that ArcGIS sends with the status 200."""
    error = document.get("error")
    if error is None:
        return
    error = error if isinstance(error, dict) else {"message": str(error)}
    details = error.get("details")
    more = " ".join(str(detail) for detail in details) if isinstance(details, list) else ""
    words = f"an error came instead of features: {error.get('code')} {error.get('message')} {more}".strip()
    code = error.get("code")
    if code in TRY_SMALLER:
        raise Late(words)
    raise (RejectedError if isinstance(code, int) and 400 <= code < 500 else SourceError)(words)


def _small(table: Table, url: str, folder: Path, headers: dict[str, str]) -> dict[str, Any]:
    """Ask for a small JSON document that is no part of the delivery."""
    answer = get(ask_of(table, url, headers=headers), folder)
    try:
        document = json_document(answer.path)
        _refuse_error(document)
    except MineralsError as error:
        raise type(error)(f"{ask_of(table, url).shown}: {error}") from error
    finally:
        answer.path.unlink(missing_ok=True)
    return document


def _address(table: Table, below: str, words: dict[str, str]) -> str:
    parts = urlsplit(table.url or "")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + below, urlencode(words), ""))


def _where(table: Table) -> str:
    return str(table.options.get("where", "1=1"))
