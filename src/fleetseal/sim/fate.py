"""What happens to devices between two looks: a reset, another firmware, another place (device-api 10.3, 13.1)."""

from dataclasses import dataclass, replace

from fleetseal.sim.device import DEFAULT_ALIAS, Device
from fleetseal.sim.profile import Profile

_KEPT_BY_SOFT = ("EAPTLS_WIRED", "EAPTLS_WIRED_SERVER")
_STATE = ("users", "groups", "store", "web", "first_bound", "started")


@dataclass(frozen=True)
class Place:
    """Where a device answers."""

    address: str
    http_port: int
    https_port: int


async def factory_default(device: Device, *, hard: bool) -> None:
    """Users, settings, keys and certificates are gone. What the maker put there stays; after a soft default also what
    802.1X uses. Its address stays, though a hard default may change it: `Fleet.place` moves devices. A restart is due.
    """
    kept = {} if hard else {name: used for name, used in device.cert_sets.items() if name in _KEPT_BY_SOFT}
    aliases = {alias for used in kept.values() for alias in used}
    fresh = Device(
        device.profile, replace(device.identity, setup_done=False), around=device.around, faults=device.faults
    )
    for entry in (*device.store.keys, *device.store.authorities):
        if entry.factory or entry.alias in aliases:
            fresh.store.add(entry)
    await fresh.manufacture()
    for name in _STATE:
        setattr(device, name, getattr(fresh, name))
    device.cert_sets = kept
    device.refit(device.profile)
    device.changed.set()


async def install_firmware(device: Device, profile: Profile, *, new_certificate: bool) -> None:
    """It is the same product with the firmware of `profile`, and its users, settings and certificates (inferred: no
    recording shows an update). With `new_certificate` it made its own self-signed one anew (inferred as well). A
    restart is due."""
    new = profile.product
    product = replace(device.profile.product, firmware=new.firmware, build_date=new.build_date)
    device.refit(replace(profile, product=product))
    if new_certificate:
        device.store.remove(DEFAULT_ALIAS)
        await device.make_default()
    device.changed.set()
