"""Revocation: when and why a certificate ended, and the CRLs that say so."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("issuance", sa.Column("task_id", sa.Integer(), nullable=True))
    op.add_column("issuance", sa.Column("superseded", sa.String(length=27), nullable=True))
    op.add_column("issuance", sa.Column("revoked", sa.String(length=27), nullable=True))
    op.add_column("issuance", sa.Column("revocation_reason", sa.String(length=32), nullable=True))
    op.create_index("ix_issuance_serial", "issuance", ["serial"], unique=False)
    op.create_index("ix_issuance_state", "issuance", ["state", "authority_id"], unique=False)
    op.execute("update issuance set task_id = (select task_id from job where job.id = issuance.job_id)")
    op.execute(
        "update issuance set superseded = coalesce((select min(later.installed) from issuance as later"
        " where later.device_id = issuance.device_id and later.purpose = issuance.purpose"
        " and later.id > issuance.id and later.installed is not null), installed, created)"
        " where state = 'superseded'"
    )
    op.create_table(
        "crl",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("authority_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("this_update", sa.String(length=27), nullable=False),
        sa.Column("next_update", sa.String(length=27), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=True),
        sa.Column("tbs_sha256", sa.String(length=64), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("created", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["authority_id"], ["authority.id"], name=op.f("fk_crl_authority_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crl")),
        sa.UniqueConstraint("authority_id", "number", name=op.f("uq_crl_authority_id_number")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_crl_open_intent",
        "crl",
        ["authority_id"],
        unique=True,
        sqlite_where=sa.text("state = 'intended'"),
        postgresql_where=sa.text("state = 'intended'"),
    )
