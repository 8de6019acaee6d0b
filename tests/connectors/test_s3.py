"""Objects of a real S3 server: one by its key, or the newest that fits."""

import json
import logging
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from pipelines.contracts import Feed
from pipelines.errors import ContractError, RejectedError, SourceError
from pipelines.land import land
from tests.partners import feed_of, settings_in
from tests.servers import Bucket

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Give the server's bucket, with its keys where a feed finds them."""
    monkeypatch.setenv("MINERALS_SECRET_NORLAND_S3_KEY_ID", s3.key_id)
    monkeypatch.setenv("MINERALS_SECRET_NORLAND_S3_KEY", s3.key)
    return s3


def feed_at(bucket: Bucket, path: str, prefix: str = "", **words: Any) -> Feed:  # noqa: ANN401
    options = {"endpoint": bucket.endpoint, "allow_private": True, **words.pop("options", {})}
    table = {"connector": "s3", "reader": "delimited", "credentials": "NORLAND_S3", "path": path, "options": options}
    return feed_of(holes={**table, "url": f"s3://{bucket.name}/{prefix}", **words})


def test_an_object_is_taken_by_its_key_and_not_again_while_it_stays(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("key/holes ä.csv", b"id\n1\n")
    feed, settings = feed_at(bucket, "holes ä.csv", prefix="key"), settings_in(tmp_path)
    first = land(feed, settings)
    (file,) = first.files
    assert (file.name, file.source, first.path(file).read_bytes()) == (
        "holes ä.csv",
        "s3://norland/key/holes ä.csv",
        b"id\n1\n",
    )
    again = land(feed, settings, previous=first)
    assert (again.id, again.unchanged) == (first.id, True)
    bucket.put("key/holes ä.csv", b"id\n2\n")
    assert land(feed, settings, previous=first).id != first.id


def test_the_newest_object_that_fits_is_taken_with_its_parts(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("new/holes-2.csv", b"id\n2\n")
    time.sleep(1.1)  # S3 knows no smaller step of time than a second
    for name in ("new/holes-1.csv", "new/deep/holes-3.csv", "new/holes.dbf", "new/other.csv"):
        bucket.put(name, name.encode())
    feed = feed_at(bucket, "new/holes-*.csv", parts=["holes.dbf"])
    delivery = land(feed, settings_in(tmp_path))
    assert [(file.name, file.part_of) for file in delivery.files] == [
        ("holes-1.csv", None),
        ("holes.dbf", "holes-1.csv"),
    ]


def test_what_cannot_be_had_is_told(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path)
    bucket.put("told/holes.csv", b"id\n" + b"1\n" * 1000)
    with pytest.raises(SourceError, match=r"nothing fits; there is \['told/holes.csv'\]"):
        land(feed_at(bucket, "told/hole.csv"), settings)
    with pytest.raises(RejectedError, match="2003 bytes, and 1000 is the cap"):
        land(feed_at(bucket, "told/holes.csv", options={"max_bytes": 1000}), settings)
    with pytest.raises(ContractError, match="port .* is not among"):
        land(feed_at(bucket, "told/holes.csv", options={"allow_private": False}), settings)
    with pytest.raises(ContractError, match="stay below it"):
        land(feed_at(bucket, "../holes.csv"), settings)
    monkeypatch.setenv("MINERALS_SECRET_NORLAND_S3_KEY", "wr0ng-canary")
    with pytest.raises(RejectedError, match="the server answered 403") as caught:
        land(feed_at(bucket, "told/holes.csv"), settings)
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    monkeypatch.delenv("MINERALS_SECRET_NORLAND_S3_KEY")
    with pytest.raises(
        ContractError, match="set MINERALS_SECRET_NORLAND_S3_KEY_ID with MINERALS_SECRET_NORLAND_S3_KEY"
    ):
        land(feed_at(bucket, "told/holes.csv"), settings)


def test_no_key_and_no_signature_is_written_down(
    bucket: Bucket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bucket.put("written/holes.csv", b"id\n1\n")
    delivery = land(feed_at(bucket, "written/holes.csv"), settings_in(tmp_path))
    receipt = json.dumps(json.loads((delivery.folder / "receipt.json").read_text()))
    assert not any(word in receipt + caplog.text for word in (bucket.key, bucket.key_id, "Amz", "Signature"))


def test_the_environment_s_own_keys_are_not_used(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("own/holes.csv", b"id\n1\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", bucket.key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", bucket.key)
    with pytest.raises(RejectedError, match="403"):
        land(feed_at(bucket, "own/holes.csv", credentials=None), settings_in(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AWS_REGION", "elsewhere")
    assert land(feed_at(bucket, "own/holes.csv"), settings_in(tmp_path)).files[0].size == 5
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t0ken")
    with pytest.raises(ContractError, match="AWS_SESSION_TOKEN in the environment would be sent along"):
        land(feed_at(bucket, "own/holes.csv"), settings_in(tmp_path))
