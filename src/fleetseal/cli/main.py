"""The command `fleetseal`. Each noun's module is imported only when one of its commands is used."""

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from fleetseal import __version__
from fleetseal.cli.common import WRONG, guarded

_NOUNS = {
    "ca": "The certificate authority: create or import it, show, renew, export, back up, restore, unlock, lock.",
    "device": "Devices: add, set up, import, list, show, refresh, change, trust, export and remove them.",
    "credential": "Logins tried on devices of the inventory that have none: add, list and remove them.",
    "https": "HTTPS on devices: enable or update it, or disable it.",
    "certificate": "Certificates: list, install and delete those on devices, show and revoke those issued here.",
    "task": "What was asked for, and what became of it: list, show, cancel, retry, resume.",
    "alarm": "Conditions that hold now and need attention: list and acknowledge them, and where they are told.",
    "trust": "Trust in the CA on computers: install it on this one, remove it, or show the steps for others.",
    "audit": "The audit log: who did what. List, verify and export it.",
    "user": "Users who sign in: add, list, change, remove and unlock them; the code for the first one.",
    "token": "API tokens for programs: add, list and remove them.",
    "settings": "Settings: list, get and set them.",
}
_VERBS = {
    "discover": ("discover", "Find devices on the network, and take them into the inventory."),
    "nightly": ("nightly", "The nightly run, now: renew what is due, audit what devices serve, tidy up."),
    "crl": ("crl", "Make the CRLs of all CAs anew whose keys are open, and list them."),
    "backup": ("backup", "Write the whole system, with every key, into one encrypted file."),
    "restore": ("backup", "Put a backup into an empty data directory."),
    "serve": ("serve", "Work for this data directory until stopped: the web application, the API, and the jobs."),
    "demo": ("demo", "Secure a virtual site before your eyes, and let openssl verify it."),
    "simulate": ("simulate", "Run virtual devices on this computer, with real TLS."),
}


_WITH_VALUE = ("--data", "--url", "--ca-file")


def build() -> App:
    app = App(
        name="fleetseal",
        help="Gives every network camera of a site its own HTTPS certificate, and keeps it valid.",
        version=__version__,
        help_format="plaintext",
        result_action="return_value",
    )
    for name, text in _NOUNS.items():
        app.command(f"fleetseal.cli.{name}:app", name=name, help=text)
    for name, (module, text) in _VERBS.items():
        app.command(f"fleetseal.cli.{module}:{name}", name=name, help=text)
    return app


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; its exit code."""
    app = build()
    try:
        command, bound, _ = app.parse_args(_noun_first(arguments), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f"{error}", file=sys.stderr)
        return WRONG
    return guarded(lambda: command(*bound.args, **bound.kwargs))


def _noun_first(arguments: Sequence[str]) -> list[str]:
    """The same command line with the options of every command moved from before the noun to the end."""
    rest = list(arguments)
    moved: list[str] = []
    while rest and rest[0].partition("=")[0] in ("--json", *_WITH_VALUE):
        taken = 2 if rest[0] in _WITH_VALUE else 1
        moved += rest[:taken]
        del rest[:taken]
    end = rest.index("--") if "--" in rest else len(rest)
    return rest[:end] + moved + rest[end:]
