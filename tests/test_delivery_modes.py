"""What a delivery of each mode adds, restates and takes away, and what contradicts its mode."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines import flow
from pipelines.contracts import load_datasets, load_feed
from pipelines.errors import ContractError
from pipelines.flow.checking import check
from pipelines.flow.installation import catalogue_of
from pipelines.flow.recording import read_record
from pipelines.publish import load_release
from pipelines.settings import Settings
from pipelines.store import LocalStore
from tests import norland

SITES = "mineral_occurrence"
HEADER = "id,name,op,lon,lat\n"
FEED = """\
feed: norland_sites
title: Sites of Norland
partner: norland
description: Sites for a test.
owner: Survey of Norland
schedule: "0 3 * * 1"
cadence: P1M
delivery_mode: {mode}
tables:
  sites: {{path: norland/sites.csv, reader: delimited}}
rights: {{basis: licence, document: A licence, licence: CC-BY-4.0}}
datasets:
  mineral_occurrence:
    key: {{authority: norland, register: sites, columns: [id]}}
    columns: {{name: name, occurrence_type: {{const: mine}}}}
    position: {{x: lon, y: lat, crs: "EPSG:4326"}}
    {deleted}
"""
DELTA = FEED.format(mode="delta", deleted="deleted: \"op = 'D'\"")
APPEND = FEED.format(mode="append", deleted="")
CORRECTION = FEED.format(mode="correction", deleted="")
FIRST = HEADER + "1,Store Berg,,10.5,60.5\n2,Lille Berg,,10.6,60.6\n3,Elv,,10.7,60.7\n"


def taken(settings: Settings, rows: str) -> dict:
    """Take the next delivery, and give the figures of its sites."""
    norland.deliver(settings.drop, rows)
    return flow.ingest("norland_sites", settings)["datasets"][SITES]


def conformed(settings: Settings, rows: str) -> tuple[dict, int]:
    """Split the next delivery without accepting it; give the figures of its sites, and the run."""
    norland.deliver(settings.drop, rows)
    run = flow.conform("norland_sites", flow.land_feed("norland_sites", settings), settings)
    return read_record(catalogue_of(settings).run(run).folder)["datasets"][SITES], run


def released(settings: Settings) -> tuple[dict[str, str], dict]:
    """Cut a release; give the names of the sites by their key, and the release's ledger of them."""
    told = flow.release(settings)
    rows = pq.read_table(Path(told["folder"]) / SITES).to_pylist()
    manifest = load_release(LocalStore(settings.releases))
    (ledger,) = (row for row in manifest["ledger"]["release"] if row["dataset"] == SITES)
    return {row["record_id"].rsplit(":", 1)[1]: row["name"] for row in rows}, ledger


def held(settings: Settings) -> list[tuple[str | None, tuple[str, ...]]]:
    return [(row.record_id, row.rules) for row in catalogue_of(settings).quarantine("norland_sites")]


def test_a_delta_adds_changes_and_takes_away_and_brings_back(tmp_path: Path) -> None:
    settings = norland.installation(tmp_path, DELTA)
    taken(settings, FIRST)
    figures = taken(settings, HEADER + "2,Lille Fjell,,10.6,60.6\n3,,D,,\n4,Vik,,10.8,60.8\n")
    counted = {word: figures[word] for word in ("shaped", "accepted", "quarantined", "deletions")}
    assert counted == {"shaped": 2, "accepted": 2, "quarantined": 0, "deletions": 1}
    sites, ledger = released(settings)
    assert sites == {"1": "Store Berg", "2": "Lille Fjell", "4": "Vik"}
    assert (ledger["accepted"], ledger["published"], ledger["superseded"]) == (5, 3, 2)
    assert ledger["superseded_by_rule"] == {"deleted": 1}
    taken(settings, HEADER + "3,Elv igjen,,10.7,60.7\n")
    sites, ledger = released(settings)
    assert sites["3"] == "Elv igjen"
    assert ledger["superseded_by_rule"] == {}


def test_a_deletion_is_told_with_its_row_and_one_of_nothing_is_kept_back(tmp_path: Path) -> None:
    settings = norland.installation(tmp_path, DELTA)
    taken(settings, FIRST)
    figures, run = conformed(settings, HEADER + "3,,D,,\n9,,D,,\n5,Aas,,10.9,60.9\n")
    assert (figures["shaped"], figures["accepted"], figures["quarantined"], figures["deletions"]) == (2, 1, 1, 1)
    assert held(settings) == [("norland:sites:9", ("mineral_occurrence.record_id.deletes_nothing",))]
    issues = {issue.rule: issue for issue in catalogue_of(settings).issue_counts(run)}
    told = issues["mineral_occurrence.record_id.deleted"]
    assert (told.severity, told.examples[0].row, told.examples[0].found) == ("info", 2, "norland:sites:3")
    path = tmp_path / "sites.csv"
    path.write_text(HEADER + "1,,D,,\n", encoding="utf-8")
    assert check("norland_sites", path, settings).clean
    path.write_text(HEADER + "9,,D,,\n", encoding="utf-8")
    assert not check("norland_sites", path, settings).clean


def test_a_row_kept_back_of_a_later_delta_comes_back(tmp_path: Path) -> None:
    feed = DELTA.replace("{const: mine}", "{from: op, codes: {G: mine}}").replace("'D'", "'X'")
    settings = norland.installation(tmp_path, feed)
    taken(settings, HEADER + "1,Store Berg,G,10.5,60.5\n")
    assert taken(settings, HEADER + "2,Lille Berg,S,10.6,60.6\n3,Elv,G,10.7,60.7\n")["quarantined"] == 1
    norland.with_feed(settings, feed.replace("{G: mine}", "{G: mine, S: prospect}"))
    again = flow.replay("norland_sites", settings)
    assert (again.taken, again.accepted, again.still_open) == (1, 1, 0)
    assert set(released(settings)[0]) == {"1", "2", "3"}


def test_deletions_may_come_as_a_table_of_their_own(tmp_path: Path) -> None:
    select = (
        "select: SELECT *, 'sites' AS _table, false AS is_gone FROM sites"
        " UNION ALL BY NAME SELECT *, 'gone' AS _table, true AS is_gone FROM gone"
    )
    feed = FEED.format(mode="delta", deleted=f"main: sites\n    {select}\n    deleted: is_gone")
    feed = feed.replace("rights:", "  gone: {path: norland/gone.csv, reader: delimited}\nrights:")
    settings = norland.installation(tmp_path, feed)
    gone = settings.drop / "norland" / "gone.csv"
    gone.write_text("id\n", encoding="utf-8")
    taken(settings, FIRST)
    gone.write_text("id\n2\n", encoding="utf-8")
    norland.deliver(settings.drop, HEADER + "5,Aas,,10.9,60.9\n")
    record = flow.ingest("norland_sites", settings)
    assert record["datasets"][SITES]["deletions"] == 1
    assert {one["file"]: one["used"] for one in record["sources"]} == {"sites.csv": 1, "gone.csv": 1}
    assert set(released(settings)[0]) == {"1", "3", "5"}


def test_an_append_that_restates_a_record_is_kept_back_but_does_not_restate_itself(tmp_path: Path) -> None:
    settings = norland.installation(tmp_path, APPEND)
    taken(settings, FIRST)
    second = HEADER + "3,Elv,,10.7,60.7\n4,Vik,,10.8,60.8\n"
    figures = taken(settings, second)
    assert (figures["accepted"], figures["quarantined"]) == (1, 1)
    assert held(settings) == [("norland:sites:3", ("mineral_occurrence.record_id.restated",))]
    norland.with_feed(settings, APPEND.replace("const: mine", "const: deposit"))
    assert conformed(settings, second)[0]["accepted"] == 1


def test_a_correction_changes_what_stands_and_adds_nothing(tmp_path: Path) -> None:
    settings = norland.installation(tmp_path, CORRECTION.replace("correction", "snapshot"))
    taken(settings, FIRST)
    norland.with_feed(settings, CORRECTION)
    figures = taken(settings, HEADER + "2,Lille Fjell,,10.6,60.6\n4,Vik,,10.8,60.8\n")
    assert (figures["accepted"], figures["quarantined"]) == (1, 1)
    assert held(settings) == [("norland:sites:4", ("mineral_occurrence.record_id.corrects_nothing",))]
    assert released(settings)[0] == {"1": "Store Berg", "2": "Lille Fjell", "3": "Elv"}


@pytest.mark.parametrize("mode", ["snapshot", "append"])
def test_only_a_delta_or_a_correction_takes_records_away(tmp_path: Path, mode: str) -> None:
    settings = norland.installation(tmp_path, DELTA.replace("delta", mode))
    path = settings.schemas / "feeds" / "norland_sites.yml"
    with pytest.raises(ContractError, match="deleted goes with the delivery modes delta and correction"):
        load_feed(path, load_datasets(settings.schemas))
