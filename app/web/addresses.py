"""The address that a request comes from."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from flask_limiter.util import get_remote_address


def remote_ip() -> IPv4Address | IPv6Address | None:
    """The client's address; an IPv4 address that is written as IPv6 counts as IPv4 (RFC 4291
    §2.5.5.2). None if the server knows none, such as behind a Unix socket."""
    try:
        ip = ip_address(get_remote_address())
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def is_within(networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether the client is in one of the networks."""
    ip = remote_ip()
    return ip is not None and any(ip in network for network in networks)
