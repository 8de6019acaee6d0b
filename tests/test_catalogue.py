"""The catalogue tells what happened, on both engines, and its ledgers balance."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from pipelines.catalogue import (
    Catalogue,
    DatasetLedger,
    DeliveryFile,
    Example,
    HeldRow,
    Issue,
    QuarantineCount,
    Release,
    ReleaseLedger,
    SourceLedger,
    open_catalogue,
)
from pipelines.errors import RejectedError

pytest_plugins = ["tests.postgres"]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FEED = "gsi_deposits"
FILES = [DeliveryFile("b.csv", "grades", "f" * 64, 20), DeliveryFile("a.csv", "sites", "e" * 64, 10)]

RELEASE = Release(1, "c" * 64, "log/00000000000000000001.json", NOON, 12, "1.0.0", {"datasets": {"assay": 12}})


@pytest.fixture
def catalogue(catalogue_url: str) -> Catalogue:
    return open_catalogue(catalogue_url)


def deliver(
    catalogue: Catalogue,
    delivery: str,
    hours: int = 0,
    mode: str = "snapshot",
    feed: str = FEED,
    corrects: str | None = None,
) -> str:
    received = NOON + timedelta(hours=hours)
    given: dict[str, Any] = {
        "partner": "gsi",
        "folder": f"landing/gsi/{feed}/{delivery}",
        "files": FILES,
        "corrects": corrects,
    }
    return catalogue.add_delivery(feed, delivery, received_at=received, mode=mode, **given).id


def start(
    catalogue: Catalogue, delivery: str, kind: str = "ingest", fingerprint: str = "f1", parent: int | None = None
) -> int:
    told: dict[str, Any] = {"kind": kind, "fingerprint": fingerprint, "parent": parent}
    return catalogue.start_run(FEED, delivery, folder=f"work/{delivery}", isolation="no network", **told)


def accept(
    catalogue: Catalogue, delivery: str, kind: str = "ingest", fingerprint: str = "f1", parent: int | None = None
) -> int:
    return catalogue.finish_run(start(catalogue, delivery, kind, fingerprint, parent), "accepted").id


def current(catalogue: Catalogue) -> list[int]:
    return [run.id for run in catalogue.latest_accepted(FEED)]


def held(*rows: int) -> list[HeldRow]:
    return [HeldRow("a.csv", row, ("site.name.required",), "mineral_occurrence", f"gsi:x:{row}") for row in rows]


def open_rows(catalogue: Catalogue) -> list[int | None]:
    return [row.row for row in catalogue.quarantine(FEED)]


def test_a_delivery_told_twice_is_one_delivery(catalogue: Catalogue) -> None:
    kolkata = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    told: dict[str, Any] = {"partner": "gsi", "mode": "snapshot", "folder": "landing/a", "files": FILES}
    first = catalogue.add_delivery(FEED, "a", received_at=kolkata, **told)
    again = catalogue.add_delivery(FEED, "a", received_at=NOON + timedelta(days=1), **told)
    assert first == again == catalogue.find_delivery("a") == catalogue.deliveries(FEED)[0]
    assert (first.file_count, first.bytes, first.received_at, first.received_at.tzinfo) == (2, 30, NOON, UTC)
    assert first.files == tuple(sorted(FILES, key=lambda file: file.name))


def test_deliveries_are_listed_newest_first_and_by_feed(catalogue: Catalogue) -> None:
    deliver(catalogue, "a", hours=2)
    deliver(catalogue, "b", hours=1)
    deliver(catalogue, "a", hours=9, feed="bgs_deposits")
    assert [one.id for one in catalogue.deliveries(FEED)] == ["b", "a"]
    assert [one.feed for one in catalogue.deliveries(limit=1)] == ["bgs_deposits"]
    with pytest.raises(RejectedError, match="bgs_deposits.*gsi_deposits"):
        catalogue.find_delivery("a")
    assert catalogue.find_delivery("a", "bgs_deposits") == catalogue.deliveries("bgs_deposits")[0]
    assert catalogue.find_delivery("c") is None


def test_a_delivery_that_makes_no_sense_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(RejectedError, match="ck_delivery_mode|mode"):
        deliver(catalogue, "a", mode="whenever")
    with pytest.raises(RejectedError, match="refused by the database"):
        deliver(catalogue, "a", mode="correction", corrects="never came")
    with pytest.raises(RejectedError, match="without a zone"):
        catalogue.add_delivery(
            FEED, "a", partner="gsi", received_at=NOON.replace(tzinfo=None), mode="delta", folder="x", files=[]
        )
    assert catalogue.deliveries() == []


def test_a_run_goes_forward_and_never_back(catalogue: Catalogue) -> None:
    deliver(catalogue, "a")
    run = start(catalogue, "a")
    assert catalogue.finish_run(run, "conformed").finished_at is None
    done = catalogue.finish_run(run, "accepted", audit={"success": True, "checked": 12})
    assert done == catalogue.finish_run(run, "accepted") == catalogue.run(run) == catalogue.runs(FEED, limit=1)[0]
    assert (done.state, done.audit, done.isolation) == ("accepted", {"success": True, "checked": 12}, "no network")
    for state in ("failed", "conformed", "running"):
        with pytest.raises(RejectedError, match=f"run {run} is accepted and cannot become {state}"):
            catalogue.finish_run(run, state)


def test_an_error_is_kept_on_one_line(catalogue: Catalogue) -> None:
    deliver(catalogue, "a")
    run = catalogue.finish_run(start(catalogue, "a"), "failed", error="no column\n  'NAME' \x00 in\tsites.csv")
    assert run.error == "no column 'NAME' \ufffd in sites.csv"


def test_a_run_of_an_unknown_delivery_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(RejectedError, match="gsi_deposits: no delivery zz"):
        start(catalogue, "zz")
    with pytest.raises(RejectedError, match="run 77: not in the catalogue"):
        catalogue.finish_run(77, "accepted")


def test_a_worker_whose_run_was_given_up_can_record_nothing(catalogue: Catalogue) -> None:
    deliver(catalogue, "a")
    stale = start(catalogue, "a")
    retry = start(catalogue, "a")
    for late in (
        lambda: catalogue.record_ledger(stale, [], []),
        lambda: catalogue.record_issues(stale, []),
        lambda: catalogue.record_quarantine(stale, []),
        lambda: catalogue.finish_run(stale, "accepted"),
    ):
        with pytest.raises(RejectedError, match=f"given up: run {retry} took its place"):
            late()
    assert catalogue.run(retry).state == "running"


def test_a_run_is_found_by_delivery_fingerprint_and_state(catalogue: Catalogue) -> None:
    deliver(catalogue, "a")
    first, second = accept(catalogue, "a"), accept(catalogue, "a", fingerprint="f2")
    accept(catalogue, "a", kind="replay", parent=second)
    assert catalogue.find_run(FEED, "a", "f1") == catalogue.run(first)
    assert catalogue.find_run(FEED, "a") == catalogue.run(second)
    assert catalogue.find_run(FEED, "a", "f1", state="failed") is None
    assert catalogue.find_run(FEED, "a", "f3") is None


def test_a_new_snapshot_takes_the_place_of_everything_before(catalogue: Catalogue) -> None:
    assert current(catalogue) == []
    for hours, (delivery, mode) in enumerate([("a", "snapshot"), ("b", "delta"), ("c", "snapshot")]):
        deliver(catalogue, delivery, hours=hours, mode=mode)
    first, delta = accept(catalogue, "a"), accept(catalogue, "b")
    assert current(catalogue) == [first, delta]
    catalogue.finish_run(start(catalogue, "c"), "failed", error="audit")
    assert current(catalogue) == [first, delta]
    assert current(catalogue)[-1:] == [delta]
    snapshot = accept(catalogue, "c")
    assert current(catalogue) == [snapshot]


def test_deltas_and_corrections_follow_in_the_order_they_arrived(catalogue: Catalogue) -> None:
    deliver(catalogue, "a")
    deliver(catalogue, "b", hours=-5, mode="delta")
    deliver(catalogue, "c", mode="correction", corrects="a")
    correction, delta, base = accept(catalogue, "c"), accept(catalogue, "b"), accept(catalogue, "a")
    assert current(catalogue) == [base, delta, correction]


def test_additions_without_any_snapshot_all_stand(catalogue: Catalogue) -> None:
    for delivery in "abc":
        deliver(catalogue, delivery, mode="append")
    runs = [accept(catalogue, delivery) for delivery in "abc"]
    assert current(catalogue) == runs


def test_a_reprocessed_delivery_takes_the_place_of_its_run_and_of_its_replays(catalogue: Catalogue) -> None:
    deliver(catalogue, "a")
    base = accept(catalogue, "a")
    replay = accept(catalogue, "a", kind="replay", parent=base)
    again = accept(catalogue, "a", kind="replay", parent=replay)
    assert current(catalogue) == [base, replay, again]
    new = accept(catalogue, "a", kind="reprocess", fingerprint="f2")
    late = accept(catalogue, "a", kind="replay", parent=base, fingerprint="f2")
    assert current(catalogue) == [new]
    follows = accept(catalogue, "a", kind="replay", parent=new, fingerprint="f2")
    assert late not in current(catalogue)
    assert current(catalogue) == [new, follows]


def test_a_partner_that_goes_back_to_an_older_snapshot_is_believed(catalogue: Catalogue) -> None:
    deliver(catalogue, "a")
    first = accept(catalogue, "a")
    deliver(catalogue, "b", hours=1)
    second = accept(catalogue, "b")
    deliver(catalogue, "a", hours=0)
    assert current(catalogue) == [second]
    deliver(catalogue, "a", hours=2)
    assert current(catalogue) == [first]
    assert [one.id for one in catalogue.deliveries(FEED)] == ["a", "b"]


def test_a_ledger_is_kept_and_told_again_replaces_it(catalogue: Catalogue) -> None:
    deliver(catalogue, "a")
    run = start(catalogue, "a")
    sources = [SourceLedger("b.csv", 3, 3, 0, 0), SourceLedger("a.xlsx", 10, 7, 2, 1, table_name="sites")]
    datasets = [DatasetLedger("mineral_occurrence", 2**33, 2**33 - 3, 1, 2)]
    catalogue.record_ledger(run, [SourceLedger("gone.csv", 1, 1, 0, 0)], [])
    for _ in range(2):
        catalogue.record_ledger(run, sources, datasets)
    assert catalogue.ledger(run).sources == (sources[1], sources[0])
    assert catalogue.ledger(run).datasets == tuple(datasets)
    assert catalogue.ledgers(FEED) == [catalogue.ledger(run)]


@pytest.mark.parametrize(
    ("sources", "datasets", "told"),
    [
        ([SourceLedger("a.csv", 10, 7, 1, 1)], [], r"a\.csv: 10 rows are not 7 used \+ 1 filtered \+ 1 quarantined"),
        ([SourceLedger("a.csv", 1, 2, 0, -1)], [], r"a\.csv: 1 rows are not 2 used \+ 0 filtered \+ -1 quarantined"),
        (
            [],
            [DatasetLedger("assay", 5, 5, 1, 0)],
            r"assay: 5 shaped are not 5 accepted \+ 1 quarantined \+ 0 duplicates",
        ),
    ],
)
def test_a_ledger_that_does_not_balance_is_refused_with_run_file_and_figures(
    catalogue: Catalogue, sources: Sequence[SourceLedger], datasets: Sequence[DatasetLedger], told: str
) -> None:
    deliver(catalogue, "a")
    run = start(catalogue, "a")
    kept = [SourceLedger("kept.csv", 1, 1, 0, 0)]
    catalogue.record_ledger(run, kept, [])
    with pytest.raises(RejectedError, match=f"run {run}: the ledger does not balance: {told}"):
        catalogue.record_ledger(run, sources, datasets)
    assert catalogue.ledger(run).sources == tuple(kept)


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("ledger_source", "run, file, table_name, rows, used, filtered, quarantined) VALUES (1, 'a', '', 3, 1, 1, 0)"),
        ("ledger_source", "run, file, table_name, rows, used, filtered, quarantined) VALUES (1, 'a', '', 0, 1, -1, 0)"),
        ("ledger_dataset", "run, dataset, shaped, accepted, quarantined, duplicates) VALUES (1, 'a', 3, 1, 1, 0)"),
        ("ledger_dataset", "run, dataset, shaped, accepted, quarantined, duplicates) VALUES (1, 'a', -1, 0, 0, -1)"),
        (
            "ledger_release",
            "release, feed, dataset, accepted, published, superseded, withheld) VALUES (1,'f','d',3,1,1,0)",
        ),
        (
            "ledger_release",
            "release, feed, dataset, accepted, published, superseded, withheld) VALUES (1,'f','d',0,1,0,-1)",
        ),
        ("issue", "run, file, rule, severity, count, examples) VALUES (1, 'a', 'r', 'fatal', 1, '[]')"),
        ("issue", "run, file, rule, severity, count, examples) VALUES (1, 'a', 'r', 'error', 0, '[]')"),
        ("report", "feed, state, at) VALUES ('f', 'asleep', '2026-01-01')"),
        ("report", "feed, state, at, run) VALUES ('f', 'fresh', '2026-01-01', 99)"),
        (
            "quarantine_row",
            "run, feed, delivery, file, rules, state) VALUES (1, 'gsi_deposits', 'a', 'f', '[]', 'lost')",
        ),
        (
            "quarantine_row",
            "run, feed, delivery, file, rules, state) VALUES (1, 'gsi_deposits', 'a', 'f', '[]', 'released')",
        ),
        (
            "quarantine_row",
            "run, feed, delivery, file, rules, state) VALUES (1, 'gsi_deposits', 'zz', 'f', '[]', 'open')",
        ),
    ],
)
def test_the_database_itself_refuses_what_must_not_be(catalogue: Catalogue, table: str, row: str) -> None:
    deliver(catalogue, "a")
    assert start(catalogue, "a") == 1
    catalogue.add_release(RELEASE)
    with pytest.raises(IntegrityError), catalogue.engine.begin() as connection:
        connection.execute(text(f"INSERT INTO {table} ({row}"))  # noqa: S608 - the test's own words


def test_issues_that_say_the_same_are_added_up_and_keep_five_examples(catalogue: Catalogue) -> None:
    deliver(catalogue, "a")
    run = start(catalogue, "a")
    examples = tuple(Example(row, f"gsi:x:{row}", "\ud800\x00é") for row in range(4))
    issue = Issue("a.csv", "site.name.required", "warning", 4, "site", "name", examples, "give the name")
    catalogue.record_issues(run, [Issue("a.csv", "old", "info", 1)])
    catalogue.record_issues(
        run, [Issue("a.csv", "file.empty", "info", 9), issue, issue, Issue("b.csv", "crs", "error", 1)]
    )
    counts = catalogue.issue_counts(run)
    assert [(one.rule, one.count) for one in counts] == [("crs", 1), ("site.name.required", 8), ("file.empty", 9)]
    assert [example.row for example in counts[1].examples] == [0, 1, 2, 3, 0]
    assert replace(counts[1], examples=(), count=4) == replace(issue, examples=())


def test_many_rows_are_quarantined_and_told_again_replace_themselves(catalogue: Catalogue) -> None:
    deliver(catalogue, "a")
    run = start(catalogue, "a")
    for _ in range(2):
        assert catalogue.record_quarantine(run, iter(held(*range(2, 12_003)))) == 12_001
    assert catalogue.quarantine_counts(FEED) == [QuarantineCount(FEED, "mineral_occurrence", "open", 12_001)]
    row = catalogue.quarantine(FEED, limit=1)[0]
    assert (row.row, row.record_id, row.rules, row.delivery) == (2, "gsi:x:2", ("site.name.required",), "a")
    catalogue.finish_run(run, "accepted")
    with pytest.raises(RejectedError, match="takes no more figures"):
        catalogue.record_quarantine(run, [])


def test_quarantined_rows_come_back_one_by_one_or_by_run(catalogue: Catalogue) -> None:
    deliver(catalogue, "a")
    run = start(catalogue, "a")
    catalogue.record_quarantine(run, [*held(2, 3, 4), HeldRow("a.csv", 9, ("reader.field_count",))])
    catalogue.finish_run(run, "accepted")
    replay = accept(catalogue, "a", kind="replay", parent=run)
    assert open_rows(catalogue) == [2, 3, 4, 9]
    ids = [row.id for row in catalogue.quarantine(FEED, dataset="mineral_occurrence")]
    assert catalogue.resolve_quarantine(state="released", resolved_by=replay, rows=ids[:2]) == 2
    assert catalogue.resolve_quarantine(state="replaced", resolved_by=replay, rows=ids[:1]) == 0
    assert catalogue.resolve_quarantine(state="replaced", resolved_by=replay, runs=[run]) == 2
    assert [row.resolved_by for row in catalogue.quarantine(FEED, state="released")] == [replay, replay]
    assert {(one.dataset, one.state, one.rows) for one in catalogue.quarantine_counts()} == {
        (None, "replaced", 1),
        ("mineral_occurrence", "released", 2),
        ("mineral_occurrence", "replaced", 1),
    }


def test_rows_of_a_failed_run_do_not_wait_in_quarantine(catalogue: Catalogue) -> None:
    deliver(catalogue, "a")
    run = start(catalogue, "a")
    catalogue.record_quarantine(run, held(2))
    assert open_rows(catalogue) == [2]
    catalogue.finish_run(run, "failed")
    assert open_rows(catalogue) == []
    assert catalogue.quarantine_counts() == []


def test_accepting_a_run_closes_the_quarantine_of_what_it_replaces_only(catalogue: Catalogue) -> None:
    runs = {}
    for delivery, mode in (("a", "snapshot"), ("b", "delta")):
        deliver(catalogue, delivery, mode=mode)
        runs[delivery] = start(catalogue, delivery)
        catalogue.record_quarantine(runs[delivery], held(2 if delivery == "a" else 3))
        catalogue.finish_run(runs[delivery], "accepted")
    assert open_rows(catalogue) == [2, 3]
    reprocess = accept(catalogue, "a", kind="reprocess", fingerprint="f2")
    assert open_rows(catalogue) == [3]
    assert catalogue.quarantine(state="replaced")[0].resolved_by == reprocess
    deliver(catalogue, "c")
    accept(catalogue, "c")
    assert open_rows(catalogue) == []


def test_reports_wait_for_the_release_that_hears_them(catalogue: Catalogue) -> None:
    deliver(catalogue, "a")
    run = accept(catalogue, "a")
    fresh = catalogue.report(FEED, "fresh", delivery="a", run=run)
    failed = catalogue.report("bgs_tin", "failed", detail="host\nunreachable")
    assert catalogue.reports_since() == [fresh, failed]
    assert (failed.detail, failed.delivery) == ("host unreachable", None)
    catalogue.add_release(RELEASE)
    assert catalogue.mark_reported(1, [fresh.id]) == 1
    assert catalogue.reports_since() == [failed]
    later = catalogue.report(FEED, "unchanged", delivery="a")
    catalogue.add_release(replace(RELEASE, number=2))
    assert catalogue.mark_reported(2) == 2
    assert [report.id for report in catalogue.reports_since(1)] == [failed.id, later.id]
    assert catalogue.reports_since() == []
    assert catalogue.latest_report(FEED) == replace(later, release=2)
    assert catalogue.latest_report("nobody") is None


def test_a_release_is_recorded_once_with_its_ledger(catalogue: Catalogue) -> None:
    ledger = [ReleaseLedger(FEED, "assay", 12, 10, 1, 1), ReleaseLedger("bgs_tin", "assay", 0, 0, 0, 0)]
    for _ in range(2):
        catalogue.add_release(RELEASE, ledger)
    assert catalogue.release(1) == RELEASE
    assert catalogue.release(2) is None
    assert catalogue.release_ledger(1) == [ledger[1], ledger[0]]
    with pytest.raises(RejectedError, match="release 1: recorded with content c+, not d+"):
        catalogue.add_release(replace(RELEASE, content_hash="d" * 64))
    with pytest.raises(RejectedError, match=r"release 2: .*gsi_deposits assay: 3 accepted are not 1 published"):
        catalogue.add_release(replace(RELEASE, number=2), [ReleaseLedger(FEED, "assay", 3, 1, 0, 0)])
    catalogue.add_release(replace(RELEASE, number=2))
    assert [release.number for release in catalogue.releases()] == [2, 1]
