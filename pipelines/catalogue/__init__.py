"""What happened: deliveries, runs, ledgers, issues, quarantine, reports and releases.

SQLite beside the data by default, PostgreSQL by address; both are brought to the newest tables when they are opened.
"""

from pipelines.catalogue.facts import (
    DatasetLedger,
    Delivery,
    DeliveryFile,
    Example,
    HeldRow,
    Issue,
    QuarantineCount,
    QuarantineRow,
    Release,
    ReleaseLedger,
    Report,
    Run,
    RunLedger,
    SourceLedger,
)
from pipelines.catalogue.opening import open_catalogue
from pipelines.catalogue.records import Catalogue

__all__ = [
    "Catalogue",
    "DatasetLedger",
    "Delivery",
    "DeliveryFile",
    "Example",
    "HeldRow",
    "Issue",
    "QuarantineCount",
    "QuarantineRow",
    "Release",
    "ReleaseLedger",
    "Report",
    "Run",
    "RunLedger",
    "SourceLedger",
    "open_catalogue",
]
