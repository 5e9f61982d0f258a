"""The REST `cert` API of 11.6 and later (device-api 9)."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from fleetseal.sim.fleet import Fleet, SimulatedDevice
from tests.contract.test_sim_soap import sign
from tests.simulator import back, browser, configuration, handshake, soap

BASES = {"11.6": "/config/rest/cert/v1beta", "12.11": "/config/rest/cert/v1"}
ALIAS = "Plant HTTPS 2026"
ORDER = {"alias": ALIAS, "subject": "CN=192.0.2.10", "subject_alt_names": ["IP:192.0.2.10"], "key_type": "RSA-2048"}


@pytest.fixture(params=list(BASES))
async def device(request: pytest.FixtureRequest) -> AsyncIterator[SimulatedDevice]:
    async with Fleet([request.param], restart_seconds=0.01) as fleet:
        yield fleet.devices[0]


@pytest.fixture
async def rest(device: SimulatedDevice) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(device, secure=True) as client:
        client.base_url = client.base_url.join(BASES[device.profile.name])
        yield client


def wrapped(value: Any) -> dict[str, Any]:
    return {"data": value}


async def test_found_through_discovery(device: SimulatedDevice) -> None:
    async with browser(device) as client:
        apis = (await client.get("/config/discover")).json()["apis"]
        assert apis["cert"]["v1"]["rest_api"] == BASES[device.profile.name]
        missing = await client.get("/config/rest/nothing/v1")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == 1


async def test_12_answers_v1beta_too_and_11_no_v1(device: SimulatedDevice) -> None:
    async with browser(device) as client:
        other = await client.get("/config/rest/cert/v1beta/settings")
        newer = await client.get("/config/rest/cert/v1/settings")
    assert other.status_code == 200
    assert newer.status_code == (200 if device.profile.name == "12.11" else 404)


async def test_older_firmware_has_no_framework() -> None:
    async with Fleet(["10.12"]) as fleet, browser(fleet.devices[0]) as client:
        answer = await client.get("/config/discover")
    assert answer.status_code == 404
    assert answer.text.startswith("<HTML>")


async def test_key_request_certificate_binding(device: SimulatedDevice, rest: httpx.AsyncClient) -> None:
    assert (await rest.post("/create_certificate", json=wrapped(ORDER))).json() == {"status": "success"}
    csr = (await rest.post(f"/certificates/{ALIAS}/get_csr", json=wrapped({}))).json()["data"]
    asked = x509.load_pem_x509_csr(csr.encode())
    assert asked.is_signature_valid
    assert asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    certificate, _ = sign(asked.public_key())
    pem = certificate.public_bytes(Encoding.PEM).decode()
    assert (await rest.patch(f"/certificates/{ALIAS}", json=wrapped({"certificate": pem}))).status_code == 200
    shown = (await rest.get(f"/certificates/{ALIAS}")).json()["data"]
    assert shown == {"alias": ALIAS, "certificate": pem, "keystore": "SE0"}
    assert (await rest.get(f"/certificates/{ALIAS}/certificate")).json()["data"] == pem
    async with browser(device) as client:
        assert (await soap(client, configuration(device, alias=ALIAS))).status_code == 200
    await back(device, 1)
    assert (await handshake(device)).leaf == certificate.public_bytes(Encoding.DER)


async def test_a_new_certificate_under_the_bound_alias_is_served(
    device: SimulatedDevice, rest: httpx.AsyncClient
) -> None:
    await rest.post("/create_certificate", json=wrapped(ORDER))
    async with browser(device) as client:
        await soap(client, configuration(device, alias=ALIAS))
    await back(device, 1)
    key = device.device.store.get(ALIAS).certificate.public_key()
    certificate, _ = sign(key)
    pem = certificate.public_bytes(Encoding.PEM).decode()
    assert (await rest.patch(f"/certificates/{ALIAS}", json=wrapped({"certificate": pem}))).status_code == 200
    await back(device, 2)
    assert (await handshake(device)).leaf == certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("change", "key"),
    [({"key_type": None}, ec.EllipticCurvePublicKey), ({"key_type": "EC-P384"}, ec.EllipticCurvePublicKey),
     ({"key_type": "RSA-1024"}, rsa.RSAPublicKey), ({"valid_from": 0, "valid_to": 0}, rsa.RSAPublicKey)],
)  # fmt: skip
async def test_keys_as_ordered(
    device: SimulatedDevice, rest: httpx.AsyncClient, change: dict[str, Any], key: type
) -> None:
    order = {name: value for name, value in (ORDER | change).items() if value is not None}
    assert (await rest.post("/create_certificate", json=wrapped(order))).status_code == 200
    assert isinstance(device.device.store.get(ALIAS).certificate.public_key(), key)


@pytest.mark.parametrize(
    "change",
    [{"key_type": "RSA-3072"}, {"key_type": "NIST-P256"}, {"keystore": "TPM9"}, {"subject": "no name"},
     {"subject_alt_names": ["URI:urn:x"]}, {"alias": ""}, {"alias": "x" * 129}, {"valid_from": "now"}],
)  # fmt: skip
async def test_bad_orders_are_refused(device: SimulatedDevice, rest: httpx.AsyncClient, change: dict[str, Any]) -> None:
    held = device.aliases
    answer = await rest.post("/create_certificate", json=wrapped(ORDER | change))
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 5
    assert device.aliases == held


async def test_request_without_or_with_other_names(rest: httpx.AsyncClient) -> None:
    await rest.post("/create_certificate", json=wrapped(ORDER))
    empty = await rest.post(f"/certificates/{ALIAS}/get_csr", json=wrapped({"subject": "", "subject_alt_names": []}))
    asked = x509.load_pem_x509_csr(empty.json()["data"].encode())
    assert asked.subject == x509.Name([])
    assert not list(asked.extensions)
    assert (await rest.post(f"/certificates/{ALIAS}/get_csr")).status_code == 400
    assert (await rest.post("/certificates/nobody/get_csr", json=wrapped({}))).status_code == 404


async def test_duplicates_bound_and_foreign_keys_are_refused(device: SimulatedDevice, rest: httpx.AsyncClient) -> None:
    await rest.post("/create_certificate", json=wrapped(ORDER))
    assert (await rest.post("/create_certificate", json=wrapped(ORDER))).status_code == 409
    other, _ = sign(rsa.generate_private_key(65537, 2048).public_key())
    pem = other.public_bytes(Encoding.PEM).decode()
    refused = await rest.patch(f"/certificates/{ALIAS}", json=wrapped({"certificate": pem}))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, 5)
    taken = await rest.post("/ca_certificates", json=wrapped({"alias": ALIAS, "certificate": pem}))
    assert taken.status_code == 409
    bound = device.web.bound
    assert (await rest.delete(f"/certificates/{bound}")).status_code == 400
    assert bound in device.aliases
    assert (await rest.delete(f"/ca_certificates/{ALIAS}")).status_code == 404
    assert (await rest.delete(f"/certificates/{ALIAS}")).status_code == 200
    assert (await rest.delete(f"/certificates/{ALIAS}")).status_code == 404


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
async def test_key_pairs_from_outside(device: SimulatedDevice, rest: httpx.AsyncClient, form: PrivateFormat) -> None:
    key = rsa.generate_private_key(65537, 2048)
    certificate, _ = sign(key.public_key())
    pem = certificate.public_bytes(Encoding.PEM).decode()
    private = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    made = await rest.post("/certificates", json=wrapped({"alias": "pair", "certificate": pem, "private_key": private}))
    assert made.status_code == 201
    assert made.json()["data"] == {"alias": "pair", "certificate": pem, "keystore": "SE0"}
    packed = pkcs12.serialize_key_and_certificates(b"x", key, certificate, None, BestAvailableEncryption(b"secret"))
    body = {"alias": "packed", "pkcs12": base64.b64encode(packed).decode(), "passphrase": "secret"}
    assert (await rest.post("/install_from_pkcs12", json=wrapped(body | {"passphrase": "no"}))).status_code == 400
    assert (await rest.post("/install_from_pkcs12", json=wrapped(body))).status_code == 200
    assert {"pair", "packed"} <= set(device.aliases)
    whole = (await rest.get("")).text
    assert "PRIVATE KEY" not in whole
    stranger = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    wrong = {"alias": "other", "certificate": pem, "private_key": stranger}
    assert (await rest.post("/certificates", json=wrapped(wrong))).status_code == 400


async def test_authorities(device: SimulatedDevice, rest: httpx.AsyncClient) -> None:
    authority, _ = sign(rsa.generate_private_key(65537, 2048).public_key(), subject="CN=Plant CA")
    pem = authority.public_bytes(Encoding.PEM).decode()
    item = {"alias": "plant-ca", "certificate": pem}
    made = await rest.post("/ca_certificates", json=wrapped(item))
    assert (made.status_code, made.json()["data"]) == (201, item)
    assert device.authority_aliases[-1] == "plant-ca"
    assert (await rest.get("/ca_certificates/plant-ca")).json()["data"] == item
    assert (await rest.delete("/ca_certificates/plant-ca")).status_code == 200
    assert "plant-ca" not in device.authority_aliases


async def test_default_keystore(device: SimulatedDevice, rest: httpx.AsyncClient) -> None:
    chosen = device.profile.keys.keystores[0][0]
    assert (await rest.patch("/settings", json=wrapped({"keystore": chosen}))).status_code == 200
    assert (await rest.get("/settings")).json()["data"] == {"keystore": chosen}
    assert (await rest.patch("/settings/keystore", json=wrapped("nowhere"))).status_code == 400
