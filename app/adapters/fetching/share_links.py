"""Links that people share lead to pages. They become links to the downloads, as each provider
documents it."""

import re
from base64 import urlsafe_b64encode
from dataclasses import replace
from urllib.parse import parse_qs, urlencode

from app.adapters.fetching.origins import Url

DRIVE_FILE = re.compile(r"/(?:a/[^/]+/)?file/(?:u/[0-9]+/)?d/(?P<id>[A-Za-z0-9_-]+)")
DRIVE_ID = re.compile(r"[A-Za-z0-9_-]+")


def direct(url: Url) -> Url:
    """The download that a share link stands for; every other URL as it is."""
    match url.host:
        case "dropbox.com" | "www.dropbox.com":
            return _dropbox(url)
        case "drive.google.com" | "docs.google.com":
            return _google_drive(url)
        case "storage.cloud.google.com":
            # Asks for a Google account even where the object is public.
            return replace(url, host="storage.googleapis.com")
        case "1drv.ms" | "onedrive.live.com":
            return _onedrive(url)
        case host if host.endswith("-my.sharepoint.com") and url.target.startswith("/:"):
            return _with(url, "download=1", instead_of=("download",))
    return url


def _dropbox(url: Url) -> Url:
    """https://help.dropbox.com/share/force-download"""
    return (
        _with(url, "dl=1", instead_of=("dl", "raw"))
        if url.target.startswith(("/s/", "/scl/fi/"))
        else url
    )


def _google_drive(url: Url) -> Url:
    """``webContentLink`` of Drive's API, with the resource key that links of before 2021 need.

    ``confirm`` answers the question that stands before files too large for Drive's virus scan.
    https://developers.google.com/workspace/drive/api/guides/resource-keys
    """
    path, _, query = url.target.partition("?")
    given = parse_qs(query)
    found = DRIVE_FILE.match(path)
    file_id = found["id"] if found else given.get("id", [""])[0] if path in ("/open", "/uc") else ""
    if not DRIVE_ID.fullmatch(file_id):
        return url
    wanted = {"id": file_id, "export": "download", "confirm": "t"}
    if key := given.get("resourcekey"):
        wanted["resourcekey"] = key[0]
    return replace(
        url, host="drive.usercontent.google.com", target=f"/download?{urlencode(wanted)}"
    )


def _onedrive(url: Url) -> Url:
    """https://learn.microsoft.com/onedrive/developer/rest-api/api/shares_get"""
    if url.target.startswith("/download?"):
        return url
    token = urlsafe_b64encode(str(url).encode()).decode().rstrip("=")
    return replace(url, host="api.onedrive.com", target=f"/v1.0/shares/u!{token}/root/content")


def _with(url: Url, parameter: str, instead_of: tuple[str, ...]) -> Url:
    """The URL with ``parameter`` in the place of others. The rest keeps its spelling."""
    path, _, query = url.target.partition("?")
    kept = [part for part in query.split("&") if part and part.partition("=")[0] not in instead_of]
    return replace(url, target=f"{path}?{'&'.join([*kept, parameter])}")
