"""From where each session was opened; of those before, nobody knows."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("session", sa.Column("address", sa.String(length=64), nullable=True))
