"""Objects of a bucket, on Amazon's or any other server that speaks S3.

The bucket is listed through obstore; the object is then asked for by an address that is signed for a short time, so
that the exchange has the same guards as any other over HTTP. The environment's own AWS settings are not used.
"""

import asyncio
import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from pipelines.connectors import addresses, credentials
from pipelines.connectors.endings import ending
from pipelines.connectors.exchange import DEADLINE_S, IDLE_S, MAX_BYTES, Ask, get, host_of
from pipelines.connectors.fetched import Fetched
from pipelines.connectors.matching import checked, pattern, some_of
from pipelines.contracts import Table
from pipelines.errors import ContractError, RejectedError, SourceError
from pipelines.settings import Settings

OPTIONS: dict[str, tuple[type, ...]] = {
    "endpoint": (str,),
    "region": (str,),
    "allow_private": (bool,),
    "max_bytes": (int,),
    "deadline_s": (int, float),
}
STATUS = re.compile(r"status code: (\d{3})")
LISTED_KEYS = 1_000_000


def fetch(
    table: Table, folder: Path, *, feed: str, settings: Settings, previous: tuple[Fetched, ...] = ()
) -> list[Fetched]:
    """Fetch one object and its parts, or notice that they did not change.

    Parameters
    ----------
    table : has `url` (`s3://bucket/prefix`) and `path`, the key below it; with a `*` in it, the newest object that fits
        is taken. Options: `endpoint` (a server other than Amazon's), `region` (us-east-1), `allow_private`,
        `max_bytes`, `deadline_s`. Its `credentials` have KEY_ID and KEY; without them the bucket must be public.
    folder : where the files go, named by their SHA-256.
    feed : name of the feed, for messages.
    settings : not used.
    previous : what the last delivery had; its ETags make the requests conditional.

    Raises
    ------
    SourceError
        If the object is not there, the server cannot be had, or the object changes on the way.
    RejectedError
        If the server refuses us, or the object is beyond the cap.
    """
    shown = credentials.load(table.credentials, (("KEY_ID", "KEY"),))
    with shown.kept(feed):
        bucket = _Bucket(table, shown.parts)
        wanted = checked(table)
        main = bucket.file(bucket.newest(wanted), folder, previous=previous)
        parts = [
            (PurePosixPath(main.place.removeprefix(bucket.shown)).parent / part).as_posix() for part in table.parts
        ]
        below = [bucket.file(bucket.newest(part.lstrip("/")), folder, previous=previous) for part in parts]
        return [main, *(replace(part, part_of=main.name) for part in below)]


class _Bucket:
    """A bucket below a prefix, and what is needed to ask for it."""

    def __init__(self, table: Table, parts: dict[str, str]) -> None:
        self.table = table
        place = urlsplit(table.url or "")
        if place.scheme != "s3" or not place.netloc or place.query or "@" in place.netloc:
            raise ContractError(f"{addresses.redact(table.url or '')}: wanted is s3://bucket/prefix")
        self.name, self.prefix = place.netloc, place.path.strip("/")
        self.shown = f"s3://{self.name}/{self.prefix}".rstrip("/") + "/"
        region = str(table.options.get("region", "us-east-1"))
        self.endpoint = str(table.options.get("endpoint", f"https://s3.{region}.amazonaws.com")).rstrip("/")
        self.deadline_s = float(table.options.get("deadline_s", DEADLINE_S))
        self.public = not parts
        self.private = bool(table.options.get("allow_private", False))
        self.store = self._open(region, parts)

    def _open(self, region: str, parts: dict[str, str]) -> S3Store:
        inherited = [name for name in ("AWS_SESSION_TOKEN", "AWS_TOKEN") if os.environ.get(name)]
        if inherited and parts:
            raise ContractError(f"{inherited[0]} in the environment would be sent along; start without it")
        keys: dict[str, Any] = {"skip_signature": True}
        if parts:
            keys = {"access_key_id": parts["KEY_ID"], "secret_access_key": parts["KEY"], "skip_signature": False}
        return S3Store(
            self.name,
            endpoint=self.endpoint,
            aws_endpoint_url_s3=self.endpoint,
            region=region,
            virtual_hosted_style_request=False,
            client_options={"allow_http": self.private, "timeout": timedelta(seconds=IDLE_S)},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=IDLE_S)},
            **keys,
        )

    def newest(self, path: str) -> dict[str, Any]:
        """Give the object that a path means: by its key, or the newest of those that fit a pattern."""
        try:
            found = asyncio.run(self._list(path))
        except TimeoutError as error:
            raise SourceError(f"{self.shown}{path}: not listed within {self.deadline_s:g} s") from error
        except BaseError as error:
            status = STATUS.search(str(error))
            refused = status is not None and status.group(1).startswith("4")
            words = f"the server answered {status.group(1)}" if status else type(error).__name__
            kind = RejectedError if refused else SourceError
            raise kind(f"{self.shown}{path}: cannot be listed: {words}") from error
        wanted = pattern(self._key(path))
        fitting = [each for each in found if wanted.fullmatch(each["path"])]
        if not fitting:
            raise SourceError(f"{self.shown}{path}: nothing fits; {some_of([each['path'] for each in found])}")
        return max(fitting, key=lambda each: (each["last_modified"], each["path"]))

    async def _list(self, path: str) -> list[dict[str, Any]]:
        """List what lies beside a path."""
        await addresses.resolve(
            self.endpoint, hosts=frozenset({host_of(self.endpoint)}), allow_private=self.private, error=ContractError
        )
        folder = self._key(path).partition("*")[0].rpartition("/")[0]
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(self.deadline_s):
            async for some in obstore.list(self.store, prefix=folder or None):
                found += [dict(each) for each in some]
                if len(found) > LISTED_KEYS:
                    raise RejectedError(f"{self.shown}{path}: more than {LISTED_KEYS} objects; name a deeper prefix")
        return found

    def file(self, found: dict[str, Any], folder: Path, *, previous: tuple[Fetched, ...]) -> Fetched:
        """Fetch one object that was listed."""
        key, shown = found["path"], f"s3://{self.name}/{found['path']}"
        known = next((file for file in previous if file.place == shown), None)
        ask = Ask(
            url=self._address(key),
            hosts=frozenset({host_of(self.endpoint)}),
            home=host_of(self.endpoint),
            allow_private=self.private,
            max_bytes=int(self.table.options.get("max_bytes", MAX_BYTES)),
            deadline_s=self.deadline_s,
            known=replace(known, last_modified=None) if known else None,
            ending=ending(self.table.reader),
        )
        answer = get(ask, folder)
        if known and answer.unchanged:
            return replace(known, notes=("not modified",), part_of=None)
        same = answer.etag is None or found["e_tag"] is None or answer.etag == found["e_tag"]
        if answer.size != found["size"] or not same:
            raise SourceError(f"{shown}: changed between listing ({found['size']} bytes) and fetching ({answer.size})")
        return Fetched(PurePosixPath(key).name, shown, answer.path, answer.sha256, answer.size, etag=answer.etag)

    def _key(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path

    def _address(self, key: str) -> str:
        if self.public:
            return f"{self.endpoint}/{self.name}/{quote(key)}"
        return str(obstore.sign(self.store, "GET", key, timedelta(seconds=self.deadline_s + IDLE_S)))
