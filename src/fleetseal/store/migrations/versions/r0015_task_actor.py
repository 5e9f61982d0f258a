"""Who asked for each task; of those before, the audit log knows."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("task", sa.Column("actor", sa.String(length=64), nullable=True))
    op.execute(
        "UPDATE task SET actor = (SELECT audit.actor FROM audit WHERE audit.object = 'task ' || task.id "
        "AND audit.action = 'task ' || task.action ORDER BY audit.id DESC LIMIT 1)"
    )
