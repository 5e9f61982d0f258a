"""The order of the tests, and how much is fuzzed and killed."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it has no stubs

from tests.support import LOGGERS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz-answers", type=int, default=100_000, help="mutated answers of devices (100000)")
    parser.addoption("--fuzz-seed", type=int, default=1, help="where their mutation begins (1)")
    parser.addoption("--every-kill", action="store_true", help="single kills: every point on every profile")


def pytest_report_header(config: pytest.Config) -> str:
    answers, seed = config.getoption("--fuzz-answers"), config.getoption("--fuzz-seed")
    return f"fuzz: {answers} mutated answers, --fuzz-seed {seed}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first, so that no worker is left with one at the end: those with many nights or processes."""
    items.sort(key=lambda item: (item.path.name != "test_torture.py", {"e2e", "docs"}.isdisjoint(item.path.parts)))


@pytest.fixture(autouse=True)
def logging_is_as_before() -> Iterator[None]:
    """What a command inside a test chose for the records of everybody ends with it: its stream does, too."""
    before = [(one, one.handlers[:], one.level, one.propagate) for one in map(logging.getLogger, LOGGERS)]
    yield
    for logger, handlers, level, propagate in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # as above
    """Tests go one by one to whoever is free; those of a module in tests/web together, because they share a site."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if module.startswith("tests/web/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)
