"""URLs as this server reads them, and the hosts that they may name.

They are read once: the host that is checked here is the one that is connected to, asked for and
named in the handshake.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from string import punctuation
from typing import Self
from urllib.parse import quote, urljoin

from app.errors import BadRequest

LONGEST = 2048
LONGEST_REDIRECT = 8192
"""In characters. Redirects lead to signed URLs, which are longer than what people send."""
PORTS = {"http": 80, "https": 443}
NEVER = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
"""Characters that browsers drop from a URL or take for a slash, so that readers differ, and those
that no encoding has."""
SHAPE = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?][^#]*)?"
    r"(?:#.*)?",
    re.IGNORECASE,
)
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
REGION = r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}"
WELL_KNOWN = {
    "Amazon S3": (
        r"(?:.+\.)?s3(?:-fips|-accelerate|-accesspoint(?:-fips)?|-external-1)?(?:\.dualstack)?"
        rf"(?:[.-]{REGION})?\.amazonaws\.com(?:\.cn)?"
    ),
    "Azure Blob Storage": r".+\.blob\.(?:core\.windows\.net|storage\.azure\.net)",
    "Cloudflare R2": r".+\.r2\.(?:cloudflarestorage\.com|dev)",
    "Google Cloud Storage": r"(?:.+\.)?storage\.googleapis\.com|storage\.cloud\.google\.com",
    "Dropbox": r"(?:.+\.)?dropbox(?:usercontent)?\.com",
    "Google Drive": (
        r"(?:drive|docs|drive\.usercontent)\.google\.com|doc-[a-z0-9-]+\.googleusercontent\.com"
    ),
    "OneDrive": (
        r"1drv\.ms|(?:onedrive\.live|api\.onedrive)\.com|.+\.files\.1drv\.com|[a-z0-9]+-my\.sharepoint\.com"
        r"|my\.microsoftpersonalcontent\.com"
    ),
}
"""Hosts that give out their customers' files, and nothing else that their customers run."""
WELL_KNOWN_HOST = re.compile("|".join(f"(?:{pattern})" for pattern in WELL_KNOWN.values()))


def refused(problem: str) -> BadRequest:
    """``problem`` continues a sentence that begins with the field."""
    return BadRequest(f"url: {problem}", errors=[f"url: {problem}"])


@dataclass(frozen=True)
class Url:
    """An http or https URL. ``host`` is in lower case, IPv6 in brackets; ``target`` is the path
    with the query."""

    scheme: str
    host: str
    port: int
    target: str = "/"

    @classmethod
    def read(cls, text: str, longest: int = LONGEST) -> Self:
        """Raises BadRequest for a text without a plain scheme, host and port, and for one longer
        than ``longest``."""
        if len(text) > longest:
            raise refused(f"must have at most {longest} characters")
        _check_characters(text)
        found = SHAPE.fullmatch(quote(text, safe=punctuation))
        if not found:
            raise refused(
                "must be an https:// address with a plain host name and nothing before it"
            )
        scheme, target = found["scheme"].lower(), found["target"] or "/"
        return cls(
            scheme,
            found["host"].lower(),
            int(found["port"] or PORTS[scheme]),
            target if target.startswith("/") else f"/{target}",
        )

    def joined(self, location: str) -> "Url":
        """Where a redirect from here leads. Raises BadRequest."""
        _check_characters(location)
        try:
            return Url.read(urljoin(str(self), location), LONGEST_REDIRECT)
        except ValueError:
            raise refused("redirects to something that is no URL") from None

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def authority(self) -> str:
        """Host and port as they stand in the URL and in ``Host``."""
        return self.host if self.port == PORTS[self.scheme] else f"{self.host}:{self.port}"

    @property
    def hostname(self) -> str:
        """The host as it is looked up and as certificates name it."""
        return self.host.strip("[]")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def _check_characters(text: str) -> None:
    if NEVER.search(text):
        raise refused("must not contain control characters or backslashes")


@dataclass(frozen=True)
class Origins:
    """Where one fetch may go. ``hosts`` are exact names in lower case, beside the well-known ones.

    ``any_host`` opens all names. ``trusted`` are exact origins that may be anything, http and
    private addresses included.
    """

    hosts: Collection[str] = ()
    any_host: bool = False
    trusted: Collection[str] = ()

    def check(self, url: Url) -> None:
        """Raises BadRequest unless the URL is allowed. Its host is not looked up."""
        if self.trusts(url):
            return
        if url.scheme != "https":
            raise refused("must begin with https://")
        if url.port != PORTS["https"]:
            raise refused("must not name a port")
        if _is_address(url.host):
            raise refused("must name a host, not an address")
        if not (self.any_host or url.host in self.hosts or WELL_KNOWN_HOST.fullmatch(url.host)):
            raise refused(
                f"{url.host} is not an allowed origin. Files are fetched from "
                f"{', '.join(WELL_KNOWN)}, this server's own storage, and the hosts that your "
                "organization allows in its settings"
            )

    def trusts(self, url: Url) -> bool:
        """Whether its host may have any address."""
        return url.origin in self.trusted


def _is_address(host: str) -> bool:
    """Whether browsers read it as an address: the last label of an IPv4 address, in any spelling,
    is a number."""
    return host.startswith("[") or NUMBER.fullmatch(host.rpartition(".")[2]) is not None
