"""`fleetseal device`."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from fleetseal.cli import ask, follow, output, sheet
from fleetseal.cli.client import Client, connected, tell_suspended
from fleetseal.cli.common import (
    DONE,
    FAILED,
    LOCKED,
    NO_OPTIONS,
    Common,
    Devices,
    Everything,
    Filters,
    Flag,
    Names,
    SecretFile,
    chosen,
    noun,
    selection,
)
from fleetseal.cli.setup import setup
from fleetseal.core.errors import InvalidInput

app = noun("device", "Devices: add, set up, import, list, show, refresh, change, trust, export and remove them.")

Row = dict[str, Any]


@app.command
async def add(
    addresses: Annotated[list[str], Parameter(name="ADDRESS")],
    /,
    *,
    http_port: int | None = None,
    https_port: int | None = None,
    username: str | None = None,
    password_file: SecretFile = None,
    site: str | None = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Contact devices, identify them, and take them into the inventory.

    Parameters
    ----------
    addresses
        Addresses or host names, each with an optional port, for example 10.0.0.5 or 10.0.0.5:8443.
    http_port
        Port for plain HTTP.
    https_port
        Port for HTTPS.
    username
        An administrator of the devices.
    password_file
        File with the password; - is standard input. Without it you are asked.
    site
        The network they are in.
    """
    body = {
        "targets": addresses,
        "http_port": http_port,
        "https_port": https_port,
        "username": username,
        "password": _password(username, password_file),
        "site": site,
    }
    async with connected(common) as client:
        results = await client.post("devices", body=body)
    if common.json:
        output.as_json(results)
    else:
        output.table(
            ("Address", "Result", "MAC Address", "Model", "Firmware", "Trust", "Message"),
            [
                tuple(one[name] for name in ("address", "result", "mac", "model", "firmware", "trust", "message"))
                for one in results
            ],
        )
    return FAILED if any(one["result"] == "failed" for one in results) else DONE


app.command(setup, usage="Usage: fleetseal device setup --username STR [OPTIONS] DEVICE...")
app.command(sheet.import_, name="import")
app.command(sheet.export)


@app.command(name="list")
async def list_(*, filters: Filters = (), sort: str = "address", common: Common = NO_OPTIONS) -> int:
    """List the devices of the inventory.

    Parameters
    ----------
    sort
        The column to sort by, as it is called in the JSON.
    """
    query = {"filter": list(filters), "sort": [sort]}
    async with connected(common) as client:
        devices = await client.get("devices", query=query)
        debt = await client.get("devices/unverified")
        await tell_suspended(client)
    if common.json:
        output.as_json(devices)
    else:
        _table(devices)
        if debt["unverified"]:
            output.say(f"{debt['message']} {_WAYS_OUT}")
    return DONE


_WAYS_OUT = "To verify a device: fleetseal https enable, or fleetseal device trust."


@app.command
async def show(device: str, /, *, common: Common = NO_OPTIONS) -> int:
    """Show what is known of a device, and every status that holds, with its reason.

    Parameters
    ----------
    device
        MAC or serial, address, host name, or id.
    """
    async with connected(common) as client:
        shown = await client.get("devices", device)
        await tell_suspended(client)
    if common.json:
        output.as_json(shown)
        return DONE
    certificate = shown["certificate"] or {}
    output.facts(
        {
            "MAC Address": shown["mac"],
            "Address": f"{shown['address']} (HTTP {shown['http_port']}, HTTPS {shown['https_port']})",
            "Host name": shown["hostname"],
            "Model": shown["model"],
            "Product type": shown["product_type"],
            "Firmware": shown["firmware"],
            "HTTPS": f"{shown['https']}: {shown['support_reason']}" if shown["support_reason"] else shown["https"],
            "Trust": shown["trust"],
            "User name": shown["username"],
            "Server": shown["server"],
            "Tags": shown["tags"],
            "Last seen": shown["last_seen"],
            "Certificate": certificate.get("subject"),
            "Issuer": certificate.get("issuer"),
            "Names": certificate.get("names"),
            "Valid until": certificate.get("not_after"),
            "SHA-256": certificate.get("sha256"),
        }
    )
    for status in shown["statuses"]:
        output.say(f"{status['status']}: {status['reason']}" if status["reason"] else status["status"])
    for finding in shown["findings"]:
        output.say(f"{finding['finding']}: {finding['reason']}")
    if (change := shown["change"]) is not None:
        why = "" if change["decision"] else f" {change['reason']}"  # else a status gives that reason
        output.say(f"Change: {change['verdict']}, seen {change['since']}.{why}")
    return DONE


@app.command(usage=chosen("device refresh"))
async def refresh(
    *devices: Devices, everything: Everything = False, filters: Filters = (), common: Common = NO_OPTIONS
) -> int:
    """Look at devices again now.

    Named devices are read in full. Of those chosen by --all or --filter, one that shows the certificate, serial and
    firmware on record, and was read in full within a day, is Unchanged, after one request without a login.
    """
    body = {"action": "Refresh", "selection": selection(devices, filters, everything=everything)}
    return await follow.task(common, lambda client: follow.start(client, body))


@app.command(name="set", usage=chosen("device set"))
async def set_(
    *devices: Devices,
    filters: Filters = (),
    username: str | None = None,
    password_file: SecretFile = None,
    address: str | None = None,
    hostname: str | None = None,
    http_port: int | None = None,
    https_port: int | None = None,
    site: str | None = None,
    tag: Names | None = None,
    tls: Literal["normal", "legacy"] | None = None,
    common: Common = NO_OPTIONS,
) -> int:
    """Change what is stored about devices. The devices themselves are not changed.

    Parameters
    ----------
    username
        An administrator of the devices.
    password_file
        File with the password; - is standard input. Without it you are asked when --username is given.
    address
        Where the device is now. One device only.
    hostname
        Its fully qualified host name; empty takes it away. One device only.
    http_port
        Port for plain HTTP.
    https_port
        Port for HTTPS.
    site
        The network they are in.
    tag
        Tags, replacing those they have; empty takes them away. May be given several times.
    tls
        legacy allows TLS 1.0 and 1.1, for devices that speak nothing better. Passwords are then never sent in clear.
    """
    password = _password(username, password_file)
    body = {
        "selection": selection(devices, filters),
        "username": username,
        "password": password,
        "address": address,
        "hostname": hostname,
        "http_port": http_port,
        "https_port": https_port,
        "site": site,
        "tags": None if tag is None else [one for one in tag if one],
        "tls": tls,
    }
    async with connected(common) as client:
        changed = await client.patch("devices", body=body)
    if common.json:
        output.as_json(changed)
    else:
        _table(changed)
    return DONE


@app.command(usage=chosen("device trust"))
async def trust(
    *devices: Devices,
    filters: Filters = (),
    fingerprint: str | None = None,
    plain_http: Flag = False,
    yes: Flag = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Show what devices show now, ask, and accept it.

    Parameters
    ----------
    fingerprint
        Accept only the certificate with this SHA-256 fingerprint, without asking. One device only.
    plain_http
        Accept that the device shows no certificate: it is spoken to by plain HTTP.
    yes
        Accept without asking.
    """
    chosen = selection(devices, filters)
    async with connected(common) as client:
        shown = await client.post("devices", "shown", body={"selection": chosen})
        accepted = _to_accept(shown, fingerprint=fingerprint, plain_http=plain_http)
        if not common.json:
            _show_shown(shown)
        if not accepted:
            raise InvalidInput("No device shows anything that could be accepted. Nothing was done.")
        if fingerprint is None:
            what = "plain HTTP" if plain_http else "these certificates"
            ask.agreed(f"Trust {len(accepted)} of {len(shown)} devices by {what} from now on?", yes=yes)
        rows = await client.post("devices", "trust", body={"accepted": accepted})
    if common.json:
        output.as_json(rows)
    else:
        output.say(f"{len(rows)} accepted.")
    return DONE if len(rows) == len(shown) else FAILED


@app.command(usage=chosen("device clock"))
async def clock(
    *devices: Devices,
    filters: Filters = (),
    set_: Annotated[Flag, Parameter(name="--set")] = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Compare the clocks of devices with this computer's.

    Parameters
    ----------
    set_
        Set them to this computer's time.
    """
    async with connected(common) as client:
        clocks = await client.post("devices", "clock", body={"selection": selection(devices, filters), "set": set_})
    if common.json:
        output.as_json(clocks)
    else:
        output.table(
            ("MAC Address", "Address", "Result", "Message"),
            [(one["mac"], one["address"], one["result"], one["message"]) for one in clocks],
        )
    return FAILED if any(one["result"] == "failed" for one in clocks) else DONE


@app.command(usage="Usage: fleetseal device remove [OPTIONS] DEVICE...")
async def remove(*devices: Devices, revoke: Flag = False, yes: Flag = False, common: Common = NO_OPTIONS) -> int:
    """Forget devices. The devices themselves are not changed; what was issued to them stays on record.

    Parameters
    ----------
    revoke
        Revoke their certificates too. Exit code 4 when the CRL must wait because the CA key is locked.
    yes
        Do not ask.
    """
    if not devices:
        raise InvalidInput("No device is named.")
    async with connected(common) as client:
        names = [await _name(client, device) for device in devices]
        also = " and revoke their certificates for ever" if revoke else ""
        ask.agreed(f"Forget {', '.join(names)}{also}?", yes=yes)
        removed = await client.post("devices", "removal", body={"devices": list(devices), "revoke": revoke})
        locked = revoke and any(one["state"] == "locked" and one["missing"] for one in await client.get("crls"))
    if common.json:
        output.as_json(removed)
    else:
        output.say(f"Forgotten: {', '.join(one['mac'] or one['address'] for one in removed)}.")
        if revoke:
            output.say(f"Revoked: {', '.join(serial for one in removed for serial in one['revoked']) or 'nothing'}.")
    if locked:
        output.tell(
            "A CA key is locked: its CRL follows when it is unlocked. At once: fleetseal crl --passphrase-file F"
        )
        return LOCKED
    return DONE


def _password(username: str | None, file: Path | None) -> str | None:
    if username is None and file is None:
        return None
    return ask.secret(file, "Password", option="--password-file")


async def _name(client: Client, device: str) -> str:
    shown = await client.get("devices", device)
    return f"{shown['mac']} ({shown['address']})" if shown["mac"] else str(shown["address"])


def _to_accept(shown: list[Row], *, fingerprint: str | None, plain_http: bool) -> list[Row]:
    if plain_http:
        if fingerprint is not None:
            raise InvalidInput("--fingerprint and --plain-http exclude each other.")
        return [{"id": one["id"], "sha256": None} for one in shown if one["http"]]
    if fingerprint is not None:
        if len(shown) != 1:
            raise InvalidInput("A fingerprint belongs to one device: name one.")
        return [{"id": shown[0]["id"], "sha256": fingerprint}]
    return [{"id": one["id"], "sha256": one["shows"]["sha256"]} for one in shown if one["shows"]]


def _show_shown(shown: list[Row]) -> None:
    for one in shown:
        certificate = one["shows"]
        print(output.line(f"{one['mac'] or ''} {one['address']}".strip()))
        if (change := one["change"]) is not None:
            print(output.line(f"  Change: {change['verdict']}. {change['reason']}"))
        if certificate is None:
            print(output.line(f"  {one['message'] or 'No certificate.'}"))
            continue
        for name, member in (("Subject", "subject"), ("Issuer", "issuer"), ("Valid until", "not_after")):
            print(output.line(f"  {name}: {certificate[member]}"))
        print(output.line(f"  SHA-256: {certificate['sha256']}"))


def _table(devices: list[Row]) -> None:
    if not devices:
        output.say("No device.")
        return
    output.table(
        ("MAC Address", "Address", "Status", "Model", "Firmware", "HTTPS", "Trust", "Valid until", "Host name"),
        [
            (
                one["mac"],
                one["address"],
                one["status"],
                one["model"],
                one["firmware"],
                one["https"],
                one["trust"],
                (one["certificate"] or {}).get("not_after", "")[:10],
                one["hostname"],
            )
            for one in devices
        ],
    )
