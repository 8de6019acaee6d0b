"""Records that a delivery tells twice: counted once where they are the same, kept back where they differ."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.flow.duplicates import Identities, keep, settle, suspects_of


def draft_of(folder: Path, *batches: list[tuple[str, str]]) -> tuple[list[Path], Identities]:
    """Keep batches of (record id, name), all of them sound."""
    parts, identities = [], Identities()
    for number, rows in enumerate(batches):
        ids, names = (pa.array(column, pa.string()) for column in zip(*rows, strict=True))
        batch = pa.RecordBatch.from_arrays([ids, names.dictionary_encode()], names=["record_id", "name"])
        identities.add(batch.column("record_id"), np.ones(batch.num_rows, dtype=bool))
        parts.append(folder / f"part-{number}.arrow")
        keep(batch, parts[-1])
    return parts, identities


def test_the_same_told_twice_counts_once_and_what_differs_is_all_kept_back(tmp_path: Path) -> None:
    draft = draft_of(tmp_path, [("a", "Aas"), ("b", "Vik")], [("a", "Aas"), ("b", "Elvdal"), ("c", "Berg")])
    first, second = settle(*draft, frozenset())
    assert first.standing.column("record_id").to_pylist() == ["a"]
    assert first.contradicting.column("record_id").to_pylist() == ["b"]
    assert second.standing.column("record_id").to_pylist() == ["c"]
    assert second.contradicting.column("name").to_pylist() == ["Elvdal"]
    assert (first.same, second.same) == (0, 1)


def test_what_is_told_twice_is_copied_out_of_the_draft(tmp_path: Path) -> None:
    parts, identities = draft_of(tmp_path, [("a", "Aas"), ("b", "Vik")], [("a", "Aas")])
    suspects = suspects_of(parts, identities.suspected(frozenset()))
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8")
    assert suspects is not None and suspects.column("name").to_pylist() == ["Aas", "Aas"]
    assert [part.name for part in parts if str(part) in mapped] == []
