"""Every quirk of the devices, by number: the simulator shows it, and what speaks to devices copes.

`QUIRKS` is copied from device-api 16, in its order. What copes with a quirk as a whole job is tested elsewhere and
named in the docstring.
"""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fleetseal.core.errors import NotSupported, OutcomeUnknown, Rejected, Unreachable
from fleetseal.core.model import Alias, ConnectionPolicy, Generation, KeySpec, Keystore, KeyType, Plaintext
from fleetseal.core.runtime import SystemClock
from fleetseal.devices.axis import parameters, wire, wire_cgi, wire_rest, wire_soap
from fleetseal.devices.connect import AxisConnector
from fleetseal.devices.driver import Connection
from fleetseal.devices.http import Answer
from fleetseal.operations.plan import key_type, with_policy
from fleetseal.sim.fleet import DeviceSpec, Fleet, SimulatedDevice

from ..devices import connector_for, endpoint_of, login_of, serial_of
from ..simulator import browser, configuration, context, handshake, soap
from .test_drivers import opened

QUIRKS = {
    1: ("5.51.7", "`apidiscovery.cgi` 404 HTML page, charset ISO-8859-1"),
    2: (
        "5.51.7 / later",
        "password placeholder: five stars on 5.51 and on the 9.80 Companion, six on 9.10, 12.11",
    ),
    3: ("5.51.7", "parameter order not sorted; `Brand.ProdVariant` missing; `ProdNbr` after `ProdShortName`"),
    4: ("5.x", "`Brand.WebURL` ends in `/`; later no slash, later https"),
    5: ("5.51.7", "BoaGroupPolicy operator/viewer may be `http` while admin is `both`: HTTPS only must set all three"),
    6: ("9.80", "JSON answers with `charset=utf8`"),
    7: ("9.80 Companion", "no SOAP; some calls need the extra query parameter `Axis-Orig-Sw=true`"),
    8: ("9.x", "`Properties.System.Language=` may be empty; `Brand.ProdNbr` can contain blanks"),
    9: (
        "M1065-LW 9.10",
        "two interfaces; serial in `Network.eth0.MACAddress` even when only wireless is active",
    ),
    10: ("10.12", "`systemready` has only two fields; Digest on HTTPS too"),
    11: ("12.x", "HTTPS uses Basic, HTTP/2; header names lower case; `Upgrade: h2` on plain HTTP"),
    12: ("12.11", "unqualified `Configuration` -> `ter:TagMismatch`"),
    13: ("12.11", "`GetDot1XConfigurations` faults with an empty reason"),
    14: ("12.11", "`acertificates:GetCertificates/GetCACertificates` do not exist"),
    15: ("12.11", "`network_settings.cgi` accepts only its own version; `systemready` answers 1.5, discovery says 1.4"),
    16: ("12.11", '`AuthenticationWithQop=no` but the challenge has `qop="auth"`'),
    17: ("12.11", "capabilities still list TLS 1.0/1.1 although the cipher list is AEAD only"),
    18: ("12.11", "parameter names echoed without `root.` for single parameters"),
    19: ("12.9 C1110-E", "first-user call and parameter update only by GET"),
    20: ("12.x TPM devices", "some key types refused: choose from `key_types`"),
    21: (">= 10.1 Edge Vault", "802.1X on by default with the device ID"),
    22: ("all", "web server restart after a TLS change: 3 to 60 s without answers"),
    23: ("all", "`restart.cgi`/`factorydefault.cgi` answer an HTML page with a meta refresh"),
    24: (
        "REST docs",
        '`key_type` "NIST-P256", `settings` spelled `setttings`, CSR under `alias`: errors of the text',
    ),
}
NOT_APPLICABLE = {23: "No device is ever restarted or reset from here: the two CGIs are never called."}


def test_no_quirk_is_forgotten() -> None:
    tested = {int(name.split("_")[2]) for name in globals() if name.startswith("test_quirk_")}
    assert tested == set(QUIRKS) - set(NOT_APPLICABLE)


def test_what_is_not_applicable_is_never_called() -> None:
    source = "".join(path.read_text("utf-8") for path in Path(parameters.__file__).parent.glob("*.py"))
    assert "restart.cgi" not in source
    assert "factorydefault" not in source


@asynccontextmanager
async def running(profile: str, *, setup_done: bool = True) -> AsyncIterator[tuple[SimulatedDevice, AxisConnector]]:
    """One device, to be looked at from outside."""
    async with Fleet([DeviceSpec(profile, setup_done=setup_done)]) as fleet:
        yield fleet.devices[0], await connector_for(fleet)


def plain(connector: AxisConnector, device: SimulatedDevice) -> AbstractAsyncContextManager[Connection]:
    return connector.open(endpoint_of(device), Plaintext(), login_of(device), serial=serial_of(device))


async def test_quirk_01_no_api_discovery() -> None:
    async with opened("5.51") as (connection, device, _), browser(device) as client:
        page = await client.post("/axis-cgi/apidiscovery.cgi", json={"method": "getApiList"})
        assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=ISO-8859-1")
        assert connection.facts.generation is Generation.SOAP


@pytest.mark.parametrize(("profile", "stars"), [("5.51", 5), ("9.80-companion", 5), ("9.10", 6), ("12.11", 6)])
async def test_quirk_02_placeholders_are_not_taken_for_values(profile: str, stars: int) -> None:
    """Nothing that is read from a device has one, so none can be sent back."""
    async with opened(profile) as (connection, device, _), browser(device) as client:
        name = "Network.Interface.I0.dot1x.EAPTLS.PrivateKeyPassword"
        shown = await client.get(f"/axis-cgi/param.cgi?action=list&group={name}")
        assert shown.text == f"{name}={'*' * stars}\n"
        await connection.driver.https()
        asked = {record.target for record in device.requests if "param.cgi?action=list" in record.target}
        asked -= {shown.request.url.raw_path.decode()}
        assert asked
        for target in asked:
            assert not re.search(r"=\*+$", (await client.get(target)).text, re.MULTILINE), target


async def test_quirk_03_parameters_in_any_order() -> None:
    async with opened("5.51") as (connection, device, _), browser(device) as client:
        text = (await client.get("/axis-cgi/param.cgi?action=list&group=Brand")).text
        names = [line.partition("=")[0] for line in text.splitlines()]
        assert names != sorted(names)
        assert names.index("root.Brand.ProdShortName") < names.index("root.Brand.ProdNbr")
        assert "root.Brand.ProdVariant" not in names
        assert (connection.facts.model, connection.facts.product_type) == ("P5512", "PTZ Dome Network Camera")


@pytest.mark.parametrize(
    ("profile", "url"),
    [("5.51", "http://www.axis.com/"), ("9.10", "http://www.axis.com"), ("12.11", "https://www.axis.com")],
)
async def test_quirk_04_the_web_url_is_no_part_of_the_identity(profile: str, url: str) -> None:
    async with opened(profile) as (connection, device, _), browser(device) as client:
        shown = await client.get("/axis-cgi/param.cgi?action=list&group=Brand.WebURL")
        assert shown.text == f"Brand.WebURL={url}\n"
        assert url not in repr(connection.facts)


async def test_quirk_05_https_only_closes_plain_http_for_every_group() -> None:
    async with opened("5.51") as (connection, device, _):
        state = await connection.driver.https()
        assert dict(device.web.policies) == {"Admin": "HttpAndHttps", "Operator": "Http", "Viewer": "Http"}
        with suppress(OutcomeUnknown):
            await connection.driver.set_https(with_policy(state, ConnectionPolicy.HTTPS))
        assert dict(device.web.policies) == {"Admin": "Https", "Operator": "Https", "Viewer": "Https"}


async def test_quirk_06_an_odd_name_of_utf_8() -> None:
    async with running("9.80-companion") as (device, connector), browser(device) as client:
        answer = await client.post("/axis-cgi/basicdeviceinfo.cgi", json={"method": "getAllUnrestrictedProperties"})
        assert answer.headers["content-type"] == "application/json;charset=utf8"
        facts = (await connector.look(endpoint_of(device))).facts
        assert facts is not None
        assert facts.model == "C Bullet LE"


async def test_quirk_07_a_companion_has_parameters_only() -> None:
    """Whole jobs: tests/workflow/test_matrix.py."""
    async with running("9.80-companion") as (device, connector), browser(device) as client:
        assert (await soap(client, "<w:GetWebServerTlsConfiguration/>")).status_code == 404
        update = "/axis-cgi/param.cgi?action=update&Brand.ProdVariant=x"
        assert (await client.get(update)).status_code == 403
        assert (await client.get("/axis-cgi/usergroup.cgi")).status_code == 403
        assert (await client.get(f"{update}&Axis-Orig-Sw=true")).text == "OK\n"
        async with plain(connector, device) as connection:
            assert connection.facts.generation is Generation.PARAMETERS
            state = await connection.driver.https()
            assert (state.tls, state.policy, state.alias) == (True, ConnectionPolicy.HTTP_AND_HTTPS, None)
            with suppress(OutcomeUnknown):
                await connection.driver.set_https(with_policy(state, ConnectionPolicy.HTTP))
        assert {policy for _, policy in device.web.policies} == {"Http"}


async def test_quirk_08_blanks_and_empty_values() -> None:
    async with opened("9.80-companion") as (connection, device, _), browser(device) as client:
        shown = await client.get("/axis-cgi/param.cgi?action=list&group=Properties.System.Language,Brand.ProdNbr")
        assert shown.text == "Properties.System.Language=\nBrand.ProdNbr=C Bullet LE\n"
        assert connection.facts.model == "C Bullet LE"


async def test_quirk_09_the_serial_is_that_of_the_wired_interface() -> None:
    """Both interfaces of a device: tests/workflow/test_matrix.py."""
    async with opened("9.10") as (connection, device, _):
        values = device.device.parameters.values()
        assert values["Network.Interface.I0.Active.Active"] == "no"
        assert (values["Network.Interface.I1.Type"], values["Network.Interface.I1.Active.Active"]) == ("802.11", "yes")
        assert connection.facts.serial == values["Network.eth0.MACAddress"].replace(":", "")


async def test_quirk_10_a_short_systemready_and_digest_everywhere() -> None:
    async with running("10.12") as (device, connector), browser(device, login=False) as client:
        answer = await client.post("/axis-cgi/systemready.cgi", json={"method": "systemready"})
        assert answer.json()["data"] == {"systemready": "yes", "needsetup": "no"}
        sight = await connector.look(endpoint_of(device))
        assert sight.needs_setup is False
        assert sight.http_schemes == sight.https_schemes == {"digest"}


async def test_quirk_11_basic_on_https_and_names_in_lower_case() -> None:
    """Where Basic may be sent: tests/security/test_refusals.py."""
    async with running("12.11") as (device, connector):
        async with browser(device, login=False) as client:
            assert (await client.get("/axis-cgi/usergroup.cgi")).headers["upgrade"] == "h2"
        async with browser(device, secure=True, login=False) as client:
            answer = await client.get("/axis-cgi/usergroup.cgi")
        names = [name for name, _ in answer.headers.raw]
        assert b"www-authenticate" in names
        assert [name for name in names if name != name.lower()] == []
        sight = await connector.look(endpoint_of(device))
        assert sight.http_schemes == {"digest"}
        assert sight.https_schemes == {"basic"}
        assert sight.served is not None


async def test_quirk_12_every_element_has_its_namespace() -> None:
    async with opened("12.11") as (connection, device, _), browser(device) as client:
        spoilt = configuration(device).replace("w:Configuration>", "Configuration>")
        refused = await soap(client, spoilt)
        assert (refused.status_code, "ter:TagMismatch" in refused.text) == (400, True)
        with suppress(OutcomeUnknown):  # any refusal would be raised
            await connection.driver.set_https(await connection.driver.https())


async def test_quirk_13_a_fault_without_a_reason_gets_words() -> None:
    async with running("12.11") as (device, _), browser(device) as client:
        fault = await soap(client, "<tds:GetDot1XConfigurations/>")
        assert "Subcode" not in fault.text
        with pytest.raises(Rejected, match="it gave no reason"):
            wire_soap.get_certificates().decode(Answer(fault.status_code, (), fault.content))


@pytest.mark.parametrize("operation", ["GetCertificates", "GetCACertificates"])
async def test_quirk_14_entries_are_listed_by_onvif(operation: str) -> None:
    async with opened("12.11") as (connection, device, _), browser(device) as client:
        fault = await soap(client, f"<c:{operation}/>")
        assert "ter:ActionNotSupported" in fault.text
        with pytest.raises(NotSupported):
            wire_soap.get_certificates().decode(Answer(fault.status_code, (), fault.content))
        assert len(await connection.driver.certificates()) == len(device.aliases)
        assert len(await connection.driver.authorities()) == len(device.authority_aliases)


async def test_quirk_15_versions_are_not_relied_on() -> None:
    """`network_settings.cgi` is for 802.1X, which is not managed: it is never asked."""
    async with opened("12.11") as (connection, device, _), browser(device) as client:
        listed = await client.post("/axis-cgi/apidiscovery.cgi", json={"method": "getApiList"})
        told = {one["id"]: one["version"] for one in listed.json()["data"]["apiList"]}
        for version, member in ((told["network-settings"], "error"), ("1.38", "data")):
            call = {"apiVersion": version, "method": "getNetworkInfo"}
            assert member in (await client.post("/axis-cgi/network_settings.cgi", json=call)).json()
        ready = await client.post("/axis-cgi/systemready.cgi", json={"method": "systemready"})
        assert (told["systemready"], ready.json()["apiVersion"]) == ("1.4", "1.5")
        asked = [record.target for record in device.requests if "network_settings" in record.target]
        assert len(asked) == 2  # the two above
        assert connection.facts.needs_setup is False


async def test_quirk_16_qop_follows_the_challenge() -> None:
    async with running("12.11") as (device, connector), browser(device, login=False) as client:
        assert device.device.parameters.values()["Network.HTTP.AuthenticationWithQop"] == "no"
        challenge = (await client.get("/axis-cgi/usergroup.cgi")).headers["www-authenticate"]
        assert 'qop="auth"' in challenge
        async with plain(connector, device):
            pass


async def test_quirk_17_tls_is_what_the_handshake_shows() -> None:
    async with running("12.11") as (device, connector), browser(device) as client:
        told = await soap(client, "<tds:GetServiceCapabilities/>")
        assert 'TLS1.0="true"' in told.text
        with pytest.raises(ssl.SSLError):
            await handshake(device, context(highest=ssl.TLSVersion.TLSv1_1))
        assert (await connector.served(endpoint_of(device))).tls_version == "TLSv1.3"


async def test_quirk_18_a_single_parameter_is_read_by_its_bare_name() -> None:
    async with opened("12.11") as (connection, device, _), browser(device) as client:
        shown = await client.get("/axis-cgi/param.cgi?action=list&group=HTTPS.Port")
        assert shown.text == f"HTTPS.Port={device.https_port}\n"
        assert connection.facts.https_port == device.https_port


async def test_quirk_19_parameters_and_the_first_user_by_get() -> None:
    """`device setup` as a whole: tests/workflow/test_setting_up.py."""
    async with running("12.9-audio", setup_done=False) as (device, connector):
        await connector.set_up(endpoint_of(device), Plaintext(), login_of(device), serial=serial_of(device))
        tries = [(record.method, record.status) for record in device.requests if "pwdgrp.cgi" in record.target]
        assert tries == [("POST", 401), ("GET", 200)]
        async with plain(connector, device) as connection, browser(device) as client:
            posted = await client.post("/axis-cgi/param.cgi?action=update&HTTPS.Enabled=yes")
            assert "action must be specified" in posted.text
            assert wire_cgi.set_https(await connection.driver.https()).request.method == "GET"


@pytest.mark.parametrize(
    ("offered", "chosen"), [(("EC-P256", "RSA-2048"), KeyType.EC_P256), (("RSA-2048",), KeyType.RSA_2048)]
)
async def test_quirk_20_key_types_that_a_keystore_lacks(offered: tuple[str, ...], chosen: KeyType) -> None:
    """A key made here instead: tests/workflow/test_enable_faults.py."""
    async with opened("12.11", key_generation_refused=True) as (connection, device, _):
        with pytest.raises(Rejected, match="not supported on TPM"):
            await connection.driver.request_certificate(Alias("a"), KeySpec("127.0.0.1"))
        assert "a" not in device.aliases
    facts = replace(connection.facts, keystores=(Keystore("TPM0", offered, default=True),))
    assert key_type("auto", facts, elliptic=True) is chosen


async def test_quirk_21_the_device_id_is_in_use_from_the_factory() -> None:
    """Deleting by a task is refused: tests/workflow/test_certificates.py."""
    async with opened("12.11") as (connection, device, _):
        identity = Alias("Axis device ID ECC-P256 (802.1AR)")
        assert "802.1X" in (await connection.driver.uses())[identity]
        with pytest.raises(Rejected):
            await connection.driver.remove(identity)
        assert identity in device.aliases


async def test_quirk_22_nobody_answers_while_the_web_server_restarts() -> None:
    """Jobs wait for it: tests/workflow/test_enable_faults.py."""
    async with opened("9.10", restart_seconds=0.3) as (connection, device, connector):
        await connection.driver.create_self_signed(Alias("a"), KeySpec("127.0.0.1"))
        async with browser(device) as client:
            await soap(client, configuration(device, alias="a"))
        with pytest.raises(Unreachable):
            await connector.served(endpoint_of(device))
        async with asyncio.timeout(10):
            while not device.listening:
                await SystemClock().sleep(0.02)
        assert (await connector.served(endpoint_of(device))).leaf == device.certificate("a")


async def test_quirk_24_the_vendors_text_has_errors() -> None:
    async with opened("12.11") as (connection, device, _), browser(device) as client:
        order = {"data": {"alias": "x", "subject": "CN=x", "key_type": "NIST-P256"}}
        assert (await client.post("/config/rest/cert/v1/create_certificate", json=order)).status_code == 400
        await connection.driver.create_self_signed(Alias("y"), KeySpec("127.0.0.1", key_type=KeyType.EC_P256))
        assert "y" in device.aliases
        assert any(record.target.endswith("/settings") for record in device.requests)
    pem = wire.to_pem(b"request", "CERTIFICATE REQUEST")
    for data in (pem, {"alias": pem}):
        answer = Answer(200, (), json.dumps({"status": "success", "data": data}).encode())
        assert wire_rest.get_csr("/config/rest/cert/v1", Alias("y")).decode(answer) == b"request"
