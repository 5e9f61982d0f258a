"""Every class of core/errors.py is caused, by a simulated device where one is involved, and says what it is."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from fleetseal.app import open_application
from fleetseal.core import errors
from fleetseal.core.errors import FleetsealError
from fleetseal.core.model import Alias, Endpoint, FirstUse, KeySpec, Login, PeerTrust, Plaintext, Serial, TaskAction
from fleetseal.core.secrets import Secret
from fleetseal.jobs.run import Run
from fleetseal.operations import access, alarm_delivery, authorities, inventory
from fleetseal.sim.fleet import DeviceSpec, SimulatedDevice
from fleetseal.store import tasks
from fleetseal.web.feed import Feeds
from tests import people
from tests.site import Site, site

PLAIN = Plaintext()
Cause = Callable[[Site], Awaitable[object]]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    """A site with a CA and no devices."""
    async with site(tmp_path / "data") as one:
        yield one


async def camera(here: Site, profile: str = "9.10", **faults: Any) -> SimulatedDevice:
    return await here.fleet.add(DeviceSpec(profile, faults=faults))


async def opened(here: Site, device: SimulatedDevice, *, login: Login | None = None, trust: PeerTrust = PLAIN) -> None:
    """A connection by `trust`, logged in."""
    endpoint = endpoint_of(device)
    login = login or Login(device.username, device.password)
    async with here.services.connect(await here.settings()).open(endpoint, trust, login, serial=Serial(device.serial)):
        pass


def endpoint_of(device: SimulatedDevice) -> Endpoint:
    return Endpoint(device.address, device.http_port, device.https_port)


async def written(here: Site, device: SimulatedDevice) -> None:
    """A key is asked for over plain HTTP."""
    connector = here.services.connect(await here.settings())
    login = Login(device.username, device.password)
    endpoint = endpoint_of(device)
    async with connector.open(endpoint, Plaintext(), login, serial=Serial(device.serial)) as connection:
        await connection.driver.request_certificate(Alias("fleetseal-x-1"), KeySpec("192.0.2.1", ("192.0.2.1",)))


async def invalid_input(here: Site) -> None:
    await inventory.add(here.services, actor="test", targets=["no address!"])


async def not_found(here: Site) -> None:
    await inventory.show(here.services, "B8A44F000000")


async def conflict(here: Site) -> None:
    await authorities.create(here.services, actor="test", name="Other", passphrase=Secret("x"))


async def locked(here: Site) -> None:
    await authorities.unlock(here.services, actor="test", passphrase=Secret("wrong"))


async def unreachable(here: Site) -> None:
    await opened(here, await camera(here, unreachable=True))


async def tls_too_old(here: Site) -> None:
    await opened(here, await camera(here, "5.51"), trust=FirstUse())


async def busy(here: Site) -> None:
    await opened(here, await camera(here, busy=True))


async def outcome_unknown(here: Site) -> None:
    await written(here, await camera(here, lose_answer_of={"create_key": 1}))


async def authentication_failed(here: Site) -> None:
    await opened(here, await camera(here), login=Login("root", "wrong"))


async def setup_needed(here: Site) -> None:
    await opened(here, await here.fleet.add(DeviceSpec("12.11", setup_done=False)))


async def credentials_needed(here: Site) -> None:
    device = await camera(here)
    await inventory.add(
        here.services, actor="test", targets=[device.address], http_port=device.http_port, https_port=device.https_port
    )
    await told(here, device)


async def permission_denied(here: Site) -> None:
    device = await camera(here)
    device.device.add_user("guard", "viewing", ("viewer",))
    await opened(here, device, login=Login("guard", "viewing"))


async def not_supported(here: Site) -> None:
    device = await camera(here)
    device.device.parameters.put("Properties.API.WebService.WebService", "no")
    await written(here, device)


async def rejected(here: Site) -> None:
    await written(here, await camera(here, store_full=True))


async def protocol_violation(here: Site) -> None:
    await opened(here, await camera(here, redirect_to="http://192.0.2.66/"))


async def identity_mismatch(here: Site) -> None:
    await opened(here, await camera(here, realm="AXIS_ACCC8E000000"))


async def trust_failure(here: Site) -> None:
    await opened(here, await camera(here, basic_only=True))


async def verification_failed(here: Site) -> None:
    device = await camera(here, "12.11-self-signed", serves_wrong_leaf=True)
    await here.add(device)
    await told(here, device)


async def issuance_refused(here: Site) -> None:
    """Both devices have the same key."""
    first, second = await camera(here), await camera(here)
    for device in (first, second):
        await here.add(device)
    await here.set("certificate.key-origin", "device")
    assert (await here.enable(first))[0]["status"] == "Finished"
    (key,) = [entry.key for entry in first.device.store.keys if entry.alias == first.web.bound]
    assert key is not None

    class SameKey:
        async def make(self, key_type: str) -> Any:
            return key

    second.device.around = replace(second.device.around, keys=SameKey())
    await told(here, second)


async def store_error(here: Site) -> None:
    async with here.services.database.transaction() as tx:
        await tx.execute(text("PRAGMA max_page_count=1"))
        await tx.execute(
            text("insert into setting (key, value, changed) values ('k', :value, '2026')"), {"value": "x" * 500_000}
        )


async def in_use(here: Site) -> None:
    data = here.services.data / "owned"
    async with open_application(data, environment={}), open_application(data, environment={}):
        pass


async def too_many_listeners(here: Site) -> None:
    feeds = Feeds(here.services, working=lambda: False, spawn=lambda work: work.close(), most_of_one=1)
    async with feeds.listening("anna"), feeds.listening("anna"):
        pass


async def stand_down(here: Site) -> None:
    """A run that slept past its recovery."""
    device = await camera(here)
    await here.add(device)
    async with here.services.database.transaction() as tx:
        row = await here.device(device)
        now = here.services.clock.now()
        task = await tasks.add_task(
            tx, action=TaskAction.REFRESH, wish={}, actor="test", devices=[(row, True)], now=now
        )
        (job,) = await tasks.jobs_of(tx, task)
    slept = await Run.begin(here.services.database, here.services.clock, job.id)
    await Run.begin(here.services.database, here.services.clock, job.id)
    await slept.local("record", partial(_nothing), detail="")


async def _nothing(_: Any) -> None:
    raise AssertionError("nothing is written any more")


class Told(Exception):
    """The outcome of a job: its error's code, and what people read."""


async def told(here: Site, device: SimulatedDevice) -> None:
    (outcome,) = await here.enable(device)
    raise Told(outcome["error"], outcome["description"])


async def not_signed_in(here: Site) -> None:
    async with people.application(here.services.data / "other") as application:
        problem = (await people.stranger(application.api).get("/devices")).json()
    raise Told(problem["code"], problem["detail"])


async def sign_in_refused(here: Site) -> None:
    await access.sign_in(here.services, name="nobody", password=Secret("wrong"), address="192.0.2.1", before=None)


async def too_many_attempts(here: Site) -> None:
    services = people.cheap(here.services)
    for _ in range(6):
        with suppress(errors.SignInRefused):
            await access.sign_in(services, name="nobody", password=Secret("wrong"), address="192.0.2.1", before=None)


async def confirm_password(here: Site) -> None:
    async with people.application(here.services.data / "other") as application:
        await people.add_user(application, "anna")
        problem = (await (await people.signed_in(application, "anna")).delete("/users/1")).json()
    raise Told(problem["code"], problem["detail"])


async def delivery_failed(here: Site) -> None:
    """Nothing listens on the discard port."""
    await here.set("alarm.syslog", "tcp://127.0.0.1:9")
    await alarm_delivery.test(here.services, actor="test", channel="syslog")


CAUSES: dict[type[FleetsealError], tuple[Cause, str]] = {
    errors.InvalidInput: (invalid_input, r"'no address!' is no address: .+"),
    errors.NotFound: (not_found, r".*B8A44F000000.*"),
    errors.Conflict: (conflict, r"There is a CA already: .+ca renew.+"),
    errors.NotSignedIn: (not_signed_in, r"Nobody is signed in, or the session has ended\. .+"),
    errors.SignInRefused: (sign_in_refused, r"Name or password is wrong\."),
    errors.ConfirmPassword: (confirm_password, r"Give your password again for this\. Nothing was done\."),
    errors.TooManyAttempts: (too_many_attempts, r"Too many wrong passwords were given\. Try again in 30 seconds, .+"),
    errors.Locked: (locked, r"The passphrase is wrong.*"),
    errors.Unreachable: (unreachable, r"127\.0\.0\.1 refuses connections on port \d+\."),
    errors.TlsTooOld: (tls_too_old, r"127\.0\.0\.1 port \d+ offers only TLS 1\.0, which is refused\. .+--tls legacy.+"),
    errors.Busy: (busy, r"127\.0\.0\.1 is busy and asks to be left alone for now \(HTTP 503\)\."),
    errors.OutcomeUnknown: (outcome_unknown, r"A change was sent to 127\.0\.0\.1, which did not answer .+ looking\."),
    errors.AuthenticationFailed: (authentication_failed, r"127\.0\.0\.1 refused the user name or the password\. .+"),
    errors.SetupNeeded: (setup_needed, r"127\.0\.0\.1 is in factory state: .+ No login was sent\."),
    errors.CredentialsNeeded: (credentials_needed, r"It asks for a login and none is stored\. .+device set.+"),
    errors.PermissionDenied: (permission_denied, r".*guard.*administrator.*"),
    errors.NotSupported: (not_supported, r".*no certificate interface.*"),
    errors.Rejected: (rejected, r"The device refused.*"),
    errors.ProtocolViolation: (protocol_violation, r".*192\.0\.2\.66.*Redirects are not followed.*"),
    errors.IdentityMismatch: (identity_mismatch, r".* answers as device ACCC8E000000, not as .*No login was sent\."),
    errors.TrustFailure: (trust_failure, r".*in clear text over plain HTTP \(Basic\)\. It was not sent\. .+"),
    errors.VerificationFailed: (
        verification_failed,
        r"Rolled back: the device serves another certificate .+ The device is as it was before\.",
    ),
    errors.IssuanceRefused: (issuance_refused, r".*another device.* The device is as it was before\."),
    errors.StoreError: (store_error, r"The disk is full\. Make room; work continues by itself\."),
    errors.DeliveryFailed: (delivery_failed, r"The server 127\.0\.0\.1 port 9 cannot be reached: .+"),
    errors.InUse: (in_use, r"Another process uses the data directory .+"),
    errors.TooManyListeners: (too_many_listeners, r"You have 1 pages open that follow this server\. Close some\."),
    errors.StandDown: (stand_down, r"Another run of job \d+ has begun; this one writes nothing more\."),
}
ABSTRACT = {FleetsealError, errors.DeviceError}
ELSEWHERE = {errors.Forbidden: Path(__file__).parents[1] / "contract" / "test_trust_stores.py"}
"""No device and no site causes it: the command line raises it about stores of this computer, where this test says."""


def classes(kind: type[FleetsealError] = FleetsealError) -> set[type[FleetsealError]]:
    found = {kind}.union(*(classes(child) for child in kind.__subclasses__()))
    return {one for one in found if one.__module__ == errors.__name__}


def test_every_class_has_its_cause() -> None:
    assert set(CAUSES) | ABSTRACT | set(ELSEWHERE) == classes()
    for kind, test in ELSEWHERE.items():
        assert f"except {kind.__name__} as error" in test.read_text()


@pytest.mark.parametrize("kind", CAUSES, ids=lambda kind: kind.__name__)
async def test_the_error_is_caused_and_says(here: Site, kind: type[FleetsealError]) -> None:
    cause, sentence = CAUSES[kind]
    with pytest.raises((FleetsealError, Told)) as caught:
        await cause(here)
    found = caught.value
    code, message = (found.code, found.message) if isinstance(found, FleetsealError) else found.args
    assert code == kind.code
    assert re.fullmatch(sentence, message, re.DOTALL), message
