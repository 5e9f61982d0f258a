"""Trust stores with the real programs behind them: ours goes in and out, and what others put there stays."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fleetseal.cli import trust_nss
from fleetseal.cli.trust_nss import NssStore
from fleetseal.cli.trust_stores import (
    BundleFile,
    NotChanged,
    Store,
    SystemStore,
    certificates_in,
    install,
    remove,
    run,
)
from fleetseal.core.errors import InvalidInput, Locked
from fleetseal.core.secrets import Secret
from fleetseal.core.trust_steps import Certificate
from fleetseal.pki import chain, keys, profile
from tests.pki import NOW, RNG, authority, key

CERTUTIL = shutil.which("certutil")
UPDATE = Path("/usr/sbin/update-ca-certificates")
SETPRIV = shutil.which("setpriv")

needs_nss = pytest.mark.skipif(CERTUTIL is None, reason="NSS databases need certutil (Debian: libnss3-tools)")
needs_debian = pytest.mark.skipif(not UPDATE.exists(), reason="Debian's update-ca-certificates is not on this computer")


def certificate(der: bytes, role: str) -> Certificate:
    found = chain.describe(der)
    title = f"fleetseal-Plant-{role}-{found.sha256[:16]}"
    return Certificate(title, role, found.subject, found.sha256, chain.to_pem([der]).decode())


def namesake() -> bytes:
    """A root with the name of ours and another key, as of a second installation."""
    other = key(keys.ROOT_KEYS["ec"], 1)
    serial = profile.new_serial(RNG)
    content = profile.root_content("Plant", other.spki, serial=serial, now=NOW, organization="Example", one_tier=False)
    itself = other.issuer(None)
    return itself.issue(itself.prepare(content))


OURS = [certificate(authority().root, "root"), certificate(authority().intermediates[0], "intermediate")]
OTHER = certificate(namesake(), "root")
"""It has the name of our root, and is not ours."""
THIRD = certificate(authority("rsa", tiers=1).root, "root")


def results(store: Store, *, plan: bool = False, gone: bool = False) -> list[str]:
    act = remove if gone else install
    return [one.result for one in act(store, OURS, plan=plan)]


def test_the_other_one_has_our_name() -> None:
    assert (OTHER.subject, OTHER.der == OURS[0].der) == (OURS[0].subject, False)


# ---------------------------------------------------------------- a bundle


def test_a_bundle_keeps_what_else_is_in_it(tmp_path: Path) -> None:
    bundle, link = tmp_path / "bundle.pem", tmp_path / "link.pem"
    before = f"# of others, \xe9\r\n{OTHER.pem}-----BEGIN CERTIFICATE-----\ndamaged\n-----END CERTIFICATE-----\n"
    bundle.write_bytes(before.encode("latin-1"))
    bundle.chmod(0o640)
    link.symlink_to(bundle)
    store = BundleFile(link)
    assert results(store, plan=True) == ["would be added", "would be added"]
    assert bundle.read_bytes() == before.encode("latin-1")
    assert results(store) == ["added", "added"]
    assert results(store) == ["present", "present"]
    assert [one.der in certificates_in(bundle.read_text("latin-1")) for one in (*OURS, OTHER)] == [True] * 3
    assert (link.is_symlink(), bundle.stat().st_mode & 0o777) == (True, 0o640)
    assert results(store, gone=True, plan=True) == ["would be removed", "would be removed"]
    assert results(store, gone=True) == ["removed", "removed"]
    assert results(store, gone=True) == ["absent", "absent"]
    assert bundle.read_bytes() == before.encode("latin-1")
    assert sorted(tmp_path.iterdir()) == [bundle, link], "no draft is left"


def test_a_bundle_that_ends_within_a_line_is_no_trap(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(OTHER.pem.rstrip("\n"))
    install(BundleFile(bundle), OURS)
    assert len(certificates_in(bundle.read_text())) == 3


def test_a_bundle_is_made_and_gone_with_its_last_certificate(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    assert results(BundleFile(bundle)) == ["added", "added"]
    assert bundle.stat().st_mode & 0o777 == 0o644
    assert results(BundleFile(bundle), gone=True) == ["removed", "removed"]
    assert not bundle.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("hello", "no file of PEM certificates"), ("-----BEGIN PRIVATE KEY-----\n", "holds a private key")],
)
def test_what_is_no_bundle_is_left_alone(tmp_path: Path, content: str, sentence: str) -> None:
    file = tmp_path / "file"
    file.write_text(content)
    for act in (install, remove):
        with pytest.raises(InvalidInput, match=sentence):
            act(BundleFile(file), OURS)
    assert file.read_text() == content


def test_a_bundle_in_no_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotChanged, match="cannot be changed: No such file or directory"):
        install(BundleFile(tmp_path / "none" / "bundle.pem"), OURS)


# ---------------------------------------------------------------- NSS


def database(directory: Path, password: str = "") -> NssStore:
    assert CERTUTIL is not None
    directory.mkdir()
    (directory.parent / "password").write_text(password)
    nss(directory, "-N", "-f", str(directory.parent / "password"))
    return NssStore(directory, Path(CERTUTIL))


def nss(directory: Path, *arguments: str) -> str:
    command = [str(CERTUTIL), arguments[0], "-d", f"sql:{directory}", *arguments[1:]]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def foreign(store: NssStore, one: Certificate, name: str, trust: str) -> None:
    """Somebody else's entry."""
    file = store.directory.parent / "one.pem"
    file.write_text(one.pem)
    nss(store.directory, "-A", "-n", name, "-t", trust, "-i", str(file))


@needs_nss
def test_an_nss_database_keeps_the_entries_of_others(tmp_path: Path) -> None:
    store = database(tmp_path / "nss")
    foreign(store, OTHER, "Plant of others", "C,,")
    before = nss(store.directory, "-L")
    assert results(store, plan=True) == ["would be added", "would be added"]
    assert nss(store.directory, "-L") == before
    assert results(store) == ["added", "added"]
    assert results(store) == ["present", "present"]
    trust = {line.split()[0]: line.split()[-1] for line in nss(store.directory, "-L").splitlines() if "fleets" in line}
    assert trust == {OURS[0].title: "C,,", OURS[1].title: ",,"}, "an issuing CA is known, not trusted by itself"
    nss(store.directory, "-M", "-n", OURS[0].title, "-t", ",,")
    assert results(store) == ["added", "present"], "whose trust was taken away"
    assert results(store, gone=True) == ["removed", "removed"]
    assert results(store, gone=True) == ["absent", "absent"]
    assert nss(store.directory, "-L") == before


@needs_nss
def test_what_others_put_into_an_nss_database_is_theirs(tmp_path: Path) -> None:
    store = database(tmp_path / "nss")
    foreign(store, OURS[0], "By hand", "C,,")
    assert results(store) == ["present", "added"]
    assert results(store, gone=True) == ["kept", "removed"]
    nss(store.directory, "-M", "-n", "By hand", "-t", ",,")
    with pytest.raises(NotChanged, match="already as 'By hand', without trust") as told:
        install(store, OURS)
    assert results(store, plan=True) == ["would be added", "would be added"], "nothing was changed"
    subprocess.run(shlex.split(told.value.message.partition("To trust it: ")[2]), check=True, timeout=30)
    assert results(store) == ["present", "added"]


@needs_nss
def test_a_primary_password_is_needed_and_checked(tmp_path: Path) -> None:
    store = database(tmp_path / "nss", password="c4n4ry")
    before = nss(store.directory, "-L")
    with pytest.raises(Locked, match="is protected by a primary password"):
        install(store, OURS)
    wrong = NssStore(store.directory, store.certutil, Secret("guess"))
    with pytest.raises(Locked, match="does not take this password"):
        install(wrong, OURS)
    assert nss(store.directory, "-L") == before, "certutil made an entry without trust, and it is gone again"
    assert results(NssStore(store.directory, store.certutil, Secret("c4n4ry"))) == ["added", "added"]
    assert results(store, gone=True) == ["removed", "removed"], "for which NSS wants no password"


@needs_nss
def test_an_nss_database_is_made_only_to_be_used(tmp_path: Path) -> None:
    assert CERTUTIL is not None
    store = NssStore(tmp_path / ".pki" / "nssdb", Path(CERTUTIL))
    assert results(store, plan=True) == ["would be added", "would be added"]
    assert results(store, gone=True) == ["absent", "absent"]
    assert not (tmp_path / ".pki").exists()
    assert results(store) == ["added", "added"]
    assert (tmp_path / ".pki" / "nssdb").stat().st_mode & 0o777 == 0o700


@needs_nss
def test_a_damaged_nss_database_is_said(tmp_path: Path) -> None:
    store = database(tmp_path / "nss")
    (store.directory / "cert9.db").write_bytes(b"no database")
    with pytest.raises(NotChanged, match=r"was not changed: .*SEC_ERROR_BAD_DATABASE"):
        install(store, OURS)


def test_databases_of_browsers_are_found_where_they_are_kept(tmp_path: Path) -> None:
    assert trust_nss.firefox_profiles(tmp_path) == []
    places = (".mozilla/firefox/a.default", ".mozilla/firefox/b", "snap/firefox/common/.mozilla/firefox/c")
    for place in (*places, "snap/chromium/current/.pki/nssdb"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "cert9.db").touch()
    (tmp_path / ".mozilla/firefox/Crash Reports").mkdir()
    assert trust_nss.firefox_profiles(tmp_path) == [tmp_path / place for place in places]
    chromium = [tmp_path / ".pki/nssdb", tmp_path / "snap/chromium/current/.pki/nssdb"]
    assert trust_nss.chromium_databases(tmp_path) == chromium


def test_a_missing_certutil_is_said_with_the_package() -> None:
    with pytest.raises(InvalidInput, match="sudo apt install libnss3-tools"):
        trust_nss.find_certutil([Path("/nowhere/certutil")])


# ---------------------------------------------------------------- Debian's store, in a directory of its own


@pytest.fixture
def system(tmp_path: Path) -> SystemStore:
    """update-ca-certificates itself, on two other CAs instead of /usr/share/ca-certificates."""
    for name in ("local", "shared", "etc", "hooks"):
        (tmp_path / name).mkdir()
    (tmp_path / "shared" / "other.crt").write_text(OTHER.pem)
    (tmp_path / "shared" / "third.crt").write_text(THIRD.pem)
    (tmp_path / "conf").write_text("other.crt\nthird.crt\n")
    options = {"certsconf": "conf", "certsdir": "shared", "localcertsdir": "local", "etccertsdir": "etc"}
    options["hooksdir"] = "hooks"
    words = [word for name, place in options.items() for word in (f"--{name}", str(tmp_path / place))]
    return SystemStore(tmp_path / "local", tmp_path / "etc" / "ca-certificates.crt", (str(UPDATE), *words))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def links(store: SystemStore) -> list[str]:
    return sorted(path.name for path in store.bundle.parent.iterdir())


@needs_debian
def test_the_system_store_is_as_before_after_a_removal(system: SystemStore, tmp_path: Path) -> None:
    run(system.refresh, seconds=60)
    before, listed = contents(tmp_path), links(system)
    assert results(system, plan=True) == ["would be added", "would be added"]
    assert contents(tmp_path) == before
    assert results(system) == ["added", "added"]
    assert results(system) == ["present", "present"]
    verify = [
        "openssl",
        "verify",
        "-no-CAfile",
        "-CApath",
        str(system.bundle.parent),
        "-attime",
        str(int(NOW.timestamp())),
    ]
    for one in OURS:
        (tmp_path / "one.pem").write_text(one.pem)
        said = subprocess.run([*verify, str(tmp_path / "one.pem")], capture_output=True, text=True, timeout=30)
        assert said.returncode == 0, said.stdout + said.stderr
    (tmp_path / "one.pem").unlink()
    assert results(system, gone=True) == ["removed", "removed"]
    assert results(system, gone=True) == ["absent", "absent"]
    assert (contents(tmp_path), links(system)) == (before, listed), "not even a link is left"


@needs_debian
def test_changes_of_the_system_store_that_were_interrupted_are_finished(system: SystemStore) -> None:
    (system.directory / OURS[0].file_name).write_text(OURS[0].pem[:100])  # ended while the file was written
    assert results(system) == ["added", "added"]
    (system.directory / OURS[0].file_name).unlink()  # ended before the bundle was made anew
    assert results(system, gone=True) == ["removed", "removed"]
    assert certificates_in(system.bundle.read_text()) == {OTHER.der, THIRD.der}


@needs_debian
def test_what_others_put_into_the_system_store_is_theirs(system: SystemStore) -> None:
    (system.directory / "by-hand.crt").write_text(OURS[0].pem)
    run(system.refresh, seconds=60)
    assert results(system) == ["present", "added"]
    assert results(system, gone=True) == ["kept", "removed"]
    assert (system.directory / "by-hand.crt").exists()


@needs_debian
def test_a_system_store_that_cannot_be_refreshed_is_as_before(system: SystemStore, tmp_path: Path) -> None:
    run(system.refresh, seconds=60)
    before = contents(tmp_path)
    failing = SystemStore(system.directory, system.bundle, ("/bin/sh", "-c", "echo no room >&2; exit 3"))
    with pytest.raises(NotChanged, match=r"/bin/sh failed: no room\. The files were removed again"):
        install(failing, OURS)
    missing = SystemStore(system.directory, system.bundle, ("/nowhere/update-ca-certificates",))
    with pytest.raises(NotChanged, match=r"install the package ca-certificates\. Nothing was changed"):
        install(missing, OURS)
    idle = SystemStore(system.directory, system.bundle, ("/bin/true",))
    with pytest.raises(NotChanged, match="still does not trust CN=Plant"):
        install(idle, OURS)
    remove(system, OURS)
    assert contents(tmp_path) == before
    install(system, OURS)
    with pytest.raises(NotChanged, match=r"no room\. The files are removed from .*: run it again"):
        remove(failing, OURS)
    assert results(system, gone=True) == ["removed", "removed"]
    assert contents(tmp_path) == before


def test_a_program_that_hangs_is_stopped() -> None:
    with pytest.raises(NotChanged, match=r"did not end within 0\.2 s and was stopped"):
        run(("/bin/sleep", "30"), seconds=0.2)


# ---------------------------------------------------------------- rights

_ATTEMPT = """
import sys
from pathlib import Path
from fleetseal.core.errors import Forbidden
from tests.contract.test_trust_stores import CERTUTIL, OURS, UPDATE
from fleetseal.cli.trust_nss import NssStore
from fleetseal.cli.trust_stores import BundleFile, SystemStore, install
folder = Path(sys.argv[1])
stores = [BundleFile(folder / "bundle.pem"), SystemStore(folder, folder / "bundle.pem", ("/bin/true",))]
stores += [NssStore(folder, Path(CERTUTIL))] if CERTUTIL else []
for store in stores:
    try:
        install(store, OURS)
    except Forbidden as error:
        print(error.message)
"""


@pytest.mark.skipif(SETPRIV is None, reason="root needs setpriv to give up its rights; others have none")
def test_a_store_without_the_right_to_change_it_is_said(tmp_path: Path) -> None:
    store = BundleFile(tmp_path / "shut" / "bundle.pem")
    (tmp_path / "shut").mkdir()
    store.path.write_text(OTHER.pem)
    (tmp_path / "shut").chmod(0o555)
    command = [sys.executable, "-c", _ATTEMPT, str(tmp_path / "shut")]
    if os.geteuid() == 0:
        command = [str(SETPRIV), "--bounding-set=-all", *command]
    root = Path(__file__).parent.parent.parent
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=root).stdout
    labels = [store.label, "The trust store of this computer"]
    labels += [f"The NSS database {tmp_path / 'shut'}"] if CERTUTIL else []
    assert said.splitlines() == [f"{label} may not be changed by this user. Nothing was changed." for label in labels]
    assert store.path.read_text() == OTHER.pem
