"""The Stripe SDK's requests, sent into a fake Stripe of the same process: all of HTTP but the
socket."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import stripe
from flask import Flask
from requests.structures import CaseInsensitiveDict


class InProcess(stripe.HTTPClient):
    """``StripeClient(key, http_client=InProcess(fake_stripe))``. It may be used from many
    threads."""

    name = "in-process"

    def __init__(self, fake_stripe: Flask) -> None:
        super().__init__()
        self._app = fake_stripe

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        **_ignored: Any,
    ) -> tuple[str, int, Mapping[str, str]]:
        target = urlsplit(url)
        answer = self._app.test_client().open(
            target.path,
            base_url=f"{target.scheme}://{target.netloc}",
            query_string=target.query,
            method=method.upper(),
            headers=dict(headers or {}),
            data=post_data,
        )
        return answer.text, answer.status_code, CaseInsensitiveDict(answer.headers.items())

    def close(self) -> None:
        """There is no connection."""
