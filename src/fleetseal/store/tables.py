"""All tables, whichever module describes them: for migrations, which compare and make them together."""

from fleetseal.store import accounts, change_log, device_listing, outbox, repeats
from fleetseal.store.schema import metadata

__all__ = ["accounts", "change_log", "device_listing", "metadata", "outbox", "repeats"]
