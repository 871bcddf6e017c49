"""Files sent to the playground, as its page sends them."""

from io import BytesIO
from typing import Any

from werkzeug.datastructures import FileStorage

from tests.client import Answer, ApiClient, multipart
from tests.forms import SAME_SITE

AS_SCRIPT = {**SAME_SITE, "Accept": "application/json"}


def squeeze(
    client: ApiClient,
    path: str,
    data: bytes,
    name: str = "photo.jpg",
    headers: Any = None,
    **fields: str,
) -> Answer:
    form = multipart([("file", FileStorage(BytesIO(data), name)), *fields.items()])
    return client.post(path, headers={**AS_SCRIPT, **(headers or {})}, **form)
