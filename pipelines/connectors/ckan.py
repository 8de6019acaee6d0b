"""Resources of a package in a CKAN catalogue: the file, or the rows of its data store."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin

from pipelines.connectors import credentials
from pipelines.connectors.addresses import redact
from pipelines.connectors.exchange import ask_of, get, host_of, hosts_of
from pipelines.connectors.fetched import Fetched
from pipelines.connectors.http import file_at
from pipelines.connectors.pages import ids_of, json_document, marks_of
from pipelines.connectors.paging import OPTIONS as PAGING_OPTIONS
from pipelines.connectors.paging import Page, Service, fetch_pages
from pipelines.contracts import Table
from pipelines.errors import MineralsError, RejectedError, SourceError
from pipelines.settings import Settings

OPTIONS: dict[str, tuple[type, ...]] = {
    **PAGING_OPTIONS,
    "package": (str,),
    "resource": (str,),
    "format": (str,),
    "datastore": (bool,),
}


def fetch(
    table: Table, folder: Path, *, feed: str, settings: Settings, previous: tuple[Fetched, ...] = ()
) -> list[Fetched]:
    """Fetch one resource of one package.

    Parameters
    ----------
    table : has `url`, the catalogue's address; options `package`, and `resource` (its name) or `format` or both, of
        which exactly one resource must be; `datastore` takes the rows of the data store, as pages, in its place.
    folder, feed, settings, previous : as `pipelines.connectors.paging.fetch_pages` says.

    Raises
    ------
    RejectedError
        If not exactly one resource fits, or its file lies on a host that the feed does not name.
    """
    shown = credentials.load(table.credentials, (("TOKEN",),))
    with shown.kept(feed):
        headers = credentials.headers(shown, scheme="")
        resource = _resource(table, folder, headers)
        if table.options.get("datastore"):
            service = _service(table, resource, headers)
            return fetch_pages(service, table, folder, feed=feed, settings=settings, previous=previous)
        url = urljoin(table.url or "", str(resource.get("url") or ""))
        if host_of(url) not in hosts_of(table):
            raise RejectedError(f"the resource lies at {redact(url)}; if it may be asked, name its host in hosts")
        return [file_at(url, table, folder, headers=headers, previous=previous)]


def _resource(table: Table, folder: Path, headers: dict[str, str]) -> dict[str, Any]:
    """Find the one resource that the options name."""
    url = _action(table, "package_show", {"id": str(table.options["package"])})
    answer = get(ask_of(table, url, headers=headers), folder)
    try:
        package = _result(json_document(answer.path))
    except MineralsError as error:
        raise type(error)(f"{redact(url)}: {error}") from error
    finally:
        answer.path.unlink(missing_ok=True)
    name, kind = table.options.get("resource"), str(table.options.get("format", "")).casefold()
    resources = [each for each in package.get("resources") or () if isinstance(each, dict)]
    fitting = [
        each
        for each in resources
        if name in (None, each.get("name"), each.get("id")) and kind in ("", str(each.get("format")).casefold())
    ]
    if len(fitting) != 1:
        have = [f"{each.get('name')} ({each.get('format')})" for each in resources]
        raise RejectedError(f"{redact(url)}: {len(fitting)} resources fit, exactly one must; there is {have}")
    return fitting[0]


def _service(table: Table, resource: dict[str, Any], headers: dict[str, str]) -> Service:
    def url(fetched: int, size: int, _link: str | None) -> str:
        more = {str(name): str(value) for name, value in table.options.get("query", {}).items()}
        words = {"resource_id": str(resource.get("id")), "sort": "_id", **more}
        return _action(table, "datastore_search", {**words, "offset": str(fetched), "limit": str(size)})

    name = re.sub(r"[^\w.-]", "_", f"{table.options['package']}_{resource.get('name') or resource.get('id')}")
    return Service(name, ".json", url, _judge, headers=headers)


def _judge(path: Path) -> Page:
    result = _result(json_document(path))
    records = result.get("records")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise SourceError(f"no list of records came, but an object with {sorted(result)[:20]}")
    page = Page(marks=marks_of(records), ids=ids_of([record.get("_id") for record in records]))
    total = result.get("total")
    estimated = bool(result.get("total_was_estimated"))
    return replace(page, total=total if isinstance(total, int) and not estimated else None)


def _result(document: dict[str, Any]) -> dict[str, Any]:
    result = document.get("result")
    if document.get("success") is not True or not isinstance(result, dict):
        error = document.get("error")
        words = error.get("message") or error.get("__type") if isinstance(error, dict) else error
        raise SourceError(f"the catalogue refuses: {words}")
    return result


def _action(table: Table, name: str, words: dict[str, str]) -> str:
    return f"{(table.url or '').rstrip('/')}/api/3/action/{name}?{urlencode(words)}"
