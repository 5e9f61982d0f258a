"""The command line on virtual devices, in one process: what is wrong with a device is a sentence and an exit code; many
devices at once; a task that is cancelled, tried again, or interrupted."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from fleetseal.cli.main import run
from fleetseal.core.config import environment
from fleetseal.sim.announce import Announcer
from fleetseal.sim.fleet import DeviceSpec, Fleet, SimulatedDevice
from tests import people
from tests.devices import SiteAuthority

T = TypeVar("T")


class Devices:
    """A fleet whose event loop runs in a thread of its own, beside that of the command line."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.fleet = Fleet()
        self._thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self) -> "Devices":
        self._thread.start()
        self.do(self.fleet.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self.fleet.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def add(self, *specs: str | DeviceSpec) -> list[SimulatedDevice]:
        return self.do(self.fleet.add_all(specs))


class Line:
    """The command line on one data directory."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], fleet: Fleet) -> None:
        self.data = folder / "data"
        self.folder = folder
        self._capsys = capsys
        (folder / "roots.pem").write_bytes(fleet.maker.roots_pem)
        (folder / "password").write_text("simulated")
        (folder / "passphrase").write_text("x")

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """What one command says on both streams; it ends with `code`."""
        ended = run([*arguments, "--data", str(self.data)])
        said = self._capsys.readouterr()
        assert ended == code, said.out + said.err
        assert "Traceback" not in said.err
        return said.out, said.err

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code)[0])

    def prepare(self, *, authority: bool = True) -> None:
        """A CA, and settings for tests."""
        self("settings", "set", "devices.maker-roots", str(self.folder / "roots.pem"))
        self("settings", "set", "https.soak-seconds", "0")
        self("settings", "set", "https.verify-seconds", "5")
        passphrase = str(self.folder / "passphrase")
        if authority:
            self("ca", "create", "--name", "Site", "--key-type", "ec", "--passphrase-file", passphrase)

    def add(self, device: SimulatedDevice, *, password: str = "simulated", code: int = 0) -> dict[str, Any]:
        (self.folder / "typed").write_text(password)
        ports = ("--http-port", str(device.http_port), "--https-port", str(device.https_port))
        login = ("--username", device.username, "--password-file", str(self.folder / "typed"))
        added = self.json("device", "add", device.address, *ports, *login, code=code)
        assert len(added) == 1
        return dict(added[0])


@pytest.fixture
def devices() -> Iterator[Devices]:
    with Devices() as running:
        yield running


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str], devices: Devices) -> Iterator[Line]:
    yield Line(tmp_path, capsys, devices.fleet)
    logging.getLogger("dbos").handlers.clear()  # they write to a stream that ends with this test


def test_devices_go_out_to_a_file_and_come_in_again(line: Line, tmp_path: Path) -> None:
    file, out = tmp_path / "site.csv", tmp_path / "out.csv"
    file.write_text("address,tags\n10.0.0.1,=a\n10.0.0.2,\nno address!,\n")
    said, _ = line("device", "import", str(file), code=1)
    assert "Nothing was imported: 1 of 3 rows are wrong." in said
    assert line.json("device", "list") == []
    assert [one["result"] for one in line.json("device", "import", str(file), code=1)] == [
        "skipped",
        "skipped",
        "failed",
    ]
    file.write_text("address,tags\n10.0.0.1,=a\n10.0.0.2,\n")
    said, _ = line("device", "import", str(file))
    assert "2 added, 0 in the inventory already." in said
    assert line("device", "export", "--output", str(out)) == ("", "")
    assert "10.0.0.1,80,443,,,,default,'=a," in out.read_text()
    assert line("device", "export")[0] == out.read_bytes().decode().replace("\r\n", "\n")
    assert line.json("device", "export", "--filter", "10.0.0.1")[0]["tags"] == ["=a"]
    assert [one["result"] for one in line.json("device", "import", str(out))] == ["known", "known"]
    for name, content, sentence in (
        ("a.txt", b"", "neither in .csv nor in .json"),
        ("a.csv", b"\xff", "not UTF-8"),
        ("a.json", b"{", "not JSON"),
    ):
        (tmp_path / name).write_bytes(content)
        assert sentence in line("device", "import", str(tmp_path / name), code=2)[1]
    assert "cannot be read" in line("device", "import", str(tmp_path / "none.csv"), code=2)[1]


def test_a_fresh_device_is_set_up(line: Line, devices: Devices, tmp_path: Path) -> None:
    (camera,) = devices.add(DeviceSpec("12.11", setup_done=False))
    line.prepare()
    ports = ("--http-port", str(camera.http_port), "--https-port", str(camera.https_port))
    line("device", "add", camera.address, *ports)
    (tmp_path / "new").write_text("A new one\n")
    login = ("--username", "root", "--password-file", str(tmp_path / "new"))
    assert "No device is named" in line("device", "setup", *login, code=2)[1]
    (told,) = line.json("device", "setup", camera.serial, *login)
    assert (told["result"], told["mac"]) == ("set up", line.json("device", "show", camera.serial)["mac"])
    assert line.json("device", "list")[0]["status"] == "OK"
    said, _ = line("device", "setup", camera.serial, *login, code=1)
    assert "It has an administrator already. Nothing was sent." in said


def test_credentials_are_tried_on_devices_without_a_login(line: Line, devices: Devices, tmp_path: Path) -> None:
    (camera,) = devices.add("9.10")
    line("device", "add", camera.address, "--http-port", str(camera.http_port), "--https-port", str(camera.https_port))
    assert "There is no credential." in line("credential", "list")[0]
    login = ("--username", "root", "--password-file", str(tmp_path / "password"))
    assert [one["name"] for one in line.json("credential", "add", "site", *login)] == ["site"]
    assert "already" in line("credential", "add", "site", *login, code=2)[1]
    line("device", "refresh", "--all")
    assert line.json("device", "list")[0]["status"] == "OK"
    assert "simulated" not in "".join(line("credential", "list"))
    assert line.json("credential", "remove", "site") == []
    assert "no credential 'site'" in line("credential", "remove", "site", code=3)[1]


def test_refresh_reads_in_full_what_is_named_and_glances_at_the_others(line: Line, devices: Devices) -> None:
    line.prepare()
    for camera in devices.add("12.11", "9.10"):
        line.add(camera)
    first, second = devices.fleet.devices
    requests = [len(camera.requests) for camera in devices.fleet.devices]
    result = line.json("device", "refresh", "--all")
    assert (result["action"], result["state"], result["heading"]) == (
        "Refresh",
        "Finished",
        "Refresh successful on all devices",
    )
    assert [(one["status"], one["description"]) for one in result["devices"]] == [
        ("Unchanged", "It is as when last read.")
    ] * 2
    assert [len(camera.requests) for camera in devices.fleet.devices] == [number + 1 for number in requests]
    (named,) = line.json("device", "refresh", first.serial)["devices"]
    assert (named["status"], named["description"]) == ("Finished", "Read.")
    assert (len(first.requests) > requests[0] + 3, len(second.requests)) == (True, requests[1] + 1)


def test_devices_of_a_range_are_found_and_added_at_a_persons_word(line: Line, devices: Devices) -> None:
    """A range of one address, with the ports of a virtual device; how far the search is goes to standard error."""
    line.prepare()
    device = devices.add("12.11")[0]
    ports = ("--http-port", str(device.http_port), "--https-port", str(device.https_port))
    where = ("--range", f"{device.address}-{device.address}", *ports)
    found = line.json("discover", *where)
    assert [(one["address"], one["result"], one["trust"]) for one in found] == [(device.address, "found", "factory")]
    out, _ = line("discover", *where)
    assert "factory" in out
    assert device.credential_bytes == 0
    for wrong in (("--yes",), ("--add",), ("--username", "root")):
        line("discover", *where, *wrong, code=2)
    login = ("--username", device.username, "--password-file", str(line.folder / "password"))
    added = line.json("discover", *where, "--add", "--yes", *login)
    assert [(one["result"], one["device"]["status"]) for one in added] == [("added", "OK")]
    assert [one["result"] for one in line.json("discover", *where)] == ["known"]
    assert line.json("discover", "--range", "127.0.8.0/28", *ports) == []
    assert "too many" in line("discover", "--range", "10.0.0.0/8", code=2)[1]


@pytest.mark.skipif(sys.platform != "linux", reason="multicast on loopback is there on Linux")
def test_devices_that_announce_themselves_are_found(line: Line, devices: Devices) -> None:
    """By mDNS on loopback; other virtual devices of this computer may be heard too."""
    line.prepare()
    device = devices.add(DeviceSpec("12.11", address="127.0.5.1", serial="B8A44F0005A1"))[0]  # as no other run has
    announcer = Announcer([device])
    devices.do(announcer.__aenter__())
    try:
        where = ("discover", "--interface", "127.0.0.1", "--timeout", "1", "--https-port", str(device.https_port))
        out = subprocess.run(
            [sys.executable, "-m", "fleetseal", *where, "--json", "--data", str(line.data)],
            capture_output=True,
            timeout=60,
            check=False,
        )
    finally:
        devices.do(announcer.__aexit__())
    assert b"Traceback" not in out.stderr
    (found,) = [one for one in json.loads(out.stdout) if one["address"] == device.address]
    assert (found["result"], found["trust"]) == ("found", "factory")
    assert "mDNS" in found["seen_by"]
    assert device.credential_bytes == 0
    assert "no interface" in line("discover", "--interface", "nowhere0", code=2)[1]


def test_an_unknown_device_is_not_found(line: Line) -> None:
    for command in (
        ("device", "show", "B8A44F000000"),
        ("device", "refresh", "B8A44F000000"),
        ("https", "enable", "B8A44F000000"),
        ("https", "disable", "192.0.2.7"),
        ("device", "remove", "no-such-host", "--yes"),
    ):
        out, err = line(*command, code=3)
        assert (out, len(err.splitlines())) == ("", 1)
        assert command[2] in err


def test_a_wrong_port_and_what_is_not_a_camera(line: Line, devices: Devices) -> None:
    (camera,) = devices.add(DeviceSpec("12.11", faults={"unreachable": True}))
    (failed,) = line.json("device", "add", f"{camera.address}:{camera.http_port}", code=1)
    assert (failed["result"], failed["device"]) == ("failed", None)
    assert "answers neither HTTPS nor HTTP" in failed["message"]

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 18\r\nConnection: close\r\n\r\n"
        writer.write(head + b"<html>Hello</html>")
        await writer.drain()
        writer.close()

    server = devices.do(asyncio.start_server(page, "127.0.0.1", 0))
    try:
        out, err = line("device", "add", f"127.0.0.1:{server.sockets[0].getsockname()[1]}", code=1)
    finally:
        devices.loop.call_soon_threadsafe(server.close)
    assert "not an Axis device" in out + err
    assert line.json("device", "list") == []


def test_a_wrong_password_is_sent_once_whatever_is_asked_for(line: Line, devices: Devices) -> None:
    line.prepare()
    (camera,) = devices.add("9.10")
    added = line.add(camera, password="wrong", code=0)
    assert added["result"] == "added"
    assert added["message"].startswith("Wrong credentials: ")
    logins = [record for record in camera.requests if record.credential_bytes]
    assert len(logins) == 1
    line("device", "refresh", "--all", code=1)
    line("device", "clock", camera.serial, code=1)
    for named in (["--all"], [camera.serial]):
        outcome = line.json("https", "enable", *named, code=1)["devices"][0]
        assert (outcome["status"], outcome["error"]) == ("Failed", "authentication-failed")
        assert "not sent again until it is changed" in outcome["description"]
    line("task", "retry", "1", code=1)
    assert [record for record in camera.requests if record.credential_bytes] == logins
    assert dict(camera.effects) == {}
    (row,) = line.json("device", "list")
    assert (row["status"], row["https"]) == ("Wrong credentials", "Unknown")


@pytest.mark.parametrize(
    ("spec", "https", "status", "sentence"),
    [
        (DeviceSpec("5.51"), "Unsupported firmware", "OK", "Unsupported firmware: "),
        (DeviceSpec("t85"), "Unsupported device", "OK", "Unsupported device: "),
        (DeviceSpec("12.11", setup_done=False), "Unknown", "Setup needed", "factory state"),
    ],
    ids=["firmware", "switch", "factory-state"],
)
def test_what_cannot_be_enabled_gets_a_row_and_no_write(
    line: Line, devices: Devices, spec: DeviceSpec, https: str, status: str, sentence: str
) -> None:
    line.prepare()
    (camera,) = devices.add(spec)
    assert line.add(camera)["result"] == "added"
    (row,) = line.json("device", "list")
    assert (row["https"], row["status"]) == (https, status)
    sent = camera.credential_bytes
    met = line.json("https", "enable", "--all", code=1 if status == "Setup needed" else 0)["devices"][0]
    assert met["status"] == ("Failed" if status == "Setup needed" else "Skipped"), met
    named = line.json("https", "enable", str(row["id"]), code=1)["devices"][0]
    assert named["status"] == "Failed"
    assert sentence in named["description"]
    assert (dict(camera.effects), camera.credential_bytes) == ({}, sent)


@pytest.mark.timeout(300)
def test_twenty_devices_in_one_run(line: Line, devices: Devices) -> None:
    """`--all` and `--filter`, each device its own job; one line of progress for every 5 %."""
    line.prepare()
    line("settings", "set", "https.verify-seconds", "120")  # twenty cameras in one process answer slowly
    cameras = devices.add(*(["12.11"] * 12), *(["9.10"] * 4), *(["10.12"] * 4))
    targets = [f"{camera.address}:{camera.http_port}" for camera in cameras]
    login = ("--username", "root", "--password-file", str(line.data.parent / "password"))
    added = line.json("device", "add", *targets, *login)
    assert [one["result"] for one in added] == ["added"] * 20
    part = line.json("https", "enable", "--filter", "firmware:<10.0")
    assert [one["status"] for one in part["devices"]] == ["Finished"] * 4
    out, err = line("https", "enable", "--all")
    assert out.startswith("Enable HTTPS successful on all devices\n")
    assert (out.count(" Finished "), out.count(" Unchanged ")) == (16, 4)
    percents = [int(told.split()[2]) for told in err.splitlines() if told.startswith("Enable HTTPS: ")]
    assert percents == sorted(set(percents))
    assert percents[-1] == 100
    assert all(percent % 5 == 0 for percent in percents)
    rows = line.json("device", "list")
    assert {(row["status"], row["https"], row["trust"]) for row in rows} == {("OK", "Enabled", "verified")}
    assert len({row["certificate"]["serial"] for row in rows}) == 20
    assert {camera.effects["create_key"] for camera in cameras} == {1}


def begun(line: Line, *arguments: str) -> subprocess.Popen[str]:
    """A command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "fleetseal", *arguments, "--data", str(line.data)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in environment().items() if not name.startswith("FLEETSEAL_")},
    )


def ended(command: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = command.communicate(timeout=90)
    finally:
        command.kill()
    assert "Traceback" not in err
    return command.returncode, out, err


def until(found: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(600):
        if found():
            return
        waiting.wait(0.05)
    raise AssertionError("it did not happen")


@pytest.mark.timeout(200)
def test_a_task_is_cancelled_in_the_middle_and_tried_again(line: Line, devices: Devices) -> None:
    """The device in work is put back, the one that waits is not begun; `retry` takes both."""
    line.prepare()
    line("settings", "set", "jobs.concurrency", "1")
    cameras = devices.add(*[DeviceSpec("12.11", faults={"keygen_seconds": 4.0})] * 2)
    for camera in cameras:
        line.add(camera)
    before = [(camera.aliases, camera.authority_aliases, camera.web) for camera in cameras]
    command = begun(line, "https", "enable", "--all")
    until(lambda: any(camera.effects.get("create_key") for camera in cameras))
    line("task", "cancel", "1")
    code, out, _ = ended(command)
    assert code == 0, "to be cancelled is no failure"
    assert "Enable HTTPS cancelled on 2 of 2 devices" in out
    shown = line.json("task", "show", "1")
    assert shown["state"] == "Cancelled"
    assert sorted(one["description"] for one in shown["devices"]) == [
        "Cancelled before it began.",
        "Cancelled: the device is as it was before.",
    ]
    assert [(camera.aliases, camera.authority_aliases, camera.web) for camera in cameras] == before
    for camera in cameras:
        devices.do(camera.trouble(keygen_seconds=0.0))
    again = line.json("task", "retry", "1")
    assert [one["status"] for one in again["devices"]] == ["Finished"] * 2


@pytest.mark.timeout(200)
def test_two_commands_at_once_share_the_work(line: Line, devices: Devices) -> None:
    """One owns the data directory, the other is served by it; whoever ends first, both come to their end."""
    line.prepare()
    cameras = devices.add("12.11", "9.10")
    for camera in cameras:
        line.add(camera)
    commands = [begun(line, "https", "enable", camera.serial) for camera in cameras]
    for code, out, err in [ended(command) for command in commands]:
        assert code == 0, (out, err)
        assert out.startswith("Enable HTTPS successful on all devices")
    assert {row["trust"] for row in line.json("device", "list")} == {"verified"}
    assert [one["state"] for one in line.json("task", "list")] == ["Finished"] * 2


@pytest.mark.timeout(200)
def test_a_device_at_work_is_busy_for_others(line: Line, devices: Devices) -> None:
    line.prepare()
    (camera,) = devices.add(DeviceSpec("12.11", faults={"keygen_seconds": 4.0}))
    line.add(camera)
    command = begun(line, "https", "enable", camera.serial)
    until(lambda: bool(camera.effects.get("create_key")))
    assert line.json("device", "list")[0]["status"] == "Busy"
    (named,) = line.json("https", "enable", camera.serial, code=1)["devices"]
    assert (named["status"], named["description"]) == ("Failed", f"Busy in task 1 of {people.here()}.")
    (met,) = line.json("https", "enable", "--all")["devices"]
    assert met["status"] == "Skipped"
    assert f"busy in task 1 of {people.here()}" in line("device", "remove", camera.serial, "--yes", code=2)[1]
    assert ended(command)[0] == 0
    assert line.json("device", "list")[0]["status"] == "OK"


def test_certificates_are_listed_and_deleted(line: Line, devices: Devices) -> None:
    line.prepare()
    (camera,) = devices.add("12.11-self-signed")
    line.add(camera)
    default = camera.web.bound
    assert default is not None
    line("https", "enable", "--all")
    (shown,) = line.json("certificate", "list")
    use = {entry["alias"]: entry["use"] for entry in shown["certificates"] if entry["kind"] == "key"}
    assert use[default] == []
    bound = next(alias for alias, services in use.items() if "HTTPS" in services)
    out, _ = line("certificate", "list", camera.serial)
    assert default in out
    out, err = line("certificate", "delete", camera.serial, default, code=2)
    assert "give --yes to agree" in err
    refused = line.json("certificate", "delete", camera.serial, bound, "--yes", code=1)
    assert (refused["action"], refused["devices"][0]["error"]) == ("Delete certificate", "conflict")
    out, _ = line("certificate", "delete", camera.serial, default, "--yes")
    assert "Delete certificate successful on all devices" in out
    assert default not in camera.aliases
    line("certificate", "list", "B8A44F000000", code=3)
    line("certificate", "delete", "B8A44F000000", default, "--yes", code=3)
    devices.do(camera.trouble(unreachable=True))
    out, err = line("certificate", "list", code=1)
    assert (out, camera.address in err) == ("No entry was found.\n", True)


# ---------------------------------------------------------------- devices that are not as they were


def test_why_a_device_changed_is_said_before_it_is_accepted(devices: Devices, line: Line) -> None:
    (device,) = devices.add("9.10")
    line.add(device)
    impostor = devices.do(devices.fleet.exchange(device))
    line("device", "refresh", device.serial, code=1)
    shown = line.json("device", "show", device.serial)
    assert (shown["status"], shown["change"]["verdict"]) == ("Identity changed", "possibly an impostor")
    said = line("device", "show", device.serial)[0]
    assert f"Identity changed: {shown['change']['reason']}\n" in said
    assert f"Change: possibly an impostor, seen {shown['change']['since']}.\n" in said
    asked, refused = line("device", "trust", device.serial, code=2)
    assert "  Change: possibly an impostor. It says that it is " in asked
    assert "Nothing was done" in refused
    assert impostor.credential_bytes == 0
    line("device", "trust", device.serial, "--yes")
    line("device", "refresh", device.serial)
    shown = line.json("device", "show", device.serial)
    assert (shown["status"], shown["trust"], shown["change"]) == ("OK", "pinned", None)


def test_what_is_noted_and_what_no_longer_fits_is_shown(devices: Devices, line: Line) -> None:
    line.prepare()
    (device,) = devices.add("12.11")
    line.add(device)
    line("https", "enable", device.serial)
    line("device", "set", device.serial, "--hostname", "gate.example.org")
    devices.do(devices.fleet.devices[0].update("11.6"))
    line("device", "refresh", device.serial)
    said = line("device", "show", device.serial)[0]
    assert "Names no longer fit: Its certificate does not name gate.example.org" in said
    assert "Change: firmware update, seen " in said
    assert "Its firmware was 12.11.77 and is 11.6.94. Its identity is as on record" in said
    line("https", "enable", device.serial)
    shown = line.json("device", "show", device.serial)
    assert (shown["status"], shown["findings"], shown["change"]) == ("OK", [], None)


def test_certificates_are_installed_from_files(line: Line, devices: Devices) -> None:
    line.prepare(authority=False)
    first, second = devices.add("12.11", "9.10")
    for camera in (first, second):
        line.add(camera)
    plant, keys = SiteAuthority("Plant"), [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    files = []
    for camera, key in zip((first, second), keys, strict=True):
        leaf = x509.load_der_x509_certificate(plant.leaf(key.public_key(), f"axis-{camera.serial}.plant.example"))
        sealing = BestAvailableEncryption(camera.serial.encode())
        files.append(line.folder / f"{camera.serial}.p12")
        files[-1].write_bytes(pkcs12.serialize_key_and_certificates(None, key, leaf, None, sealing))
        (line.folder / f"{camera.serial}.phrase").write_text(camera.serial + "\n")
    phrases = [option for file in files for option in ("--passphrase-file", str(file.with_suffix(".phrase")))]
    one_of_three = line("certificate", "install", *map(str, files), str(files[0]), *phrases, code=2)[1]
    assert "Give one passphrase for all 3 files, or one for each of them" in one_of_three
    wrong = line("certificate", "install", str(files[0]), *phrases[2:], code=4)[1]
    assert "The passphrase is wrong" in wrong
    stray = line.folder / "stray.pem"
    stray.write_text("nothing")
    result = line.json("certificate", "install", *map(str, files), *phrases)
    assert (result["action"], result["state"], result["unmatched"]) == ("Install certificate", "Finished", [])
    assert [(one["status"], one["file"]) for one in result["devices"]] == [("Finished", str(file)) for file in files]
    assert {row["https"] for row in line.json("device", "list")} == {"Enabled"}
    (stored,) = [
        entry
        for entry in line.json("certificate", "list", second.serial)[0]["certificates"]
        if entry["use"] == ["HTTPS"]
    ]
    assert (stored["source"], stored["kind"]) == ("other", "key")
    result = line.json("certificate", "install", str(stray), "--device", first.serial, code=1)
    assert (result["devices"], result["state"], result["unmatched"][0]["file"]) == ([], "Failed", str(stray))
    out, _ = line("certificate", "install", str(stray), code=1)
    assert f"{stray} was not used: " in out
    assert "cannot be retried" in line("task", "retry", "1", code=2)[1]
    line("certificate", "install", str(stray), "--device", "B8A44F999999", code=3)
