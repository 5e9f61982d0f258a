"""Every scripted trouble can be seen from outside, and ends when it is told to."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import fields
from typing import Any, cast

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from fleetseal.core.runtime import SystemClock
from fleetseal.sim import hostile
from fleetseal.sim.faults import ANSWERS, VERBS, Faults
from fleetseal.sim.fleet import DeviceSpec, Fleet, SimulatedDevice
from tests.contract.test_sim_rest import ORDER, wrapped
from tests.contract.test_sim_soap import load, load_authority, request_for, sign
from tests.simulator import back, browser, configuration, create, handshake, soap

ALIAS = "Plant HTTPS 2026"
SOAP_VERBS = ("create_key", "get_csr", "install", "install_ca", "bind", "delete")
LOST = (httpx.RemoteProtocolError, httpx.ReadError)


@pytest.fixture(params=["9.10", "12.11"])
async def device(request: pytest.FixtureRequest) -> AsyncIterator[SimulatedDevice]:
    async with Fleet([request.param], restart_seconds=0.02) as fleet:
        yield fleet.devices[0]


async def operations(device: SimulatedDevice) -> dict[str, str]:
    """One operation for each verb that SOAP has, possible one after the other."""
    made = await request_for(device, ALIAS)
    certificate, _ = sign(made.public_key())
    authority, _ = sign(rsa.generate_private_key(65537, 2048).public_key())
    return {
        "create_key": create("second key"),
        "get_csr": f"<c:GetPkcs10Request2><c:Id>{ALIAS}</c:Id></c:GetPkcs10Request2>",
        "install": load(ALIAS, certificate),
        "install_ca": load_authority("plant-ca", authority),
        "bind": configuration(device, alias=ALIAS),
        "delete": "<tds:DeleteCertificates><tds:CertificateID>second key</tds:CertificateID></tds:DeleteCertificates>",
    }


def picture(device: SimulatedDevice) -> tuple[Any, ...]:
    """What a write can change."""
    held = tuple((alias, device.certificate(alias)) for alias in device.aliases)
    return held, device.authority_aliases, device.web.bound


async def do(device: SimulatedDevice, operation: str) -> httpx.Response:
    before = device.restarts
    async with browser(device) as client:
        await client.get("/axis-cgi/usergroup.cgi")  # so that the login is settled before what may be lost
        answer = await soap(client, operation)
    if device.restarts > before or device.device.changed.is_set():
        await back(device, before + 1)
    return answer


async def test_lost_requests_and_answers(device: SimulatedDevice) -> None:
    todo = await operations(device)
    for verb in SOAP_VERBS:
        untouched = picture(device)
        await device.trouble(lose_request_of={verb: 1})
        with pytest.raises(LOST):
            await do(device, todo[verb])
        assert picture(device) == untouched
        restarts = device.restarts
        await device.trouble(lose_answer_of={verb: 1})
        with pytest.raises(LOST):
            await do(device, todo[verb])
        assert (picture(device) == untouched) is (verb == "get_csr")
        assert device.faults.lose_answer_of == {verb: 0}
        if verb == "bind":
            await back(device, restarts + 1)
            assert (await handshake(device)).leaf == device.certificate(ALIAS)


async def test_success_without_effect_and_error_with_effect(device: SimulatedDevice) -> None:
    todo = await operations(device)
    for verb in SOAP_VERBS:
        untouched = picture(device)
        await device.trouble(ok_without_effect={verb: 1})
        assert (await do(device, todo[verb])).status_code == 200
        assert picture(device) == untouched
        await device.trouble(error_with_effect={verb: 1})
        assert (await do(device, todo[verb])).status_code == 500
        assert (picture(device) == untouched) is (verb == "get_csr")


async def test_done_twice(device: SimulatedDevice) -> None:
    todo = await operations(device)
    await device.trouble(effect_twice={"create_key": 1, "bind": 1})
    doubled = await do(device, todo["create_key"])
    assert (doubled.status_code, "CertificateIdInUseFault" in doubled.text) == (400, True)
    assert device.aliases.count("second key") == 1
    assert (await do(device, todo["bind"])).status_code == 200
    assert device.effects["bind"] == 2
    assert device.web.bound == ALIAS


@pytest.mark.parametrize("verb", ["set_params", "set_clock", "set_keystore", "install_key_pair", "create_user"])
async def test_the_other_verbs_can_be_lost_too(verb: str) -> None:
    async with Fleet([DeviceSpec("12.11", faults={"lose_answer_of": {verb: 1}})]) as fleet:
        device = fleet.devices[0]
        key, certificate = device.device.store.keys[1].key, device.device.store.keys[1].certificate
        assert key is not None
        from fleetseal.sim import certificates  # the entry's own PEM, to send it back under another name

        pair = {"alias": "pair", "certificate": certificates.pem(certificate)}
        pair["private_key"] = certificates.key_pem(key).decode()
        cgi = "/axis-cgi"
        async with browser(device) as client:
            await client.get(f"{cgi}/usergroup.cgi")
            calls = {
                "set_params": client.get(f"{cgi}/param.cgi?action=update&Network.Bonjour.Enabled=no"),
                "set_clock": client.get(f"{cgi}/date.cgi?action=set&year=2030"),
                "set_keystore": client.patch("/config/rest/cert/v1/settings", json=wrapped({"keystore": "TEE0"})),
                "install_key_pair": client.post("/config/rest/cert/v1/certificates", json=wrapped(pair)),
                "create_user": client.get(f"{cgi}/pwdgrp.cgi?action=add&user=new&pwd=x&grp=users&sgrp=viewer"),
            }
            wanted = calls.pop(verb)
            for other in calls.values():
                other.close()
            with pytest.raises(LOST):
                await wanted
        done = {
            "set_params": device.device.parameters.values()["Network.Bonjour.Enabled"] == "no",
            "set_clock": device.device.now().year == 2030,
            "set_keystore": device.device.default_keystore == "TEE0",
            "install_key_pair": "pair" in device.aliases,
            "create_user": "new" in device.device.users,
        }
        assert [name for name, happened in done.items() if happened] == [verb]


async def test_tls_dead_on_a_new_certificate_comes_back_with_the_old_one(device: SimulatedDevice) -> None:
    old = device.web.bound
    await device.trouble(tls_dead_on_new_certificate=True)
    assert (await handshake(device)).leaf == device.served
    assert (await do(device, (await operations(device))["bind"])).status_code == 200
    assert device.served is None
    with pytest.raises(OSError, match=r"(?i)handshake failure"):
        await handshake(device)
    assert (await do(device, configuration(device, alias=old))).status_code == 200
    assert (await handshake(device)).leaf == device.served


async def test_tls_that_dies_later(device: SimulatedDevice) -> None:
    await device.trouble(tls_dies_after=0.6)
    assert (await do(device, (await operations(device))["bind"])).status_code == 200
    assert (await handshake(device)).leaf == device.certificate(ALIAS)
    await asyncio.sleep(0.7)  # noqa: TID251 - the fault counts real time
    with pytest.raises(OSError, match=r"(?i)handshake failure"):
        await handshake(device)


async def test_an_old_process_shows_the_old_certificate(device: SimulatedDevice) -> None:
    before = device.served
    await device.trouble(serves_old_certificate=True)
    assert (await do(device, (await operations(device))["bind"])).status_code == 200
    assert (await handshake(device)).leaf == before == device.served
    await device.trouble(serves_old_certificate=False)
    assert (await handshake(device)).leaf == device.certificate(ALIAS)


async def test_a_leaf_from_nowhere(device: SimulatedDevice) -> None:
    before = device.served
    await device.trouble(serves_wrong_leaf=True)
    assert (await handshake(device)).leaf == before
    assert (await do(device, (await operations(device))["bind"])).status_code == 200
    shown = (await handshake(device)).leaf
    assert shown not in [device.certificate(alias) for alias in device.aliases]


async def test_the_gap_of_a_restart_is_real(device: SimulatedDevice) -> None:
    await device.trouble(restart_seconds=0.5)
    reader, writer = await asyncio.open_connection(device.address, device.http_port)
    async with browser(device) as client:
        await soap(client, configuration(device))
        with suppress(ConnectionResetError):  # the idle connection was cut, one way or the other
            assert await reader.read() == b""
        writer.close()
        for port in (device.http_port, device.https_port):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(device.address, port)
    await back(device, 1)
    assert (await handshake(device)).leaf == device.served


async def test_a_server_that_dies_before_it_answers(device: SimulatedDevice) -> None:
    await device.trouble(answer_after_restart=True)
    todo = (await operations(device))["bind"]
    with pytest.raises(LOST):
        await do(device, todo)
    await back(device, 1)
    assert device.web.bound == ALIAS


async def test_keys_as_told(device: SimulatedDevice) -> None:
    await device.trouble(csr_sha1=True, rsa_1024=True, keygen_seconds=0.3)
    start = time.monotonic()
    asked = await request_for(device, ALIAS)
    assert time.monotonic() - start >= 0.3
    assert asked.signature_hash_algorithm is not None
    assert asked.signature_hash_algorithm.name == "sha1"
    key = asked.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 1024
    await device.trouble(key_generation_refused=True)
    assert "KeyPairGenerationFault" in (await do(device, create("third"))).text
    await device.trouble(key_generation_refused=False, store_full=True)
    assert "MaxNumberOfCertificatesFault" in (await do(device, create("third"))).text
    assert "third" not in device.aliases


async def test_the_same_over_rest() -> None:
    async with Fleet([DeviceSpec("12.11", faults={"key_generation_refused": True})]) as fleet:
        device = fleet.devices[0]
        async with browser(device) as client:
            refused = await client.post("/config/rest/cert/v1/create_certificate", json=wrapped(ORDER))
            assert "Failed to generate key pair" in refused.json()["error"]["message"]
            await device.trouble(key_generation_refused=False, store_full=True)
            full = await client.post("/config/rest/cert/v1/create_certificate", json=wrapped(ORDER))
            assert (full.status_code, "full" in full.text) == (400, True)
            await device.trouble(store_full=False, error_with_effect={"create_key": 1})
            broken = await client.post("/config/rest/cert/v1/create_certificate", json=wrapped(ORDER))
            assert (broken.status_code, ALIAS in device.aliases) == (500, True)


@pytest.mark.parametrize(("how", "status"), [("keys-not-matching", 400), ("no-effect", 200)])
async def test_load_certificates_as_told(device: SimulatedDevice, how: str, status: int) -> None:
    todo = await operations(device)
    await device.trouble(load_certificates=how)
    before = picture(device)
    answer = await do(device, todo["install"])
    assert (answer.status_code, "ter:KeysNotMatching" in answer.text) == (status, status == 400)
    assert picture(device) == before


async def test_logins_as_told(device: SimulatedDevice) -> None:
    async def challenge() -> str:
        async with browser(device, login=False) as client:
            return str((await client.get("/axis-cgi/usergroup.cgi")).headers["www-authenticate"])

    await device.trouble(basic_only=True)
    assert (await challenge()).startswith("Basic")
    await device.trouble(basic_only=False, no_qop=True, realm="AXIS_000000000000")
    shown = await challenge()
    assert ("qop" in shown, 'realm="AXIS_000000000000"' in shown) == (False, True)
    async with browser(device) as client:
        assert (await client.get("/axis-cgi/usergroup.cgi")).status_code == 200
        await device.trouble(no_qop=False, realm=None, serial="000000000000")
        told = await client.get("/axis-cgi/param.cgi?action=list&group=Properties.System.SerialNumber")
    assert told.text == "Properties.System.SerialNumber=000000000000\n"


async def test_redirects_and_closed_ports(device: SimulatedDevice) -> None:
    await device.trouble(redirect_to="http://192.0.2.66/")
    async with browser(device, login=False) as client:
        away = await client.get("/axis-cgi/usergroup.cgi")
        assert (away.status_code, away.headers["location"]) == (302, "http://192.0.2.66/")
    await device.trouble(redirect_to=None, busy=True)
    async with browser(device, login=False) as client:
        assert (await client.get("/axis-cgi/usergroup.cgi")).status_code == 503
    await device.trouble(busy=False, http_closed=True)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(device.address, device.http_port)
    assert (await handshake(device)).leaf == device.served
    await device.trouble(http_closed=False, unreachable=True)
    for port in (device.http_port, device.https_port):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(device.address, port)
    await device.trouble(unreachable=False)
    assert (await handshake(device)).leaf == device.served


@pytest.mark.parametrize("kind", ANSWERS)
async def test_hostile_answers(kind: str) -> None:
    async with Fleet([DeviceSpec("9.10", faults={"answer": kind, "answer_on": "/axis-cgi/param"})]) as fleet:
        device = fleet.devices[0]
        async with browser(device) as client:
            assert (await client.get("/axis-cgi/usergroup.cgi")).status_code == 200
        got = await _read(device, "/axis-cgi/param.cgi?action=list")
    head, _, body = got.partition(b"\r\n\r\n")
    match kind:
        case "endless" | "huge":
            assert len(body) > 3_000_000
        case "drip":
            assert 1 <= len(body) < 100
        case "deep-xml":
            assert body.count(b"<a>") == 20_000
        case "deep-json":
            assert body.count(b"[") == 100_000
        case "compressed":
            assert b"Content-Encoding: gzip" in head
            assert len(gzip.decompress(body)) > 100 * len(body)
        case "wrong-length":
            assert b"Content-Length: 1000" in head
            assert len(body) < 100
        case "many-headers":
            assert len(head) > 1_000_000


async def _read(device: SimulatedDevice, target: str) -> bytes:
    """What comes within a second or in 4 MB."""
    reader, writer = await asyncio.open_connection(device.address, device.http_port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    got = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            while len(got) < 4_000_000 and (part := await reader.read(65536)):
                got += part
    writer.transport.abort()
    return got


async def test_all_verbs_are_known_to_the_faults() -> None:
    assert len(set(VERBS)) == len(VERBS)
    counted = [item.name for item in fields(Faults) if isinstance(getattr(Faults(), item.name), dict)]
    for name in counted:
        assert Faults.of({name: dict.fromkeys(VERBS, 1)})
        with pytest.raises(ValueError, match="unknown verb"):
            Faults.of({name: {"nothing": 1}})
    with pytest.raises(ValueError, match="no fault"):
        Faults.of({"nothing": 1})
    with pytest.raises(ValueError, match="no answer"):
        Faults.of({"answer": "nothing"})


async def test_certificates_carry_the_devices_own_time() -> None:
    async with Fleet([DeviceSpec("9.10", faults={"clock_offset": -1.7e9})]) as fleet:  # about 1972
        device = fleet.devices[0]
        assert device.served is not None
        assert x509.load_der_x509_certificate(device.served).not_valid_before_utc.year in (1972, 1973)


async def test_an_endless_answer_lets_others_have_their_turn() -> None:
    """Also while TLS is being ended, where nothing that is written ever has to wait."""

    class Dropping:
        def write(self, part: bytes) -> None: ...

        async def drain(self) -> None: ...

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await hostile.answer("endless", cast("asyncio.StreamWriter", Dropping()), SystemClock())
