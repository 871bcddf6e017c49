"""The files that pages load, under names that hold a hash of their content, so that browsers may
keep them for a year."""

import gzip
import re
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from flask import Blueprint, Response, request, url_for

from app.errors import NotFound
from app.web.requirements import Nothing, requires

blueprint = Blueprint("static_files", __name__)

FOLDER = Path(__file__).resolve().parent.parent / "static"
SHEET = "app.css"
"""All files of ``css/`` in one, in the order of their names."""
SCALAR = "scalar.js"
"""The API playground, which a Python package brings along."""
SCALAR_FILE = Path(str(files("flask_openapi_scalar"))).joinpath(
    "templates", "scalar", "js", "scalar.standalone.js"
)
TYPES = {
    ".avif": "image/avif",
    ".css": "text/css",
    ".ico": "image/vnd.microsoft.icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
COMPRESSED_ALREADY = frozenset({".avif", ".jpg", ".png", ".webp", ".woff2"})
FOR_A_YEAR = "public, max-age=31536000, immutable"
CHECKED_EACH_TIME = "public, no-cache"
FOREIGN_URL = re.compile(rb"url\(([\w./-]+)\)")


@blueprint.app_template_global()
def asset(name: str) -> str:
    """The URL of a file below ``app/static``, for templates. Raises NotFound."""
    return url_for("static_files.file", digest=_digest(name), name=name)


@blueprint.get("/static/<digest>/<path:name>")
@requires(Nothing())
def file(digest: str, name: str) -> Response:
    """The file as it is now. A digest of another version, which a page of before an update names,
    is answered too, but not kept."""
    return answer(name, FOR_A_YEAR if digest == _digest(name) else CHECKED_EACH_TIME)


def answer(name: str, cached: str) -> Response:
    """The file with ``cached`` as its Cache-Control. Raises NotFound."""
    content, suffix = _content(name), Path(name).suffix
    zipped = suffix not in COMPRESSED_ALREADY and "gzip" in request.headers.get(
        "Accept-Encoding", ""
    )
    response = Response(_zipped(name) if zipped else content, mimetype=TYPES[suffix])
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = cached
    response.add_etag()
    response.make_conditional(request)
    return response


def size_of(name: str) -> int:
    """The file's size in bytes. Raises NotFound."""
    return len(_content(name))


@lru_cache
def _digest(name: str) -> str:
    return sha256_of(name)[:12]


def sha256_of(name: str) -> str:
    """The file's SHA-256, in hexadecimal. Raises NotFound."""
    return sha256(_content(name)).hexdigest()


@lru_cache
def _zipped(name: str) -> bytes:
    return gzip.compress(_content(name), 9, mtime=0)


@lru_cache
def _content(name: str) -> bytes:
    if name == SCALAR:
        return SCALAR_FILE.read_bytes()
    if name == SHEET:
        sheet = b"".join(part.read_bytes() for part in sorted(FOLDER.glob("css/*.css")))
        return FOREIGN_URL.sub(_with_its_digest, sheet)
    path = FOLDER.joinpath(name).resolve()
    if not path.is_relative_to(FOLDER) or path.suffix not in TYPES or not path.is_file():
        raise NotFound("There is no such file.")
    return path.read_bytes()


def _with_its_digest(found: re.Match[bytes]) -> bytes:
    """A URL in the style sheet, which browsers resolve against that of the sheet itself."""
    name = found[1].decode()
    return f"url(../{_digest(name)}/{name})".encode()
