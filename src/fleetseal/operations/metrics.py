"""Numbers for Prometheus, in its text format 0.0.4. As many queries for one device as for all."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from fleetseal import __version__
from fleetseal.core.model import Device, JobStatus
from fleetseal.operations.listing import Context
from fleetseal.operations.services import Services
from fleetseal.pki import chain
from fleetseal.store import alarms, authorities, counts, inventory, messages, nights
from fleetseal.store.database import Transaction

WITHIN: Final = (0, 1, 7, 15, 30, 90)
"""Days; 0: expired."""

Samples = Iterable[tuple[Mapping[str, str], float]]


async def text(services: Services) -> str:
    """All metrics, as they are now."""
    async with services.database.reading() as tx:
        devices, context = await inventory.every(tx), await Context.read(services, tx)
        families = [*await _of_work(tx), *await _of_certificates(tx, services.clock.now())]
    families += await asyncio.to_thread(_of_devices, devices, context)  # each certificate is read: not in the loop
    families.append(("fleetseal_build_info", "The version.", [({"version": __version__}, 1)]))
    return "".join(_family(name, meaning, samples) for name, meaning, samples in families)


def _of_devices(devices: list[Device], context: Context) -> list[tuple[str, str, Samples]]:
    rows = [context.row(one) for one in devices]

    def counted(column: str) -> Samples:
        return [({column: value}, number) for value, number in sorted(Counter(row[column] for row in rows).items())]

    return [
        ("fleetseal_devices", "Devices by the status shown first.", counted("status")),
        ("fleetseal_devices_https", "Devices by the column https.", counted("https")),
        ("fleetseal_devices_trust", "Devices by how far they are trusted.", counted("trust")),
    ]


async def _of_work(tx: Transaction) -> list[tuple[str, str, Samples]]:
    jobs, open_, waiting = await counts.jobs_by_status(tx), await alarms.open_by_cause(tx), await messages.waiting(tx)
    last, success = await nights.latest(tx), await nights.last_success(tx)
    return [
        ("fleetseal_jobs", "Jobs on record, by status.", [({"status": one}, jobs.get(one, 0)) for one in JobStatus]),
        (
            "fleetseal_alarms_open",
            "Open alarms.",
            [({"cause": cause, "severity": severity}, number) for (cause, severity), number in sorted(open_.items())],
        ),
        (
            "fleetseal_alarm_messages_waiting",
            "Messages about alarms that wait to be sent.",
            [({"channel": name}, number) for name, number in sorted(waiting.items())],
        ),
        (
            "fleetseal_nightly_last_begun_timestamp_seconds",
            "When a nightly run last began.",
            [] if last is None else [({}, last.begun.timestamp())],
        ),
        (
            "fleetseal_nightly_last_success_timestamp_seconds",
            "When a nightly run last ended well.",
            [] if success is None else [({}, success.timestamp())],
        ),
    ]


async def _of_certificates(tx: Transaction, now: datetime) -> list[tuple[str, str, Samples]]:
    *ending, installed = await counts.installed_until(tx, [now + timedelta(days=days) for days in WITHIN])
    labels = [*map(str, WITHIN), "+Inf"]
    ours = [(one, chain.describe(one.der)) for one in await authorities.every(tx) if one.der and one.state == "active"]
    return [
        (
            "fleetseal_certificates_ending",
            "Certificates of ours on devices that end within so many days.",
            [({"within_days": label}, number) for label, number in zip(labels, [*ending, installed], strict=True)],
        ),
        (
            "fleetseal_authority_not_after_timestamp_seconds",
            "When the certificate of a CA in use ends.",
            [
                ({"name": one.name, "role": one.role, "sha256": described.sha256}, described.not_after.timestamp())
                for one, described in ours
            ],
        ),
    ]


def _family(name: str, meaning: str, samples: Samples) -> str:
    lines = [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{'{' + shown + '}' if shown else ''} {value:.15g}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
