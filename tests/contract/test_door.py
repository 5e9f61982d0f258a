"""The door to the network: pages, files, what browsers are told, and what strangers may take."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from fleetseal.core.errors import InvalidInput, StoreError
from fleetseal.core.text import clean
from fleetseal.web.door import Bounds, Door
from fleetseal.web.pages import POLICY, SECURITY_HEADERS, Pages, files
from fleetseal.web.tls import ServerCertificate
from tests.support import NOW, FastClock

pytestmark = pytest.mark.enable_socket

YEAR = timedelta(days=365)
USUAL = Bounds()
INDEX = "<!doctype html><title>Fleetseal</title>"


async def api(scope: Any, receive: Any, send: Any) -> None:
    """Tells what reached it."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    text = f"{scope['method']} {scope['path']} {scope['scheme']} {len(body)}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "static"
    (root / "lib").mkdir(parents=True)
    (root / "index.html").write_text(INDEX)
    (root / "lib" / "dom.js").write_text("export {};")
    (root / "jsconfig.json").write_text("{}")
    (tmp_path / "secrets.key").write_text("secret")
    return root


@asynccontextmanager
async def door(
    folder: Path, bounds: Bounds = USUAL, context: Callable[[], ssl.SSLContext] | None = None
) -> AsyncIterator[Door]:
    opened = Door(
        Pages(api, files(folder)),
        *("127.0.0.1", 0),
        bounds=bounds,
        context=context,
    )
    async with asyncio.TaskGroup() as group:
        await opened.open(group)
        try:
            yield opened
        finally:
            await opened.close()


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    application: Any = Pages(api, files(folder))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://fleetseal") as client:
        yield client


async def raw(where: Door, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", where.port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


# ---------------------------------------------------------------- pages


@pytest.mark.parametrize("path", ["/", "/devices", "/devices/7", "/configuration/certificates", "/no/such/page"])
async def test_every_path_of_a_page_is_the_application(folder: Path, path: str) -> None:
    async with browser(folder) as client:
        answer = await client.get(path)
    assert (answer.status_code, answer.text) == (200, INDEX)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_files_are_revalidated(folder: Path) -> None:
    async with browser(folder) as client:
        first = await client.get("/static/lib/dom.js")
        again = await client.get("/static/lib/dom.js", headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'})
        other = await client.get("/static/lib/dom.js", headers={"If-None-Match": '"other"'})
        head = await client.head("/static/lib/dom.js")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    assert first.headers["cache-control"] == again.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (other.status_code, other.text) == (200, "export {};")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "10")


@pytest.mark.parametrize(
    "path",
    ["/static/", "/static", "/static/none.js", "/static/jsconfig.json", "/favicon.ico", "/static/../../secrets.key"],
)
async def test_what_is_no_file_of_the_application_is_a_problem_document(folder: Path, path: str) -> None:
    async with door(folder) as opened:
        answer = await raw(opened, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    if path == "/static":
        assert answer.endswith(INDEX.encode())
        return
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"application/problem+json" in answer
    assert b'"code": "not-found"' in answer


async def test_pages_are_only_read(folder: Path) -> None:
    async with browser(folder) as client:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            refused = await client.request(method, "/devices")
            assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/static/lib/dom.js", "/static/none.js", "/api/v1/devices", "/metrics"])
async def test_every_answer_has_the_security_headers(folder: Path, path: str) -> None:
    async with browser(folder) as client:
        answer = await client.get(path)
    assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "strict-transport-security" not in answer.headers
    assert "unsafe" not in POLICY


async def test_the_api_is_beside_the_pages(folder: Path) -> None:
    async with browser(folder) as client:
        assert (await client.get("/api/v1/devices")).text == "GET /api/v1/devices http 0"
        assert (await client.post("/api/v1/devices", content=b"12345")).text.endswith(" 5")
        assert (await client.get("/apiary")).text == INDEX


def test_the_package_has_its_pages() -> None:
    found = files()
    assert "/static/index.html" in found
    assert not [path for path in found if clean(path) != path]


# ---------------------------------------------------------------- bounds


async def test_what_is_too_long_is_not_read(folder: Path) -> None:
    async with door(folder) as opened:
        head = b"POST /api/v1/devices HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        assert (await raw(opened, head + b"Content-Length: 8388609\r\n\r\n")).startswith(b"HTTP/1.1 413")
        assert (await raw(opened, head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")).startswith(b"HTTP/1.1 411")
        long = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000
        assert (await raw(opened, long)).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [("192.0.2.1", "192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")],
)
async def test_one_host_cannot_promise_more_than_its_share(folder: Path, one: str, same: str, other: str) -> None:
    inside, leave = asyncio.Semaphore(0), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        inside.release()
        await leave.wait()
        await api(scope, receive, send)

    pages: Any = Pages(slow, files(folder))

    async def promise(address: str) -> int:
        transport = httpx.ASGITransport(pages, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://fleetseal") as client:
            return (await client.post("/api/v1/devices", headers={"Content-Length": str(8 * 2**20)})).status_code

    async with asyncio.TaskGroup() as group:
        promised = [group.create_task(promise(address)) for address in (one, same, other)]
        for _ in promised:
            await inside.acquire()
        assert await promise(one) == 503
        leave.set()
        assert await promise(other) == 200
    assert [task.result() for task in promised] == [200, 200, 200]
    assert await promise(one) == 200


@pytest.mark.parametrize("begun", [b"", b"GET / HTT", b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"])
async def test_a_request_that_does_not_come_ends(folder: Path, begun: bytes) -> None:
    async with door(folder, Bounds(request_seconds=0.5)) as opened:
        reader, writer = await asyncio.open_connection("127.0.0.1", opened.port)
        writer.write(begun)
        async with asyncio.timeout(10):
            assert await ended(reader)
        writer.close()


async def test_a_second_request_that_drips_ends_too(folder: Path) -> None:
    async with door(folder, Bounds(request_seconds=0.5)) as opened:
        reader, writer = await asyncio.open_connection("127.0.0.1", opened.port)
        writer.write(b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(10):
            assert (await reader.readuntil(b" 0\r\n0\r\n\r\n")).startswith(b"HTTP/1.1 200")
            writer.write(b"GET /")
            assert await ended(reader)
        writer.close()


async def test_a_client_that_takes_nothing_is_left(folder: Path) -> None:
    (folder / "big.js").write_bytes(b"x" * 30_000_000)
    async with door(folder, Bounds(stalled_seconds=0.3)) as opened:
        reader, writer = await asyncio.open_connection("127.0.0.1", opened.port, limit=1024)
        writer.write(b"GET /static/big.js HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(1.0)  # noqa: TID251 - a real socket: only time can tell that it is left
        taken = 0
        with suppress(ConnectionResetError):
            while part := await reader.read(1_000_000):
                taken += len(part)
        writer.close()
    assert taken < 30_000_000


async def test_one_address_has_so_many_connections_and_all_have_so_many(folder: Path) -> None:
    for bounds in (Bounds(of_one_address=3), Bounds(connections=3)):
        async with door(folder, bounds) as opened:
            open_ = [await asyncio.open_connection("127.0.0.1", opened.port) for _ in range(5)]
            async with asyncio.timeout(5):
                assert all([await ended(reader) for reader, _ in open_[3:]])
            assert not open_[0][0].at_eof()
            for _, writer in open_:
                writer.close()


# ---------------------------------------------------------------- TLS


async def served_by(port: int) -> tuple[bytes, str, str]:
    """The certificate (DER), version and suite that a client gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    shown, version, cipher = tls.getpeercert(True), tls.version(), tls.cipher()
    writer.transport.abort()
    assert shown is not None
    assert cipher is not None
    return shown, version or "", cipher[0]


def write(folder: Path, name: str, *, passphrase: bytes | None = None) -> bytes:
    """A self-signed certificate and its key in files; the certificate (DER)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), NOW, NOW + YEAR)
    certificate = builder.sign(key, hashes.SHA256())
    sealing = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    secret = key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing)
    (folder / "server.key").write_bytes(secret)
    (folder / "server.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return certificate.public_bytes(Encoding.DER)


def certificate(folder: Path) -> ServerCertificate:
    return ServerCertificate(folder / "server.pem", folder / "server.key")


async def test_the_api_over_tls(folder: Path, tmp_path: Path) -> None:
    shown, held = write(tmp_path, "server"), certificate(tmp_path)
    held.load()
    async with door(folder, context=held.context) as opened:
        assert (await served_by(opened.port))[:2] == (shown, "TLSv1.3")
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:
            for _ in range(3):
                answer = await client.get(f"https://127.0.0.1:{opened.port}/api/v1/devices")
                assert answer.text == "GET /api/v1/devices https 0"
        assert await raw(opened, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == b"", "no plain HTTP beside TLS"


async def test_old_tls_is_refused(folder: Path, tmp_path: Path) -> None:
    write(tmp_path, "server")
    held = certificate(tmp_path)
    held.load()
    context = held.context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert all("ECDHE" in one["name"] or one["protocol"] == "TLSv1.3" for one in context.get_ciphers())


async def test_a_silent_handshake_is_counted_and_ends_with_the_door(folder: Path, tmp_path: Path) -> None:
    write(tmp_path, "server")
    held = certificate(tmp_path)
    held.load()
    async with door(folder, Bounds(of_one_address=2), context=held.context) as opened:
        silent = [await asyncio.open_connection("127.0.0.1", opened.port) for _ in range(4)]
        async with asyncio.timeout(5):
            assert all([await ended(reader) for reader, _ in silent[2:]])
        assert not silent[0][0].at_eof()
    async with asyncio.timeout(5):
        assert await ended(silent[0][0])
    for _, writer in silent:
        writer.close()


async def test_a_passphrase_that_cannot_be_read_does_not_end_the_server(folder: Path, tmp_path: Path) -> None:
    write(tmp_path, "first", passphrase=b"secret")
    asked: list[str] = []

    def passphrase() -> str:
        asked.append("")
        if len(asked) == 2:
            raise StoreError("The file is damaged.")
        return "secret"

    held = ServerCertificate(tmp_path / "server.pem", tmp_path / "server.key", passphrase)
    held.load()
    async with door(folder, context=held.context) as opened, asyncio.TaskGroup() as group:
        keeping = group.create_task(held.keep(FastClock(NOW, factor=200)))
        write(tmp_path, "second", passphrase=b"secret")
        async with asyncio.timeout(10):
            while len(asked) < 2:
                await asyncio.sleep(0.05)  # noqa: TID251 - real files
            third = write(tmp_path, "third", passphrase=b"secret")
            while (await served_by(opened.port))[0] != third:
                pass
        keeping.cancel()


async def test_a_new_certificate_serves_without_a_restart(folder: Path, tmp_path: Path) -> None:
    first, held = write(tmp_path, "first"), certificate(tmp_path)
    held.load()
    async with door(folder, context=held.context) as opened, asyncio.TaskGroup() as group:
        keeping = group.create_task(held.keep(FastClock(NOW, factor=200)))
        assert (await served_by(opened.port))[0] == first
        (tmp_path / "server.pem").write_text("half of it")
        async with asyncio.timeout(10):
            await asyncio.sleep(0.2)  # noqa: TID251 - real files
            assert (await served_by(opened.port))[0] == first, "what is wrong is not taken"
            second = write(tmp_path, "second")
            while (await served_by(opened.port))[0] != second:
                pass
        keeping.cancel()


def test_files_that_cannot_serve_are_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        certificate(tmp_path).load()
    write(tmp_path, "server")
    kept = (tmp_path / "server.key").read_bytes()
    write(tmp_path, "server", passphrase=b"x")
    with pytest.raises(InvalidInput, match="without a passphrase"):
        certificate(tmp_path).load()
    (tmp_path / "server.key").write_bytes(kept)
    with pytest.raises(InvalidInput, match="does not belong to"):
        certificate(tmp_path).load()
    (tmp_path / "server.key").write_text("")
    with pytest.raises(InvalidInput, match="do not hold"):
        certificate(tmp_path).load()
