"""Which devices a command means, the same for every command."""

from typing import Annotated, Any

from cyclopts import Parameter

from fleetseal.cli.common import Flag, Names
from fleetseal.core.errors import InvalidInput

Devices = Annotated[str, Parameter(name="DEVICE", help="MAC or serial, address, host name, or id.")]
Everything = Annotated[Flag, Parameter(name="--all", help="Every device of the inventory.")]
Filters = Annotated[
    Names,
    Parameter(
        name="--filter",
        help="Devices that match: words are substrings, column:value and firmware:<9.80 restrict. "
        "May be given several times; all must match.",
    ),
]


def selection(devices: tuple[str, ...], filters: tuple[str, ...], *, everything: bool = False) -> dict[str, Any]:
    """As the API takes it. Raises InvalidInput when nothing, or two different things, are meant."""
    if not (devices or filters or everything):
        raise InvalidInput("No device is named: name one or more, or choose by --filter or --all where it is offered.")
    if devices and (filters or everything):
        raise InvalidInput("Name devices, or choose them by --all or --filter, not both.")
    return {"devices": list(devices), "all": everything, "filters": list(filters)}
