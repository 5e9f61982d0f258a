import asyncio

import pytest

from .conversations import Conversations, recorded
from .harness import Fuzz


@pytest.fixture
def fuzz(request: pytest.FixtureRequest) -> Fuzz:
    return Fuzz(request.config.getoption("--fuzz-answers"), request.config.getoption("--fuzz-seed"))


@pytest.fixture(scope="session")
def conversations() -> Conversations:
    return asyncio.run(recorded())
