"""One process at a time owns a data directory: it holds `DATA/lock`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleetseal.core.errors import InUse, StoreError


@contextmanager
def owned(data: Path) -> Iterator[None]:
    """`data` exists, belongs to this user alone (0700), and to this process until the block ends.

    Raises InUse when it is another's, StoreError when it cannot be used.
    """
    from filelock import FileLock, Timeout

    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name != "nt" and data.stat().st_mode & 0o077:
            data.chmod(0o700)
        lock = FileLock(data / "lock", timeout=0, mode=0o600, thread_local=False)
        lock.acquire()
    except Timeout:
        raise InUse(
            f"Another process uses the data directory {data} and does not answer. Wait, or end that process."
        ) from None
    except OSError as error:
        raise StoreError(f"The data directory {data} cannot be used: {error.strerror}. Nothing was done.") from error
    try:
        yield
    finally:
        lock.release()
