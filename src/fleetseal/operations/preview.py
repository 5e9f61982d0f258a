"""`https enable --plan`: what would be done to each device now. Devices are read, nothing is written to them."""

from typing import Any

from fleetseal.core.config import Settings
from fleetseal.core.errors import AuthenticationFailed, FleetsealError
from fleetseal.core.model import ConnectionPolicy, Device, EnableWish, Selection
from fleetseal.core.runtime import side_by_side
from fleetseal.core.text import clean
from fleetseal.devices.axis.catalogue import old_tls
from fleetseal.operations import listing, observe, recording, states
from fleetseal.operations.listing import Row
from fleetseal.operations.plan import Bind, Go, Plan, Refused, Skipped, Switch, Unchanged
from fleetseal.operations.readiness import note_refusal, ready
from fleetseal.operations.services import Services
from fleetseal.operations.settings import in_force


async def plan(services: Services, *, actor: str, selection: Selection, wish: dict[str, Any]) -> list[Row]:
    """One object for each device: `{"id","mac","address","plan","description"}`.

    `plan` is `Enable`, `Unchanged`, `Skipped` or `Failed`. Raises NotFound, Conflict, InvalidInput for the selection.
    """
    devices = await listing.choose(services, selection)
    settings = await in_force(services)
    named = listing.named(selection)
    await recording.logins_used(services, devices, actor=actor, purpose="https enable --plan")

    async def one(device: Device) -> Row:
        if not states.fit(device, certificates=True):
            return _row(device, "Failed" if named else "Skipped", device.support_reason)
        try:
            decided = await _plan(services, settings, device, EnableWish(**wish), named)
            outcome, description = _in_words(decided, named=named)
        except FleetsealError as error:
            return _row(device, "Failed", error.message)
        return _row(device, outcome, description + _caution(device, decided))

    return await side_by_side([one(device) for device in devices], at_once=settings.jobs_concurrency)


def _row(device: Device, outcome: str, description: str) -> Row:
    return {
        "id": device.id,
        "mac": device.mac,
        "address": device.address,
        "plan": outcome,
        "description": description,
    }


async def _plan(services: Services, settings: Settings, device: Device, wish: EnableWish, named: bool) -> Plan:
    device, login = await ready(services, device.id)
    connector = services.connect(settings)
    try:
        return await observe.plan_enable(
            services, settings, connector, device, login, wish=wish, named=named, job_id=None
        )
    except AuthenticationFailed:
        await note_refusal(services, device)
        raise


def _in_words(plan: Plan, *, named: bool) -> tuple[str, str]:
    match plan:
        case Unchanged(reason):
            return "Unchanged", reason
        case Skipped(reason):
            return ("Failed" if named else "Skipped"), reason
        case Refused(reason):
            return "Failed", reason
        case Go():
            return "Enable", _steps(plan)
        case Bind(alias, switch=switch):
            steps = [f"serve {clean(alias)} by HTTPS, which is on the device", f"accept {_POLICY[switch.policy]}"]
            return "Enable", f"Because there is no CA here: {', '.join(_before(switch) + steps)}."


def _steps(go: Go) -> str:
    done = _before(go.switch)
    if go.issue:
        names = ", ".join(go.names.names)
        done.append(f"issue a certificate for {names} with a key made by the {go.key_origin.value}")
    done.append("serve it by HTTPS" if go.issue else f"serve {go.alias} by HTTPS")
    if go.policy is not go.previous.policy or go.open_http:
        done.append(f"accept {_POLICY[go.policy]}")
    return f"Because {go.reason}: {', '.join(done)}."


def _caution(device: Device, plan: Plan) -> str:
    """What is not known before HTTPS is on, and would undo the work."""
    if not isinstance(plan, Go | Bind) or device.legacy_tls or not old_tls(device.firmware):
        return ""
    before = plan.switch.previous
    if before.tls and before.policy is not ConnectionPolicy.HTTP:
        return ""  # then it was seen
    return (
        " Its firmware may speak TLS 1.0 only, which is refused: it would then be put back as it was. "
        f"fleetseal device set {device.address} --tls legacy allows it for this device."
    )


def _before(switch: Switch) -> list[str]:
    done = ["set its clock"] if switch.set_clock else []
    return [*done, "open plain HTTP as the way back"] if switch.open_http else done


_POLICY = {"http": "plain HTTP only", "both": "HTTP and HTTPS", "https": "HTTPS only"}
