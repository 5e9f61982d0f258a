"""What every use case works with. Built once, in app.py."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from fleetseal.core.config import Settings, Sources
from fleetseal.core.passwords import Passwords
from fleetseal.core.runtime import Clock, LocalZone, Rng, SystemClock
from fleetseal.core.secrets import Sealer
from fleetseal.devices.driver import Connector
from fleetseal.notify.sender import Send, Sender
from fleetseal.pki.issuer import Vault
from fleetseal.store.database import Database

_HERE = LocalZone()
_SENDER = Sender(SystemClock())


def _disk(path: Path) -> tuple[int, int]:
    """Raises OSError."""
    usage = shutil.disk_usage(path)
    return usage.total, usage.free


@dataclass(frozen=True)
class Services:
    data: Path  # the data directory
    database: Database
    clock: Clock
    rng: Rng
    sealer: Sealer  # secrets.key: device credentials
    vault: Vault  # signer.key and open CA keys; the only holder of key objects
    connect: Callable[[Settings], Connector]  # a connector under the settings as they are now
    sources: Sources  # environment and settings file; `operations.settings.current` adds the database
    send: Send = _SENDER  # carries one message about alarms out of the house
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)  # one round of messages at a time
    passwords: Passwords = field(default_factory=Passwords)  # of people who sign in
    disk: Callable[[Path], tuple[int, int]] = _disk  # bytes of the file system that holds a path: all, and free
    zone: tzinfo = _HERE  # in which `renewal.window` is read
    failpoint: Callable[[str], None] = lambda _: None  # told where a crash would matter; crash tests end there
