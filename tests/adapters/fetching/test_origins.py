"""Which hosts and addresses are allowed, and what share links stand for."""

from base64 import urlsafe_b64decode
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.adapters.fetching.addresses import is_public
from app.adapters.fetching.origins import Origins, Url
from app.adapters.fetching.share_links import direct
from app.errors import BadRequest

STORES = [
    "s3.amazonaws.com", "photos.s3.amazonaws.com", "my.dotted.photos.s3.amazonaws.com",
    "my_bucket.s3.amazonaws.com", "s3.eu-central-1.amazonaws.com", "s3-us-west-2.amazonaws.com",
    "photos.s3.us-gov-west-1.amazonaws.com", "photos.s3-eu-west-1.amazonaws.com",
    "photos.s3.dualstack.ap-southeast-2.amazonaws.com", "s3.dualstack.eu-west-1.amazonaws.com",
    "photos.s3-fips.us-east-1.amazonaws.com", "photos.s3-fips.dualstack.us-east-1.amazonaws.com",
    "photos.s3-accelerate.amazonaws.com", "photos.s3-accelerate.dualstack.amazonaws.com",
    "photos.s3.cn-north-1.amazonaws.com.cn",
    "mine-123456789012.s3-accesspoint.us-west-2.amazonaws.com",
    "account.blob.core.windows.net", "account.z01.blob.storage.azure.net",
    "0123.r2.cloudflarestorage.com",
    "photos.0123.eu.r2.cloudflarestorage.com", "pub-0123.r2.dev", "storage.googleapis.com",
    "photos.storage.googleapis.com", "www.example.com.storage.googleapis.com",
    "storage.cloud.google.com",
    "dropbox.com", "www.dropbox.com", "dl.dropbox.com", "dl.dropboxusercontent.com",
    "uc0123.dl.dropboxusercontent.com", "drive.google.com", "docs.google.com",
    "drive.usercontent.google.com",
    "doc-0g-8s-docs.googleusercontent.com", "1drv.ms", "onedrive.live.com", "api.onedrive.com",
    "public.bn.files.1drv.com", "example-my.sharepoint.com", "my.microsoftpersonalcontent.com",
]  # fmt: skip

STRANGERS = [
    "amazonaws.com", "ec2-3-1-2-3.compute-1.amazonaws.com",
    "abc.execute-api.us-east-1.amazonaws.com",
    "s3-1234.us-east-1.elb.amazonaws.com", "s3.1234.us-east-1.rds.amazonaws.com",
    "photos-s3.us-east-1.amazonaws.com", "photos.vpce-0a1b.s3.us-east-1.vpce.amazonaws.com",
    "photos.s3-website-us-east-1.amazonaws.com", "s3.us-east-1.evil.amazonaws.com",
    "s3.amazonaws.com.evil.example",
    "s3.amazonaws.evil", "xs3.amazonaws.com", "evil-s3.amazonaws.com", "s3xamazonaws.com",
    "blob.core.windows.net",
    "account.table.core.windows.net", "account.blob.core.windows.net.evil.example",
    "account.blobxcore.windows.net",
    "r2.dev", "evil-r2.dev", "evil.r2dev", "example.workers.dev", "run.googleapis.com",
    "compute.googleapis.com",
    "evilstorage.googleapis.com", "4.3.2.1.bc.googleusercontent.com", "lh3.googleusercontent.com",
    "accounts.google.com", "evildropbox.com", "dropbox.com.evil.example", "dropboxusercontent.evil",
    "evil1drv.ms",
    "files.1drv.com", "live.com", "sharepoint.com", "example.sharepoint.com",
    "evil-my.sharepoint.com.evil.example",
    "evilmicrosoftpersonalcontent.com", "localhost",
]  # fmt: skip


@pytest.mark.parametrize("host", STORES)
def test_the_well_known_stores_are_allowed(host: str) -> None:
    Origins().check(Url.read(f"https://{host}/a/photo.jpg"))


@pytest.mark.parametrize("host", STRANGERS)
def test_no_other_host_passes_for_one(host: str) -> None:
    with pytest.raises(BadRequest, match="is not an allowed origin"):
        Origins().check(Url.read(f"https://{host}/a/photo.jpg"))


def test_a_url_is_read_as_browsers_read_it() -> None:
    assert str(Url.read("HTTPS://Example.COM:443?a=/b#c")) == "https://example.com/?a=/b"
    assert str(Url.read("http://[::1]:8080/ü%C3?<")) == "http://[::1]:8080/%C3%BC%C3?<"


DROPBOX = "https://www.dropbox.com"
DRIVE = "https://drive.google.com"
DOWNLOAD = "https://drive.usercontent.google.com/download"
SHARE_LINKS = [
    (f"{DROPBOX}/s/a1b2/cat.png?dl=0", f"{DROPBOX}/s/a1b2/cat.png?dl=1"),
    (f"{DROPBOX}/s/a1b2/cat.png", f"{DROPBOX}/s/a1b2/cat.png?dl=1"),
    (
        f"{DROPBOX}/scl/fi/a1/k%20z.png?rlkey=x%2By&e=1&st=s&raw=1&dl=0",
        f"{DROPBOX}/scl/fi/a1/k%20z.png?rlkey=x%2By&e=1&st=s&dl=1",
    ),
    ("https://dropbox.com/scl/fi/a1/c.png?rlkey=x",
    "https://dropbox.com/scl/fi/a1/c.png?rlkey=x&dl=1"),
    (f"{DROPBOX}/about", f"{DROPBOX}/about"),
    ("https://dl.dropboxusercontent.com/s/a/c.png?dl=0",
    "https://dl.dropboxusercontent.com/s/a/c.png?dl=0"),
    (f"{DRIVE}/file/d/1a_B-2/view?usp=sharing", f"{DOWNLOAD}?id=1a_B-2&export=download&confirm=t"),
    (f"{DRIVE}/file/u/1/d/1aB/edit", f"{DOWNLOAD}?id=1aB&export=download&confirm=t"),
    (f"{DRIVE}/a/example.com/file/d/1aB/view", f"{DOWNLOAD}?id=1aB&export=download&confirm=t"),
    (
        f"{DRIVE}/file/d/1aB/view?usp=sharing&resourcekey=0-k_Y",
        f"{DOWNLOAD}?id=1aB&export=download&confirm=t&resourcekey=0-k_Y",
    ),
    (
        f"{DRIVE}/open?id=1aB&resourcekey=0-k&usp=drive_fs",
        f"{DOWNLOAD}?id=1aB&export=download&confirm=t&resourcekey=0-k",
    ),
    (f"{DRIVE}/uc?export=view&id=1aB", f"{DOWNLOAD}?id=1aB&export=download&confirm=t"),
    ("https://docs.google.com/uc?id=1aB", f"{DOWNLOAD}?id=1aB&export=download&confirm=t"),
    (f"{DRIVE}/open?id=1aB%26confirm%3Dx", f"{DRIVE}/open?id=1aB%26confirm%3Dx"),
    (f"{DRIVE}/uc", f"{DRIVE}/uc"),
    (f"{DRIVE}/drive/folders/1aB", f"{DRIVE}/drive/folders/1aB"),
    ("https://storage.cloud.google.com/b/c%20d.png", "https://storage.googleapis.com/b/c%20d.png"),
    (
        "https://example-my.sharepoint.com/:i:/g/personal/me/Ea?e=4%3a1&download=0",
        "https://example-my.sharepoint.com/:i:/g/personal/me/Ea?e=4%3a1&download=1",
    ),
    (
        "https://example-my.sharepoint.com/personal/me/_layouts/15/download.aspx?share=Ea",
        "https://example-my.sharepoint.com/personal/me/_layouts/15/download.aspx?share=Ea",
    ),
    ("https://onedrive.live.com/download?resid=1%212&authkey=3",
    "https://onedrive.live.com/download?resid=1%212&authkey=3"),
    ("https://photos.s3.amazonaws.com/s/cat.png?dl=0",
    "https://photos.s3.amazonaws.com/s/cat.png?dl=0"),
    ("https://evil.example/file/d/1aB/view", "https://evil.example/file/d/1aB/view"),
]  # fmt: skip


@pytest.mark.parametrize(("link", "download"), SHARE_LINKS)
def test_share_links_become_downloads(link: str, download: str) -> None:
    found = direct(Url.read(link))
    assert str(found) == download
    assert direct(found) == found


@pytest.mark.parametrize(
    "link", ["https://1drv.ms/i/s!Aa?e=b~>", "https://onedrive.live.com/redir?resid=1!2&authkey=!3"]
)
def test_onedrives_share_links_are_told_to_its_shares_api(link: str) -> None:
    download = str(direct(Url.read(link)))
    before, _, rest = download.partition("/u!")
    token, _, after = rest.partition("/")
    assert (before, after) == ("https://api.onedrive.com/v1.0/shares", "root/content")
    assert "=" not in token
    assert urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode() == link


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "52.216.1.1", "100.63.255.255", "100.128.0.0", "172.15.0.1",
     "172.32.0.1", "192.0.1.1",
     "192.169.0.1", "198.17.0.1", "198.20.0.1", "223.255.255.255", "2001:200::1",
     "2001:4860:4860::8888", "2600::1",
     "2a00:1450::1", "2620:4f:8000::1"],
)  # fmt: skip
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "0.1.2.3", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1",
     "127.255.255.255",
     "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
     "192.88.99.1",
     "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
     "239.255.255.255",
     "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:8.8.8.8",
     "64:ff9b::808:808",
     "64:ff9b:1::808:808", "100::1", "2001::1", "2001:0:4136:e378::1", "2001:2::1", "2001:10::1",
     "2001:db8::1",
     "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "4000::1", "5f00::1", "fc00::1",
     "fd00:ec2::254", "fe80::1",
     "fe80::1%lo", "fec0::1", "ff02::1", "2600::5efe:10.0.0.1", "2600::200:5efe:8.8.8.8"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


def embedding(address: IPv4Address) -> list[IPv6Address]:
    """The IPv6 addresses that some machine on the way may take for this IPv4 address."""
    number = int(address)
    shapes = [
        "::{}",
        "::ffff:{}",
        "::ffff:0:{}",
        "64:ff9b::{}",
        "64:ff9b:1::{}",
        "2600::5efe:{}",
        "2a00:1::200:5efe:{}",
    ]
    teredo = int(IPv6Address("2001::")) + (number ^ 0xFFFF_FFFF)
    six_to_four = int(IPv6Address("2002::")) + (number << 80) + 1
    return [IPv6Address(shape.format(address)) for shape in shapes] + [
        IPv6Address(teredo),
        IPv6Address(six_to_four),
    ]


@settings(max_examples=50, deadline=None)
@given(
    st.one_of(
        st.ip_addresses(v=4), st.ip_addresses(v=6), st.integers(2**125, 2**126 - 1).map(IPv6Address)
    )
)
@example(IPv6Address("2001:4860:4860::8888"))
def test_no_address_passes_that_python_knows_not_to_be_public(
    address: IPv4Address | IPv6Address,
) -> None:
    told = [
        address.is_multicast,
        address.is_reserved,
        address.is_loopback,
        address.is_link_local,
        address.is_private,
    ]
    if is_public(str(address)):
        assert address.is_global
        assert not any(told)
    if isinstance(address, IPv4Address):
        assert not any(is_public(str(one)) for one in embedding(address))
