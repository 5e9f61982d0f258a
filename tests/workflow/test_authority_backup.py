"""`ca backup` and `ca restore`: files that openssl opens, keys that come back, and every refusal."""

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fleetseal.core.errors import Conflict, FleetsealError, InvalidInput, Locked, NotFound
from fleetseal.core.secrets import Secret
from fleetseal.operations import authorities, authority_backup
from fleetseal.operations.services import Services
from fleetseal.pki import chain, pkcs12
from fleetseal.pki.issuer import KeyFile, Sealing
from fleetseal.store import audit
from tests.site import PASSPHRASE, make_services, site

FILE = Secret("Wörter der Datei, länger als ein Block von 64 Byte \N{KEY}")


async def back_up(services: Services, **options: Any) -> list[dict[str, Any]]:
    given: dict[str, Any] = {"passphrase": FILE, "own": PASSPHRASE} | options
    files: list[dict[str, Any]] = (await authority_backup.backup(services, actor="test", **given))["files"]
    return files


async def restore(services: Services, *files: dict[str, Any], passphrase: Secret = FILE) -> dict[str, Any]:
    content = tuple(base64.b64decode(file["content"]) for file in files)
    return await authority_backup.restore(services, actor="test", files=content, passphrase=passphrase)


async def actions(services: Services) -> list[str]:
    async with services.database.reading() as tx:
        return [record.action for record in await audit.records(tx)]


async def test_openssl_opens_each_file(tmp_path: Path) -> None:
    async with site(tmp_path / "data") as here:
        shown = await authorities.show(here.services)
        files = await back_up(here.services)
        assert [(one["role"], one["sha256"]) for one in files] == [
            ("root", shown["sha256"]),
            ("intermediate", shown["issuing"][0]["sha256"]),
        ]
        (tmp_path / "words").write_text(FILE.reveal())
        for one, certificates in zip(files, (1, 2), strict=True):
            (tmp_path / "ca.p12").write_bytes(base64.b64decode(one["content"]))
            command = ["openssl", "pkcs12", "-in", str(tmp_path / "ca.p12"), "-passin", f"file:{tmp_path / 'words'}"]
            opened = subprocess.run(
                [*command, "-nodes", "-info"], capture_output=True, text=True, check=True, timeout=60
            )
            assert opened.stdout.count("BEGIN CERTIFICATE") == certificates
            assert opened.stdout.count("BEGIN PRIVATE KEY") == 1
            assert "MAC: sha256, Iteration 600000" in opened.stderr
            assert opened.stderr.count("PBES2, PBKDF2, AES-256-CBC, Iteration 600000, PRF hmacWithSHA256") == 2
        assert (await actions(here.services))[:2] == ["ca backup", "ca backup"]
        assert not here.services.vault.is_open(_root_file(here.services)), "it was opened for the backup alone"


def _root_file(services: Services) -> KeyFile:
    (name,) = [path.stem for path in (services.data / "ca").glob("*.key") if b"ENCRYPTED" in path.read_bytes()]
    return KeyFile(name, Sealing.PASSPHRASE)


async def test_a_ca_that_lost_its_keys_has_them_back(tmp_path: Path) -> None:
    async with site(tmp_path / "data", "12.11") as here:
        (camera,) = here.fleet.devices
        await here.add(camera)
        files = await back_up(here.services)
        kept = {path.name for path in (here.services.data / "ca").iterdir()}
        shutil.rmtree(here.services.data / "ca")
        (here.services.data / "signer.key").unlink()
        services = await make_services(here.services.data, here.fleet)
        assert (await authorities.show(services))["state"] == "locked"
        assert (await restore(services, *files))["state"] == "ready"
        assert {path.name for path in (services.data / "ca").iterdir()} == kept
        assert (await actions(services))[:2] == ["ca restore", "ca restore"]
        await authorities.unlock(services, actor="test", passphrase=FILE)
        await services.database.close()
        assert [one["status"] for one in await here.enable(camera)] == ["Finished"]


@pytest.mark.parametrize("turned", [False, True])
async def test_where_there_is_no_ca_they_become_it(tmp_path: Path, turned: bool) -> None:
    async with site(tmp_path / "old") as old, site(tmp_path / "new", "12.11", authority=False) as here:
        files = await back_up(old.services)
        before = await authorities.show(old.services)
        made = await restore(here.services, *(reversed(files) if turned else files))
        same = ("name", "role", "tiers", "subject", "sha256", "key", "key_sealed_by")
        assert {name: made[name] for name in same} == {name: before[name] for name in same}
        assert [one["sha256"] for one in made["issuing"]] == [one["sha256"] for one in before["issuing"]]
        (camera,) = here.fleet.devices
        await here.add(camera)
        assert [one["status"] for one in await here.enable(camera)] == ["Finished"]
        with pytest.raises(Locked):
            await authorities.unlock(here.services, actor="test", passphrase=PASSPHRASE)
        await authorities.unlock(here.services, actor="test", passphrase=FILE)


async def test_a_ca_of_one_tier(tmp_path: Path) -> None:
    async with site(tmp_path / "old", authority=False) as old, site(tmp_path / "new", authority=False) as new:
        await authorities.create(old.services, actor="t", name="One", key_type="ec", tiers=1, passphrase=PASSPHRASE)
        await authorities.unlock(old.services, actor="t", passphrase=PASSPHRASE)
        (file,) = await back_up(old.services, own=None)
        made = await restore(new.services, file)
        assert (made["tiers"], made["state"], made["sha256"]) == (1, "locked", file["sha256"])


async def test_every_refusal_stores_nothing(tmp_path: Path) -> None:
    async with (
        site(tmp_path / "old") as old,
        site(tmp_path / "other", authority=False) as other,
        site(tmp_path / "new", authority=False) as new,
    ):
        with pytest.raises(NotFound):
            await back_up(other.services)
        await authorities.create(other.services, actor="t", name="Other", key_type="ec", passphrase=PASSPHRASE)
        with pytest.raises(Locked, match="--ca-passphrase-file"):
            await back_up(old.services, own=None)
        with pytest.raises(Locked, match="passphrase is wrong"):
            await back_up(old.services, own=Secret("wrong"))
        with pytest.raises(InvalidInput):
            await back_up(old.services, passphrase=Secret(""))
        assert "ca backup" not in await actions(old.services)

        root, issuing = await back_up(old.services)
        foreign, _ = await back_up(other.services)
        shown = await authorities.show(old.services)
        anchor = {"content": base64.b64encode(chain.to_pem([base64.b64decode(_der(root))])).decode()}
        broken = {"content": base64.b64encode(base64.b64decode(root["content"])[:-40]).decode()}
        refused: list[tuple[list[dict[str, Any]], Secret, type[FleetsealError]]] = [
            ([root, issuing], Secret("wrong"), Locked),
            ([root], FILE, InvalidInput),  # signs no device certificates
            ([root, root], FILE, InvalidInput),
            ([root, issuing, foreign], FILE, InvalidInput),
            ([anchor], FILE, InvalidInput),  # no key
            ([broken], FILE, Locked),  # nobody can tell it from a wrong passphrase
        ]
        before = await actions(new.services)
        for files, passphrase, error in refused:
            with pytest.raises(error):
                await restore(new.services, *files, passphrase=passphrase)
            assert await authorities.list_(new.services) == []
            assert not (new.services.data / "ca").exists()
        assert await actions(new.services) == before
        with pytest.raises(Conflict, match="There is a CA already"):
            await restore(other.services, root, issuing)
        assert (await authorities.show(old.services))["sha256"] == shown["sha256"]


def _der(file: dict[str, Any]) -> str:
    contents = pkcs12.read([base64.b64decode(file["content"])], FILE)
    return base64.b64encode(contents.certificates[0]).decode()


async def test_a_replaced_key_file_is_noticed(tmp_path: Path) -> None:
    async with site(tmp_path / "data") as here:
        folder = here.services.data / "ca"
        sealed = _root_file(here.services).name
        (unattended,) = [path for path in folder.glob("*.key") if path.stem != sealed]
        unattended.unlink()
        with pytest.raises(FleetsealError, match="cannot be read"):
            await back_up(here.services)
        assert "ca backup" not in await actions(here.services)
