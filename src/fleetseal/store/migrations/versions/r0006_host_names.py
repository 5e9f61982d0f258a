"""No two devices hold one typed host name. Of several that do, the first keeps it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    columns = (sa.column("id", sa.Integer), sa.column("host_name", sa.String), sa.column("host_name_typed", sa.Boolean))
    device = sa.table("device", *columns)
    other = device.alias("other")
    earlier = sa.select(other.c.id).where(
        other.c.host_name == device.c.host_name, other.c.host_name_typed, other.c.id < device.c.id
    )
    op.execute(sa.update(device).where(device.c.host_name_typed, sa.exists(earlier)).values(host_name_typed=False))
    op.create_index(
        "uq_device_typed_host_name",
        "device",
        ["host_name"],
        unique=True,
        sqlite_where=sa.text("host_name_typed = 1"),
        postgresql_where=sa.text("host_name_typed"),
    )
