"""A client of the images dialect, written from its documentation alone: ``x-api-key``, ids, links,
published URLs."""

import re
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from werkzeug.datastructures import FileStorage

from tests.client import Answer, ApiClient, multipart
from tests.images import encoded

IMAGE_ID = re.compile(r"^image_[a-zA-Z0-9]{24}$")
FIELDS = ["id", "name", "url", "width", "height", "format", "size", "created_at"]


class ImagesClient:
    """Speaks for one key. What it isn't told to expect is an image that was made."""

    def __init__(self, client: ApiClient, key: str) -> None:
        self._client = client
        self._headers = {"x-api-key": key}

    def request(self, method: str, path: str, **options: Any) -> Answer:
        headers = {**self._headers, **options.pop("headers", {})}
        return self._client.open(f"/v1/images{path}", method=method, headers=headers, **options)

    def post(self, path: str, **fields: Any) -> Answer:
        return self.request("POST", path, json=fields)

    def upload(
        self, data: bytes | None = None, name: str = "photo", filename: str = "photo.jpg"
    ) -> dict[str, Any]:
        return made(self.send(encoded() if data is None else data, name=name, filename=filename))

    def send(self, data: bytes, filename: str = "photo.jpg", **fields: Any) -> Answer:
        file = FileStorage(BytesIO(data), filename)
        return self.request("POST", "/upload", **multipart([("image", file), *fields.items()]))

    def make(self, image: dict[str, Any], operation: str, **fields: Any) -> dict[str, Any]:
        return made(self.post(f"/{image['id']}/{operation}", **fields))

    def download(self, image: dict[str, Any], **headers: str) -> Answer:
        return self.request("GET", f"/{image['id']}/download", headers=headers)

    def get(self, image: dict[str, Any]) -> Answer:
        return self.request("GET", f"/{image['id']}")

    def follow(self, url: str) -> Answer:
        """A link of a list, which is absolute."""
        parts = urlsplit(url)
        assert parts.scheme == "http"
        return self._client.get(f"{parts.path}?{parts.query}", headers=self._headers)

    def public(self, url: str, **options: Any) -> Answer:
        """A published image, without the key."""
        return self._client.get(urlsplit(url).path, **options)

    def used(self) -> int:
        return int(self._client.get("/usage", headers=self._headers).json["used"])


def made(answer: Answer) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    image: dict[str, Any] = answer.json
    assert list(image) == FIELDS
    assert IMAGE_ID.match(image["id"])
    return image
