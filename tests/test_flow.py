"""The line as its users see it: nothing is lost, nothing is published twice, and what was kept back comes back."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import flow
from pipelines.errors import ContractError, RejectedError, SourceError
from pipelines.flow.checking import check
from pipelines.flow.installation import catalogue_of
from pipelines.flow.sources import Held, write_quarantine
from pipelines.flow.status import kept_back, shares
from pipelines.harmonise import RawTable
from pipelines.settings import PROJECT, Settings
from tests import norland

MAPPED = norland.FEED.replace("{GRUVE: mine}", "{GRUVE: mine, SKJERP: prospect}")
SITES = "mineral_occurrence"
pytest_plugins = ["tests.postgres"]


@pytest.fixture
def norway(tmp_path: Path) -> Settings:
    return norland.installation(tmp_path / "norland")


def published(told: dict, dataset: str = SITES) -> list[dict]:
    return pq.read_table(Path(told["folder"]) / dataset).to_pylist()


def test_every_row_of_a_delivery_is_accounted_for(norway: Settings) -> None:
    record = flow.ingest("norland_sites", norway)
    assert record["sources"] == [
        {"file": "sites.csv", "table": "sites", "rows": 9, "used": 7, "filtered": 1, "quarantined": 1}
    ]
    figures = record["datasets"][SITES]
    counted = {word: figures[word] for word in ("shaped", "accepted", "quarantined", "duplicates", "filtered")}
    assert counted == {"shaped": 7, "accepted": 2, "quarantined": 4, "duplicates": 1, "filtered": 1}


def test_a_kept_back_row_is_shown_as_received_with_its_rule_and_its_mend(norway: Settings) -> None:
    flow.ingest("norland_sites", norway)
    rows = {(row["dataset"], row["row"]): row for row in kept_back(norway, "norland_sites", None, 50)}
    assert set(rows) == {(SITES, 3), (SITES, 4), (SITES, 8), (SITES, 9), ("_source", 10)}
    assert '"type":"SKJERP"' in rows[SITES, 3]["raw"].replace(" ", "")
    assert "mineral_occurrence.occurrence_type.unknown_term" in rows[SITES, 3]["rules"]
    assert rows[SITES, 4]["rules"] == "mineral_occurrence.position.missing"
    assert rows[SITES, 8]["rules"] == rows[SITES, 9]["rules"] == "mineral_occurrence.record_id.unique"
    assert "surplus" in rows["_source", 10]["raw"]
    assert all(row["hint"] for row in rows.values())


def test_a_term_that_is_not_known_leaves_its_text_and_an_issue(norway: Settings) -> None:
    record = flow.ingest("norland_sites", norway)
    told = flow.release(norway)
    row = next(row for row in published(told) if row["name"] == "Aas")
    assert (row["commodities"], row["commodities_text"]) == (None, "unobtanium")
    issues = {issue.rule: issue for issue in catalogue_of(norway).issue_counts(record["run"])}
    assert issues["mineral_occurrence.commodities.unknown_term"].examples[0].row == 6


def test_a_second_run_with_unchanged_input_publishes_nothing_new_and_says_so(norway: Settings) -> None:
    assert flow.ingest("norland_sites", norway)["state"] == "fresh"
    first = flow.release(norway)
    again = flow.ingest("norland_sites", norway)
    second = flow.release(norway)
    assert (first["new"], again["state"], second["new"]) == (True, "unchanged", False)
    assert second["number"] == first["number"]
    assert second["said"].startswith("Nothing new")


def test_deleting_the_work_folder_and_running_again_gives_the_same_content(norway: Settings) -> None:
    flow.ingest("norland_sites", norway)
    first = flow.release(norway)
    shutil.rmtree(norway.work)
    flow.ingest("norland_sites", norway)
    assert flow.release(norway)["content_hash"] == first["content_hash"]


def test_another_installation_gives_the_same_content(norway: Settings, tmp_path: Path) -> None:
    other = norland.installation(tmp_path / "elsewhere")
    for settings in (norway, other):
        flow.ingest("norland_sites", settings)
    assert flow.release(norway)["content_hash"] == flow.release(other)["content_hash"]


def test_rows_come_back_after_the_mapping_was_corrected(norway: Settings) -> None:
    flow.ingest("norland_sites", norway)
    before = flow.release(norway)
    norland.with_feed(norway, MAPPED)
    done = flow.replay("norland_sites", norway)
    assert (done.taken, done.accepted, done.released, done.still_open) == (5, 1, 1, 4)
    after = flow.release(norway)
    assert after["new"]
    assert {row["name"] for row in published(after)} - {row["name"] for row in published(before)} == {"Lille Berg"}
    assert len(kept_back(norway, "norland_sites", None, 50)) == 4


def test_rows_come_back_after_the_partner_sent_corrected_ones(norway: Settings, tmp_path: Path) -> None:
    flow.ingest("norland_sites", norway)
    corrected = tmp_path / "corrected"
    norland.deliver(
        corrected, "id,name,type,metals,lon,lat\n3,Elv,GRUVE,nickel,10.7,60.7\n6,Vik,GRUVE,silver,11.0,61.0\n"
    )
    done = flow.replay("norland_sites", norway, corrected=corrected)
    assert (done.accepted, done.released) == (2, 3)
    told = flow.release(norway)
    assert {row["name"] for row in published(told)} == {"Store Berg", "Aas", "Elv", "Vik"}
    assert flow.ingest("norland_sites", norway)["state"] == "unchanged"
    assert flow.release(norway)["new"] is False


def test_a_corrected_row_supersedes_the_record_that_stood(norway: Settings, tmp_path: Path) -> None:
    flow.ingest("norland_sites", norway)
    corrected = tmp_path / "corrected"
    norland.deliver(
        corrected, "id,name,type,metals,lon,lat\n1,Store Berg,GRUVE,copper,10.5,60.5\n3,Elv,GRUVE,nickel,10.7,60.7\n"
    )
    flow.replay("norland_sites", norway, corrected=corrected)
    told = flow.release(norway)
    rows = {row["name"]: row for row in published(told)}
    assert rows["Store Berg"]["commodities"] == ["copper"]
    ledger = catalogue_of(norway).release_ledger(told["number"])
    assert [(one.accepted, one.published, one.superseded) for one in ledger if one.accepted] == [(4, 3, 1)]


def test_a_corrected_file_has_a_ledger_of_its_own(norway: Settings, tmp_path: Path) -> None:
    flow.ingest("norland_sites", norway)
    corrected = tmp_path / "corrected"
    norland.deliver(
        corrected, "id,name,type,metals,lon,lat\n3,Elv,GRUVE,nickel,10.7,60.7\n8,Bre,GRUVE,gold,10,60,extra\n"
    )
    done = flow.replay("norland_sites", norway, corrected=corrected)
    (source,) = catalogue_of(norway).ledger(done.run).sources
    assert (source.rows, source.used, source.quarantined) == (2, 1, 1)
    assert any("extra" in row["raw"] for row in kept_back(norway, "norland_sites", None, 50))


def test_a_correction_stands_again_with_the_delivery_that_it_corrects(norway: Settings, tmp_path: Path) -> None:
    flow.ingest("norland_sites", norway)
    corrected = tmp_path / "corrected"
    norland.deliver(corrected, "id,name,type,metals,lon,lat\n3,Elv,GRUVE,nickel,10.7,60.7\n")
    flow.replay("norland_sites", norway, corrected=corrected)
    norland.deliver(norway.drop, norland.ROWS.replace("Store Berg", "Stor-Berg"))
    flow.ingest("norland_sites", norway)
    assert "Elv" not in {row["name"] for row in published(flow.release(norway))}
    norland.deliver(norway.drop, norland.ROWS)
    flow.ingest("norland_sites", norway)
    assert {row["name"] for row in published(flow.release(norway))} == {"Store Berg", "Aas", "Elv"}


def test_a_new_mapping_leaves_a_standing_correction_in_force(norway: Settings, tmp_path: Path) -> None:
    flow.ingest("norland_sites", norway)
    corrected = tmp_path / "corrected"
    norland.deliver(corrected, "id,name,type,metals,lon,lat\n3,Elv,GRUVE,nickel,10.7,60.7\n")
    flow.replay("norland_sites", norway, corrected=corrected)
    norland.with_feed(norway, MAPPED)
    assert flow.ingest("norland_sites", norway)["state"] == "fresh"
    assert {row["name"] for row in published(flow.release(norway))} == {"Store Berg", "Aas", "Elv", "Lille Berg"}
    assert {row["row"] for row in kept_back(norway, "norland_sites", None, 50)} == {8, 9, 10}


def test_a_collapse_waits_until_a_person_confirms_exactly_that_delivery(norway: Settings) -> None:
    many = [f"{n},Berg {n},GRUVE,copper,10.5,60.5" for n in range(1, 301)]
    norland.deliver(norway.drop, "\n".join(["id,name,type,metals,lon,lat", *many, ""]))
    flow.ingest("norland_sites", norway)
    norland.deliver(norway.drop, "\n".join(["id,name,type,metals,lon,lat", *many[:110], ""]))
    with pytest.raises(RejectedError, match="refuses delivery") as caught:
        flow.ingest("norland_sites", norway)
    assert flow.release(norway)["feeds"] == {"norland_sites": "carried"}
    with pytest.raises(RejectedError, match="refuses delivery"):
        flow.ingest("norland_sites", norway, confirmed="0" * 64)
    delivery = str(caught.value).split("refuses delivery ")[1][:64]
    assert flow.ingest("norland_sites", norway, confirmed=delivery)["state"] == "fresh"
    assert len(published(flow.release(norway))) == 110


def test_a_feed_that_fails_keeps_its_last_share_and_is_told(norway: Settings) -> None:
    flow.ingest("norland_sites", norway)
    first = flow.release(norway)
    norland.deliver(norway.drop, norland.ROWS.replace("metals", "metal"))
    with pytest.raises(ContractError, match="partner column missing: 'metals'"):
        flow.ingest("norland_sites", norway)
    second = flow.release(norway)
    assert (second["content_hash"], second["feeds"]) == (first["content_hash"], {"norland_sites": "carried"})
    assert "metals" in shares(norway)["failed"]["norland_sites"]


def test_a_feed_whose_file_breaks_keeps_its_share_in_the_release(norway: Settings) -> None:
    flow.ingest("norland_sites", norway)
    first = flow.release(norway)
    norland.with_feed(norway, "bad: [")
    second = flow.release(norway)
    assert (second["content_hash"], second["feeds"]) == (first["content_hash"], {"norland_sites": "carried"})
    assert "cannot be loaded" in shares(norway)["failed"]["norland_sites"]


def test_a_missing_file_is_the_partners_to_send(norway: Settings) -> None:
    (norway.drop / "norland" / "sites.csv").unlink()
    with pytest.raises(SourceError, match="norland/sites.csv"):
        flow.ingest("norland_sites", norway)


def test_a_new_column_of_the_partner_is_told(norway: Settings) -> None:
    norland.deliver(norway.drop, "id,name,type,metals,lon,lat,owner\n1,Berg,GRUVE,copper,10.5,60.5,Kongen\n")
    record = flow.ingest("norland_sites", norway)
    issues = {issue.rule: issue for issue in catalogue_of(norway).issue_counts(record["run"])}
    assert issues["source.unmapped_column"].examples[0].found == "owner"


def test_a_row_that_no_select_uses_is_kept_back(norway: Settings) -> None:
    select = "    select: SELECT * FROM sites WHERE id <> '1'\n    key:"
    norland.with_feed(norway, norland.FEED.replace("    key:", select, 1))
    record = flow.ingest("norland_sites", norway)
    assert record["sources"][0]["quarantined"] == 2
    rows = kept_back(norway, "norland_sites", "source.unused_row", 5)
    assert [(row["row"], row["hint"] != "") for row in rows] == [(2, True)]


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("SELECT * FROM sites; SELECT 1", "exactly one SELECT"),
        ("COPY sites TO '/tmp/leak.csv'", "exactly one SELECT"),
        ("SELECT *, read_text('/etc/passwd') AS x FROM sites", "does not run"),
        ("SELECT * EXCLUDE (_row) FROM sites", "must give _row"),
    ],
)
def test_a_select_that_reaches_out_is_refused(norway: Settings, select: str, said: str) -> None:
    text = f"    select: {select!r}\n    key:"
    norland.with_feed(
        norway, norland.FEED.replace("    key:", text, 1).replace("    filters:\n", "").split("      - {where")[0]
    )
    with pytest.raises(ContractError, match=said):
        flow.ingest("norland_sites", norway)


def test_an_audit_must_come_before_acceptance(norway: Settings) -> None:
    delivery = flow.land_feed("norland_sites", norway)
    run = flow.conform("norland_sites", delivery, norway)
    with pytest.raises(RejectedError, match="not judged yet"):
        flow.accept(run, norway)


def test_checking_a_file_records_nothing(norway: Settings, tmp_path: Path) -> None:
    file = tmp_path / "sites.csv"
    file.write_text(norland.ROWS, encoding="utf-8")
    checked = check("norland_sites", file, norway, tmp_path / "page.html")
    assert not checked.clean
    assert "mineral_occurrence.position.missing" in {issue.rule for issue in checked.issues}
    assert "Sites of Norland" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not norway.landing.exists()


def test_corrected_files_of_a_service_are_refused_in_plain_words(norway: Settings, tmp_path: Path) -> None:
    flow.ingest("norland_sites", norway)
    place = "path: norland/sites.csv"
    assert place in norland.FEED
    norland.with_feed(norway, norland.FEED.replace(place, "connector: http, url: https://norland.example/sites.csv"))
    with pytest.raises(RejectedError, match="norland_sites: tables .* are fetched from the partner's service"):
        flow.replay("norland_sites", norway, corrected=tmp_path)


def test_another_feed_is_one_yaml_and_one_sample(settings: Settings, tmp_path: Path) -> None:
    own = norland.installation(tmp_path / "other")
    for path in (PROJECT / "schemas" / "feeds").glob("*.yml"):
        shutil.copyfile(path, own.schemas / "feeds" / path.name)
    shutil.copytree(settings.drop, own.drop, dirs_exist_ok=True)
    flow.ingest("ga_critical_minerals", own)
    flow.ingest("norland_sites", own)
    told = flow.release(own)
    assert {row["feed"] for row in published(told)} == {"ga_critical_minerals", "norland_sites"}


def test_the_line_keeps_its_catalogue_in_postgresql_as_well(norway: Settings, postgresql_url: str) -> None:
    settings = replace(norway, catalogue_url=postgresql_url)
    assert flow.ingest("norland_sites", settings)["state"] == "fresh"
    assert flow.release(settings)["new"]
    norland.with_feed(settings, MAPPED)
    assert flow.replay("norland_sites", settings).accepted == 1
    assert flow.ingest("norland_sites", settings)["state"] == "fresh"
    told = flow.release(settings)
    assert {row["name"] for row in published(told)} == {"Store Berg", "Aas", "Lille Berg"}
    assert len(kept_back(settings, "norland_sites", None, 50)) == 4


def test_a_held_row_that_is_not_found_again_stops_the_delivery(tmp_path: Path) -> None:
    path = tmp_path / "sites.arrow"
    batch = pa.RecordBatch.from_pydict({"id": ["1"], "_row": [2]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    held = Held(SITES)
    held.add(pa.array(["other.csv"]), pa.array([2]), pa.array([None], pa.string()), pa.array([["a rule"]]))
    with pytest.raises(RejectedError, match="1 rows are held, 0 were found again"):
        write_quarantine(held, [RawTable("sites", "sites.csv", path)], tmp_path / "quarantine.parquet")


def test_rows_of_a_lookup_that_nothing_refers_to_are_no_loss(norway: Settings) -> None:
    (norway.drop / "norland" / "kinds.csv").write_text("type,word\nGRUVE,mine\nHULL,hole\n", encoding="utf-8")
    table = "\n  kinds: {path: norland/kinds.csv, reader: delimited, lookup: true}\nrights:"
    joined = "SELECT s.*, k._row AS _row_kinds FROM sites s LEFT JOIN kinds k USING (type)"
    select = f"    main: sites\n    select: {joined}\n    key:"
    norland.with_feed(norway, norland.FEED.replace("\nrights:", table, 1).replace("    key:", select, 1))
    kinds = flow.ingest("norland_sites", norway)["sources"][1]
    assert (kinds["rows"], kinds["used"], kinds["filtered"], kinds["quarantined"]) == (2, 1, 1, 0)
