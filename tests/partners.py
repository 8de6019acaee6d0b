"""Small partners: feeds, drops and opened files for the tests of landing and reading."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.contracts import Feed
from pipelines.readers import SUFFIXES, Limits
from pipelines.readers.sandbox import Outcome, open_file
from pipelines.settings import Settings

QUICK = Limits(deadline_s=60)


def feed_of(**tables: dict[str, Any]) -> Feed:
    """Give a feed of Norland with these tables."""
    return Feed.model_validate(
        {
            "feed": "norland_deposits",
            "title": "Deposits",
            "partner": "norland",
            "description": "Deposits of Norland",
            "owner": "Registry",
            "schedule": "0 3 * * 1",
            "cadence": "P7D",
            "tables": tables,
            "rights": {"basis": "licence", "document": "none"},
            "datasets": {},
        }
    )


def settings_in(folder: Path, drop: Path | None = None) -> Settings:
    """Give settings whose home, and drop if none is named, are below a folder."""
    drop = drop or folder / "drop"
    drop.mkdir(exist_ok=True)
    return Settings(home=folder / "home", drop=drop, schemas=folder, catalogue_url="sqlite://")


def dropped(settings: Settings, path: str, content: bytes | str) -> Path:
    """Put a file into the drop."""
    target = settings.drop / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content.encode() if isinstance(content, str) else content)
    return target


def opened(
    source: Path | bytes | str,
    reader: str,
    folder: Path,
    *,
    parts: tuple[Path, ...] = (),
    limits: Limits = QUICK,
    **options: Any,  # noqa: ANN401
) -> Outcome:
    """Have a file, or these bytes, read by a child."""
    private = folder / "private"
    shutil.rmtree(private, ignore_errors=True)
    private.mkdir()
    staged = private / f"input{SUFFIXES[reader]}"
    if isinstance(source, Path):
        shutil.copyfile(source, staged)
    else:
        staged.write_bytes(source.encode() if isinstance(source, str) else source)
    for part in parts:
        shutil.copyfile(part, staged.with_suffix(part.suffix))
    name = source.name if isinstance(source, Path) else f"given{SUFFIXES[reader]}"
    return open_file(staged, folder / "rows.arrow", name=name, reader=reader, options=options, limits=limits)


def rows_of(outcome: Outcome) -> pa.Table:
    """Load the rows that a child handed over."""
    with pa.OSFile(str(outcome.path)) as source, pa.ipc.open_file(source) as reader:
        return reader.read_all()


def rules_of(outcome: Outcome) -> list[tuple[str, str, int | None]]:
    """Give rule, severity and row of each finding."""
    return [(issue["rule"], issue["severity"], issue["row"]) for issue in outcome.issues]
