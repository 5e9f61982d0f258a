"""The tables that say what changed last, and the triggers that write them: no writer can forget to.

`change` has one row for each device, task and alarm, the newest change of it: its size is bounded by theirs.
"""

from typing import Final

from sqlalchemy import DDL, Boolean, Column, Integer, String, Table, UniqueConstraint, event

from fleetseal.store.schema import Moment, device, metadata

change = Table(
    "change",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(8), nullable=False),  # device | task | alarm
    Column("object", Integer, nullable=False),  # its id
    Column("gone", Boolean, nullable=False),  # deleted; of an alarm: closed
    UniqueConstraint("kind", "object"),
    sqlite_autoincrement=True,  # a position is never used again
)

change_floor = Table(
    "change_floor",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1; no row: nothing was pruned yet
    Column("floor", Integer, nullable=False),  # what went before this position cannot be told any more
    Column("mark", Integer, nullable=False),  # the newest position at `marked`
    Column("marked", Moment, nullable=False),
)

_UNSEEN: Final = frozenset({"password_sealed", "last_read"})
"""Columns of a device that no page shows."""

_SEEN: Final = ", ".join(f'"{column.name}"' for column in device.c if column.name not in _UNSEEN)


def _written(kind: str, key: str, gone: str) -> str:
    return (
        f"DELETE FROM change WHERE kind = '{kind}' AND object = {key}; "  # noqa: S608 - constants of this module
        f"INSERT INTO change (kind, object, gone) VALUES ('{kind}', {key}, {gone});"
    )


_DEVICE_OF_JOB: Final = (
    "DELETE FROM change WHERE kind = 'device' AND object = {key} AND NOT gone; "
    "INSERT INTO change (kind, object, gone) SELECT 'device', id, 0 FROM device WHERE id = {key};"
)
"""A device is `Busy` or no longer. One that is forgotten stays gone."""

_ALARM: Final = ("severity", "message", "since", "acknowledged", "closed")
_DIFFERS: Final = " OR ".join(f"old.{name} IS NOT new.{name}" for name in _ALARM)

TRIGGERS: Final = {
    "change_device_insert": f"AFTER INSERT ON device BEGIN {_written('device', 'new.id', '0')} END",
    "change_device_update": f"AFTER UPDATE OF {_SEEN} ON device BEGIN {_written('device', 'new.id', '0')} END",
    "change_device_delete": f"AFTER DELETE ON device BEGIN {_written('device', 'old.id', '1')} END",
    "change_task_insert": f"AFTER INSERT ON task BEGIN {_written('task', 'new.id', '0')} END",
    "change_task_update": f"AFTER UPDATE ON task BEGIN {_written('task', 'new.id', '0')} END",
    "change_task_delete": f"AFTER DELETE ON task BEGIN {_written('task', 'old.id', '1')} END",
    # a task is listed with the numbers of its jobs by status; they are inserted in the transaction of the task
    "change_job_status": "AFTER UPDATE OF status ON job WHEN old.status IS NOT new.status BEGIN "
    f"{_written('task', 'new.task_id', '0')} END",
    "change_busy_insert": f"AFTER INSERT ON job WHEN new.active BEGIN {_DEVICE_OF_JOB.format(key='new.device_id')} END",
    "change_busy_update": "AFTER UPDATE OF active ON job WHEN old.active IS NOT new.active BEGIN "
    f"{_DEVICE_OF_JOB.format(key='new.device_id')} END",
    "change_busy_delete": f"AFTER DELETE ON job WHEN old.active BEGIN {_DEVICE_OF_JOB.format(key='old.device_id')} END",
    # an alarm is listed while it is open
    "change_alarm_insert": "AFTER INSERT ON alarm WHEN new.closed IS NULL BEGIN "
    f"{_written('alarm', 'new.id', '0')} END",
    "change_alarm_update": f"AFTER UPDATE ON alarm WHEN {_DIFFERS} BEGIN "
    f"{_written('alarm', 'new.id', 'new.closed IS NOT NULL')} END",
    "change_alarm_delete": "AFTER DELETE ON alarm WHEN old.closed IS NULL BEGIN "
    f"{_written('alarm', 'old.id', '1')} END",
}
"""Name: what follows `CREATE TRIGGER name`."""

for _name, _text in TRIGGERS.items():
    _made = DDL(f"CREATE TRIGGER {_name} {_text}")  # type: ignore[no-untyped-call]  # the library's
    event.listen(metadata, "after_create", _made.execute_if(dialect="sqlite"))
