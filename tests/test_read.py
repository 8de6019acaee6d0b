"""Reading a delivery: each file in a process of its own, whose end is never ours."""

import os
import signal
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.deliveries import Delivery
from pipelines.errors import ContractError
from pipelines.land import land
from pipelines.read import ReadReport, read
from pipelines.readers import Limits
from pipelines.readers.sandbox import ISOLATED, Outcome, isolation
from pipelines.settings import Settings
from tests.partners import QUICK, dropped, feed_of, opened, rules_of, settings_in

DEPOSITS = {"path": "norland/deposits.csv", "reader": "delimited"}
LONG = "id,name\n" + "1,a mine with a name of some length\n" * 1_000_000
SLOW = "[" + '{"id":1,"name":"a"},' * 600_000 + '{"id":2}]'
"""Takes seconds to read, so that there is time to look at the child."""


def run(settings: Settings, folder: Path, **tables: dict[str, object]) -> tuple[Delivery, ReadReport]:
    """Land and read a feed with these tables."""
    feed = feed_of(**tables)
    delivery = land(feed, settings)
    return delivery, read(delivery, feed.tables, folder, limits=QUICK)


def test_each_table_becomes_an_arrow_file_of_its_own(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    dropped(settings, "norland/deposits.csv", "id,name\n1,Hill\n2\n")
    dropped(settings, "norland/grades.json", '[{"id":1,"grade":2.5}]')
    delivery, report = run(
        settings, tmp_path / "run", deposits=DEPOSITS, grades={"path": "norland/grades.json", "reader": "json"}
    )
    deposits, grades = report.tables["deposits"], report.tables["grades"]
    assert (deposits.path, deposits.rows, deposits.rejected) == (tmp_path / "run/raw/deposits.arrow", 1, 1)
    assert (deposits.file, deposits.columns, deposits.refused) == ("deposits.csv", ("id", "name"), None)
    with pa.OSFile(str(grades.path)) as source, pa.ipc.open_file(source) as reader:
        assert reader.read_all().to_pylist() == [{"id": "1", "grade": "2.5", "_row": 1}]
    assert report.isolation == isolation()
    assert [issue["rule"] for issue in report.issues] == ["read.field_count"]
    assert sorted(path.name for path in (tmp_path / "run/raw").iterdir()) == ["deposits.arrow", "grades.arrow"]
    assert all((delivery.folder / file.sha256).stat().st_size == file.size for file in delivery.files)


def test_a_file_that_cannot_be_read_stops_nothing_else(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    dropped(settings, "norland/deposits.csv", "id,name\n1,Hill\n")
    dropped(settings, "norland/grades.xlsx", "no workbook")
    grades = {"path": "norland/grades.xlsx", "reader": "xlsx"}
    _delivery, report = run(settings, tmp_path / "run", grades=grades, deposits=DEPOSITS)
    assert (report.tables["deposits"].rows, report.tables["grades"].path) == (1, None)
    (reason,) = report.refused
    assert reason.startswith("grades.xlsx: read.not_xlsx: no workbook; ")


def test_reading_again_gives_the_same_and_nothing_stale(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    dropped(settings, "norland/deposits.csv", "id,name\n1,Hill\n")
    first = run(settings, tmp_path / "run", deposits=DEPOSITS)[1].tables["deposits"]
    before = (tmp_path / "run/raw/deposits.arrow").read_bytes()
    assert run(settings, tmp_path / "run", deposits=DEPOSITS)[1].tables["deposits"] == first
    assert (tmp_path / "run/raw/deposits.arrow").read_bytes() == before
    dropped(settings, "norland/deposits.csv", "<html>down</html>")
    assert run(settings, tmp_path / "run", deposits=DEPOSITS)[1].tables["deposits"].path is None
    assert not (tmp_path / "run/raw/deposits.arrow").exists()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"reader": "parquet"}, "no reader 'parquet'; did you mean 'geoparquet'"),
        ({"reader": "pdf"}, "no reader 'pdf'; have"),
        ({"reader": "shapefile", "options": {"layr": "pits"}}, "no option 'layr'; did you mean 'layer'"),
        ({"reader": "geopackage", "options": {"layer": 3}}, "option layer cannot be 3"),
        ({"reader": "kml", "options": {"encoding": "utf-8"}}, "no option 'encoding'; have"),
        ({"reader": "delimited", "options": {"unit_row": 2}}, "no option 'unit_row'; did you mean 'units_row'"),
        ({"reader": "delimited", "options": {"comment": "//"}}, "comment must be one plain character"),
        ({"reader": "delimited", "options": {"separator": ";"}}, "no option 'separator'; have"),
        ({"reader": "delimited", "options": {"delimiter": ";;"}}, "delimiter must be one plain character"),
        ({"reader": "delimited", "options": {"delimiter": ""}}, "delimiter must be one plain character"),
        ({"reader": "delimited", "options": {"header_row": True}}, "header_row cannot be True"),
        ({"reader": "delimited", "options": {"header_row": -1}}, "must be at least 0"),
        ({"reader": "delimited", "options": {"encoding": "latin-99"}}, "no encoding 'latin-99'"),
        ({"reader": "xlsx", "options": {"header_row": 0}}, "must be at least 1"),
        ({"reader": "ags"}, "option group is needed"),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_opened(tmp_path: Path, table: dict[str, object], words: str) -> None:
    settings = settings_in(tmp_path)
    dropped(settings, "norland/deposits.csv", "id\n1\n")
    with pytest.raises(ContractError, match=f"norland_deposits: table deposits: .*{words}"):
        run(settings, tmp_path / "run", deposits={**DEPOSITS, **table})
    assert not (tmp_path / "run").exists()


CAPS = {
    "wall time": (replace(QUICK, deadline_s=0.05), "read.timeout", "not done within 0.05 s"),
    "processor time": (replace(QUICK, cpu_s=1), "read.timeout", "more than 1 s of processor time"),
    "memory": (replace(QUICK, memory_bytes=192 << 20), "read.too_large", "bytes of memory"),
    "bytes handed over": (replace(QUICK, output_bytes=1 << 20), "read.too_large", "more than 1048576 bytes"),
    "rows": (replace(QUICK, rows=1000), "read.too_large", "more than 1000 rows"),
}


@pytest.mark.parametrize("cap", CAPS)
def test_a_file_beyond_a_cap_is_one_finding(tmp_path: Path, cap: str) -> None:
    limits, rule, words = CAPS[cap]
    text, reader = (SLOW, "json") if cap == "processor time" else (LONG, "delimited")
    outcome = opened(text, reader, tmp_path, limits=limits)
    assert (outcome.path, rules_of(outcome)) == (None, [(rule, "error", None)])
    assert words in outcome.issues[0]["found"]
    assert outcome.issues[0]["file"].startswith("given.")
    assert not (tmp_path / "rows.arrow").exists()


def test_a_table_with_more_bad_rows_than_anybody_mends_is_refused(tmp_path: Path) -> None:
    limits = replace(QUICK, rejected_rows=10)
    outcome = opened("id,name\n" + "1,2,3\n" * 1000 + "1,2\n", "delimited", tmp_path, limits=limits)
    assert outcome.path is None
    assert rules_of(outcome)[-1][0] == "read.too_many_bad_rows"
    assert len(outcome.issues) <= 12


class Reading(threading.Thread):
    """A slow file being read in the background, so that its child can be looked at."""

    def __init__(self, folder: Path, limits: Limits = QUICK) -> None:
        super().__init__()
        self.folder, self.limits, self.outcome = folder, limits, Outcome("")
        self.start()

    def run(self) -> None:
        """Read."""
        self.outcome = opened(SLOW, "json", self.folder, limits=self.limits)

    def child(self) -> int:
        """Wait for the child to have confined itself, and give its process id."""
        for _attempt in range(2000):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit() and _is_confined_child(entry):
                    return int(entry.name)
            time.sleep(0.005)
        raise TimeoutError("no child")


def _is_confined_child(entry: Path) -> bool:
    try:
        status = (entry / "status").read_text()
        command = (entry / "cmdline").read_bytes()
    except OSError:
        return False
    return f"PPid:\t{os.getpid()}\n" in status and b"pipelines.readers.child" in command and "NoNewPrivs:\t1" in status


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_child_that_dies_is_one_finding(tmp_path: Path, number: signal.Signals) -> None:
    reading = Reading(tmp_path)
    os.kill(reading.child(), number)
    reading.join()
    assert rules_of(reading.outcome) == [("read.crashed", "error", None)]
    assert reading.outcome.issues[0]["found"] == f"its reader was ended by {number.name}"
    assert reading.outcome.path is None


def test_a_child_that_hangs_meets_the_deadline(tmp_path: Path) -> None:
    reading = Reading(tmp_path, replace(QUICK, deadline_s=1.5))
    child = reading.child()
    os.kill(child, signal.SIGSTOP)
    reading.join(timeout=20)
    assert rules_of(reading.outcome) == [("read.timeout", "error", None)]
    assert not Path(f"/proc/{child}").exists()


def test_a_child_knows_no_secret_and_has_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINERALS_CATALOGUE_URL", "postgresql://me:canary@db/minerals")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    reading = Reading(tmp_path)
    process = Path(f"/proc/{reading.child()}")
    environment = (process / "environ").read_bytes()
    limits = (process / "limits").read_text()
    network = (process / "ns/net").readlink()
    folder = (process / "cwd").readlink()
    reading.join()
    assert reading.outcome.rows == 600_001
    assert b"canary" not in environment
    assert folder == tmp_path / "private"
    words = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert words["Max file size"] == "0"
    assert words["Max open files"] == "64"
    assert words["Max core file size"] == "0"
    assert words["Max address space"] == str(asdict(QUICK)["memory_bytes"])
    assert (network != Path("/proc/self/ns/net").readlink()) == (isolation() == ISOLATED)


def test_a_host_without_namespaces_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolation.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        assert isolation() == "network not taken away: unshare is not installed"
        assert opened("id\n1\n", "delimited", tmp_path).rows == 1
    finally:
        isolation.cache_clear()
