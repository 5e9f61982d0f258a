"""What discovery finds."""

from dataclasses import dataclass

from fleetseal.core.model import Endpoint, Serial


@dataclass(frozen=True)
class Sighting:
    """Something answered at this address; not yet a device. The serial is a hint until the device is looked at."""

    address: str
    http_port: int = 80
    https_port: int = 443
    serial: Serial | None = None
    seen_by: tuple[str, ...] = ()  # "range", "mDNS", "SSDP", "WS-Discovery"
    host_name: str | None = None  # as announced: a hint

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.address, self.http_port, self.https_port)
