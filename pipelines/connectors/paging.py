"""The heart of every service that answers in pages: nothing is left out, nothing comes twice, and a break costs little.

Pages are kept exactly as received. An index beside them, which is ours, names them in order and tells how many features
the service declared and sent, and how many of these are distinct; unless all three agree, there is no delivery. The
page size starts large and is halved when the service does not manage. Pages of a fetch that broke off are kept, and the
next one goes on from them if the service still declares the same total and still gives the same first page.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipelines.connectors.addresses import redact
from pipelines.connectors.exchange import OPTIONS as EXCHANGE_OPTIONS
from pipelines.connectors.exchange import Answer, Ask, Late, TooLarge, ask_of, get
from pipelines.connectors.fetched import Fetched, take
from pipelines.contracts import Table
from pipelines.deliveries import INDEX
from pipelines.errors import MineralsError, RejectedError, SourceError
from pipelines.settings import Settings
from pipelines.store import sha256_file, whole

OPTIONS: dict[str, tuple[type, ...]] = {
    **EXCHANGE_OPTIONS,
    "page_size": (int,),
    "page_floor": (int,),
    "page_s": (int, float),
    "query": (dict,),
    "unproved": (bool,),
}
DEADLINE_S = 6 * 3600.0
PAGE_S = 120.0
PAGE_BYTES = 32 << 20
PAGE_SIZE = 2000
PAGE_FLOOR = 25
PROGRESS = "progress.json"


@dataclass(frozen=True)
class Page:
    """What one answer holds, as far as it must be known to go on.

    Parameters
    ----------
    marks : digest of each feature, in order.
    ids : the service's own name of each feature; empty where it gives none.
    total : how many features there are in all, where the page says it.
    link : address of the next page, where the page gives one.
    partial : the service says itself that there is more than it put into this page.
    """

    marks: tuple[bytes, ...]
    ids: tuple[str, ...] = ()
    total: int | None = None
    link: str | None = None
    partial: bool = False

    @property
    def rows(self) -> int:
        """Give the number of features."""
        return len(self.marks)


@dataclass(frozen=True)
class Service:
    """One layer of one service, and how its pages are asked for and judged.

    Parameters
    ----------
    name, suffix : of the files that are made of pages.
    url : gives the address of the page after so many features, of so many features, given the last page's link.
    judge : reads one page, and refuses an error that came in its place.
    total : how many features there are, where the service tells beforehand.
    linked : whether the service leads from page to page by links, rather than by counting.
    size : features to a page that the service allows at most, where it tells.
    """

    name: str
    suffix: str
    url: Callable[[int, int, str | None], str]
    judge: Callable[[Path], Page]
    total: int | None = None
    linked: bool = False
    size: int = PAGE_SIZE
    headers: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Kept:
    """One page on disk, as received."""

    path: Path
    sha256: str
    size: int
    page: Page


def fetch_pages(
    service: Service, table: Table, folder: Path, *, feed: str, settings: Settings, previous: tuple[Fetched, ...]
) -> list[Fetched]:
    """Fetch every page of a service, prove that nothing is missing, and give index and pages.

    Parameters
    ----------
    folder : where index and pages go, named by their SHA-256.
    previous : what the last delivery had; where the features are the same, its files are given again, since the pages
        of most services carry the time at which they were made.

    Raises
    ------
    SourceError
        If a page is short, comes twice or not at all, or the declared total changes; pages so far are kept.
    RejectedError
        If the numbers declared, fetched and kept do not agree at the end, or completeness cannot be proved.
    """
    with _place_of(service, table, settings.fetching / feed) as place:
        run = _Fetch(service, table, place)
        pages = run.run()
        content = _content(pages)
        again = _unchanged(service, table, previous, content)
        files = again or _deliver(service, table, folder, pages=pages, declared=run.total, content=content)
        shutil.rmtree(place)
    return files


def shown(service: Service, table: Table) -> str:
    """Give the address of a service's layer, as a folder of its files; another question is another folder."""
    question = hashlib.sha256(service.url(0, 0, None).encode()).hexdigest()[:8]
    return f"{redact(table.url or '').rstrip('/')}/{service.name}@{question}"


class _Fetch:
    """One run over the pages of a service."""

    def __init__(self, service: Service, table: Table, place: Path) -> None:
        self.service, self.table, self.place = service, table, place
        self.until = time.monotonic() + float(table.options.get("deadline_s", DEADLINE_S))
        self.size = int(table.options.get("page_size", service.size))
        self.floor = min(self.size, int(table.options.get("page_floor", PAGE_FLOOR)))
        self.total = service.total
        self.seen: dict[bytes, int] = {}
        self.about = redact(service.url(0, self.size, None))

    def run(self) -> list[Kept]:
        """Give the pages, which together are complete."""
        first = self._page(0, None)
        if first.page.rows < self.size:
            self.size = max(1, first.page.rows)  # the service's own cap, or all there is
        pages = self._resumed(first)
        for number, kept in enumerate(pages):
            self._check(kept.page, number)
        while self._more(pages):
            fetched = sum(kept.page.rows for kept in pages)
            kept = self._page(fetched, pages[-1].page.link)
            self._check(kept.page, len(pages))
            if not kept.page.rows and self.total is None:
                break
            self._check_length(kept.page, fetched)
            pages.append(kept)
            self._save(pages)
        self._prove(pages)
        return pages

    def _page(self, fetched: int, link: str | None) -> Kept:
        """Ask for one page, of fewer and fewer features while the service does not manage."""
        while True:
            left = self.until - time.monotonic()
            if left <= 0:
                raise SourceError(f"{self.about}: not done in time; {fetched} features so far are kept")
            try:
                url = self.service.url(fetched, self.size, link)
                answer = get(self._ask(url, left), self.place)
                return Kept(answer.path, answer.sha256, answer.size, self._judged(answer.path, url))
            except (Late, TooLarge):
                if self.size <= self.floor or self.until <= time.monotonic():
                    raise
                self.size = max(self.floor, self.size // 2)

    def _judged(self, path: Path, url: str) -> Page:
        try:
            return self.service.judge(path)
        except MineralsError as error:
            path.unlink()
            raise type(error)(f"{redact(url)}: {error}") from error

    def _ask(self, url: str, left: float) -> Ask:
        ask = ask_of(self.table, url, headers=self.service.headers)
        deadline_s = min(float(self.table.options.get("page_s", PAGE_S)), left)
        return replace(ask, deadline_s=deadline_s, max_bytes=min(ask.max_bytes, PAGE_BYTES))

    def _more(self, pages: list[Kept]) -> bool:
        if self.service.linked:
            return pages[-1].page.link is not None
        if self.total is None:
            return pages[-1].page.rows > 0
        return sum(kept.page.rows for kept in pages) < self.total

    def _check(self, page: Page, number: int) -> None:
        """Refuse a page that contradicts those before it."""
        if page.total is not None and self.total is not None and page.total != self.total:
            words = f"the service declared {self.total} features and then {page.total}"
            raise SourceError(f"{self.about}: {words}; it changed while it was read")
        self.total = page.total if self.total is None else self.total
        mark = hashlib.sha256(b"".join(page.marks)).digest()
        if page.rows and self.seen.setdefault(mark, number) != number:
            raise SourceError(
                f"{self.about}: page {number + 1} is page {self.seen[mark] + 1} again; the service does not page here"
            )

    def _check_length(self, page: Page, fetched: int) -> None:
        if self.service.linked or page.partial or self.total is None:
            return
        wanted = min(self.size, self.total - fetched)
        if page.rows < wanted:
            words = f"a page of {page.rows} features came after {fetched} of {self.total}, {wanted} were asked for"
            raise SourceError(f"{self.about}: short page: {words}")

    def _prove(self, pages: list[Kept]) -> None:
        """Refuse pages of which what was declared, what came and what of it is distinct do not agree."""
        fetched = sum(kept.page.rows for kept in pages)
        ids = [name for kept in pages for name in kept.page.ids]
        distinct = fetched - (len(ids) - len(set(ids)))
        if self.total is None and not self.table.options.get("unproved"):
            words = f"declared nothing, {fetched} fetched, {distinct} distinct"
            raise RejectedError(
                f"{self.about}: completeness cannot be proved: {words}; `unproved: true` in the options takes it so"
            )
        declared = fetched if self.total is None else self.total
        if not declared == fetched == distinct:
            words = f"{declared} declared, {fetched} fetched, {distinct} distinct"
            (self.place / PROGRESS).unlink(missing_ok=True)
            raise SourceError(f"{self.about}: not complete: {words}; nothing is delivered")
        if not declared:
            raise SourceError(f"{self.about}: the service says that there is nothing (0 features)")

    def _resumed(self, first: Kept) -> list[Kept]:
        """Give the pages of a fetch that broke off and still go with the first page; else that page alone."""
        total = first.page.total if first.page.total is not None else self.total
        with suppress(OSError, ValueError, KeyError, TypeError):
            saved = json.loads((self.place / PROGRESS).read_text(encoding="utf-8"))
            paths = [self.place / sha256 for sha256 in saved["pages"]]
            whole_yet = all(sha256_file(path) == path.name for path in paths)
            pages = [Kept(path, path.name, path.stat().st_size, self.service.judge(path)) for path in paths]
            if whole_yet and saved["total"] == total and pages[0].page.marks == first.page.marks:
                self.size = int(saved["size"])
                return [first, *pages[1:]]
        for path in self.place.iterdir():
            if path != first.path:
                path.unlink()
        return [first]

    def _save(self, pages: list[Kept]) -> None:
        state = {"total": self.total, "size": self.size, "pages": [kept.sha256 for kept in pages]}
        with whole(self.place / PROGRESS) as path:
            path.write_text(json.dumps(state), encoding="utf-8")


@contextmanager
def _place_of(service: Service, table: Table, root: Path) -> Iterator[Path]:
    """Give the folder of the pages of exactly this question, for one fetch at a time."""
    asked = json.dumps([service.url(0, 0, None), sorted(map(repr, table.options.get("query", {}).items()))])
    place = root / hashlib.sha256(asked.encode()).hexdigest()[:32]
    place.mkdir(parents=True, exist_ok=True)
    lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield place
    except BlockingIOError as error:
        raise SourceError(f"{shown(service, table)}: another run is fetching it") from error
    finally:
        os.close(lock)


def _content(pages: list[Kept]) -> str:
    """Give the digest of the features in their order, however they were cut into pages."""
    digest = hashlib.sha256()
    for kept in pages:
        digest.update(b"".join(kept.page.marks))
    return digest.hexdigest()


def _unchanged(service: Service, table: Table, previous: tuple[Fetched, ...], content: str) -> list[Fetched]:
    """Give the last delivery's files again, if they hold the same features."""
    by_place = {file.place: file for file in previous}
    index = by_place.get(f"{shown(service, table)}/{service.name}{INDEX}")
    if index is None:
        return []
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(index.path.read_text(encoding="utf-8"))
        if told["content"] == content:
            pages = [by_place[f"{shown(service, table)}/{page['name']}"] for page in told["pages"]]
            notes = ("not modified",)
            parts = (replace(page, notes=notes, part_of=index.name) for page in pages)
            return [replace(index, notes=notes), *parts]
    return []


def _deliver(
    service: Service, table: Table, folder: Path, *, pages: list[Kept], declared: int | None, content: str
) -> list[Fetched]:
    """Put pages and index into the folder of the delivery."""
    main = f"{service.name}{INDEX}"
    place = shown(service, table)
    entries: list[dict[str, Any]] = []
    files: list[Fetched] = []
    first_row = 1
    for number, kept in enumerate(pages, start=1):
        name = f"{service.name}-{number:05d}{service.suffix}"
        if not (folder / kept.sha256).exists():
            os.link(kept.path, folder / kept.sha256)
        entries.append({"name": name, "sha256": kept.sha256, "rows": kept.page.rows, "first_row": first_row})
        files.append(Fetched(name, f"{place}/{name}", folder / kept.sha256, kept.sha256, kept.size, part_of=main))
        first_row += kept.page.rows
    counts = {"declared": declared, "fetched": first_row - 1, "distinct": first_row - 1}
    told = {"source": redact(service.url(0, 0, None)), **counts, "content": content, "pages": entries}
    path, sha256, size = take([json.dumps(told, indent=1).encode()], folder)
    return [Fetched(main, f"{place}/{main}", path, sha256, size), *files]


__all__ = ["OPTIONS", "Answer", "Page", "Service", "fetch_pages", "shown"]
