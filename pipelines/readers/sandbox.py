"""Start a reader in a process of its own, and believe nothing that it says without a look."""

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from pipelines.readers.limits import Limits
from pipelines.readers.report import REFUSED, printable
from pipelines.readers.tables import RESERVED, ROW, WKB

PROJECT = Path(__file__).resolve().parents[2]
PIPE_BYTES = 1 << 20
MESSAGE_BYTES = 64 << 20
ERROR_BYTES = 64 << 10
ISOLATED = "no-network-namespace"
SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class Outcome:
    """What came of one file.

    Parameters
    ----------
    file : the partner's name of it.
    path : Arrow IPC file with its rows, or None where the file was refused; the last issue then says why.
    rows, columns : of what was read, without the columns that readers add.
    rejected : source rows that are in no column.
    """

    file: str
    path: Path | None = None
    rows: int = 0
    columns: tuple[str, ...] = ()
    rejected: int = 0
    issues: tuple[dict[str, Any], ...] = ()
    crs: str | None = None
    units: dict[str, str] = field(default_factory=dict)


class _Drain(threading.Thread):
    """Empty a pipe into memory, as far as a cap allows; what comes after is thrown away."""

    def __init__(self, pipe: IO[bytes], cap: int) -> None:
        super().__init__(daemon=True)
        self.pipe, self.cap, self.taken = pipe, cap, bytearray()
        self.start()

    def run(self) -> None:
        """Read until the other end closes."""
        with self.pipe:
            while block := self.pipe.read1(1 << 16):  # type: ignore[attr-defined]
                self.taken += block[: max(0, self.cap - len(self.taken))]

    def text(self) -> str:
        """Wait for the end and give what was kept."""
        self.join()
        return self.taken.decode("utf-8", "replace")


@functools.cache
def isolation() -> str:
    """Say whether children are started without a network, and if not, why; asked of the host once."""
    tool = shutil.which("unshare")
    if tool is None:
        return "network not taken away: unshare is not installed"
    probe = subprocess.run([tool, "-rn", "true"], capture_output=True, check=False, timeout=10)  # noqa: S603
    if probe.returncode == 0:
        return ISOLATED
    return f"network not taken away: {probe.stderr.decode('utf-8', 'replace').strip()[:200]}"


def open_file(
    staged: Path, target: Path, *, name: str, reader: str, options: dict[str, Any], limits: Limits
) -> Outcome:
    """Have one file read by a child process, and keep its rows as an Arrow IPC file; see `open_files`."""
    return open_files([Opened(staged, target, name)], reader=reader, options=options, limits=limits)[0]


@dataclass(frozen=True)
class Opened:
    """One file that a child opens.

    Parameters
    ----------
    staged : a private copy of the file, under a name of ours, in a folder of its own.
    target : where the rows go.
    name : the partner's name of the file, for findings.
    """

    staged: Path
    target: Path
    name: str


def open_files(files: list[Opened], *, reader: str, options: dict[str, Any], limits: Limits) -> list[Outcome]:
    """Have files of one kind read by one child process, and keep the rows of each as an Arrow IPC file.

    Parameters
    ----------
    files : all in one folder.
    reader, options : as the feed's table says.
    limits : beyond any of them a file is refused; those of time and memory are of all files together.

    Returns
    -------
    One outcome for each file, up to the first that is refused. However the child ends, this process goes on.
    """
    report_end, child_end = os.pipe()
    process = _start(files[0].staged.parent, child_end)
    os.close(child_end)
    messages = _Drain(os.fdopen(report_end, "rb"), MESSAGE_BYTES)
    errors = _Drain(_pipe(process.stderr), ERROR_BYTES)
    late = threading.Event()
    watch = threading.Timer(limits.deadline_s, _kill, (process, late))
    watch.start()
    given = [(str(file.staged), file.name) for file in files]
    spec = {"files": given, "reader": reader, "options": options, "report": child_end}
    try:
        _tell(_pipe(process.stdin), {**spec, "limits": asdict(limits)})
        kept = _keep_all(_pipe(process.stdout), files, limits)
        if kept[-1].fault and kept[-1].fault[0] == "read.too_large":
            _kill(process)
        process.wait()
    finally:
        watch.cancel()
        _kill(process)
        process.wait()
    last = _Ended(None if late.is_set() else process.returncode, errors.text(), limits)
    ends = [*(_Ended(0, "", limits) for _file in kept[1:]), last]
    told = (_Told.read(messages.text(), file.name, number) for number, file in enumerate(files))
    return [_outcome(*each) for each in zip(files, kept, told, ends, strict=False)]


@dataclass(frozen=True)
class _Kept:
    """What came through the pipe of rows."""

    rows: int = 0
    columns: tuple[str, ...] = ()
    fault: tuple[str, str] | None = None


@dataclass(frozen=True)
class _Told:
    """What came through the pipe of findings, with everything of an unexpected kind left out."""

    issues: tuple[dict[str, Any], ...]
    table: dict[str, Any] | None

    @classmethod
    def read(cls, text: str, file: str, number: int) -> "_Told":
        """Take what was told about the file of this number."""
        issues, table = [], None
        for line in text.splitlines():
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if not isinstance(message, dict) or message.get("number") != number:
                continue
            if isinstance(message.get("issue"), dict):
                issues.append(_checked(message["issue"], file))
            elif isinstance(message.get("table"), dict):
                table = message["table"]
        return cls(tuple(issues), table)


@dataclass(frozen=True)
class _Ended:
    """How the child ended: its exit code, or None past the deadline, and what it wrote last."""

    code: int | None
    errors: str
    limits: Limits

    def fault(self) -> tuple[str, str] | None:
        """Give rule and text of what is wrong with the end, or None."""
        if self.code is None:
            return "read.timeout", f"not done within {self.limits.deadline_s:g} s"
        if self.code == -signal.SIGXCPU:
            return "read.timeout", f"more than {self.limits.cpu_s} s of processor time"
        if self.code == 0:
            return None
        if re.search(r"MemoryError|memory allocation|bad_alloc|malloc of size", self.errors):
            return "read.too_large", f"more than {self.limits.memory_bytes} bytes of memory"
        if self.code < 0:
            return "read.crashed", f"its reader was ended by {signal.Signals(-self.code).name}"
        last = (self.errors.strip().splitlines() or ["no message"])[-1]
        plain = re.sub(r"/[^\s:'\"]*/", "", last)[:300]  # our own folders are nobody's business
        return "read.crashed", printable(f"its reader ended with code {self.code}: {plain}")


def finding(file: str, rule: str, found: str, hint: str) -> dict[str, Any]:
    """Give an issue about a file as a whole."""
    issue = {"file": file, "row": None, "rule": rule, "severity": "error", "column": None}
    return {**issue, "found": found, "hint": hint}


def _start(folder: Path, report: int) -> subprocess.Popen[bytes]:
    alone = [shutil.which("unshare") or "unshare", "-rn"] if isolation() == ISOLATED else []
    return subprocess.Popen(  # noqa: S603 - a fixed command
        [*alone, sys.executable, "-P", "-m", "pipelines.readers.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(report,),
        env=_environment(folder),
        cwd=folder,
        start_new_session=True,
        pipesize=PIPE_BYTES,
    )


def _environment(folder: Path) -> dict[str, str]:
    """Give the child's whole environment: nothing of ours, and dead ends for every network habit."""
    return {
        "PATH": os.defpath,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(PROJECT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # reuse pages: half of the reading time went into faulting them in
        "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
        "GDAL_HTTP_PROXY": "http://127.0.0.1:9",
        "GDAL_HTTP_TIMEOUT": "1",
        "GDAL_DRIVER_PATH": "disable",
        "PROJ_NETWORK": "OFF",
    }


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the child was started without this pipe")
    return pipe


def _kill(process: subprocess.Popen[bytes], late: threading.Event | None = None) -> None:
    """End the child and whatever it started, since its group is its own, and note if it was late."""
    if late:
        late.set()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _tell(pipe: IO[bytes], spec: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(json.dumps(spec).encode("ascii"))


def _keep_all(pipe: IO[bytes], files: list[Opened], limits: Limits) -> list[_Kept]:
    """Copy the rows of each file, as far as they come."""
    kept: list[_Kept] = []
    with pipe:
        for file in files:
            kept.append(_keep(pipe, file.target, limits))
            if kept[-1].fault:
                break
    return kept


def _keep(pipe: IO[bytes], target: Path, limits: Limits) -> _Kept:
    """Copy the rows to disk, batch by batch, each one checked."""
    rows = size = 0
    try:
        with pa.ipc.open_stream(pipe) as reader, pa.OSFile(str(target), "wb") as sink:
            schema = _checked_schema(reader.schema, limits)
            with pa.ipc.new_file(sink, schema) as writer:
                for batch in reader:
                    batch.validate(full=True)
                    rows, size = rows + batch.num_rows, size + batch.nbytes
                    if size > limits.output_bytes or rows > limits.rows:
                        caps = f"more than {limits.output_bytes} bytes or {limits.rows} rows"
                        return _Kept(fault=("read.too_large", caps))
                    writer.write_batch(batch)
    except (pa.ArrowException, MemoryError, ValueError) as error:
        return _Kept(fault=("read.crashed", f"what its reader gave cannot be used: {error}"[:300]))
    return _Kept(rows, tuple(name for name in schema.names if name not in RESERVED))


def _checked_schema(schema: pa.Schema, limits: Limits) -> pa.Schema:
    expected = {ROW: pa.int64(), WKB: pa.binary()}
    wrong = [each.name for each in schema if each.type != expected.get(each.name, pa.string())]
    crowded = len(schema) > limits.columns + len(expected) or len(set(schema.names)) != len(schema)
    if wrong or crowded or ROW not in schema.names:
        raise ValueError(f"columns of an unexpected kind: {wrong[:5]}")
    return schema.remove_metadata()


def _checked(issue: dict[str, Any], file: str) -> dict[str, Any]:
    row, column, severity, rule = (issue.get(key) for key in ("row", "column", "severity", "rule"))
    return {
        "file": file,
        "row": row if isinstance(row, int) else None,
        "rule": rule if isinstance(rule, str) and re.fullmatch(r"read\.[a-z_]{1,40}", rule) else "read.unknown",
        "severity": severity if severity in SEVERITIES else "error",
        "column": printable(column) if isinstance(column, str) else None,
        "found": printable(str(issue.get("found", ""))),
        "hint": printable(str(issue.get("hint", ""))),
    }


def _outcome(file: Opened, kept: _Kept, told: _Told, ended: _Ended) -> Outcome:
    refused = ended.code == REFUSED and any(issue["severity"] == "error" for issue in told.issues)
    fault = None if refused else _first_fault(kept, told, ended)
    if not refused and not fault and told.table:
        rejected, crs, units = (told.table.get(key) for key in ("rejected", "crs", "units"))
        return Outcome(
            file=file.name,
            path=file.target,
            rows=kept.rows,
            columns=kept.columns,
            rejected=rejected if isinstance(rejected, int) else 0,
            issues=told.issues,
            crs=crs if isinstance(crs, str) else None,
            units={str(key): str(value) for key, value in units.items()} if isinstance(units, dict) else {},
        )
    file.target.unlink(missing_ok=True)
    issues = told.issues
    if fault:
        issues = (
            *issues,
            finding(file.name, *fault, "the file is quarantined as a whole; ask the partner for it again"),
        )
    return Outcome(file=file.name, issues=issues)


def _first_fault(kept: _Kept, told: _Told, ended: _Ended) -> tuple[str, str] | None:
    """Give the fault that explains the others: a cap, then how the child ended, then what it left."""
    if kept.fault and kept.fault[0] == "read.too_large":
        return kept.fault
    fault = ended.fault() or kept.fault
    if fault is None and told.table is None:
        fault = ("read.crashed", "its reader ended without a report")
    return fault
