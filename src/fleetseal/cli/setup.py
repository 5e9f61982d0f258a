"""`fleetseal device setup`."""

from fleetseal.cli import ask, output
from fleetseal.cli.client import connected
from fleetseal.cli.common import DONE, FAILED, NO_OPTIONS, Common, Devices, Flag, SecretFile
from fleetseal.core.errors import InvalidInput


async def setup(
    *devices: Devices,
    username: str,
    password_file: SecretFile = None,
    plain_http: Flag = False,
    common: Common = NO_OPTIONS,
) -> int:
    """Make the first administrator of devices in factory state, prove the login, and store it.

    The password crosses the network: over TLS, of the best trust there is.

    Parameters
    ----------
    username
        The name of the new administrator; before AXIS OS 11.6 it is always root.
    password_file
        File with the new password; - is standard input. Without it you are asked, twice.
    plain_http
        Send the password in clear where a device offers no TLS.
    """
    if not devices:
        raise InvalidInput("No device is named.")
    password = ask.secret(password_file, "New password", option="--password-file", twice=True)
    if password is None:
        raise InvalidInput("A password is needed: give --password-file.")
    body = {"devices": list(devices), "username": username, "password": password, "plain_http": plain_http}
    async with connected(common) as client:
        results = await client.post("devices", "setup", body=body)
    if common.json:
        output.as_json(results)
    else:
        columns = ("mac", "address", "result", "message")
        output.table(
            ("MAC Address", "Address", "Result", "Message"), [tuple(one[name] for name in columns) for one in results]
        )
    return FAILED if any(one["result"] == "failed" for one in results) else DONE
