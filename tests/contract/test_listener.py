"""The door to the API of one process."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fleetseal.core.runtime import SystemRng
from fleetseal.web.listener import Listener

pytestmark = pytest.mark.enable_socket


async def nobody(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nobody asks")


async def test_a_door_that_was_closed_is_not_opened_any_more(tmp_path: Path) -> None:
    """A command may end just when its door is about to open: it would be held open for ever."""
    listener = Listener(nobody, tmp_path, SystemRng())
    await listener.close()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        await listener.open(group)
    assert list(tmp_path.iterdir()) == []
