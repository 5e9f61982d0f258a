"""Which devices hold which of our CA certificates."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_WITH_THOSE_ABOVE = """
with recursive held(device_id, authority_id, read_back) as (
    select issuance.device_id, issuance.authority_id, issuance.installed from issuance
    join device on device.id = issuance.device_id
    where issuance.state = 'installed' and issuance.purpose = 'https' and issuance.installed is not null
    union
    select held.device_id, authority.parent_id, held.read_back from held
    join authority on authority.id = held.authority_id where authority.parent_id is not null
)
insert into device_authority (device_id, authority_id, read_back)
select device_id, authority_id, max(read_back) from held group by device_id, authority_id
"""
"""Beside a leaf its whole chain was installed, the root included."""


def upgrade() -> None:
    op.create_table(
        "device_authority",
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("authority_id", sa.Integer(), nullable=False),
        sa.Column("read_back", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["authority_id"], ["authority.id"], name=op.f("fk_device_authority_authority_id")),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_device_authority_device_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("device_id", "authority_id", name=op.f("pk_device_authority")),
    )
    op.create_index("ix_device_authority_authority_id", "device_authority", ["authority_id"], unique=False)
    op.execute(_WITH_THOSE_ABOVE)
