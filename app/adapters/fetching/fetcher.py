"""Files of other servers, by URL: only by https, from allowed origins and from public addresses.

This holds for every URL, also that of a redirect: its origin is checked, its host is looked up
once, every address found must be public, and one of these very addresses is connected to
(docs/decisions/010).
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from socket import EAI_AGAIN, gaierror
from ssl import SSLCertVerificationError

import structlog

from app.adapters.fetching.addresses import is_public
from app.adapters.fetching.http_client import Deadline, HttpClient
from app.adapters.fetching.origins import Origins, Url, refused
from app.adapters.fetching.share_links import direct
from app.adapters.storage.interface import OCTETS
from app.errors import TooLarge, Unprocessable

log = structlog.get_logger()

SECONDS = 20.0
MOST_REDIRECTS = 3
HEADERS = {"Accept": "image/*, */*;q=0.5"}
CHUNK_BYTES = 64 * 1024
MEGABYTE = 1024 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})
BINARY = frozenset(
    {"", OCTETS, "binary/octet-stream", "application/binary", "application/x-download"}
)
"""Types that object stores give to files of which they know nothing. The content tells later what
they are."""


@dataclass(frozen=True)
class Fetched:
    """What the origin said of the file: its media type, or ``application/octet-stream`` where it
    said nothing."""

    content_type: str


class Fetcher:
    """Downloads for customers, only from where customers may reach.

    ``own_hosts`` are the host names of this server's own storage. ``trusted_origins``
    (``http://127.0.0.1:9999``) may be anything: tests' in development, an operator's own servers.
    ``seconds`` are all that one file may take, with its redirects.
    """

    def __init__(
        self,
        *,
        own_hosts: Collection[str] = (),
        trusted_origins: Collection[str] = (),
        seconds: float = SECONDS,
        client: HttpClient | None = None,
    ) -> None:
        self._own_hosts = frozenset(own_hosts)
        self._trusted_origins = frozenset(Url.read(origin).origin for origin in trusted_origins)
        self._seconds = seconds
        self._client = client or HttpClient()

    def fetch(
        self,
        url: str,
        target: Path,
        *,
        most_bytes: int,
        hosts: Collection[str] = (),
        any_host: bool = False,
    ) -> Fetched:
        """Download what ``url`` leads to into the new file ``target``. When this raises, there is
        no file.

        ``hosts`` are allowed beside the well-known ones: exact names in lower case. ``any_host``
        allows all that have public addresses, for URLs that are not a customer's. Raises BadRequest
        for a URL that is not allowed, TooLarge past ``most_bytes``, Unprocessable for everything
        that goes wrong on the way. All name the field ``url``.
        """
        origins = Origins(self._own_hosts | frozenset(hosts), any_host, self._trusted_origins)
        deadline = Deadline(self._seconds)
        current = direct(Url.read(url))
        for _ in range(MOST_REDIRECTS + 1):
            addresses = self._addresses(current, origins, deadline)
            with self._answered(current, addresses, deadline) as answer:
                location = answer.getheader("Location") if answer.status in REDIRECTS else None
                if location is None:
                    return self._save(answer, current.host, target, most_bytes)
            current = _next(current, location)
        raise _failed(f"redirects more than {MOST_REDIRECTS} times. Send the URL that it ends at")

    def _addresses(self, url: Url, origins: Origins, deadline: Deadline) -> Sequence[str]:
        """The addresses to connect to. Raises BadRequest unless the origin is allowed and every
        address is public."""
        origins.check(url)
        with self._reaching(url.host):
            try:
                found = self._client.addresses(url.hostname, deadline)
            except gaierror as problem:
                if problem.errno == EAI_AGAIN:
                    raise
                found = ()
        if origins.trusts(url) and found:
            return found
        # A name without addresses and one with private addresses get the same answer, so that
        # nobody finds out which names exist.
        if not found or not all(is_public(address) for address in found):
            log.warning("fetch.no_public_address", host=url.host)
            raise refused(f"{url.host} has no public address. Check its spelling")
        return found

    @contextmanager
    def _answered(
        self, url: Url, addresses: Sequence[str], deadline: Deadline
    ) -> Iterator[HTTPResponse]:
        with ExitStack() as connection:
            with self._reaching(url.host):
                answer = connection.enter_context(
                    self._client.request(url, addresses, deadline, HEADERS)
                )
            yield answer

    def _save(self, answer: HTTPResponse, host: str, target: Path, most_bytes: int) -> Fetched:
        fetched = Fetched(_checked_type(answer, host))
        declared = answer.length
        if declared is not None and declared > most_bytes:
            raise _too_large(most_bytes)
        with target.open("xb") as file, ExitStack() as undo:
            undo.callback(target.unlink)
            for chunk in self._chunks(answer, host):
                file.write(chunk)
                if file.tell() > most_bytes:
                    raise _too_large(most_bytes)
            if declared is not None and file.tell() < declared:
                raise _failed(f"{host} ended before the file did. Try again")
            undo.pop_all()
        return fetched

    def _chunks(self, answer: HTTPResponse, host: str) -> Iterator[bytes]:
        while True:
            with self._reaching(host):
                # read() would read everything where the size of a chunk is malformed.
                chunk = answer.read1(CHUNK_BYTES)
            if not chunk:
                return
            yield chunk

    @contextmanager
    def _reaching(self, host: str) -> Iterator[None]:
        """Turn the errors of networks into answers to the customer. Raises Unprocessable."""
        try:
            yield
        except TimeoutError:
            raise _failed(
                f"{host} did not send the file within {self._seconds:g} seconds. Upload it instead"
            ) from None
        except SSLCertVerificationError:
            raise _failed(f"the certificate of {host} is not valid for it") from None
        except (OSError, HTTPException):
            raise _failed(
                f"{host} cannot be reached, or ended before the file did. Try again"
            ) from None


def _next(current: Url, location: str) -> Url:
    """The URL that a redirect leads to. Raises BadRequest."""
    # Headers arrive as Latin-1, and servers write UTF-8.
    following = current.joined(location.encode("latin-1").decode(errors="replace"))
    if current.scheme == "https" and following.scheme == "http":
        raise refused("redirects from https to http")
    return following


def _checked_type(answer: HTTPResponse, host: str) -> str:
    """The media type of a file that may be an image. Raises Unprocessable."""
    if answer.status != 200:
        raise _failed(
            f"{host} answered with status {answer.status}. Check that the link works without "
            "signing in"
        )
    if answer.getheader("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise _failed(f"{host} answered with a compressed file. Send the URL of the file as it is")
    media_type = answer.getheader("Content-Type", "").partition(";")[0].strip().lower()
    if not (media_type in BINARY or media_type.startswith("image/")):
        raise _failed(
            f"{host} answered with {media_type[:100]}, not with an image. Share the file itself, "
            "not a page"
        )
    return media_type or OCTETS


def _failed(problem: str) -> Unprocessable:
    return Unprocessable(f"url: {problem}", errors=[f"url: {problem}"])


def _too_large(most_bytes: int) -> TooLarge:
    problem = f"url: the file is larger than {most_bytes / MEGABYTE:g} MB, the most that is allowed"
    return TooLarge(problem, errors=[problem])
