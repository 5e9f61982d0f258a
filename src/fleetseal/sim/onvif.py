"""The ONVIF device service operations that only read (device-api 3.5)."""

from datetime import datetime

from fleetseal.sim.device import Device, mac
from fleetseal.sim.envelope import Node, element, leaf
from fleetseal.sim.zone import to_local


async def device_information(device: Device, node: Node) -> str:
    node.children("tds")
    product = device.profile.product
    return element(
        "tds:GetDeviceInformationResponse",
        leaf("tds:Manufacturer", "AXIS"),
        leaf("tds:Model", product.model),
        leaf("tds:FirmwareVersion", product.firmware),
        leaf("tds:SerialNumber", device.serial),
        leaf("tds:HardwareId", product.hardware_id),
    )


async def service_capabilities(device: Device, node: Node) -> str:
    """soap-tds-GetServiceCapabilities.xml; 12.11 names TLS 1.0 and 1.1 though it no longer speaks them."""
    node.children("tds")
    modern = 'TLS1.2="true" TLS1.1="true" TLS1.0="true"' if device.profile.tls.highest != "TLSv1" else 'TLS1.0="true"'
    return (
        "<tds:GetServiceCapabilitiesResponse><tds:Capabilities>"
        '<tds:Network DHCPv6="true" NTP="1" DynDNS="true" IPVersion6="true" ZeroConfiguration="true" IPFilter="true">'
        "</tds:Network>"
        '<tds:Security HttpDigest="true" UsernameToken="true" DefaultAccessPolicy="true" AccessPolicyConfig="true"'
        f' OnboardKeyGeneration="true" {modern}></tds:Security>'
        '<tds:System SystemLogging="true" DiscoveryBye="true" DiscoveryResolve="true"></tds:System>'
        "</tds:Capabilities></tds:GetServiceCapabilitiesResponse>"
    )


async def network_interfaces(device: Device, node: Node) -> str:
    """soap-tds-GetNetworkInterfaces.xml."""
    node.children("tds")
    settings = leaf("tt:AutoNegotiation", "true") + leaf("tt:Speed", "100") + leaf("tt:Duplex", "Full")
    manual = element("tt:Manual", leaf("tt:Address", "192.168.0.90"), leaf("tt:PrefixLength", "24"))
    leased = element("tt:FromDHCP", leaf("tt:Address", device.identity.address), leaf("tt:PrefixLength", "24"))
    content = (
        leaf("tt:Enabled", "true")
        + element("tt:Info", leaf("tt:Name", "eth0"), leaf("tt:HwAddress", mac(device.serial)), leaf("tt:MTU", "1500"))
        + element(
            "tt:Link",
            element("tt:AdminSettings", settings),
            element("tt:OperSettings", settings),
            leaf("tt:InterfaceType", "6"),
        )
        + element("tt:IPv4", leaf("tt:Enabled", "true"), element("tt:Config", manual, leased, leaf("tt:DHCP", "true")))
        + element(
            "tt:IPv6",
            leaf("tt:Enabled", "false"),
            element("tt:Config", leaf("tt:AcceptRouterAdvert", "true"), leaf("tt:DHCP", "Auto")),
        )
    )
    return element(
        "tds:GetNetworkInterfacesResponse",
        f'<tds:NetworkInterfaces token="eth0">{content}</tds:NetworkInterfaces>',
    )


async def system_date_and_time(device: Device, node: Node) -> str:
    """UTC and local time; no login is needed (device-api 3.5)."""
    node.children("tds")
    now = device.now()
    local = to_local(now, device.profile.time_zone, daylight=device.daylight)
    parts = [_moment(f"tt:{kind}", at) for kind, at in (("UTCDateTime", now), ("LocalDateTime", local))]
    return element(
        "tds:GetSystemDateAndTimeResponse",
        element(
            "tds:SystemDateAndTime",
            leaf("tt:DateTimeType", "NTP"),
            leaf("tt:DaylightSavings", "true" if device.daylight else "false"),
            element("tt:TimeZone", leaf("tt:TZ", device.profile.time_zone)),
            *parts,
        ),
    )


def _moment(tag: str, at: datetime) -> str:
    time = (("Hour", at.hour), ("Minute", at.minute), ("Second", at.second))
    date = (("Year", at.year), ("Month", at.month), ("Day", at.day))
    return element(
        tag,
        element("tt:Time", *(leaf(f"tt:{unit}", str(number)) for unit, number in time)),
        element("tt:Date", *(leaf(f"tt:{unit}", str(number)) for unit, number in date)),
    )
