"""The quality page of a delivery."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.contracts import Feed, Schemas
from pipelines.findings import Finding, issue_table
from pipelines.quality import write_quality

HOSTILE = "<script>alert(1)</script>\u202egpj.\x1b[31m&\"'"
NAME = "mineral_occurrence"


@pytest.fixture
def feed(schemas: Schemas) -> Feed:
    return schemas.feeds["usgs_mrds_sites"]


def write_run(folder: Path, file: str = "sites.csv", found: str = "Unobtanium", **ledger: int) -> None:
    """Write what a run of 1,000 rows leaves behind: one error on ten rows, one warning on one."""
    counts = {"shaped": 1000, "accepted": 989, "quarantined": 10, "duplicates": 1, "filtered": 5, **ledger}
    rule = {"rule": f"{NAME}.commodities.unknown_term", "severity": "error", "column": "commodities"}
    share = {"record_id": 0.0, "deposit_type": 0.00001, "status": 0.66, "confidential_until": 1.0}
    figures = {
        "rows": 989,
        "null_share": share,
        "unknown_share": {"commodities": 0.01},
        "extent": [-120.0, 30, -90, 45.5],
    }
    run: dict[str, Any] = {
        "feed": "usgs_mrds_sites",
        "delivery": "d" * 64,
        "fingerprint": "f" * 64,
        "isolation": "no-network-namespace",
        "tables": {},
        "sources": [{"file": file, "table": "sites", "rows": 1006, "used": 1000, "filtered": 5, "quarantined": 1}],
        "datasets": {NAME: {**counts, "rules": [{**rule, "evaluated": 500, "failed": 10}], "figures": figures}},
    }
    (folder / NAME).mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    number = pa.array(range(2, 1002))
    unknown = Finding(rule["rule"], "error", "commodities", pa.array([row < 10 for row in range(1000)]),
                      pa.array([found] * 1000), "add the term to commodity.csv")  # fmt: skip
    odd = Finding("odd.name", "warning", "name", pa.array([row == 500 for row in range(1000)]))
    issues = issue_table(
        [odd, unknown],
        feed="usgs_mrds_sites",
        delivery="d" * 64,
        dataset=NAME,
        files=file,
        rows=number,
        record_ids=None,
    )
    pq.write_table(pa.Table.from_batches([issues]), folder / NAME / "issues.parquet")


def write_audit(folder: Path, success: bool) -> None:
    one = {
        "rule": "r",
        "column": "c",
        "expectation": "ExpectColumnValuesToBeUnique",
        "success": success,
        "unexpected_count": None,
        "evaluated": None,
        "observed": None,
        "exception": None if success else "boom",
    }
    audit = {
        "success": success,
        "mode": "whole",
        "expectations": [one],
        "figures": {},
        "messages": [] if success else ["r: boom"],
    }
    (folder / NAME / "audit.json").write_text(json.dumps(audit), encoding="utf-8")


def words(page: str) -> str:
    """Give the page as a reader sees it, in one line."""
    text = re.sub(r"<style>.*?</style>|<wbr>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_the_page_tells_where_each_rule_was_broken_what_was_found_and_how_to_mend_it(
    tmp_path: Path, feed: Feed, schemas: Schemas
) -> None:
    write_run(tmp_path)
    page = words(write_quality(tmp_path, feed, schemas).read_text(encoding="utf-8"))
    assert (
        "error mineral_occurrence.commodities.unknown_term column commodities 10 2.0 % sites.csv :2 Unobtanium" in page
    )
    assert "sites.csv :6 Unobtanium and 5 more add the term to commodity.csv" in page
    assert page.index("commodities.unknown_term") < page.index("odd.name"), "errors stand before warnings"


def test_the_page_shows_that_the_ledgers_add_up_or_do_not(tmp_path: Path, feed: Feed, schemas: Schemas) -> None:
    write_run(tmp_path / "sound")
    page = words(write_quality(tmp_path / "sound", feed, schemas).read_text(encoding="utf-8"))
    assert "sites.csv sites 1,006 = 1,000 + 5 + 1 yes" in page
    assert "1,000 = 989 + 10 + 1 yes" in page
    write_run(tmp_path / "lost", accepted=980)
    assert "1,000 = 980 + 10 + 1 no" in words(
        write_quality(tmp_path / "lost", feed, schemas).read_text(encoding="utf-8")
    )


def test_a_partners_text_can_neither_run_nor_hide_nor_call_out(tmp_path: Path, feed: Feed, schemas: Schemas) -> None:
    write_run(tmp_path, file=f"{HOSTILE}.csv", found=HOSTILE)
    page = write_quality(tmp_path, feed, schemas).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202egpj.\\u001b[31m&amp;&#34;&#39;" in page
    assert not {"\u202e", "\x1b"} & set(page)
    assert re.findall(r'src=|url\(|@import|href="(?!#)', page) == []
    assert "default-src 'none'" in page


def test_a_value_of_any_length_takes_one_line_of_the_page(tmp_path: Path, feed: Feed, schemas: Schemas) -> None:
    write_run(tmp_path, found="x" * 100_000)
    assert "x" * 161 not in write_quality(tmp_path, feed, schemas).read_text(encoding="utf-8")


def test_small_shares_are_not_shown_as_nothing(tmp_path: Path, feed: Feed, schemas: Schemas) -> None:
    write_run(tmp_path)
    page = words(write_quality(tmp_path, feed, schemas).read_text(encoding="utf-8"))
    assert re.search(r"deposit_type [^%]+< 0\.1 %|deposit_type [^%]+&lt; 0\.1 %", page)
    assert "Filled on every row: record_id." in page
    assert "Empty on every row: confidential_until." in page


@pytest.mark.parametrize(
    ("success", "told"),
    [
        (None, f"Not judged by Great Expectations yet: {NAME}."),
        (True, "Passed. Every accepted row was judged. 1 rules, 0 failed."),
        (False, f"Great Expectations refused {NAME}: nothing of this delivery is published."),
    ],
)
def test_the_page_tells_the_verdict_first(
    tmp_path: Path, feed: Feed, schemas: Schemas, success: bool | None, told: str
) -> None:
    write_run(tmp_path)
    if success is not None:
        write_audit(tmp_path, success)
    page = words(write_quality(tmp_path, feed, schemas).read_text(encoding="utf-8"))
    assert told in page
    assert ("r: boom" in page and "could not be judged" in page) == (success is False)


def test_the_page_names_the_licence_and_how_to_see_what_was_kept_back(
    tmp_path: Path, feed: Feed, schemas: Schemas
) -> None:
    write_run(tmp_path)
    page = words(write_quality(tmp_path, feed, schemas).read_text(encoding="utf-8"))
    assert f"Licence {feed.rights.licence}" in page
    assert "minerals quarantine show usgs_mrds_sites" in page
    assert all(note.text.replace("'", "&#39;")[:20] in page for note in feed.notes)


def test_every_feed_of_the_repository_has_a_page(tmp_path: Path, schemas: Schemas) -> None:
    for name, each in schemas.feeds.items():
        folder = tmp_path / name
        write_run(folder)
        assert each.title in write_quality(folder, each, schemas).read_text(encoding="utf-8").replace("&#39;", "'")
