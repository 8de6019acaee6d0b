"""The tables of truth: values that the tests hold the knowledge modules to, each with its source."""

import csv
from pathlib import Path


def truth(name: str) -> list[dict[str, str]]:
    """Read the rows of ``truth_<name>.csv``."""
    with (Path(__file__).parent / f"truth_{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    missing = [row for row in rows if not row["source"]]
    if missing:
        raise ValueError(f"truth_{name}.csv: rows without a source: {missing}")
    return rows
