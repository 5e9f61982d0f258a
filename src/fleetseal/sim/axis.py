"""A virtual device's voice: who may ask, what answers where (device-api 2 to 6).

Written from device-api.md and the recordings, never from the drivers that this package tests.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fleetseal.sim.cgi import Classic
from fleetseal.sim.device import Device
from fleetseal.sim.faults import Effects
from fleetseal.sim.http import Headers, Request, Response
from fleetseal.sim.jsoncgi import JsonCgi
from fleetseal.sim.login import Verdict
from fleetseal.sim.profile import Profile
from fleetseal.sim.rest import Rest
from fleetseal.sim.soap import Soap

Handler = Callable[[Request, str], Awaitable[Response]]
"""Answers a request of this user ("" when nobody logged in)."""

# 401-http-headers.txt and 401-https-headers.txt of the P3265-V
_APACHE_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("X-XSS-Protection", "1; mode=block"),
    (
        "Content-Security-Policy",
        "default-src 'self'; frame-ancestors 'self'; connect-src 'self' https://*.google-analytics.com"
        " https://*.analytics.google.com https://*.googletagmanager.com https://*.axis.com mediastream: blob:;"
        " script-src 'self' https://*.googletagmanager.com https://www.google-analytics.com"
        " https://ssl.google-analytics.com https://*.axis.com; style-src 'self' 'unsafe-inline'; img-src 'self'"
        " https://*.google-analytics.com https://*.googletagmanager.com https://*.axis.com data: blob:; media-src"
        " 'self' mediastream: blob:; object-src 'none'",
    ),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
)
_APACHE = "Apache/2.4.68 (Unix) OpenSSL/3.5.7"
_LOGIN_FORM = (  # that its title names the product is inferred: by address, nothing else of a switch tells
    "<html><head><title>{product}</title></head>"
    "<body><form method=post action=/login><input name=user><input name=pass></form></body></html>\n"
)


def _never(request: Request) -> bool:
    del request
    return False


@dataclass(frozen=True)
class _Route:
    handler: Handler
    anonymous: Callable[[Request], bool]
    role: str = "viewer"
    soap: bool = False
    limited: Callable[[Request], bool] = _never  # wants to hear that it is asked by software of the maker


def _writes(request: Request) -> bool:
    return request.query.get("action") == "update"


def _original(request: Request) -> bool:
    return request.query.get("Axis-Orig-Sw") == "true"


class Axis:
    """Answers for one device."""

    def __init__(self, device: Device) -> None:
        self.effects = Effects(lambda: device.faults)
        self._device = device
        self._classic, self._cgi = Classic(device, self.effects), JsonCgi(device, self.effects)
        self._soap, self._rest = Soap(device, self.effects), Rest(device, self.effects)
        self.refit()

    def refit(self) -> None:
        """What the profile of the device offers now is answered."""
        classic, cgi = self._classic, self._cgi
        offers = self._device.profile.interfaces
        routes = {
            "/axis-cgi/param.cgi": _Route(
                classic.param, classic.param_anonymous, limited=_writes if offers.limited else _never
            ),
            "/axis-cgi/usergroup.cgi": _Route(classic.usergroup, _never, limited=lambda request: offers.limited),
            "/axis-cgi/pwdgrp.cgi": _Route(classic.pwdgrp, classic.pwdgrp_anonymous, "admin"),
            "/axis-cgi/date.cgi": _Route(classic.date, _never),
            "/axis-cgi/factorydefault.cgi": _Route(classic.factory_default, _never, "admin"),
            "/axis-cgi/hardfactorydefault.cgi": _Route(classic.factory_default, _never, "admin"),
        }
        if offers.basic_device_info is not None:
            routes["/axis-cgi/basicdeviceinfo.cgi"] = _Route(cgi.basic_device_info, cgi.unrestricted)
        if offers.systemready is not None:
            routes["/axis-cgi/systemready.cgi"] = _Route(cgi.systemready, lambda request: True)
        if offers.api_discovery is not None:
            routes["/axis-cgi/apidiscovery.cgi"] = _Route(cgi.api_discovery, _never)
        if offers.time_cgi is not None:
            routes["/axis-cgi/time.cgi"] = _Route(cgi.time, _never)
        if offers.network_settings is not None:
            routes["/axis-cgi/network_settings.cgi"] = _Route(cgi.network_settings, _never, "admin")
            routes["/axis-cgi/firmwaremanagement.cgi"] = _Route(cgi.firmware, _never, "admin")
        if offers.soap:
            route = _Route(self._soap.answer, self._soap.anonymous, "admin", soap=True)
            routes |= dict.fromkeys(("/vapix/services", "/onvif/device_service", "/onvif/services"), route)
        self._routes = routes

    async def answer(self, request: Request) -> Response:
        """The device's answer. Raises Dropped when the faults lose it."""
        device = self._device
        if "%" in request.headers.get("host", ""):  # no host: Apache's check of bracketed addresses
            return Response.text("Bad Request\n", status=400, content_type="text/html")
        if device.faults.redirect_to is not None:
            return Response(302, headers=(("Location", device.faults.redirect_to),))
        if device.faults.busy:
            return Response(503)
        if device.profile.switch:
            return _switch(request, device.profile)
        if not request.secure and device.web.admin == "Https":
            return self._to_https(request)
        route = self._route(request.path)
        if route is not None and route.anonymous(request):
            return await route.handler(request, "")
        verdict = device.gate.check(request, device.schemes(secure=request.secure), device.faults, device.users)
        if verdict.user is None or (device.profile.interfaces.locked and route is not None and route.soap):
            return self._refused(verdict, request)
        if route is None:
            return not_found(request)
        if route.role not in device.groups[verdict.user] or (route.limited(request) and not _original(request)):
            return Response.text("Forbidden\n", status=403, content_type="text/html")
        return await route.handler(request, verdict.user)

    def headers(self, secure: bool) -> Headers:
        """What every answer of this web server carries."""
        if self._device.profile.login.apache:
            extra = () if secure else (("Upgrade", "h2"), ("Connection", "Upgrade"))
            return (("Server", _APACHE), *_APACHE_HEADERS, *extra)
        return () if self._device.profile.switch else (("Server", "Apache"),)

    def _route(self, path: str) -> _Route | None:
        known = self._routes.get(path)
        if known is None and self._device.profile.interfaces.rest and path.startswith("/config/"):
            return _Route(self._rest.answer, _never)
        return known

    def _refused(self, verdict: Verdict, request: Request) -> Response:
        device = self._device
        if verdict.status != 401:
            return Response.text("", status=verdict.status, content_type="text/html")
        schemes = device.schemes(secure=request.secure)
        challenges = device.gate.challenges(schemes, device.faults, stale=verdict.stale)
        headers = tuple(("WWW-Authenticate", challenge) for challenge in challenges)
        if device.profile.login.apache and request.path.startswith("/axis-cgi/"):
            body = b'{"error": {"code": 2001, "message": "Access forbidden"}}'  # inferred
            return Response(401, body, "application/json; charset=utf-8", headers, chunked=not request.secure)
        page = "<HTML><HEAD><TITLE>401 Unauthorized</TITLE></HEAD>\n<BODY><H1>401 Unauthorized</H1></BODY></HTML>\n"
        return Response(401, page.encode(), "text/html; charset=ISO-8859-1", headers)

    def _to_https(self, request: Request) -> Response:
        """Plain HTTP under HTTPS-only (device-api 19.3, inferred)."""
        host = self._device.identity.address
        host = f"[{host}]" if ":" in host else host
        return Response(301, headers=(("Location", f"https://{host}:{self._device.https_port}{request.target}"),))


def not_found(request: Request) -> Response:
    """apidiscovery-404.html of the P5512."""
    page = (
        "<HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD>\n<BODY><H1>404 Not Found</H1>\n"
        f"The requested URL {request.path} was not found on this server.\n</BODY></HTML>\n"
    )
    return Response.text(page, status=404, content_type="text/html; charset=ISO-8859-1")


def _switch(request: Request, profile: Profile) -> Response:
    """An OEM switch: a login form, and nothing of ours (device-api 15.3)."""
    elsewhere = profile.interfaces.elsewhere
    if request.path == "/" or elsewhere == "page":
        return Response.text(_LOGIN_FORM.format(product=profile.product.short_name), content_type="text/html")
    if elsewhere == "redirect":
        return Response(302, headers=(("Location", "/"),))
    return Response.text("<html><body>Not Found</body></html>\n", status=404, content_type="text/html")
