"""Which addresses may be asked: no way from a feed's URL, or a redirect, into our own network."""

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pipelines.errors import MineralsError, RejectedError, SourceError

PORTS = frozenset({80, 443, 8080, 8443})
TRANSLATED = tuple(
    ipaddress.ip_network(block) for block in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
"""IPv6 blocks that hold an IPv4 address (NAT64, 6to4, Teredo), by which a private one could be reached."""
SECRET = re.compile(r"token|key|sig|secret|pass|pwd|auth|code|cred|session|amz|goog", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """A URL that was judged, with the numeric address that it was judged by.

    Parameters
    ----------
    url : as it will be asked for.
    host : its host name, in lower case.
    numeric : the IP address to connect to; the name is not looked up a second time.
    """

    url: str
    host: str
    port: int
    scheme: str
    numeric: str

    @property
    def connect_url(self) -> str:
        """Give the URL with the numeric address in the place of the name."""
        parts = urlsplit(self.url)
        host = f"[{self.numeric}]" if ":" in self.numeric else self.numeric
        return urlunsplit((self.scheme, f"{host}:{self.port}", parts.path or "/", parts.query, ""))

    @property
    def host_header(self) -> str:
        """Give the Host header that the server expects."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == {"http": 80, "https": 443}[self.scheme] else f"{name}:{self.port}"


def redact(url: str) -> str:
    """Give a URL without user information, fragment and the values of telling query parameters.

    >>> redact("https://user:word@example.org/wfs?request=GetFeature&api_key=123")
    'https://example.org/wfs?request=GetFeature&api_key=...'
    """
    try:
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
        query = [(name, "..." if SECRET.search(name) else value) for name, value in parse_qsl(parts.query, True)]
    except ValueError:
        return "(an address that cannot be read)"
    return urlunsplit((parts.scheme, place, parts.path, urlencode(query, safe=".:,/"), ""))


def check(url: str, *, hosts: frozenset[str], allow_private: bool, error: type[MineralsError]) -> tuple[str, str, int]:
    """Judge a URL by its text alone and give its scheme, host and port.

    Raises
    ------
    MineralsError
        Of the class given, if it is not plain http or https, hides something, or names a host or port not allowed.
    """
    shown = redact(url)
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as cause:
        raise error(f"{shown}: not a URL") from cause
    if parts.scheme not in ("http", "https"):
        raise error(f"{shown}: only http and https are asked, not {parts.scheme!r}")
    if "@" in parts.netloc or parts.fragment or re.search(r"[\\\s\x00-\x1f\x7f]", url):
        raise error(f"{shown}: user names, fragments, backslashes and blanks are refused in a URL")
    if host not in hosts:
        raise error(f"{shown}: host {host!r} is not among the feed's hosts {sorted(hosts)}")
    port = port or {"http": 80, "https": 443}[parts.scheme]
    if port not in PORTS and not allow_private:
        raise error(f"{shown}: port {port} is not among {sorted(PORTS)}")
    return parts.scheme, host, port


async def resolve(
    url: str, *, hosts: frozenset[str], allow_private: bool, error: type[MineralsError] = RejectedError
) -> Address:
    """Judge a URL, look its name up once, and pin the numeric address.

    Raises
    ------
    MineralsError
        Of the class given, if the URL's text is refused.
    RejectedError
        If any address of the host is not a public one, unless private ones are allowed.
    SourceError
        If the name cannot be looked up.
    """
    scheme, host, port = check(url, hosts=hosts, allow_private=allow_private, error=error)
    return Address(url, host, port, scheme, await look_up(host, port, shown=url, allow_private=allow_private))


async def look_up(host: str, port: int, *, shown: str, allow_private: bool) -> str:
    """Look a name up once and give its numeric address; `shown` is the URL that a message names, without secrets.

    Raises
    ------
    RejectedError
        If any address of the host is not a public one, unless private ones are allowed.
    SourceError
        If the name cannot be looked up.
    """
    loop = asyncio.get_running_loop()
    try:
        answers = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as cause:
        raise SourceError(f"{redact(shown)}: host {host!r} cannot be looked up ({cause})") from cause
    numerics = [str(answer[4][0]) for answer in answers]
    inside = [numeric for numeric in numerics if not is_public(numeric)]
    if inside and not allow_private:
        raise RejectedError(f"{redact(shown)}: {host!r} is {inside[0]}, which is not a public address")
    return numerics[0]


def is_public(numeric: str) -> bool:
    """Tell whether an IP address is a public one, whatever notation hides it.

    >>> [is_public(each) for each in ("8.8.8.8", "127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "100.64.0.1")]
    [True, False, False, False, False]
    """
    address = ipaddress.ip_address(numeric.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return is_public(str(mapped))
    if address.version == 6 and any(address in block for block in TRANSLATED):
        return False
    return address.is_global and not address.is_multicast
