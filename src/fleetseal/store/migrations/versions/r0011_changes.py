"""What changed last: a position for each device, task and alarm, given by triggers."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_SEEN = (
    '"id", "serial", "address", "host_name", "host_name_typed", "http_port", "https_port", "legacy_tls", '
    '"site", "tags", "model", "product_type", "firmware", "generation", "support", "support_reason", '
    '"needs_setup", "username", "password_version", "password_refused_version", "trust_level", "trust_pin", '
    '"ever_anchored", "plain_accepted", "identity_problem", "trust_problem", "last_change", "reachable", '
    '"unreachable_reason", "clock_offset", "tls", "policy", "bound_alias", "served_der", "served_source", '
    '"chain_sent", "entries", "added", "last_seen"'
)
_DEVICE = (
    "DELETE FROM change WHERE kind = 'device' AND object = {0}; "
    "INSERT INTO change (kind, object, gone) VALUES ('device', {0}, {1});"
)
_TASK = _DEVICE.replace("device", "task")
_ALARM = _DEVICE.replace("device", "alarm")
_BUSY = (
    "DELETE FROM change WHERE kind = 'device' AND object = {0} AND NOT gone; "
    "INSERT INTO change (kind, object, gone) SELECT 'device', id, 0 FROM device WHERE id = {0};"
)
_ALARM_DIFFERS = " OR ".join(
    f"old.{name} IS NOT new.{name}" for name in ("severity", "message", "since", "acknowledged", "closed")
)
_TRIGGERS = {
    "change_device_insert": f"AFTER INSERT ON device BEGIN {_DEVICE.format('new.id', 0)} END",
    "change_device_update": f"AFTER UPDATE OF {_SEEN} ON device BEGIN {_DEVICE.format('new.id', 0)} END",
    "change_device_delete": f"AFTER DELETE ON device BEGIN {_DEVICE.format('old.id', 1)} END",
    "change_task_insert": f"AFTER INSERT ON task BEGIN {_TASK.format('new.id', 0)} END",
    "change_task_update": f"AFTER UPDATE ON task BEGIN {_TASK.format('new.id', 0)} END",
    "change_task_delete": f"AFTER DELETE ON task BEGIN {_TASK.format('old.id', 1)} END",
    "change_job_status": "AFTER UPDATE OF status ON job WHEN old.status IS NOT new.status BEGIN "
    f"{_TASK.format('new.task_id', 0)} END",
    "change_busy_insert": f"AFTER INSERT ON job WHEN new.active BEGIN {_BUSY.format('new.device_id')} END",
    "change_busy_update": "AFTER UPDATE OF active ON job WHEN old.active IS NOT new.active BEGIN "
    f"{_BUSY.format('new.device_id')} END",
    "change_busy_delete": f"AFTER DELETE ON job WHEN old.active BEGIN {_BUSY.format('old.device_id')} END",
    "change_alarm_insert": f"AFTER INSERT ON alarm WHEN new.closed IS NULL BEGIN {_ALARM.format('new.id', 0)} END",
    "change_alarm_update": f"AFTER UPDATE ON alarm WHEN {_ALARM_DIFFERS} BEGIN "
    f"{_ALARM.format('new.id', 'new.closed IS NOT NULL')} END",
    "change_alarm_delete": f"AFTER DELETE ON alarm WHEN old.closed IS NULL BEGIN {_ALARM.format('old.id', 1)} END",
}


def upgrade() -> None:
    op.create_table(
        "change",
        sa.Column("position", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("object", sa.Integer(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_change")),
        sa.UniqueConstraint("kind", "object", name=op.f("uq_change_kind_object")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "change_floor",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("floor", sa.Integer(), nullable=False),
        sa.Column("mark", sa.Integer(), nullable=False),
        sa.Column("marked", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_floor")),
    )
    if op.get_bind().dialect.name == "sqlite":
        for name, text in _TRIGGERS.items():
            op.execute(f"CREATE TRIGGER {name} {text}")
