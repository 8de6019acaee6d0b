"""Where this installation keeps its things, read from the environment once."""

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Settings:
    """Folders and addresses of one installation.

    Parameters
    ----------
    home : everything the pipeline writes: landing, work, releases, log and, embedded, the catalogue.
    drop : the root under which partners' folders are dropped.
    schemas : contracts, vocabularies and feeds.
    catalogue_url : SQLAlchemy address of the catalogue.
    """

    home: Path
    drop: Path
    schemas: Path
    catalogue_url: str

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read MINERALS_HOME, MINERALS_DROP, MINERALS_SCHEMAS and MINERALS_CATALOGUE_URL."""
        home = Path(os.environ.get("MINERALS_HOME") or PROJECT / ".minerals").resolve()
        return cls(
            home=home,
            drop=Path(os.environ.get("MINERALS_DROP") or PROJECT / "samples").resolve(),
            schemas=Path(os.environ.get("MINERALS_SCHEMAS") or PROJECT / "schemas").resolve(),
            catalogue_url=os.environ.get("MINERALS_CATALOGUE_URL") or f"sqlite:///{home / 'catalogue.db'}",
        )

    @property
    def landing(self) -> Path:
        """Deliveries, byte for byte as they came."""
        return self.home / "landing"

    @property
    def work(self) -> Path:
        """Runs in progress and their accepted, quarantined and reported rows; can be made again from landing."""
        return self.home / "work"

    @property
    def fetching(self) -> Path:
        """Pages of services whose fetch broke off, by feed; the next one goes on from them."""
        return self.home / "fetching"

    @property
    def releases(self) -> Path:
        """Root of the release store: releases, log and current.json."""
        return self.home
