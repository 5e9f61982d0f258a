"""When each device was last looked at in full; the jobs of a device found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("device", sa.Column("last_read", sa.String(length=27), nullable=True))
    op.create_index("ix_job_device", "job", ["device_id"])
