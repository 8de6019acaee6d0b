"""Deliveries, runs, ledgers, issues, quarantine, reports and releases."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make every table."""
    deliveries()
    runs()
    findings()
    releases()


def downgrade() -> None:
    """Drop every table."""
    for table in (
        "report",
        "ledger_release",
        "release",
        "quarantine_row",
        "issue",
        "ledger_dataset",
        "ledger_source",
        "run",
        "delivery_file",
        "delivery",
    ):
        op.drop_table(table)


def deliveries() -> None:
    """Make the tables of what came."""
    op.create_table(
        "delivery",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("file_count", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("corrects", sa.Text(), nullable=True),
        sa.Column("arrived", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("mode IN ('snapshot', 'delta', 'append', 'correction')", name="ck_delivery_mode"),
        sa.ForeignKeyConstraint(
            ["feed", "corrects"], ["delivery.feed", "delivery.id"], name="fk_delivery_feed_corrects"
        ),
        sa.PrimaryKeyConstraint("feed", "id", name="pk_delivery"),
        sa.UniqueConstraint("feed", "arrived", name="uq_delivery_feed_arrived"),
    )
    op.create_table(
        "delivery_file",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["feed", "delivery"], ["delivery.feed", "delivery.id"], name="fk_delivery_file_feed_delivery"
        ),
        sa.PrimaryKeyConstraint("feed", "delivery", "name", "table_name", name="pk_delivery_file"),
    )


def runs() -> None:
    """Make the tables of what was tried and where its rows went."""
    op.create_table(
        "run",
        sa.Column("id", KEY, nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("isolation", sa.Text(), nullable=True),
        sa.Column("audit", sa.JSON(), nullable=True),
        sa.Column("parent", KEY, nullable=True),
        sa.CheckConstraint("kind IN ('ingest', 'replay', 'reprocess')", name="ck_run_kind"),
        sa.CheckConstraint("state IN ('running', 'conformed', 'accepted', 'failed')", name="ck_run_state"),
        sa.ForeignKeyConstraint(["feed", "delivery"], ["delivery.feed", "delivery.id"], name="fk_run_feed_delivery"),
        sa.ForeignKeyConstraint(["parent"], ["run.id"], name="fk_run_parent"),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_run_feed_state", "run", ["feed", "state"], unique=False)
    op.create_table(
        "ledger_source",
        sa.Column("run", KEY, nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("filtered", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.CheckConstraint('"rows" = "used" + "filtered" + "quarantined"', name="ck_ledger_source_balance"),
        sa.CheckConstraint(
            '"rows" >= 0 AND "used" >= 0 AND "filtered" >= 0 AND "quarantined" >= 0', name="ck_ledger_source_counts"
        ),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name="fk_ledger_source_run"),
        sa.PrimaryKeyConstraint("run", "file", "table_name", name="pk_ledger_source"),
    )
    op.create_table(
        "ledger_dataset",
        sa.Column("run", KEY, nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("shaped", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.Column("duplicates", sa.BigInteger(), nullable=False),
        sa.CheckConstraint('"shaped" = "accepted" + "quarantined" + "duplicates"', name="ck_ledger_dataset_balance"),
        sa.CheckConstraint(
            '"shaped" >= 0 AND "accepted" >= 0 AND "quarantined" >= 0 AND "duplicates" >= 0',
            name="ck_ledger_dataset_counts",
        ),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name="fk_ledger_dataset_run"),
        sa.PrimaryKeyConstraint("run", "dataset", name="pk_ledger_dataset"),
    )


def findings() -> None:
    """Make the tables of what was found and held back."""
    op.create_table(
        "issue",
        sa.Column("id", KEY, nullable=False),
        sa.Column("run", KEY, nullable=False),
        sa.Column("dataset", sa.Text(), nullable=True),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("examples", sa.JSON(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=True),
        sa.CheckConstraint("severity IN ('error', 'warning', 'info')", name="ck_issue_severity"),
        sa.CheckConstraint('"count" > 0', name="ck_issue_count"),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name="fk_issue_run"),
        sa.PrimaryKeyConstraint("id", name="pk_issue"),
    )
    op.create_index("ix_issue_run", "issue", ["run"], unique=False)
    op.create_table(
        "quarantine_row",
        sa.Column("id", KEY, nullable=False),
        sa.Column("run", KEY, nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=True),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=True),
        sa.Column("record_id", sa.Text(), nullable=True),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("resolved_by", KEY, nullable=True),
        sa.Column("resolved_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "(state = 'open') = (resolved_by IS NULL AND resolved_at IS NULL)", name="ck_quarantine_row_resolved"
        ),
        sa.CheckConstraint("state IN ('open', 'released', 'replaced')", name="ck_quarantine_row_state"),
        sa.ForeignKeyConstraint(
            ["feed", "delivery"], ["delivery.feed", "delivery.id"], name="fk_quarantine_row_feed_delivery"
        ),
        sa.ForeignKeyConstraint(["resolved_by"], ["run.id"], name="fk_quarantine_row_resolved_by"),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name="fk_quarantine_row_run"),
        sa.PrimaryKeyConstraint("id", name="pk_quarantine_row"),
    )
    op.create_index("ix_quarantine_row_feed_state", "quarantine_row", ["feed", "state"], unique=False)
    op.create_index("ix_quarantine_row_run", "quarantine_row", ["run"], unique=False)


def releases() -> None:
    """Make the tables of what was published."""
    op.create_table(
        "release",
        sa.Column("number", KEY, autoincrement=False, nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("log_key", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("semantic_version", sa.Text(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_release"),
    )
    op.create_table(
        "ledger_release",
        sa.Column("release", KEY, nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=False),
        sa.Column("superseded", sa.BigInteger(), nullable=False),
        sa.Column("withheld", sa.BigInteger(), nullable=False),
        sa.CheckConstraint('"accepted" = "published" + "superseded" + "withheld"', name="ck_ledger_release_balance"),
        sa.CheckConstraint(
            '"accepted" >= 0 AND "published" >= 0 AND "superseded" >= 0 AND "withheld" >= 0',
            name="ck_ledger_release_counts",
        ),
        sa.ForeignKeyConstraint(["release"], ["release.number"], name="fk_ledger_release_release"),
        sa.PrimaryKeyConstraint("release", "feed", "dataset", name="pk_ledger_release"),
    )
    op.create_table(
        "report",
        sa.Column("id", KEY, nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("delivery", sa.Text(), nullable=True),
        sa.Column("run", KEY, nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("release", KEY, nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('fresh', 'unchanged', 'failed')", name="ck_report_state"),
        sa.ForeignKeyConstraint(["feed", "delivery"], ["delivery.feed", "delivery.id"], name="fk_report_feed_delivery"),
        sa.ForeignKeyConstraint(["release"], ["release.number"], name="fk_report_release"),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name="fk_report_run"),
        sa.PrimaryKeyConstraint("id", name="pk_report"),
    )
    op.create_index("ix_report_feed_id", "report", ["feed", "id"], unique=False)
    op.create_index("ix_report_release", "report", ["release"], unique=False)
