"""What takes the place of what, from the states of CAs alone."""

import pytest

from fleetseal.core.model import AuthorityId, DeviceId
from fleetseal.operations import succession
from fleetseal.operations.succession import Phase, Succession
from fleetseal.store.authorities import AuthorityRecord
from tests.support import NOW


def ca(id_: int, state: str, parent: int | None = None, *, key: bool = True) -> AuthorityRecord:
    return AuthorityRecord(
        id=AuthorityId(id_),
        name="CA",
        role="intermediate" if parent else "root",
        parent_id=None if parent is None else AuthorityId(parent),
        der=b"",
        request_der=None,
        sha256=None,
        tiers=2,
        signs_leaves=bool(parent),
        key_file="key" if key else None,
        key_sealing="signer" if key else None,
        remembered=False,
        state=state,
        last_signed=None,
        created=NOW,
    )


CASES = {
    "one CA": ([ca(1, "active"), ca(2, "active", 1)], [], [], []),
    "an issuing CA": ([ca(1, "active"), ca(2, "replaced", 1), ca(3, "active", 1)], [], [2], []),
    "introducing": (
        [ca(1, "active"), ca(2, "active", 1), ca(3, "successor"), ca(4, "successor", 3)],
        [],
        [],
        [3, 4],
    ),
    "a root": ([ca(1, "replaced"), ca(2, "replaced", 1), ca(3, "active"), ca(4, "active", 3)], [1, 2], [], []),
    "a root, and then an issuing CA": (
        [ca(1, "replaced"), ca(2, "replaced", 1), ca(3, "active"), ca(4, "replaced", 3), ca(5, "active", 3)],
        [1, 2],
        [4],
        [],
    ),
    "retired": ([ca(1, "retired"), ca(2, "retired", 1), ca(3, "active"), ca(4, "active", 3)], [], [1, 2], []),
    "imported CAs under one root of the site's own": (
        [ca(1, "active", key=False), ca(2, "replaced", 1), ca(3, "active", 1)],
        [2],
        [],
        [],
    ),
    "an imported CA that is introduced, with the root above it": (
        [ca(1, "active"), ca(2, "active", 1), ca(3, "successor", key=False), ca(4, "successor", 3)],
        [],
        [],
        [3, 4],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_who_goes_and_who_comes(name: str) -> None:
    known, outgoing, superseded, introduced = CASES[name]
    assert [one.id for one in succession.outgoing(tuple(known))] == outgoing
    assert [one.id for one in succession.superseded(tuple(known))] == superseded
    assert sorted(one.id for one in succession.introduced(tuple(known))) == introduced


@pytest.mark.parametrize(
    ("devices", "left", "coverage"), [(0, 0, 100), (3, 0, 100), (3, 1, 66), (1000, 1, 99), (1000, 999, 0), (2, 3, 0)]
)
def test_coverage_is_complete_only_when_it_is(devices: int, left: int, coverage: int) -> None:
    """(2, 3): a device that was enabled in between holds what it should not."""
    found = Succession(True, Phase.TRUST, devices, tuple(map(DeviceId, range(left))))
    assert found.coverage == coverage
