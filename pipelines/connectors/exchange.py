"""One question to a web server, and its whole answer as a file.

The whole exchange has one deadline, whatever the server does; the answer has a cap that holds while it streams; no
redirect is followed unseen; and an answer that is cut short, packed, partial, or a page for people instead of data
never becomes a file. Proxies from the environment are not used, since a proxy would look names up again.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from pipelines.connectors.addresses import Address, redact, resolve
from pipelines.connectors.fetched import Fetched, Intake
from pipelines.contracts import Table
from pipelines.errors import ContractError, RejectedError, SourceError
from pipelines.formats import kind

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


class Late(SourceError):
    """The server did not manage: it was too slow, or says so itself. A smaller question may help."""


class TooLarge(RejectedError):
    """The answer is beyond a cap, ours or the server's. A smaller question may help."""


@dataclass(frozen=True)
class Ask:
    """A question, and how far the server is trusted.

    Parameters
    ----------
    url : what is asked for.
    hosts : names of hosts that may answer.
    home : the host that the feed names; it alone is shown `headers`.
    allow_private : whether the host may be inside one's own network.
    max_bytes : cap on the answer.
    deadline_s : seconds for the whole exchange.
    known : an earlier answer, whose validators make the question conditional.
    headers : more headers, with whatever the server must be shown.
    ending : tells of a complete file's missing end, where the format has one.
    """

    url: str
    hosts: frozenset[str]
    home: str
    allow_private: bool = False
    max_bytes: int = MAX_BYTES
    deadline_s: float = DEADLINE_S
    known: Fetched | None = None
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    ending: Callable[[Path], str | None] | None = None

    @property
    def shown(self) -> str:
        """Give the URL without secrets."""
        return redact(self.url)


@dataclass(frozen=True)
class Answer:
    """The whole of what came, as a file named by its SHA-256; or that nothing changed since the known answer."""

    path: Path
    sha256: str
    size: int
    etag: str | None = None
    last_modified: str | None = None
    unchanged: bool = False


def ask_of(table: Table, url: str, **more: Any) -> Ask:  # noqa: ANN401 - fields of Ask
    """Give the question for a URL with a table's options."""
    said = {name: table.options[name] for name in OPTIONS if name in table.options}
    home = host_of(table.url or url)
    said["hosts"] = hosts_of(table)
    if more.get("headers") and not url.startswith("https:") and not said.get("allow_private"):
        raise ContractError(f"{redact(url)}: credentials go over https only")
    return Ask(url, home=home, **{**said, **more})


def get(ask: Ask, folder: Path) -> Answer:
    """Ask, and put the whole answer into a folder.

    Raises
    ------
    SourceError
        If trying again may help: no connection, deadline (Late), 5xx (Late), a short answer, a page instead of data.
    RejectedError
        If it will not: 4xx, an answer beyond the cap (TooLarge), a packed answer, a redirect elsewhere.
    ContractError
        If the URL is refused before anything is asked.
    """
    for library in ("httpx", "httpcore"):  # they log whole addresses and headers, with what is secret there
        logging.getLogger(library).setLevel(logging.WARNING)
    return asyncio.run(_within(ask, folder))


async def _within(ask: Ask, folder: Path) -> Answer:
    try:
        async with asyncio.timeout(ask.deadline_s):
            return await _exchange(ask, folder)
    except TimeoutError as error:
        raise Late(f"{ask.shown}: not done within {ask.deadline_s:g} s") from error
    except httpx.TimeoutException as error:
        raise Late(f"{ask.shown}: {type(error).__name__}") from error
    except httpx.HTTPError as error:
        raise SourceError(f"{ask.shown}: {type(error).__name__}") from error
    except httpx.InvalidURL as error:
        raise RejectedError(f"{ask.shown}: leads to an address that cannot be asked") from error


async def _exchange(ask: Ask, folder: Path) -> Answer:
    address = await resolve(ask.url, hosts=ask.hosts, allow_private=ask.allow_private, error=ContractError)
    timeout = httpx.Timeout(IDLE_S)
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=timeout) as client:
        for _hop in range(REDIRECTS + 1):
            response = await client.send(_request(client, address, ask), stream=True)
            try:
                if response.status_code not in REDIRECT:
                    return await _answer(response, ask, folder)
                target = _target(response, address)
            finally:
                await response.aclose()
            address = await resolve(target, hosts=ask.hosts, allow_private=ask.allow_private)
    raise RejectedError(f"{ask.shown}: more than {REDIRECTS} redirects")


def _request(client: httpx.AsyncClient, address: Address, ask: Ask) -> httpx.Request:
    headers = {"Host": address.host_header, "Accept-Encoding": "identity", "Accept": "*/*", "User-Agent": "minerals"}
    if address.host == ask.home:
        headers |= ask.headers
    if ask.known and ask.known.etag:
        headers["If-None-Match"] = ask.known.etag
    if ask.known and ask.known.last_modified:
        headers["If-Modified-Since"] = ask.known.last_modified
    return client.build_request("GET", address.connect_url, headers=headers, extensions={"sni_hostname": address.host})


def _target(response: httpx.Response, address: Address) -> str:
    location = response.headers.get("location", "")
    target = urljoin(address.url, location)
    if not location or (address.scheme == "https" and not target.startswith("https:")):
        raise RejectedError(f"{redact(address.url)}: redirected to {redact(target)}, which is not followed")
    return target


async def _answer(response: httpx.Response, ask: Ask, folder: Path) -> Answer:
    known = ask.known
    if response.status_code == 304 and known and (known.etag or known.last_modified):
        return Answer(known.path, known.sha256, known.size, known.etag, known.last_modified, unchanged=True)
    _check_status(response, ask.shown)
    length = _length(response, ask)
    intake = Intake(folder)
    try:
        async for block in response.aiter_raw():
            intake.write(block)
            if intake.size > ask.max_bytes:
                raise TooLarge(f"{ask.shown}: the answer is larger than {ask.max_bytes} bytes")
        if length is not None and intake.size != length:
            raise SourceError(f"{ask.shown}: {intake.size} bytes came of the {length} announced")
        if not intake.size:
            raise SourceError(f"{ask.shown}: the answer is empty")
        path, sha256 = intake.keep()
    finally:
        intake.drop()
    _check_content(path, ask)
    return Answer(path, sha256, intake.size, response.headers.get("etag"), response.headers.get("last-modified"))


def _check_status(response: httpx.Response, shown: str) -> None:
    status = response.status_code
    if status >= 500:
        raise Late(f"{shown}: the server answered {status}")
    if status in TRY_AGAIN:
        raise SourceError(f"{shown}: the server answered {status}")
    if status == 413:
        raise TooLarge(f"{shown}: the server answered {status}")
    if status != 200:
        raise RejectedError(f"{shown}: the server answered {status}, and only 200 is taken")
    packing = response.headers.get("content-encoding", "identity").lower()
    if packing != "identity":
        raise RejectedError(f"{shown}: the answer is packed ({packing}), though it was asked for as it is")


def _length(response: httpx.Response, ask: Ask) -> int | None:
    announced = response.headers.get("content-length")
    if announced is None:
        chunked = "chunked" in response.headers.get("transfer-encoding", "").lower()
        if not chunked and ask.ending is None:
            raise SourceError(f"{ask.shown}: neither length nor chunks, so that a cut answer could not be told")
        return None
    length = int(announced)
    if length > ask.max_bytes:
        raise TooLarge(f"{ask.shown}: the answer has {length} bytes, and {ask.max_bytes} is the cap")
    return length


def _check_content(path: Path, ask: Ask) -> None:
    with path.open("rb") as file:
        found = kind(file.read(4096))
    fault = ask.ending(path) if ask.ending else None
    if found == "an HTML page":
        path.unlink()
        raise SourceError(f"{ask.shown}: an HTML page came instead of data")
    if fault:
        path.unlink()
        raise SourceError(f"{ask.shown}: the answer is cut short: {fault}")


def hosts_of(table: Table) -> frozenset[str]:
    """Give the hosts that may answer for a table: that of its url, and those that its options name."""
    return frozenset(str(host).lower() for host in table.options.get("hosts", ())) | {host_of(table.url or "")}


def host_of(url: str) -> str:
    """Give the host of a URL in lower case; nothing where there is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
