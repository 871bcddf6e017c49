"""Signed URLs of a local folder, which have no host: ``/storage/<token>``, and
``/storage/parts/<token>`` for parts. The token holds the whole grant."""

import hashlib
import hmac
import json
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Generic, TypeVar

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from app.errors import Forbidden


@dataclass(frozen=True)
class UploadGrant:
    """What a PUT URL grants: ``size`` bytes of a type. ``expires`` is in seconds since 1970."""

    expires: int
    key: str
    size: int
    content_type: str


@dataclass(frozen=True)
class PartGrant:
    """What a PUT URL of a part grants: ``size`` bytes. ``expires`` is in seconds since 1970."""

    expires: int
    key: str
    parts_id: str
    number: int
    size: int


@dataclass(frozen=True)
class DownloadGrant:
    """What a GET URL grants. ``expires`` is in seconds since 1970."""

    expires: int
    key: str
    filename: str
    content_type: str
    inline: bool


Grant = TypeVar("Grant", bound=UploadGrant | PartGrant | DownloadGrant)


class SignedUrls(Generic[Grant]):
    """Makes and reads the URLs of one kind. Each kind has its own salt, so that a token of one is
    no token of another."""

    def __init__(
        self, secret_key: str, salt: str, kind: type[Grant], path: str = "/storage/"
    ) -> None:
        self._kind = kind
        self._path = path
        self._signer = Signer(
            secret_key,
            salt=f"lightwell.storage.{salt}",
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )

    def url(self, grant: Grant) -> str:
        # JSON's escapes would make a long file name longer than a request line may be.
        fields = json.dumps(astuple(grant), ensure_ascii=False, separators=(",", ":"))
        return self._path + self._signer.sign(base64_encode(fields)).decode()

    def read(self, token: str, now: datetime) -> Grant:
        """The grant in a token. Raises Forbidden when it was altered or has expired."""
        try:
            payload = self._signer.unsign(token)
        except BadSignature:
            raise _altered() from None
        # The last character of the signature has bits that its decoder ignores.
        if not hmac.compare_digest(self._signer.sign(payload), token.encode()):
            raise _altered()
        grant = self._kind(*json.loads(base64_decode(payload)))
        if now.timestamp() >= grant.expires:
            raise Forbidden("This URL has expired. Ask for a new one.")
        return grant


def _altered() -> Forbidden:
    return Forbidden(
        "This URL is not one of ours for this method, or was altered. Ask for a new one."
    )
