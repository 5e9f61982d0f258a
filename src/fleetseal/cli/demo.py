"""`fleetseal demo`: a virtual site is secured before the reader's eyes, by the commands that a person would type."""

import asyncio
import shlex
import shutil
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetseal.cli import output
from fleetseal.cli.client import connected
from fleetseal.cli.common import DONE, FAILED, Flag
from fleetseal.cli.demo_watch import watch
from fleetseal.cli.serve import first_steps, on_signal
from fleetseal.core.config import WebWish
from fleetseal.core.errors import FleetsealError, InvalidInput

if TYPE_CHECKING:
    from fleetseal.app import Offered

_SOAK, _PATIENCE = 3, 12  # seconds
_FAULTS = {
    "9.10": ("the answer to its reconfiguration gets lost", "lose_answer_of = { bind = 1 }"),
    "10.12": ("its web server takes 8 s to restart", "restart_seconds = 8.0"),
    "11.6": ("TLS is dead with any new certificate", "tls_dead_on_new_certificate = true"),
}
_PASSPHRASE = "demonstration only"  # noqa: S105 - of a CA that lives for a minute
_LEGACY = "6.50"
_SECONDS_TO_ANSWER = 15


@dataclass(frozen=True)
class _Site:
    """What the demonstration works on."""

    folder: Path
    devices: list[dict[str, Any]]
    control: str

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle.pem"

    def of(self, profile: str) -> dict[str, Any]:
        return next(device for device in self.devices if device["profile"] == profile)


async def demo(*, devices: int = 7, port: int = 0, once: Flag = False, stay: Flag = False) -> int:
    """Secure a virtual site in a throw-away data directory, let openssl verify it, and end at the web application.

    Cameras of four firmware generations, three of them with a fault, get certificates of a new CA; each is then
    verified by the openssl command. On a terminal half of them are left to you and the web application, until Ctrl-C;
    elsewhere all are secured, and it ends. Nothing outside this computer is contacted, and nothing is left behind.

    Parameters
    ----------
    devices
        How many virtual cameras: one of each firmware, and round again.
    port
        The first port of the virtual site; each camera takes two. Default: free ones.
    once
        Secure all of them and end, on a terminal too.
    stay
        Leave half of them to you, without a terminal too.
    """
    if devices < 1:
        raise InvalidInput("A site has at least one camera.")
    if not 0 <= port <= 65_535 - 2 * devices:
        raise InvalidInput(f"{devices} cameras take two ports each: there are not so many from {port} on.")
    if once and stay:
        raise InvalidInput("It cannot end at once and stay: give --once or --stay.")
    staying = stay or (sys.stdout.isatty() and not once)
    folder = Path(tempfile.mkdtemp(prefix="fleetseal-demo-"))
    try:
        async with _virtual_site(folder, devices, port) as site, _server(site.data, offer=staying) as offered:
            verified = await _show(site, _half(site) if staying else site.devices)
            if offered is not None:
                await _hand_over(site, offered)
    except OSError as error:
        raise InvalidInput(f"The virtual site cannot run: {error.strerror or error}. Try another --port.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return DONE if verified else FAILED


async def _hand_over(site: _Site, offered: "Offered") -> None:
    """The newcomer goes on in the browser, until Ctrl-C."""
    _say("6  The rest is yours")
    if offered.code is not None:
        for line in first_steps(offered.address, offered.code):
            output.say(f"   {line}")
    output.say("   Then: Devices, choose those that are Disabled, Security > HTTPS > Enable/Update.")
    output.say(f"   In another terminal: export FLEETSEAL_DATA={site.data}")
    output.say("   All of it stays until Ctrl-C, and then it is gone.")
    sys.stdout.flush()
    enough = asyncio.Event()
    on_signal(enough.set)
    await enough.wait()


def _half(site: _Site) -> list[dict[str, Any]]:
    """Those with a fault, because they have something to show, and others, in the order of the site."""
    ordered = sorted(site.devices, key=lambda one: not _fault(one))
    chosen = {one["serial"] for one in ordered[: (len(ordered) + 1) // 2]}
    return [one for one in site.devices if one["serial"] in chosen]


async def _show(site: _Site, chosen: list[dict[str, Any]]) -> bool:
    _say(
        "The virtual site",
        "Real TLS, real logins; keys are made in the device. `inferred`: no recording stands behind it.",
    )
    output.table(
        ("MAC Address", "Model", "Firmware", "HTTP", "HTTPS", "Fault"),
        [
            (_mac(one), one["model"], _firmware(one), one["http_port"], one["https_port"], _fault(one))
            for one in site.devices
        ],
    )
    password, passphrase = site.folder / "password", site.folder / "passphrase"
    await asyncio.to_thread(password.write_text, site.devices[0]["password"])
    await asyncio.to_thread(passphrase.write_text, _PASSPHRASE)

    _say("1  Settings", f"The second look follows after {_SOAK} s here (60 s by default), and a web server gets")
    output.say(f"   {_PATIENCE} s to come back (240 s by default), so that you need not wait.")
    for key, value in (
        ("https.soak-seconds", _SOAK),
        ("https.verify-seconds", _PATIENCE),
        ("devices.maker-roots", site.folder / "maker-roots.pem"),
    ):
        await _type(site, "settings", "set", key, str(value))

    _say("2  A certificate authority")
    await _type(site, "ca", "create", "--name", "Demo", "--passphrase-file", str(passphrase))

    _say("3  The cameras")
    for one in site.devices:
        ports = ("--http-port", str(one["http_port"]), "--https-port", str(one["https_port"]))
        login = ("--username", one["username"], "--password-file", str(password))
        await _type(site, "device", "add", one["address"], *ports, *login, quietly=one is not site.devices[0])
    await _type(site, "device", "list")
    if any(one["profile"] == _LEGACY for one in site.devices):
        output.say("Firmware 6.50 speaks TLS 1.0 only (inferred). Nothing gets weaker by itself: a person allows it.")
        await _type(site, "device", "set", "--filter", "firmware:6.50", "--tls", "legacy")

    everything = len(chosen) == len(site.devices)
    _say("4  HTTPS on all of them" if everything else f"4  HTTPS on {len(chosen)} of them")
    named = [] if everything else [_mac(one) for one in chosen]
    body = {"action": "Enable HTTPS", "selection": {"all": everything, "devices": named}}
    await _enable(site, body, "https", "enable", *(named or ["--all"]))
    await _mend(site, chosen)

    _say("5  An independent witness")
    await _type(site, "ca", "export", "--output", str(site.bundle), quietly=True)
    return await _witness(site, chosen)


# ---------------------------------------------------------------- the site


@asynccontextmanager
async def _virtual_site(folder: Path, count: int, port: int) -> AsyncIterator[_Site]:
    """Virtual cameras with their faults run inside the block."""
    from fleetseal import app

    profiles = [name for name in app.simulated_profiles() if name != _LEGACY or ssl.HAS_TLSv1]
    if not ssl.HAS_TLSv1:
        output.say("This Python cannot speak TLS 1.0: the camera with firmware 6.50 is left out.")
    configuration = folder / "site.toml"
    chosen = [profiles[number % len(profiles)] for number in range(count)]
    await asyncio.to_thread(configuration.write_text, "\n".join(_described(chosen, port)))
    async with _beside(
        lambda ready: app.simulate(profiles=(), count=None, port=port, configuration=configuration, ready=ready)
    ) as started:
        await asyncio.to_thread((folder / "maker-roots.pem").write_text, started["maker_roots"])
        yield _Site(folder, started["devices"], started["control"])


def _described(profiles: list[str], port: int) -> list[str]:
    """The site as a configuration of `fleetseal simulate`: each fault on the first camera of its firmware."""
    lines = []
    for number, profile in enumerate(profiles):
        fault = _FAULTS[profile][1] if profile in _FAULTS and profile not in profiles[:number] else ""
        restart = "" if "restart_seconds" in fault else "restart_seconds = 1.0"
        ports = [f"http_port = {port + 2 * number}", f"https_port = {port + 2 * number + 1}"] if port else []
        lines += ["[[device]]", f'profile = "{profile}"', *ports, "[device.faults]", restart, fault]
    return lines


@asynccontextmanager
async def _server(data: Path, *, offer: bool) -> AsyncIterator["Offered | None"]:
    """`fleetseal serve` on this data runs inside the block; with `offer` the web application too, at a free port."""
    from fleetseal import app

    asked: list[Callable[[], None]] = []
    ready: asyncio.Future[Offered | None] = asyncio.get_running_loop().create_future()
    wish = WebWish(host="127.0.0.1" if offer else "", port=0)
    async with _running(app.serve(data, asked.append, wish, ready.set_result)) as serving:
        try:
            either: set[asyncio.Future[Any]] = {serving, ready}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                await serving
            yield ready.result()
        finally:
            for stop in asked:
                stop()
            await serving


@asynccontextmanager
async def _beside(work: Callable[[Callable[[Any], None]], Awaitable[None]]) -> AsyncIterator[Any]:
    """`work` runs inside the block, once it has called what it was given; that is what the block gets."""
    started: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    async with _running(work(started.set_result)) as running:
        await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        yield await started


@asynccontextmanager
async def _running(work: Awaitable[None]) -> AsyncIterator[asyncio.Future[None]]:
    """It runs inside the block, and is cancelled at its end."""
    running = asyncio.ensure_future(work)  # noqa: TID251 - held and awaited here
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.wait({running})


# ---------------------------------------------------------------- commands


async def _type(site: _Site, *words: str, quietly: bool = False) -> None:
    """One command line is shown, and carried out as typed."""
    from fleetseal.cli.main import build

    output.say(f"$ fleetseal {shlex.join(word.replace(str(site.folder) + '/', '') for word in words)}")
    command, bound, _ = build().parse_args([*words, "--data", str(site.data)], exit_on_error=False, print_error=False)
    if quietly:
        with output.silenced():
            code = await command(*bound.args, **bound.kwargs)
    else:
        code = await command(*bound.args, **bound.kwargs)
    if code != DONE:
        raise FleetsealError(f"The demonstration stopped: `fleetseal {words[0]} {words[1]}` ended with {code}.")


async def _enable(site: _Site, body: dict[str, Any], *shown: str) -> dict[str, Any]:
    """The task is begun and watched, step by step."""
    output.say(f"$ fleetseal {shlex.join(shown)}")
    async with connected(site.data) as client:
        begun = await client.post(
            *(("tasks",) if "action" in body else ("tasks", body.pop("retry"), "retry")), body=body
        )
        return await watch(client, int(begun["id"]), {_mac(one): _firmware(one) for one in site.devices})


async def _mend(site: _Site, chosen: list[dict[str, Any]]) -> None:
    """The camera that was rolled back works as before; its fault is mended, and it is tried again."""
    import httpx

    broken = [one for one in chosen if one["profile"] in _FAULTS and "tls_dead" in _FAULTS[one["profile"]][1]]
    if not broken:
        return
    output.say("The camera whose TLS was dead was put back: it serves what it served before. Its fault is mended now:")
    async with httpx.AsyncClient(base_url=site.control, trust_env=False) as control:
        for one in broken:
            await control.patch(f"/devices/{one['serial']}/faults", json={"tls_dead_on_new_certificate": False})
    async with connected(site.data) as client:
        failed = (await client.get("tasks"))[0]["id"]
    await _enable(site, {"retry": failed}, "task", "retry", str(failed))


async def _witness(site: _Site, chosen: list[dict[str, Any]]) -> bool:
    """openssl connects to every camera and verifies chain and address; whether all are verified."""
    openssl = shutil.which("openssl")
    if openssl is None:
        output.tell("The openssl command is not installed: nobody else could verify the cameras.")
        return False
    async with connected(site.data) as client:
        rows = {one["mac"]: one for one in await client.get("devices")}
    typical = _arguments(site, chosen[-1])
    output.say(f"$ openssl {shlex.join(typical).replace(str(site.folder) + '/', '')}")
    table = [(one, rows[_mac(one)], await _verified(openssl, _arguments(site, one))) for one in chosen]
    output.say("  … and the same for each camera:")
    output.table(
        ("MAC Address", "Model", "Firmware", "HTTPS", "Issuer", "Valid until", "openssl"),
        [
            (_mac(one), one["model"], _firmware(one), row["https"], *_certificate(row), answer)
            for one, row, answer in table
        ],
    )
    good = sum(answer.startswith("verified") for _, _, answer in table)
    output.say(f"{good} of {len(table)} cameras serve HTTPS with a certificate of the new CA, verified by openssl.")
    return good == len(table)


def _arguments(site: _Site, device: dict[str, Any]) -> list[str]:
    old = ["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"] if device["profile"] == _LEGACY else []
    place = f"{device['address']}:{device['https_port']}"
    trust = ["-CAfile", str(site.bundle), "-verify_return_error", "-verify_ip", device["address"]]
    return ["s_client", "-connect", place, *trust, *old]


async def _verified(openssl: str, arguments: list[str]) -> str:
    process = await asyncio.create_subprocess_exec(
        openssl,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), _SECONDS_TO_ANSWER)
    except TimeoutError:
        process.kill()
        await process.wait()
        return "did not answer"
    lines = said.decode(errors="replace").splitlines()
    if process.returncode == 0 and any("Verify return code: 0 (ok)" in line for line in lines):
        version = next((line.split(",")[1].strip() for line in lines if line.startswith("New, ")), "")
        protocol = next((line.split(":")[1].strip() for line in lines if line.strip().startswith("Protocol")), version)
        return f"verified, {protocol or version}"
    return next((line.strip() for line in lines if "error" in line.lower()), "not verified")


def _certificate(row: dict[str, Any]) -> tuple[str, str]:
    certificate = row["certificate"]
    return ("", "") if certificate is None else (certificate["issuer"], certificate["not_after"][:10])


def _say(title: str, text: str = "") -> None:
    print(flush=True)
    output.say(title)
    if text:
        output.say(f"   {text}")
    sys.stdout.flush()


def _mac(device: dict[str, Any]) -> str:
    serial = device["serial"]
    return ":".join(serial[at : at + 2] for at in range(0, 12, 2))


def _firmware(device: dict[str, Any]) -> str:
    return f"{device['firmware']} (inferred)" if device["inferred"] else str(device["firmware"])


def _fault(device: dict[str, Any]) -> str:
    return _FAULTS.get(device["profile"], ("",))[0]
