"""Devices as lists show them, made in advance: empty at first, filled when they are first read."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_TEXTS = ("mac", "address", "hostname", "certificate", "last_seen")
_KEYS = (
    *("status", "https", "model", "firmware", "trust", "tags", "product_type", "server", "http_port", "https_port"),
    *(*_TEXTS, "expires"),
)
_TELLS = (
    "WHEN new.sha256 IS NOT NULL BEGIN DELETE FROM change WHERE kind = 'device' AND object IN "
    "(SELECT device_id FROM device_listing WHERE served = new.sha256); "
    "INSERT INTO change (kind, object, gone) "
    "SELECT 'device', device_id, 0 FROM device_listing WHERE served = new.sha256; END"
)
_TRIGGERS = {
    "change_issuance_insert": f"AFTER INSERT ON issuance {_TELLS}",
    "change_issuance_update": f"AFTER UPDATE OF sha256, origin, purpose ON issuance {_TELLS}",
}


def upgrade() -> None:
    _of_devices(
        "device_listing",
        *(sa.Column(name, sa.LargeBinary(), nullable=False) for name in _KEYS),
        sa.Column("served", sa.String(length=64), nullable=True),
        sa.Column("valid_from", sa.String(length=27), nullable=True),
        sa.Column("valid_until", sa.String(length=27), nullable=True),
    )
    for name in (*_KEYS, "served", "valid_from", "valid_until"):
        op.create_index(f"ix_device_listing_{name}", "device_listing", [name], unique=False)
    _of_devices("device_text", *(sa.Column(name, sa.Text(), nullable=False) for name in _TEXTS))
    _of_devices("device_row", sa.Column("shown", sa.LargeBinary(), nullable=False))
    op.create_table(
        "listing_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("basis", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing_state")),
    )
    if op.get_bind().dialect.name == "sqlite":
        for name, text in _TRIGGERS.items():
            op.execute(f"CREATE TRIGGER {name} {text}")


def _of_devices(name: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        name,
        sa.Column("device_id", sa.Integer(), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f(f"fk_{name}_device_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("device_id", name=op.f(f"pk_{name}")),
    )
