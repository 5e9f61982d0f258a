"""All tables, whichever module describes them: for migrations, which compare and make them together."""

from fleetseal.store import change_log, outbox
from fleetseal.store.schema import metadata

__all__ = ["change_log", "metadata", "outbox"]
