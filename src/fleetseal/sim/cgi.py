"""The classic CGIs: `param.cgi`, `usergroup.cgi`, `pwdgrp.cgi`, `date.cgi` (device-api 2.2, 4, 13)."""

from collections.abc import Callable
from datetime import UTC, datetime

from fleetseal.sim import fate
from fleetseal.sim.device import GROUPS, Device
from fleetseal.sim.faults import Act, Effects
from fleetseal.sim.http import Request, Response
from fleetseal.sim.keystore import Refusal
from fleetseal.sim.zone import to_local, to_utc

_NO_PARAMETERS = ("action", "Axis-Orig-Sw")
_READABLE_BEFORE_SETUP = ("System.RootPwdSet", "Brand")


class Classic:
    def __init__(self, device: Device, effects: Effects) -> None:
        self._device = device
        self._effects = effects

    def param_anonymous(self, request: Request) -> bool:
        """In factory state of the older firmware the set-up page reads its flag without a login (inferred)."""
        device = self._device
        if not (device.needs_setup and device.profile.login.root_exists):
            return False
        groups = request.query.get("group", "").split(",")
        readable = all(group.removeprefix("root.") in _READABLE_BEFORE_SETUP for group in groups)
        return request.query.get("action") == "list" and readable

    async def param(self, request: Request, user: str) -> Response:
        query = request.query
        if request.method == "POST" and self._device.profile.interfaces.get_only:
            return Response.text("# Error: action must be specified\n")
        match query.get("action"):
            case "list":
                return Response.text(self._device.parameters.listing(query.get("group", "")))
            case "update":
                if user and "admin" not in self._device.groups[user]:
                    return Response.text("Forbidden\n", status=403)
                return await self._update(query)
            case _:
                return Response.text("# Error: action must be specified\n")

    async def _update(self, query: dict[str, str]) -> Response:
        wanted = {name.removeprefix("root."): value for name, value in query.items() if name not in _NO_PARAMETERS}

        async def act() -> Response:
            try:
                missing = self._device.set_parameters(wanted)
            except Refusal as refusal:
                return Response.text(f"# Error: Error setting '{refusal.text}'\n")
            lines = [f"# Error: Error setting '{name}' to '{wanted[name]}'!" for name in missing]
            return Response.text("\n".join(lines or ["OK"]) + "\n")

        return await self._perform("set_params", act, "OK\n")

    async def usergroup(self, request: Request, user: str) -> Response:
        del request
        return Response.text(f"{user}\n{' '.join(self._device.groups[user])}\n")

    def pwdgrp_anonymous(self, request: Request) -> bool:
        """In factory state the first administrator is made without a login (device-api 4.2)."""
        get_only = self._device.faults.setup_by_get or self._device.profile.interfaces.get_only
        return self._device.needs_setup and not (get_only and request.method == "POST")

    async def pwdgrp(self, request: Request, user: str) -> Response:
        query, device = request.query, self._device
        actions: dict[str, Callable[[], str]] = {"add": lambda: self._add(query), "update": lambda: self._change(query)}
        action = query.get("action", "")
        if action == "get" and user:
            lines = [f'{group}="{",".join(n for n in device.users if group in device.groups[n])}"' for group in GROUPS]
            lines.append(f'digusers="{",".join(device.users)}"')
            return Response.text("\n".join(lines) + "\n")
        if action == "remove" and user:
            actions["remove"] = lambda: self._remove(query.get("user", ""))
        if action not in actions:
            return Response.text("Error: action must be specified\n")

        async def act() -> Response:
            return Response.text(actions[action](), content_type="text/html")

        return await self._perform("create_user", act, "Created account.\n")

    def _add(self, query: dict[str, str]) -> str:
        name, device = query.get("user", ""), self._device
        if not name or name in device.users:
            return "Error: account already exists.\n" if name else "Error: no user name.\n"
        if device.needs_setup and device.profile.login.root_exists and name != "root":
            return "Error: the password of root is to be set first.\n"
        groups = tuple(group for group in GROUPS if group in query.get("sgrp", "").split(":"))
        if device.needs_setup and "admin" not in groups:
            return "Error: the first account must be an administrator.\n"
        if not self._strong(query.get("pwd", "")):
            return "Error: the password does not meet the policy.\n"
        device.add_user(name, query.get("pwd", ""), groups)
        return f"Created account {name}.\n"

    def _change(self, query: dict[str, str]) -> str:
        name, device = query.get("user", ""), self._device
        fresh_root = device.needs_setup and device.profile.login.root_exists and name == "root"
        if name not in device.users and not fresh_root:
            return "Error: no such account.\n"
        if "pwd" in query and not self._strong(query["pwd"]):
            return "Error: the password does not meet the policy.\n"
        groups = device.groups.get(name, GROUPS)
        device.add_user(name, query.get("pwd", device.users.get(name, "")), groups)
        return f"Modified account {name}.\n"

    def _strong(self, password: str) -> bool:
        """By the policy of this device (device-api 4.1)."""
        kinds = (str.isupper, str.islower, str.isdigit, lambda character: not character.isalnum())
        match self._device.faults.passphrase_policy:
            case "length":
                return len(password) >= 15
            case "complex":
                return len(password) >= 12 and all(any(map(kind, password)) for kind in kinds)
            case _:
                return True

    def _remove(self, name: str) -> str:
        if self._device.users.pop(name, None) is None:
            return "Error: no such account.\n"
        del self._device.groups[name]
        return f"Removed account {name}.\n"

    async def factory_default(self, request: Request, user: str) -> Response:
        """`factorydefault.cgi` (soft) and `hardfactorydefault.cgi` (device-api 13.1)."""
        del user
        page = '<html><head><meta http-equiv="refresh" content="30; url=/"></head><body></body></html>\n'

        async def act() -> Response:
            await fate.factory_default(self._device, hard=request.path.endswith("/hardfactorydefault.cgi"))
            return Response.text(page, content_type="text/html")

        return await self._perform("factory_default", act, page)

    async def date(self, request: Request, user: str) -> Response:
        """`date.cgi`: local time, both ways (device-api 13)."""
        device, query = self._device, request.query
        if query.get("action") == "get":
            local = to_local(device.now(), device.profile.time_zone, daylight=device.daylight)
            return Response.text(f"{local:%b %d, %Y %H:%M:%S}\n")
        if query.get("action") != "set" or "admin" not in device.groups[user]:
            return Response.text("Request failed: action must be specified\n")

        async def act() -> Response:
            now = to_local(device.now(), device.profile.time_zone, daylight=device.daylight)
            fields = ("year", "month", "day", "hour", "minute", "second")
            try:
                wanted = datetime(*(int(query.get(name, getattr(now, name))) for name in fields), tzinfo=UTC)  # type: ignore[misc,arg-type]  # six numbers
            except ValueError:
                return Response.text("Request failed: Invalid date\n")
            device.set_clock(to_utc(wanted, device.profile.time_zone, daylight=device.daylight))
            return Response.text("OK\n")

        return await self._perform("set_clock", act, "OK\n")

    async def _perform(self, verb: str, act: Act, hollow: str) -> Response:
        broken = Response.text("Internal Server Error\n", status=500, content_type="text/html")
        return await self._effects.perform(verb, act, hollow=Response.text(hollow), broken=broken)
