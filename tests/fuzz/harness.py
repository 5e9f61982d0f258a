"""How many cases a test has, where their chance comes from, and what may come of one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from random import Random  # noqa: TID251 - the same damage in every run
from time import perf_counter

import pytest

from fleetseal.core.errors import FleetsealError

SLOWEST = 3.0
"""Seconds that one answer may cost, with room for a busy computer: most take less than a thousandth."""


@dataclass(frozen=True)
class Fuzz:
    """`answers` in all, from this seed."""

    answers: int
    seed: int

    def cases(self, name: str, *, share: float, part: int = 0, parts: int = 1) -> Iterator[tuple[str, Random]]:
        """Each with a label by which it is found again; `share` of all answers, in this many parts."""
        for number in range(max(1, int(self.answers * share / parts))):
            label = f"--fuzz-seed {self.seed}, {name} {part}, case {number}"
            yield label, Random(label)


@contextmanager
def only_our_errors(label: str, *hurt: object) -> Iterator[None]:
    """What happens within ends soon, with an error of ours that can be shown, or none."""
    began = perf_counter()
    try:
        yield
    except FleetsealError as error:
        if not error.message.isprintable() or len(error.message) >= 1000:
            pytest.fail(f"{label}: no message for people: {error.message!r}")
    except Exception as error:
        pytest.fail(f"{label}: {type(error).__name__}: {error} on {hurt!r:.2000}")
    took = perf_counter() - began
    assert took < SLOWEST, f"{label}: {took:.1f} s for {hurt!r:.2000}"


def assert_storable(value: object) -> None:
    """All text in it can be written as UTF-8: into a database, a file, a request."""
    match value:
        case str():
            value.encode()
        case Mapping():
            for key, inner in value.items():
                assert_storable(key)
                assert_storable(inner)
        case tuple() | list() | frozenset():
            for inner in value:
                assert_storable(inner)
        case _ if is_dataclass(value):
            for field in fields(value):
                assert_storable(getattr(value, field.name))
