"""Why a device is not as it was."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("device", sa.Column("last_change", sa.JSON(), nullable=True))
