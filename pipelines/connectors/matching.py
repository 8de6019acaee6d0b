"""Which files of a server a table means: one by its name, or those that fit a pattern."""

import re
from pathlib import PurePosixPath

from pipelines.contracts import Table
from pipelines.errors import ContractError

LISTED = 20
UNFINISHED = re.compile(r"(^|/)\.[^/]*$|\.(part|partial|filepart|tmp|temp|crdownload|uploading)$|~$", re.IGNORECASE)
"""Names that programs give to files that they are still writing."""


def pattern(path: str) -> re.Pattern[str]:
    """Give the expression for a path in which `*` stands for anything within one name.

    >>> bool(pattern("holes/*.csv").fullmatch("holes/2026-03.csv"))
    True
    >>> bool(pattern("*.csv").fullmatch("holes/2026-03.csv"))
    False
    """
    return re.compile("[^/]*".join(re.escape(piece) for piece in path.split("*")))


def checked(table: Table) -> str:
    """Give a table's path, which must stay below the root that its url names."""
    wanted = PurePosixPath(table.path or "")
    if wanted.is_absolute() or ".." in wanted.parts or not wanted.name:
        raise ContractError(f"path {table.path!r} must be relative to the url and stay below it")
    if any("/" in part or part in ("", ".", "..") for part in table.parts):
        raise ContractError(f"parts {list(table.parts)} must be plain names of files beside {table.path!r}")
    return wanted.as_posix()


def some_of(names: list[str]) -> str:
    """Name what there is instead, as far as a person will read it."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"there is {sorted(names)[:LISTED]}{more}"
