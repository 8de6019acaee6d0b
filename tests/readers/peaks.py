"""Measures how much memory a reader's process takes at most."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
MEASURE = """
import resource, sys
from pathlib import Path
from tests.partners import opened
source, reader, folder, *parts = sys.argv[1:]
outcome = opened(Path(source), reader, Path(folder), parts=tuple(Path(part) for part in parts))
assert outcome.path is not None and outcome.rows > 0, outcome.issues
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_kib(content: str, reader: str, folder: Path, *, parts: tuple[Path, ...] = ()) -> int:
    """Have content read in a fresh pair of processes, and give the reader's peak of resident memory in KiB."""
    source = folder / "measured"
    source.write_text(content, encoding="utf-8")
    command = [sys.executable, "-c", MEASURE, str(source), reader, str(folder), *map(str, parts)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return int(done.stdout)
