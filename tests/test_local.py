"""The whole line through a real Airflow, as `make run` does it: what it says, how it ends, and that nothing is left."""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.instance import free_port
from tests.conftest import PROJECT

PR_SET_CHILD_SUBREAPER = 36
FEW = ("ga_critical_minerals", "gsi_ngdr_blocks")


@pytest.fixture
def left_behind() -> Iterator[list[psutil.Process]]:
    """Fail when a process outlives the test: whatever loses its parent becomes this process's child."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    before = set(psutil.Process().children(recursive=True))
    yield []
    after = set(psutil.Process().children(recursive=True)) - before
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0)
    alive = [process.name() for process in after if process.status() != psutil.STATUS_ZOMBIE]
    assert alive == []


@pytest.fixture
def few_schemas(tmp_path: Path) -> Path:
    """Give the repository's schemas with two feeds only, for a short run."""
    schemas = Path(shutil.copytree(PROJECT / "schemas", tmp_path / "schemas"))
    for path in (schemas / "feeds").glob("*.yml"):
        if path.stem not in FEW:
            path.unlink()
    return schemas


def start(home: Path, **more: str) -> subprocess.Popen[str]:
    """Start `python -m deploy.local run` in an installation of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "MINERALS"))}
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "deploy.local", "run", "--deadline-minutes", "8"],
        cwd=PROJECT,
        env=inherited | {"MINERALS_HOME": str(home)} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(home: Path, **more: str) -> tuple[int, str]:
    """Run to the end; give the exit code and what was said."""
    process = start(home, **more)
    said, _ = process.communicate(timeout=600)
    return process.returncode, said


def test_a_taken_port_is_passed_over() -> None:
    taken = free_port()
    assert free_port(taken) == taken
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", taken))
        holder.listen()
        assert free_port(taken) != taken


@pytest.mark.slow
def test_the_samples_become_a_release_and_again_there_is_nothing_new(tmp_path: Path, left_behind: list[str]) -> None:
    code, said = run(tmp_path)
    assert code == 0, said
    assert "Release 1 published" in said
    assert json.loads((tmp_path / "current.json").read_text())
    code, said = run(tmp_path)
    assert code == 0, said
    assert "Nothing new" in said
    assert not (tmp_path / "releases" / "2").exists()


@pytest.mark.slow
def test_a_damaged_feed_makes_the_run_red_and_the_others_are_released(
    tmp_path: Path, few_schemas: Path, left_behind: list[str]
) -> None:
    (few_schemas / "feeds" / "zz_cut.yml").write_text("bad: [\n")
    code, said = run(tmp_path / "home", MINERALS_SCHEMAS=str(few_schemas))
    assert code == 1, said
    assert "zz_cut.yml:2: not readable as YAML" in said
    assert "Release 1 published" in said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_process(
    tmp_path: Path, few_schemas: Path, number: signal.Signals, left_behind: list[str]
) -> None:
    process = start(tmp_path / "home", MINERALS_SCHEMAS=str(few_schemas))
    assert process.stdout is not None
    for line in process.stdout:
        if "running" in line:
            break
    process.send_signal(number)
    assert process.wait(timeout=60) == 130
    process.stdout.close()
