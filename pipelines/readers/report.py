"""What a reader tells beside its rows: findings, refusals, and facts about the table."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from pipelines.errors import RejectedError
from pipelines.readers.limits import Limits

TEXT_CHARACTERS = 4000
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
REFUSED = 3
"""Exit code of a reader's process that refused its file and said why."""


def printable(text: str) -> str:
    r"""Give text that can be stored and shown anywhere: control characters escaped, and no longer than people read.

    >>> printable("a\x00b")
    'a\\x00b'
    """
    escaped = CONTROL.sub(lambda one: f"\\x{ord(one.group()):02x}", text[:TEXT_CHARACTERS])
    return escaped.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass
class Report:
    """The channel from a reader to whoever started it.

    Parameters
    ----------
    file : the partner's name of the file.
    send : takes one message at a time.
    limits : caps that the reader must keep.
    crs : authority code or WKT, where the format states one.
    units : unit by column, where the format states them.
    rejected : source rows that could not be split into columns.
    """

    file: str
    send: Callable[[dict[str, Any]], None]
    limits: Limits = Limits()
    crs: str | None = None
    units: dict[str, str] = field(default_factory=dict)
    rejected: int = 0
    findings: int = 0

    def issue(
        self,
        rule: str,
        found: str,
        hint: str,
        *,
        row: int | None = None,
        column: str | None = None,
        severity: str = "warning",
    ) -> None:
        """Tell a finding; its text is cut to what a person will read."""
        self.findings += 1
        if self.findings > self.limits.rejected_rows + 1:
            return
        message = {"file": self.file, "row": row, "rule": rule, "severity": severity, "column": column}
        self.send({"issue": {**message, "found": printable(found), "hint": printable(hint)}})

    def reject_row(self, rule: str, found: str, hint: str, *, row: int, column: str | None = None) -> None:
        """Tell that a source row goes no further, with its text."""
        self.rejected += 1
        self.issue(rule, found, hint, row=row, column=column, severity="error")

    def check(self) -> None:
        """Refuse the file when more rows are bad than anybody will mend one by one."""
        if self.findings > self.limits.rejected_rows:
            self.findings = 0
            hint = "correct the table's delimiter, encoding or header row in the feed, or ask for the file again"
            self.refuse("read.too_many_bad_rows", f"more than {self.limits.rejected_rows} findings", hint)

    def refuse(self, rule: str, found: str, hint: str) -> NoReturn:
        """Tell why the whole file goes no further, and stop.

        Raises
        ------
        RejectedError
            Always.
        """
        self.issue(rule, found, hint, severity="error")
        raise RejectedError(f"{self.file}: {rule}: {found}; {hint}")

    def tell_suffix(self, *usual: str) -> None:
        """Tell where the partner's name of the file has another ending than files of its format have."""
        if self.file and not self.file.lower().endswith(usual):
            hint = "the name does not say so; it was read as what it is"
            self.issue("read.suffix", f"{self.file} is a file of the kind {usual[0]}", hint, severity="info")

    def finish(self) -> None:
        """Tell the facts about the table; their absence means that the reader died."""
        self.send({"table": {"crs": self.crs, "units": self.units, "rejected": self.rejected}})
