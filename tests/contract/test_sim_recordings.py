"""The simulator's static reads equal the recordings, after its identity is put in their place and certificates
whose keys are not ours are left out. Every recorded file is in one of the two lists below."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetseal.sim.fleet import DeviceSpec, Fleet, SimulatedDevice
from tests.simulator import back, browser, configuration, create, soap
from tests.support import FakeClock

RECORDINGS = Path(__file__).parents[1] / "recordings"
OWN = "Trustlix Device HTTPS lUZuIXuu"
CGI = "/axis-cgi"

# Requests of recordings/INDEX.md
P3265: dict[str, tuple[str, str, Any]] = {
    "basicdeviceinfo-getAllProperties.json": ("POST", f"{CGI}/basicdeviceinfo.cgi", {"method": "getAllProperties"}),
    "basicdeviceinfo-getAllUnrestrictedProperties.json": (
        "POST", f"{CGI}/basicdeviceinfo.cgi", {"method": "getAllUnrestrictedProperties"},
    ),
    "systemready.json": ("POST", f"{CGI}/systemready.cgi", {"method": "systemready", "params": {"timeout": 10}}),
    "apidiscovery-getApiList.json": ("POST", f"{CGI}/apidiscovery.cgi", {"method": "getApiList"}),
    "config-discover.json": ("GET", "/config/discover", None),
    "rest-cert-v1.json": ("GET", "/config/rest/cert/v1", None),
    "rest-cert-v1-certificates.json": ("GET", "/config/rest/cert/v1/certificates", None),
    "rest-cert-v1-keystores.json": ("GET", "/config/rest/cert/v1/keystores", None),
    "rest-cert-v1-settings.json": ("GET", "/config/rest/cert/v1/settings", None),
    "rest-cert-est-v1.json": ("GET", "/config/rest/cert-est/v1", None),
    "rest-virtualhost-v1.json": ("GET", "/config/rest/virtualhost/v1", None),
    "rest-network-settings-v2.json": ("GET", "/config/rest/network-settings/v2", None),
    "rest-mdnssd-v2.json": ("GET", "/config/rest/mdnssd/v2", None),
    "network_settings-getNetworkInfo.json": (
        "POST", f"{CGI}/network_settings.cgi", {"apiVersion": "1.38", "method": "getNetworkInfo"},
    ),
    "network_settings-error-version.json": (
        "POST", f"{CGI}/network_settings.cgi", {"apiVersion": "1.0", "context": "oadm", "method": "getNetworkInfo"},
    ),
    "time-getDateTimeInfo.json": (
        "POST", f"{CGI}/time.cgi", {"apiVersion": "1.1", "context": "oadm", "method": "getDateTimeInfo"},
    ),
    "fwmgr-status.json": ("POST", f"{CGI}/firmwaremanagement.cgi", {"apiVersion": "1.10", "method": "status"}),
    "paramcgi-Network.txt": ("GET", "Network", None),
    "paramcgi-Network.HTTP.txt": ("GET", "Network.HTTP", None),
    "paramcgi-HTTPS.txt": ("GET", "HTTPS", None),
    "paramcgi-Network.Interface.I0.txt": ("GET", "Network.Interface.I0", None),
    "paramcgi-mixed-error.txt": ("GET", "Network.BootProto,Does.Not.Exist,HTTPS.Enabled", None),
    "paramcgi-networkinfo.txt": (
        "GET", "Network.BootProto,Network.UPnP.FriendlyName,Network.Interface.I0.dot1x.Enabled,HTTPS", None,
    ),
    "paramcgi-System.BoundRequest-error.txt": ("GET", "System.BoundRequest", None),
    "pwdgrp-get.txt": ("GET", f"{CGI}/pwdgrp.cgi?action=get", None),
    "usergroup.txt": ("GET", f"{CGI}/usergroup.cgi", None),
    "soap-GetWebServerTlsConfiguration.xml": ("SOAP", "<w:GetWebServerTlsConfiguration/>", None),
    "soap-ListCertSets.xml": ("SOAP", "<c:ListCertSets/>", None),
    "soap-GetCertSet-WebServer.xml": ("SOAP", "WebServer", None),
    "soap-GetCertSet-Streaming_RTSPS.xml": ("SOAP", "Streaming_RTSPS", None),
    "soap-GetCertSet-EAPTLS_WIRED_SERVER.xml": ("SOAP", "EAPTLS_WIRED_SERVER", None),
    "soap-GetCertSet-EAPPEAP_MSCHAPV2_WIRED.xml": ("SOAP", "EAPPEAP_MSCHAPV2_WIRED", None),
    "soap-acertificates-GetCACertificates-fault.xml": ("SOAP", "<c:GetCACertificates/>", None),
    "soap-tds-GetCertificates.xml": ("SOAP", "<tds:GetCertificates/>", None),
    "soap-tds-GetCACertificates.xml": ("SOAP", "<tds:GetCACertificates/>", None),
    "soap-tds-GetCertificatesStatus.xml": ("SOAP", "<tds:GetCertificatesStatus/>", None),
    "soap-tds-GetDot1XConfigurations-fault.xml": ("SOAP", "<tds:GetDot1XConfigurations/>", None),
    "soap-tds-GetServiceCapabilities.xml": ("SOAP", "<tds:GetServiceCapabilities/>", None),
    "soap-tds-GetNetworkInterfaces.xml": ("SOAP", "<tds:GetNetworkInterfaces/>", None),
}  # fmt: skip
M1065: dict[str, tuple[str, str, Any]] = {
    "paramcgi-list-all_9.10.1.txt": ("GET", "", None),
    "paramcgi-list-Properties.txt": ("GET", "root.Properties", None),
    "paramcgi-list-Brand.txt": ("GET", "root.Brand", None),
    "apidiscovery-getApiList.json": (
        "POST", f"{CGI}/apidiscovery.cgi", {"context": "Axis library", "method": "getApiList"},
    ),
    "apidiscovery-getSupportedVersions.json": (
        "POST", f"{CGI}/apidiscovery.cgi", {"context": "Axis library", "method": "getSupportedVersions"},
    ),
    "basicdeviceinfo-getAllProperties_9.80.1.json": (
        "POST", f"{CGI}/basicdeviceinfo.cgi", {"context": "Axis library", "method": "getAllProperties"},
    ),
}  # fmt: skip
P5512: dict[str, tuple[str, str, Any]] = {
    "paramcgi-list-all.txt": ("GET", "", None),
    "paramcgi-list-Brand.txt": ("GET", "Brand", None),
    "paramcgi-list-Brand+Firmware.txt": ("GET", "Brand,Properties.Firmware", None),
    "apidiscovery-404.html": ("POST", f"{CGI}/apidiscovery.cgi", {"method": "getApiList"}),
}
WHITE_SPACE_DIFFERS = {
    "apidiscovery-getApiList.json",
    "network_settings-getNetworkInfo.json",
    "apidiscovery-getSupportedVersions.json",
    "basicdeviceinfo-getAllProperties_9.80.1.json",
}
ELSEWHERE = {
    "p3265-v_12.11.77/401-http-headers.txt",
    "p3265-v_12.11.77/401-https-headers.txt",
    "m3206-lve_10.12/systemready.json",
}
NOT_MATCHED = {
    "p3265-v_12.11.77/mdns-decoded.txt": "the simulator announces nothing yet",
    "m1065-lw_9.x/pwdgrp-get.txt": "lists the firmware's internal accounts, with names its author shortened",
    "m3024-l_5.51/paramcgi-list-Brand.txt": "another product of the 5.51 profile",
    "p5512_5.51.7/paramcgi-listdefinitions-all.xml": "listdefinitions is not simulated",
    "p5512_5.51.7/paramcgi-listdefinitions-Brand.xml": "listdefinitions is not simulated",
    "p5512_5.51.7/paramcgi-listdefinitions-Brand+Firmware.xml": "listdefinitions is not simulated",
}


def test_every_recording_is_accounted_for() -> None:
    recorded = {str(found.relative_to(RECORDINGS).as_posix()) for found in RECORDINGS.glob("*/*")}
    matched = {f"p3265-v_12.11.77/{name}" for name in P3265} | {f"m1065-lw_9.x/{name}" for name in M1065}
    matched |= {f"p5512_5.51.7/{name}" for name in P5512} | ELSEWHERE
    assert matched.isdisjoint(NOT_MATCHED)
    assert matched | set(NOT_MATCHED) == recorded


@pytest.fixture
async def p3265() -> AsyncIterator[SimulatedDevice]:
    """In the state in which the real one was read."""
    clock = FakeClock(datetime(2026, 10, 7, 16, 24, 1, tzinfo=UTC))
    async with Fleet([DeviceSpec("12.11", serial="B8A44F631339")], clock=clock, restart_seconds=0.0) as fleet:
        device = fleet.devices[0]
        for name, groups in (("root20", 4), ("fakeroot", 4), ("acs", 2)):
            device.device.add_user(name, name, ("operator", "viewer", "admin", "ptz")[:groups])
        async with browser(device) as client:
            await soap(client, create(OWN))
            await soap(client, configuration(device, alias=OWN))
        await back(device, 1)
        yield device


async def ask(device: SimulatedDevice, how: str, what: str, call: Any) -> httpx.Response:
    async with browser(device) as client:
        if how == "SOAP":
            operation = f"<c:GetCertSet><c:CertSetName>{what}</c:CertSetName></c:GetCertSet>"
            return await soap(client, what if what.startswith("<") else operation)
        if how == "POST":
            return await client.post(what, json={"apiVersion": "1.0"} | call)
        if what.startswith("/"):
            return await client.get(what)
        group = {"group": what} if what else {}
        return await client.get(f"{CGI}/param.cgi", params={"action": "list"} | group)


def same(recorded: str, shown: str, *, name: str) -> None:
    if name in WHITE_SPACE_DIFFERS:
        assert json.loads(shown) == json.loads(recorded)
    else:
        assert shown.splitlines() == recorded.splitlines()


def without_certificates(text: str) -> str:
    """Certificates blanked, and the CA entry that another manager had put there left out."""
    text = re.sub(r"<tds:CACertificate><tt:CertificateID>\[CA\]_.*?</tds:CACertificate>", "", text)
    text = re.sub(r"<tt:Data>[^<]*</tt:Data>", "<tt:Data/>", text)
    text = re.sub(r'"-----BEGIN[^"]*"', '"certificate"', text)
    return re.sub(r',\s*\{\s*"alias": "\[CA\]_[^}]*\}', "", text)


@pytest.mark.parametrize("name", list(P3265))
async def test_p3265(p3265: SimulatedDevice, name: str) -> None:
    recorded = (RECORDINGS / "p3265-v_12.11.77" / name).read_text("utf-8")
    answer = await ask(p3265, *P3265[name])
    shown = answer.text
    faults = {"soap-acertificates-GetCACertificates-fault.xml": 500, "soap-tds-GetDot1XConfigurations-fault.xml": 400}
    assert answer.status_code == faults.get(name, 200)
    recorded = recorded.replace("10.0.0.48", p3265.address)
    recorded = recorded.replace("HTTPS.Port=443", f"HTTPS.Port={p3265.https_port}")
    for usual, port in ((443, p3265.https_port), (80, p3265.http_port)):
        recorded = recorded.replace(f'"port": {usual}', f'"port": {port}')
    for volatile in (r'"uptime": "\d+"', r'"bootid": "[0-9a-f-]{36}"', r'"SocSerialNumber": "[0-9A-F]{8}-0101030D"'):
        recorded, shown = re.sub(volatile, '"x": ""', recorded), re.sub(volatile, '"x": ""', shown)
    if name == "pwdgrp-get.txt":  # the device sorts its accounts in no order we know
        recorded, shown = _sorted_accounts(recorded), _sorted_accounts(shown)
    same(without_certificates(recorded), without_certificates(shown), name=name)


def _sorted_accounts(text: str) -> str:
    return re.sub(r'"([^"]*)"', lambda match: ",".join(sorted(match.group(1).split(","))), text)


async def test_p3265_challenges(p3265: SimulatedDevice) -> None:
    for secure, name in ((False, "401-http-headers.txt"), (True, "401-https-headers.txt")):
        lines = (RECORDINGS / "p3265-v_12.11.77" / name).read_text("utf-8").splitlines()[1:]
        recorded = dict(line.lower().split(": ", 1) for line in lines if line)
        async with browser(p3265, secure=secure, login=False) as client:
            call = {"apiVersion": "1.0", "method": "getAllProperties"}
            answer = await client.post(f"{CGI}/basicdeviceinfo.cgi", json=call)
        shown = {key.lower(): value.lower() for key, value in answer.headers.items()}
        if secure:  # recorded over HTTP/2, which has other framing
            shown.pop("content-length")
        for headers in (recorded, shown):
            assert headers.pop("date").endswith(" gmt")
            headers["www-authenticate"] = re.sub('nonce="[^"]{52}"', "nonce", headers["www-authenticate"])
        assert answer.status_code == 401
        assert shown == recorded


async def test_m3206() -> None:
    recorded = (RECORDINGS / "m3206-lve_10.12" / "systemready.json").read_text("utf-8")
    async with Fleet(["10.12"]) as fleet:
        answer = await ask(fleet.devices[0], "POST", f"{CGI}/systemready.cgi", {"method": "systemready"})
    same(recorded, answer.text, name="systemready.json")


@pytest.mark.parametrize("name", list(M1065))
async def test_m1065(name: str) -> None:
    recorded = (RECORDINGS / "m1065-lw_9.x" / name).read_text("utf-8")
    async with Fleet([DeviceSpec("9.10", serial="ACCC12345678")]) as fleet:
        device = fleet.devices[0]
        answer = await ask(device, *M1065[name])
    if name.endswith(".txt"):
        answer.encoding = "iso-8859-1"  # on the wire; the recording is kept as UTF-8
    assert answer.status_code == 200
    recorded = recorded.replace("axis-accc8e7ea36d", "axis-accc12345678")  # the author replaced the other serials
    recorded = recorded.replace("9.80.1", "9.10.1").replace("Apr 29 2020 06:50", "Feb 15 2019 09:42")
    for alive in (f"HTTPS.Port={device.https_port}", f"System.BoaPort={device.http_port}",
                  f"eth0.IPAddress={device.address}", f"I1.Active.IPAddress={device.address}"):  # fmt: skip
        recorded = re.sub(re.escape(alive.partition("=")[0]) + "=.*", alive, recorded)
    same(recorded, answer.text, name=name)


@pytest.mark.parametrize("name", list(P5512))
async def test_p5512(name: str) -> None:
    recorded = (RECORDINGS / "p5512_5.51.7" / name).read_text("utf-8")
    async with Fleet([DeviceSpec("5.51", serial="00408CFB6888")]) as fleet:
        device = fleet.devices[0]
        answer = await ask(device, *P5512[name])
    assert answer.status_code == (404 if name.endswith("html") else 200)
    for alive in (f"HTTPS.Port={device.https_port}", f"System.BoaPort={device.http_port}",
                  f"eth0.IPAddress={device.address}"):  # fmt: skip
        recorded = re.sub(re.escape(alive.partition("=")[0]) + "=.*", alive, recorded)
    same(recorded, answer.text, name=name)
