"""Landing: bytes kept untouched, named by their content, and never by half."""

import json
import os
from pathlib import Path

import pytest

from pipelines.contracts.feeds import KnownFile
from pipelines.errors import ContractError, RejectedError, SourceError
from pipelines.land import land, load_delivery, unclaimed
from tests.partners import dropped, feed_of, settings_in

DEPOSITS = {"path": "norland/deposits.csv", "reader": "delimited"}


def test_bytes_are_kept_as_they_came_under_their_hash(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    dropped(settings, "norland/deposits.csv", b"\xef\xbb\xbfid\r\n1\r\n")
    delivery = land(feed_of(deposits=DEPOSITS), settings)
    (file,) = delivery.files
    assert delivery.path(file).read_bytes() == b"\xef\xbb\xbfid\r\n1\r\n"
    assert (file.name, file.table, file.size, file.source) == ("deposits.csv", "deposits", 10, "norland/deposits.csv")
    assert delivery.folder == settings.landing / "norland" / "norland_deposits" / delivery.id
    assert not delivery.unchanged


def test_the_same_content_again_is_noticed(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    path = dropped(settings, "norland/deposits.csv", "id\n1\n")
    first = land(feed_of(deposits=DEPOSITS), settings)
    os.utime(path, (0, 0))
    second = land(feed_of(deposits=DEPOSITS), settings, previous=first)
    assert (second.id, second.unchanged, second.received_at) == (first.id, True, first.received_at)
    dropped(settings, "norland/deposits.csv", "id\n2\n")
    assert land(feed_of(deposits=DEPOSITS), settings, previous=first).id != first.id


def test_a_receipt_brings_the_delivery_back(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    dropped(settings, "norland/deposits.csv", "id\n1\n")
    delivery = land(feed_of(deposits=DEPOSITS), settings)
    assert load_delivery(delivery.folder) == delivery
    assert str(tmp_path) not in (delivery.folder / "receipt.json").read_text()


def test_landed_bytes_that_changed_are_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    dropped(settings, "norland/deposits.csv", "id\n1\n")
    delivery = land(feed_of(deposits=DEPOSITS), settings)
    path = delivery.path(delivery.files[0])
    path.chmod(0o644)
    path.write_text("id\n1\n2\n")
    with pytest.raises(RejectedError, match="7 bytes, landed were 5"):
        land(feed_of(deposits=DEPOSITS), settings)


def test_a_missing_file_is_told_with_what_is_there_instead(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    dropped(settings, "norland/deposit.csv", "id\n1\n")
    with pytest.raises(SourceError, match=r"norland_deposits: .*'norland/deposits.csv'.*\['deposit.csv'\]"):
        land(feed_of(deposits=DEPOSITS), settings)
    assert list((settings.landing / "norland" / "norland_deposits").iterdir()) == []


def test_nothing_is_landed_when_one_of_the_files_is_missing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    dropped(settings, "norland/deposits.csv", "id\n1\n")
    with pytest.raises(SourceError, match="grades.csv"):
        land(feed_of(deposits=DEPOSITS, grades={"path": "norland/grades.csv", "reader": "delimited"}), settings)
    assert list((settings.landing / "norland" / "norland_deposits").iterdir()) == []


def test_parts_and_shared_files_are_landed_once(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    for name in ("pits.shp", "pits.dbf"):
        dropped(settings, f"norland/{name}", name)
    dropped(settings, "norland/holes.ags", "ags")
    table = {"path": "norland/holes.ags", "reader": "ags"}
    feed = feed_of(
        pits={"path": "norland/pits.shp", "parts": ["pits.dbf"], "reader": "shapefile"},
        collars={**table, "options": {"group": "LOCA"}},
        layers={**table, "options": {"group": "GEOL"}},
    )
    delivery = land(feed, settings)
    assert [(file.table, file.name, file.part_of) for file in delivery.files] == [
        ("pits", "pits.shp", None),
        ("pits", "pits.dbf", "pits.shp"),
        ("collars", "holes.ags", None),
        ("layers", "holes.ags", None),
    ]
    assert len(list(delivery.folder.iterdir())) == 4
    pits = delivery.of("pits")
    assert pits is not None
    assert [part.name for part in delivery.parts(pits)] == ["pits.dbf"]


def test_files_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    dropped(settings, "norland/2024/a.csv", "id\n1\n")
    dropped(settings, "norland/2025/a.csv", "id\n2\n")
    tables = {f"y{year}": {"path": f"norland/{year}/a.csv", "reader": "delimited"} for year in (2024, 2025)}
    delivery = land(feed_of(**tables), settings)
    assert [file.name for file in delivery.files] == ["norland/2024/a.csv", "norland/2025/a.csv"]


def test_files_that_no_feed_claims_are_listed(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    for path in ("norland/deposits.csv", "norland/notes.txt", "sudland/a.csv", ".hidden"):
        dropped(settings, path, "x")
    assert unclaimed(settings, [feed_of(deposits=DEPOSITS)]) == ["norland/notes.txt", "sudland/a.csv"]


def test_hostile_names_are_data_and_never_paths(tmp_path: Path, shared: Path) -> None:
    settings = settings_in(tmp_path)
    names = json.loads((shared / "badinputs/generated/names.json").read_text())
    usable = [name for name in names if name and "/" not in name and "\x00" not in name and name not in (".", "..")]
    for name in usable:
        if len(name.encode()) > 255:
            continue
        dropped(settings, f"norland/{name}", f"id\n{name}\n")
        delivery = land(feed_of(deposits={"path": "norland/*", "reader": "delimited"}), settings)
        assert delivery.files[0].name == name
        assert sorted(path.name for path in delivery.folder.iterdir()) == [delivery.files[0].sha256, "receipt.json"]
        (settings.drop / "norland" / name).unlink()


def test_a_connector_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="no connector 'ftp'"):
        land(feed_of(deposits={**DEPOSITS, "connector": "ftp"}), settings_in(tmp_path))


def test_a_file_that_a_feed_knows_is_claimed_without_being_read(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    for path in ("norland/deposits.csv", "norland/fields.txt", "norland/notes.txt"):
        dropped(settings, path, "x")
    known = (KnownFile(path="norland/fields.txt", reason="explains the columns"),)
    feed = feed_of(deposits=DEPOSITS).model_copy(update={"known_files": known})
    assert unclaimed(settings, [feed]) == ["norland/notes.txt"]
    assert [file.name for file in land(feed, settings).files] == ["deposits.csv"]
