"""What goes into a release and what comes out: the feeds' shares, the choices, and what was published."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["fresh", "unchanged", "carried", "absent"]


@dataclass(frozen=True)
class Rights:
    """On what ground a feed's data are used, and whom to name for them."""

    licence: str
    attribution: str | None = None
    basis: str | None = None
    document: str | None = None


@dataclass(frozen=True)
class Share:
    """What one feed contributes to a release.

    Parameters
    ----------
    feed : id of the feed.
    state : fresh (a delivery that no release has), unchanged, carried (the last accepted share stands for a delivery
        that failed or did not come) or absent (nothing was ever accepted).
    delivery : SHA-256 that names the delivery; None when absent.
    run_fingerprint : digest of the mapping, the contracts and the vocabularies that made the accepted rows.
    accepted : per dataset the files of accepted rows (Arrow IPC stream, working schema), oldest statement first.
    sources : ledger of the input files, one mapping per file, in the order of the run.
    datasets : per dataset its shaped, accepted, quarantined, duplicate and filtered rows, summed over the runs of
        which ``accepted`` lists the files; what else a mapping holds is not published.
    notes : what the feed's readers should know, as they stand in its YAML.
    rights : the feed's licence and attribution.
    """

    feed: str
    state: State
    rights: Rights
    delivery: str | None = None
    run_fingerprint: str = ""
    accepted: Mapping[str, list[Path]] = field(default_factory=dict)
    sources: tuple[Mapping[str, Any], ...] = ()
    datasets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Options:
    """How a release is made.

    Parameters
    ----------
    title : what the release is called.
    twin_rows : a dataset with more rows gets no GeoPackage.
    part_rows : a file that holds so many rows is followed by another.
    group_rows : rows of a row group, but for a file's last.
    bucket_rows : rows that are sorted at once; memory grows with it and not with the dataset.
    """

    title: str = "Critical-mineral release"
    twin_rows: int = 500_000
    part_rows: int = 2 * 1024 * 1024
    group_rows: int = 65_536
    bucket_rows: int = 196_608


@dataclass(frozen=True)
class LedgerRow:
    """Where one feed's accepted rows of one dataset went: accepted = published + superseded + withheld.

    ``superseded_by_rule`` counts the superseded rows that are not stated again but ``deleted``, taken away.
    ``withheld_by_rule`` counts the rows that a rule holds back; a release holds every tier and embargoed rows too,
    which exports then leave out, so no rule holds anything back yet.
    """

    feed: str
    dataset: str
    accepted: int
    published: int
    superseded: int
    superseded_by_rule: Mapping[str, int] = field(default_factory=dict)
    withheld_by_rule: Mapping[str, int] = field(default_factory=dict)

    @property
    def withheld(self) -> int:
        """Rows held back, over all rules."""
        return sum(self.withheld_by_rule.values())


@dataclass(frozen=True)
class Published:
    """What publishing came to.

    Parameters
    ----------
    number : the release that now stands; the one that stood before when there was nothing new.
    new : whether this call committed it.
    folder : prefix of its keys in the store.
    manifest_sha256 : SHA-256 of its release.json.
    rows : per dataset.
    """

    number: int
    new: bool
    folder: str
    content_hash: str
    manifest_sha256: str
    semantic_version: str
    log_key: str
    committed_at: str
    rows: Mapping[str, int]
    ledger: tuple[LedgerRow, ...]
