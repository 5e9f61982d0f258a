"""The runs of the night, and what its planning is found by."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "night",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("window", sa.String(length=40), nullable=True),
        sa.Column("begun", sa.String(length=27), nullable=False),
        sa.Column("planned", sa.String(length=27), nullable=True),
        sa.Column("finished", sa.String(length=27), nullable=True),
        sa.Column("task_id", sa.Integer(), nullable=True),
        sa.Column("skipped", sa.JSON(), nullable=False),
        sa.Column("waited", sa.Boolean(), nullable=False),
        sa.Column("succeeded", sa.Boolean(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_night")),
        sa.UniqueConstraint("window", name=op.f("uq_night_window")),
        sqlite_autoincrement=True,
    )
    op.add_column("issuance", sa.Column("reissue", sa.String(length=16), nullable=True))
    op.create_index("ix_issuance_renewal", "issuance", ["state", "renew_at"], unique=False)
    op.create_index("ix_issuance_reissue", "issuance", ["state", "reissue"], unique=False)
    op.create_index("ix_issuance_created", "issuance", ["created"], unique=False)
