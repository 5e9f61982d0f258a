"""Named credentials: tried, in order, on devices of the inventory that have no login."""

from fleetseal.core.errors import InvalidInput
from fleetseal.core.model import Login
from fleetseal.core.text import timestamp
from fleetseal.operations.adding import check_label
from fleetseal.operations.listing import Row
from fleetseal.operations.services import Services
from fleetseal.store import audit, credentials


async def add(services: Services, *, actor: str, name: str, login: Login) -> list[Row]:
    """It is tried, after those before it, whenever a device without a login is looked at. All, as `list_` has them.

    Raises InvalidInput, and Conflict when the name is taken.
    """
    check_label("name", name)
    if not (1 <= len(login.username) <= 64 and login.username.isprintable()):
        raise InvalidInput("A user name has 1 to 64 printable characters.")
    if not login.password:
        raise InvalidInput("The password is empty.")
    now = services.clock.now()
    async with services.database.transaction() as tx:
        await credentials.add(tx, services.sealer, name=name, login=login, now=now)
        await audit.record(
            tx, now=now, actor=actor, action="credential add", object=name, detail={"username": login.username}
        )
    return await list_(services)


async def list_(services: Services) -> list[Row]:
    """`{"name","username","added"}` of each, in the order in which they are tried."""
    async with services.database.reading() as tx:
        rows = await credentials.listed(tx)
    return [{"name": row.name, "username": row.username, "added": timestamp(row.added)} for row in rows]


async def remove(services: Services, *, actor: str, name: str) -> list[Row]:
    """It is tried no more; devices that took it keep their login. Those that are left. Raises NotFound."""
    async with services.database.transaction() as tx:
        await credentials.remove(tx, name)
        await audit.record(tx, now=services.clock.now(), actor=actor, action="credential remove", object=name)
    return await list_(services)
