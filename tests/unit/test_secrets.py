"""SEC-SEALED, SEC-NO-LEAK: what is sealed opens in its own cell only, and a Secret shows itself to nobody."""

import copy
import os
import pickle
import stat
import sys
from pathlib import Path

import pytest

from fleetseal.core.errors import StoreError
from fleetseal.core.secrets import Sealer, Secret, load_or_create_key, write_private
from tests.support import FakeRng

KEY = bytes(range(32))
CELL = {"table": "device", "row": 7, "column": "password", "version": 3}
OTHER_CELLS = [CELL | {"table": "devices"}, CELL | {"row": 8}, CELL | {"column": "passwor"}, CELL | {"version": 4}]


def seal(sealer: Sealer, plaintext: bytes, cell: dict[str, object]) -> bytes:
    return sealer.seal(plaintext, **cell)  # type: ignore[arg-type]  # cells are plain data here


def unseal(sealer: Sealer, sealed: bytes, cell: dict[str, object]) -> bytes:
    return sealer.open(sealed, **cell)  # type: ignore[arg-type]  # cells are plain data here


def test_what_was_sealed_opens_in_its_cell() -> None:
    sealer = Sealer(KEY, FakeRng())
    assert unseal(sealer, seal(sealer, b"pass", CELL), CELL) == b"pass"


def test_sealing_twice_gives_different_bytes_without_the_plaintext() -> None:
    sealer = Sealer(KEY, FakeRng())
    first, second = seal(sealer, b"a long password", CELL), seal(sealer, b"a long password", CELL)
    assert first != second
    assert b"a long password" not in first + second


@pytest.mark.parametrize("cell", OTHER_CELLS)
def test_a_value_moved_to_another_cell_does_not_open(cell: dict[str, object]) -> None:
    sealer = Sealer(KEY, FakeRng())
    with pytest.raises(StoreError, match="cannot be opened"):
        unseal(sealer, seal(sealer, b"pass", CELL), cell)


def test_every_altered_byte_is_noticed() -> None:
    sealer = Sealer(KEY, FakeRng())
    sealed = seal(sealer, b"pass", CELL)
    for place in range(len(sealed)):
        altered = bytearray(sealed)
        altered[place] ^= 1
        with pytest.raises(StoreError):
            unseal(sealer, bytes(altered), CELL)
    for length in range(len(sealed)):
        with pytest.raises(StoreError):
            unseal(sealer, sealed[:length], CELL)


def test_another_key_or_purpose_does_not_open() -> None:
    sealed = seal(Sealer(KEY, FakeRng()), b"pass", CELL)
    for other in (Sealer(bytes(32), FakeRng()), Sealer(KEY, FakeRng(), purpose="something else")):
        with pytest.raises(StoreError):
            unseal(other, sealed, CELL)


def test_a_colon_cannot_make_two_cells_one() -> None:
    with pytest.raises(ValueError, match="colon"):
        Sealer(KEY, FakeRng()).seal(b"", table="a:1", row=2, column="b", version=1)


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(b"short", FakeRng())


def test_a_secret_is_shown_by_reveal_alone() -> None:
    secret = Secret("canary-7")
    assert secret.reveal() == "canary-7"
    for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]}", "%s" % secret, str({"p": secret})):  # noqa: UP031 - every way of formatting
        assert "canary" not in shown
    for written in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            written(secret)


def test_equality_of_secrets_tells_nothing() -> None:
    assert Secret("same") != Secret("same")


def test_the_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secrets.key"
    made = load_or_create_key(path, FakeRng())
    assert len(made) == 32
    assert load_or_create_key(path, FakeRng(b"another")) == made


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX file modes")
def test_the_key_is_readable_by_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secrets.key"
    former = os.umask(0)
    try:
        load_or_create_key(path, FakeRng())
    finally:
        os.umask(former)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_damaged_key_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    path.write_bytes(b"half")
    with pytest.raises(StoreError, match="damaged"):
        load_or_create_key(path, FakeRng())
    assert path.read_bytes() == b"half"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / ".file.new").mkdir()
    with pytest.raises(StoreError, match="Nothing was changed"):
        write_private(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_leftovers_of_a_crash_are_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".file.new").write_bytes(b"half")
    write_private(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
