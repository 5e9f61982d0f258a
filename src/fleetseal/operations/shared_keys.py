"""Keys of different devices that share a prime: the nightly look for broken generators (ISS-KEY-PROVED)."""

import asyncio
import base64
from collections import defaultdict
from typing import Final

from fleetseal.core.model import mac_of
from fleetseal.operations.services import Services
from fleetseal.pki import shared_primes
from fleetseal.store import alarms, certificates, inventory
from fleetseal.store.certificates import DeviceKey

CAUSE: Final = "shared-prime"


async def check_keys(services: Services) -> int:
    """Every RSA key that was ever to be certified here is compared with every other; on how many devices of the
    inventory the key in use shares a prime. One alarm for each of them is open, and for no other (ALM-TRUE)."""
    async with services.database.reading() as tx:
        keys = await certificates.device_keys(tx)
        devices = {device.id: device for device in await inventory.every(tx)}
    found = await asyncio.to_thread(_sharing, keys)
    broken = {devices[key.device_id].label: others for key, others in found if key.in_use and key.device_id in devices}
    now = services.clock.now()
    async with services.database.transaction() as tx:
        for alarm in await alarms.open_alarms(tx):
            if alarm.cause == CAUSE and alarm.object not in broken:
                await alarms.close_alarm(tx, now=now, cause=CAUSE, object=alarm.object)
        for label, others in broken.items():
            await alarms.raise_alarm(
                tx, now=now, cause=CAUSE, object=label, severity="critical", message=_message(label, others)
            )
    return len(broken)


def _sharing(keys: list[DeviceKey]) -> list[tuple[DeviceKey, list[DeviceKey]]]:
    """Each key that shares a prime with keys of other devices, and those."""
    moduli = {}
    for key in keys:
        if (modulus := shared_primes.modulus(base64.b64decode(key.content["spki"]))) is not None:
            moduli[modulus] = key
    found: defaultdict[int, list[DeviceKey]] = defaultdict(list)
    for one, other in shared_primes.pairs_with_common_factor(moduli):
        found[one].append(moduli[other])
        found[other].append(moduli[one])
    return [(moduli[modulus], others) for modulus, others in found.items()]


def _message(label: str, others: list[DeviceKey]) -> str:
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    other = mac_of(others[0].mac) if others[0].mac else f"device {others[0].device_id}"
    return (
        f"The key of {label} shares a prime with a key made for {other}{more}: anybody can compute both. "
        "The generator that made them is broken. Update the firmware, then give it another key: "
        f"fleetseal https enable {label} --renew."
    )
