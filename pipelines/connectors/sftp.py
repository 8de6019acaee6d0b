"""Files that a partner keeps on a server for us to fetch by SFTP.

The server is known by its host key, which the feed pins; a server with another key is not spoken to. Nothing of this
machine's own SSH settings, keys or agents is used.
"""

import asyncio
import posixpath
import stat
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncssh

from pipelines.connectors import addresses, credentials
from pipelines.connectors.fetched import BLOCK_BYTES, Fetched, Intake
from pipelines.connectors.matching import UNFINISHED, checked, pattern, some_of
from pipelines.contracts import Table
from pipelines.errors import ContractError, RejectedError, SourceError
from pipelines.settings import Settings

OPTIONS: dict[str, tuple[type, ...]] = {
    "host_key": (str,),
    "settle_s": (int, float),
    "allow_private": (bool,),
    "max_bytes": (int,),
    "deadline_s": (int, float),
}
DEADLINE_S = 1800.0
CONNECT_S = 30.0
SETTLE_S = 5.0
MAX_BYTES = 8 << 30
PORT = 22


def fetch(
    table: Table, folder: Path, *, feed: str, settings: Settings, previous: tuple[Fetched, ...] = ()
) -> list[Fetched]:
    """Fetch one file and its parts.

    Parameters
    ----------
    table : has `url` (`sftp://host:port/root`) and `path` below the root; with a `*` in its name, exactly one finished
        file must fit. Options: `host_key` (a public key in OpenSSH's form, needed), `settle_s` (a file must keep its
        size for so long, 5 s), `allow_private`, `max_bytes`, `deadline_s`. Its `credentials` have USER and KEY (a
        private key in OpenSSH's form), or USER and PASSWORD.
    folder : where the files go, named by their SHA-256.
    feed : name of the feed, for messages.
    settings, previous : not used; SFTP has no word for a version, so bytes are read each time.

    Raises
    ------
    SourceError
        If the server cannot be had in time, or the file is not there, not finished, or changes while it is read.
    RejectedError
        If the host key is another one, we are not let in, or the file is beyond the cap or outside the root.
    ContractError
        If the host key, the address or the path cannot be used.
    """
    shown = credentials.load(table.credentials, (("USER", "KEY"), ("USER", "PASSWORD")))
    with shown.kept(feed):
        place = f"{addresses.redact(table.url or '').rstrip('/')}/{table.path}"
        deadline = float(table.options.get("deadline_s", DEADLINE_S))
        return asyncio.run(_within(table, folder, parts=shown.parts, place=place, deadline=deadline))


async def _within(table: Table, folder: Path, *, parts: dict[str, str], place: str, deadline: float) -> list[Fetched]:
    try:
        async with asyncio.timeout(deadline):
            return await _session(table, folder, parts)
    except TimeoutError as error:
        raise SourceError(f"{place}: not done within {deadline:g} s") from error
    except asyncssh.HostKeyNotVerifiable as error:
        raise RejectedError(f"{place}: the server shows another host key than the feed pins") from error
    except asyncssh.PermissionDenied as error:
        raise RejectedError(f"{place}: the server does not let us in") from error
    except (asyncssh.Error, OSError) as error:
        raise SourceError(f"{place}: {type(error).__name__}: {error}") from error


async def _session(table: Table, folder: Path, parts: dict[str, str]) -> list[Fetched]:
    url = urlsplit(table.url or "")
    if url.scheme != "sftp" or not url.hostname or "@" in url.netloc or url.query:
        raise ContractError(f"{addresses.redact(table.url or '')}: wanted is sftp://host:port/root, without a user")
    private = bool(table.options.get("allow_private", False))
    port = url.port or PORT
    numeric = await addresses.look_up(url.hostname, port, shown=table.url or "", allow_private=private)
    who = _identity(table, parts)
    async with asyncssh.connect(numeric, port, **who) as connection, connection.start_sftp_client() as client:
        root = await _text(client.realpath(unquote(url.path) or "/"))
        remote = _Remote(client, root, f"sftp://{url.netloc}{url.path.rstrip('/')}/", table)
        path = await remote.named(checked(table))
        main = await remote.copy(path, folder)
        below = [await remote.copy(posixpath.join(posixpath.dirname(path), part), folder) for part in table.parts]
    return [main, *(replace(part, part_of=main.name) for part in below)]


def _identity(table: Table, parts: dict[str, str]) -> dict[str, Any]:
    """Give who we are and whom we trust, and shut every other source of either."""
    try:
        trusted = asyncssh.import_public_key(str(table.options["host_key"]))
        keys = [asyncssh.import_private_key(parts["KEY"].replace("\\n", "\n"))] if "KEY" in parts else None
    except asyncssh.KeyImportError as error:
        raise ContractError("host_key or the private key is no key in OpenSSH's form") from error
    return {
        "username": parts["USER"],
        "password": parts.get("PASSWORD"),
        "client_keys": keys,
        "known_hosts": ([trusted], [], []),
        "server_host_key_algs": [name.decode() for name in trusted.sig_algorithms],
        "config": [],
        "agent_path": None,
        "compression_algs": None,
        "connect_timeout": CONNECT_S,
        "login_timeout": CONNECT_S,
    }


class _Remote:
    """The part of a server below a root."""

    def __init__(self, client: asyncssh.SFTPClient, root: str, shown: str, table: Table) -> None:
        self.client, self.root, self.shown = client, root, shown
        self.settle_s = float(table.options.get("settle_s", SETTLE_S))
        self.cap = int(table.options.get("max_bytes", MAX_BYTES))

    async def named(self, path: str) -> str:
        """Give the path of the one finished file that a path means."""
        parent, _, last = path.rpartition("/")
        if "*" in parent:
            raise ContractError(f"path {path!r}: a * may stand in the file's name only")
        names = [str(name) for name in await self.client.listdir(posixpath.join(self.root, parent))]
        names = [name for name in names if name not in (".", "..")]
        fitting = [name for name in names if pattern(last).fullmatch(name) and not UNFINISHED.search(name)]
        if len(fitting) != 1:
            raise SourceError(
                f"{self.shown}{path}: {len(fitting)} finished files fit, exactly one must; {some_of(names)}"
            )
        return posixpath.join(parent, fitting[0])

    async def copy(self, path: str, folder: Path) -> Fetched:
        """Copy one file that stays as it is before, while and after it is read."""
        shown = f"{self.shown}{path}"
        real = await _text(self.client.realpath(posixpath.join(self.root, path)))
        if not PurePosixPath(real).is_relative_to(self.root):
            raise RejectedError(f"{shown}: leads out of the root")
        before = await self._look(real, shown)
        await asyncio.sleep(self.settle_s)
        settled = await self._look(real, shown)
        if before != settled:
            raise SourceError(f"{shown}: is still growing: {before[0]} bytes, then {settled[0]}")
        intake = Intake(folder)
        try:
            async with self.client.open(real, "rb") as source:
                while block := await source.read(BLOCK_BYTES):
                    intake.write(block)  # type: ignore[arg-type]  # opened for bytes
                    if intake.size > self.cap:
                        raise RejectedError(f"{shown}: larger than {self.cap} bytes")
            if (intake.size, await self._look(real, shown)) != (before[0], before):
                raise SourceError(f"{shown}: changed while it was read")
            if not intake.size:
                raise SourceError(f"{shown}: is empty")
            kept, sha256 = intake.keep()
        finally:
            intake.drop()
        return Fetched(PurePosixPath(path).name, shown, kept, sha256, intake.size)

    async def _look(self, real: str, shown: str) -> tuple[int, int]:
        """Give size (bytes) and time of the last change of a regular file."""
        found = await self.client.lstat(real)
        if found.permissions is not None and not stat.S_ISREG(found.permissions):
            raise RejectedError(f"{shown}: is not a regular file")
        if (found.size or 0) > self.cap:
            raise RejectedError(f"{shown}: {found.size} bytes, and {self.cap} is the cap")
        return found.size or 0, found.mtime or 0


async def _text(waiting: Any) -> str:  # noqa: ANN401 - an answer that is to be waited for
    answer = await waiting
    return answer.decode() if isinstance(answer, bytes) else str(answer)
