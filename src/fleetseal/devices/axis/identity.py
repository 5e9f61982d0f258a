"""Who a device is: before a login, and after it (device-api 3, 4)."""

from collections.abc import Mapping
from dataclasses import dataclass

from fleetseal.core.errors import (
    CredentialsNeeded,
    InvalidInput,
    NotSupported,
    PermissionDenied,
    ProtocolViolation,
    Rejected,
)
from fleetseal.core.model import DeviceFacts, Login, Serial, serial_of
from fleetseal.core.text import clean
from fleetseal.devices.axis import setup, wire_cgi, wire_json
from fleetseal.devices.http import Ask
from fleetseal.devices.transport import T, Transport

_GROUPS = (
    "Brand",
    "Properties.Firmware",
    "Properties.System",
    "Properties.API.WebService",
    "Network.HostName",
    "Network.VolatileHostName",
    "System.BoaPort",
    "HTTPS.Port",
    wire_cgi.POLICIES,
)


@dataclass(frozen=True)
class Stranger:
    """What a device says without a login."""

    properties: Mapping[str, str] | None  # None: it wants a login first, or does not know the question
    needs_setup: bool | None
    passphrase_policy: str | None = None  # of the first administrator's password; None: it does not say

    @property
    def serial(self) -> Serial | None:
        return serial_of((self.properties or {}).get("SerialNumber", ""))

    @property
    def facts(self) -> DeviceFacts | None:
        serial = self.serial
        if self.properties is None or serial is None:
            return None
        return _facts(serial, self.properties, {}, needs_setup=bool(self.needs_setup))


@dataclass(frozen=True)
class Known:
    """What a device says to an administrator."""

    facts: DeviceFacts
    web_service: bool  # SOAP (device-api 1, probe 3)
    policy_parameters: bool  # the connection policy is a parameter (device-api 6.5)


async def meet(transport: Transport) -> Stranger:
    """Ask what needs no login; not one credential byte is sent."""
    properties = await _if_told(transport, wire_json.unrestricted_properties())
    ready = await _if_told(transport, wire_json.system_ready())
    needs_setup: bool | None = None
    if ready is not None:
        needs_setup = ready.needs_setup
    else:  # firmware before 9.50
        flag = await _if_told(transport, wire_cgi.list_parameters("System.RootPwdSet", anonymous=True))
        if flag is not None and "System.RootPwdSet" in flag:
            needs_setup = flag["System.RootPwdSet"] == "no"
    return Stranger(properties, needs_setup, None if ready is None else ready.passphrase_policy)


async def set_up(transport: Transport, stranger: Stranger, login: Login) -> None:
    """The device was sent its first administrator, and did not say no. Raises InvalidInput, sending nothing, for what
    it would refuse; Rejected when it refuses; OutcomeUnknown."""
    firmware = (stranger.properties or {}).get("Version", "")
    problem = setup.user_problem(login.username, firmware) or setup.password_problem(
        login.password, stranger.passphrase_policy
    )
    if problem is not None:
        raise InvalidInput(f"{problem} Nothing was sent.")
    *earlier, last = setup.first_administrator(login, firmware)
    for ways in earlier:
        try:
            await _post_or_get(transport, ways)
        except Rejected:
            continue  # no such user here: the next way makes it
        return
    try:
        await _post_or_get(transport, last)
    except Rejected as error:
        if login.username == "root" or firmware:
            raise
        raise Rejected(
            f"{error.message} Before AXIS OS 11.6 the first administrator is always root.",
            vendor_code=error.vendor_code,
            vendor_text=error.vendor_text,
        ) from error


async def _post_or_get(transport: Transport, ways: tuple[Ask[None], Ask[None]]) -> None:
    post, get = ways
    try:
        await transport.ask(post)
    except (CredentialsNeeded, NotSupported):
        try:
            await transport.ask(get)
        except (CredentialsNeeded, NotSupported, PermissionDenied) as error:
            raise Rejected(
                "The device does not take a first administrator, though it says that it is in factory state."
            ) from error


async def log_in(transport: Transport) -> None:
    """The login works and is an administrator's. Raises AuthenticationFailed, PermissionDenied."""
    try:
        name, groups = await transport.ask(wire_cgi.user_groups())
    except PermissionDenied:
        name, groups = await transport.ask(wire_cgi.user_groups(limited=True))
    except NotSupported:
        await transport.ask(wire_cgi.accounts())
        return
    if "admin" not in groups:
        raise PermissionDenied(
            f"The user “{clean(name, limit=40)}” is no administrator of {transport.endpoint.host}. "
            "Certificates need an administrator."
        )


async def know(transport: Transport, stranger: Stranger) -> Known:
    """Read, logged in, what the device is. ProtocolViolation if it does not say its serial number."""
    parameters = await transport.ask(wire_cgi.list_parameters(*_GROUPS))
    properties = stranger.properties or {}
    serial = serial_of(parameters.get("Properties.System.SerialNumber") or properties.get("SerialNumber", ""))
    if serial is None:
        raise ProtocolViolation(f"{transport.endpoint.host} does not tell its serial number.")
    facts = _facts(serial, properties, parameters, needs_setup=False)
    return Known(
        facts,
        web_service=parameters.get("Properties.API.WebService.WebService") == "yes",
        policy_parameters=f"{wire_cgi.POLICIES}.admin" in parameters,
    )


async def _if_told(transport: Transport, question: Ask[T]) -> T | None:
    """The answer; None if the device wants a login first, or does not know the question (device-api 3.1)."""
    try:
        return await transport.ask(question)
    except (CredentialsNeeded, NotSupported, PermissionDenied, Rejected):
        return None


def _facts(
    serial: Serial, properties: Mapping[str, str], parameters: Mapping[str, str], *, needs_setup: bool
) -> DeviceFacts:
    host_name = parameters.get("Network.VolatileHostName.HostName") or parameters.get("Network.HostName")
    return DeviceFacts(
        serial=serial,
        model=clean(parameters.get("Brand.ProdNbr") or properties.get("ProdNbr", ""), limit=60),
        product_type=clean(parameters.get("Brand.ProdType") or properties.get("ProdType", ""), limit=60),
        firmware=clean(parameters.get("Properties.Firmware.Version") or properties.get("Version", ""), limit=30),
        needs_setup=needs_setup,
        host_name=clean(host_name, limit=253) if host_name else None,
        http_port=_port(parameters.get("System.BoaPort", "")),
        https_port=_port(parameters.get("HTTPS.Port", "")),
    )


def _port(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536 else None
