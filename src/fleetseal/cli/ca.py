"""`fleetseal ca`."""

import base64
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from fleetseal.cli import ask, output
from fleetseal.cli.client import Client, connected, tell_suspended
from fleetseal.cli.common import DONE, NO_OPTIONS, Common, Flag, Names, SecretFile, noun
from fleetseal.core.errors import InvalidInput

app = noun("ca", "The certificate authority: create or import it, show, renew, export, back up, restore, unlock, lock.")
app.command("fleetseal.cli.ca_renew:renew", name="renew")


@app.command
async def create(
    *,
    name: str,
    tiers: Literal[1, 2] = 2,
    key_type: Literal["rsa", "ec"] = "rsa",
    years: int | None = None,
    organization: str | None = None,
    permit_domain: Names = (),
    permit_network: Names = (),
    passphrase_file: SecretFile = None,
    remember_passphrase: Flag = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Make a certificate authority: a root, and under it an issuing CA that works unattended.

    The passphrase seals the root key. It is needed again only to renew the CA, so keep it safe.

    Parameters
    ----------
    name
        What it is called, for example after the site. It appears in every certificate.
    tiers
        2: root and issuing CA. 1: the root signs device certificates itself; unattended renewal then needs
        --remember-passphrase.
    key_type
        Kind of the CA's keys. Old devices and clients take rsa only.
    years
        Life of the root.
    organization
        Organization in the CA's name.
    permit_domain
        The CA may vouch for host names under this domain only. May be given several times.
    permit_network
        The CA may vouch for addresses in this network only, for example 10.0.0.0/8. May be given several times.
    passphrase_file
        File with the passphrase; - is standard input. Without it you are asked.
    remember_passphrase
        Keep the passphrase on this computer, so that the root key opens unattended.
    """
    passphrase = ask.secret(passphrase_file, "New passphrase", option="--passphrase-file", twice=True)
    body = {
        "name": name,
        "tiers": tiers,
        "key_type": key_type,
        "years": years,
        "organization": organization,
        "permit_domains": list(permit_domain),
        "permit_networks": list(permit_network),
        "passphrase": passphrase,
        "remember_passphrase": remember_passphrase,
    }
    async with connected(common) as client:
        made = await client.post("authorities", body=body)
    show_made(made, common)
    return DONE


@app.command
async def request(
    *,
    name: str,
    output_file: Annotated[Path, Parameter(name="--output")],
    organization: str | None = None,
    key_type: Literal["rsa", "ec"] = "rsa",
    common: Common = NO_OPTIONS,
) -> int:
    """Make a key here and a request for it, to be signed by another PKI. `ca import` completes it.

    Parameters
    ----------
    name
        What the CA will be called.
    output_file
        Where the request (PKCS#10, PEM) is written.
    organization
        Organization in the CA's name.
    key_type
        Kind of the CA's key.
    """
    body = {"name": name, "organization": organization, "key_type": key_type}
    async with connected(common) as client:
        made = await client.post("authorities", "request", body=body)
    ask.write(output_file, made["csr"].encode())
    if common.json:
        output.as_json(made)
    else:
        output.say(f"The request for {made['subject']} ({made['key']}) is in {output_file}. {made['message']}")
    return DONE


@app.command(name="import", usage="Usage: fleetseal ca import [OPTIONS] FILE...")
async def import_(
    files: Annotated[list[Path], Parameter(name="FILE")],
    /,
    *,
    trust_only: Flag = False,
    name: str | None = None,
    tiers: Literal[1, 2] | None = None,
    passphrase_file: SecretFile = None,
    remember_passphrase: Flag = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Bring a certificate authority from outside, or complete a request that was signed.

    Parameters
    ----------
    files
        PKCS#12, or PEM certificates and key in one or several files.
    trust_only
        Only trust it: a certificate without key. Devices that chain to it are verified.
    name
        What it is called here.
    tiers
        2: an issuing CA of ours is made under it, the default where it may sign CAs. 1: it signs itself.
    passphrase_file
        File with the passphrase of the key; - is standard input. Without it you are asked if one is needed.
    remember_passphrase
        Keep the passphrase on this computer, so that the key opens unattended.
    """
    encoded = [base64.b64encode(ask.contents(file)).decode() for file in files]
    if trust_only:
        if len(files) != 1:
            raise InvalidInput("With --trust-only, give one file.")
        async with connected(common) as client:
            anchors = await client.post("authorities", "anchors", body={"file": encoded[0]})
        if common.json:
            output.as_json(anchors)
        else:
            for anchor in anchors:
                output.say(f"Trusted from now on: {anchor['subject']} (SHA-256 {anchor['sha256']}).")
        return DONE
    passphrase = ask.secret(passphrase_file, "Passphrase of the key (empty: none)", option="--passphrase-file")
    body = {
        "files": encoded,
        "name": name,
        "tiers": tiers,
        "passphrase": passphrase or None,
        "remember_passphrase": remember_passphrase,
    }
    async with connected(common) as client:
        made = await client.post("authorities", "import", body=body)
    show_made(made, common)
    return DONE


@app.command
async def show(*, common: Common = NO_OPTIONS) -> int:
    """Show the certificate authority in use."""
    async with connected(common) as client:
        authority = await client.get("authorities", "current")
        await tell_suspended(client)
    if common.json:
        output.as_json(authority)
        return DONE
    _facts(authority)
    for issuing in authority["issuing"]:
        print()
        _facts(issuing)
    return DONE


@app.command(name="list")
async def list_(*, common: Common = NO_OPTIONS) -> int:
    """List every certificate authority here: in use, replaced, requested, or only trusted."""
    async with connected(common) as client:
        authorities = await client.get("authorities")
        await tell_suspended(client)
    if common.json:
        output.as_json(authorities)
        return DONE
    every = [one for top in authorities for one in (top, *top["issuing"])]
    output.table(
        ("Name", "Role", "State", "Key", "Valid until", "Issued", "Valid", "Subject"),
        [
            (one["name"], one["role"], _state(one), one["key"], _day(one), one["issued"], one["valid"], one["subject"])
            for one in every
        ],
    )
    for message in (one["replacement"]["message"] for one in authorities if one["replacement"]):
        output.say(message)
    return DONE


@app.command
async def export(
    *,
    format: Literal["pem", "der", "p7b"] = "pem",  # noqa: A002 - the contract's word
    root_only: Flag = False,
    target: Annotated[Path | None, Parameter(name="--output")] = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Write what clients must trust: video management systems, browsers, other computers.

    Parameters
    ----------
    format
        pem: the bundle, root first, then the issuing CAs, because devices before AXIS OS 10.10 do not send them.
        der: the root alone. p7b: the bundle for Windows.
    root_only
        Leave the issuing CAs out.
    target
        A file, or a directory for all three forms. Without it, standard output.
    """
    directory = target is not None and target.expanduser().is_dir()
    query = {"format": format, "root_only": str(root_only).lower(), "directory": str(directory).lower()}
    async with connected(common) as client:
        exported = await client.get("authorities", "current", "export", query=query)
        await tell_suspended(client)
    written: list[str] = []
    for file in exported["files"]:
        content = base64.b64decode(file["content"])
        if target is not None:
            path = target.expanduser() / file["name"] if directory else target
            ask.write(path, content)
            written.append(str(path))
        elif not common.json:
            sys.stdout.buffer.write(content)
    if common.json:
        output.as_json({**exported, "written": written})
    elif written:
        output.say(f"Written: {', '.join(written)}. {exported['message']}")
    else:
        output.tell(exported["message"])
    return DONE


@app.command
async def unlock(*, passphrase_file: SecretFile = None, common: Common = NO_OPTIONS) -> int:
    """Open the signing key in the running server, until `ca lock` or its end.

    Parameters
    ----------
    passphrase_file
        File with the passphrase; - is standard input. Without it you are asked.
    """
    async with connected(common) as client:
        await _require_server(client)
        passphrase = ask.secret(passphrase_file, "Passphrase", option="--passphrase-file")
        if passphrase is None:
            raise InvalidInput("Nobody can be asked here: give --passphrase-file.")
        authority = await client.post("authorities", "current", "unlock", body={"passphrase": passphrase})
    if common.json:
        output.as_json(authority)
    else:
        output.say("The key is open in the server until it is locked or the server ends.")
    return DONE


@app.command
async def lock(*, common: Common = NO_OPTIONS) -> int:
    """Close the signing key in the running server. A remembered passphrase opens it again when it is needed."""
    async with connected(common) as client:
        await _require_server(client)
        authority = await client.post("authorities", "current", "lock")
    if common.json:
        output.as_json(authority)
    else:
        output.say("The key is closed.")
    return DONE


app.command("fleetseal.cli.ca_backup:backup", name="backup", help="Write each CA with its key into a file of its own.")
app.command("fleetseal.cli.ca_backup:restore", name="restore", help="Put CAs of a backup, with their keys, back.")


async def _require_server(client: Client) -> None:
    """Without one, no process keeps a key open. Raises InvalidInput."""
    if not (await client.get("server"))["serving"]:
        raise InvalidInput("No server is running: give --passphrase-file to the command that signs.")


def show_made(made: dict[str, Any], common: Common) -> None:
    """A CA that was made or brought, with what there is to say about it."""
    if common.json:
        output.as_json(made)
        return
    _facts(made)
    for issuing in made["issuing"]:
        print()
        _facts(issuing)
    print()
    output.say(made["message"])
    for warning in made["warnings"]:
        output.tell(warning)


def _facts(authority: dict[str, Any]) -> None:
    output.facts(
        {
            "Name": authority["name"],
            "Role": authority["role"],
            "State": _state(authority),
            "Subject": authority["subject"],
            "Issuer": authority["issuer"],
            "Serial": authority["serial"],
            "Valid": f"{authority['not_before']} to {authority['not_after']}" if authority["not_after"] else None,
            "Key": authority["key"],
            "SHA-256": authority["sha256"],
            "Constraints": authority.get("constraints"),
            "Passphrase kept": authority.get("passphrase_kept"),
            "Replacement": (authority.get("replacement") or {}).get("message"),
            "Certificates": f"{authority['issued']} issued, {authority['valid']} valid",
        }
    )


def _state(authority: dict[str, Any]) -> str:
    for mark, words in (("trust_only", "trusted only"), ("introduced", "introduced"), ("retired", "retired")):
        if authority.get(mark):
            return words
    return str(authority["state"])


def _day(authority: dict[str, Any]) -> str:
    return (authority["not_after"] or "")[:10]
