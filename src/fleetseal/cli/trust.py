"""`fleetseal trust`: computers that are to believe the devices. It acts here, with what the API gives."""

import base64
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from fleetseal.cli import ask, output, trust_nss, trust_stores
from fleetseal.cli.client import Client, connected
from fleetseal.cli.common import DONE, FAILED, NO_OPTIONS, Common, Flag, SecretFile, noun
from fleetseal.cli.trust_nss import NssStore
from fleetseal.cli.trust_stores import DEBIAN, BundleFile, Outcome, Store
from fleetseal.core.errors import FleetsealError, Forbidden, InvalidInput, NotFound
from fleetseal.core.secrets import Secret
from fleetseal.core.trust_steps import Certificate, Platform, certificates_of, needs_p7b, platform_of, steps

app = noun("trust", "Trust in the CA on computers: install it on this one, remove it, or show the steps for others.")

Where = Annotated[
    str,
    Parameter(
        name="--store",
        help="system: for most programs of this computer (Debian and its relatives). firefox: every Firefox profile of "
        "this user. chromium: Chromium, Chrome and Edge on Linux. Or a path: a PEM bundle, or the directory of an NSS "
        "database.",
    ),
]
RootOnly = Annotated[
    Flag, Parameter(help="Leave the issuing CAs out: for sites where every device sends its chain (AXIS OS 10.10).")
]
NssPassword = Annotated[
    SecretFile, Parameter(help="File with the primary password of Firefox, if it has one; - is standard input.")
]
Planned = Annotated[Flag, Parameter(help="Only look, and say what would be done.")]

_OS_RELEASE = Path("/etc/os-release")
_NAMED = "Allowed: system, firefox, chromium, or the path of a file or directory."


@app.command
async def install(
    *,
    store: Where = "system",
    root_only: RootOnly = False,
    password_file: NssPassword = None,
    plan: Planned = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Make programs on this computer believe devices that are secured here. What is trusted already stays as it is."""
    password = ask.secret(password_file, "", option="--password-file") if password_file is not None else None
    return await _change(trust_stores.install, store, root_only=root_only, password=password, plan=plan, common=common)


@app.command
async def remove(*, store: Where = "system", plan: Planned = False, common: Common = NO_OPTIONS) -> int:
    """Take out of this computer what `trust install` put there, and nothing else."""
    return await _change(trust_stores.remove, store, root_only=False, password=None, plan=plan, common=common)


@app.command
async def show_steps(
    *,
    platform: Platform | None = None,
    target: Annotated[Path | None, Parameter(name="--output")] = None,
    root_only: RootOnly = False,
    remove: Flag = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Show what to type on another computer to trust the CA there, with the real names of the files.

    Parameters
    ----------
    platform
        Of the other computer. Default: that of this one.
    target
        A directory into which the files are written: take it to the other computer and type the steps in it.
    remove
        The steps that undo it.
    """
    chosen = platform or _here()
    if chosen is None:
        raise InvalidInput("This computer's platform is not known: give --platform.")
    async with connected(common) as client:
        certificates = await _certificates(client, root_only=root_only)
        bundle = await _p7b(client) if needs_p7b(chosen, remove=remove) else None
    files = {one.file_name: one.pem.encode() for one in certificates} | (bundle or {})
    if target is not None:
        _write(target.expanduser(), files)
    shown = steps(chosen, certificates, p7b=next(iter(bundle or {}), ""), remove=remove)
    if common.json:
        told = [{"text": step.text, "command": step.command} for step in shown]
        output.as_json({"platform": chosen, "files": list(files), "written": target is not None, "steps": told})
        return DONE
    if target is None:
        output.tell("The files are not written: with --output DIR they are, and the steps are typed in that directory.")
    for number, step in enumerate(shown, 1):
        output.say(f"{number}. {step.text}")
        if step.command is not None:
            print(f"   {step.command}")  # whole, to be copied
    return DONE


def chosen_stores(where: str, *, home: Path, password: str | None, platform: Platform | None) -> Sequence[Store]:
    """What `--store` means. Raises InvalidInput, NotFound."""
    if where == "system":
        if platform != "debian":
            of = f" --platform {platform}" if platform is not None else ""
            raise InvalidInput(
                "Fleetseal changes the system's trust store on Debian and its relatives only. Nothing was done. "
                f"What to type here: fleetseal trust show-steps{of} --output DIR"
            )
        return [DEBIAN]
    path = Path(where).expanduser()
    if where not in ("firefox", "chromium") and not path.is_dir():
        if not path.exists() and path.name == where and not path.suffix:
            raise InvalidInput(f"There is no trust store '{where}'. {_NAMED}")
        return [BundleFile(path.absolute())]
    return [
        NssStore(directory, trust_nss.find_certutil(), None if password is None else Secret(password))
        for directory in _databases(where, path, home, platform)
    ]


async def _change(
    act: Callable[..., list[Outcome]],
    where: str,
    *,
    root_only: bool,
    password: str | None,
    plan: bool,
    common: Common,
) -> int:
    stores = chosen_stores(where, home=Path.home(), password=password, platform=_here())
    async with connected(common) as client:
        certificates = await _certificates(client, root_only=root_only)
    outcomes: list[Outcome] = []
    failures: list[FleetsealError] = []
    for store in stores:
        try:
            outcomes += act(store, certificates, plan=plan)
        except Forbidden as error:
            failures.append(Forbidden(f"{error.message} Type: {_as_administrator(common)}"))
        except FleetsealError as error:
            failures.append(error)
    if len(stores) == len(failures) == 1:
        raise failures[0]
    _tell(outcomes, failures, common)
    if not failures and not plan and not common.json:
        output.say(_after(act, where))
    return FAILED if failures else DONE


def _databases(where: str, path: Path, home: Path, platform: Platform | None) -> list[Path]:
    if platform == "windows":
        raise InvalidInput("On Windows, Firefox and Chromium use the system's store: fleetseal trust show-steps.")
    if where == "chromium":
        return trust_nss.chromium_databases(home)
    if where == "firefox":
        profiles = trust_nss.firefox_profiles(home)
        if not profiles:
            raise NotFound(f"There is no Firefox profile under {home}: start Firefox once, or give a path to --store.")
        return profiles
    if not trust_nss.is_database(path):
        made = shlex.join(["certutil", "-N", "--empty-password", "-d", f"sql:{path.absolute()}"])
        raise InvalidInput(f"{path} is a directory and no NSS database. Nothing was done. To make one: {made}")
    return [path.absolute()]


def _here() -> Platform | None:
    try:
        release = _OS_RELEASE.read_text(encoding="utf-8", errors="replace")
    except OSError:
        release = ""
    return platform_of(sys.platform, release)


async def _certificates(client: Client, *, root_only: bool) -> list[Certificate]:
    """What is to be trusted, roots first. Raises Problem without a CA."""
    return certificates_of(await client.get("authorities", "current", "trust"), root_only=root_only)


async def _p7b(client: Client) -> dict[str, bytes]:
    exported = await client.get("authorities", "current", "export", query={"format": "p7b"})
    return {file["name"]: base64.b64decode(file["content"]) for file in exported["files"]}


def _write(directory: Path, files: dict[str, bytes]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"The directory {directory} cannot be made: {error.strerror}.") from error
    for name, content in files.items():
        ask.write(directory / name, content)


def _as_administrator(common: Common) -> str:
    """This very command, as root: `sudo` knows neither this environment nor its search path."""
    words = ["sudo", sys.executable, "-m", "fleetseal", *sys.argv[1:]]
    if common.data is None:
        words += ["--data", str(common.directory)]
    return shlex.join(words)


def _tell(outcomes: Sequence[Outcome], failures: Sequence[FleetsealError], common: Common) -> None:
    rows: list[dict[str, Any]] = [
        {
            "store": one.store,
            "role": one.certificate.role,
            "subject": one.certificate.subject,
            "sha256": one.certificate.sha256,
            "result": one.result,
        }
        for one in outcomes
    ]
    if common.json:
        output.as_json(rows)
    elif rows:
        output.table(
            ("Result", "Role", "Subject", "Store"),
            [tuple(row[name] for name in ("result", "role", "subject", "store")) for row in rows],
        )
    for error in failures:
        output.tell(error.message)


def _after(act: Callable[..., list[Outcome]], where: str) -> str:
    if act is trust_stores.remove:
        return "Programs that run keep what they have read until they start again."
    if where == "system":
        return "Firefox and Chromium have trust stores of their own: --store firefox, --store chromium."
    return "Programs that run see it when they start again."
