"""Work side by side: results in order, and the first failure as it was raised."""

import asyncio

import pytest

from fleetseal.core.errors import StoreError
from fleetseal.core.runtime import side_by_side


async def test_results_come_in_the_order_of_the_work() -> None:
    first_may_end = asyncio.Event()

    async def slow() -> str:
        await first_may_end.wait()
        return "slow"

    async def quick() -> str:
        first_may_end.set()
        return "quick"

    assert await side_by_side([slow(), quick()], at_once=2) == ["slow", "quick"]


async def test_a_failure_is_raised_as_it_is_and_cancels_the_others() -> None:
    ended = []

    async def failing() -> None:
        raise StoreError("The disk is full.")

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(StoreError):
        await side_by_side([endless(), failing()], at_once=2)
    assert ended == [True]
