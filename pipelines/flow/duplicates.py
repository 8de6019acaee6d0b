"""Settles records that name themselves twice: identical ones count once, contradicting ones are all kept back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.findings import Finding

PLACES = frozenset({"source_file", "source_row", "source_also", "delivery"})
"""Columns that say where a record came from; two records that differ in nothing else are the same."""


@dataclass
class Identities:
    """Hashes of the record ids of every batch, 8 bytes each, and which rows broke no rule so far."""

    parts: list[np.ndarray] = field(default_factory=list)
    sound: list[np.ndarray] = field(default_factory=list)
    connection: duckdb.DuckDBPyConnection = field(default_factory=lambda: duckdb.connect(config={"threads": 1}))

    def hash(self, ids: pa.Array) -> np.ndarray:
        """Hash record ids to 64 bits."""
        self.connection.register("ids", pa.table({"id": ids}))
        return self.connection.execute("SELECT hash(id) AS h FROM ids").fetchnumpy()["h"].astype(np.uint64)

    def add(self, ids: pa.Array, sound: np.ndarray) -> None:
        """Remember a batch of record ids, and which of its rows may yet be accepted."""
        self.parts.append(self.hash(ids))
        self.sound.append(sound)

    def told_again(self) -> np.ndarray:
        """Give the places, among all rows, of those whose record id an earlier row has."""
        hashes = np.concatenate([*self.parts, np.zeros(0, np.uint64)])
        order = np.argsort(hashes, kind="stable")
        return order[1:][hashes[order[1:]] == hashes[order[:-1]]]

    def refuse(self, places: np.ndarray, broken: np.ndarray) -> np.ndarray:
        """Note of rows, by their place among all, that the broken ones may not be accepted; mark those that might."""
        ends = np.cumsum([len(mask) for mask in self.sound])
        fresh = np.zeros(len(places), dtype=bool)
        for mask, end in zip(self.sound, ends, strict=True):
            here = np.flatnonzero(broken & (places < end) & (places >= end - len(mask)))
            within = places[here] - (end - len(mask))
            fresh[here] = mask[within]
            mask[within] = False
        return fresh

    def suspected(self, taken: frozenset[str]) -> list[np.ndarray]:
        """Mark, batch by batch, the sound rows whose hash is seen more than once, or stands already."""
        standing = [self.hash(pa.array(sorted(taken), pa.string()))] if taken else []
        sound = [part[mask] for part, mask in zip(self.parts, self.sound, strict=True)]
        seen = np.sort(np.concatenate([*sound, *standing, np.zeros(0, np.uint64)]))
        again = np.unique(seen[1:][seen[1:] == seen[:-1]])
        return [mask & _among(part, again) for part, mask in zip(self.parts, self.sound, strict=True)]


@dataclass(frozen=True)
class Settled:
    """One batch after settling: the rows that stand, those that contradict others, and how many told the same again."""

    standing: pa.RecordBatch
    contradicting: pa.RecordBatch
    same: int


def _among(hashes: np.ndarray, sought: np.ndarray) -> np.ndarray:
    """Mark the hashes that are among the sought ones, which are sorted."""
    if not len(sought):
        return np.zeros(len(hashes), dtype=bool)
    return sought[np.minimum(np.searchsorted(sought, hashes), len(sought) - 1)] == hashes


def keep(batch: pa.RecordBatch, part: Path) -> None:
    """Keep one batch of a draft until it can be settled."""
    with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)


def settle(draft: Sequence[Path], identities: Identities, taken: frozenset[str]) -> Iterator[Settled]:
    """Go through the draft of a dataset and take out what is broken, told again, or contradicted.

    Parameters
    ----------
    draft : every harmonised row, in the batches that the identities know, each kept in a file of its own, which is
        mapped while it is looked at and removed once it is settled.
    taken : record ids that stand already.
    """
    suspected = identities.suspected(taken)
    verdict = _verdicts(suspects_of(draft, suspected), taken)
    start = 0
    for part, sound, mask in zip(draft, identities.sound, suspected, strict=True):
        batch = _batch(part)
        mine = verdict[start : start + int(mask.sum())]
        start += len(mine)
        stands, differs = sound.copy(), np.zeros(len(sound), dtype=bool)
        stands[mask] = mine == "stands"
        differs[mask] = mine == "differs"
        yield Settled(
            standing=batch if stands.all() else batch.filter(pa.array(stands)),
            contradicting=batch.filter(pa.array(differs)) if differs.any() else batch.slice(0, 0),
            same=int((mine == "same").sum()),
        )
        part.unlink()


def contradiction(batch: pa.RecordBatch, dataset: str) -> Finding:
    """Say of a whole batch that its records are told more than once, each time otherwise."""
    return Finding(
        rule=f"{dataset}.record_id.unique",
        severity="error",
        column="record_id",
        mask=pa.array(np.ones(batch.num_rows, dtype=bool)),
        found=pc.cast(batch.column("record_id"), pa.string()),
        hint="several rows name the same record with different content; say which holds, or widen the key",
    )


def _batch(part: Path) -> pa.RecordBatch:
    with pa.memory_map(str(part)) as source, pa.ipc.open_stream(source) as reader:
        return reader.read_next_batch()


def suspects_of(draft: Sequence[Path], suspected: list[np.ndarray]) -> pa.Table | None:
    """Gather the suspected rows of a draft; None where there is none."""
    found = [_copied(_batch(part), mask) for part, mask in zip(draft, suspected, strict=True) if mask.any()]
    return pa.Table.from_batches(found) if found else None


def _copied(batch: pa.RecordBatch, mask: np.ndarray) -> pa.RecordBatch:
    """Copy some rows with texts plain: a dictionary would keep the whole file that it is mapped from in memory."""
    some = batch.filter(pa.array(mask))
    plain = [each.dictionary_decode() if pa.types.is_dictionary(each.type) else each for each in some.columns]
    return pa.RecordBatch.from_arrays(plain, names=some.schema.names)


def _verdicts(suspects: pa.Table | None, taken: frozenset[str]) -> np.ndarray:
    """Say for every suspect whether it stands, is the same as an earlier one, or differs from another."""
    if suspects is None:
        return np.zeros(0, dtype=object)
    content = [name for name in suspects.schema.names if name not in PLACES]
    packed = ", ".join(f'"{name}"' for name in content)
    connection = duckdb.connect(config={"threads": 1})
    numbered = suspects.append_column("_i", pa.array(np.arange(suspects.num_rows)))
    connection.register("suspects", numbered)
    connection.register("taken", pa.table({"id": pa.array(sorted(taken), pa.string())}))
    found = connection.execute(
        "WITH told AS (SELECT _i, record_id, md5(CAST(row(" + packed + ") AS VARCHAR)) AS content FROM suspects) "  # noqa: S608 - names come from the contract
        "SELECT CASE WHEN record_id IN (SELECT id FROM taken) OR min(content) OVER same <> max(content) OVER same "
        "THEN 'differs' WHEN _i > min(_i) OVER same THEN 'same' ELSE 'stands' END AS verdict FROM told "
        "WINDOW same AS (PARTITION BY record_id) ORDER BY _i"
    ).fetchall()
    connection.close()
    return np.array([row[0] for row in found], dtype=object)
