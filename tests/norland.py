"""A small partner of our own: one feed of sites, with a few rows of every fate."""

import shutil
from dataclasses import replace
from pathlib import Path

from pipelines.settings import PROJECT, Settings

FEED = """\
feed: norland_sites
title: Sites of Norland
partner: norland
description: Sites for a test.
owner: Survey of Norland
schedule: "0 3 * * 1"
cadence: P1M
tables:
  sites: {path: norland/sites.csv, reader: delimited}
rights: {basis: licence, document: A licence, licence: CC-BY-4.0}
datasets:
  mineral_occurrence:
    key: {authority: norland, register: sites, columns: [id]}
    columns:
      name: name
      occurrence_type: {from: type, codes: {GRUVE: mine}}
      commodities: {from: metals, split: '[;,]'}
    position: {x: lon, y: lat, crs: "EPSG:4326"}
    filters:
      - {where: "name = 'TEST'", reason: a row that the survey keeps for its own tests}
"""
ROWS = """\
id,name,type,metals,lon,lat
1,Store Berg,GRUVE,copper;zinc,10.5,60.5
2,Lille Berg,SKJERP,gold,10.6,60.6
3,Elv,GRUVE,nickel,10.7,
4,TEST,GRUVE,iron,10.8,60.8
5,Aas,GRUVE,unobtanium,10.9,60.9
5,Aas,GRUVE,unobtanium,10.9,60.9
6,Vik,GRUVE,silver,11.0,61.0
6,Vik,GRUVE,lead,11.0,61.0
7,Nes,GRUVE,gold,11.1,61.1,surplus
"""


def installation(folder: Path, feed: str = FEED, rows: str = ROWS) -> Settings:
    """Set up an installation whose only feed is this one."""
    home, drop, schemas = folder / "home", folder / "drop", folder / "schemas"
    home.mkdir(parents=True)
    for part in ("datasets", "vocabularies"):
        shutil.copytree(PROJECT / "schemas" / part, schemas / part)
    for file in ("columns.yml", "release.yml"):
        shutil.copyfile(PROJECT / "schemas" / file, schemas / file)
    (schemas / "feeds").mkdir()
    (schemas / "feeds" / "norland_sites.yml").write_text(feed, encoding="utf-8")
    deliver(drop, rows)
    return Settings(home=home, drop=drop, schemas=schemas, catalogue_url=f"sqlite:///{home / 'catalogue.db'}")


def deliver(drop: Path, rows: str) -> None:
    """Put the partner's file into the drop."""
    (drop / "norland").mkdir(parents=True, exist_ok=True)
    (drop / "norland" / "sites.csv").write_text(rows, encoding="utf-8")


def with_feed(settings: Settings, feed: str) -> Settings:
    """Correct the feed's file."""
    (settings.schemas / "feeds" / "norland_sites.yml").write_text(feed, encoding="utf-8")
    return replace(settings)
