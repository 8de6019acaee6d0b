"""Files that a partner's server answers with.

The whole exchange has one deadline, whatever the server does; the answer has a cap that holds while it streams; no
redirect is followed unseen; and an answer that is cut short, packed, partial, or a page for people instead of data
never becomes a file. Proxies from the environment are not used, since a proxy would look names up again.
"""

import asyncio
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from pipelines.connectors.addresses import Address, redact, resolve
from pipelines.connectors.endings import ending
from pipelines.connectors.fetched import Fetched, Intake
from pipelines.contracts import Table
from pipelines.errors import ContractError, MineralsError, RejectedError, SourceError
from pipelines.formats import kind
from pipelines.settings import Settings

OPTIONS: dict[str, tuple[type, ...]] = {
    "hosts": (list, tuple),
    "allow_private": (bool,),
    "max_bytes": (int,),
    "deadline_s": (int, float),
}
REDIRECTS = 5
REDIRECT = (301, 302, 303, 307, 308)
TRY_AGAIN = frozenset({408, 421, 423, 425, 429})
DEADLINE_S = 1800.0
MAX_BYTES = 8 << 30
IDLE_S = 30.0


def fetch(
    table: Table, folder: Path, *, feed: str, settings: Settings, previous: tuple[Fetched, ...] = ()
) -> list[Fetched]:
    """Fetch a table's URL into a folder, or notice that it did not change.

    Parameters
    ----------
    table : has `url`; its options may give `hosts` (redirects may go there), `max_bytes`, `deadline_s` (whole exchange,
        seconds), and `allow_private` for servers inside one's own network.
    folder : where the file goes, named by its SHA-256.
    feed : name of the feed, for messages.
    settings : not used.
    previous : what the last delivery had; its validators make the request conditional.

    Raises
    ------
    SourceError
        If trying again may help: no connection, deadline, 5xx, a short answer, a page instead of data.
    RejectedError
        If it will not: 4xx, an answer beyond the cap, a packed answer, a redirect elsewhere.
    ContractError
        If the URL or an option is wrong.
    """
    options = _options(table, feed)
    if table.url is None or table.parts:
        raise ContractError(f"{feed}: the connector http needs a url and takes no parts")
    known = next((file for file in previous if file.place == redact(table.url)), None)
    try:
        return [asyncio.run(_within(table, folder, options=options, known=known))]
    except MineralsError as error:
        raise type(error)(f"{feed}: {error}") from error


async def _within(table: Table, folder: Path, *, options: dict[str, Any], known: Fetched | None) -> Fetched:
    deadline = float(options.get("deadline_s", DEADLINE_S))
    shown = redact(table.url or "")
    try:
        async with asyncio.timeout(deadline):
            return await _exchange(table, folder, options=options, known=known)
    except TimeoutError as error:
        raise SourceError(f"{shown}: not done within {deadline:g} s") from error
    except httpx.HTTPError as error:
        raise SourceError(f"{shown}: {type(error).__name__}") from error
    except httpx.InvalidURL as error:
        raise RejectedError(f"{shown}: leads to an address that cannot be asked") from error


async def _exchange(table: Table, folder: Path, *, options: dict[str, Any], known: Fetched | None) -> Fetched:
    url = table.url or ""
    private = bool(options.get("allow_private", False))
    hosts = frozenset(str(host).lower() for host in options.get("hosts", ())) | {_host(url)}
    address = await resolve(url, hosts=hosts, allow_private=private, error=ContractError)
    timeout = httpx.Timeout(IDLE_S)
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=timeout) as client:
        for _hop in range(REDIRECTS + 1):
            response = await client.send(_request(client, address, known), stream=True)
            try:
                if response.status_code not in REDIRECT:
                    return await _answer(response, table, folder, options=options, known=known)
                target = _target(response, address)
            finally:
                await response.aclose()
            address = await resolve(target, hosts=hosts, allow_private=private)
    raise RejectedError(f"{redact(url)}: more than {REDIRECTS} redirects")


def _request(client: httpx.AsyncClient, address: Address, known: Fetched | None) -> httpx.Request:
    headers = {"Host": address.host_header, "Accept-Encoding": "identity", "Accept": "*/*", "User-Agent": "minerals"}
    if known and known.etag:
        headers["If-None-Match"] = known.etag
    if known and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    return client.build_request("GET", address.connect_url, headers=headers, extensions={"sni_hostname": address.host})


def _target(response: httpx.Response, address: Address) -> str:
    location = response.headers.get("location", "")
    target = urljoin(address.url, location)
    if not location or (address.scheme == "https" and not target.startswith("https:")):
        raise RejectedError(f"{redact(address.url)}: redirected to {redact(target)}, which is not followed")
    return target


async def _answer(
    response: httpx.Response, table: Table, folder: Path, *, options: dict[str, Any], known: Fetched | None
) -> Fetched:
    shown = redact(table.url or "")
    if response.status_code == 304 and known and (known.etag or known.last_modified):
        return replace(known, notes=("not modified",))
    _check_status(response, shown)
    cap = int(options.get("max_bytes", MAX_BYTES))
    length = _length(response, shown, cap=cap, reader=table.reader)
    intake = Intake(folder)
    try:
        async for block in response.aiter_raw():
            intake.write(block)
            if intake.size > cap:
                raise RejectedError(f"{shown}: the answer is larger than {cap} bytes")
        if length is not None and intake.size != length:
            raise SourceError(f"{shown}: {intake.size} bytes came of the {length} announced")
        if not intake.size:
            raise SourceError(f"{shown}: the answer is empty")
        path, sha256 = intake.keep()
    finally:
        intake.drop()
    notes = _check_content(path, table, shown)
    etag, modified = response.headers.get("etag"), response.headers.get("last-modified")
    return Fetched(_name(table), shown, path, sha256, intake.size, etag=etag, last_modified=modified, notes=notes)


def _check_status(response: httpx.Response, shown: str) -> None:
    status = response.status_code
    if status >= 500 or status in TRY_AGAIN:
        raise SourceError(f"{shown}: the server answered {status}")
    if status != 200:
        raise RejectedError(f"{shown}: the server answered {status}, and only 200 is taken")
    packing = response.headers.get("content-encoding", "identity").lower()
    if packing != "identity":
        raise RejectedError(f"{shown}: the answer is packed ({packing}), though it was asked for as it is")


def _length(response: httpx.Response, shown: str, *, cap: int, reader: str) -> int | None:
    announced = response.headers.get("content-length")
    if announced is None:
        chunked = "chunked" in response.headers.get("transfer-encoding", "").lower()
        if not chunked and ending(reader) is None:
            raise SourceError(f"{shown}: neither length nor chunks, so that a cut answer could not be told")
        return None
    length = int(announced)
    if length > cap:
        raise RejectedError(f"{shown}: the answer has {length} bytes, and {cap} is the cap")
    return length


def _check_content(path: Path, table: Table, shown: str) -> tuple[str, ...]:
    with path.open("rb") as file:
        found = kind(file.read(4096))
    if found == "an HTML page":
        path.unlink()
        raise SourceError(f"{shown}: an HTML page came instead of data")
    judge = ending(table.reader)
    fault = judge(path) if judge else None
    if fault:
        path.unlink()
        raise SourceError(f"{shown}: the answer is cut short: {fault}")
    with path.open("rb") as file:
        file.seek(-1, 2)
        ends = file.read() in (b"\n", b"\r")
    return () if judge or ends else ("the last line has no end",)


def _name(table: Table) -> str:
    return PurePosixPath(unquote(urlsplit(table.url or "").path)).name or "answer"


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _options(table: Table, feed: str) -> dict[str, Any]:
    options = {name: value for name, value in table.options.items() if name in OPTIONS}
    for name, value in options.items():
        wrong_bool = isinstance(value, bool) and bool not in OPTIONS[name]
        if wrong_bool or not isinstance(value, OPTIONS[name]):
            raise ContractError(f"{feed}: option {name} of {redact(table.url or '')} cannot be {value!r}")
    return options
