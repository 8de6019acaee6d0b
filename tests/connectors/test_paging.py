"""Paged services: everything that is declared comes, once, and whatever goes wrong on the way is found."""

import json
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

from pipelines.contracts import Feed
from pipelines.deliveries import Delivery
from pipelines.errors import ContractError, RejectedError, SourceError
from pipelines.land import land
from pipelines.read import read
from tests.connectors.register import Register, serving
from tests.partners import feed_of, rows_of, settings_in

GML = {"connector": "wfs", "reader": "json", "path": "/wfs", "type": "nor:Site"}
KINDS: dict[str, dict[str, Any]] = {
    "wfs 2.0": GML,
    "wfs 1.1": {**GML, "version": "1.1.0"},
    "wfs 1.0": {**GML, "version": "1.0.0"},
    "arcgis": {"connector": "arcgis", "reader": "json", "path": "/arcgis/sites/FeatureServer/0"},
    "arcgis by ids": {"connector": "arcgis", "reader": "json", "path": "/arcgis/old/FeatureServer/0"},
    "ckan": {
        "connector": "ckan",
        "reader": "json",
        "path": "/ckan",
        "package": "sites",
        "resource": "rows",
        "datastore": True,
    },
    "ogcapi": {"connector": "ogcapi", "reader": "json", "path": "/ogc/collections/sites/items"},
}
EVERY = pytest.mark.parametrize("kind", KINDS)


def feed_for(kind: str, register: Register, **options: Any) -> Feed:  # noqa: ANN401
    """Give a feed of one table, served by a register in one of the ways."""
    given = {**KINDS[kind], "allow_private": True, "page_size": 10, **options}
    words = {name: given.pop(name) for name in ("connector", "reader", "credentials") if name in given}
    return feed_of(sites={**words, "url": register.url + given.pop("path"), "options": given})


def landed(kind: str, register: Register, folder: Path, **options: Any) -> Delivery:  # noqa: ANN401
    return land(feed_for(kind, register, **options), settings_in(folder))


def folder_in(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def index_of(delivery: Delivery) -> dict[str, Any]:
    main = delivery.of("sites")
    assert main is not None
    return json.loads(delivery.path(main).read_text())


def sizes(delivery: Delivery) -> list[int]:
    return [page["rows"] for page in index_of(delivery)["pages"]]


@EVERY
def test_every_page_is_landed_as_received_with_an_index(tmp_path: Path, kind: str) -> None:
    with serving(Register()) as register:
        delivery = landed(kind, register, tmp_path)
    index, main = index_of(delivery), delivery.of("sites")
    assert (index["declared"], index["fetched"], index["distinct"], sizes(delivery)) == (25, 25, 25, [10, 10, 5])
    assert [page["first_row"] for page in index["pages"]] == [1, 11, 21]
    parts = {part.sha256: part.name for part in delivery.parts(main)}
    assert parts == {page["sha256"]: page["name"] for page in index["pages"]}
    first = (delivery.folder / index["pages"][0]["sha256"]).read_bytes()
    assert first == register.answer(register.pages[0])[2] or kind == "ogcapi"


FAULTS = {
    "short": "short page|25 declared, 2[0-9] fetched",
    "same page": "page 2 is page 1 again",
    "twice": "25 declared, 25 fetched, 2[0-9] distinct",
    "page for people": "HTML page came instead of data",
    "cut": "only a part of it",
    "other kind": "no XML came|a JSON object is wanted",
    "error": "exception came|error came|refuses: Search failed|no list of features",
    "fewer": "short page|25 declared, 24 fetched, 24 distinct",
    "total changes": "declared 25 features and then 26",
}
SILENT = {("total changes", kind) for kind in ("arcgis", "arcgis by ids", "wfs 1.1", "wfs 1.0")}
"""These pages do not say how many features there are; their number is asked once, beforehand."""


CASES = [(fault, kind) for fault in FAULTS for kind in KINDS if (fault, kind) not in SILENT]


@pytest.mark.parametrize(("fault", "kind"), CASES)
def test_a_service_that_misbehaves_delivers_nothing(tmp_path: Path, fault: str, kind: str) -> None:
    with serving(Register(fault=fault)) as register, pytest.raises(SourceError, match=FAULTS[fault]):
        landed(kind, register, tmp_path)
    assert not list((tmp_path / "home" / "landing").rglob("receipt.json"))


@EVERY
def test_pages_become_smaller_until_the_service_manages(tmp_path: Path, kind: str) -> None:
    fault = "larger pages hang" if kind in ("arcgis", "ogcapi") else "larger pages fail"
    with serving(Register(sites=12, fault=fault)) as register:
        delivery = landed(kind, register, tmp_path, page_size=8, page_floor=2, page_s=0.5)
    assert sizes(delivery) == [4, 4, 4]


def test_pages_never_become_smaller_than_the_floor(tmp_path: Path) -> None:
    with serving(Register(fault="larger pages fail")) as register, pytest.raises(SourceError, match="answered 500"):
        landed("arcgis", register, tmp_path, page_size=20, page_floor=7)
    assert [page.split("resultRecordCount=")[1] for page in register.pages] == ["20", "10", "7"]


def test_a_page_beyond_the_cap_is_asked_for_in_smaller_pages(tmp_path: Path) -> None:
    with serving(Register(sites=12)) as register:
        delivery = landed("ogcapi", register, tmp_path, page_size=12, page_floor=1, max_bytes=1500)
    assert sizes(delivery) == [6, 6]


def test_the_service_s_own_cap_on_pages_is_followed(tmp_path: Path) -> None:
    for kind in ("wfs 2.0", "arcgis", "ckan", "ogcapi"):
        with serving(Register(cap=9)) as register:
            assert sizes(landed(kind, register, folder_in(tmp_path, kind), page_size=50)) == [9, 9, 7], kind


@EVERY
def test_a_fetch_that_broke_off_goes_on_where_it_was(tmp_path: Path, kind: str) -> None:
    with serving(Register(sites=45)) as register:
        feed, settings = feed_for(kind, register), settings_in(tmp_path)
        register.breaks_at = 30
        with pytest.raises(SourceError, match="429"):
            land(feed, settings)
        register.breaks_at, before = None, len(register.pages)
        delivery = land(feed, settings)
    assert len(register.pages) - before == 3
    assert sizes(delivery) == [10, 10, 10, 10, 5]
    assert not list((settings.fetching / feed.id).iterdir())


@pytest.mark.parametrize("change", ["total", "first page"])
def test_a_fetch_that_broke_off_starts_over_when_the_service_changed(tmp_path: Path, change: str) -> None:
    with serving(Register(sites=45)) as register:
        feed, settings = feed_for("ckan", register), settings_in(tmp_path)
        register.breaks_at = 30
        with pytest.raises(SourceError):
            land(feed, settings)
        register.breaks_at, honest = None, register.numbers
        if change == "total":
            register.sites = 44
        else:
            register.numbers = lambda start, count: [number + 100 for number in honest(start, count)]
        before = len(register.pages)
        land(feed, settings)
    assert len(register.pages) - before == 5


def test_another_time_stamp_is_no_other_delivery(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with serving(Register()) as register:
        feed = feed_for("ogcapi", register)
        first = land(feed, settings)
        second = land(feed, settings, previous=first)
        smaller = land(feed_for("ogcapi", register, page_size=7), settings, previous=first)
        register.sites = 24
        assert land(feed, settings, previous=first).id != first.id
    assert (second.id, second.unchanged) == (smaller.id, smaller.unchanged) == (first.id, True)


@pytest.mark.parametrize("kind", ["wfs 2.0", "ckan", "ogcapi"])
def test_without_a_declared_number_nothing_is_proved(tmp_path: Path, kind: str) -> None:
    with serving(Register(fault="no count")) as register:
        with pytest.raises(RejectedError, match="declared nothing, 25 fetched, 25 distinct.*unproved"):
            landed(kind, register, tmp_path)
        delivery = landed(kind, register, tmp_path, unproved=True)
    assert (index_of(delivery)["declared"], index_of(delivery)["fetched"]) == (None, 25)


def test_a_question_that_the_service_refuses_is_not_asked_again(tmp_path: Path) -> None:
    with serving(Register()) as register:
        with pytest.raises(RejectedError, match="InvalidParameterValue|no such type"):
            landed("wfs 2.0", register, tmp_path, type="nor:Mine")
        with pytest.raises(RejectedError, match="400 Invalid query near 'x'"):
            landed("arcgis", register, tmp_path, where="x")


def test_a_wfs_may_answer_in_json(tmp_path: Path) -> None:
    with serving(Register()) as register:
        delivery = landed("wfs 2.0", register, tmp_path, output="application/json")
    assert sizes(delivery) == [10, 10, 5]
    assert {part.name for part in delivery.parts(delivery.files[0])} == {f"nor_Site-0000{n}.json" for n in (1, 2, 3)}


def test_two_fetches_of_the_same_pages_do_not_meet(tmp_path: Path) -> None:
    with serving(Register(sites=5)) as register:
        feed, settings, second = feed_for("ckan", register), settings_in(tmp_path), []
        honest = register.numbers

        def meanwhile(start: int, count: int) -> list[int]:
            register.numbers = honest
            with pytest.raises(SourceError, match="another run is fetching it"):
                land(feed, settings)
            second.append(True)
            return honest(start, count)

        register.numbers = meanwhile
        land(feed, settings)
    assert second == [True]


def test_tables_of_one_service_keep_their_pages_apart(tmp_path: Path) -> None:
    with serving(Register(sites=5)) as register:
        tables = feed_for("ckan", register).tables
        some = tables["sites"].model_copy(update={"options": {**tables["sites"].options, "query": {"q": "copper"}}})
        feed = feed_for("ckan", register).model_copy(update={"tables": {**tables, "some": some}})
        delivery = land(feed, settings_in(tmp_path))
        assert land(feed, settings_in(tmp_path), previous=delivery).unchanged
    assert len({file.name for file in delivery.files}) == 4
    for name in ("sites", "some"):
        main = delivery.of(name)
        assert main is not None
        assert len(delivery.parts(main)) == 1


def test_a_link_to_another_host_is_not_followed(tmp_path: Path) -> None:
    with serving(Register(fault="link away")) as register:
        with pytest.raises(RejectedError, match="not on the feed's hosts"):
            landed("ogcapi", register, tmp_path)
        assert sizes(landed("ogcapi", register, tmp_path, hosts=["localhost"])) == [10, 10, 5]


def test_a_document_type_in_a_page_is_refused(tmp_path: Path) -> None:
    with serving(Register()) as register:
        register.wfs = lambda _path, _words: (200, "text/xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
        with pytest.raises(RejectedError, match="document type"):
            landed("wfs 2.0", register, tmp_path)


def test_a_resource_of_a_catalogue_is_found_by_name_or_format(tmp_path: Path) -> None:
    with serving(Register()) as register:
        csv = {"datastore": False, "reader": "delimited"}
        for number, words in enumerate(({"resource": "csv"}, {"resource": None, "format": "csv"})):
            options = {name: value for name, value in {**csv, **words}.items() if value is not None}
            feed = feed_for("ckan", register, **options)
            if "format" in options:
                del feed.tables["sites"].options["resource"]
            delivery = land(feed, settings_in(folder_in(tmp_path, str(number))))
            assert [file.name for file in delivery.files] == ["sites.csv"]
        with pytest.raises(RejectedError, match="0 resources fit.*csv \\(CSV\\)"):
            landed("ckan", register, tmp_path, resource="none", **csv)
        with pytest.raises(RejectedError, match="elsewhere.example.*name its host in hosts"):
            landed("ckan", register, tmp_path, resource="page", **csv)
        with pytest.raises(SourceError, match="refuses: Not found"):
            landed("ckan", register, tmp_path, package="none")


def test_credentials_are_shown_to_the_service_and_to_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(Register()) as register:
        with pytest.raises(ContractError, match="set MINERALS_SECRET_NORLAND_TOKEN or MINERALS_SECRET_NORLAND_USER"):
            landed("arcgis", register, tmp_path, credentials="NORLAND")
        monkeypatch.setenv("MINERALS_SECRET_NORLAND_TOKEN", "c4nary")
        delivery = landed("arcgis", register, tmp_path, credentials="NORLAND")
        assert {headers.get("X-Esri-Authorization") for headers in register.headers} == {"Bearer c4nary"}
        register.fault = "error"
        with pytest.raises(SourceError) as caught:
            landed("arcgis", register, tmp_path, credentials="NORLAND", page_size=11)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"c4nary" not in written
    assert "c4nary" not in "".join(traceback.format_exception(caught.value))
    assert "c4nary" not in repr(delivery) + caplog.text


def test_pages_are_read_as_one_table_with_running_rows(tmp_path: Path) -> None:
    with serving(Register()) as register:
        register.ckan = with_a_late_column(register)
        delivery = landed("ckan", register, tmp_path, records="result.records")
    tables = feed_for("ckan", register, records="result.records").tables
    report = read(delivery, tables, tmp_path / "run").tables["sites"]
    rows = rows_of(report)
    assert (report.file, report.rows) == ("sites_rows.pages.json", 25)
    assert rows["_row"].to_pylist() == list(range(1, 26))
    assert rows["name"].to_pylist()[20] == "Site 21"
    assert rows["late"].to_pylist() == [None] * 20 + ["yes"] * 5


def with_a_late_column(register: Register) -> Any:  # noqa: ANN401
    """Give a catalogue whose last page has a column more."""
    honest = register.ckan

    def answer(path: str, words: dict[str, str]) -> tuple[int, str, bytes]:
        status, kind, body = honest(path, words)
        return status, kind, body.replace(b'"x":', b'"late": "yes", "x":') if words.get("offset") == "20" else body

    return answer


def test_a_page_that_is_not_read_in_full_refuses_the_table(tmp_path: Path) -> None:
    with serving(Register()) as register:
        delivery = landed("ckan", register, tmp_path)
    page = index_of(delivery)["pages"][1]
    path = delivery.folder / page["sha256"]
    path.chmod(0o644)
    document = json.loads(path.read_text())
    document["result"]["records"].pop()
    path.write_text(json.dumps(document))
    tables = feed_for("ckan", register, records="result.records").tables
    report = read(delivery, tables, tmp_path / "run").tables["sites"]
    assert report.path is None
    assert "10 fetched, 9 read, 0 rejected" in (report.refused or "")
