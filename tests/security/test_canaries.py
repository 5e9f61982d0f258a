"""SEC-NO-LEAK, SEC-SEALED: secrets of every kind go through everything, every sink is searched, in every spelling."""

import base64
import hashlib
import io
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from fleetseal.cli.main import build, run
from fleetseal.core import log
from fleetseal.core.errors import FleetsealError
from fleetseal.core.model import Login, Selection
from fleetseal.core.secrets import Secret
from fleetseal.operations import authorities, certificates, contact, inventory, tasks
from fleetseal.operations.inventory import Changes
from fleetseal.sim.certificates import PrivateKey
from fleetseal.sim.fleet import DeviceSpec, SimulatedDevice
from fleetseal.store import audit
from tests.devices import SiteAuthority
from tests.site import Site, site
from tests.support import LOGGERS

PASSWORD = 'c4n4ry "pw" +/=&<\\'
WRONG = "c4n4ry wrong pw"
CHANGED = "c4n4ry changed pw"
PASSPHRASE = "c4n4ry phrase 'of' the CA"
WRONG_PASSPHRASE = "c4n4ry wrong phrase"
FILE_PASSPHRASE = "c4n4ry phrase of a file"


@dataclass
class Canaries:
    """What must be nowhere. Each secret in the spellings in which it could leak."""

    spellings: dict[bytes, str] = field(default_factory=dict)

    def add(self, name: str, secret: bytes) -> None:
        forms = {secret, secret.hex().encode(), secret.hex().upper().encode(), quote(secret).encode()}
        forms |= {base64.b64encode(secret).rstrip(b"="), base64.urlsafe_b64encode(secret).rstrip(b"=")}
        try:
            forms.add(json.dumps(secret.decode())[1:-1].encode())
            forms.add(repr(secret.decode())[1:-1].encode())
        except UnicodeDecodeError:
            forms.add(repr(secret)[2:-1].encode())
        self.spellings |= {form: name for form in forms if len(form) >= 12}

    def login(self, username: str, password: str, realm: str) -> None:
        """The password, what Basic makes of it, and what digest makes of it: as good as the password itself."""
        self.add("password", password.encode())
        self.add("Basic login", f"{username}:{password}".encode())
        for algorithm in ("md5", "sha256"):
            self.add("digest HA1", hashlib.new(algorithm, f"{username}:{realm}:{password}".encode()).digest())

    def key(self, name: str, key: PrivateKey) -> None:
        """Its secret number, and its encodings as they stand in files."""
        numbers: Any = key.private_numbers()
        secret = numbers.private_value if hasattr(numbers, "private_value") else numbers.d
        self.add(name, secret.to_bytes((secret.bit_length() + 7) // 8, "big"))
        if not hasattr(numbers, "private_value"):
            self.add(name, numbers.p.to_bytes((numbers.p.bit_length() + 7) // 8, "big"))
        pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        for line in pkcs8.splitlines()[2:-1]:  # the first one holds the algorithm, which is no secret
            self.add(name, line.encode())

    def found_in(self, text: bytes) -> set[str]:
        return {name for form, name in self.spellings.items() if form in text}


@pytest.fixture
def everything_logged() -> io.StringIO:
    """All loggers at DEBUG, those of the libraries too: in the product's format, and once more as they come."""
    shown = io.StringIO()
    log.configure(shown, level=logging.DEBUG)
    raw = logging.StreamHandler(shown)
    raw.setFormatter(logging.Formatter("%(name)s %(message)s"))
    logging.getLogger().addHandler(raw)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)
    return shown


@pytest.fixture
async def here(tmp_path: Path, everything_logged: io.StringIO) -> AsyncIterator[Site]:
    """Two devices that cannot make keys, a CA, and the real engine; everything is logged."""
    specs = [
        DeviceSpec(profile, password=PASSWORD, faults={"key_generation_refused": True}) for profile in ("12.11", "9.10")
    ]
    async with site(tmp_path / "data", *specs, authority=False, durable=True) as one:
        await authorities.create(
            one.services, actor="test", name="Site", key_type="ec", passphrase=Secret(PASSPHRASE), remember=True
        )
        yield one


async def exercise(here: Site, canaries: Canaries) -> list[object]:
    """A life with every secret in it: logins right and wrong, keys made here, failures, rollback. What was said."""
    said: list[object] = []
    for camera in here.fleet.devices:
        canaries.login(camera.username, PASSWORD, f"AXIS_{camera.serial}")
        canaries.login(camera.username, WRONG, f"AXIS_{camera.serial}")
        canaries.login(camera.username, CHANGED, f"AXIS_{camera.serial}")
        said.append(await here.add(camera, login=Login(camera.username, WRONG)))
        said.append(await set_password(here, camera, PASSWORD))
    said += await here.enable()
    assert {outcome["status"] for outcome in said[-2:] if isinstance(outcome, dict)} == {"Finished"}, said
    for camera in here.fleet.devices:
        (made_here,) = (entry for entry in camera.device.store.keys if entry.alias == camera.web.bound)
        assert made_here.key is not None
        assert (await here.show(camera))["certificate"]["key_origin"] == "manager"
        canaries.key("key made by the manager", made_here.key)
    first, second = here.fleet.devices
    await first.trouble(lose_answer_of={"install_key_pair": 1}, ok_without_effect={"bind": 9})
    await second.trouble(redirect_to="http://192.0.2.66/x")
    failed = await here.enable(renew=True)
    assert [outcome["status"] for outcome in failed] == ["Rolled back", "Failed"], failed
    said += failed
    await first.trouble(ok_without_effect={})
    first.device.users[first.username] = CHANGED
    said.append(await set_password(here, first, CHANGED))
    return [*said, *await here.enable(first, renew=True), *await bring(here, first, canaries)]


async def bring(here: Site, camera: SimulatedDevice, canaries: Canaries) -> list[object]:
    """A certificate and key from a file: wrong passphrase, refused by the device, put back, and in service."""
    plant, key = SiteAuthority("Plant"), rsa.generate_private_key(65537, 2048)
    leaf = x509.load_der_x509_certificate(plant.leaf(key.public_key(), camera.address))
    packed = serialize_key_and_certificates(None, key, leaf, None, BestAvailableEncryption(FILE_PASSPHRASE.encode()))
    canaries.key("key from a file", key)
    canaries.add("PKCS#12 file", packed[:64])
    canaries.add("passphrase of a file", FILE_PASSPHRASE.encode())
    canaries.add("passphrase of a file", WRONG_PASSPHRASE.encode())
    await authorities.trust_only(here.services, actor="test", files=(plant.root, plant.issuing))
    said: list[object] = []
    tries: tuple[tuple[str, dict[str, Any]], ...] = (
        (WRONG_PASSPHRASE, {}),
        (FILE_PASSPHRASE, {"store_full": True}),
        (FILE_PASSPHRASE, {"store_full": False, "ok_without_effect": {"bind": 9}}),
        (FILE_PASSPHRASE, {"ok_without_effect": {}}),
    )
    for phrase, faults in tries:
        await camera.trouble(**faults)
        try:
            task_id = await certificates.install(
                here.services,
                here.engine,
                actor="test",
                files=[("plant.p12", packed, Secret(phrase))],
                reference=camera.serial,
                for_https=True,
                set_clock=False,
            )
        except FleetsealError as error:
            said.append(error.message)
        else:
            said += (await here.ended(task_id))["devices"]
    assert [said[0], *(one["status"] for one in said[1:] if isinstance(one, dict))] == [
        "The passphrase is wrong, or the PKCS#12 file is damaged.",
        "Failed",
        "Rolled back",
        "Finished",
    ], said
    return said


async def set_password(here: Site, camera: SimulatedDevice, password: str) -> object:
    selection = Selection(refs=(camera.serial,))
    changed = await inventory.change(
        here.services, actor="test", selection=selection, changes=Changes(password=Secret(password))
    )
    return [changed, await contact.refresh_device(here.services, await here.id_of(camera))]


def ca_secrets(here: Site, canaries: Canaries) -> None:
    """What is in the key files of the data directory, opened as the product opens it."""
    for name in ("secrets.key", "signer.key"):
        canaries.add(name, (here.services.data / name).read_bytes())
    vault = here.services.vault
    for opened in vault._open.values():
        canaries.key("CA key", opened)
    assert vault._open, "a CA key is open in this process"


async def told(here: Site) -> str:
    """What the API shows of everything."""
    shown: list[object] = [await inventory.list_(here.services), await authorities.list_(here.services)]
    shown += [await here.show(camera) for camera in here.fleet.devices]
    for one in await tasks.list_(here.services, working=True):
        shown.append(await tasks.show(here.services, one["id"], working=True))
    async with here.services.database.reading() as tx:
        shown += [repr(record) for record in await audit.records(tx)]
    return json.dumps(shown, ensure_ascii=False, default=str)


async def test_no_secret_is_in_any_sink(here: Site, everything_logged: io.StringIO, tmp_path: Path) -> None:
    canaries = Canaries()
    canaries.add("passphrase", PASSPHRASE.encode())
    canaries.add("passphrase", WRONG_PASSPHRASE.encode())
    said = await exercise(here, canaries)
    with pytest.raises(FleetsealError) as refused:
        await authorities.unlock(here.services, actor="test", passphrase=Secret(WRONG_PASSPHRASE))
    said += [refused.value.message, repr(refused.value), repr(here.services)]
    await authorities.lock(here.services, actor="test")
    await authorities.unlock(here.services, actor="test", passphrase=Secret(PASSPHRASE))
    ca_secrets(here, canaries)

    own = {"secrets.key", "signer.key"}
    files = {path.name: path.read_bytes() for path in here.services.data.rglob("*") if path.is_file()}
    assert {"fleetseal.db", "fleetseal.db-wal", "jobs.db", *own} <= set(files), "the database and its journals too"
    for name, content in files.items():
        leaked = canaries.found_in(content) - ({name} if name in own else set())
        assert leaked == set(), name
    assert canaries.found_in(repr(said).encode()) == set(), "results and errors"
    assert canaries.found_in((await told(here)).encode()) == set(), "what is shown"
    written = everything_logged.getvalue()
    assert "aiosqlite" in written, "libraries were heard at DEBUG"
    assert canaries.found_in(written.encode()) == set(), "the log"


def test_a_leak_would_be_found() -> None:
    """The search itself: each spelling of each kind of secret is seen."""
    canaries = Canaries()
    canaries.login("root", PASSWORD, "AXIS_B8A44F631339")
    for key in (ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)):
        canaries.key("key", key)
        assert canaries.found_in(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())) == {"key"}
        assert canaries.found_in(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())) == {"key"}
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        assert canaries.found_in(public) == set()
    assert canaries.found_in(b'{"password": ' + json.dumps(PASSWORD).encode() + b"}") == {"password"}
    assert "Basic login" in canaries.found_in(b"Basic " + base64.b64encode(f"root:{PASSWORD}".encode()))
    assert canaries.found_in(b"nothing here") == set()


def test_the_command_line_shows_no_passphrase(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Right and wrong ones, from files, at every command that takes one; nor does any file hold them."""
    canaries = Canaries()
    for text in (PASSPHRASE, WRONG_PASSPHRASE):
        canaries.add("passphrase", text.encode())
    right, wrong, data = tmp_path / "right", tmp_path / "wrong", tmp_path / "data"
    right.write_text(PASSPHRASE)
    wrong.write_text(WRONG_PASSPHRASE)
    create = ["ca", "create", "--name", "Site", "--key-type", "ec", "--tiers", "1", "--passphrase-file", str(right)]
    at = ["--data", str(data)]
    assert run([*create, *at]) == 0
    for command in (["ca", "show"], ["ca", "list"], ["settings", "list"], ["device", "list"]):
        assert run([*command, *at]) == 0
    assert run(["https", "enable", "--all", "--passphrase-file", str(wrong), *at]) != 0
    assert run(["device", "add", "127.0.0.1:9", "--username", "root", "--password-file", str(wrong), *at]) == 1
    out, err = capfd.readouterr()
    assert canaries.found_in(out.encode() + err.encode()) == set()
    for path in data.rglob("*"):
        assert not path.is_file() or canaries.found_in(path.read_bytes()) == set(), path.name


def test_no_option_takes_a_secret_as_its_value() -> None:
    """Secrets come from files and prompts, so that no list of processes shows one."""
    found = set()
    for noun in ("ca", "certificate", "device", "https", "task", "settings"):
        for command in build()[noun]:
            if not command.startswith("-"):
                arguments = build()[noun][command].assemble_argument_collection()
                found |= {name for argument in arguments for name in argument.names if "pass" in name}
    assert found == {"--passphrase-file", "--ca-passphrase-file", "--password-file", "--remember-passphrase"}
