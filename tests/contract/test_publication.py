"""The door for everybody: CRLs and CA certificates by plain HTTP, at the addresses that certificates name."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleetseal.app import Application, open_application
from fleetseal.core.config import Settings
from fleetseal.core.errors import InvalidInput
from fleetseal.pki import profile
from fleetseal.pki.content import Signer
from fleetseal.web import publication
from fleetseal.web.door import Bounds
from tests.pki import NOW, RNG, YEAR, authority, key


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@asynccontextmanager
async def serving(data: Path, where: str, public_url: str = "") -> AsyncIterator[Application]:
    environment = {"FLEETSEAL_PUBLISH_LISTEN": where, "FLEETSEAL_CERTIFICATE_PUBLIC_URL": public_url}
    async with open_application(data, work=True, environment=environment) as application:
        yield application


async def create(application: Application) -> None:
    transport = httpx.ASGITransport(application.local)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as api:
        body = {"name": "Site", "key_type": "ec", "passphrase": "x"}
        assert (await api.post("/authorities", json=body)).status_code == 201


async def raw(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("path", ["", "/pki"])
async def test_what_a_certificate_points_to_is_served_and_nothing_else(tmp_path: Path, path: str) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    async with serving(tmp_path / "data", f"127.0.0.1:{port}", base + path) as application:
        await create(application)
        assert application.public is not None
        issuing = [x509.load_der_x509_certificate(file.read_bytes()) for file in (tmp_path / "data/crl").glob("*.crt")]
        for certificate in issuing:
            if certificate.issuer == certificate.subject:
                root = certificate
            else:
                pointed = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
                subordinate = certificate
        async with httpx.AsyncClient(trust_env=False) as client:
            assert pointed[0].full_name is not None
            answer = await client.get(pointed[0].full_name[0].value)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pkix-crl")
            assert x509.load_der_x509_crl(answer.content).issuer == root.subject
            leaf = x509.load_der_x509_certificate(signed_by(subordinate, base + path))
            access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
            fetched = await client.get(access[0].access_location.value)
            assert (fetched.status_code, fetched.headers["content-type"]) == (200, "application/pkix-cert")
            assert x509.load_der_x509_certificate(fetched.content) == subordinate
            head = await client.head(access[0].access_location.value)
            assert (head.status_code, head.content) == (200, b"")
            assert int(head.headers["content-length"]) == len(fetched.content)
            for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
                refused = await client.request(method, access[0].access_location.value)
                assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
            for wrong in (
                "",
                "/",
                "/crl/",
                "/ca/",
                "/api/v1/server",
                "/docs",
                "/openapi.json",
                "/crl/..%2fsecrets.key",
            ):
                answer = await client.get(base + wrong)
                assert (answer.status_code, answer.content) == (404, b""), wrong
        for target in ("/crl/../secrets.key", "/crl/%2e%2e/signer.key", "//crl/", "/crl/\x00", "*"):
            answered = await raw(port, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert answered.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), answered


def signed_by(certificate: x509.Certificate, public_url: str) -> bytes:
    """A leaf with the pointers that the CA of this certificate would put into it."""
    der, other = certificate.public_bytes(Encoding.DER), authority()
    content = profile.leaf_content(
        Signer(der),
        key("ec-p256", 1).spki,
        serial=profile.new_serial(RNG),
        now=NOW,
        life=YEAR,
        common_name="192.0.2.1",
        names=("192.0.2.1",),
        public_url=public_url,
    )
    return other.issuer.issue(other.issuer.prepare(replace(content, issuer=other.signer.sha256)))


async def test_without_the_setting_nothing_listens(tmp_path: Path) -> None:
    async with open_application(tmp_path / "data", work=True, environment={}) as application:
        assert application.public is None


async def test_an_address_that_is_taken_is_said_and_nothing_is_served(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InvalidInput, match=r"publish\.listen"):
            async with serving(tmp_path / "data", where):
                raise AssertionError("it must not start")
    assert not (tmp_path / "data" / "fleetseal.sock").exists()


async def test_a_folder_that_cannot_be_read_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "crl").write_text("a file where the folder has to be")
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    application = publication.Publication(tmp_path, "")
    await application({"type": "http", "method": "GET", "path": f"/crl/{'0' * 16}.crl"}, None, send)
    assert [one.get("status") for one in sent] == [503, None]


async def test_silent_connections_end_and_only_so_many_are_open(tmp_path: Path) -> None:
    """INP-BOUNDED."""
    port = free_port()
    settings = Settings(publish_listen=f"127.0.0.1:{port}")
    listener = publication.PublicListener(tmp_path, settings, Bounds(seconds=1.0, connections=3))
    async with asyncio.TaskGroup() as group:
        await listener.open(group)
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]
        try:
            async with asyncio.timeout(0.5):
                assert all([await ended(reader) for reader, _ in silent[3:]]), "too many"
            assert not silent[0][0].at_eof()
            async with asyncio.timeout(10):
                assert all([await ended(reader) for reader, _ in silent[:3]]), "too long"
        finally:
            for _, writer in silent:
                writer.close()
            await listener.close()


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True
