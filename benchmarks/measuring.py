"""What a whole process costs, with everything that it starts: processor time, time by the clock, memory."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

SAMPLE_S = 0.05
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Cost:
    """What one process took.

    Parameters
    ----------
    cpu_s : processor time, user and system, of the process and of those that it started and waited for.
    wall_s : seconds by the clock.
    peak_mib : largest resident memory of any single one of these processes, as the kernel counts it.
    tree_mib : largest sum over the processes alive at one time, sampled; pages that two share count twice.
    said : what the process wrote to its standard output.
    """

    cpu_s: float
    wall_s: float
    peak_mib: float
    tree_mib: float
    said: str


def measure(module: str, *arguments: str) -> Cost:
    """Run a module of this project as a process of its own, and give what it cost.

    Raises
    ------
    SystemExit
        If it fails; its last words are shown.
    """
    begin = os.times().elapsed
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    tree = _Tree(process.pid)
    said = process.stdout.read() if process.stdout else ""
    _pid, status, usage = os.wait4(process.pid, 0)
    wall = os.times().elapsed - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    tree_bytes = tree.stop()
    if process.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)} ended with {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, tree_bytes / 2**20, said)


class _Tree(threading.Thread):
    """Samples the resident memory of a process and of all that descend from it."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak, self.done = pid, 0, threading.Event()
        self.start()

    def run(self) -> None:
        """Sample until told to stop."""
        while not self.done.wait(SAMPLE_S):
            self.peak = max(self.peak, sum(_resident(pid) for pid in _family(self.pid)))

    def stop(self) -> int:
        """Stop, and give the largest sum in bytes."""
        self.done.set()
        self.join()
        return self.peak


def _family(pid: int) -> list[int]:
    family = [pid]
    for parent in family:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            family.extend(_numbers(task))
    return family


def _resident(pid: int) -> int:
    pages = _numbers(Path(f"/proc/{pid}/statm"))
    return pages[1] * PAGE_BYTES if pages else 0


def _numbers(path: Path) -> list[int]:
    """Read the numbers in a file of the kernel's; none where its process has ended meanwhile."""
    try:
        return [int(word) for word in path.read_text().split()]
    except OSError:
        return []
