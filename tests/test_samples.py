"""The bundled samples go through the whole line, and each shows the defects that its feed is known for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.contracts import Schemas
from tests.measured import PROJECT, Run, defects, measured, once_each

LARGEST_BYTES = 100_000
EXPECTED = {
    "auscope_nvcl_boreholes": {"drillhole": (5, 4, 1), "drillhole_interval": (6, 5, 1)},
    "auscope_nvcl_features": {"drillhole": (3, 3, 0)},
    "bgs_ags_boreholes": {"drillhole": (12, 12, 0), "drillhole_interval": (20, 20, 0)},
    "blm_mining_claims": {"tenement": (5, 5, 0)},
    "cgi_borehole_view": {"drillhole": (1, 1, 0)},
    "cgi_erml_views": {
        "mineral_occurrence": (2, 2, 0),
        "facility": (1, 1, 0),
        "secondary_resource": (1, 1, 0),
        "material_flow": (2, 2, 0),
        "estimate": (1, 1, 0),
        "estimate_quantity": (1, 1, 0),
        "estimate_grade": (1, 1, 0),
    },
    "dmirs_tenements": {"tenement": (6, 6, 0)},
    "ea_weee_received": {"secondary_resource": (5, 5, 0)},
    "evminerals_lithium_deposits": {
        "mineral_occurrence": (4, 4, 0),
        "estimate": (4, 4, 0),
        "estimate_quantity": (16, 16, 0),
        "estimate_grade": (7, 7, 0),
    },
    "fineprint_mine_parts": {"mineral_occurrence": (3, 3, 0)},
    "fineprint_mines": {"mineral_occurrence": (4, 4, 0)},
    "fineprint_ores": {"material_flow": (6, 6, 0)},
    "fineprint_processing": {"facility": (2, 2, 0), "material_flow": (7, 7, 0)},
    "fineprint_production": {"material_flow": (6, 6, 0)},
    "fineprint_reserves": {"material_flow": (5, 5, 0)},
    "fineprint_waste": {"secondary_resource": (4, 4, 0)},
    "ga_critical_minerals": {"mineral_occurrence": (28, 28, 0)},
    "ga_skytem_musgrave": {"geophysical_survey": (1, 1, 0), "geophysical_reading": (17, 17, 0)},
    "gsi_fold_structures": {"structure_observation": (7, 7, 0)},
    "gsi_ngcm_stream_sediments": {"sample": (14, 14, 0), "assay": (56, 56, 0)},
    "gsi_ngdr_blocks": {"exploration_activity": (8, 8, 0)},
    "gsi_ngdr_reports": {"exploration_activity": (3, 3, 0)},
    "gsnl_survey_footprints": {"geophysical_survey": (6, 6, 0)},
    "gsq_thalanga_drillholes": {
        "drillhole": (17, 15, 2),
        "drillhole_survey": (29, 26, 3),
        "drillhole_interval": (14, 13, 1),
    },
    "gssa_geochemistry": {"sample": (4, 4, 0), "assay": (7, 7, 0)},
    "gssa_well_logs": {"drillhole": (1, 1, 0), "drillhole_log": (26, 26, 0)},
    "gssa_wfs_answers": {"mineral_occurrence": (3, 3, 0), "material_flow": (4, 4, 0)},
    "gsv_mineral_occurrences": {
        "mineral_occurrence": (1, 1, 0),
        "material_flow": (4, 4, 0),
        "estimate": (1, 1, 0),
        "estimate_quantity": (1, 1, 0),
    },
    "gswa_regolith_geochemistry": {"sample": (4, 4, 0), "assay": (4, 4, 0)},
    "kgs_well_logs": {"drillhole": (1, 1, 0), "drillhole_log": (12, 12, 0)},
    "minmod_jowitt_rare_earths": {
        "mineral_occurrence": (3, 3, 0),
        "estimate": (2, 2, 0),
        "estimate_quantity": (2, 2, 0),
        "estimate_grade": (4, 4, 0),
    },
    "usgs_ardf_sites": {"mineral_occurrence": (8, 7, 1)},
    "usgs_carbonatite_deposits": {"mineral_occurrence": (3, 3, 0)},
    "usgs_mrds_answers": {"mineral_occurrence": (2, 2, 0)},
    "usgs_mrds_gold_lode": {"mineral_occurrence": (6, 6, 0)},
    "usgs_mrds_resources": {"estimate": (28, 27, 1), "estimate_quantity": (39, 38, 1), "estimate_grade": (28, 26, 2)},
    "usgs_mrds_sites": {"mineral_occurrence": (30, 30, 0)},
    "usgs_sedex_mvt_deposits": {"mineral_occurrence": (6, 6, 0)},
    "usgs_usmin_deposits": {"mineral_occurrence": (11, 8, 2)},
    "usgs_usmin_siskiyou": {"mineral_occurrence": (4, 4, 0)},
    "usgs_usmin_symbols": {"mineral_occurrence": (26, 26, 0)},
    "usgs_vms_deposits": {"mineral_occurrence": (4, 4, 0)},
}
"""Shaped, accepted and quarantined rows by feed and dataset."""


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Take each feed's sample through the line once."""
    return once_each(tmp_path_factory.mktemp("samples"), PROJECT / "samples")


@pytest.mark.parametrize("feed", sorted(EXPECTED))
def test_every_row_of_a_sample_is_accounted_for(feed: str, run_of: Callable[[str], Run]) -> None:
    record, _ = run_of(feed)
    for source in record["sources"]:
        assert (source["rows"], source["quarantined"]) == (source["used"] + source["filtered"], 0), source
    counts = {
        name: (figures["shaped"], figures["accepted"], figures["quarantined"])
        for name, figures in record["datasets"].items()
    }
    assert counts == EXPECTED[feed]


@pytest.mark.parametrize("feed", sorted(EXPECTED))
def test_a_sample_has_no_column_that_its_feed_does_not_know(feed: str, run_of: Callable[[str], Run]) -> None:
    record, folder = run_of(feed)
    assert measured(record, folder, {"file_rule": "source.unmapped_column"}) == 0


@pytest.mark.parametrize("feed", sorted(EXPECTED))
def test_a_sample_shows_every_defect_of_the_real_files(feed: str, run_of: Callable[[str], Run]) -> None:
    record, folder = run_of(feed)
    mine = [row for row in defects() if row["feed"] == feed]
    general = [row for row in mine if not {"row", "record"} & row["found"].keys()]
    missing = [row["defect"] for row in general if measured(record, folder, row["found"]) == 0]
    assert missing == []


def test_every_feed_has_a_sample(schemas: Schemas) -> None:
    assert sorted(schemas.feeds) == sorted(EXPECTED)


def test_samples_are_small() -> None:
    large = [
        path.name for path in (PROJECT / "samples").rglob("*") if path.is_file() and path.stat().st_size > LARGEST_BYTES
    ]
    assert large == []


def test_a_total_of_a_sample_names_the_parts_beside_it(run_of: Callable[[str], Run]) -> None:
    _, folder = run_of("usgs_mrds_resources")
    rows = {row["record_id"]: row for row in _accepted(folder / "estimate_quantity")}
    total = rows["usgs:mrds-estimates:10970011:1950:1:tot_resources"]
    assert total["is_total_of"] == [
        "measured-mineral-resource",
        "indicated-mineral-resource",
        "demonstrated",
        "inferred-mineral-resource",
    ]
    assert rows["usgs:mrds-estimates:10970011:1950:1:meas"]["is_total_of"] == []


def test_a_sludge_hole_of_a_sample_keeps_its_dip_as_received(run_of: Callable[[str], Run]) -> None:
    _, folder = run_of("gsq_thalanga_drillholes")
    stations = {row["record_id"]: row for row in _accepted(folder / "drillhole_survey")}
    station = stations["gsq:thalanga:SL9001:0.0"]
    assert (station["source_dip_deg"], station["dip_deg"], station["dip_convention"]) == (-70, 70, "positive-down")


def test_a_zero_of_a_sample_becomes_a_bound_without_a_value(run_of: Callable[[str], Run]) -> None:
    _, folder = run_of("gsi_ngcm_stream_sediments")
    zeros = [row for row in _accepted(folder / "assay") if row["value_text"] == "0.0"]
    assert len(zeros) == 24
    assert {(row["qualifier"], row["value"], row["detection_limit"]) for row in zeros} == {("<", None, None)}


def _accepted(folder: Path) -> list[dict[str, Any]]:
    with pa.OSFile(str(folder / "accepted.arrow")) as source, pa.ipc.open_stream(source) as reader:
        return reader.read_all().to_pylist()
