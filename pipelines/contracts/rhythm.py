"""The rhythm of releases: what a release waits for, and until when at most."""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from pipelines.contracts.loading import feed_files, read_yaml
from pipelines.contracts.model import Model
from pipelines.errors import ContractError

RELEASE_FILE = "release.yml"


class Rhythm(Model):
    """When a release is cut, as schemas/release.yml declares it."""

    title: str
    description: str
    owner: str
    deadline: str
    """Cron expression; at these times a release is cut whoever has reported."""
    timezone: str = "UTC"
    feeds_due: Literal["all"] | tuple[str, ...] = "all"
    """Feeds whose reports a release waits for; the others are taken as they stand."""


def load_rhythm(folder: Path) -> Rhythm:
    """Load the rhythm of releases.

    Raises
    ------
    ContractError
        When the file is wrong, or names a feed that does not exist.
    """
    path = folder / RELEASE_FILE
    try:
        rhythm = Rhythm.model_validate(read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ContractError(f"{path.name}: {place}: {first['msg']}") from error
    unknown = sorted(set(rhythm.feeds_due) - set(feed_ids(folder))) if rhythm.feeds_due != "all" else []
    if unknown:
        raise ContractError(f"{path.name}: feeds_due names feeds that do not exist: {', '.join(unknown)}")
    return rhythm


def feeds_due(folder: Path) -> list[str]:
    """List the feeds whose reports a release waits for, in a stable order."""
    due = load_rhythm(folder).feeds_due
    return feed_ids(folder) if due == "all" else sorted(due)


def feed_ids(folder: Path) -> list[str]:
    """List every feed's id, which is its file's name, without opening the files."""
    return [path.stem for path in feed_files(folder)]
