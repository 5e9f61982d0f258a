"""Every recorded answer of a real device is decoded, or named as one that no driver asks for."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from fleetseal.core.errors import CredentialsNeeded, FleetsealError, NotSupported, Rejected
from fleetseal.core.model import Alias, ConnectionPolicy, HttpsState, Keystore, Support
from fleetseal.devices.axis import catalogue, identity, wire_cgi, wire_json, wire_rest, wire_soap
from fleetseal.devices.digest import choose, parse_challenges
from fleetseal.devices.http import Answer, Ask

RECORDINGS = Path(__file__).parent.parent / "recordings"
BASE = "/config/rest/cert/v1"
BOUND = Alias("Trustlix Device HTTPS lUZuIXuu")
FACTORY = ("ECC-P256", "RSA-2048", "RSA-4096")

P3265 = "p3265-v_12.11.77"
P5512 = "p5512_5.51.7"
M1065 = "m1065-lw_9.x"

NOT_ASKED = {
    f"{P3265}/{name}"
    for name in (
        "apidiscovery-getApiList.json",  # lists no certificate interface (device-api 3.4)
        "fwmgr-status.json",
        "mdns-decoded.txt",
        "network_settings-getNetworkInfo.json",
        "network_settings-error-version.json",
        "pwdgrp-get.txt",
        "rest-cert-est-v1.json",
        "rest-mdnssd-v2.json",
        "rest-network-settings-v2.json",
        "soap-ListCertSets.xml",
        "soap-GetCertSet-EAPPEAP_MSCHAPV2_WIRED.xml",
        "soap-GetCertSet-EAPTLS_WIRED_SERVER.xml",
        "soap-GetCertSet-Streaming_RTSPS.xml",
        "soap-GetCertSet-WebServer.xml",
        "soap-tds-GetNetworkInterfaces.xml",
        "soap-tds-GetServiceCapabilities.xml",
    )
} | {
    f"{M1065}/apidiscovery-getApiList.json",
    f"{M1065}/apidiscovery-getSupportedVersions.json",
    f"{M1065}/pwdgrp-get.txt",
    f"{P5512}/paramcgi-listdefinitions-Brand.xml",
    f"{P5512}/paramcgi-listdefinitions-Brand+Firmware.xml",
    f"{P5512}/paramcgi-listdefinitions-all.xml",
}


def recorded(path: str, status: int = 200) -> Answer:
    return Answer(status, (), (RECORDINGS / path).read_bytes())


def decoded(question: Ask[Any], path: str, status: int = 200) -> Any:
    return question.decode(recorded(path, status))


def parameters(path: str) -> dict[str, str]:
    return dict(decoded(wire_cgi.list_parameters("any"), path))


def rest_certificates() -> None:
    entries = decoded(wire_rest.certificates(BASE), f"{P3265}/rest-cert-v1-certificates.json")
    assert [(entry.alias, entry.keystore) for entry in entries] == [
        *((f"Axis device ID {kind} (802.1AR)", "SE0") for kind in FACTORY),
        (BOUND, "SE0"),
    ]
    subjects = [x509.load_der_x509_certificate(entry.der).subject.rfc4514_string() for entry in entries]
    assert subjects[3].startswith("CN=axis-b8a44f631339,OU=Trustlix")


def rest_tree() -> None:
    data = json.loads(recorded(f"{P3265}/rest-cert-v1.json").body)["data"]
    whole = json.dumps({"status": "success", "data": data["ca_certificates"]}).encode()
    authorities = wire_rest.authorities(BASE).decode(Answer(200, (), whole))
    assert len(authorities) == 34
    assert all(x509.load_der_x509_certificate(entry.der) for entry in authorities)
    soap = dict(decoded(wire_soap.get_authorities(), f"{P3265}/soap-tds-GetCACertificates.xml"))
    assert {entry.alias: entry.der for entry in authorities} == soap


def rest_keystores() -> None:
    listed = decoded(wire_rest.keystores(BASE), f"{P3265}/rest-cert-v1-keystores.json")
    common = ("RSA-2048", "RSA-4096", "EC-P256", "EC-P384", "EC-P521")
    assert listed == (Keystore("TEE0", common), Keystore("SE0", ("RSA-1024", *common)))
    assert decoded(wire_rest.default_keystore(BASE), f"{P3265}/rest-cert-v1-settings.json") == "SE0"


def discover() -> None:
    apis = decoded(wire_rest.discover(), f"{P3265}/config-discover.json")
    assert (apis["cert"], apis["time"]) == ("/config/rest/cert/v1", "/config/rest/time/v2")
    assert "alpha" not in "".join(apis.values())


def web_ports() -> None:
    assert decoded(wire_rest.web_ports("/config/rest/virtualhost/v1"), f"{P3265}/rest-virtualhost-v1.json") == {
        False: 80,
        True: 443,
    }


def soap_https() -> None:
    state = decoded(wire_soap.get_https(), f"{P3265}/soap-GetWebServerTlsConfiguration.xml")
    assert state == HttpsState(
        tls=True,
        policy=ConnectionPolicy.HTTP_AND_HTTPS,
        alias=BOUND,
        ciphers=tuple(parameters(f"{P3265}/paramcgi-HTTPS.txt")["HTTPS.Ciphers"].split(":")),
    )


def soap_certificates() -> None:
    entries = dict(decoded(wire_soap.get_certificates(), f"{P3265}/soap-tds-GetCertificates.xml"))
    rest = decoded(wire_rest.certificates(BASE), f"{P3265}/rest-cert-v1-certificates.json")
    assert entries == {entry.alias: entry.der for entry in rest}
    status = decoded(wire_soap.get_certificates_status(), f"{P3265}/soap-tds-GetCertificatesStatus.xml")
    assert {alias for alias, used in status.items() if used} == {BOUND}
    assert status.keys() == entries.keys()


def cert_sets() -> None:
    names = decoded(wire_soap.list_cert_sets(), f"{P3265}/soap-ListCertSets.xml")
    assert (len(names), names[0], names[-1]) == (17, "EAPTLS_WIRED", "O3C")
    identity_id = "Axis device ID ECC-P256 (802.1AR)"
    held = {
        name: decoded(wire_soap.get_cert_set(name), f"{P3265}/soap-GetCertSet-{name}.xml")
        for name in ("EAPPEAP_MSCHAPV2_WIRED", "EAPTLS_WIRED_SERVER", "Streaming_RTSPS")
    }
    assert held == {
        "EAPPEAP_MSCHAPV2_WIRED": frozenset(),
        "EAPTLS_WIRED_SERVER": {identity_id, "Axis device ID Root CA ECC", "Axis device ID Root CA RSA"},
        "Streaming_RTSPS": {identity_id},
    }


def soap_faults() -> None:
    question = wire_soap.get_authorities()
    for status in (200, 500):
        with pytest.raises(NotSupported, match="Optional action not implemented"):
            decoded(question, f"{P3265}/soap-acertificates-GetCACertificates-fault.xml", status)
        with pytest.raises(Rejected, match="it gave no reason"):
            decoded(question, f"{P3265}/soap-tds-GetDot1XConfigurations-fault.xml", status)


def device_info() -> None:
    open_to_all = decoded(
        wire_json.unrestricted_properties(), f"{P3265}/basicdeviceinfo-getAllUnrestrictedProperties.json"
    )
    facts = identity.Stranger(open_to_all, needs_setup=False).facts
    assert facts is not None
    assert (facts.serial, facts.model, facts.firmware) == ("B8A44F631339", "P3265-V", "12.11.77")
    everything = identity.Stranger(
        decoded(wire_json.unrestricted_properties(), f"{P3265}/basicdeviceinfo-getAllProperties.json"), None
    )
    assert everything.serial == facts.serial


def device_info_9() -> None:
    info = decoded(wire_json.unrestricted_properties(), f"{M1065}/basicdeviceinfo-getAllProperties_9.80.1.json")
    assert identity.Stranger(info, None).serial is not None
    assert info["ProdNbr"] == "M1065-LW"


def readiness() -> None:
    new = decoded(wire_json.system_ready(), f"{P3265}/systemready.json")
    assert new == wire_json.Readiness(True, False, "93bfbb4a-9c3f-4075-a0c5-8702dfccfc04", "none")
    old = decoded(wire_json.system_ready(), "m3206-lve_10.12/systemready.json")
    assert old == wire_json.Readiness(ready=True, needs_setup=False, boot_id=None)


def clock() -> None:
    now = decoded(wire_json.get_date_time(), f"{P3265}/time-getDateTimeInfo.json")
    assert now == datetime(2026, 10, 7, 16, 24, 1, tzinfo=UTC)


def user_groups() -> None:
    name, groups = decoded(wire_cgi.user_groups(), f"{P3265}/usergroup.txt")
    assert (name, groups) == ("root", {"admin", "operator", "viewer", "ptz"})


def parameters_12() -> None:
    mixed = parameters(f"{P3265}/paramcgi-mixed-error.txt")
    assert mixed.keys() >= {"Network.BootProto", "HTTPS.Enabled"}
    assert not [name for name in mixed if "Error" in name or "Does.Not.Exist" in name]
    assert parameters(f"{P3265}/paramcgi-System.BoundRequest-error.txt") == {}
    assert parameters(f"{P3265}/paramcgi-networkinfo.txt")["HTTPS.Port"] == "443"
    assert parameters(f"{P3265}/paramcgi-Network.txt")["Network.eth0.MACAddress"] == "B8:A4:4F:63:13:39"
    assert parameters(f"{P3265}/paramcgi-Network.HTTP.txt")["Network.HTTP.AuthenticationPolicy"] == "recommended"
    assert parameters(f"{P3265}/paramcgi-Network.Interface.I0.txt")["Network.Interface.I0.dot1x.Enabled"] == "no"


def parameters_9() -> None:
    everything = parameters(f"{M1065}/paramcgi-list-all_9.10.1.txt")
    assert everything["Properties.API.WebService.WebService"] == "yes"
    assert parameters(f"{M1065}/paramcgi-list-Properties.txt")["Properties.Firmware.Version"] == "9.10.1"
    brand = parameters(f"{M1065}/paramcgi-list-Brand.txt")
    support = catalogue.support(brand["Brand.ProdNbr"], brand["Brand.ProdType"], "9.10.1")
    assert support == (Support.SUPPORTED, "")


def parameters_5() -> None:
    everything = parameters(f"{P5512}/paramcgi-list-all.txt")
    assert everything["Properties.API.WebService.WebService"] == "yes"
    assert everything["Time.NTP.VolatileServer"] == "172.16.3.1"
    both = parameters(f"{P5512}/paramcgi-list-Brand+Firmware.txt")
    assert parameters(f"{P5512}/paramcgi-list-Brand.txt").items() <= both.items()
    support, reason = catalogue.support(
        both["Brand.ProdNbr"], both["Brand.ProdType"], both["Properties.Firmware.Version"]
    )
    assert (support, reason) == (
        Support.FIRMWARE,
        "Firmware 5.51.7 is older than 5.70, the first that is supported.",
    )
    assert parameters("m3024-l_5.51/paramcgi-list-Brand.txt")["Brand.ProdNbr"] == "M3024-L"


def no_json_interface() -> None:
    with pytest.raises(NotSupported):
        decoded(wire_json.unrestricted_properties(), f"{P5512}/apidiscovery-404.html", 404)


def challenges() -> None:
    for path, scheme in ((f"{P3265}/401-http-headers.txt", "digest"), (f"{P3265}/401-https-headers.txt", "basic")):
        head = (RECORDINGS / path).read_text()
        values = re.findall(r"(?im)^www-authenticate: (.*)$", head)
        found = parse_challenges(values)
        assert [(challenge.scheme, challenge.realm) for challenge in found] == [(scheme, "AXIS_B8A44F631339")]
        assert (choose(found) is not None) == (scheme == "digest")


DECODED: dict[Callable[[], None], set[str]] = {
    rest_certificates: {f"{P3265}/rest-cert-v1-certificates.json"},
    rest_tree: {f"{P3265}/rest-cert-v1.json", f"{P3265}/soap-tds-GetCACertificates.xml"},
    rest_keystores: {f"{P3265}/rest-cert-v1-keystores.json", f"{P3265}/rest-cert-v1-settings.json"},
    web_ports: {f"{P3265}/rest-virtualhost-v1.json"},
    discover: {f"{P3265}/config-discover.json"},
    soap_https: {f"{P3265}/soap-GetWebServerTlsConfiguration.xml", f"{P3265}/paramcgi-HTTPS.txt"},
    soap_certificates: {
        f"{P3265}/soap-tds-GetCertificates.xml",
        f"{P3265}/soap-tds-GetCertificatesStatus.xml",
    },
    cert_sets: {
        f"{P3265}/soap-ListCertSets.xml",
        f"{P3265}/soap-GetCertSet-EAPPEAP_MSCHAPV2_WIRED.xml",
        f"{P3265}/soap-GetCertSet-EAPTLS_WIRED_SERVER.xml",
        f"{P3265}/soap-GetCertSet-Streaming_RTSPS.xml",
    },
    soap_faults: {
        f"{P3265}/soap-acertificates-GetCACertificates-fault.xml",
        f"{P3265}/soap-tds-GetDot1XConfigurations-fault.xml",
    },
    device_info: {
        f"{P3265}/basicdeviceinfo-getAllUnrestrictedProperties.json",
        f"{P3265}/basicdeviceinfo-getAllProperties.json",
    },
    device_info_9: {f"{M1065}/basicdeviceinfo-getAllProperties_9.80.1.json"},
    readiness: {f"{P3265}/systemready.json", "m3206-lve_10.12/systemready.json"},
    clock: {f"{P3265}/time-getDateTimeInfo.json"},
    user_groups: {f"{P3265}/usergroup.txt"},
    parameters_12: {
        f"{P3265}/paramcgi-{name}.txt"
        for name in (
            "mixed-error",
            "System.BoundRequest-error",
            "networkinfo",
            "Network",
            "Network.HTTP",
            "Network.Interface.I0",
        )
    },
    parameters_9: {f"{M1065}/paramcgi-list-{name}.txt" for name in ("all_9.10.1", "Properties", "Brand")},
    parameters_5: {f"{P5512}/paramcgi-list-{name}.txt" for name in ("all", "Brand+Firmware", "Brand")}
    | {"m3024-l_5.51/paramcgi-list-Brand.txt"},
    no_json_interface: {f"{P5512}/apidiscovery-404.html"},
    challenges: {f"{P3265}/401-http-headers.txt", f"{P3265}/401-https-headers.txt"},
}


@pytest.mark.parametrize("check", DECODED, ids=lambda check: check.__name__)
def test_the_recorded_answer_is_understood(check: Callable[[], None]) -> None:
    check()


def test_no_recording_is_forgotten() -> None:
    stored = {str(path.relative_to(RECORDINGS).as_posix()) for path in RECORDINGS.rglob("*") if path.is_file()}
    assert set().union(*DECODED.values()) | NOT_ASKED | {"INDEX.md"} == stored


@pytest.mark.parametrize("status", [401, 403, 404, 405])
@pytest.mark.parametrize(
    "question",
    [
        wire_json.unrestricted_properties(),
        wire_cgi.user_groups(),
        wire_rest.discover(),
        wire_soap.get_https(),
        wire_rest.certificates(BASE),
    ],
    ids=["json", "parameters", "discover", "soap", "rest"],
)
def test_a_web_page_in_place_of_an_answer_is_a_refusal(question: Ask[Any], status: int) -> None:
    page = recorded(f"{P5512}/apidiscovery-404.html", status)
    with pytest.raises(FleetsealError) as caught:
        question.decode(page)
    assert isinstance(caught.value, CredentialsNeeded) == (status == 401)
    assert isinstance(caught.value, NotSupported) == (status in (404, 405))
