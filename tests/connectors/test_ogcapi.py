"""Items of a real OGC API, page by page through its own links."""

import json
from pathlib import Path

import pytest

from pipelines.contracts import Feed
from pipelines.land import land
from pipelines.read import read
from tests.partners import feed_of, rows_of, settings_in

pytestmark = pytest.mark.slow


def feed_at(url: str, **options: object) -> Feed:
    given = {"allow_private": True, "records": "features", **options}
    return feed_of(sites={"connector": "ogcapi", "reader": "json", "url": url, "options": given})


def test_every_item_is_landed_in_the_server_s_own_pages_and_read_as_one_table(pygeoapi: str, tmp_path: Path) -> None:
    settings, feed = settings_in(tmp_path), feed_at(pygeoapi)
    delivery = land(feed, settings)
    index, *pages = delivery.files
    told = json.loads(delivery.path(index).read_text())
    assert (told["declared"], [page["rows"] for page in told["pages"]]) == (130, [50, 50, 30])
    assert [page.name for page in pages] == ["sites-00001.json", "sites-00002.json", "sites-00003.json"]
    rows = rows_of(read(delivery, feed.tables, tmp_path / "run").tables["sites"])
    assert rows["_row"].to_pylist() == list(range(1, 131))
    assert [json.loads(text)["number"] for text in rows["properties"].to_pylist()] == list(range(1, 131))
    assert land(feed, settings, previous=delivery).unchanged


def test_a_question_narrows_what_comes(pygeoapi: str, tmp_path: Path) -> None:
    delivery = land(feed_at(pygeoapi, query={"bbox": "10,60,10.105,61"}, page_size=4), settings_in(tmp_path))
    told = json.loads(delivery.path(delivery.files[0]).read_text())
    assert (told["declared"], [page["rows"] for page in told["pages"]]) == (10, [4, 4, 2])
