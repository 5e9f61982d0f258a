"""Certificate authorities: rows of table `authority`. Keys are files in DATA/ca, never rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Row

from fleetseal.core.errors import NotFound
from fleetseal.core.model import AuthorityId
from fleetseal.store.database import Transaction
from fleetseal.store.schema import authority


@dataclass(frozen=True)
class AuthorityRecord:
    """`state`: `requested` (a ceremony or a request is under way), `successor` (trusted already, signs nothing yet),
    `active`, `replaced` (trusted, signs CRLs only), `retired` (trusted no more), `trust-only`, or `abandoned` (a
    ceremony that did not end; nothing of it is usable)."""

    id: AuthorityId
    name: str
    role: str  # root | intermediate
    parent_id: AuthorityId | None
    der: bytes | None
    request_der: bytes | None
    sha256: str | None
    tiers: int
    signs_leaves: bool
    key_file: str | None
    key_sealing: str | None
    remembered: bool
    state: str
    last_signed: datetime | None
    created: datetime

    @property
    def in_use(self) -> bool:
        """It signs, will sign or signed for us, and is trusted for it."""
        return self.state in ("successor", "active", "replaced")

    @property
    def ours(self) -> bool:
        """As `in_use`, or it was so once."""
        return self.in_use or self.state == "retired"


async def add(
    tx: Transaction,
    *,
    name: str,
    role: str,
    tiers: int,
    signs_leaves: bool,
    state: str,
    created: datetime,
    **columns: Any,
) -> AuthorityId:
    """A new row; `columns` are the optional ones."""
    values = {"name": name, "role": role, "tiers": tiers, "signs_leaves": signs_leaves, "state": state}
    inserted = await tx.execute(insert(authority).values(**values, created=created, **columns))
    return AuthorityId(inserted.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted


async def change(tx: Transaction, id_: AuthorityId, **columns: Any) -> None:
    await tx.execute(update(authority).where(authority.c.id == id_).values(**columns))


async def get(tx: Transaction, id_: AuthorityId) -> AuthorityRecord:
    row = (await tx.execute(select(authority).where(authority.c.id == id_))).first()
    if row is None:
        raise NotFound(f"There is no CA {id_}.")
    return _record(row)


async def every(tx: Transaction) -> tuple[AuthorityRecord, ...]:
    """Oldest first, abandoned ones left out."""
    rows = await tx.execute(select(authority).where(authority.c.state != "abandoned").order_by(authority.c.id))
    return tuple(_record(row) for row in rows)


async def ever_signed(tx: Transaction) -> tuple[AuthorityRecord, ...]:
    """Every CA that has a certificate, abandoned ones too: their names are not used again."""
    rows = await tx.execute(select(authority).where(authority.c.der.is_not(None)).order_by(authority.c.id))
    return tuple(_record(row) for row in rows)


async def upward(tx: Transaction, id_: AuthorityId) -> tuple[AuthorityRecord, ...]:
    """This CA and those above it, to the highest that is known."""
    found = [await get(tx, id_)]
    while (parent := found[-1].parent_id) is not None:
        found.append(await get(tx, parent))
    return tuple(found)


async def find_signing(tx: Transaction) -> AuthorityRecord | None:
    """The active CA that signs device certificates."""
    query = select(authority).where(
        authority.c.state == "active", authority.c.signs_leaves, authority.c.key_file.is_not(None)
    )
    row = (await tx.execute(query.order_by(authority.c.id.desc()).limit(1))).first()
    return None if row is None else _record(row)


def _record(row: Row[Any]) -> AuthorityRecord:
    return AuthorityRecord(**row._mapping)
