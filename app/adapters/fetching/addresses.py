"""Which addresses belong to the public internet. All others may be this server's own
neighbourhood."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's own services, as each of its machines sees them
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
PUBLIC_6 = IPv6Network("2000::/3")
"""All that was ever assigned as global unicast. IPv4-mapped addresses and NAT64, among others, lie
outside."""
NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocols, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: the IPv4 address within could be any
        "3fff::/20",
    )
)
ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""The 32 bits before an IPv4 address in an interface id (RFC 5214 §6.1): a router may unwrap it."""


def is_public(address: str) -> bool:
    """Whether an IPv4 or IPv6 address, in its usual spelling, is public by IANA's special-purpose
    registries.

    Stricter than ``ipaddress.is_global``, whose answers changed between versions of Python.
    """
    parsed = ip_address(address)
    return _is_public_4(parsed) if isinstance(parsed, IPv4Address) else _is_public_6(parsed)


def _is_public_4(address: IPv4Address) -> bool:
    return not any(address in network for network in NOT_PUBLIC_4)


def _is_public_6(address: IPv6Address) -> bool:
    if address not in PUBLIC_6 or int(address) >> 32 & 0xFFFF_FFFF in ISATAP:
        return False
    return not any(address in network for network in NOT_PUBLIC_6)
