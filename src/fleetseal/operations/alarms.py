"""Alarms as people see and acknowledge them."""

from collections.abc import Collection
from typing import Any

from fleetseal.core.text import timestamp
from fleetseal.operations.services import Services
from fleetseal.store import alarms as store
from fleetseal.store import audit
from fleetseal.store.database import Transaction

COLUMNS = ("id", "cause", "severity", "object", "message", "since", "acknowledged")
"""Of `list_`."""


async def list_(services: Services) -> list[dict[str, Any]]:
    """Open alarms, oldest first: `{"id","cause","severity","object","message","since","acknowledged"}`."""
    async with services.database.reading() as tx:
        return [_row(alarm) for alarm in await store.open_alarms(tx)]


async def rows_of(tx: Transaction, alarm_ids: Collection[int]) -> list[dict[str, Any]]:
    """As `list_`, of those of these that are open."""
    return [_row(alarm) for alarm in await store.open_alarms(tx, alarm_ids)] if alarm_ids else []


async def acknowledge(services: Services, alarm_id: int, *, actor: str) -> None:
    """Somebody has seen it; it stays open while its cause exists. Audited. Raises NotFound."""
    now = services.clock.now()
    async with services.database.transaction() as tx:
        await store.acknowledge(tx, alarm_id, now=now)
        await audit.record(tx, now=now, actor=actor, action="alarm acknowledge", object=f"alarm {alarm_id}", detail={})


def _row(alarm: store.Alarm) -> dict[str, Any]:
    return {
        "id": alarm.id,
        "cause": alarm.cause,
        "severity": alarm.severity,
        "object": alarm.object,
        "message": alarm.message,
        "since": timestamp(alarm.since),
        "acknowledged": None if alarm.acknowledged is None else timestamp(alarm.acknowledged),
    }
