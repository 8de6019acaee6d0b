"""The process in which one file of a partner is opened, or the pages of one table.

It gets a specification as JSON on its standard input, confines itself, and writes Arrow IPC to its standard output and
JSON lines of findings to a second pipe. It knows no secret, and is started without a network where the host allows it.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from pipelines.errors import RejectedError
from pipelines.readers import READERS, Limits, Report
from pipelines.readers.report import REFUSED

NO_NEW_PRIVILEGES = 38
PARENT_DEATH_SIGNAL = 1
OPEN_FILES = 64
GRACE_S = 2
"""Between the signal that tells of too much processor time and the one that cannot be caught."""


def main() -> int:
    """Read files one after the other as the specification on standard input says, and give the exit code."""
    spec = json.load(sys.stdin)
    limits = Limits(**spec["limits"])
    confine(limits)
    with os.fdopen(spec["report"], "w", encoding="utf-8") as channel, os.fdopen(1, "wb", closefd=False) as out:
        for number, (path, file) in enumerate(spec["files"]):

            def send(message: dict[str, Any], number: int = number) -> None:
                channel.write(json.dumps({**message, "number": number}) + "\n")

            report = Report(file, send, limits)
            try:
                reader = READERS[spec["reader"]]
                stream(reader(Path(path), spec["options"], report), out, report)
            except RejectedError:
                return REFUSED
            except MemoryError:
                found = f"more than {limits.memory_bytes} bytes of memory"
                report.issue("read.too_large", found, "deliver the file in parts", severity="error")
                return REFUSED
            report.finish()
    return 0


def confine(limits: Limits) -> None:
    """Give up what a reader does not need: memory and time beyond the limits, new files, privileges, a later life."""
    caps = {
        resource.RLIMIT_AS: limits.memory_bytes,
        resource.RLIMIT_CPU: limits.cpu_s,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for cap, value in caps.items():
        _soft, hard = resource.getrlimit(cap)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        last = value + GRACE_S if cap == resource.RLIMIT_CPU and hard == resource.RLIM_INFINITY else value
        resource.setrlimit(cap, (value, last))
    libc = ctypes.CDLL(None)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def stream(batches: Iterator[pa.RecordBatch], out: BinaryIO, report: Report) -> None:
    """Write batches as one Arrow IPC stream, as far as the row limit allows."""
    first = next(batches)
    rows = 0
    with pa.ipc.new_stream(out, first.schema) as writer:
        writer.write_batch(first)
        for batch in batches:
            rows += batch.num_rows
            if rows > report.limits.rows:
                report.refuse("read.too_large", f"more than {report.limits.rows} rows", "deliver the file in parts")
            if batch.num_rows:
                writer.write_batch(batch)
    report.check()
    if not rows and not report.rejected:
        report.issue("read.no_rows", "a header and nothing below it", "ask whether the file is complete")
    out.flush()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
