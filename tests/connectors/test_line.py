"""A feed behind a paged service goes the whole way, and comes again only when the service has something new."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines import flow
from pipelines.errors import SourceError
from pipelines.settings import Settings
from tests.conftest import PROJECT
from tests.connectors.register import Register, serving

FEED = """\
feed: norland_sites
title: Sites
partner: norland
description: Sites of Norland, from its catalogue.
owner: Survey of Norland
schedule: "0 3 * * 1"
cadence: P1M
tables:
  sites:
    connector: ckan
    url: {url}/ckan
    reader: json
    options:
      {{package: sites, resource: rows, datastore: true, records: result.records, page_size: 10, allow_private: true}}
rights: {{basis: licence, document: A licence, licence: CC-BY-4.0}}
datasets:
  mineral_occurrence:
    key: {{authority: norland, register: sites, columns: [_id]}}
    columns:
      name: name
      occurrence_type: {{const: occurrence}}
    position: {{x: x, y: x, crs: "EPSG:4326"}}
"""


@pytest.mark.slow
def test_a_paged_feed_is_ingested_and_noticed_when_unchanged(tmp_path: Path) -> None:
    schemas = Path(shutil.copytree(PROJECT / "schemas", tmp_path / "schemas"))
    settings = Settings(tmp_path / "home", tmp_path, schemas, f"sqlite:///{tmp_path / 'catalogue.db'}")
    with serving(Register()) as register:
        (schemas / "feeds" / "norland_sites.yml").write_text(FEED.format(url=register.url))
        figures = flow.ingest("norland_sites", settings)["datasets"]["mineral_occurrence"]
        assert (figures["accepted"], figures["quarantined"]) == (25, 0)
        (accepted,) = (settings.work / "norland_sites").rglob("accepted.arrow")
        with pa.OSFile(str(accepted)) as source, pa.ipc.open_stream(source) as reader:
            rows = reader.read_all().select(["source_file", "source_row", "record_id"]).to_pylist()
        row = {"source_file": "sites_rows.pages.json", "source_row": 21, "record_id": "norland:sites:21"}
        assert row in rows
        assert flow.ingest("norland_sites", settings)["state"] == "unchanged"
        register.fault = "short"
        with pytest.raises(SourceError, match="short page"):
            flow.ingest("norland_sites", settings)
    assert len(list((settings.landing / "norland" / "norland_sites").glob("[0-9a-f]*"))) == 1
