"""Files by URL: what is fetched, and what is never connected to.

Every connection of the fetchers here leads to one server on loopback, whatever the address and
port: where it counts none, there was none.
"""

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from app.adapters.fetching.fetcher import Fetched, Fetcher
from app.adapters.fetching.http_client import HttpClient, public_certificates
from app.errors import BadRequest, Unprocessable
from tests.adapters.fetching.origin import Origin, page, redirect, refusal, running_origin

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400
PUBLIC = "52.216.1.1"
BUCKET = "photos.s3.amazonaws.com"
URL = f"https://{BUCKET}/cat.png"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def origin(authority: trustme.CA) -> Iterator[Origin]:
    """An object store with a certificate for its buckets."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("*.s3.amazonaws.com", "images.example.com").configure_cert(context)
    with running_origin(context) as server:
        server.pages["/cat.png"] = page(PNG)
        yield server


class Internet:
    """Names and the addresses behind them; any other name has one public address. All that connects
    is written down."""

    def __init__(self, server: Origin, trust: ssl.SSLContext) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.looked_up: list[str] = []
        self.connected: list[tuple[str, int]] = []
        self.dead: set[str] = set()
        self._server = server
        self.client = HttpClient(self.look_up, self.connect, lambda: trust)

    def look_up(self, host: str) -> list[str]:
        self.looked_up.append(host)
        try:
            # How the system reads numbers, without asking anybody.
            return [str(socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)[0][4][0])]
        except socket.gaierror:
            answers = self.names.get(host, [[PUBLIC]])
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        self.connected.append((address, port))
        if address in self.dead:
            raise ConnectionRefusedError
        return socket.create_connection(("127.0.0.1", self._server.port), timeout)


@pytest.fixture
def internet(origin: Origin, trust: ssl.SSLContext) -> Internet:
    return Internet(origin, trust)


Fetch = Callable[..., Fetched]


@pytest.fixture
def fetch(internet: Internet, target: Path) -> Fetch:
    def fetch(
        url: str = URL, most_bytes: int = len(PNG), seconds: float = 10, **allowed: object
    ) -> Fetched:
        fetcher = Fetcher(client=internet.client, seconds=seconds)
        return fetcher.fetch(url, target, most_bytes=most_bytes, **allowed)  # type: ignore[arg-type]

    return fetch


def test_a_file_arrives_by_tls_from_the_address_that_was_checked(
    fetch: Fetch, target: Path, origin: Origin, internet: Internet
) -> None:
    origin.pages["/stra%C3%9Fe%20(1).png?v=%2F1&w"] = page(PNG, "Image/PNG; charset=binary")
    assert fetch("HTTPS://Photos.S3.amazonaws.com:443/straße (1).png?v=%2F1&w#top") == Fetched(
        "image/png"
    )
    assert target.read_bytes() == PNG
    assert (internet.looked_up, internet.connected) == ([BUCKET], [(PUBLIC, 443)])
    assert origin.names == [BUCKET]
    request = origin.requests[0].lower()
    assert f"\r\nhost: {BUCKET}\r\n" in request
    assert "\r\naccept-encoding: identity\r\n" in request
    for header in ("cookie:", "referer:", "authorization:", "forwarded"):
        assert header not in request


HOSTILE = [
    "",
    "cat.png",
    "//photos.s3.amazonaws.com/cat.png",
    "https:photos.s3.amazonaws.com/cat.png",
    "https:/photos.s3.amazonaws.com/cat.png",
    "https:///cat.png",
    "https://",
    "https://?",
    "http://photos.s3.amazonaws.com/cat.png",
    "http://photos.s3.amazonaws.com:443/cat.png",
    "ftp://photos.s3.amazonaws.com/cat.png",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "https://photos.s3.amazonaws.com:80/",
    "https://photos.s3.amazonaws.com:6379/",
    "https://photos.s3.amazonaws.com:/",
    "https://photos.s3.amazonaws.com:99999/",
    "https://photos.s3.amazonaws.com./cat.png",
    "https://.s3.amazonaws.com/cat.png",
    "https://photos..s3.amazonaws.com/cat.png",
    "https://s3.amazonaws.com@127.0.0.1/",
    "https://127.0.0.1@photos.s3.amazonaws.com/",
    "https://user:password@photos.s3.amazonaws.com/",
    "https://@photos.s3.amazonaws.com/",
    "https://photos.s3.amazonaws.com%2F@127.0.0.1/",
    "https://127.0.0.1\\@photos.s3.amazonaws.com/",
    "https:\\\\127.0.0.1\\photos.s3.amazonaws.com",
    "https://127.0.0.1#@photos.s3.amazonaws.com/",
    "https://127.0.0.1?@photos.s3.amazonaws.com/",
    "https://127.0.0.1;photos.s3.amazonaws.com/",
    "https://127.0.0.1/",
    "https://127.0.0.1./",
    "https://127.1/",
    "https://0/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://127.0.0.0x1/",
    "https://127。0。0。1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://127%2E0%2E0%2E1/",
    "https://%31%32%37.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://8.8.8.8/",
    "https://134744072/",
    "https://0x8080808/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[2600::1]/",
    "https://[::1/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://loopback.example.com/",
    "https://127.0.0.1.nip.io/",
    "https://photos.s3.amazonaws.com.example.com/",
    "https://example.com/photos.s3.amazonaws.com",
    "https://photos.s3.amazonaws.com\t/",
    "https://photos.s3.amazonaws.com/\r\nX-Evil: 1",
    "\nhttps://photos.s3.amazonaws.com/",
    " https://photos.s3.amazonaws.com/",
    "https://photos.s3.amazonaws.com\x00.example.com/",
    "https://ph\N{LATIN SMALL LETTER LONG S}.s3.amazonaws.com/",
    "https://photos.s3.amazonaws.com/\ud800",
    "https://photos.s3.amazonaws.com/" + "a" * 2048,
    "https://" + "a" * 64 + ".s3.amazonaws.com/",
]


@pytest.mark.parametrize("url", HOSTILE, ids=ascii)
def test_a_hostile_url_connects_to_nothing(
    url: str, fetch: Fetch, target: Path, origin: Origin, internet: Internet
) -> None:
    internet.names |= {
        "localhost": [["127.0.0.1", "::1"]],
        "loopback.example.com": [["127.0.0.1"]],
        "127.0.0.1.nip.io": [["127.0.0.1"]],
        "photos.s3.amazonaws.com.example.com": [["::ffff:127.0.0.1"]],
        "example.com": [["fd00:ec2::254"]],
    }
    refusal(BadRequest, lambda: fetch(url), target)
    assert internet.looked_up == []
    # Names that anybody may register are looked up where every host is allowed, and have to be
    # public.
    hosts = ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::1]"]
    refusal(BadRequest, lambda: fetch(url, hosts=hosts, any_host=True), target)
    assert (origin.connections, internet.connected) == (0, [])


def test_a_host_has_to_be_allowed_and_the_refusal_says_which_are(
    fetch: Fetch, target: Path
) -> None:
    url = "https://images.example.com/cat.png"
    problem = refusal(
        BadRequest, lambda: fetch(url, hosts=["other.example.com", "example.com"]), target
    )
    for name in ("images.example.com", "Amazon S3", "Google Drive", "settings"):
        assert name in problem
    fetch(url, hosts=["images.example.com"])
    target.unlink()
    fetch(url, any_host=True)


def test_the_servers_own_storage_is_allowed(internet: Internet, target: Path) -> None:
    Fetcher(own_hosts=["images.example.com"], client=internet.client).fetch(
        "https://images.example.com/cat.png", target, most_bytes=len(PNG)
    )
    assert target.read_bytes() == PNG


@pytest.mark.parametrize(
    "addresses",
    [
        [],
        ["10.0.0.1"],
        [PUBLIC, "127.0.0.1"],
        ["2600::1", "fe80::1%lo"],
        ["::ffff:52.216.1.1"],
        ["169.254.169.254"],
    ],
    ids=str,
)
def test_names_without_public_addresses_are_refused_alike(
    addresses: list[str], fetch: Fetch, target: Path, origin: Origin, internet: Internet
) -> None:
    internet.names[BUCKET] = [addresses]
    assert (
        refusal(BadRequest, fetch, target) == f"{BUCKET} has no public address. Check its spelling"
    )
    assert origin.connections == 0


def test_a_name_that_changes_its_address_is_looked_up_once(
    fetch: Fetch, internet: Internet
) -> None:
    internet.names[BUCKET] = [[PUBLIC], ["127.0.0.1"]]
    fetch()
    assert internet.looked_up == [BUCKET]
    assert internet.connected == [(PUBLIC, 443)]


def test_the_next_address_is_tried_when_one_does_not_connect(
    fetch: Fetch, target: Path, internet: Internet
) -> None:
    internet.names[BUCKET] = [["2600::1", "52.216.1.2", PUBLIC]]
    internet.dead = {"2600::1", "52.216.1.2"}
    fetch()
    target.unlink()
    assert [address for address, _ in internet.connected] == ["2600::1", "52.216.1.2", PUBLIC]
    internet.dead.add(PUBLIC)
    assert "cannot be reached" in refusal(Unprocessable, fetch, target)


def test_redirects_are_followed_three_times(
    fetch: Fetch, target: Path, origin: Origin, internet: Internet
) -> None:
    origin.pages |= {
        "/0": redirect("/1", "301 Moved Permanently"),
        "/1": redirect("2?signed=yes", "307 Temporary Redirect"),
        "/2?signed=yes": redirect(f"https://more.s3.amazonaws.com/b\xc3\xa4r/{'a' * 3000}"),
        f"/b%C3%A4r/{'a' * 3000}": redirect(URL, "303 See Other"),
    }
    assert "more than 3 times" in refusal(
        Unprocessable, lambda: fetch(f"https://{BUCKET}/0"), target
    )
    fetch(f"https://{BUCKET}/1")
    assert target.read_bytes() == PNG
    assert origin.names[-3:] == [BUCKET, "more.s3.amazonaws.com", BUCKET]
    assert internet.looked_up[-2:] == ["more.s3.amazonaws.com", BUCKET]
    assert all("referer" not in request.lower() for request in origin.requests)


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "//[::1]/",
        "https://2130706433/cat.png",
        "https://loopback.s3.amazonaws.com/cat.png",
        "https://photos.s3.amazonaws.com:6379/",
        "https://example.com/",
        "https://photos.s3.amazonaws.com@127.0.0.1/",
        "//127.0.0.1\\@photos.s3.amazonaws.com/cat.png",
        "http://photos.s3.amazonaws.com/cat.png",
        "file:///etc/passwd",
        "https://[127.0.0.1/",
        "ht\ttps://photos.s3.amazonaws.com/cat.png",
        "https://photos.s3.amazonaws.com/" + "a" * 8200,
    ],
)
def test_a_redirect_is_checked_as_the_first_url_is(
    location: str, fetch: Fetch, target: Path, origin: Origin, internet: Internet
) -> None:
    internet.names["loopback.s3.amazonaws.com"] = [["127.0.0.1"]]
    origin.pages["/cat.png"] = redirect(location)
    refusal(BadRequest, fetch, target)
    assert origin.connections == 1


def test_a_redirect_never_leaves_https(
    origin: Origin, plain: Origin, trust: ssl.SSLContext, target: Path
) -> None:
    origin.pages["/cat.png"] = redirect(f"{plain.url}/cat.png")
    encrypted = f"https://photos.s3.amazonaws.com:{origin.port}"
    client = HttpClient(lambda _host: ["127.0.0.1"], tls=lambda: trust)
    fetcher = Fetcher(trusted_origins=[encrypted, plain.url], client=client)
    problem = refusal(
        BadRequest,
        lambda: fetcher.fetch(f"{encrypted}/cat.png", target, most_bytes=len(PNG)),
        target,
    )
    assert "https to http" in problem
    assert (origin.connections, plain.connections) == (1, 0)


def test_a_test_origin_is_exactly_one(plain: Origin, target: Path) -> None:
    fetcher = Fetcher(trusted_origins=[plain.url])
    other = plain.url.replace("127.0.0.1", "127.0.0.2")
    for url in (
        f"{other}/cat.png",
        plain.url.replace("http", "https"),
        f"http://127.0.0.1:{plain.port - 1}/",
    ):
        with pytest.raises(BadRequest):
            fetcher.fetch(url, target, most_bytes=len(PNG))
    assert plain.connections == 0
    plain.pages["/cat.png"] = page(PNG)
    fetcher.fetch(f"{plain.url}/cat.png", target, most_bytes=len(PNG))


def test_a_share_link_is_fetched_as_its_download(internet: Internet, target: Path) -> None:
    with pytest.raises(Unprocessable, match=r"certificate of www\.dropbox\.com"):
        Fetcher(client=internet.client).fetch(
            "https://www.dropbox.com/s/abc/cat.png?dl=0", target, most_bytes=9
        )
    with pytest.raises(Unprocessable, match=r"certificate of drive\.usercontent\.google\.com"):
        Fetcher(client=internet.client).fetch(
            "https://drive.google.com/file/d/abc/view", target, most_bytes=9
        )


def test_certificates_have_to_be_valid_for_the_name(
    fetch: Fetch, target: Path, origin: Origin, internet: Internet, authority: trustme.CA
) -> None:
    assert "certificate" in refusal(
        Unprocessable, lambda: fetch("https://account.r2.dev/cat.png"), target
    )
    assert origin.names == ["account.r2.dev"]
    strangers = Fetcher(client=HttpClient(internet.look_up, internet.connect, public_certificates))
    assert "certificate" in refusal(
        Unprocessable, lambda: strangers.fetch(URL, target, most_bytes=len(PNG)), target
    )
    assert origin.requests == []


def test_the_environments_proxies_are_not_asked(
    fetch: Fetch, plain: Origin, monkeypatch: pytest.MonkeyPatch, target: Path
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "http_proxy"):
        monkeypatch.setenv(name, plain.url)
    fetch()
    assert plain.connections == 0


def test_an_end_without_tls_own_goodbye_is_a_cut(
    fetch: Fetch, target: Path, origin: Origin
) -> None:
    """Where nothing says how long the file is, anybody on the way could have ended it."""
    origin.pages["/cat.png"] = page(b"\x89PNG", content_length="")
    assert "ended before" in refusal(Unprocessable, fetch, target)
